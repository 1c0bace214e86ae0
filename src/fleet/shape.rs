//! Checks a document's tree against its kind's schema and finds everything that is wrong, each
//! with the place in the file.
//!
//! Understands the part of JSON Schema that [`super::schema`] uses. References between documents
//! are checked elsewhere.

use serde_json::Value as Json;

use super::calendar::{Edge, TimeOfDay, Zone};
use super::schema::{FORMS, Kind};
use crate::base::diagnostic::Diagnostic;
use crate::base::span::Span;
use crate::yaml::node::{Node, NodeKind, ScalarStyle};
use crate::yaml::strict;

/// What the design knows and this version does not do: kind, field, and what to say.
const UNSUPPORTED: [(Kind, &str, &str); 1] =
    [(Kind::ChartRepository, "spec.verify.signature", "signatures are not supported yet")];

/// A form of text that a type reads: its name in schemas, its code, its noun, how it is written,
/// and whether a text is of it.
struct Format {
    name: &'static str,
    code: &'static str,
    noun: &'static str,
    help: &'static str,
    fits: fn(&str) -> bool,
}

const FORMATS: [Format; 4] = [
    Format {
        name: "duration",
        code: "bad-duration",
        noun: "a duration",
        help: "a duration is like `30s`, `10m`, `2h` or `1h 30m`",
        fits: |text| humantime::parse_duration(text).is_ok(),
    },
    Format {
        name: "time-of-day",
        code: "bad-time",
        noun: "a time of day",
        help: "a time of day is like `08:00`; `24:00` is the end of the day",
        fits: |text| TimeOfDay::parse(text).is_some(),
    },
    Format {
        name: "timezone",
        code: "bad-timezone",
        noun: "a time zone",
        help: "a time zone is a name of the IANA database, such as `Europe/Zurich` or `UTC`",
        fits: |text| Zone::parse(text).is_some(),
    },
    Format {
        name: "day-or-time",
        code: "bad-time",
        noun: "a day or a time",
        help: "write a day as `2026-12-18`, a time as `2026-12-18 18:00`",
        fits: |text| Edge::parse(text).is_some(),
    },
];

fn format_of(schema: &Json) -> Option<&'static Format> {
    let name = schema["format"].as_str()?;
    FORMATS.iter().find(|format| format.name == name)
}

/// Everything that is wrong with the shape of a document.
pub(super) fn check(kind: Kind, document: &Node) -> Vec<Diagnostic> {
    let mut walk = Walk { kind, root: kind.schema(), steps: Vec::new(), diagnostics: Vec::new() };
    let at = first_key(document);
    walk.check(kind.schema(), document, &at);
    walk.diagnostics
}

/// Where a document begins, for what is missing in it.
pub(super) fn first_key(node: &Node) -> Span {
    match &node.kind {
        NodeKind::Mapping(entries) => {
            entries.first().map_or(&node.span, |(key, _)| &key.span).clone()
        }
        _ => node.span.clone(),
    }
}

struct Walk {
    kind: Kind,
    root: &'static Json,
    /// The path to the node at hand; an index is `[2]`.
    steps: Vec<String>,
    diagnostics: Vec<Diagnostic>,
}

impl Walk {
    /// `at` is the key that the node stands behind.
    fn check(&mut self, schema: &'static Json, node: &Node, at: &Span) {
        if let Some(pattern) = schema["pattern"].as_str() {
            self.check_form(pattern, node);
        }
        if let Some(reference) = schema["$ref"].as_str() {
            let target = self.root.pointer(reference.trim_start_matches('#'));
            let target = target.expect("a derived schema has every definition it refers to");
            return self.check(target, node, at);
        }
        if let Some(choices) = schema["anyOf"].as_array() {
            return self.check_any(choices, node, at);
        }
        if let Some(settings) = with_settings(schema) {
            return self.check_with_settings(schema, settings, node, at);
        }
        if let Some(values) = constants(schema) {
            return self.check_constant(&values, node);
        }
        let types: Vec<&str> = match &schema["type"] {
            Json::String(name) => vec![name],
            Json::Array(names) => names.iter().filter_map(Json::as_str).collect(),
            // A schema without a type takes anything.
            _ => return,
        };
        let found = type_of(node);
        if !types.iter().any(|wanted| fits(wanted, found, node)) {
            self.wrong_type(&types, found, node);
            if let (Some(format), Some(last)) = (format_of(schema), self.diagnostics.last_mut()) {
                last.help = vec![format.help.to_owned()];
            }
            return;
        }
        match &node.kind {
            NodeKind::Mapping(_) => self.check_object(schema, node, at),
            NodeKind::Sequence(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.steps.push(format!("[{index}]"));
                    self.check(&schema["items"], item, &first_key(item));
                    self.steps.pop();
                }
            }
            NodeKind::Scalar { text, .. } => {
                if let Some(format) = format_of(schema) {
                    self.check_format(format, text, node);
                }
                if let Some(value) = schema["const"].as_str() {
                    self.check_constant(&[value], node);
                }
            }
        }
    }

    fn check_any(&mut self, choices: &'static [Json], node: &Node, at: &Span) {
        let is_null = |schema: &Json| schema["type"] == "null";
        if type_of(node) == "null" && choices.iter().any(is_null) {
            return;
        }
        let mut real = choices.iter().filter(|schema| !is_null(schema));
        if let (Some(only), None) = (real.next(), real.next()) {
            return self.check(only, node, at);
        }
        let before = self.diagnostics.len();
        for choice in choices {
            self.check(choice, node, at);
            if self.diagnostics.len() == before {
                return;
            }
            self.diagnostics.truncate(before);
        }
        let types: Vec<&str> =
            choices.iter().filter_map(|schema| schema["type"].as_str()).collect();
        self.wrong_type(&types, type_of(node), node);
    }

    /// A word, or a mapping from a word to its settings.
    fn check_with_settings(
        &mut self,
        schema: &'static Json,
        settings: &'static Json,
        node: &Node,
        at: &Span,
    ) {
        if matches!(node.kind, NodeKind::Mapping(_)) {
            return self.check(settings, node, at);
        }
        let properties = settings["properties"].as_object().into_iter().flatten();
        let words: Vec<&str> = properties.map(|(name, _)| name.as_str()).collect();
        let text = node.text().unwrap_or_default();
        if words.contains(&text) {
            let message = format!("{} says `{text}` without its settings", self.place());
            self.diagnostics.push(
                Diagnostic::error("missing-field", message)
                    .label(&node.span, "needs settings")
                    .help(format!("write it as a mapping: `{{{text}: {{…}}}}`")),
            );
            return;
        }
        let plain = constants(schema).unwrap_or_default();
        let all: Vec<&str> = plain.into_iter().chain(words).collect();
        self.check_constant(&all, node);
    }

    fn check_object(&mut self, schema: &'static Json, node: &Node, at: &Span) {
        let empty = serde_json::Map::new();
        let properties = schema["properties"].as_object().unwrap_or(&empty);
        let entries = entries(node);
        for (key, value) in &entries {
            let Some(name) = key.text() else { continue };
            self.steps.push(name.to_owned());
            match schema["properties"].get(name) {
                Some(property) => self.check(property, value, &key.span),
                None if schema["additionalProperties"].is_object() => {
                    self.check(&schema["additionalProperties"], value, &key.span);
                }
                None if schema["additionalProperties"] == Json::Bool(false)
                    && !self.is_unsupported(key) =>
                {
                    self.unknown_field(name, key, properties.keys().map(String::as_str));
                }
                None => {}
            }
            self.steps.pop();
        }
        let has = |name: &str| entries.iter().any(|(key, _)| key.text() == Some(name));
        for name in schema["required"].as_array().into_iter().flatten() {
            let name = name.as_str().unwrap_or_default();
            if !has(name) {
                self.missing_field(name, at);
            }
        }
        self.check_exactly_one(schema, &entries, at);
    }

    fn check_exactly_one(&mut self, schema: &Json, entries: &[(&Node, &Node)], at: &Span) {
        let Some(choices) = schema["oneOf"].as_array() else { return };
        let names: Vec<&str> =
            choices.iter().filter_map(|choice| choice["required"][0].as_str()).collect();
        let given: Vec<&Node> = entries
            .iter()
            .filter(|(key, value)| {
                key.text().is_some_and(|key| names.contains(&key)) && type_of(value) != "null"
            })
            .map(|(key, _)| *key)
            .collect();
        let list = list(&names, "or");
        let place = self.place();
        match given.as_slice() {
            [_] => {}
            // One that is not supported yet was told as that.
            [] if entries.iter().any(|(key, _)| self.names_unsupported(key)) => {}
            [] => self.diagnostics.push(
                Diagnostic::error("exactly-one-of", format!("{place} needs {list}"))
                    .label(at, "none is given"),
            ),
            [first, rest @ ..] => {
                let message = format!("{place} takes only one of {list}");
                let mut diagnostic = Diagnostic::error("exactly-one-of", message);
                for extra in rest {
                    diagnostic = diagnostic.label(&extra.span, "one too many");
                }
                self.diagnostics.push(diagnostic.label(&first.span, "the first one"));
            }
        }
    }

    /// The path as a user would say it.
    fn place(&self) -> String {
        if self.steps.is_empty() {
            return format!("a {}", self.kind);
        }
        let mut text = String::new();
        for step in &self.steps {
            if !text.is_empty() && !step.starts_with('[') {
                text.push('.');
            }
            text.push_str(step);
        }
        format!("`{text}`")
    }

    /// What to say of the path at hand, where it is not supported yet.
    fn unsupported(&self) -> Option<&'static str> {
        let steps = self.steps.iter().map(|step| match step.strip_prefix('[') {
            Some(_) => "[]".to_owned(),
            None => format!(".{step}"),
        });
        let plain: String = steps.collect();
        let plain = plain.trim_start_matches('.');
        let found = UNSUPPORTED.iter().find(|(kind, path, _)| *kind == self.kind && *path == plain);
        found.map(|(_, _, message)| *message)
    }

    fn names_unsupported(&mut self, key: &Node) -> bool {
        self.steps.push(key.text().unwrap_or_default().to_owned());
        let found = self.unsupported().is_some();
        self.steps.pop();
        found
    }

    fn is_unsupported(&mut self, key: &Node) -> bool {
        let Some(message) = self.unsupported() else { return false };
        self.diagnostics.push(
            Diagnostic::error("not-supported", message).label(&key.span, "not supported yet"),
        );
        true
    }

    fn unknown_field<'a>(
        &mut self,
        name: &str,
        key: &Node,
        known: impl Iterator<Item = &'a str> + Clone,
    ) {
        let step = self.steps.pop();
        let place = self.place();
        self.steps.extend(step);
        let diagnostic =
            Diagnostic::error("unknown-field", format!("{place} has no field `{name}`"))
                .label(&key.span, "no such field")
                .did_you_mean(name, known.clone());
        let diagnostic = if diagnostic.help.is_empty() {
            let known: Vec<&str> = known.collect();
            diagnostic.help(format!("its fields are {}", list(&known, "and")))
        } else {
            diagnostic
        };
        self.diagnostics.push(diagnostic);
    }

    fn missing_field(&mut self, name: &str, at: &Span) {
        let place = self.place();
        self.diagnostics.push(
            Diagnostic::error("missing-field", format!("{place} needs a field `{name}`"))
                .label(at, format!("`{name}` is missing")),
        );
    }

    fn wrong_type(&mut self, wanted: &[&str], found: &str, node: &Node) {
        let wanted: Vec<&str> =
            wanted.iter().filter(|name| **name != "null").map(|name| in_words(name)).collect();
        let wanted = wanted.join(" or ");
        let found = in_words(found);
        let place = self.place();
        let mut diagnostic =
            Diagnostic::error("wrong-type", format!("{place} is {found}, not {wanted}"))
                .label(&node.span, format!("expected {wanted}"));
        if let NodeKind::Scalar { text, style: ScalarStyle::Plain } = &node.kind
            && wanted == in_words("string")
            && !text.is_empty()
        {
            diagnostic = diagnostic.help(format!("quote it: \"{text}\""));
        }
        if wanted == in_words("array") && found != "empty" {
            diagnostic = diagnostic.help("write each item behind a `-`");
        }
        self.diagnostics.push(diagnostic);
    }

    fn check_constant(&mut self, values: &[&str], node: &Node) {
        let text = node.text().unwrap_or_default();
        if node.text().is_some() && values.contains(&text) {
            return;
        }
        let place = self.place();
        self.diagnostics.push(
            Diagnostic::error("unknown-value", format!("{place} cannot be `{text}`"))
                .label(&node.span, format!("must be {}", list(values, "or")))
                .did_you_mean(text, values.iter().copied()),
        );
    }

    fn check_form(&mut self, pattern: &str, node: &Node) {
        let Some(text) = node.text() else { return };
        let form = FORMS.iter().find(|form| form.pattern.as_str() == pattern);
        let Some(form) = form.filter(|form| !form.pattern.is_match(text)) else { return };
        // Another type, or nothing at all, is told as such.
        if !matches!(strict::scalar(node), Some(Json::String(_))) {
            return;
        }
        let place = self.place();
        self.diagnostics.push(
            Diagnostic::error(form.code, format!("{place} cannot be `{text}`"))
                .label(&node.span, "not of that form")
                .help(form.what),
        );
    }

    fn check_format(&mut self, format: &Format, text: &str, node: &Node) {
        if !(format.fits)(text) {
            let place = self.place();
            self.diagnostics.push(
                Diagnostic::error(format.code, format!("{place} cannot be `{text}`"))
                    .label(&node.span, format!("not {}", format.noun))
                    .help(format.help),
            );
        }
    }
}

/// Of a schema that takes a word or a mapping: the mapping's.
fn with_settings(schema: &'static Json) -> Option<&'static Json> {
    let choices = schema["oneOf"].as_array().filter(|_| schema["type"].is_null())?;
    choices.iter().find(|choice| choice["type"] == "object")
}

/// The texts that a schema lists, if it lists any.
fn constants(schema: &'static Json) -> Option<Vec<&'static str>> {
    if let Some(values) = schema["enum"].as_array() {
        return Some(values.iter().filter_map(Json::as_str).collect());
    }
    let choices = schema["oneOf"].as_array()?;
    let values: Vec<&str> = choices
        .iter()
        .flat_map(|choice| match &choice["enum"] {
            Json::Array(values) => values.iter().filter_map(Json::as_str).collect(),
            _ => choice["const"].as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect();
    (!values.is_empty()).then_some(values)
}

/// Entries with those of merge keys, which come last.
fn entries(node: &Node) -> Vec<(&Node, &Node)> {
    let NodeKind::Mapping(entries) = &node.kind else { return Vec::new() };
    let is_merge = |key: &Node| matches!(&key.kind, NodeKind::Scalar { text, style: ScalarStyle::Plain } if text == "<<");
    let mut all: Vec<(&Node, &Node)> =
        entries.iter().filter(|(key, _)| !is_merge(key)).map(|(key, value)| (key, value)).collect();
    for (_, merged) in entries.iter().filter(|(key, _)| is_merge(key)) {
        for mapping in std::iter::once(merged).chain(merged.items()) {
            if let NodeKind::Mapping(more) = &mapping.kind {
                all.extend(more.iter().map(|(key, value)| (key, value)));
            }
        }
    }
    all
}

/// JSON Schema's name of a node's type.
fn type_of(node: &Node) -> &'static str {
    match &node.kind {
        NodeKind::Mapping(_) => "object",
        NodeKind::Sequence(_) => "array",
        NodeKind::Scalar { .. } => match strict::scalar(node) {
            None | Some(Json::Null) => "null",
            Some(Json::Bool(_)) => "boolean",
            Some(Json::Number(number)) if number.is_f64() => "number",
            Some(Json::Number(_)) => "integer",
            Some(_) => "string",
        },
    }
}

fn fits(wanted: &str, found: &str, node: &Node) -> bool {
    // All whole numbers of ours are counts.
    let is_count = || node.text().is_some_and(|text| text.parse::<u32>().is_ok());
    match (wanted, found) {
        ("integer", "integer") => is_count(),
        ("number", "integer") => true,
        (wanted, found) => wanted == found,
    }
}

fn in_words(name: &str) -> &str {
    match name {
        "object" => "a mapping",
        "array" => "a list",
        "boolean" => "true or false",
        "number" => "a number",
        "integer" => "a whole number",
        "null" => "empty",
        _ => "a text",
    }
}

/// `a`, `b` or `c`.
pub(super) fn list(names: &[&str], joint: &str) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [start @ .., last] => format!("{} {joint} {last}", start.join(", ")),
    }
}
