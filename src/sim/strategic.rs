//! Strategic merge patch: a merge patch that merges lists by their keys, with directives.
//!
//! Only for built-in kinds. The merge keys are those of server-side apply, but one field each:
//! ports by number, ownerReferences by uid; lists without one are replaced.

use serde_json::{Map, Value as Json};

use super::schema::{ListKind, Shape};

const PATCH: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";
/// Lists of plain values that are merged as sets.
const SETS: [&str; 2] = ["finalizers", "podCIDRs"];

/// `object` after the patch.
///
/// # Errors
/// In words, for directives that are not known or items without their key.
pub fn merge(object: &Json, patch: &Json, shape: Shape<'_>) -> Result<Json, String> {
    let empty = Map::new();
    let present = object.as_object().unwrap_or(&empty);
    let Some(changes) = patch.as_object() else { return Ok(patch.clone()) };
    match changes.get(PATCH).and_then(Json::as_str) {
        None | Some("merge") => {}
        Some("replace") => return Ok(Json::Object(without_directives(changes))),
        Some("delete") => return Ok(Json::Object(Map::new())),
        Some(other) => {
            return Err(format!("unknown patch type: {other} in map: {}", as_go(patch)));
        }
    }
    let mut merged = present.clone();
    if let Some(retained) = changes.get(RETAIN).and_then(Json::as_array) {
        merged.retain(|name, _| retained.iter().any(|one| one.as_str() == Some(name)));
    }
    for (name, change) in changes {
        if let Some(name) = name.strip_prefix(DELETE_FROM) {
            delete_values(merged.get_mut(name), change);
        }
        if name.starts_with('$') {
            continue;
        }
        let below = shape.field(name).0;
        match (merged.get(name), change) {
            (_, Json::Null) => {
                merged.remove(name);
            }
            (Some(before @ Json::Array(_)), Json::Array(items)) => {
                let order = changes.get(&format!("{ORDER}{name}")).and_then(Json::as_array);
                let list = merge_list(before, items, (name, order), below)?;
                merged.insert(name.clone(), list);
            }
            (before, Json::Object(_)) => {
                let before = before.filter(|before| before.is_object());
                let value = merge(before.unwrap_or(&Json::Null), change, below)?;
                merged.insert(name.clone(), value);
            }
            (None, Json::Array(items)) => {
                let list = merge_list(&Json::Array(Vec::new()), items, (name, None), below)?;
                merged.insert(name.clone(), list);
            }
            (_, value) => {
                merged.insert(name.clone(), value.clone());
            }
        }
    }
    for (name, order) in changes {
        if let (Some(name), Some(order)) = (name.strip_prefix(ORDER), order.as_array())
            && !changes.contains_key(name)
        {
            let key = merge_key(name, shape.field(name).0);
            if let Some(Json::Array(items)) = merged.get_mut(name) {
                let before = std::mem::take(items);
                *items = in_order(&before.clone(), before, order, key);
            }
        }
    }
    Ok(Json::Object(merged))
}

fn without_directives(fields: &Map<String, Json>) -> Map<String, Json> {
    fields
        .iter()
        .filter(|(name, _)| !name.starts_with('$'))
        .map(|(n, v)| (n.clone(), v.clone()))
        .collect()
}

/// The one field that tells the items of a list apart.
fn merge_key<'a>(name: &str, shape: Shape<'a>) -> Option<&'a str> {
    if name == "imagePullSecrets" {
        return Some("name");
    }
    match shape.list() {
        ListKind::Map(keys) => keys.first().copied(),
        ListKind::Set | ListKind::Atomic => None,
    }
}

fn merge_list(
    before: &Json,
    changes: &[Json],
    (name, order): (&str, Option<&Vec<Json>>),
    shape: Shape<'_>,
) -> Result<Json, String> {
    let present = before.as_array().map_or(&[][..], Vec::as_slice);
    if SETS.contains(&name) {
        let mut merged = present.to_vec();
        merged.extend(changes.iter().filter(|value| !present.contains(value)).cloned());
        let order = order.map_or(changes, Vec::as_slice);
        return Ok(Json::Array(in_order(present, merged, order, None)));
    }
    let Some(key) = merge_key(name, shape) else { return Ok(Json::Array(changes.to_vec())) };
    let directive = |item: &Json| item.get(PATCH).and_then(Json::as_str).map(str::to_owned);
    let replaces = changes
        .iter()
        .any(|item| directive(item).as_deref() == Some("replace") && item.get(key).is_none());
    if replaces {
        let kept = changes.iter().filter(|item| directive(item).is_none());
        return Ok(Json::Array(kept.cloned().collect()));
    }
    let mut merged = present.to_vec();
    for change in changes {
        let Some(value) = change.get(key) else {
            let item = as_go(change);
            return Err(format!("map: {item} does not contain declared merge key: {key}"));
        };
        let at = merged.iter().position(|item| item.get(key) == Some(value));
        match (directive(change).as_deref(), at) {
            (Some("delete"), _) => merged.retain(|item| item.get(key) != Some(value)),
            (_, Some(at)) => merged[at] = merge(&merged[at], change, shape.item())?,
            (_, None) => merged.push(merge(&Json::Null, change, shape.item())?),
        }
    }
    let order = order.map_or(changes, Vec::as_slice);
    Ok(Json::Array(in_order(present, merged, order, Some(key))))
}

/// A value as Go prints it: `map[name:http port:80]`.
fn as_go(value: &Json) -> String {
    match value {
        Json::Null => "<nil>".to_owned(),
        Json::String(text) => text.clone(),
        Json::Array(items) => {
            let items: Vec<_> = items.iter().map(as_go).collect();
            format!("[{}]", items.join(" "))
        }
        Json::Object(fields) => {
            let fields: Vec<_> =
                fields.iter().map(|(name, value)| format!("{name}:{}", as_go(value))).collect();
            format!("map[{}]", fields.join(" "))
        }
        other => other.to_string(),
    }
}

fn delete_values(list: Option<&mut Json>, gone: &Json) {
    let gone = gone.as_array().map_or(&[][..], Vec::as_slice);
    if let Some(Json::Array(items)) = list {
        items.retain(|item| !gone.contains(item));
    }
}

/// Items in the order that a patch gives to those it names; the others keep theirs and come as
/// soon as the list before had them before the next named one.
fn in_order(before: &[Json], merged: Vec<Json>, order: &[Json], key: Option<&str>) -> Vec<Json> {
    let id = |item: &Json| match key {
        Some(key) => item.get(key).cloned(),
        None => Some(item.clone()),
    };
    let place = |list: &[Json], item: &Json| list.iter().position(|other| id(other) == id(item));
    let (mut named, others): (Vec<Json>, Vec<Json>) =
        merged.into_iter().partition(|item| place(order, item).is_some());
    named.sort_by_key(|item| place(order, item));
    let mut all = Vec::with_capacity(named.len() + others.len());
    let mut others = others.into_iter().peekable();
    for item in named {
        while let Some(other) = others.next_if(|other| {
            let (other, item) = (place(before, other), place(before, &item));
            other.is_some() && item.is_some() && other < item
        }) {
            all.push(other);
        }
        all.push(item);
    }
    all.extend(others);
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn containers_are_merged_by_name() {
        let object = json!({"spec": {"template": {"spec": {"containers": [
            {"name": "a", "image": "a:1", "env": [{"name": "X", "value": "1"}]},
            {"name": "b", "image": "b:1"},
        ]}}}});
        let patch = json!({"spec": {"template": {"spec": {
            "$setElementOrder/containers": [{"name": "c"}, {"name": "a"}],
            "containers": [
                {"name": "a", "image": "a:2", "env": [{"name": "Y", "value": "2"}]},
                {"name": "b", "$patch": "delete"},
                {"name": "c", "image": "c:1"},
            ],
        }}}});
        assert_eq!(
            merge(&object, &patch, Shape::built_in("Deployment")).unwrap(),
            json!({"spec": {"template": {"spec": {"containers": [
                {"name": "c", "image": "c:1"},
                {"name": "a", "image": "a:2", "env": [
                    {"name": "Y", "value": "2"}, {"name": "X", "value": "1"},
                ]},
            ]}}}})
        );
    }

    #[test]
    fn retained_keys_are_all_that_is_left() {
        let object = json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {}}}});
        let patch = json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}});
        assert_eq!(
            merge(&object, &patch, Shape::built_in("Deployment")).unwrap(),
            json!({"spec": {"strategy": {"type": "Recreate"}}})
        );
    }

    #[test]
    fn values_leave_a_list() {
        let object = json!({"metadata": {"finalizers": ["a", "b"]}});
        let patch = json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"],
                                        "finalizers": ["c"]}});
        assert_eq!(
            merge(&object, &patch, Shape::built_in("ConfigMap")).unwrap(),
            json!({"metadata": {"finalizers": ["c", "b"]}})
        );
        let error = merge(&json!({}), &json!({"$patch": "x"}), Shape::built_in("Pod"));
        assert_eq!(error.unwrap_err(), "unknown patch type: x in map: map[$patch:x]");
    }
}
