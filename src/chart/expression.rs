//! What the expressions of a template stand for, as far as the texts of the templates tell: the
//! values of the user that a failed expression is about.
//!
//! Nothing is evaluated. The templates on the way to the failure are followed by their text: the
//! dot that `with`, `range` and `include` set, variables, and the functions that hand a value on.

use std::sync::Arc;

use crate::sprig::functions;
use crate::template::ast::{
    self, Branch, Command, Invocation, List, Node, Operand, OperandKind, Pipeline, Tree,
};
use crate::template::error::Frame;
use crate::template::set::Set;

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// The key of a table, or the index of a list.
    Key(String),
    /// Some element of what a `range` goes through.
    Each,
}

/// What an expression stands for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Origin {
    /// It cannot be told.
    #[default]
    Unknown,
    /// What a file is executed over: `.Values` and the rest.
    Top,
    /// The value at this path below `.Values`.
    Values(Vec<Step>),
    /// A `dict` with these entries.
    Dict(Vec<(String, Origin)>),
    /// A `list`.
    List(Vec<Origin>),
}

impl Origin {
    fn field(&self, name: &str) -> Self {
        match self {
            Self::Top if name == "Values" => Self::Values(Vec::new()),
            Self::Values(path) => {
                let step = Step::Key(name.to_owned());
                Self::Values(path.iter().cloned().chain([step]).collect())
            }
            Self::Dict(entries) => {
                let found = entries.iter().rev().find(|(key, _)| key == name);
                found.map(|(_, origin)| origin.clone()).unwrap_or_default()
            }
            Self::List(items) => {
                name.parse().ok().and_then(|at: usize| items.get(at).cloned()).unwrap_or_default()
            }
            Self::Top | Self::Unknown => Self::Unknown,
        }
    }

    /// Of its fields `a.b`.
    fn fields(&self, path: &str) -> Self {
        path.split('.').fold(self.clone(), |origin, name| origin.field(name))
    }

    fn element(&self) -> Self {
        match self {
            Self::Values(path) => Self::Values(path.iter().cloned().chain([Step::Each]).collect()),
            Self::List(items) if items.windows(2).all(|pair| pair[0] == pair[1]) => {
                items.first().cloned().unwrap_or_default()
            }
            _ => Self::Unknown,
        }
    }
}

/// The values that a failed expression is about, as paths below `.Values` of the chart that its
/// template belongs to. `stack` has the innermost place first; `text_of` gives the text of a file.
pub(super) fn values_of(
    stack: &[Frame],
    text_of: &dyn Fn(&str) -> Option<String>,
) -> Vec<Vec<Step>> {
    let mut dot = Origin::Top;
    for (at, frame) in stack.iter().enumerate().rev() {
        let Some(tree) = tree(frame, text_of) else { return Vec::new() };
        let mut search = Search::new(frame, &tree, dot.clone());
        if !search.list(&tree.root, &dot) {
            return Vec::new();
        }
        let found = search.found;
        if at == 0 {
            return found.about.into_iter().filter_map(path).collect();
        }
        dot = found.argument;
    }
    Vec::new()
}

fn path(origin: Origin) -> Option<Vec<Step>> {
    match origin {
        Origin::Values(path) if !path.is_empty() => Some(path),
        _ => None,
    }
}

fn tree(frame: &Frame, text_of: &dyn Fn(&str) -> Option<String>) -> Option<Arc<Tree>> {
    let mut set = Set::new();
    set.parse(&frame.template, &text_of(&frame.template)?, functions()).ok()?;
    set.get(&frame.executing).cloned()
}

/// What a control structure does to the dot in it.
#[derive(Clone, Copy)]
enum Sets {
    /// `if`.
    Nothing,
    /// `with`.
    Dot,
    /// `range`.
    Elements,
}

/// What was found at the place of a frame.
#[derive(Default)]
struct Found {
    /// The origins of everything in the expression.
    about: Vec<Origin>,
    /// What the template that is called there gets as its dot.
    argument: Origin,
}

/// Goes through a template to the place of a frame, with the variables as they are there.
struct Search<'t> {
    /// Nothing where no place is looked for.
    frame: Option<&'t Frame>,
    tree: &'t Tree,
    variables: Vec<(&'t str, Origin)>,
    found: Found,
}

impl<'t> Search<'t> {
    fn new(frame: &'t Frame, tree: &'t Tree, dot: Origin) -> Self {
        Self { frame: Some(frame), tree, variables: vec![("$", dot)], found: Found::default() }
    }

    /// Whether the place is in this list.
    fn list(&mut self, list: &'t List, dot: &Origin) -> bool {
        list.nodes.iter().any(|node| match node {
            Node::Action(action) => self.pipeline(&action.pipeline, dot).is_none(),
            Node::If(branch) => self.branch(branch, dot, Sets::Nothing),
            Node::With(branch) => self.branch(branch, dot, Sets::Dot),
            Node::Range(branch) => self.branch(branch, dot, Sets::Elements),
            Node::Template(invocation) => self.invocation(invocation, dot),
            Node::Text { .. } | Node::Break | Node::Continue => false,
        })
    }

    fn branch(&mut self, branch: &'t Branch, dot: &Origin, sets: Sets) -> bool {
        let mark = self.variables.len();
        let Some(value) = self.pipeline(&branch.pipeline, dot) else { return true };
        let inner = match sets {
            Sets::Nothing => dot.clone(),
            Sets::Dot => value,
            Sets::Elements => {
                let element = value.element();
                self.name_element(&branch.pipeline.variables, &element);
                element
            }
        };
        let is_found = self.list(&branch.then, &inner)
            || branch.otherwise.as_ref().is_some_and(|otherwise| self.list(otherwise, dot));
        self.variables.truncate(mark);
        is_found
    }

    /// The last variable of a `range` is the element; one before it is the key.
    fn name_element(&mut self, variables: &[Box<str>], element: &Origin) {
        let mut origins = [element.clone(), Origin::Unknown].into_iter();
        for name in variables.iter().rev() {
            self.assign(name, origins.next().unwrap_or_default());
        }
    }

    fn assign(&mut self, name: &str, origin: Origin) {
        if let Some(slot) = self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            slot.1 = origin;
        }
    }

    fn invocation(&mut self, invocation: &'t Invocation, dot: &Origin) -> bool {
        let value = match &invocation.pipeline {
            Some(pipeline) => match self.pipeline(pipeline, dot) {
                Some(value) => value,
                None => return true,
            },
            None => Origin::Unknown,
        };
        let is_here = self.is_here(invocation.pos, || invocation.to_string());
        if is_here {
            self.found = Found { about: Vec::new(), argument: value };
        }
        is_here
    }

    fn is_here(&self, pos: usize, text: impl Fn() -> String) -> bool {
        let (line, column) = self.tree.line_column(pos);
        self.frame.is_some_and(|frame| {
            line == frame.line && Some(column) == frame.column && text() == frame.expression
        })
    }

    /// The origin of a pipeline's value; nothing where the place is in it.
    fn pipeline(&mut self, pipeline: &'t Pipeline, dot: &Origin) -> Option<Origin> {
        let mut last = None;
        for command in &pipeline.commands {
            last = Some(self.command(command, dot, last)?);
        }
        let value = last.unwrap_or_default();
        if self.is_here(pipeline.pos, || pipeline.to_string()) {
            self.found.about = vec![value];
            return None;
        }
        for name in &pipeline.variables {
            if pipeline.assigns {
                self.assign(name, value.clone());
            } else {
                self.variables.push((name, value.clone()));
            }
        }
        Some(value)
    }

    fn command(
        &mut self,
        command: &'t Command,
        dot: &Origin,
        last: Option<Origin>,
    ) -> Option<Origin> {
        let mut arguments = Vec::new();
        for operand in &command.operands {
            let origin = self.operand(operand, dot)?;
            if self.is_here(operand.pos, || operand.to_string()) {
                // A function is reported at its name as well as at the whole call.
                let is_name = matches!(operand.kind, OperandKind::Function(_));
                if !is_name || command.operands.len() == 1 {
                    self.found.about = vec![origin];
                    return None;
                }
            }
            arguments.push(origin);
        }
        let first = &command.operands[0];
        arguments.extend(last);
        let OperandKind::Function(callee) = &first.kind else {
            return arguments.into_iter().next();
        };
        let constants: Vec<Option<String>> = command.operands.iter().map(constant).collect();
        let call =
            Call { name: callee.name(), arguments: &arguments[1..], constants: &constants[1..] };
        let value = call.value();
        let is_whole = self.is_here(command.pos, || command.to_string());
        if is_whole || self.is_here(first.pos, || first.to_string()) {
            self.found =
                Found { argument: call.argument(), about: arguments.into_iter().skip(1).collect() };
            return None;
        }
        Some(value)
    }

    fn operand(&mut self, operand: &'t Operand, dot: &Origin) -> Option<Origin> {
        Some(match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Field(path) => dot.fields(path),
            OperandKind::Variable(path) => match ast::variable(path) {
                (name, Some(fields)) => self.variable(name).fields(fields),
                (name, None) => self.variable(name),
            },
            OperandKind::Chain(inner, path) => return self.chain(inner, path, dot),
            OperandKind::Pipeline(pipeline) => self.pipeline(pipeline, dot)?,
            OperandKind::Nil
            | OperandKind::Bool(_)
            | OperandKind::Number(_)
            | OperandKind::Str { .. }
            | OperandKind::Function(_) => Origin::Unknown,
        })
    }

    fn chain(&mut self, inner: &'t Operand, path: &str, dot: &Origin) -> Option<Origin> {
        let mut unaware = Self {
            frame: None,
            tree: self.tree,
            variables: self.variables.clone(),
            found: Found::default(),
        };
        let whole = unaware.operand(inner, dot).unwrap_or_default().fields(path);
        if self.operand(inner, dot).is_some() {
            return Some(whole);
        }
        // Go reports a field of `(…)` at the last place within.
        let is_told = self.found.about.iter().any(|origin| *origin != Origin::Unknown);
        if !is_told {
            self.found.about = vec![whole];
        }
        None
    }

    fn variable(&self, name: &str) -> Origin {
        let found = self.variables.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, origin)| origin.clone()).unwrap_or_default()
    }
}

/// The text of a string or number that stands in a template.
fn constant(operand: &Operand) -> Option<String> {
    match &operand.kind {
        OperandKind::Str { text, .. } => Some(text.to_string()),
        OperandKind::Number(number) => Some(number.text.to_string()),
        _ => None,
    }
}

/// A call of a function.
struct Call<'a> {
    name: &'a str,
    /// What was piped in comes last.
    arguments: &'a [Origin],
    constants: &'a [Option<String>],
}

impl Call<'_> {
    /// What its value stands for.
    fn value(&self) -> Origin {
        let argument = |at: usize| self.arguments.get(at).cloned().unwrap_or_default();
        match self.name {
            // The last argument is what they hand on.
            "default" | "required" | "coalesce" => {
                self.arguments.last().cloned().unwrap_or_default()
            }
            "deepCopy" | "mustDeepCopy" => argument(0),
            "first" | "mustFirst" => argument(0).field("0"),
            "index" | "get" => {
                let steps = self.constants.iter().skip(1);
                steps.fold(argument(0), |origin, step| match step {
                    Some(step) => origin.field(step),
                    None => Origin::Unknown,
                })
            }
            "dict" => {
                let pairs = self.constants.chunks(2).zip(self.arguments.chunks(2));
                let entry = |(keys, values): (&[Option<String>], &[Origin])| {
                    Some((keys[0].clone()?, values.get(1)?.clone()))
                };
                Origin::Dict(pairs.filter_map(entry).collect())
            }
            "list" | "tuple" => Origin::List(self.arguments.to_vec()),
            _ => Origin::Unknown,
        }
    }

    /// The dot of the template that it calls.
    fn argument(&self) -> Origin {
        match self.name {
            "include" => self.arguments.get(1).cloned().unwrap_or_default(),
            _ => Origin::Unknown,
        }
    }
}
