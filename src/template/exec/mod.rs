//! Evaluation of templates, by Go's rules.
//!
//! [`walk`] goes through statements, [`pipeline`] computes values, [`field`] and [`call`] reach
//! into them. This module has what they share: the machine, the scopes, errors and limits.

use std::cell::{Cell, RefCell};
use std::mem;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use super::ast::{Command, Invocation, Operand, Pipeline, Tree};
use super::error::{Entered, Error, Frame, Reason};
use super::function::{FunctionError, Functions, Runtime};
use super::quote::quote;
use super::set::Set;
use super::value::{Typed, Value};
use super::world::World;

mod call;
mod field;
mod pipeline;
mod walk;

#[cfg(test)]
mod tests;

/// Helm's name for the template that all others belong to, and for the text that `tpl` renders.
const ROOT_NAME: &str = "gotpl";
/// Helm lets one name be included in itself so many times.
const INCLUDES_MAX: usize = 1_000;
/// Steps between two looks at the clock.
const STEPS_PER_LOOK: u64 = 1 << 16;
/// Bytes of output that cost as much as one step.
const BYTES_PER_STEP: u64 = 32;

/// What a missing key of a map gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MissingKey {
    /// No value.
    #[default]
    Invalid,
    /// The zero value of the map's element type. Helm's choice.
    Zero,
    /// An error. Helm's choice for `--strict`.
    Error,
}

/// How far an execution may go.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Nested `include`, `template` and `tpl`.
    pub depth: usize,
    /// Nested lists and pipelines of all nested templates together: what bounds the stack. The
    /// caller's stack must have room for so many times 2 KiB.
    pub nesting: usize,
    /// Bytes of output of one template.
    pub output_bytes: usize,
}

/// What templates may use.
pub struct Environment<'a> {
    /// The functions beside the language's own. The same that the set was parsed with.
    pub functions: &'a dyn Functions,
    /// Time, randomness and lookups.
    pub world: &'a dyn World,
    /// How far an execution may go.
    pub limits: Limits,
    /// The steps that are left, shared by all executions with this environment.
    pub fuel: Cell<u64>,
    /// The bytes that functions may still build, shared likewise.
    pub memory: Cell<u64>,
    /// When all executions with this environment have to be done.
    pub deadline: Option<Instant>,
    /// What a missing key gives.
    pub missing_key: MissingKey,
    /// Where to note which part of the template writes what; costs memory, so that it is off
    /// unless somebody asks.
    pub trace: Option<&'a RefCell<Vec<Written>>>,
}

/// A statement of the executed template that is about to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Written {
    /// Where in the output, in bytes.
    pub at: usize,
    /// Where it stands in the template's text, in bytes.
    pub pos: usize,
    /// Whether it is text that is copied, byte by byte.
    pub is_text: bool,
}

/// Executes the template `name` over `data`.
///
/// # Errors
/// With Go's text and the stack of places, when there is no such template, when it asks for
/// something impossible, or when it goes beyond a limit.
pub fn execute(
    set: &Set,
    name: &str,
    data: Value,
    environment: &Environment<'_>,
) -> Result<String, Box<Error>> {
    let mut machine = Machine {
        environment,
        set,
        overlays: Vec::new(),
        out: String::new(),
        depth: 0,
        nesting: 0,
        included: Vec::new(),
    };
    let Some(tree) = machine.lookup(name) else {
        return Err(bare_error(Reason::Evaluation, no_template(name)));
    };
    machine.run(&tree, data)
}

fn no_template(name: &str) -> String {
    let (name, root) = (quote(name), quote(ROOT_NAME));
    format!("template: no template {name} associated with template {root}")
}

fn bare_error(reason: Reason, message: String) -> Fault {
    Box::new(Error { reason, message, stack: Vec::new() })
}

/// An error that has the place of the failure and gets the places around it on its way out.
type Fault = Box<Error>;

/// One execution with everything it includes.
struct Machine<'e> {
    environment: &'e Environment<'e>,
    set: &'e Set,
    /// What the texts of the `tpl` calls around here have defined, innermost last.
    overlays: Vec<Rc<Set>>,
    /// Output of the template that is being executed.
    out: String,
    /// Nested templates.
    depth: usize,
    /// Nested lists and pipelines.
    nesting: usize,
    /// The names that are being included right now, innermost last.
    included: Vec<Arc<str>>,
}

/// The state of one template's execution, which the templates it calls do not see.
struct Scope<'t> {
    tree: &'t Tree,
    variables: Vec<(&'t str, Typed)>,
    /// The node that errors are reported at.
    at: At<'t>,
}

/// The node that is being evaluated.
#[derive(Clone, Copy)]
enum At<'t> {
    Start,
    Template(&'t Invocation),
    Pipeline(&'t Pipeline),
    Command(&'t Command),
    Operand(&'t Operand),
}

impl<'t> Scope<'t> {
    fn new(tree: &'t Tree, dot: &Typed) -> Self {
        Self { tree, variables: vec![("$", dot.clone())], at: At::Start }
    }

    fn frame(&self, entered: Entered) -> Frame {
        let (pos, expression) = match self.at {
            At::Start => (0, String::new()),
            At::Template(invocation) => (invocation.pos, invocation.to_string()),
            At::Pipeline(pipeline) => (pipeline.pos, pipeline.to_string()),
            At::Command(command) => (command.pos, command.to_string()),
            At::Operand(operand) => (operand.pos, operand.to_string()),
        };
        let (line, column) = self.tree.line_column(pos);
        Frame {
            template: self.tree.file.to_string(),
            executing: self.tree.name.to_string(),
            line,
            column: Some(column),
            expression,
            entered,
        }
    }

    /// An error at the node that is being evaluated.
    fn fail(&self, message: impl Into<String>) -> Fault {
        self.fault(Reason::Evaluation, message.into())
    }

    fn fault(&self, reason: Reason, message: String) -> Fault {
        Box::new(Error { reason, message, stack: vec![self.frame(Entered::Here)] })
    }

    fn variable(&self, name: &str) -> Option<&Typed> {
        self.variables.iter().rev().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// Gives the innermost variable of that name a value.
    fn assign(&mut self, name: &str, value: Typed) -> Result<(), Fault> {
        match self.variables.iter_mut().rev().find(|(known, _)| *known == name) {
            Some((_, slot)) => {
                *slot = value;
                Ok(())
            }
            None => Err(self.fail(format!("undefined variable: {name}"))),
        }
    }
}

impl Machine<'_> {
    /// The template of a name. An empty definition in a `tpl` text hides no other one.
    fn lookup(&self, name: &str) -> Option<Arc<Tree>> {
        let mut empty = None;
        for overlay in self.overlays.iter().rev() {
            match overlay.get(name) {
                Some(tree) if !tree.is_empty() => return Some(Arc::clone(tree)),
                Some(tree) => empty = empty.or(Some(tree)),
                None => {}
            }
        }
        self.set.get(name).or(empty).map(Arc::clone)
    }

    /// Executes a tree from its start and returns its output.
    fn run(&mut self, tree: &Tree, data: Value) -> Result<String, Fault> {
        let outer = mem::take(&mut self.out);
        let dot = Typed::bare(data);
        let mut scope = Scope::new(tree, &dot);
        let result = self.deeper(&scope).and_then(|()| {
            let flow = self.walk(&mut scope, &dot, &tree.root);
            self.depth -= 1;
            flow
        });
        let out = mem::replace(&mut self.out, outer);
        result.map(|_| out)
    }

    /// Counts one more nested template; whoever calls it takes one away again.
    fn deeper(&mut self, scope: &Scope<'_>) -> Result<(), Fault> {
        let max = self.environment.limits.depth;
        if self.depth >= max {
            let message = format!("exceeded maximum template depth ({max})");
            return Err(scope.fault(Reason::Exhausted, message));
        }
        self.depth += 1;
        Ok(())
    }

    /// Spends fuel, and looks at the clock now and then.
    fn spend(&self, steps: u64) -> Result<(), String> {
        let fuel = &self.environment.fuel;
        let before = fuel.get();
        match before.checked_sub(steps) {
            Some(left) => {
                fuel.set(left);
                let is_due = before / STEPS_PER_LOOK != left / STEPS_PER_LOOK;
                if is_due && self.environment.deadline.is_some_and(|end| Instant::now() > end) {
                    return Err("the template takes too long".to_owned());
                }
                Ok(())
            }
            None => {
                fuel.set(0);
                Err("the template takes too many steps".to_owned())
            }
        }
    }

    /// Spends memory.
    fn take(&self, bytes: u64) -> Result<(), String> {
        let memory = &self.environment.memory;
        match memory.get().checked_sub(bytes) {
            Some(left) => {
                memory.set(left);
                Ok(())
            }
            None => {
                memory.set(0);
                Err("the template needs too much memory".to_owned())
            }
        }
    }

    /// Spends one step of fuel at the present node.
    fn step(&self, scope: &Scope<'_>) -> Result<(), Fault> {
        self.spend(1).map_err(|message| scope.fault(Reason::Exhausted, message))
    }

    /// Notes a statement of the template that is executed, not of those that it includes.
    fn trace(&self, pos: usize, is_text: bool) {
        if let Some(trace) = self.environment.trace
            && self.depth == 1
        {
            trace.borrow_mut().push(Written { at: self.out.len(), pos, is_text });
        }
    }

    /// Appends to the output.
    fn write(&mut self, scope: &Scope<'_>, text: &str) -> Result<(), Fault> {
        self.out.push_str(text);
        let max = self.environment.limits.output_bytes;
        if self.out.len() > max {
            let message = format!("the output is larger than {max} bytes");
            return Err(scope.fault(Reason::Exhausted, message));
        }
        self.spend(text.len() as u64 / BYTES_PER_STEP)
            .map_err(|message| scope.fault(Reason::Exhausted, message))
    }
}

impl Runtime for Machine<'_> {
    fn world(&self) -> &dyn World {
        self.environment.world
    }

    fn include(&mut self, name: &str, data: Value) -> Result<String, FunctionError> {
        if self.included.iter().filter(|included| &***included == name).count() > INCLUDES_MAX {
            return Err(FunctionError::Failed(format!(
                "rendering template has a nested reference name: {name}: unable to execute template"
            )));
        }
        let tree = self.lookup(name).ok_or_else(|| no_template(name))?;
        self.included.push(Arc::clone(&tree.name));
        let result = self.run(&tree, data);
        self.included.pop();
        result.map_err(|error| FunctionError::Nested { error, wrapped: String::new() })
    }

    fn tpl(&mut self, text: &str, data: Value) -> Result<String, FunctionError> {
        self.charge(text.len() as u64 / BYTES_PER_STEP)?;
        let mut overlay = Set::new();
        overlay.parse(ROOT_NAME, text, self.environment.functions).map_err(|error| {
            let wrapped = format!("cannot parse template {}: ", quote(text));
            FunctionError::Nested { error, wrapped }
        })?;
        let tree = overlay.get(ROOT_NAME).map(Arc::clone).ok_or_else(|| no_template(ROOT_NAME))?;
        self.overlays.push(Rc::new(overlay));
        let result = self.run(&tree, data);
        self.overlays.pop();
        match result {
            Ok(out) => Ok(out.replace("<no value>", "")),
            Err(error) => {
                let wrapped = format!("error during tpl function execution for {}: ", quote(text));
                Err(FunctionError::Nested { error, wrapped })
            }
        }
    }

    fn charge(&mut self, steps: u64) -> Result<(), FunctionError> {
        self.spend(steps).map_err(exhausted)
    }

    fn allocate(&mut self, bytes: u64) -> Result<(), FunctionError> {
        self.take(bytes).map_err(exhausted)
    }
}

fn exhausted(message: String) -> FunctionError {
    let error = bare_error(Reason::Exhausted, message);
    FunctionError::Nested { error, wrapped: String::new() }
}
