//! Statements: text, actions, control structures, calls of templates.

use super::{At, Fault, Machine, Scope};
use crate::template::ast::{Branch, Invocation, List, Node};
use crate::template::error::{Entered, Reason};
use crate::template::value::{Typed, Value};

/// What a statement does to the loop around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    /// Nothing.
    Next,
    /// Ends it.
    Break,
    /// Ends this iteration.
    Continue,
}

impl Machine<'_> {
    /// Executes statements in order.
    pub(super) fn walk<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        list: &'t List,
    ) -> Result<Flow, Fault> {
        self.enter(scope)?;
        let mut flow = Flow::Next;
        for node in &list.nodes {
            flow = self.statement(scope, dot, node)?;
            if flow != Flow::Next {
                break;
            }
        }
        self.nesting -= 1;
        Ok(flow)
    }

    /// Counts one more level of nesting, which an error need not take back.
    pub(super) fn enter(&mut self, scope: &Scope<'_>) -> Result<(), Fault> {
        let max = self.environment.limits.nesting;
        if self.nesting >= max {
            let message = format!("exceeded maximum nesting ({max})");
            return Err(scope.fault(Reason::Exhausted, message));
        }
        self.nesting += 1;
        Ok(())
    }

    fn statement<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        node: &'t Node,
    ) -> Result<Flow, Fault> {
        self.step(scope)?;
        match node {
            Node::Text { range } => {
                self.trace(range.start, true);
                self.write(scope, &scope.tree.text[range.clone()])?;
            }
            Node::Action(action) => {
                self.trace(action.pos, false);
                let value = self.pipeline(scope, dot, &action.pipeline)?;
                if action.pipeline.variables.is_empty() {
                    self.print(scope, &value.value)?;
                }
            }
            Node::If(branch) => return self.if_or_with(scope, dot, branch, false),
            Node::With(branch) => return self.if_or_with(scope, dot, branch, true),
            Node::Range(branch) => return self.range(scope, dot, branch),
            Node::Template(invocation) => {
                self.trace(invocation.pos, false);
                self.template(scope, dot, invocation)?;
            }
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn print(&mut self, scope: &Scope<'_>, value: &Value) -> Result<(), Fault> {
        match value {
            Value::Nil => self.write(scope, "<no value>"),
            Value::Str(text) => self.write(scope, text),
            Value::Object(object) => self.write(scope, &object.show()),
            _ => self.write(scope, &value.to_string()),
        }
    }

    fn if_or_with<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        branch: &'t Branch,
        sets_dot: bool,
    ) -> Result<Flow, Fault> {
        let mark = scope.variables.len();
        let value = self.pipeline(scope, dot, &branch.pipeline)?;
        let flow = if value.value.truth() {
            self.walk(scope, if sets_dot { &value } else { dot }, &branch.then)?
        } else if let Some(otherwise) = &branch.otherwise {
            self.walk(scope, dot, otherwise)?
        } else {
            Flow::Next
        };
        scope.variables.truncate(mark);
        Ok(flow)
    }

    fn range<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        branch: &'t Branch,
    ) -> Result<Flow, Fault> {
        let outer = scope.variables.len();
        let value = self.pipeline(scope, dot, &branch.pipeline)?.value;
        let is_empty = match &value {
            Value::Object(object) if matches!(object.kind(), "map" | "slice") => {
                self.iterate(scope, branch, &object.plain())?
            }
            _ => self.iterate(scope, branch, &value)?,
        };
        let flow = match &branch.otherwise {
            Some(otherwise) if is_empty => self.walk(scope, dot, otherwise)?,
            _ => Flow::Next,
        };
        scope.variables.truncate(outer);
        // As in Go, a `break` in the else part ends this range, not the one around it.
        Ok(if flow == Flow::Break { Flow::Next } else { flow })
    }

    /// Executes the body for each element. Returns whether there was none.
    fn iterate<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        branch: &'t Branch,
        value: &Value,
    ) -> Result<bool, Fault> {
        // The elements are those at the start, whatever the body does to a map.
        match value {
            Value::Nil => Ok(true),
            Value::List(list) => {
                let items = list.items.iter().enumerate().map(|(index, item)| {
                    let index = Typed::bare(Value::Int(index as i64));
                    (index, Typed::element(item.clone(), list.element))
                });
                self.each(scope, branch, items)
            }
            Value::Bytes(bytes) => {
                let items = bytes.iter().enumerate().map(|(index, byte)| {
                    (Typed::bare(Value::Int(index as i64)), Typed::bare(Value::Uint8(*byte)))
                });
                self.each(scope, branch, items)
            }
            Value::Map(map) => {
                let entries: Vec<_> = map
                    .entries
                    .borrow()
                    .iter()
                    .map(|(key, value)| (key.clone(), value.clone()))
                    .collect();
                let items = entries.into_iter().map(|(key, value)| {
                    (Typed::bare(Value::Str(key)), Typed::element(value, map.element))
                });
                self.each(scope, branch, items)
            }
            Value::Int(_) | Value::Int64(_) | Value::Uint8(_) | Value::Uint64(_) => {
                if branch.pipeline.variables.len() > 1 {
                    return Err(scope.fail(format!(
                        "can't use {value} to iterate over more than one variable"
                    )));
                }
                self.each(scope, branch, numbers(value).map(|item| (Typed::INVALID, item)))
            }
            _ => Err(scope.fail(format!("range can't iterate over {value}"))),
        }
    }

    fn each<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        branch: &'t Branch,
        items: impl Iterator<Item = (Typed, Typed)>,
    ) -> Result<bool, Fault> {
        let pipeline = &branch.pipeline;
        let mark = scope.variables.len();
        let mut is_empty = true;
        for (index, item) in items {
            is_empty = false;
            self.step(scope)?;
            match pipeline.variables.as_slice() {
                [] => {}
                [only] if pipeline.assigns => scope.assign(only, item.clone())?,
                [first, second, ..] if pipeline.assigns => {
                    scope.assign(first, index)?;
                    scope.assign(second, item.clone())?;
                }
                [_] => scope.variables[mark - 1].1 = item.clone(),
                [..] => {
                    scope.variables[mark - 1].1 = item.clone();
                    scope.variables[mark - 2].1 = index;
                }
            }
            let flow = self.walk(scope, &item, &branch.then)?;
            scope.variables.truncate(mark);
            if flow == Flow::Break {
                break;
            }
        }
        Ok(is_empty)
    }

    fn template<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        invocation: &'t Invocation,
    ) -> Result<(), Fault> {
        scope.at = At::Template(invocation);
        let Some(tree) = self.lookup(&invocation.name) else {
            let name = crate::template::quote::quote(&invocation.name);
            return Err(scope.fail(format!("template {name} not defined")));
        };
        self.deeper(scope)?;
        let dot = match &invocation.pipeline {
            Some(pipeline) => self.pipeline(scope, dot, pipeline)?,
            None => Typed::INVALID,
        };
        let mut inner = Scope::new(&tree, &dot);
        let result = self.walk(&mut inner, &dot, &tree.root);
        self.depth -= 1;
        match result {
            Ok(_) => Ok(()),
            Err(mut error) => {
                scope.at = At::Template(invocation);
                error.stack.push(scope.frame(Entered::Template));
                Err(error)
            }
        }
    }
}

/// The integers below a number, of the same type.
fn numbers(value: &Value) -> Box<dyn Iterator<Item = Typed>> {
    match *value {
        Value::Int(end) => Box::new((0..end).map(|number| Typed::bare(Value::Int(number)))),
        Value::Int64(end) => Box::new((0..end).map(|number| Typed::bare(Value::Int64(number)))),
        Value::Uint8(end) => Box::new((0..end).map(|number| Typed::bare(Value::Uint8(number)))),
        Value::Uint64(end) => Box::new((0..end).map(|number| Typed::bare(Value::Uint64(number)))),
        _ => Box::new(std::iter::empty()),
    }
}
