//! Objects as the rows that `kubectl get` prints: the API server lays them out, not the client.

mod autoscaler;
mod cells;
mod kinds;
mod path;
mod pod;

use serde_json::{Value as Json, json};

use crate::base::clock::Timestamp;
use crate::object::access;
use cells::Row;

/// How much of each object its row carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// Its metadata, as a `PartialObjectMetadata`; what clients get who do not ask.
    Metadata,
    /// All of it.
    Object,
}

/// A column: name, type, and 1 where only `-o wide` shows it.
type Column = (&'static str, &'static str, i64);

/// The `Table` of meta.k8s.io/v1 of objects of one kind. `columns` are the
/// `additionalPrinterColumns` of a custom kind's version; built-in kinds have theirs. The table's
/// own metadata is left to the caller.
pub fn table(
    kind: &str,
    group: &str,
    objects: &[&Json],
    columns: &[Json],
    now: Timestamp,
    include_object: IncludeObject,
) -> Json {
    let (definitions, cells) = match kinds::of(group, kind) {
        Some(layout) => {
            let definitions = layout.columns.iter().map(definition).collect();
            let cells = objects.iter().map(|object| (layout.cells)(&Row { object, now })).collect();
            (definitions, cells)
        }
        None => custom(objects, columns, now, group),
    };
    let rows: Vec<Json> = objects
        .iter()
        .zip(cells)
        .map(|(object, cells)| {
            let mut row = json!({"cells": cells, "object": included(object, include_object)});
            if let Some(conditions) = row_conditions(kind, group, object) {
                row["conditions"] = conditions;
            }
            row
        })
        .collect();
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": {},
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition((name, kind, priority): &Column) -> Json {
    let format = if *name == "Name" { "name" } else { "" };
    json!({"name": name, "type": kind, "format": format, "description": "", "priority": priority})
}

fn included(object: &Json, include: IncludeObject) -> Json {
    match include {
        IncludeObject::None => Json::Null,
        IncludeObject::Object => object.clone(),
        IncludeObject::Metadata => json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
            "metadata": object.get("metadata").cloned().unwrap_or_else(|| json!({})),
        }),
    }
}

/// Pods that are over are marked, so that clients may leave them out.
fn row_conditions(kind: &str, group: &str, object: &Json) -> Option<Json> {
    let phase = access::text(object, &["status", "phase"])?;
    let message = match (group, kind, phase) {
        ("", "Pod", "Succeeded") => "The pod has completed successfully.",
        ("", "Pod", "Failed") => "The pod failed.",
        _ => return None,
    };
    Some(json!([{"type": "Completed", "status": "True", "reason": phase, "message": message}]))
}

/// Columns and cells of a custom kind, or of a built-in one without a layout of its own.
fn custom(
    objects: &[&Json],
    columns: &[Json],
    now: Timestamp,
    group: &str,
) -> (Vec<Json>, Vec<Vec<Json>>) {
    let name = definition(&("Name", "string", 0));
    if columns.is_empty() && access::is_built_in_group(group) {
        let created = definition(&("Created At", "date", 0));
        let cells = |object: &&Json| {
            let created = access::text(object, &["metadata", "creationTimestamp"]);
            vec![Json::from(access::name(object)), Json::from(created)]
        };
        return (vec![name, created], objects.iter().map(cells).collect());
    }
    let age = [json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
    let columns = if columns.is_empty() { age.as_slice() } else { columns };
    let mut definitions = vec![name];
    definitions.extend(columns.iter().map(|column| {
        let text = |field| access::text(column, &[field]).unwrap_or_default();
        json!({
            "name": text("name"), "type": text("type"), "format": text("format"),
            "description": match text("description") {
                "" => format!(
                    "Custom resource definition column (in JSONPath format): {}",
                    text("jsonPath")
                ),
                own => own.to_owned(),
            },
            "priority": access::number(column, &["priority"]).unwrap_or(0),
        })
    }));
    let cells = |object: &&Json| {
        let mut cells = vec![Json::from(access::name(object))];
        cells.extend(columns.iter().map(|column| custom_cell(object, column, now)));
        cells
    };
    (definitions, objects.iter().map(cells).collect())
}

fn custom_cell(object: &Json, column: &Json, now: Timestamp) -> Json {
    let path = access::text(column, &["jsonPath"]).unwrap_or_default();
    let Some(value) = path::first(object, path) else { return Json::Null };
    match (access::text(column, &["type"]).unwrap_or_default(), value) {
        (_, Json::Null) => Json::Null,
        ("integer", Json::Number(number)) => {
            Json::from(number.as_i64().or_else(|| number.as_f64().map(|number| number as i64)))
        }
        ("number", Json::Number(_)) | ("boolean", Json::Bool(_)) => value.clone(),
        ("date", Json::String(text)) => match text.parse() {
            Ok(at) => Json::from(cells::age(at, now)),
            Err(_) => Json::from("<invalid>"),
        },
        ("string", Json::String(text)) => Json::from(text.as_str()),
        ("string", value) => Json::from(value.to_string()),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests;
