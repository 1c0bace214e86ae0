//! Names in place of what no two clusters have in common. The same value gets the same name all
//! through a script, so that it still shows which values are equal.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value as Json;

use super::answer::Answer;

static UID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}").unwrap()
});
static TIME: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z").unwrap());
static ADDRESS: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b10\.\d+\.\d+\.\d+\b").unwrap());
/// Versions in messages.
static TOLD: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r"(?i)(resource ?version[^\d,]*|current: |resource version: \d+ \()(\d+)").unwrap()
});
/// Stands for a version of the whole cluster.
const OF_ALL: &str = "VERSION-OF-ALL";
static TOO_OLD: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(too old resource version: VERSION) \(\d+\)").unwrap());
static SERVER: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^127\.0\.0\.1(:\d+)?$").unwrap());
static AGE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"^\d+[smh]$").unwrap());

/// Which value got which name.
#[derive(Debug, Default)]
pub(crate) struct Names {
    known: BTreeMap<(&'static str, String), String>,
    counts: BTreeMap<&'static str, usize>,
    /// Names that the server has made: the name in the script, and what stands for it.
    generated: Vec<(String, String)>,
}

impl Names {
    /// From now on, a name that the server has made is told as the script calls it.
    pub(crate) fn generated(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.generated.push((value.to_owned(), format!("<{name}>")));
        }
    }

    /// Puts names into an answer. What is made only as if has a uid that nothing else has.
    pub(crate) fn normalise(&mut self, answer: &mut Answer, is_as_if: bool) {
        hide_versions_of_all(&mut answer.body);
        order_what_is_invalid(&mut answer.body);
        let uid = answer.body.pointer("/metadata/uid").and_then(Json::as_str);
        let uid = uid.filter(|_| is_as_if).map(str::to_owned);
        let is_known = self.generated.len();
        self.generated.extend(uid.map(|uid| (uid, "UID-AS-IF".to_owned())));
        self.value("", &mut answer.body);
        self.generated.truncate(is_known);
        for line in answer.headers.values_mut() {
            *line = self.text("", line);
        }
    }

    fn name(&mut self, what: &'static str, value: &str) -> String {
        let key = (what, value.to_owned());
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let count = self.counts.entry(what).or_default();
        *count += 1;
        let name = format!("{what}-{count}");
        self.known.insert(key, name.clone());
        name
    }

    fn value(&mut self, field: &str, value: &mut Json) {
        match value {
            Json::Object(fields) => {
                // A real server has no order of the first, and tells some of them twice; the order
                // of the second follows from the seconds in which they were written.
                for name in ["causes", "managedFields"] {
                    if let Some(Json::Array(items)) = fields.get_mut(name) {
                        items.sort_by_key(in_place);
                        items.dedup();
                    }
                }
                let keyed = std::mem::take(fields);
                for (name, mut value) in keyed {
                    self.value(&name, &mut value);
                    fields.insert(self.text("", &name), value);
                }
            }
            Json::Array(items) => items.iter_mut().for_each(|item| self.value(field, item)),
            Json::String(text) => *text = self.text(field, text),
            Json::Number(number) if matches!(field, "nodePort" | "healthCheckNodePort") => {
                *value = Json::from(self.name("PORT", &number.to_string()));
            }
            _ => {}
        }
    }

    fn text(&mut self, field: &str, text: &str) -> String {
        match field {
            "resourceVersion" if matches!(text, "" | "0" | OF_ALL) => return text.to_owned(),
            "resourceVersion" => return self.name("VERSION", text),
            "continue" if !text.is_empty() => return "TOKEN".to_owned(),
            "token" => return "TOKEN".to_owned(),
            "cells" if AGE.is_match(text) => return "AGE".to_owned(),
            _ => {}
        }
        let mut text = text.to_owned();
        for (value, name) in &self.generated {
            text = text.replace(value, name);
        }
        let text = UID.replace_all(&text, |found: &Captures<'_>| self.name("UID", &found[0]));
        let text = ADDRESS.replace_all(&text, |found: &Captures<'_>| self.name("IP", &found[0]));
        let text = TIME.replace_all(&text, "TIME");
        let text = TOLD.replace_all(&text, "${1}VERSION");
        let text = TOO_OLD.replace_all(&text, "$1 (VERSION)");
        let text = SERVER.replace_all(&text, "SERVER");
        text.into_owned()
    }
}

/// Puts the causes that a message lists into the order of `causes` once they are sorted: a real
/// server goes through the fields of a schema in no order. A message that does not list exactly
/// the causes stays as it is.
fn order_what_is_invalid(body: &mut Json) {
    let Some(causes) = body.pointer("/details/causes").and_then(Json::as_array) else { return };
    let mut causes = causes.clone();
    causes.sort_by_key(in_place);
    causes.dedup();
    let text = |cause: &Json, field: &str| cause[field].as_str().unwrap_or_default().to_owned();
    let ordered: Vec<_> = causes
        .iter()
        .map(|cause| format!("{}: {}", text(cause, "field"), text(cause, "message")))
        .collect();
    let message = body["message"].as_str().unwrap_or_default();
    let Some((head, listed)) = message.split_once(": [") else { return };
    let Some(listed) = listed.strip_suffix(']') else { return };
    let (mut rest, mut count) = (listed.to_owned(), 0);
    for one in &ordered {
        count += rest.matches(one.as_str()).count();
        rest = rest.replace(one.as_str(), "");
    }
    if rest == ", ".repeat(count.saturating_sub(1)) {
        body["message"] = Json::from(format!("{head}: [{}]", ordered.join(", ")));
    }
}

/// What a cause or an entry of `managedFields` is sorted by.
fn in_place(item: &Json) -> String {
    let text = |field: &str| item[field].as_str().unwrap_or_default().to_owned();
    ["field", "message", "manager", "operation", "subresource", "apiVersion"].map(text).join("\0")
}

/// The version of the whole cluster, which lists and bookmarks have: who else has written is not
/// known.
fn hide_versions_of_all(body: &mut Json) {
    let is_list = body["items"].is_array() || body["rows"].is_array();
    if is_list && let Some(version) = body.pointer_mut("/metadata/resourceVersion") {
        *version = Json::from(OF_ALL);
    }
    for event in body.as_array_mut().into_iter().flatten() {
        let is_bookmark = event["type"] == "BOOKMARK";
        let version = event.pointer_mut("/object/metadata/resourceVersion");
        if let Some(version) = version.filter(|_| is_bookmark) {
            *version = Json::from(OF_ALL);
        }
    }
}
