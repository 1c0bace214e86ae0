//! The difference of two objects, structurally.
//!
//! Items of a list are paired by the keys that Kubernetes merges lists by (`name`, `containerPort`
//! with `protocol`, …) where both lists have them; an item that comes in the middle is one change
//! then, not a shift of all that follow. Law: `apply(between(a, b), a) == b`.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Map, Value as Json};

use super::path::{FieldPath, Step};

/// Keys by which items are told apart. The first must be there; the others may be absent.
const LIST_KEYS: [&[&str]; 12] = [
    &["name"],
    &["containerPort", "protocol"],
    &["port", "protocol"],
    &["mountPath"],
    &["devicePath"],
    &["topologyKey", "whenUnsatisfiable"],
    &["key", "operator", "effect"],
    &["ip"],
    // Of an Ingress, a condition, a topology spread, an API group's rules.
    &["host"],
    &["path", "pathType"],
    &["type"],
    &["uid"],
];

/// One difference.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct FieldChange {
    /// Where.
    pub path: FieldPath,
    /// What was there; `None` when nothing was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Json>,
    /// What is there then; `None` when nothing is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Json>,
    /// The place of a new item in its list.
    #[serde(skip)]
    pub place: Option<usize>,
    /// Who owns it on the cluster besides fitout: see [`super::owners`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub owners: Vec<String>,
    /// The line of the template that says it, from 1, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
}

/// What has to change for `before` to become `after`, in the order of fields.
pub fn between(before: &Json, after: &Json) -> Vec<FieldChange> {
    let mut changes = Vec::new();
    compare(&FieldPath::default(), before, after, &mut changes);
    changes
}

fn compare(path: &FieldPath, before: &Json, after: &Json, changes: &mut Vec<FieldChange>) {
    if before == after {
        return;
    }
    match (before, after) {
        (Json::Object(before), Json::Object(after)) => {
            compare_maps(path, before, after, changes);
        }
        (Json::Array(before), Json::Array(after)) => {
            compare_lists(path, before, after, changes);
        }
        _ => changes.push(replaced(path, before.clone(), after.clone())),
    }
}

fn replaced(path: &FieldPath, before: Json, after: Json) -> FieldChange {
    let (before, after) = (Some(before), Some(after));
    FieldChange { path: path.clone(), before, after, ..FieldChange::default() }
}

fn compare_maps(
    path: &FieldPath,
    before: &Map<String, Json>,
    after: &Map<String, Json>,
    changes: &mut Vec<FieldChange>,
) {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort_unstable();
    names.dedup();
    for name in names {
        let path = path.with(Step::Field(name.clone()));
        match (before.get(name), after.get(name)) {
            (Some(before), Some(after)) => compare(&path, before, after, changes),
            (before, after) => changes.push(FieldChange {
                path,
                before: before.cloned(),
                after: after.cloned(),
                ..FieldChange::default()
            }),
        }
    }
}

fn compare_lists(
    path: &FieldPath,
    before: &[Json],
    after: &[Json],
    changes: &mut Vec<FieldChange>,
) {
    if let Some(keys) = keys_of(before, after)
        && keeps_order(before, after, keys)
    {
        compare_keyed(path, before, after, keys, changes);
    } else if before.len() == after.len() && !before.iter().all(is_scalar) {
        for (index, (before, after)) in before.iter().zip(after).enumerate() {
            compare(&path.with(Step::Index(index)), before, after, changes);
        }
    } else {
        let (before, after) = (before.to_vec(), after.to_vec());
        changes.push(replaced(path, Json::Array(before), Json::Array(after)));
    }
}

fn is_scalar(value: &Json) -> bool {
    !value.is_object() && !value.is_array()
}

fn compare_keyed(
    path: &FieldPath,
    before: &[Json],
    after: &[Json],
    keys: &'static [&'static str],
    changes: &mut Vec<FieldChange>,
) {
    for item in before {
        let path = path.with(Step::Item(key_of(item, keys)));
        match after.iter().find(|other| is_same(item, other, keys)) {
            Some(other) => compare(&path, item, other, changes),
            None => changes.push(FieldChange {
                path,
                before: Some(item.clone()),
                ..FieldChange::default()
            }),
        }
    }
    for (place, item) in after.iter().enumerate() {
        if !before.iter().any(|other| is_same(item, other, keys)) {
            changes.push(FieldChange {
                path: path.with(Step::Item(key_of(item, keys))),
                after: Some(item.clone()),
                place: Some(place),
                ..FieldChange::default()
            });
        }
    }
}

/// The keys that tell apart the items of both lists.
fn keys_of(before: &[Json], after: &[Json]) -> Option<&'static [&'static str]> {
    LIST_KEYS.into_iter().find(|keys| are_keyed(before, keys) && are_keyed(after, keys))
}

fn are_keyed(items: &[Json], keys: &[&str]) -> bool {
    let mut seen = BTreeSet::new();
    items.iter().all(|item| {
        let is_keyed = item.get(keys[0]).is_some_and(is_scalar);
        let key: Vec<_> = keys.iter().map(|key| format!("{:?}", item.get(key))).collect();
        is_keyed && seen.insert(key)
    })
}

fn key_of(item: &Json, keys: &[&'static str]) -> Vec<(&'static str, Json)> {
    keys.iter().filter_map(|key| Some((*key, item.get(key)?.clone()))).collect()
}

fn is_same(item: &Json, other: &Json, keys: &[&str]) -> bool {
    keys.iter().all(|key| item.get(key) == other.get(key))
}

/// Whether the items that both lists have come in the same order.
fn keeps_order(before: &[Json], after: &[Json], keys: &[&str]) -> bool {
    let common_before =
        before.iter().filter(|item| after.iter().any(|other| is_same(item, other, keys)));
    let common_after =
        after.iter().filter(|item| before.iter().any(|other| is_same(item, other, keys)));
    common_before.zip(common_after).all(|(before, after)| is_same(before, after, keys))
}

/// The object with the changes made. Changes that do not fit the object are left out.
pub fn apply(changes: &[FieldChange], object: &Json) -> Json {
    let mut object = object.clone();
    // Items go before others come, so that places count in what is left.
    let (additions, others): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| change.place.is_some());
    for change in others.into_iter().chain(additions) {
        apply_one(&mut object, &change.path.0, change);
    }
    object
}

fn apply_one(value: &mut Json, steps: &[Step], change: &FieldChange) {
    let Some((step, rest)) = steps.split_first() else {
        *value = change.after.clone().unwrap_or(Json::Null);
        return;
    };
    if !rest.is_empty() {
        if let Some(child) = child_mut(value, step) {
            apply_one(child, rest, change);
        }
        return;
    }
    match (step, value) {
        (Step::Field(name), Json::Object(fields)) => match &change.after {
            Some(after) => {
                fields.insert(name.clone(), after.clone());
            }
            None => {
                fields.remove(name);
            }
        },
        (Step::Item(keys), Json::Array(items)) => {
            let at = items.iter().position(|item| has_keys(item, keys));
            match (at, &change.after, change.place) {
                (None, Some(after), Some(place)) => {
                    items.insert(place.min(items.len()), after.clone());
                }
                (Some(at), Some(after), _) => items[at] = after.clone(),
                (Some(at), None, _) => {
                    items.remove(at);
                }
                _ => {}
            }
        }
        (Step::Index(at), Json::Array(items)) => {
            if let (Some(item), Some(after)) = (items.get_mut(*at), &change.after) {
                *item = after.clone();
            }
        }
        _ => {}
    }
}

fn child_mut<'a>(value: &'a mut Json, step: &Step) -> Option<&'a mut Json> {
    match step {
        Step::Field(name) => value.get_mut(name),
        Step::Index(at) => value.get_mut(*at),
        Step::Item(keys) => value.as_array_mut()?.iter_mut().find(|item| has_keys(item, keys)),
    }
}

/// Whether an item has these keys, and none of the same set besides.
fn has_keys(item: &Json, keys: &[(&'static str, Json)]) -> bool {
    let names = LIST_KEYS.into_iter().find(|names| Some(&names[0]) == keys.first().map(|k| &k.0));
    names.unwrap_or_default().iter().all(|name| {
        let wanted = keys.iter().find(|(key, _)| key == name).map(|(_, value)| value);
        item.get(name) == wanted
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn told(before: Json, after: Json) -> Vec<String> {
        let changes = between(&before, &after);
        assert_eq!(apply(&changes, &before), after);
        changes
            .iter()
            .map(|change| {
                let show = |value: &Option<Json>| {
                    value.as_ref().map_or("nothing".to_owned(), ToString::to_string)
                };
                format!("{}: {} → {}", change.path, show(&change.before), show(&change.after))
            })
            .collect()
    }

    #[test]
    fn equal_objects_have_no_difference() {
        assert!(told(json!({"a": [1, {"b": null}]}), json!({"a": [1, {"b": null}]})).is_empty());
    }

    #[test]
    fn fields_come_go_and_change() {
        assert_eq!(
            told(
                json!({"spec": {"replicas": 1, "paused": true}}),
                json!({"spec": {"replicas": 2, "minReadySeconds": 5}})
            ),
            [
                "spec.minReadySeconds: nothing → 5",
                "spec.paused: true → nothing",
                "spec.replicas: 1 → 2",
            ]
        );
    }

    #[test]
    fn an_item_in_the_middle_is_one_change() {
        assert_eq!(
            told(
                json!({"env": [{"name": "A", "value": "1"}, {"name": "C", "value": "3"}]}),
                json!({"env": [
                    {"name": "A", "value": "1"}, {"name": "B", "value": "2"},
                    {"name": "C", "value": "4"},
                ]})
            ),
            [
                r#"env[name=C].value: "3" → "4""#,
                r#"env[name=B]: nothing → {"name":"B","value":"2"}"#,
            ]
        );
    }

    #[test]
    fn ports_are_told_apart_by_number_and_protocol() {
        assert_eq!(
            told(
                json!([{"containerPort": 53, "protocol": "TCP"}, {"containerPort": 53}]),
                json!([{"containerPort": 53, "protocol": "UDP"}, {"containerPort": 53}])
            ),
            [
                r#"[containerPort=53,protocol=TCP]: {"containerPort":53,"protocol":"TCP"} → nothing"#,
                r#"[containerPort=53,protocol=UDP]: nothing → {"containerPort":53,"protocol":"UDP"}"#,
            ]
        );
    }

    #[test]
    fn items_in_another_order_are_a_change_of_the_list() {
        assert_eq!(
            told(json!([{"name": "a"}, {"name": "b"}]), json!([{"name": "b"}, {"name": "a"}])),
            ["[0].name: \"a\" → \"b\"", "[1].name: \"b\" → \"a\""]
        );
        assert_eq!(told(json!([1, 2]), json!([1, 3])), [": [1,2] → [1,3]"]);
    }

    #[test]
    fn names_with_dots_are_quoted() {
        assert_eq!(
            told(json!({"m": {"a.b/c": 1}}), json!({"m": {"a.b/c": 2}})),
            [r#"m["a.b/c"]: 1 → 2"#]
        );
    }

    fn object() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            (0..3_i64).prop_map(Json::from),
            "[a-c]{0,2}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            let name = prop_oneof!["name", "port", "protocol", "key", "a", "b"];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Json::from),
                prop::collection::btree_map(name, inner, 0..4)
                    .prop_map(|fields| Json::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn applying_the_difference_gives_the_other_object(a in object(), b in object()) {
            prop_assert_eq!(apply(&between(&a, &b), &a), b);
        }

        #[test]
        fn no_difference_means_equal(a in object(), b in object()) {
            prop_assert_eq!(between(&a, &b).is_empty(), a == b);
        }
    }
}
