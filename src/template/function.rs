//! The contract between the evaluator and the functions that templates call.

use std::fmt;

use super::value::Value;
use super::world::World;

/// What a function gets besides its arguments.
pub trait Runtime {
    /// Time, randomness and lookups.
    fn world(&self) -> &dyn World;
    /// Executes a named template over `data`, as Helm's `include` does.
    fn include(&mut self, name: &str, data: Value) -> Result<String, FunctionError>;
    /// Renders `text` as a template over `data`, as Helm's `tpl` does.
    fn tpl(&mut self, text: &str, data: Value) -> Result<String, FunctionError>;
    /// Spends fuel for work in proportion to `steps`; fails when the render has used its share.
    fn charge(&mut self, steps: u64) -> Result<(), FunctionError>;
    /// Spends memory before something of that size is built; fails likewise.
    fn allocate(&mut self, bytes: u64) -> Result<(), FunctionError>;
}

/// Go's static type of a parameter. The evaluator checks and converts arguments before the call,
/// with Go's error texts, so that a body may rely on the variants named here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Param {
    /// `interface {}`: any value, nil included.
    Any,
    /// `string`: `Value::Str`.
    Str,
    /// `bool`: `Value::Bool`.
    Bool,
    /// `int`: `Value::Int`.
    Int,
    /// `int64`: `Value::Int64`.
    Int64,
    /// `float64`: `Value::Float`.
    Float,
    /// `map[string]interface {}`: `Value::Map`.
    Map,
    /// `[]interface {}`: `Value::List`.
    List,
    /// `[]string`: `Value::List` of strings.
    StrList,
    /// `[]byte`: `Value::Bytes`.
    Bytes,
    /// A struct of the named Go type: `Value::Object`.
    Object(&'static str),
}

impl Param {
    /// Go's name of the type.
    pub fn type_name(self) -> &'static str {
        match self {
            Self::Any => "interface {}",
            Self::Str => "string",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Int64 => "int64",
            Self::Float => "float64",
            Self::Map => "map[string]interface {}",
            Self::List => "[]interface {}",
            Self::StrList => "[]string",
            Self::Bytes => "[]uint8",
            Self::Object(name) => name,
        }
    }
}

/// The parameters of a function or method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The fixed parameters.
    pub params: &'static [Param],
    /// The type of the arguments behind the fixed ones, if it takes any number.
    pub variadic: Option<Param>,
}

/// One function of a template.
#[derive(Clone, Copy)]
pub struct Function {
    /// What templates call it.
    pub name: &'static str,
    /// The fixed parameters.
    pub params: &'static [Param],
    /// The type of the arguments behind the fixed ones, if it takes any number.
    pub variadic: Option<Param>,
    /// What it does. Its arguments are as `params` and `variadic` say.
    pub body: fn(&mut dyn Runtime, &[Value]) -> Result<Value, FunctionError>,
}

impl fmt::Debug for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Function({})", self.name)
    }
}

/// Finds a function by its name. Built-in functions of the language are not in it.
pub trait Functions {
    /// The function that templates call `name`.
    fn find(&self, name: &str) -> Option<&'static Function>;
}

/// Why a call failed.
#[derive(Clone, Debug)]
pub enum FunctionError {
    /// Go's error text: shown as `error calling NAME: TEXT`.
    Failed(String),
    /// `fail` and `required`: Helm shows the text as `execution error at (…): TEXT`.
    Requested(String),
    /// A template that `include` or `tpl` ran failed: only [`Runtime`] makes these.
    Nested {
        /// What happened, with its places.
        error: Box<super::error::Error>,
        /// What the function says before it.
        wrapped: String,
    },
}

impl From<String> for FunctionError {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

impl From<&str> for FunctionError {
    fn from(text: &str) -> Self {
        Self::Failed(text.to_owned())
    }
}
