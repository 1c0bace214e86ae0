//! The syntax tree of a template. Immutable, without references, shared between threads.
//!
//! [`fmt::Display`] prints each node as Go prints it, since Go's error messages quote nodes.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::funcs::Builtin;
use super::function::Function;
use super::number::Number;
use super::quote::quote;

/// One named template: a file, or a `define` or `block` in it.
#[derive(Debug)]
pub struct Tree {
    /// What `template` and `include` call it.
    pub name: Arc<str>,
    /// The file it is in.
    pub file: Arc<str>,
    /// The text of the whole file; positions are byte offsets in it.
    pub text: Arc<str>,
    /// What to do.
    pub root: List,
}

impl Tree {
    /// Whether there is nothing in it but space: such a definition replaces no other one.
    pub fn is_empty(&self) -> bool {
        self.root.nodes.iter().all(|node| match node {
            Node::Text { range } => self.text[range.clone()].trim().is_empty(),
            _ => false,
        })
    }

    /// Line from 1 and byte column from 0 of a position, as Go counts them in errors.
    pub fn line_column(&self, pos: usize) -> (usize, usize) {
        let before = &self.text[..pos.min(self.text.len())];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        (before.matches('\n').count() + 1, pos - line_start)
    }
}

/// Statements in order.
#[derive(Debug, Default)]
pub struct List {
    /// The statements.
    pub nodes: Vec<Node>,
}

/// A statement.
#[derive(Debug)]
pub enum Node {
    /// Text to copy, as a range of [`Tree::text`].
    Text {
        /// Where it is.
        range: Range<usize>,
    },
    /// `{{ pipeline }}`.
    Action(Action),
    /// `{{ if }}`.
    If(Box<Branch>),
    /// `{{ with }}`.
    With(Box<Branch>),
    /// `{{ range }}`.
    Range(Box<Branch>),
    /// `{{ template }}`, and what `{{ block }}` leaves behind.
    Template(Invocation),
    /// `{{ break }}`.
    Break,
    /// `{{ continue }}`.
    Continue,
}

/// A pipeline whose value is printed, unless it declares variables.
#[derive(Debug)]
pub struct Action {
    /// Where it starts, behind the delimiter.
    pub pos: usize,
    /// What to evaluate.
    pub pipeline: Pipeline,
}

/// The common shape of `if`, `with` and `range`.
#[derive(Debug)]
pub struct Branch {
    /// What to test or iterate over.
    pub pipeline: Pipeline,
    /// What to do when it is not empty.
    pub then: List,
    /// The `else` part.
    pub otherwise: Option<List>,
}

/// A call of a named template.
#[derive(Debug)]
pub struct Invocation {
    /// Where its name stands.
    pub pos: usize,
    /// The template's name.
    pub name: Arc<str>,
    /// What its dot shall be.
    pub pipeline: Option<Pipeline>,
}

/// Commands, each of which gives its value to the next, and the variables that get the last one.
#[derive(Debug)]
pub struct Pipeline {
    /// Where it starts.
    pub pos: usize,
    /// Whether the variables exist already: `=` instead of `:=`.
    pub assigns: bool,
    /// At most two, and two only in a `range`.
    pub variables: Vec<Box<str>>,
    /// At least one.
    pub commands: Vec<Command>,
}

/// A function, method or value and its arguments.
#[derive(Debug)]
pub struct Command {
    /// Where it starts.
    pub pos: usize,
    /// At least one; the first is what is called.
    pub operands: Vec<Operand>,
}

/// A part of a command.
#[derive(Debug)]
pub struct Operand {
    /// Where it starts; for a name with several fields, where the second one starts.
    pub pos: usize,
    /// What it is.
    pub kind: OperandKind,
}

/// What an operand is.
#[derive(Debug)]
pub enum OperandKind {
    /// `.`.
    Dot,
    /// `nil`.
    Nil,
    /// `true` or `false`.
    Bool(bool),
    /// A number or character.
    Number(Box<Number>),
    /// A string in either kind of quotes.
    Str {
        /// As written, unless that is the value between two `"`.
        quoted: Option<Box<str>>,
        /// Its value.
        text: Box<str>,
    },
    /// The name of a function.
    Function(Callee),
    /// `.a.b`, as `a.b`.
    Field(Box<str>),
    /// `$x.a.b`: the name with its dollar sign, then fields.
    Variable(Box<str>),
    /// `(…).a.b` or `function.a.b`, the fields as `a.b`.
    Chain(Box<Operand>, Box<str>),
    /// `(…)`.
    Pipeline(Box<Pipeline>),
}

/// What the name of a function stands for. It is looked up once, when the template is parsed.
#[derive(Clone, Copy, Debug)]
pub enum Callee {
    /// A function of the language itself.
    Builtin(Builtin),
    /// A function of the table that the caller of the parser gave.
    Function(&'static Function),
}

impl Callee {
    /// What templates call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Builtin(builtin) => builtin.name(),
            Self::Function(function) => function.name,
        }
    }
}

/// The name of a variable with its dollar sign, and the fields behind it as `a.b`.
pub fn variable(path: &str) -> (&str, Option<&str>) {
    path.split_once('.').map_or((path, None), |(name, fields)| (name, Some(fields)))
}

/// A node with its tree's text, which `Text` nodes need to print themselves.
struct Shown<'t>(&'t Tree, &'t List);

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Shown(self, &self.root).fmt(f)
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.nodes.iter().try_for_each(|node| match node {
            Node::Text { range } => f.write_str(&self.0.text[range.clone()]),
            Node::Action(action) => write!(f, "{{{{{}}}}}", action.pipeline),
            Node::If(branch) => self.branch(f, "if", branch),
            Node::With(branch) => self.branch(f, "with", branch),
            Node::Range(branch) => self.branch(f, "range", branch),
            Node::Template(invocation) => invocation.fmt(f),
            Node::Break => f.write_str("{{break}}"),
            Node::Continue => f.write_str("{{continue}}"),
        })
    }
}

impl Shown<'_> {
    fn branch(&self, f: &mut fmt::Formatter<'_>, keyword: &str, branch: &Branch) -> fmt::Result {
        write!(f, "{{{{{keyword} {}}}}}{}", branch.pipeline, Shown(self.0, &branch.then))?;
        if let Some(otherwise) = &branch.otherwise {
            write!(f, "{{{{else}}}}{}", Shown(self.0, otherwise))?;
        }
        f.write_str("{{end}}")
    }
}

impl fmt::Display for Invocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{{{template {}", quote(&self.name))?;
        if let Some(pipeline) = &self.pipeline {
            write!(f, " {pipeline}")?;
        }
        f.write_str("}}")
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.variables.is_empty() {
            write!(f, "{} {} ", self.variables.join(", "), if self.assigns { "=" } else { ":=" })?;
        }
        for (index, command) in self.commands.iter().enumerate() {
            if index > 0 {
                f.write_str(" | ")?;
            }
            command.fmt(f)?;
        }
        Ok(())
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, operand) in self.operands.iter().enumerate() {
            if index > 0 {
                f.write_str(" ")?;
            }
            operand.write_nested(f)?;
        }
        Ok(())
    }
}

impl Operand {
    /// As part of something else: a pipeline in its parentheses, which it does not print itself.
    fn write_nested(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Pipeline(pipeline) => write!(f, "({pipeline})"),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Operand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            OperandKind::Dot => f.write_str("."),
            OperandKind::Nil => f.write_str("nil"),
            OperandKind::Bool(value) => value.fmt(f),
            OperandKind::Number(number) => f.write_str(&number.text),
            OperandKind::Str { quoted: Some(quoted), .. } => f.write_str(quoted),
            OperandKind::Str { quoted: None, text } => write!(f, "\"{text}\""),
            OperandKind::Function(callee) => f.write_str(callee.name()),
            OperandKind::Field(fields) => write!(f, ".{fields}"),
            OperandKind::Variable(path) => f.write_str(path),
            OperandKind::Chain(operand, fields) => {
                operand.write_nested(f)?;
                write!(f, ".{fields}")
            }
            OperandKind::Pipeline(pipeline) => pipeline.fmt(f),
        }
    }
}
