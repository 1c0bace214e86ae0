//! Where in an object a field is. List items are named by their keys where they have some.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use crate::object::pointer::escaped;

/// One step into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A field of a map.
    Field(String),
    /// The item of a list that has these fields, such as `name=server`.
    Item(Vec<(&'static str, Json)>),
    /// The item of a list at a place, from 0.
    Index(usize),
}

/// From the root of an object to a field. Empty for the object itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldPath(pub Vec<Step>);

impl FieldPath {
    /// One step further.
    #[must_use]
    pub fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }

    /// As a JSON pointer, in which `*` stands for the item of a list. None for the object itself.
    pub fn pointer(&self) -> Option<String> {
        if self.is_root() {
            return None;
        }
        let step = |step: &Step| match step {
            Step::Field(name) => format!("/{}", escaped(name)),
            Step::Item(_) => "/*".to_owned(),
            Step::Index(index) => format!("/{index}"),
        };
        Some(self.0.iter().map(step).collect())
    }

    /// Whether it is a whole object.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for FieldPath {
    /// `spec.template.spec.containers[name=server].image`, `metadata.annotations["a.b/c"]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if is_plain(name) => {
                    let dot = if index == 0 { "" } else { "." };
                    write!(f, "{dot}{name}")?;
                }
                Step::Field(name) => write!(f, "[{name:?}]")?,
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Item(keys) => {
                    f.write_str("[")?;
                    for (index, (key, value)) in keys.iter().enumerate() {
                        let comma = if index == 0 { "" } else { "," };
                        match value {
                            Json::String(text) => write!(f, "{comma}{key}={text}")?,
                            value => write!(f, "{comma}{key}={value}")?,
                        }
                    }
                    f.write_str("]")?;
                }
            }
        }
        Ok(())
    }
}

fn is_plain(name: &str) -> bool {
    !name.is_empty()
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || "-_".contains(character))
}

impl Serialize for FieldPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
