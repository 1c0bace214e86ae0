//! Reads a template's text into trees: one for the file, one for each `define` and `block`.
//!
//! Follows Go's parser, so that the same texts are refused in the same words.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;

use super::ast::{
    Action, Branch, Callee, Command, Invocation, List, Node, Operand, OperandKind, Pipeline, Tree,
};
use super::error::{Entered, Error, Frame, Reason};
use super::funcs::Builtin;
use super::function::Functions;
use super::lex::{Kind, Lexer, Token};
use super::number::Number;
use super::quote::{quote, unquote};

/// How deep parentheses and control structures may nest, so that a text cannot exhaust the stack.
const NESTING_MAX: usize = 250;

type Parsed<T> = Result<T, Box<Error>>;

/// Reads the text of one file. The trees are in the order of their names; the file's own one,
/// which is called as the file, is among them.
pub fn parse(file: &str, text: &str, functions: &dyn Functions) -> Parsed<Vec<Tree>> {
    let file: Arc<str> = Arc::from(file);
    let shared: Arc<str> = Arc::from(text);
    let mut lexer = Lexer::new(text);
    lexer.break_is_keyword = functions.find("break").is_none();
    lexer.continue_is_keyword = functions.find("continue").is_none();
    let mut parser = Parser {
        lexer,
        file: Arc::clone(&file),
        text: shared,
        functions,
        trees: BTreeMap::new(),
        level: Level::new(),
        nesting: 0,
    };
    let root = parser.file()?;
    parser.add(file, root)?;
    Ok(parser.trees.into_values().collect())
}

struct Parser<'t> {
    lexer: Lexer<'t>,
    file: Arc<str>,
    text: Arc<str>,
    functions: &'t dyn Functions,
    trees: BTreeMap<Arc<str>, Tree>,
    level: Level<'t>,
    nesting: usize,
}

/// What belongs to one tree while it is read: a `define` starts afresh.
#[derive(Default)]
struct Level<'t> {
    /// The last token from the lexer, and those that were put back behind it.
    tokens: [Token<'t>; 3],
    /// How many of `tokens` are still to be read, from the end.
    peeked: usize,
    /// The variables that exist at this point.
    variables: Vec<&'t str>,
    /// Where the present action starts.
    action: Option<usize>,
    /// Nested `range` blocks.
    ranges: usize,
}

impl Level<'_> {
    fn new() -> Self {
        Self { variables: vec!["$"], ..Self::default() }
    }
}

/// What ended a list of statements.
enum Stop {
    End,
    Else,
}

impl Stop {
    fn text(&self) -> &'static str {
        match self {
            Self::End => "{{end}}",
            Self::Else => "{{else}}",
        }
    }
}

/// A statement, or what ends a list of them.
enum Statement {
    Node(Node),
    Stop(Stop),
}

/// The three control structures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Control {
    If,
    With,
    Range,
}

impl Control {
    fn keyword(self) -> &'static str {
        match self {
            Self::If => "if",
            Self::With => "with",
            Self::Range => "range",
        }
    }

    fn node(self, branch: Box<Branch>) -> Node {
        match self {
            Self::If => Node::If(branch),
            Self::With => Node::With(branch),
            Self::Range => Node::Range(branch),
        }
    }

    /// The keyword that may follow `else` in the same action.
    fn chained(self) -> Option<Kind> {
        match self {
            Self::If => Some(Kind::If),
            Self::With => Some(Kind::With),
            Self::Range => None,
        }
    }
}

/// Tokens.
impl<'t> Parser<'t> {
    fn next(&mut self) -> Token<'t> {
        if self.level.peeked > 0 {
            self.level.peeked -= 1;
        } else {
            self.level.tokens[0] = self.lexer.next_token();
        }
        self.level.tokens[self.level.peeked]
    }

    fn back_up(&mut self) {
        self.level.peeked += 1;
    }

    /// Puts back a token before the last one.
    fn back_up_2(&mut self, token: Token<'t>) {
        self.level.tokens[1] = token;
        self.level.peeked = 2;
    }

    /// Puts back two tokens before the last one.
    fn back_up_3(&mut self, first: Token<'t>, second: Token<'t>) {
        self.level.tokens[1] = second;
        self.level.tokens[2] = first;
        self.level.peeked = 3;
    }

    fn peek(&mut self) -> Kind {
        if self.level.peeked == 0 {
            self.level.tokens[0] = self.lexer.next_token();
            self.level.peeked = 1;
        }
        self.level.tokens[self.level.peeked - 1].kind
    }

    fn peek_pos(&mut self) -> usize {
        self.peek();
        self.level.tokens[self.level.peeked - 1].pos
    }

    fn next_non_space(&mut self) -> Token<'t> {
        loop {
            let token = self.next();
            if token.kind != Kind::Space {
                return token;
            }
        }
    }

    fn peek_non_space(&mut self) -> Token<'t> {
        let token = self.next_non_space();
        self.back_up();
        token
    }

    fn expect(&mut self, kind: Kind, context: &str) -> Parsed<Token<'t>> {
        let token = self.next_non_space();
        if token.kind == kind { Ok(token) } else { Err(self.unexpected(&token, context)) }
    }
}

/// Errors.
impl Parser<'_> {
    /// The line of a position, from 1.
    fn line(&self, pos: usize) -> usize {
        1 + self.text[..pos].matches('\n').count()
    }

    fn error(&self, message: impl Into<String>) -> Box<Error> {
        Box::new(Error {
            reason: Reason::Syntax,
            message: message.into(),
            stack: vec![Frame {
                template: self.file.to_string(),
                executing: self.file.to_string(),
                line: self.line(self.level.tokens[0].pos),
                column: None,
                expression: String::new(),
                entered: Entered::Here,
            }],
        })
    }

    fn unexpected(&self, token: &Token<'_>, context: &str) -> Box<Error> {
        if token.kind != Kind::Error {
            return self.error(format!("unexpected {token} in {context}"));
        }
        let problem = &self.lexer.problem;
        let started = self.level.action.map(|pos| self.line(pos));
        let Some(started) = started.filter(|started| *started != self.line(token.pos)) else {
            return self.error(problem.as_ref());
        };
        // The message may end with the word itself.
        let what = if problem.ends_with(" action") { "" } else { " in action" };
        self.error(format!("{problem}{what} started at {}:{started}", self.file))
    }

    /// Counts one more level of nesting, for [`Parser::leave`] to take back.
    fn enter(&mut self) -> Parsed<()> {
        if self.nesting >= NESTING_MAX {
            return Err(self.error("max expression depth exceeded"));
        }
        self.nesting += 1;
        Ok(())
    }

    fn leave(&mut self) {
        self.nesting -= 1;
    }
}

/// Statements.
impl<'t> Parser<'t> {
    fn file(&mut self) -> Parsed<List> {
        let mut list = List::default();
        while self.peek() != Kind::Eof {
            if self.peek() == Kind::LeftDelim {
                let delim = self.next();
                if self.next_non_space().kind == Kind::Define {
                    self.on_new_level(Self::definition)?;
                    continue;
                }
                self.back_up_2(delim);
            }
            match self.statement()? {
                Statement::Node(node) => list.nodes.push(node),
                Statement::Stop(stop) => {
                    return Err(self.error(format!("unexpected {}", stop.text())));
                }
            }
        }
        Ok(list)
    }

    /// Reads something with variables and tokens of its own.
    fn on_new_level<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        let outer = mem::replace(&mut self.level, Level::new());
        let result = read(self)?;
        self.level = outer;
        Ok(result)
    }

    fn definition(&mut self) -> Parsed<()> {
        const CONTEXT: &str = "define clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        self.expect(Kind::RightDelim, CONTEXT)?;
        let (root, stop) = self.list()?;
        if let Stop::Else = stop {
            return Err(self.error(format!("unexpected {} in {CONTEXT}", stop.text())));
        }
        self.add(name, root)
    }

    fn add(&mut self, name: Arc<str>, root: List) -> Parsed<()> {
        let tree = Tree {
            name: Arc::clone(&name),
            file: Arc::clone(&self.file),
            text: Arc::clone(&self.text),
            root,
        };
        match self.trees.get(&name) {
            Some(existing) if !existing.is_empty() => {
                if tree.is_empty() {
                    return Ok(());
                }
                let name = quote(&name);
                Err(self.error(format!("template: multiple definition of template {name}")))
            }
            _ => {
                self.trees.insert(name, tree);
                Ok(())
            }
        }
    }

    fn list(&mut self) -> Parsed<(List, Stop)> {
        let mut list = List::default();
        while self.peek_non_space().kind != Kind::Eof {
            match self.statement()? {
                Statement::Node(node) => list.nodes.push(node),
                Statement::Stop(stop) => return Ok((list, stop)),
            }
        }
        Err(self.error("unexpected EOF"))
    }

    fn statement(&mut self) -> Parsed<Statement> {
        let token = self.next_non_space();
        match token.kind {
            Kind::Text => {
                let range = Range { start: token.pos, end: token.pos + token.text.len() };
                Ok(Statement::Node(Node::Text { range }))
            }
            Kind::LeftDelim => {
                self.level.action = Some(token.pos);
                self.enter()?;
                let statement = self.action()?;
                self.leave();
                self.level.action = None;
                Ok(statement)
            }
            _ => Err(self.unexpected(&token, "input")),
        }
    }

    fn action(&mut self) -> Parsed<Statement> {
        let token = self.next_non_space();
        let node = match token.kind {
            Kind::Block => self.block()?,
            Kind::Break => self.loop_control("{{break}}", Node::Break)?,
            Kind::Continue => self.loop_control("{{continue}}", Node::Continue)?,
            Kind::Else => {
                if !matches!(self.peek_non_space().kind, Kind::If | Kind::With) {
                    self.expect(Kind::RightDelim, "else")?;
                }
                return Ok(Statement::Stop(Stop::Else));
            }
            Kind::End => {
                self.expect(Kind::RightDelim, "end")?;
                return Ok(Statement::Stop(Stop::End));
            }
            Kind::If => self.control(Control::If)?,
            Kind::Range => self.control(Control::Range)?,
            Kind::With => self.control(Control::With)?,
            Kind::Template => self.invocation()?,
            _ => {
                self.back_up();
                let pos = self.peek_pos();
                let pipeline = self.pipeline("command", Kind::RightDelim)?;
                Node::Action(Action { pos, pipeline })
            }
        };
        Ok(Statement::Node(node))
    }

    fn loop_control(&mut self, action: &str, node: Node) -> Parsed<Node> {
        let token = self.next_non_space();
        if token.kind != Kind::RightDelim {
            return Err(self.unexpected(&token, action));
        }
        if self.level.ranges == 0 {
            return Err(self.error(format!("{action} outside {{{{range}}}}")));
        }
        Ok(node)
    }

    fn control(&mut self, control: Control) -> Parsed<Node> {
        let variables = self.level.variables.len();
        let pipeline = self.pipeline(control.keyword(), Kind::RightDelim)?;
        let loops = usize::from(control == Control::Range);
        self.level.ranges += loops;
        let (then, stop) = self.list()?;
        self.level.ranges -= loops;
        let otherwise = match stop {
            Stop::End => None,
            Stop::Else => Some(self.otherwise(control)?),
        };
        self.level.variables.truncate(variables);
        Ok(control.node(Box::new(Branch { pipeline, then, otherwise })))
    }

    /// What follows `{{else`. An `if` or `with` in the same action is a whole structure in the
    /// else part, which shares the `{{end}}`.
    fn otherwise(&mut self, control: Control) -> Parsed<List> {
        if Some(self.peek()) == control.chained() {
            self.next();
            self.enter()?;
            let node = self.control(control)?;
            self.leave();
            return Ok(List { nodes: vec![node] });
        }
        let (list, stop) = self.list()?;
        match stop {
            Stop::End => Ok(list),
            Stop::Else => Err(self.error(format!("expected end; found {}", stop.text()))),
        }
    }

    fn block(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "block clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipeline = self.pipeline(CONTEXT, Kind::RightDelim)?;
        let stop = self.on_new_level(|parser| {
            let (root, stop) = parser.list()?;
            if let Stop::End = stop {
                parser.add(Arc::clone(&name), root)?;
            }
            Ok(stop)
        })?;
        if let Stop::Else = stop {
            return Err(self.error(format!("unexpected {} in {CONTEXT}", stop.text())));
        }
        Ok(Node::Template(Invocation { pos: token.pos, name, pipeline: Some(pipeline) }))
    }

    fn invocation(&mut self) -> Parsed<Node> {
        const CONTEXT: &str = "template clause";
        let token = self.next_non_space();
        let name = self.template_name(&token, CONTEXT)?;
        let pipeline = if self.next_non_space().kind == Kind::RightDelim {
            None
        } else {
            self.back_up();
            Some(self.pipeline(CONTEXT, Kind::RightDelim)?)
        };
        Ok(Node::Template(Invocation { pos: token.pos, name, pipeline }))
    }

    fn template_name(&mut self, token: &Token<'t>, context: &str) -> Parsed<Arc<str>> {
        match token.kind {
            Kind::Str | Kind::RawString => {
                let name = unquote(token.text).ok_or_else(|| self.error("invalid syntax"))?;
                Ok(Arc::from(name))
            }
            _ => Err(self.unexpected(token, context)),
        }
    }
}

/// Pipelines.
impl<'t> Parser<'t> {
    fn pipeline(&mut self, context: &str, end: Kind) -> Parsed<Pipeline> {
        let pos = self.peek_non_space().pos;
        let mut pipeline =
            Pipeline { pos, assigns: false, variables: Vec::new(), commands: Vec::new() };
        while self.declaration(context, &mut pipeline)? {}
        loop {
            let token = self.next_non_space();
            match token.kind {
                kind if kind == end => {
                    self.check(&pipeline, context)?;
                    return Ok(pipeline);
                }
                Kind::Bool
                | Kind::CharConstant
                | Kind::Complex
                | Kind::Dot
                | Kind::Field
                | Kind::Identifier
                | Kind::Number
                | Kind::Nil
                | Kind::RawString
                | Kind::Str
                | Kind::Variable
                | Kind::LeftParen => {
                    self.back_up();
                    let command = self.command()?;
                    pipeline.commands.push(command);
                }
                _ => return Err(self.unexpected(&token, context)),
            }
        }
    }

    /// Reads one variable that the pipeline declares or assigns, if there is one here. Returns
    /// whether another one may follow.
    fn declaration(&mut self, context: &str, pipeline: &mut Pipeline) -> Parsed<bool> {
        let variable = self.peek_non_space();
        if variable.kind != Kind::Variable {
            return Ok(false);
        }
        self.next();
        // `$x foo` is a command: only the token behind the space tells, and then all are put back.
        self.peek();
        let adjacent = self.level.tokens[self.level.peeked - 1];
        let next = self.peek_non_space();
        match next.kind {
            Kind::Assign | Kind::Declare => {
                pipeline.assigns = next.kind == Kind::Assign;
                self.next_non_space();
                self.declare(&variable, pipeline);
                Ok(false)
            }
            Kind::Char if next.text == "," => {
                self.next_non_space();
                self.declare(&variable, pipeline);
                if context != "range" || pipeline.variables.len() >= 2 {
                    return Err(self.error(format!("too many declarations in {context}")));
                }
                match self.peek_non_space().kind {
                    Kind::Variable | Kind::RightDelim | Kind::RightParen => Ok(true),
                    _ => Err(self.error("range can only initialize variables")),
                }
            }
            _ if adjacent.kind == Kind::Space => {
                self.back_up_3(variable, adjacent);
                Ok(false)
            }
            _ => {
                self.back_up_2(variable);
                Ok(false)
            }
        }
    }

    fn declare(&mut self, variable: &Token<'t>, pipeline: &mut Pipeline) {
        pipeline.variables.push(variable.text.into());
        self.level.variables.push(variable.text);
    }

    fn check(&self, pipeline: &Pipeline, context: &str) -> Parsed<()> {
        if pipeline.commands.is_empty() {
            return Err(self.error(format!("missing value for {context}")));
        }
        for (index, command) in pipeline.commands.iter().enumerate().skip(1) {
            if let OperandKind::Bool(_)
            | OperandKind::Dot
            | OperandKind::Nil
            | OperandKind::Number(_)
            | OperandKind::Str { .. } = command.operands[0].kind
            {
                let stage = index + 1;
                return Err(self.error(format!("non executable command in pipeline stage {stage}")));
            }
        }
        Ok(())
    }

    fn command(&mut self) -> Parsed<Command> {
        let pos = self.peek_non_space().pos;
        let mut operands = Vec::new();
        loop {
            self.peek_non_space();
            if let Some(operand) = self.operand()? {
                operands.push(operand);
            }
            let token = self.next();
            match token.kind {
                Kind::Space => continue,
                Kind::RightDelim | Kind::RightParen => self.back_up(),
                Kind::Pipe => {}
                _ => return Err(self.unexpected(&token, "operand")),
            }
            break;
        }
        if operands.is_empty() {
            return Err(self.error("empty command"));
        }
        Ok(Command { pos, operands })
    }

    /// A term and the fields behind it; `None` when there is no term here.
    fn operand(&mut self) -> Parsed<Option<Operand>> {
        let Some(term) = self.term()? else {
            return Ok(None);
        };
        let Some(fields) = self.trailing_fields() else {
            return Ok(Some(term));
        };
        if let OperandKind::Bool(_)
        | OperandKind::Str { .. }
        | OperandKind::Number(_)
        | OperandKind::Nil
        | OperandKind::Dot = term.kind
        {
            let term = quote(&term.to_string());
            return Err(self.error(format!("unexpected . after term {term}")));
        }
        let pos = fields.start;
        let fields = self.text[fields.start + 1..fields.end].into();
        Ok(Some(Operand { pos, kind: OperandKind::Chain(Box::new(term), fields) }))
    }

    /// Where the fields stand that follow without a space, the point before them included.
    fn trailing_fields(&mut self) -> Option<Range<usize>> {
        if self.peek() != Kind::Field {
            return None;
        }
        let start = self.peek_pos();
        let mut end = start;
        while self.peek() == Kind::Field {
            end = self.next().end();
        }
        Some(start..end)
    }

    /// A field or variable, from the end of a sign in front of its name, with the fields behind it.
    fn path(
        &mut self,
        token: Token<'t>,
        sign: usize,
        kind: fn(Box<str>) -> OperandKind,
    ) -> Operand {
        let more = self.trailing_fields();
        let end = more.as_ref().map_or(token.end(), |more| more.end);
        let names = self.text[token.pos + sign..end].into();
        Operand { pos: more.map_or(token.pos, |more| more.start), kind: kind(names) }
    }

    fn term(&mut self) -> Parsed<Option<Operand>> {
        let token = self.next_non_space();
        let kind = match token.kind {
            Kind::Identifier => self.function(token.text)?,
            Kind::Dot => OperandKind::Dot,
            Kind::Nil => OperandKind::Nil,
            Kind::Variable => {
                if !self.level.variables.contains(&token.text) {
                    let name = quote(token.text);
                    return Err(self.error(format!("undefined variable {name}")));
                }
                return Ok(Some(self.path(token, 0, OperandKind::Variable)));
            }
            Kind::Field => return Ok(Some(self.path(token, 1, OperandKind::Field))),
            Kind::Bool => OperandKind::Bool(token.text == "true"),
            Kind::CharConstant => {
                let number =
                    Number::from_char(token.text).map_err(|message| self.error(message))?;
                OperandKind::Number(Box::new(number))
            }
            Kind::Complex | Kind::Number => {
                let number = Number::parse(token.text).map_err(|message| self.error(message))?;
                OperandKind::Number(Box::new(number))
            }
            Kind::LeftParen => {
                self.enter()?;
                let pipeline = self.pipeline("parenthesized pipeline", Kind::RightParen)?;
                self.leave();
                // Go's node for it stands where the pipeline inside the parentheses starts.
                return Ok(Some(Operand {
                    pos: pipeline.pos,
                    kind: OperandKind::Pipeline(Box::new(pipeline)),
                }));
            }
            Kind::Str if !token.text.contains('\\') => {
                let text = &token.text[1..token.text.len() - 1];
                OperandKind::Str { quoted: None, text: text.into() }
            }
            Kind::Str | Kind::RawString => OperandKind::Str {
                text: unquote(token.text).ok_or_else(|| self.error("invalid syntax"))?.into(),
                quoted: Some(token.text.into()),
            },
            _ => {
                self.back_up();
                return Ok(None);
            }
        };
        Ok(Some(Operand { pos: token.pos, kind }))
    }

    fn function(&self, name: &str) -> Parsed<OperandKind> {
        let callee = match self.functions.find(name) {
            Some(function) => Callee::Function(function),
            None => match Builtin::find(name) {
                Some(builtin) => Callee::Builtin(builtin),
                None => {
                    let name = quote(name);
                    return Err(self.error(format!("function {name} not defined")));
                }
            },
        };
        Ok(OperandKind::Function(callee))
    }
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
