//! Calls: the number of arguments, their types, the call itself and what its failure becomes.

use std::rc::Rc;

use super::pipeline::validate;
use super::{At, BYTES_PER_STEP, Fault, Machine, Scope};
use crate::template::ast::Operand;
use crate::template::error::{Entered, Error, Reason};
use crate::template::funcs::{Builtin, Wanted};
use crate::template::function::{Function, FunctionError, Param, Runtime as _, Signature};
use crate::template::value::{Object, Typed, Value};

/// The arguments as they are written, and the value that comes through the pipe.
pub(super) type Arguments<'t> = (&'t [Operand], Option<Typed>);

/// The parameters of anything that can be called.
#[derive(Clone, Copy)]
enum Parameters {
    Builtin(&'static [Wanted], Option<Wanted>),
    Typed(&'static [Param], Option<Param>),
}

impl Parameters {
    fn fixed(self) -> usize {
        match self {
            Self::Builtin(fixed, _) => fixed.len(),
            Self::Typed(fixed, _) => fixed.len(),
        }
    }

    fn is_variadic(self) -> bool {
        match self {
            Self::Builtin(_, variadic) => variadic.is_some(),
            Self::Typed(_, variadic) => variadic.is_some(),
        }
    }

    /// What the argument at an index shall be.
    fn at(self, index: usize) -> Wanted {
        match self {
            Self::Builtin(fixed, variadic) => fixed.get(index).copied().or(variadic),
            Self::Typed(fixed, variadic) => {
                fixed.get(index).copied().or(variadic).map(Wanted::Param)
            }
        }
        .unwrap_or(Wanted::Untouched)
    }
}

impl Machine<'_> {
    pub(super) fn call_function<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        function: &'static Function,
        at: At<'t>,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        let parameters = Parameters::Typed(function.params, function.variadic);
        let args =
            self.arguments(scope, dot, function.name, parameters, arguments, |arg| arg.value)?;
        let result = (function.body)(self, &args).and_then(|value| {
            self.allocate(value.fresh_weight())?;
            Ok(value)
        });
        match result {
            Ok(value) => Ok(Typed::bare(value)),
            Err(error) => {
                scope.at = at;
                Err(failed_call(scope, function.name, error))
            }
        }
    }

    pub(super) fn call_method<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        (object, name, signature): (&Rc<dyn Object>, &str, Signature),
        at: At<'t>,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        let parameters = Parameters::Typed(signature.params, signature.variadic);
        let args = self.arguments(scope, dot, name, parameters, arguments, |arg| arg.value)?;
        object.call(name, &args).map(Typed::bare).map_err(|message| {
            scope.at = at;
            failed_call(scope, name, FunctionError::Failed(message))
        })
    }

    pub(super) fn call_builtin<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        builtin: Builtin,
        at: At<'t>,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        let name = builtin.name();
        let (fixed, variadic) = builtin.parameters();
        let parameters = Parameters::Builtin(fixed, variadic);
        if matches!(builtin, Builtin::And | Builtin::Or) {
            check_count(scope, name, parameters, &arguments)?;
            return self.and_or(scope, dot, builtin == Builtin::Or, arguments);
        }
        let callee = match (builtin, arguments.0.first()) {
            (Builtin::Call, Some(operand)) => operand.to_string(),
            _ => String::new(),
        };
        let args = self.arguments(scope, dot, name, parameters, arguments, |arg| arg)?;
        let result = builtin.call(&callee, &args).map_err(|message| {
            scope.at = at;
            failed_call(scope, name, FunctionError::Failed(message))
        })?;
        if let Value::Str(text) = &result.value {
            self.spend(text.len() as u64 / BYTES_PER_STEP)
                .and_then(|()| self.take(result.value.fresh_weight()))
                .map_err(|message| scope.fault(Reason::Exhausted, message))?;
        }
        Ok(result)
    }

    /// Evaluates arguments until one decides.
    fn and_or<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        decisive: bool,
        (args, last): Arguments<'t>,
    ) -> Result<Typed, Fault> {
        let mut value = Typed::INVALID;
        for arg in args {
            value = self.argument(scope, dot, arg, Wanted::Untouched)?;
            if value.value.truth() == decisive {
                return Ok(value);
            }
        }
        Ok(last.unwrap_or(value))
    }

    /// Counts, evaluates and checks arguments, and takes of each what is wanted.
    fn arguments<'t, T>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        name: &str,
        parameters: Parameters,
        arguments: Arguments<'t>,
        take: fn(Typed) -> T,
    ) -> Result<Vec<T>, Fault> {
        check_count(scope, name, parameters, &arguments)?;
        let (args, last) = arguments;
        let mut values = Vec::with_capacity(args.len() + 1);
        for (index, arg) in args.iter().enumerate() {
            values.push(take(self.argument(scope, dot, arg, parameters.at(index))?));
        }
        if let Some(last) = last {
            values.push(take(validate(scope, last, parameters.at(args.len()))?));
        }
        Ok(values)
    }
}

fn check_count(
    scope: &Scope<'_>,
    name: &str,
    parameters: Parameters,
    (args, last): &Arguments<'_>,
) -> Result<(), Fault> {
    let count = args.len() + usize::from(last.is_some());
    let fixed = parameters.fixed();
    if parameters.is_variadic() {
        if count < fixed {
            // Go does not count the value from the pipe here.
            let got = args.len();
            return Err(scope.fail(format!(
                "wrong number of args for {name}: want at least {fixed} got {got}"
            )));
        }
    } else if count != fixed {
        return Err(
            scope.fail(format!("wrong number of args for {name}: want {fixed} got {count}"))
        );
    }
    Ok(())
}

/// The error of a call, at the present node.
fn failed_call(scope: &Scope<'_>, name: &str, error: FunctionError) -> Fault {
    let calling = format!("error calling {name}: ");
    match error {
        FunctionError::Failed(text) => scope.fail(format!("{calling}{text}")),
        FunctionError::Requested(text) => Box::new(Error {
            reason: Reason::Requested,
            message: text,
            stack: vec![scope.frame(Entered::Call(calling))],
        }),
        FunctionError::Nested { mut error, wrapped } => {
            error.stack.push(scope.frame(Entered::Call(format!("{calling}{wrapped}"))));
            error
        }
    }
}
