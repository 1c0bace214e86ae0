//! Tables of values: merging the user's layers, and coalescing them with what charts and their
//! subcharts have as defaults. Works on template values, because Helm's tables are shared between
//! a chart and its subcharts, and templates can change them.

use std::rc::Rc;

use serde_json::Value as Json;

use super::scope::Scope;
use crate::template::value::{Element, List, Map, Value};

/// The key of the values that subcharts share.
const GLOBAL: &str = "global";

/// Merges `over` onto `base`: tables are merged, everything else is replaced. Nulls stay: they
/// remove defaults later.
pub fn merge_layers(base: &mut Json, over: Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(&key) {
                    Some(old) if old.is_object() && value.is_object() => merge_layers(old, value),
                    _ => {
                        base.insert(key, value);
                    }
                }
            }
        }
        (base, over) => *base = over,
    }
}

/// JSON as a template's value: numbers with a fraction type are `float64`, others `int64`.
pub fn to_value(json: &Json) -> Value {
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(integer) => Value::Int64(integer),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::str(text.as_str()),
        Json::Array(items) => Value::list(items.iter().map(to_value).collect()),
        Json::Object(entries) => {
            Value::map(entries.iter().map(|(key, value)| (key.as_str().into(), to_value(value))))
        }
    }
}

/// The table of a JSON object; empty for anything else.
pub fn to_map(json: &Json) -> Map {
    as_map(&to_value(json)).unwrap_or_default()
}

/// A template's value as JSON; what JSON does not have becomes null.
pub(super) fn to_json(value: &Value) -> Json {
    crate::yaml::write::to_json(value).unwrap_or_default()
}

/// A copy that shares no table with the original.
pub(super) fn deep_copy(value: &Value) -> Value {
    match value {
        Value::Map(map) => Value::Map(copy_map(map)),
        Value::List(list) => Value::List(List {
            element: list.element,
            items: Rc::new(list.items.iter().map(deep_copy).collect()),
        }),
        other => other.clone(),
    }
}

/// As [`deep_copy`], of a table.
pub(super) fn copy_map(map: &Map) -> Map {
    let entries = map.entries.borrow();
    let entries = entries.iter().map(|(key, value)| (key.clone(), deep_copy(value)));
    Map::from_entries(map.element, entries)
}

fn as_map(value: &Value) -> Option<Map> {
    match value {
        Value::Map(map) => Some(map.clone()),
        _ => None,
    }
}

fn is_table(value: &Value) -> bool {
    matches!(value, Value::Map(_))
}

/// The entries as they are now, so that the table may change while they are gone through.
fn entries(map: &Map) -> Vec<(Rc<str>, Value)> {
    map.entries.borrow().iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn join(prefix: &str, key: &str) -> String {
    if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
}

/// The table at a path such as `a.b`; `None` where there is none.
pub(super) fn table(map: &Map, path: &str) -> Option<Map> {
    let mut table = map.clone();
    for part in path.split('.') {
        table = as_map(&table.get(part)?)?;
    }
    Some(table)
}

/// The value at a path that is no table.
pub(super) fn path_value(map: &Map, path: &str) -> Option<Value> {
    let found = match path.rsplit_once('.') {
        Some((parent, key)) => table(map, parent)?.get(key)?,
        None => map.get(path)?,
    };
    (!is_table(&found)).then_some(found)
}

/// Whether nulls remove defaults (coalescing) or stay (merging, for a later coalescing).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Nulls {
    Remove,
    Keep,
}

/// Coalesces the user's values with the defaults of a chart and all its subcharts.
pub(super) struct Coalescing<'a> {
    nulls: Nulls,
    warnings: &'a mut Vec<String>,
}

impl<'a> Coalescing<'a> {
    /// A coalescing that tells what it skips.
    pub(super) fn new(nulls: Nulls, warnings: &'a mut Vec<String>) -> Self {
        Self { nulls, warnings }
    }

    /// The values of `scope`; `user` stays as it is.
    ///
    /// # Errors
    /// Helm's text, where a subchart's values are no table.
    pub(super) fn values(&mut self, scope: &Scope, user: &Map) -> Result<Map, String> {
        let values = copy_map(user);
        self.chart(scope, &values, "")?;
        Ok(values)
    }

    fn chart(&mut self, scope: &Scope, values: &Map, prefix: &str) -> Result<(), String> {
        self.defaults(scope, values, prefix);
        for subchart in &scope.dependencies {
            let inner = match values.get(&subchart.name) {
                None => {
                    let inner = Map::default();
                    values.insert(subchart.name.as_str(), Value::Map(inner.clone()));
                    inner
                }
                Some(Value::Map(inner)) => inner,
                Some(other) => {
                    return Err(format!("type mismatch on {}: {}", subchart.name, go_t(&other)));
                }
            };
            let prefix = join(prefix, &scope.name);
            self.globals(&inner, values, &prefix);
            self.chart(subchart, &inner, &prefix)?;
        }
        Ok(())
    }

    /// Puts the chart's own defaults below `values`.
    fn defaults(&mut self, scope: &Scope, values: &Map, prefix: &str) {
        let prefix = join(prefix, &scope.name);
        for (key, default) in entries(&copy_map(&scope.values)) {
            match values.get(&key) {
                None => values.insert(key, default),
                Some(Value::Nil) if self.nulls == Nulls::Remove => {
                    values.remove(&key);
                }
                Some(Value::Map(table)) => match &default {
                    Value::Map(default) => {
                        let is_subchart = scope.dependencies.iter().any(|sub| *sub.name == *key);
                        let nulls = if is_subchart { Nulls::Keep } else { self.nulls };
                        self.tables(&table, default, &join(&prefix, &key), nulls);
                    }
                    Value::Nil => {}
                    _ => self.warn(format!(
                        "warning: skipped value for {}: Not a table.",
                        join(&prefix, &key)
                    )),
                },
                Some(_) => {}
            }
        }
    }

    fn warn(&mut self, text: String) {
        self.warnings.push(text);
    }

    /// Copies the globals of a chart into those of a subchart.
    fn globals(&mut self, into: &Map, from: &Map, prefix: &str) {
        let place = |map: &Map| match map.get(GLOBAL) {
            None => Some(Map::default()),
            Some(value) => as_map(&value),
        };
        let Some(into_globals) = place(into) else {
            self.warn(format!(
                "warning: skipping globals because destination {GLOBAL} is not a table."
            ));
            return;
        };
        let Some(from_globals) = place(from) else {
            self.warn(format!("warning: skipping globals because source {GLOBAL} is not a table."));
            return;
        };
        for (key, value) in entries(&from_globals) {
            let old = into_globals.get(&key);
            match (&value, old) {
                (Value::Map(table), old) => {
                    // Only the top of the table is copied: what is inside stays shared.
                    let copy = Map::from_entries(table.element, entries(table));
                    match old {
                        None => into_globals.insert(key, Value::Map(copy)),
                        Some(Value::Map(old)) => {
                            self.tables(&copy, &old, &join(prefix, &key), Nulls::Keep);
                            into_globals.insert(key, Value::Map(copy));
                        }
                        Some(_) => self.warn(format!(
                            "Conflict: cannot merge map onto non-map for {key:?}. Skipping."
                        )),
                    }
                }
                (_, Some(Value::Map(_))) => self.warn(format!("key {key} is table. Skipping")),
                (_, _) => into_globals.insert(key, value),
            }
        }
        into.insert(GLOBAL, Value::Map(into_globals));
    }

    /// Puts `from` below `into`. A null of the user removes a default only where there is one.
    pub(super) fn tables(&mut self, into: &Map, from: &Map, prefix: &str, nulls: Nulls) {
        let has_default = |key: &str| from.get(key).is_some_and(|value| !value.is_nil());
        let defaults: Vec<(Rc<str>, bool)> = entries(into)
            .into_iter()
            .filter(|(_, value)| value.is_nil())
            .map(|(key, _)| (key.clone(), has_default(&key)))
            .collect();
        for (key, _) in &defaults {
            from.insert(key.clone(), Value::Nil);
        }
        for (key, value) in entries(from) {
            let full = join(prefix, &key);
            match into.get(&key) {
                None => into.insert(key, value),
                Some(Value::Nil)
                    if nulls == Nulls::Remove
                        && defaults.iter().any(|(name, has)| *name == key && *has) =>
                {
                    into.remove(&key);
                }
                Some(old) => match (&value, &old) {
                    (Value::Map(value), Value::Map(old)) => self.tables(old, value, &full, nulls),
                    (Value::Map(_), _) => self
                        .warn(format!("warning: cannot overwrite table with non table for {full}")),
                    (value, Value::Map(_)) if !value.is_nil() => self.warn(format!(
                        "warning: destination for {full} is a table. Ignoring non-table value"
                    )),
                    _ => {}
                },
            }
        }
    }
}

/// A value as Go's `%t` prints it when it is no boolean.
fn go_t(value: &Value) -> String {
    match value {
        Value::Nil => "%!t(<nil>)".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Str(text) => format!("%!t(string={text})"),
        Value::Float(number) => {
            format!("%!t(float64={})", crate::yaml::number::general(*number))
        }
        Value::Int64(number) => format!("%!t(int64={number})"),
        Value::List(list) => {
            let items: Vec<String> = list.items.iter().map(go_t).collect();
            format!("[{}]", items.join(" "))
        }
        _ => "%!t(?)".to_owned(),
    }
}

/// The same table as Go's `chartutil.Values`, which shows in `typeOf`.
pub(super) fn as_values(map: &Map) -> Map {
    Map { element: Element::Values, entries: Rc::clone(&map.entries) }
}

#[cfg(test)]
mod tests;
