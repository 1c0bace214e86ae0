//! Fields of maps and objects, and methods of objects.

use std::rc::Rc;

use super::call::Arguments;
use super::{At, Fault, Machine, MissingKey, Scope};
use crate::template::quote::quote;
use crate::template::value::{Element, Object, Typed, Value};

impl Machine<'_> {
    /// `receiver` and then the fields `a.b.c`, of which the last may take arguments. Errors of a call are reported
    /// at the present node.
    pub(super) fn fields<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        receiver: Typed,
        path: &'t str,
        arguments: Arguments<'t>,
    ) -> Result<Typed, Fault> {
        let at = scope.at;
        self.fields_at(scope, dot, receiver, path, arguments, at)
    }

    /// The same with another node for the errors of a call.
    pub(super) fn fields_at<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        mut receiver: Typed,
        mut path: &'t str,
        arguments: Arguments<'t>,
        at: At<'t>,
    ) -> Result<Typed, Fault> {
        while let Some((name, behind)) = path.split_once('.') {
            receiver = self.field(scope, dot, &receiver, name, (&[], None), at)?;
            path = behind;
        }
        self.field(scope, dot, &receiver, path, arguments, at)
    }

    fn field<'t>(
        &mut self,
        scope: &mut Scope<'t>,
        dot: &Typed,
        receiver: &Typed,
        name: &'t str,
        (args, last): Arguments<'t>,
        at: At<'t>,
    ) -> Result<Typed, Fault> {
        let has_args = !args.is_empty() || last.is_some();
        match &receiver.value {
            Value::Nil if receiver.in_interface => {
                Err(scope.fail(format!("nil pointer evaluating interface {{}}.{name}")))
            }
            Value::Nil if self.environment.missing_key == MissingKey::Error => {
                Err(scope.fail(format!("nil data; no entry for key {}", quote(name))))
            }
            Value::Nil => Ok(Typed::INVALID),
            Value::Map(_) if has_args => {
                Err(scope.fail(format!("{name} is not a method but has arguments")))
            }
            Value::Map(map) => match map.get(name) {
                Some(value) => Ok(Typed::element(value, map.element)),
                None => self.missing(scope, name, map.element),
            },
            Value::Object(object) => match object.method(name) {
                Some(signature) => {
                    let object = Rc::clone(object);
                    self.call_method(scope, dot, (&object, name, signature), at, (args, last))
                }
                None => self.object_field(scope, receiver, object, name, has_args),
            },
            _ => Err(no_field(scope, receiver, name)),
        }
    }

    fn object_field(
        &self,
        scope: &Scope<'_>,
        receiver: &Typed,
        object: &Rc<dyn Object>,
        name: &str,
        has_args: bool,
    ) -> Result<Typed, Fault> {
        let is_map = object.kind() == "map";
        match object.field(name) {
            _ if is_map && has_args => {
                Err(scope.fail(format!("{name} is not a method but has arguments")))
            }
            Some(_) if has_args => {
                Err(scope.fail(format!("{name} has arguments but cannot be invoked as function")))
            }
            Some(value) => Ok(Typed::bare(value)),
            None if is_map => self.missing(scope, name, Element::Any),
            None => Err(no_field(scope, receiver, name)),
        }
    }

    fn missing(&self, scope: &Scope<'_>, name: &str, element: Element) -> Result<Typed, Fault> {
        match self.environment.missing_key {
            MissingKey::Invalid => Ok(Typed::INVALID),
            MissingKey::Zero => Ok(Typed::missing(element)),
            MissingKey::Error => {
                Err(scope.fail(format!("map has no entry for key {}", quote(name))))
            }
        }
    }
}

fn no_field(scope: &Scope<'_>, receiver: &Typed, name: &str) -> Fault {
    scope.fail(format!("can't evaluate field {name} in type {}", receiver.type_name()))
}
