//! JSON pointers with `*` for any one step, as `ignoreDifferences` has them.

use serde_json::Value as Json;

/// The steps of a pointer such as `/spec/template/spec/containers/*/image`.
pub fn steps(pointer: &str) -> Vec<String> {
    pointer.split('/').skip(1).map(unescaped).collect()
}

/// A step as it stands in a pointer.
pub fn escaped(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// A step of a pointer as it is meant.
pub fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// Removes every value that the pointer stands for.
pub fn remove(object: &mut Json, pointer: &str) {
    remove_steps(object, &steps(pointer));
}

fn remove_steps(value: &mut Json, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else { return };
    if rest.is_empty() {
        match value {
            Json::Object(fields) if step == "*" => fields.clear(),
            Json::Object(fields) => {
                fields.remove(step);
            }
            Json::Array(items) if step == "*" => items.clear(),
            Json::Array(items) => {
                if let Some(at) = step.parse().ok().filter(|at: &usize| *at < items.len()) {
                    items.remove(at);
                }
            }
            _ => {}
        }
        return;
    }
    for_each_child(value, step, |child| remove_steps(child, rest));
}

fn for_each_child(value: &mut Json, step: &str, mut visit: impl FnMut(&mut Json)) {
    match value {
        Json::Object(fields) if step == "*" => fields.values_mut().for_each(visit),
        Json::Object(fields) => {
            if let Some(child) = fields.get_mut(step) {
                visit(child);
            }
        }
        Json::Array(items) if step == "*" => items.iter_mut().for_each(visit),
        Json::Array(items) => {
            if let Some(child) = step.parse::<usize>().ok().and_then(|at| items.get_mut(at)) {
                visit(child);
            }
        }
        _ => {}
    }
}

/// Makes `desired` say at the pointer what `live` says: a field that is left alone must still be
/// part of what is applied, since a field that its only owner stops applying is removed.
pub fn copy(live: &Json, desired: &mut Json, pointer: &str) {
    copy_steps(Some(live), desired, &steps(pointer));
}

fn copy_steps(live: Option<&Json>, desired: &mut Json, steps: &[String]) {
    let Some((step, rest)) = steps.split_first() else { return };
    match desired {
        Json::Object(fields) => {
            let names: Vec<String> =
                if step == "*" { fields.keys().cloned().collect() } else { vec![step.clone()] };
            for name in names {
                let live = live.and_then(|live| live.get(&name));
                if !rest.is_empty() {
                    if let Some(child) = fields.get_mut(&name) {
                        copy_steps(live, child, rest);
                    }
                } else if let Some(live) = live {
                    fields.insert(name, live.clone());
                } else {
                    fields.remove(&name);
                }
            }
        }
        Json::Array(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                if step != "*" && step.parse() != Ok(at) {
                    continue;
                }
                let live = live.and_then(|live| counterpart(live, item, at));
                match (rest.is_empty(), live) {
                    (false, live) => copy_steps(live, item, rest),
                    (true, Some(live)) => *item = live.clone(),
                    (true, None) => {}
                }
            }
        }
        _ => {}
    }
}

/// The live list item that stands for `item`: the one of the same name, else of the same place.
fn counterpart<'a>(live: &'a Json, item: &Json, at: usize) -> Option<&'a Json> {
    let items = live.as_array()?;
    match item.get("name") {
        Some(name) => items.iter().find(|candidate| candidate.get("name") == Some(name)),
        None => items.get(at),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_star_stands_for_every_item() {
        let mut object = json!({"c": [{"name": "a", "image": 1}, {"name": "b", "image": 2}]});
        remove(&mut object, "/c/*/image");
        assert_eq!(object, json!({"c": [{"name": "a"}, {"name": "b"}]}));
    }

    #[test]
    fn an_escaped_slash_is_part_of_the_step() {
        let mut object = json!({"metadata": {"annotations": {"a/b": 1, "c": 2}}});
        remove(&mut object, "/metadata/annotations/a~1b");
        assert_eq!(object, json!({"metadata": {"annotations": {"c": 2}}}));
    }

    #[test]
    fn a_copied_field_follows_the_live_one_by_name() {
        let live = json!({"spec": {"replicas": 7, "c": [{"name": "b", "image": "live"}]}});
        let mut desired = json!({"spec": {
            "replicas": 2,
            "c": [{"name": "a", "image": "x"}, {"name": "b", "image": "y"}],
        }});
        copy(&live, &mut desired, "/spec/replicas");
        copy(&live, &mut desired, "/spec/c/*/image");
        assert_eq!(
            desired,
            json!({"spec": {"replicas": 7, "c": [{"name": "a"}, {"name": "b", "image": "live"}]}})
        );
    }

    #[test]
    fn a_field_the_live_object_lacks_is_not_applied() {
        let mut desired = json!({"spec": {"replicas": 2}});
        copy(&json!({"spec": {}}), &mut desired, "/spec/replicas");
        assert_eq!(desired, json!({"spec": {}}));
    }
}
