//! An answer as it is compared, and as text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::Value as Json;

/// What is compared of an answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) code: u16,
    /// Of [`HEADERS`], those that are there; several of one name as lines.
    pub(crate) headers: BTreeMap<String, String>,
    /// JSON as it is; the events of a watch as an array; other text as a string.
    pub(crate) body: Json,
}

/// The headers that are compared. Others are of the transport (`date`, `content-length`), of the
/// audit and of priority and fairness.
pub(crate) const HEADERS: [&str; 4] = ["allow", "content-type", "retry-after", "warning"];

/// A line of a body that is not broken up.
const WIDTH_MAX: usize = 110;
/// Lists with each item on a line of its own, however long: who owns what, and what is wrong.
const ONE_LINE_EACH: [&str; 2] = ["\"managedFields\": ", "\"causes\": "];

/// JSON with as much on one line as fits.
pub(crate) fn text_of(value: &Json) -> String {
    let mut text = String::new();
    write_value(value, 0, 0, &mut text);
    text
}

fn write_value(value: &Json, depth: usize, before: usize, text: &mut String) {
    let compact = value.to_string();
    let is_short = compact.len() + depth + before <= WIDTH_MAX;
    let (open, close, parts): (_, _, Vec<(String, &Json)>) = match value {
        Json::Object(fields) if !is_short => {
            let named = |(name, value)| (format!("{}: ", Json::from(name)), value);
            ('{', '}', fields.iter().map(|(name, value)| named((name.as_str(), value))).collect())
        }
        Json::Array(items) if !is_short => {
            ('[', ']', items.iter().map(|item| (String::new(), item)).collect())
        }
        _ => return text.push_str(&compact),
    };
    writeln!(text, "{open}").unwrap();
    for (at, (name, part)) in parts.iter().enumerate() {
        write!(text, "{:1$}{name}", "", depth + 1).unwrap();
        match part {
            Json::Array(items) if ONE_LINE_EACH.contains(&name.as_str()) && !items.is_empty() => {
                let lines: Vec<_> =
                    items.iter().map(|item| format!("{:1$}{item}", "", depth + 2)).collect();
                write!(text, "[\n{}\n{:2$}]", lines.join(",\n"), "", depth + 1).unwrap();
            }
            _ => write_value(part, depth + 1, name.len() + 1, text),
        }
        text.push_str(if at + 1 < parts.len() { ",\n" } else { "\n" });
    }
    write!(text, "{:depth$}{close}", "").unwrap();
}
