//! The simple JSON paths of a CustomResourceDefinition's printer columns.

use serde_json::Value as Json;

/// The first value that a path such as `.status.conditions[?(@.type=="Ready")].status` leads to.
pub(super) fn first<'a>(object: &'a Json, path: &str) -> Option<&'a Json> {
    let mut found = vec![object];
    let mut rest = path;
    while !rest.is_empty() {
        let (step, after) = step(rest)?;
        found = found.into_iter().flat_map(|value| step.of(value)).collect();
        rest = after;
    }
    found.into_iter().next()
}

enum Step<'a> {
    Field(String),
    Index(i64),
    All,
    /// Items whose value at a path equals a text.
    Where(&'a str, &'a str),
}

/// The first step of a path, and what is behind it.
fn step(path: &str) -> Option<(Step<'_>, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let mut name = String::new();
        let mut chars = rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => name.extend(chars.next().map(|(_, escaped)| escaped)),
                '.' | '[' => return Some((Step::Field(name), &rest[at..])),
                c => name.push(c),
            }
        }
        return Some((Step::Field(name), ""));
    }
    let inner = path.strip_prefix('[')?;
    let end = if inner.starts_with("?(") { inner.find(")]")? + 1 } else { inner.find(']')? };
    let (inner, rest) = (&inner[..end], &inner[end + 1..]);
    if inner == "*" {
        return Some((Step::All, rest));
    }
    if let Some(filter) = inner.strip_prefix("?(@").and_then(|filter| filter.strip_suffix(')')) {
        let (path, value) = filter.split_once("==")?;
        return Some((Step::Where(path.trim(), unquoted(value.trim())?), rest));
    }
    let step = match unquoted(inner) {
        Some(name) => Step::Field(name.to_owned()),
        None => Step::Index(inner.parse().ok()?),
    };
    Some((step, rest))
}

fn unquoted(text: &str) -> Option<&str> {
    ['\'', '"'].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote))
}

impl Step<'_> {
    fn of<'a>(&self, value: &'a Json) -> Vec<&'a Json> {
        let items = || value.as_array().into_iter().flatten();
        match self {
            Step::Field(name) => value.get(name).into_iter().collect(),
            Step::Index(at) if *at < 0 => {
                items().nth_back(at.unsigned_abs() as usize - 1).into_iter().collect()
            }
            Step::Index(at) => items().nth(*at as usize).into_iter().collect(),
            Step::All => match value {
                Json::Object(fields) => fields.values().collect(),
                _ => items().collect(),
            },
            Step::Where(path, wanted) => {
                items().filter(|item| first(item, path).is_some_and(|v| v == wanted)).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_lead_to_values() {
        let object = json!({
            "metadata": {"labels": {"a.b/c": "dotted"}},
            "status": {"conditions": [
                {"type": "Synced", "status": "True"}, {"type": "Ready", "status": "False"},
            ]},
        });
        let table = [
            (".status.conditions[?(@.type==\"Ready\")].status", Some("False")),
            (".status.conditions[?(@.type=='Gone')].status", None),
            (".status.conditions[0].type", Some("Synced")),
            (".status.conditions[-1].type", Some("Ready")),
            (".status.conditions[*].type", Some("Synced")),
            (".metadata.labels.a\\.b/c", Some("dotted")),
            (".metadata.labels['a.b/c']", Some("dotted")),
            (".spec.nothing", None),
            ("nonsense", None),
            (".status[", None),
        ];
        for (path, expected) in table {
            assert_eq!(first(&object, path).and_then(Json::as_str), expected, "{path}");
        }
    }
}
