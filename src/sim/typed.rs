//! Values with their types: which fields one has, how two differ, how they merge, and a value
//! without some of its fields. The rules are those of server-side apply.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::fields::{FieldSet, Step};
use super::schema::{ListKind, Shape, item_keys};
use crate::object::pointer::unescaped;

/// How a new value differs from an old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Only the new one has them.
    pub added: FieldSet,
    /// Both have them, with different values.
    pub modified: FieldSet,
    /// Only the old one has them.
    pub removed: FieldSet,
}

impl Comparison {
    /// Added and modified.
    pub fn changed(&self) -> FieldSet {
        self.added.union(&self.modified)
    }

    /// Each of the three through a filter.
    pub fn map(&self, filter: impl Fn(&FieldSet) -> FieldSet) -> Self {
        Self {
            added: filter(&self.added),
            modified: filter(&self.modified),
            removed: filter(&self.removed),
        }
    }

    fn below(step: &Step, part: Self, into: &mut Self) {
        into.added.add_below(step.clone(), part.added);
        into.modified.add_below(step.clone(), part.modified);
        into.removed.add_below(step.clone(), part.removed);
    }
}

/// How the items of a list are told apart, with the shape of the items.
fn steps(items: &[Json], shape: Shape<'_>) -> Option<Vec<Step>> {
    let kind = shape.list();
    if kind == ListKind::Atomic {
        return None;
    }
    let steps = items.iter().enumerate().map(|(at, item)| match &kind {
        ListKind::Set => Step::Value(item.to_string()),
        ListKind::Map(keys) => {
            item_keys(item, keys, shape.item()).map_or(Step::Index(at), Step::Key)
        }
        ListKind::Atomic => Step::Index(at),
    });
    Some(steps.collect())
}

/// Items by their steps; of several with one step the first.
fn index<'a>(items: &'a [Json], steps: &[Step]) -> BTreeMap<Step, &'a Json> {
    let mut found = BTreeMap::new();
    for (item, step) in items.iter().zip(steps) {
        found.entry(step.clone()).or_insert(item);
    }
    found
}

/// A list with the steps of its items, when it is merged item by item.
fn granular<'a>(value: &'a Json, shape: Shape<'_>) -> Option<(&'a [Json], Vec<Step>)> {
    let items = value.as_array()?;
    Some((items, steps(items, shape)?))
}

/// An object, when it is merged field by field.
fn granular_map<'a>(value: &'a Json, shape: Shape<'_>) -> Option<&'a Map<String, Json>> {
    value.as_object().filter(|_| !shape.is_atomic_map())
}

/// The fields that whoever applies `value` owns.
pub fn set_of(value: &Json, shape: Shape<'_>) -> FieldSet {
    let mut set = FieldSet::default();
    if let Some(fields) = granular_map(value, shape) {
        for (name, field) in fields {
            let (below, is_declared) = shape.field(name);
            let mut part = set_of(field, below);
            let is_hollow = field.is_null() || field.as_object().is_some_and(Map::is_empty);
            if is_hollow || !is_declared {
                part.add_self();
            }
            set.add_below(Step::field(name), part);
        }
    } else if let Some((items, steps)) = granular(value, shape) {
        for (item, step) in items.iter().zip(steps) {
            let mut part = set_of(item, shape.item());
            part.add_self();
            set.add_below(step, part);
        }
    } else if !is_empty_container(value, shape) {
        set.add_self();
    }
    set
}

/// The path of a JSON pointer in the API server's form, which names items by their keys.
pub(super) fn path_of(value: &Json, pointer: &str, shape: Shape<'_>) -> String {
    let (mut value, mut shape) = (value, shape);
    let mut told = String::new();
    for step in pointer.split('/').skip(1) {
        let step = unescaped(step);
        let found = match value {
            Json::Object(fields) => {
                told.push_str(&format!(".{step}"));
                let field = fields.get_key_value(&step);
                field.map(|(name, value)| (value, shape.field(name).0))
            }
            Json::Array(items) => {
                let at: usize = step.parse().unwrap_or_default();
                let key = steps(items, shape).and_then(|steps| steps.get(at).cloned());
                told.push_str(&key.unwrap_or(Step::Index(at)).to_string());
                items.get(at).map(|item| (item, shape.item()))
            }
            _ => None,
        };
        let Some(found) = found else { break };
        (value, shape) = found;
    }
    told
}

/// The first list that has two items of the same keys, in the API server's words.
pub(super) fn duplicate(value: &Json, shape: Shape<'_>) -> Option<String> {
    duplicate_below(value, shape, "")
}

fn duplicate_below(value: &Json, shape: Shape<'_>, path: &str) -> Option<String> {
    if let Some(fields) = granular_map(value, shape) {
        return fields.iter().find_map(|(name, field)| {
            duplicate_below(field, shape.field(name).0, &format!("{path}.{name}"))
        });
    }
    let (items, steps) = granular(value, shape)?;
    let mut seen = std::collections::BTreeSet::new();
    items.iter().zip(steps).find_map(|(item, step)| {
        let below = format!("{path}{step}");
        if !seen.insert(step.clone()) {
            return Some(format!("{path}: duplicate entries for key {step}"));
        }
        duplicate_below(item, shape.item(), &below)
    })
}

/// A `null` where a list or an object could be: nothing of it is owned by itself.
fn is_empty_container(value: &Json, shape: Shape<'_>) -> bool {
    value.is_null() && !matches!(shape.list(), ListKind::Atomic)
}

/// How `new` differs from `old`. At least one of them is there.
pub fn compare(old: Option<&Json>, new: Option<&Json>, shape: Shape<'_>) -> Comparison {
    let mut found = Comparison::default();
    let is_leaf = !compare_below(old, new, shape, &mut found);
    match (old, new) {
        (None, Some(_)) => found.added.add_self(),
        (Some(_), None) => found.removed.add_self(),
        (Some(old), Some(new)) if is_leaf && old != new => found.modified.add_self(),
        _ => {}
    }
    found
}

/// Compares field by field or item by item. `false` where the value is compared as one.
fn compare_below(
    old: Option<&Json>,
    new: Option<&Json>,
    shape: Shape<'_>,
    found: &mut Comparison,
) -> bool {
    let is_there = |value: Option<&Json>| value.is_some_and(|value| !value.is_null());
    let map = |value: Option<&'_ Json>| value.is_none_or(|v| v.is_null() || v.is_object());
    let list = |value: Option<&'_ Json>| value.is_none_or(|v| v.is_null() || v.is_array());
    if !is_there(old) && !is_there(new) {
        return false;
    }
    if map(old) && map(new) && !shape.is_atomic_map() {
        return compare_maps(old, new, shape, found);
    }
    if list(old) && list(new) && shape.list() != ListKind::Atomic {
        return compare_lists(old, new, shape, found);
    }
    false
}

fn compare_maps(
    old: Option<&Json>,
    new: Option<&Json>,
    shape: Shape<'_>,
    found: &mut Comparison,
) -> bool {
    let empty = Map::new();
    let old = old.and_then(Json::as_object).unwrap_or(&empty);
    let new = new.and_then(Json::as_object).unwrap_or(&empty);
    if old.is_empty() && new.is_empty() {
        return false;
    }
    let names = old.keys().chain(new.keys().filter(|name| !old.contains_key(*name)));
    for name in names {
        let part = compare(old.get(name), new.get(name), shape.field(name).0);
        Comparison::below(&Step::field(name), part, found);
    }
    true
}

fn compare_lists(
    old: Option<&Json>,
    new: Option<&Json>,
    shape: Shape<'_>,
    found: &mut Comparison,
) -> bool {
    let items = |value: Option<&Json>| value.and_then(Json::as_array).cloned().unwrap_or_default();
    let (old, new) = (items(old), items(new));
    if old.is_empty() && new.is_empty() {
        return false;
    }
    let (Some(old_steps), Some(new_steps)) = (steps(&old, shape), steps(&new, shape)) else {
        return false;
    };
    let (old, new) = (index(&old, &old_steps), index(&new, &new_steps));
    let all = old.keys().chain(new.keys().filter(|step| !old.contains_key(*step)));
    for step in all {
        let part = compare(old.get(step).copied(), new.get(step).copied(), shape.item());
        Comparison::below(step, part, found);
    }
    true
}

/// `config` on top of `live`: fields and items of either, those of `config` where both have them.
pub fn merge(live: &Json, config: &Json, shape: Shape<'_>) -> Json {
    if let (Some(live), Some(config)) = (granular_map(live, shape), granular_map(config, shape)) {
        let mut merged = live.clone();
        for (name, value) in config {
            let value = match live.get(name) {
                Some(live) => merge(live, value, shape.field(name).0),
                None => value.clone(),
            };
            merged.insert(name.clone(), value);
        }
        return Json::Object(merged);
    }
    if let (Some((live, live_steps)), Some((config, steps))) =
        (granular(live, shape), granular(config, shape))
    {
        return Json::Array(merge_lists(
            Listed { items: live, steps: &live_steps },
            Listed { items: config, steps: &steps },
            shape,
        ));
    }
    config.clone()
}

/// Items with what tells them apart.
#[derive(Clone, Copy)]
struct Listed<'a> {
    items: &'a [Json],
    steps: &'a [Step],
}

/// Items that only the live list has stay where they are; the others come in the order of the
/// configuration.
fn merge_lists(live: Listed<'_>, config: Listed<'_>, shape: Shape<'_>) -> Vec<Json> {
    let live_index = index(live.items, live.steps);
    let config_index = index(config.items, config.steps);
    let both = |step: &Step| match (live_index.get(step), config_index.get(step)) {
        (Some(live), Some(config)) => merge(live, config, shape.item()),
        (Some(only), None) | (None, Some(only)) => (*only).clone(),
        (None, None) => Json::Null,
    };
    let mut shared = config.steps.iter().filter(|step| live_index.contains_key(*step)).peekable();
    let mut merged = Vec::with_capacity(live.items.len().max(config.items.len()));
    let (mut at_live, mut at_config) = (0, 0);
    let mut taken = std::collections::BTreeSet::new();
    while at_live < live.steps.len() || at_config < config.steps.len() {
        if let (Some(left), Some(right)) = (live.steps.get(at_live), config.steps.get(at_config)) {
            if left == right {
                taken.insert(right);
                merged.push(both(right));
                at_live += 1;
                at_config += 1;
                shared.next();
                continue;
            }
            if config_index.contains_key(left) && shared.peek().is_some_and(|next| *next != left) {
                at_live += 1;
                continue;
            }
        }
        if let Some(left) = live.steps.get(at_live) {
            if !config_index.contains_key(left) {
                merged.push(live.items[at_live].clone());
                at_live += 1;
                continue;
            }
            if taken.contains(left) {
                at_live += 1;
            }
        }
        if let Some(right) = config.steps.get(at_config) {
            taken.insert(right);
            merged.push(both(right));
            at_config += 1;
            if shared.peek() == Some(&right) {
                shared.next();
            }
        }
    }
    merged
}

/// The value without the fields and items of a set; `None` when nothing is left of it.
pub fn remove(value: &Json, gone: &FieldSet, shape: Shape<'_>) -> Option<Json> {
    if let Some(fields) = granular_map(value, shape) {
        let mut left = Map::new();
        for (name, field) in fields {
            match gone.below(&Step::field(name)) {
                Some(below) if below.is_member() => {}
                Some(below) => {
                    let rest = remove(field, below, shape.field(name).0);
                    left.insert(name.clone(), rest.unwrap_or(Json::Null));
                }
                None => {
                    left.insert(name.clone(), field.clone());
                }
            }
        }
        return (!left.is_empty()).then_some(Json::Object(left));
    }
    if let Some((items, steps)) = granular(value, shape) {
        let mut left = Vec::new();
        for (item, step) in items.iter().zip(&steps) {
            match gone.below(step) {
                Some(below) if below.is_member() => {}
                Some(below) => left.push(remove(item, below, shape.item()).unwrap_or(Json::Null)),
                None => left.push(item.clone()),
            }
        }
        return (!left.is_empty()).then_some(Json::Array(left));
    }
    Some(value.clone())
}

/// The set with every declared field on the way to a member being a member as well.
pub fn with_declared(set: &FieldSet, shape: Shape<'_>) -> FieldSet {
    let mut all = FieldSet::default();
    if set.is_member() {
        all.add_self();
    }
    for (step, below) in set.children() {
        let part = match step {
            Step::Field(name) => {
                let (field, is_declared) = shape.field(name);
                let mut part = with_declared(below, field);
                if is_declared {
                    part.add_self();
                }
                part
            }
            _ => with_declared(below, shape.item()),
        };
        all.add_below(step.clone(), part);
    }
    all
}
