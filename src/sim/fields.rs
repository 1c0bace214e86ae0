//! Sets of fields, as `metadata.managedFields` has them: which fields of an object a manager owns.
//!
//! Knows nothing of objects and their types; [`super::typed`] makes sets of values.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};

/// One step of a path into an object.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// `f:`: a field of an object.
    Field(String),
    /// `i:`: an item of a list by its place.
    Index(usize),
    /// `k:`: an item of a list by its keys, as JSON with sorted names.
    Key(String),
    /// `v:`: an item of a list by its value, as JSON.
    Value(String),
}

impl Step {
    /// A field of an object.
    pub fn field(name: &str) -> Self {
        Self::Field(name.to_owned())
    }

    fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        Some(match kind {
            "f" => Self::Field(rest.to_owned()),
            "i" => Self::Index(rest.parse().ok()?),
            // Read and written once, so that equal keys have equal texts.
            "k" => Self::Key(serde_json::from_str::<Map<String, Json>>(rest).ok().map(compact)?),
            "v" => Self::Value(serde_json::from_str::<Json>(rest).ok()?.to_string()),
            _ => return None,
        })
    }

    fn text(&self) -> String {
        match self {
            Self::Field(name) => format!("f:{name}"),
            Self::Index(at) => format!("i:{at}"),
            Self::Key(keys) => format!("k:{keys}"),
            Self::Value(value) => format!("v:{value}"),
        }
    }
}

fn compact(keys: Map<String, Json>) -> String {
    Json::Object(keys).to_string()
}

impl fmt::Display for Step {
    /// `.name`, `[name="web"]`, `[="finalizer"]`, `[3]`: the API server's form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => write!(f, ".{name}"),
            Self::Index(at) => write!(f, "[{at}]"),
            Self::Value(value) => write!(f, "[={value}]"),
            Self::Key(keys) => {
                let keys: Map<String, Json> = serde_json::from_str(keys).unwrap_or_default();
                let pairs: Vec<_> =
                    keys.iter().map(|(name, value)| format!("{name}={value}")).collect();
                write!(f, "[{}]", pairs.join(","))
            }
        }
    }
}

/// A set of paths. A path may be in it without the paths below it, and the other way round.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSet {
    /// Whether the path that leads here is in the set.
    is_member: bool,
    /// Never has an empty set.
    children: BTreeMap<Step, FieldSet>,
}

impl FieldSet {
    /// The set of one path.
    pub fn of_path(path: &[&str]) -> Self {
        let mut set = Self { is_member: true, children: BTreeMap::new() };
        for name in path.iter().rev() {
            set = Self { is_member: false, children: [(Step::field(name), set)].into() };
        }
        set
    }

    /// Whether no path is in it.
    pub fn is_empty(&self) -> bool {
        !self.is_member && self.children.is_empty()
    }

    /// Whether the path that leads here is in the set.
    pub fn is_member(&self) -> bool {
        self.is_member
    }

    /// Puts the path that leads here in.
    pub fn add_self(&mut self) {
        self.is_member = true;
    }

    /// What is below a step.
    pub fn below(&self, step: &Step) -> Option<&Self> {
        self.children.get(step)
    }

    /// Every step with what is below it.
    pub fn children(&self) -> impl Iterator<Item = (&Step, &Self)> {
        self.children.iter()
    }

    /// Puts a set below a step; an empty one leaves no trace.
    pub fn add_below(&mut self, step: Step, set: Self) {
        if set.is_empty() {
            return;
        }
        match self.children.get_mut(&step) {
            Some(present) => *present = present.union(&set),
            None => {
                self.children.insert(step, set);
            }
        }
    }

    /// Paths of either.
    pub fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.is_member |= other.is_member;
        for (step, set) in &other.children {
            all.add_below(step.clone(), set.clone());
        }
        all
    }

    /// Paths of this one that `other` lacks.
    pub fn difference(&self, other: &Self) -> Self {
        let mut left =
            Self { is_member: self.is_member && !other.is_member, children: BTreeMap::new() };
        for (step, set) in &self.children {
            let kept = match other.children.get(step) {
                Some(other) => set.difference(other),
                None => set.clone(),
            };
            left.add_below(step.clone(), kept);
        }
        left
    }

    /// Paths of both.
    pub fn intersection(&self, other: &Self) -> Self {
        let mut both =
            Self { is_member: self.is_member && other.is_member, children: BTreeMap::new() };
        for (step, set) in &self.children {
            if let Some(other) = other.children.get(step) {
                both.add_below(step.clone(), set.intersection(other));
            }
        }
        both
    }

    /// Without a field of the top and everything below it.
    pub fn without_field(&self, name: &str) -> Self {
        let mut left = self.clone();
        left.children.remove(&Step::field(name));
        left
    }

    /// Only a field of the top and everything below it.
    pub fn only_field(&self, name: &str) -> Self {
        let mut left = Self::default();
        if let Some((step, set)) = self.children.get_key_value(&Step::field(name)) {
            left.children.insert(step.clone(), set.clone());
        }
        left
    }

    /// Every path in it, in the API server's form, in order.
    pub fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths("", &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &str, paths: &mut Vec<String>) {
        if self.is_member {
            paths.push(prefix.to_owned());
        }
        for (step, set) in &self.children {
            set.collect_paths(&format!("{prefix}{step}"), paths);
        }
    }

    /// `fieldsV1`.
    pub fn to_json(&self) -> Json {
        let mut fields = Map::new();
        if self.is_member && !self.children.is_empty() {
            fields.insert(".".to_owned(), Json::Object(Map::new()));
        }
        for (step, set) in &self.children {
            fields.insert(step.text(), set.to_json());
        }
        Json::Object(fields)
    }

    /// Reads `fieldsV1`; `None` for what no API server writes.
    pub fn from_json(fields: &Json) -> Option<Self> {
        let mut set = Self::default();
        set.read(fields.as_object()?)?;
        Some(set)
    }

    fn read(&mut self, fields: &Map<String, Json>) -> Option<()> {
        for (name, below) in fields {
            let below = below.as_object()?;
            if name == "." {
                self.is_member = true;
                continue;
            }
            let mut set = Self { is_member: below.is_empty(), children: BTreeMap::new() };
            set.read(below)?;
            self.add_below(Step::parse(name)?, set);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(fields: Json) -> FieldSet {
        FieldSet::from_json(&fields).unwrap()
    }

    #[test]
    fn a_set_reads_back_as_it_was_written() {
        let fields = json!({
            "f:metadata": {"f:finalizers": {".": {}, "v:\"a/b\"": {}}},
            "f:spec": {"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}},
        });
        assert_eq!(set(fields.clone()).to_json(), fields);
        assert_eq!(
            set(fields).paths(),
            [
                ".metadata.finalizers",
                ".metadata.finalizers[=\"a/b\"]",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
            ]
        );
    }

    #[test]
    fn keys_are_the_same_in_any_order() {
        let a = json!({"f:ports": {"k:{\"port\":80,\"protocol\":\"TCP\"}": {}}});
        let b = json!({"f:ports": {"k:{\"protocol\":\"TCP\", \"port\":80}": {}}});
        assert_eq!(set(a), set(b));
    }

    #[test]
    fn what_is_no_set_is_told() {
        for fields in [json!([]), json!({"spec": {}}), json!({"f:spec": 1}), json!({"k:x": {}})] {
            assert_eq!(FieldSet::from_json(&fields), None, "{fields}");
        }
    }

    #[test]
    fn a_difference_leaves_no_empty_branches() {
        let a = set(json!({"f:spec": {"f:a": {}, "f:b": {"f:c": {}}}}));
        assert!(a.difference(&a).is_empty());
        let b = set(json!({"f:spec": {"f:b": {"f:c": {}}}}));
        assert_eq!(a.difference(&b).to_json(), json!({"f:spec": {"f:a": {}}}));
        assert_eq!(a.intersection(&b), b);
        assert_eq!(a.difference(&b).union(&b), a);
    }
}
