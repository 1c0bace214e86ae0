//! Pipelines, commands, operands and the check of arguments against parameters.

use std::rc::Rc;

use super::call::Arguments;
use super::{At, Fault, Machine, Scope};
use crate::template::ast::{self, Callee, Command, Operand, OperandKind, Pipeline};
use crate::template::funcs::Wanted;
use crate::template::function::Param;
use crate::template::number::{Ideal, Number};
use crate::template::value::{Element, List, Map, Typed, Value};

impl Machine<'_> {
    /// The value of a pipeline, with its variables declared or assigned. The caller removes them
    /// when their block ends.
    pub(super) fn pipeline<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        pipeline: &'t Pipeline,
    ) -> Result<Typed, Fault> {
        self.enter(scope)?;
        scope.at = At::Pipeline(pipeline);
        let mut value = None;
        for command in &pipeline.commands {
            self.step(scope)?;
            let mut result = self.command(scope, dot, command, value)?;
            result.in_interface = false;
            value = Some(result);
        }
        let value = value.unwrap_or_default();
        for name in &pipeline.variables {
            if pipeline.assigns {
                scope.assign(name, value.clone())?;
            } else {
                scope.variables.push((name, value.clone()));
            }
        }
        self.nesting -= 1;
        Ok(value)
    }

    /// `last` is the value of the command before, which becomes the last argument.
    fn command<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        command: &'t Command,
        last: Option<Typed>,
    ) -> Result<Typed, Fault> {
        let first = &command.operands[0];
        let arguments: Arguments<'t> = (&command.operands[1..], last);
        match &first.kind {
            OperandKind::Field(path) => {
                scope.at = At::Operand(first);
                return self.fields(scope, dot, dot.clone(), path, arguments);
            }
            OperandKind::Chain(operand, path) => {
                return self.chain(scope, dot, first, (operand, path), arguments);
            }
            OperandKind::Function(callee) => {
                scope.at = At::Operand(first);
                return self.function(scope, dot, *callee, At::Command(command), arguments);
            }
            OperandKind::Variable(path) => {
                return self.variable(scope, dot, first, path, arguments);
            }
            OperandKind::Pipeline(pipeline) => {
                not_a_function(scope, first, &arguments)?;
                return self.pipeline(scope, dot, pipeline);
            }
            _ => {}
        }
        scope.at = At::Operand(first);
        not_a_function(scope, first, &arguments)?;
        match &first.kind {
            OperandKind::Dot => Ok(dot.clone()),
            OperandKind::Nil => Err(scope.fail("nil is not a command")),
            _ => constant(scope, first),
        }
    }

    fn chain<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        whole: &'t Operand,
        (operand, path): (&'t Operand, &'t str),
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        scope.at = At::Operand(operand);
        let receiver = match &operand.kind {
            OperandKind::Pipeline(pipeline) => self.pipeline(scope, dot, pipeline)?,
            OperandKind::Function(callee) => {
                self.function(scope, dot, *callee, At::Operand(operand), (&[], None))?
            }
            _ => constant(scope, operand)?,
        };
        self.fields_at(scope, dot, receiver, path, arguments, At::Operand(whole))
    }

    fn variable<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        operand: &'t Operand,
        path: &'t str,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        scope.at = At::Operand(operand);
        let (name, fields) = ast::variable(path);
        let Some(value) = scope.variable(name).cloned() else {
            return Err(scope.fail(format!("undefined variable: {name}")));
        };
        match fields {
            Some(fields) => self.fields(scope, dot, value, fields, arguments),
            None => {
                not_a_function(scope, operand, &arguments)?;
                Ok(value)
            }
        }
    }

    /// The value of an operand as an argument.
    pub(super) fn argument<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        operand: &'t Operand,
        wanted: Wanted,
    ) -> Result<Typed, Fault> {
        scope.at = At::Operand(operand);
        let value = match &operand.kind {
            OperandKind::Dot => dot.clone(),
            OperandKind::Nil => {
                return zero(wanted).ok_or_else(|| {
                    scope.fail(format!("cannot assign nil to {}", type_name(wanted)))
                });
            }
            OperandKind::Field(path) => self.fields(scope, dot, dot.clone(), path, (&[], None))?,
            OperandKind::Variable(path) => self.variable(scope, dot, operand, path, (&[], None))?,
            OperandKind::Pipeline(pipeline) => self.pipeline(scope, dot, pipeline)?,
            OperandKind::Function(callee) => {
                self.function(scope, dot, *callee, At::Operand(operand), (&[], None))?
            }
            OperandKind::Chain(inner, path) => {
                self.chain(scope, dot, operand, (inner, path), (&[], None))?
            }
            OperandKind::Bool(_) | OperandKind::Number(_) | OperandKind::Str { .. } => {
                return literal(scope, operand, wanted);
            }
        };
        validate(scope, value, wanted)
    }

    fn function<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        callee: Callee,
        at: At<'t>,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        match callee {
            Callee::Builtin(builtin) => self.call_builtin(scope, dot, builtin, at, arguments),
            Callee::Function(function) => self.call_function(scope, dot, function, at, arguments),
        }
    }
}

/// Refuses arguments for something that cannot be called.
fn not_a_function(
    scope: &Scope<'_>,
    first: &Operand,
    (args, last): &Arguments<'_>,
) -> Result<(), Fault> {
    if args.is_empty() && last.is_none() {
        return Ok(());
    }
    Err(scope.fail(format!("can't give argument to non-function {first}")))
}

/// A literal where nothing says which type is wanted.
fn constant(scope: &Scope<'_>, operand: &Operand) -> Result<Typed, Fault> {
    let value = match &operand.kind {
        OperandKind::Bool(value) => Value::Bool(*value),
        OperandKind::Str { text, .. } => Value::str(&**text),
        OperandKind::Number(number) => match number.ideal() {
            Ideal::Int(value) => Value::Int(value),
            Ideal::Float(value) => Value::Float(value),
            Ideal::Overflow => return Err(scope.fail(format!("{} overflows int", number.text))),
        },
        _ => return Err(scope.fail(format!("can't evaluate command {operand}"))),
    };
    Ok(Typed::bare(value))
}

/// A literal as an argument.
fn literal(scope: &Scope<'_>, operand: &Operand, wanted: Wanted) -> Result<Typed, Fault> {
    let expected = |what: &str| Err(scope.fail(format!("expected {what}; found {operand}")));
    let number = |pick: fn(&Number) -> Option<Value>| match &operand.kind {
        OperandKind::Number(number) => pick(number),
        _ => None,
    };
    let Wanted::Param(param) = wanted else {
        return constant(scope, operand);
    };
    let value = match param {
        Param::Any => return constant(scope, operand),
        Param::Str => match &operand.kind {
            OperandKind::Str { text, .. } => Value::str(&**text),
            _ => return expected("string"),
        },
        Param::Bool => match operand.kind {
            OperandKind::Bool(value) => Value::Bool(value),
            _ => return expected("bool"),
        },
        Param::Int => match number(|number| number.int.map(Value::Int)) {
            Some(value) => value,
            None => return expected("integer"),
        },
        Param::Int64 => match number(|number| number.int.map(Value::Int64)) {
            Some(value) => value,
            None => return expected("integer"),
        },
        Param::Float => match number(|number| number.float.map(Value::Float)) {
            Some(value) => value,
            None => return expected("float"),
        },
        Param::Map | Param::List | Param::StrList | Param::Bytes | Param::Object(_) => {
            let name = param.type_name();
            return Err(scope.fail(format!("can't handle {operand} for arg of type {name}")));
        }
    };
    Ok(Typed::bare(value))
}

fn type_name(wanted: Wanted) -> &'static str {
    match wanted {
        Wanted::Untouched => "reflect.Value",
        Wanted::Param(param) => param.type_name(),
    }
}

/// What nil becomes where it is accepted.
fn zero(wanted: Wanted) -> Option<Typed> {
    let value = match wanted {
        Wanted::Untouched | Wanted::Param(Param::Any) => Value::Nil,
        Wanted::Param(Param::Map) => Value::Map(Map::default()),
        Wanted::Param(Param::List) => Value::List(List::default()),
        Wanted::Param(Param::StrList) => {
            Value::List(List { element: Element::Str, items: Rc::default() })
        }
        Wanted::Param(Param::Bytes) => Value::Bytes(Rc::from([])),
        Wanted::Param(
            Param::Str | Param::Bool | Param::Int | Param::Int64 | Param::Float | Param::Object(_),
        ) => return None,
    };
    Some(Typed::bare(value))
}

/// Checks a value against the type of the place it goes to.
pub(super) fn validate(scope: &Scope<'_>, value: Typed, wanted: Wanted) -> Result<Typed, Fault> {
    if value.is_invalid() {
        return zero(wanted)
            .ok_or_else(|| scope.fail(format!("invalid value; expected {}", type_name(wanted))));
    }
    let Wanted::Param(param) = wanted else {
        return Ok(value);
    };
    let fits = match (param, &value.value) {
        (Param::Any, _)
        | (Param::Str, Value::Str(_))
        | (Param::Bool, Value::Bool(_))
        | (Param::Int, Value::Int(_))
        | (Param::Int64, Value::Int64(_))
        | (Param::Float, Value::Float(_))
        | (Param::Bytes, Value::Bytes(_)) => true,
        (Param::Map, Value::Map(map)) => map.element.is_any(),
        (Param::List, Value::List(list)) => list.element.is_any(),
        (Param::StrList, Value::List(list)) => list.element == Element::Str,
        (Param::Object(name), Value::Object(object)) => object.type_name() == name,
        _ => false,
    };
    if fits {
        return Ok(Typed::bare(match value.value {
            // The named type is the caller's; the parameter has a plain one.
            Value::Map(map) if param == Param::Map && map.element == Element::Values => {
                Value::Map(Map { element: Element::Any, entries: map.entries })
            }
            value => value,
        }));
    }
    let got = if value.value.is_nil() { "interface {}" } else { value.value.type_name() };
    let expected = param.type_name();
    Err(scope.fail(format!("wrong type for value; expected {expected}; got {got}")))
}
