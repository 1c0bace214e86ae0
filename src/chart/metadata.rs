//! `Chart.yaml` as Helm reads it: known fields, coerced to their types, checked.

use serde_json::{Map, Value as Json, json};

use crate::object::access;
use crate::sprig::semver::Version;
use crate::yaml::number;

/// The type of a field of `Chart.yaml`.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Texts,
    Flag,
    TextMap,
    Maintainers,
    Dependencies,
}

/// The fields in the order in which Helm's release records have them.
const FIELDS: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("home", Kind::Text),
    ("sources", Kind::Texts),
    ("version", Kind::Text),
    ("description", Kind::Text),
    ("keywords", Kind::Texts),
    ("maintainers", Kind::Maintainers),
    ("icon", Kind::Text),
    ("apiVersion", Kind::Text),
    ("condition", Kind::Text),
    ("tags", Kind::Text),
    ("appVersion", Kind::Text),
    ("deprecated", Kind::Flag),
    ("annotations", Kind::TextMap),
    ("kubeVersion", Kind::Text),
    ("dependencies", Kind::Dependencies),
    ("type", Kind::Text),
];

const MAINTAINER: &[(&str, Kind)] =
    &[("name", Kind::Text), ("email", Kind::Text), ("url", Kind::Text)];

const DEPENDENCY: &[(&str, Kind)] = &[
    ("name", Kind::Text),
    ("version", Kind::Text),
    ("repository", Kind::Text),
    ("condition", Kind::Text),
    ("tags", Kind::Texts),
    ("alias", Kind::Text),
];

/// A chart that another one asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Requirement {
    /// The chart's name; after resolving, its alias if it has one.
    pub name: String,
    /// The range its version has to be in.
    pub version: String,
    /// Where it comes from.
    pub repository: String,
    /// Paths of values that switch it on or off, with commas in between.
    pub condition: String,
    /// Tags that switch it on or off.
    pub tags: Vec<String>,
    /// Another name for it.
    pub alias: String,
    /// Values that go up to the parent: names, or `{child, parent}`.
    pub import_values: Vec<Json>,
    /// Those that have gone up, as `{child, parent}`.
    pub imported: Vec<Json>,
}

impl Requirement {
    /// As JSON, with the fields that Go's marshaller leaves out when they are empty left out. A
    /// requirement that is left is switched on.
    pub(super) fn json(&self) -> Json {
        let imports: Vec<&Json> = self.imported.iter().chain(&self.import_values).collect();
        let fields = [
            ("name", Json::from(self.name.as_str())),
            ("version", Json::from(self.version.as_str())),
            ("repository", Json::from(self.repository.as_str())),
            ("condition", Json::from(self.condition.as_str())),
            ("tags", json!(self.tags)),
            ("enabled", Json::Bool(true)),
            ("import-values", json!(imports)),
            ("alias", Json::from(self.alias.as_str())),
        ];
        let is_shown = |(name, value): &(&str, Json)| {
            matches!(*name, "name" | "repository") || (*value != "" && *value != json!([]))
        };
        let shown = fields.into_iter().filter(is_shown);
        Json::Object(shown.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

/// The requirements in a chart's metadata; `None` when it has no such field.
pub fn requirements(metadata: &Json) -> Option<Vec<Requirement>> {
    let items = metadata.get("dependencies")?.as_array()?;
    let text = |item: &Json, name: &str| item[name].as_str().unwrap_or_default().to_owned();
    Some(
        items
            .iter()
            .map(|item| Requirement {
                name: text(item, "name"),
                version: text(item, "version"),
                repository: text(item, "repository"),
                condition: text(item, "condition"),
                tags: item["tags"]
                    .as_array()
                    .map(|tags| tags.iter().filter_map(Json::as_str).map(str::to_owned).collect())
                    .unwrap_or_default(),
                alias: text(item, "alias"),
                import_values: item["import-values"].as_array().cloned().unwrap_or_default(),
                imported: Vec::new(),
            })
            .collect(),
    )
}

/// Merges what a `Chart.yaml` or `requirements.yaml` says into `metadata`. Unknown fields do not
/// count; empty ones are left out.
///
/// # Errors
/// Go's text, for a value of another type.
pub(super) fn merge(metadata: &mut Map<String, Json>, document: &Json) -> Result<(), String> {
    let fields = match document {
        Json::Null => return Ok(()),
        Json::Object(fields) => fields,
        other => return Err(mismatch(other, "", "chart.Metadata")),
    };
    merge_fields(metadata, fields, FIELDS, "Metadata")
}

fn merge_fields(
    into: &mut Map<String, Json>,
    fields: &Map<String, Json>,
    known: &[(&str, Kind)],
    owner: &str,
) -> Result<(), String> {
    for (key, value) in fields {
        let exact = known.iter().find(|(name, _)| name == key);
        let found = exact.or_else(|| known.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)));
        let Some((name, kind)) = found else { continue };
        if value.is_null() {
            continue;
        }
        let value = coerce(value, *kind, &format!("{owner}.{name}"))?;
        if is_empty(&value) && !matches!(kind, Kind::Dependencies) {
            into.remove(*name);
        } else {
            into.insert((*name).to_owned(), value);
        }
    }
    Ok(())
}

fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::String(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(entries) => entries.is_empty(),
        Json::Bool(true) | Json::Number(_) => false,
    }
}

fn coerce(value: &Json, kind: Kind, field: &str) -> Result<Json, String> {
    match (kind, value) {
        (Kind::Text, value) => text(value, field).map(Json::String),
        (Kind::Texts, Json::Array(items)) => {
            items.iter().map(|item| text(item, field).map(Json::String)).collect()
        }
        (Kind::Texts, other) => Err(mismatch(other, field, "[]string")),
        (Kind::Flag, Json::Bool(flag)) => Ok(Json::Bool(*flag)),
        (Kind::Flag, other) => Err(mismatch(other, field, "bool")),
        (Kind::TextMap, Json::Object(entries)) => {
            let entries = entries.iter().map(|(key, value)| {
                // Annotations are not cleaned, and a null is an empty text.
                Ok((key.clone(), Json::String(plain_text(value, field)?)))
            });
            entries.collect::<Result<Map<_, _>, String>>().map(Json::Object)
        }
        (Kind::TextMap, other) => Err(mismatch(other, field, "map[string]string")),
        (Kind::Maintainers, Json::Array(items)) => structures(items, MAINTAINER, "Maintainer"),
        (Kind::Maintainers, other) => Err(mismatch(other, field, "[]*chart.Maintainer")),
        (Kind::Dependencies, Json::Array(items)) => structures(items, DEPENDENCY, "Dependency"),
        (Kind::Dependencies, other) => Err(mismatch(other, field, "[]*chart.Dependency")),
    }
}

fn structures(items: &[Json], known: &[(&str, Kind)], owner: &str) -> Result<Json, String> {
    items
        .iter()
        .map(|item| match item {
            // Refused later, with Helm's words.
            Json::Null => Ok(Json::Null),
            Json::Object(fields) => {
                let mut into = Map::new();
                merge_fields(&mut into, fields, known, owner)?;
                if let Some(imports) = fields.get("import-values").filter(|v| v.is_array()) {
                    into.insert("import-values".to_owned(), imports.clone());
                }
                if owner == "Dependency" {
                    // Two fields of a dependency are never left out.
                    for name in ["name", "repository"] {
                        into.entry(name).or_insert_with(|| Json::String(String::new()));
                    }
                }
                Ok(Json::Object(into))
            }
            other => Err(mismatch(other, "", &format!("chart.{owner}"))),
        })
        .collect()
}

fn text(value: &Json, field: &str) -> Result<String, String> {
    plain_text(value, field).map(|text| clean(&text))
}

fn plain_text(value: &Json, field: &str) -> Result<String, String> {
    match value {
        Json::Null => Ok(String::new()),
        Json::String(text) => Ok(text.clone()),
        Json::Bool(flag) => Ok(flag.to_string()),
        Json::Number(number) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
        // Go's library prints a number for a text field with the digits of a 32-bit float.
        Json::Number(number) => Ok(number::general_32(number.as_f64().unwrap_or_default() as f32)),
        other => Err(mismatch(other, field, "string")),
    }
}

fn mismatch(value: &Json, field: &str, kind: &str) -> String {
    let found = access::type_name(value);
    let target =
        if field.is_empty() { "Go value".to_owned() } else { format!("Go struct field {field}") };
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into \
         {target} of type {kind}"
    )
}

/// White space becomes a space, what cannot be printed goes away.
fn clean(text: &str) -> String {
    text.chars()
        .filter_map(|c| match c {
            c if c.is_whitespace() => Some(' '),
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect()
}

/// Helm's checks of a chart's metadata.
///
/// # Errors
/// Helm's text.
pub(super) fn validate(metadata: &Map<String, Json>) -> Result<(), String> {
    let text = |name: &str| metadata.get(name).and_then(Json::as_str).unwrap_or_default();
    let (name, version) = (text("name"), text("version"));
    let problem = if text("apiVersion").is_empty() {
        "chart.metadata.apiVersion is required".to_owned()
    } else if name.is_empty() {
        "chart.metadata.name is required".to_owned()
    } else if name == "." || name == ".." {
        format!("chart.metadata.name {name:?} is not allowed")
    } else if name.contains('/') {
        format!("chart.metadata.name {name:?} is invalid")
    } else if version.is_empty() {
        "chart.metadata.version is required".to_owned()
    } else if Version::parse(version).is_err() {
        format!("chart.metadata.version {version:?} is invalid")
    } else if !matches!(text("type"), "" | "application" | "library") {
        "chart.metadata.type must be application or library".to_owned()
    } else {
        return validate_lists(metadata).map_err(|problem| format!("validation: {problem}"));
    };
    Err(format!("validation: {problem}"))
}

fn validate_lists(metadata: &Map<String, Json>) -> Result<(), String> {
    let items = |name: &str| metadata.get(name).and_then(Json::as_array).into_iter().flatten();
    if items("maintainers").any(Json::is_null) {
        return Err("maintainers must not contain empty or null nodes".to_owned());
    }
    let mut names = std::collections::BTreeSet::new();
    for item in items("dependencies") {
        if item.is_null() {
            return Err("dependencies must not contain empty or null nodes".to_owned());
        }
        let name = item["name"].as_str().unwrap_or_default();
        let alias = item["alias"].as_str().unwrap_or_default();
        let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !alias.chars().all(is_legal) {
            return Err(format!("dependency {name:?} has disallowed characters in the alias"));
        }
        let key = if alias.is_empty() { name } else { alias };
        if !names.insert(key) {
            return Err(format!("more than one dependency with name or alias {key:?}"));
        }
    }
    Ok(())
}
