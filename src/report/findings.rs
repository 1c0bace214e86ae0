//! Findings for other programs: SARIF 2.1.0 and GitLab's code quality report.

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::base::codes;
use crate::base::diagnostic::{Diagnostic, Label, Severity};
use crate::base::ids::Digest;

/// A SARIF 2.1.0 log with one run. Findings without a place in a file are in it all the same.
pub fn sarif(found: &[Diagnostic]) -> Json {
    let used: BTreeSet<&str> = found.iter().map(|one| one.code).collect();
    let rules: Vec<Json> = used.into_iter().map(rule).collect();
    let results: Vec<Json> = found.iter().map(result).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": {
                "name": "fitout",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": rules,
            }},
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn rule(code: &str) -> Json {
    let known = codes::find(code);
    let meaning = known.map_or(code, |known| known.meaning);
    json!({
        "id": code,
        "shortDescription": {"text": meaning},
        "help": {"text": known.map_or(meaning, |known| known.way_out)},
    })
}

fn result(found: &Diagnostic) -> Json {
    let level = match found.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    let (first, others) = match found.labels.split_first() {
        Some((first, others)) => (Some(first), others),
        None => (None, &[][..]),
    };
    let related: Vec<Json> = others
        .iter()
        .map(|label| {
            let mut place = location(label);
            place["message"] = json!({"text": label.text});
            place
        })
        .collect();
    json!({
        "ruleId": found.code,
        "level": level,
        "message": {"text": whole(found)},
        "locations": first.map(location).into_iter().collect::<Vec<_>>(),
        "relatedLocations": related,
        "partialFingerprints": {"fitout/v1": fingerprint(found)},
    })
}

fn location(label: &Label) -> Json {
    let (line, column) = label.span.line_column();
    let (end_line, end_column) = label.span.file.line_column(label.span.range.end);
    json!({"physicalLocation": {
        "artifactLocation": {"uri": uri(&label.span.file.path)},
        "region": {
            "startLine": line, "startColumn": column,
            "endLine": end_line, "endColumn": end_column,
        },
    }})
}

/// A path as a relative reference: everything but unreserved characters and `/` is escaped.
fn uri(path: &str) -> String {
    let mut uri = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            uri.push_str(&format!("%{byte:02X}"));
        }
    }
    uri
}

/// GitLab's code quality report. It takes only findings with a place: others are put at the
/// file that every repository of ours has.
pub fn code_quality(found: &[Diagnostic]) -> Json {
    found
        .iter()
        .map(|one| {
            let severity = match one.severity {
                Severity::Error => "major",
                Severity::Warning => "minor",
                Severity::Note => "info",
            };
            let place = one.labels.first();
            let path = place.map_or("clusters", |label| label.span.file.path.as_str());
            let line = place.map_or(1, |label| label.span.line_column().0);
            json!({
                "description": whole(one),
                "check_name": one.code,
                "fingerprint": fingerprint(one),
                "severity": severity,
                "location": {"path": path, "lines": {"begin": line}},
            })
        })
        .collect()
}

/// The message with what stands below it.
fn whole(found: &Diagnostic) -> String {
    let mut text = found.message.clone();
    for note in found.notes.iter().chain(&found.help) {
        text.push_str("; ");
        text.push_str(note);
    }
    text
}

/// What stays the same when lines move: code, message and file.
fn fingerprint(found: &Diagnostic) -> String {
    let file = found.labels.first().map_or("", |label| label.span.file.path.as_str());
    let text = format!("{}\0{}\0{file}", found.code, found.message);
    Digest::of(text.as_bytes()).as_str().to_owned()
}
