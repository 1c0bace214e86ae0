//! Who owns a field of a live object, by its managed fields.

use serde_json::{Map, Value as Json};

use super::path::{FieldPath, Step};
use crate::object::access;
use crate::object::noise::FIELD_MANAGER;

/// Who else owns a field of a live object, as `NAME since TIME`: every manager but fitout that has
/// the field, something in it, or a whole that it is part of.
pub fn others(live: &Json, path: &FieldPath) -> Vec<String> {
    let entries = access::list(live, &["metadata", "managedFields"]);
    let mut owners = Vec::new();
    for entry in entries {
        let manager = access::text(entry, &["manager"]).unwrap_or_default();
        let is_status = access::text(entry, &["subresource"]) == Some("status");
        let Some(fields) = entry.get("fieldsV1").and_then(Json::as_object) else { continue };
        if manager != FIELD_MANAGER && !is_status && owns(fields, &path.0) {
            let time = access::text(entry, &["time"]).unwrap_or_default();
            let since = if time.is_empty() { String::new() } else { format!(" since {time}") };
            owners.push(format!("{manager}{since}"));
        }
    }
    owners.sort();
    owners.dedup();
    owners
}

fn owns(fields: &Map<String, Json>, path: &[Step]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    let Some(next) = child(fields, step) else { return false };
    match next.as_object() {
        // What is not structured any further is owned as a whole.
        Some(next) if next.is_empty() => true,
        Some(next) => owns(next, rest),
        None => false,
    }
}

fn child<'a>(fields: &'a Map<String, Json>, step: &Step) -> Option<&'a Json> {
    match step {
        Step::Field(name) => fields.get(&format!("f:{name}")),
        Step::Index(at) => fields.get(&format!("i:{at}")),
        Step::Item(keys) => fields.iter().find_map(|(name, value)| {
            let text = name.strip_prefix("k:")?;
            let theirs: Map<String, Json> = serde_json::from_str(text).ok()?;
            let is_same =
                keys.iter().all(|(key, value)| theirs.get(*key).is_none_or(|their| their == value));
            let is_about = keys.iter().any(|(key, _)| theirs.contains_key(*key));
            (is_same && is_about).then_some(value)
        }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_owners_of_a_field_are_found_by_names_and_keys() {
        let live = json!({"metadata": {"managedFields": [
            {"manager": "fitout", "operation": "Apply", "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "kubectl-scale", "operation": "Update", "time": "2026-01-01T00:00:00Z",
             "fieldsV1": {"f:spec": {"f:replicas": {}}}},
            {"manager": "injector", "operation": "Update", "fieldsV1": {"f:spec": {"f:containers": {
                "k:{\"name\":\"web\"}": {".": {}, "f:image": {}, "f:args": {}}}}}},
            {"manager": "controller", "operation": "Update", "subresource": "status",
             "fieldsV1": {"f:status": {}}},
        ]}});
        let field = |name: &str| Step::Field(name.to_owned());
        let item = |name: &str| Step::Item(vec![("name", json!(name))]);
        let told = |path: &[Step]| others(&live, &FieldPath(path.to_vec())).join(", ");
        let spec = field("spec");
        assert_eq!(
            told(&[spec.clone(), field("replicas")]),
            "kubectl-scale since 2026-01-01T00:00:00Z"
        );
        let containers = field("containers");
        let image = [spec.clone(), containers.clone(), item("web"), field("image")];
        assert_eq!(told(&image), "injector");
        let argument =
            [spec.clone(), containers.clone(), item("web"), field("args"), Step::Index(1)];
        assert_eq!(told(&argument), "injector", "a list that is owned as a whole");
        assert_eq!(told(&[spec.clone(), containers, item("other"), field("image")]), "");
        assert_eq!(told(&[spec, field("paused")]), "");
        assert_eq!(told(&[field("status")]), "");
    }
}
