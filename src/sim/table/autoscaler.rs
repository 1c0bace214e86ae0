//! HorizontalPodAutoscalers: each metric as `current/target`.

use serde_json::{Value as Json, json};

use super::Column;
use super::cells::{Row, plain};
use crate::object::access;

pub(super) const COLUMNS: &[Column] = &[
    ("Name", "string", 0),
    ("Reference", "string", 0),
    ("Targets", "string", 0),
    ("MinPods", "string", 0),
    ("MaxPods", "string", 0),
    ("Replicas", "string", 0),
    ("Age", "string", 0),
];

/// Metrics that a cell shows.
const SHOWN_MAX: usize = 2;

pub(super) fn cells(row: &Row<'_>) -> Vec<Json> {
    let target = |field| row.text(&["spec", "scaleTargetRef", field]);
    let least = access::number(row.object, &["spec", "minReplicas"]);
    vec![
        row.name(),
        json!(format!("{}/{}", target("kind"), target("name"))),
        json!(metrics(row)),
        json!(least.map_or_else(|| "<unset>".to_owned(), |number| number.to_string())),
        json!(row.number(&["spec", "maxReplicas"])),
        json!(row.number(&["status", "currentReplicas"])),
        row.age(),
    ]
}

fn metrics(row: &Row<'_>) -> String {
    let metrics = access::list(row.object, &["spec", "metrics"]);
    if metrics.is_empty() {
        return "<none>".to_owned();
    }
    let current = access::list(row.object, &["status", "currentMetrics"]);
    let texts: Vec<_> = metrics
        .iter()
        .enumerate()
        .take(SHOWN_MAX)
        .map(|(at, metric)| text(metric, current.get(at).unwrap_or(&Json::Null)))
        .collect();
    let text = texts.join(", ");
    match metrics.len() - texts.len() {
        0 => text,
        more => format!("{text} + {more} more..."),
    }
}

fn text(metric: &Json, status: &Json) -> String {
    let kind = access::text(metric, &["type"]).unwrap_or_default();
    let (field, has_name) = match kind {
        "External" => ("external", false),
        "Pods" => ("pods", false),
        "Object" => ("object", false),
        "Resource" => ("resource", true),
        "ContainerResource" => ("containerResource", true),
        _ => return "<unknown type>".to_owned(),
    };
    let value = |object, step, of| access::at(object, &[field, step, of]).map(plain);
    let current = |of| value(status, "current", of).unwrap_or_else(|| "<unknown>".to_owned());
    let name = access::text(metric, &[field, "name"]).unwrap_or_default();
    let prefix = if has_name { format!("{name}: ") } else { String::new() };
    let average = value(metric, "target", "averageValue");
    match (average, has_name, kind) {
        (Some(target), false, "External" | "Object") => {
            format!("{}/{target} (avg)", current("averageValue"))
        }
        (Some(target), ..) => format!("{prefix}{}/{target}", current("averageValue")),
        (None, true, _) => {
            let percent = |text: Option<String>| text.map(|text| format!("{text}%"));
            let now = percent(value(status, "current", "averageUtilization"));
            let target = percent(value(metric, "target", "averageUtilization"));
            let now = now.unwrap_or_else(|| "<unknown>".to_owned());
            format!("{prefix}{now}/{}", target.unwrap_or_else(|| "<auto>".to_owned()))
        }
        (None, false, _) => {
            let target = value(metric, "target", "value").unwrap_or_default();
            format!("{}/{target}", current("value"))
        }
    }
}
