//! Dynamic values with Go's reference semantics.
//!
//! Strings, lists and objects are immutable and shared. Maps are shared *and* mutable, as Go's
//! are: `set` on one reference is seen through every other. A value never leaves its thread.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::function::Signature;

/// A shared string.
pub type Str = Rc<str>;

/// What a template computes with.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// Go's untyped nil: a missing key, YAML's `null`.
    #[default]
    Nil,
    /// `bool`.
    Bool(bool),
    /// Go's `int`: literals, `len`, sprig's `int`, `add`'s siblings that return int.
    Int(i64),
    /// Go's `int64`: `--set` numbers, sprig's `int64` and arithmetic.
    Int64(i64),
    /// Go's `uint8`: what indexing a string or `[]byte` gives.
    Uint8(u8),
    /// Go's `uint64`: the parts of a semantic version.
    Uint64(u64),
    /// Go's `float64`: every number that was read from YAML or JSON.
    Float(f64),
    /// `string`.
    Str(Str),
    /// `[]byte`.
    Bytes(Rc<[u8]>),
    /// A slice.
    List(List),
    /// A map with string keys.
    Map(Map),
    /// Anything with fields and methods: `.Files`, `.Capabilities`, a time, a semantic version.
    Object(Rc<dyn Object>),
}

/// What the elements of a list or map are, as Go's type system has it; it shows in `typeOf`,
/// `kindOf`, `%T` and `%#v` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Element {
    /// `interface {}`.
    #[default]
    Any,
    /// `string`.
    Str,
    /// `int`.
    Int,
    /// `interface {}`, in a map of Helm's named type `chartutil.Values`: `.Values` and the
    /// data of a whole template. Everything else treats it as [`Element::Any`].
    Values,
    /// `interface {}`, in a slice that Go holds as nil and JSON and YAML write as `null`; there are
    /// no elements. Everything else treats it as [`Element::Any`].
    Nothing,
}

impl Element {
    /// Whether the static type of the elements is `interface {}`.
    pub fn is_any(self) -> bool {
        matches!(self, Self::Any | Self::Values | Self::Nothing)
    }

    /// Go's zero value of the element type: what a missing key of a map gives.
    pub fn zero(self) -> Value {
        match self {
            Self::Any | Self::Values | Self::Nothing => Value::Nil,
            Self::Str => Value::str(""),
            Self::Int => Value::Int(0),
        }
    }
}

/// A slice: immutable, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// The static type of the elements.
    pub element: Element,
    /// The elements.
    pub items: Rc<Vec<Value>>,
}

/// A map: clones share the entries.
#[derive(Clone, Debug, Default)]
pub struct Map {
    /// The static type of the values.
    pub element: Element,
    /// The entries; iteration is in key order, as Go's templates iterate.
    pub entries: Rc<RefCell<BTreeMap<Str, Value>>>,
}

/// A Go struct as a template sees it.
pub trait Object: fmt::Debug {
    /// What `%T` and `typeOf` print, such as `chartutil.VersionSet`.
    fn type_name(&self) -> &'static str;
    /// What `kindOf` prints: `struct`, `ptr`, `map`, `slice`.
    fn kind(&self) -> &'static str {
        "struct"
    }
    /// A field (or map entry); `None` when there is no such one.
    fn field(&self, name: &str) -> Option<Value>;
    /// The parameters of a method; `None` when there is no such method. A method hides a field.
    fn method(&self, _name: &str) -> Option<Signature> {
        None
    }
    /// Calls a method that [`Object::method`] knows, with arguments of the types it names.
    fn call(&self, method: &str, _args: &[Value]) -> Result<Value, String> {
        Err(format!("no method {method}"))
    }
    /// What `%v` prints.
    fn print(&self) -> String;
    /// What an action such as `{{ .Capabilities.KubeVersion }}` prints: not the same as `%v` where
    /// only the pointer has a `String` method.
    fn show(&self) -> String {
        self.print()
    }
    /// Go's truth: structs are always true, maps and slices when not empty.
    fn truth(&self) -> bool {
        true
    }
    /// The same as a plain value: what `toYaml`, `toJson` and `range` see. `Nil` when there is none.
    fn plain(&self) -> Value {
        Value::Nil
    }
    /// The names that its plain value has, in the order in which Go writes the fields of the
    /// struct as JSON; nothing where the order is that of the names.
    fn json_order(&self) -> Option<&[&'static str]> {
        None
    }
    /// For functions that know the concrete type.
    fn as_any(&self) -> &dyn std::any::Any;
}

/// What a value takes beside its text.
const NODE_BYTES: u64 = 32;
/// What an entry of a map takes beside its key and value.
const ENTRY_BYTES: u64 = 96;

impl Value {
    /// Bytes that a copy of it would take, with everything in it as often as it can be reached;
    /// counting ends beyond `max`.
    pub fn weight(&self, max: u64) -> u64 {
        let mut total = 0;
        self.weigh(max, 0, &mut total);
        total
    }

    fn weigh(&self, max: u64, depth: usize, total: &mut u64) {
        const DEPTH_MAX: usize = 1_000;
        *total += NODE_BYTES;
        if *total > max || depth > DEPTH_MAX {
            return;
        }
        match self {
            Self::Str(text) => *total += text.len() as u64,
            Self::Bytes(bytes) => *total += bytes.len() as u64,
            Self::List(list) => {
                for item in list.items.iter() {
                    if *total > max {
                        break;
                    }
                    item.weigh(max, depth + 1, total);
                }
            }
            Self::Map(map) => {
                let entries = map.entries.borrow();
                for (key, value) in entries.iter() {
                    if *total > max {
                        break;
                    }
                    *total += ENTRY_BYTES + key.len() as u64;
                    value.weigh(max, depth + 1, total);
                }
            }
            _ => {}
        }
    }

    /// Bytes that were taken for it just now: nothing where something else holds it as well.
    pub(super) fn fresh_weight(&self) -> u64 {
        match self {
            Self::Str(text) if Rc::strong_count(text) == 1 => NODE_BYTES + text.len() as u64,
            Self::List(list) if Rc::strong_count(&list.items) == 1 => {
                NODE_BYTES * (1 + list.items.len() as u64)
            }
            Self::Map(map) if Rc::strong_count(&map.entries) == 1 => {
                NODE_BYTES + ENTRY_BYTES * map.entries.borrow().len() as u64
            }
            _ => 0,
        }
    }

    /// A string value.
    pub fn str(text: impl Into<Str>) -> Self {
        Self::Str(text.into())
    }

    /// A `[]interface {}`.
    pub fn list(items: Vec<Value>) -> Self {
        Self::List(List { element: Element::Any, items: Rc::new(items) })
    }

    /// A nil slice: what Go's functions return that found nothing.
    pub fn nil_list() -> Self {
        Self::List(List { element: Element::Nothing, items: Rc::default() })
    }

    /// A `[]string`.
    pub fn strings<T: Into<Str>>(items: impl IntoIterator<Item = T>) -> Self {
        let items = items.into_iter().map(|item| Self::Str(item.into())).collect();
        Self::List(List { element: Element::Str, items: Rc::new(items) })
    }

    /// A `map[string]interface {}`.
    pub fn map(entries: impl IntoIterator<Item = (Str, Value)>) -> Self {
        Self::Map(Map::from_entries(Element::Any, entries))
    }

    /// Whether it is nil.
    pub fn is_nil(&self) -> bool {
        matches!(self, Self::Nil)
    }

    /// Go's name of its type, as `%T` prints it.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Nil => "<nil>",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Int64(_) => "int64",
            Self::Uint8(_) => "uint8",
            Self::Uint64(_) => "uint64",
            Self::Float(_) => "float64",
            Self::Str(_) => "string",
            Self::Bytes(_) => "[]uint8",
            Self::List(list) => match list.element {
                Element::Any | Element::Values | Element::Nothing => "[]interface {}",
                Element::Str => "[]string",
                Element::Int => "[]int",
            },
            Self::Map(map) => match map.element {
                Element::Any | Element::Nothing => "map[string]interface {}",
                Element::Str => "map[string]string",
                Element::Int => "map[string]int",
                Element::Values => "chartutil.Values",
            },
            Self::Object(object) => object.type_name(),
        }
    }

    /// Go's truth: whether it is not the zero value of its type, or not empty.
    pub fn truth(&self) -> bool {
        match self {
            Self::Nil => false,
            Self::Bool(value) => *value,
            Self::Int(number) | Self::Int64(number) => *number != 0,
            Self::Uint8(number) => *number != 0,
            Self::Uint64(number) => *number != 0,
            Self::Float(number) => *number != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::Bytes(bytes) => !bytes.is_empty(),
            Self::List(list) => !list.items.is_empty(),
            Self::Map(map) => !map.entries.borrow().is_empty(),
            Self::Object(object) => object.truth(),
        }
    }
}

impl Map {
    /// A new map that shares nothing.
    pub fn from_entries(element: Element, entries: impl IntoIterator<Item = (Str, Value)>) -> Self {
        Self { element, entries: Rc::new(RefCell::new(entries.into_iter().collect())) }
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<Value> {
        self.entries.borrow().get(key).cloned()
    }

    /// Sets a key, seen through every reference to this map.
    pub fn insert(&self, key: impl Into<Str>, value: Value) {
        self.entries.borrow_mut().insert(key.into(), value);
    }

    /// Removes a key, seen through every reference to this map.
    pub fn remove(&self, key: &str) -> Option<Value> {
        self.entries.borrow_mut().remove(key)
    }

    /// Whether two references are of one map.
    pub fn is_same(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.entries, &other.entries)
    }
}

/// A value as an expression yields it. Go's static types show in a few places: something that
/// came out of an `interface {}`, such as an entry of a map, is refused in other words than the
/// same thing without one, and a nil in an interface is not the same as no value at all.
#[derive(Clone, Debug, Default)]
pub(super) struct Typed {
    pub(super) value: Value,
    pub(super) in_interface: bool,
}

impl Typed {
    /// No value: what is left of nil when its interface is taken off.
    pub(super) const INVALID: Self = Self { value: Value::Nil, in_interface: false };

    pub(super) fn bare(value: Value) -> Self {
        Self { value, in_interface: false }
    }

    /// Something out of a list or map with such elements.
    pub(super) fn element(value: Value, element: Element) -> Self {
        Self { value, in_interface: element.is_any() }
    }

    pub(super) fn is_invalid(&self) -> bool {
        self.value.is_nil() && !self.in_interface
    }

    pub(super) fn type_name(&self) -> &'static str {
        if self.in_interface { "interface {}" } else { self.value.type_name() }
    }
}
