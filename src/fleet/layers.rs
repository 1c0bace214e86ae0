//! Merging layers of values as Helm merges several `--values` files.

use serde_json::Value as Json;

use super::instance::Layer;

/// All layers in one: later ones win, tables are merged key by key, a null is kept, since it is
/// what deletes a chart's default.
pub fn merge(layers: &[Layer]) -> Json {
    layers.iter().fold(Json::Object(serde_json::Map::new()), |mut merged, layer| {
        overlay(&mut merged, &layer.values);
        merged
    })
}

/// Puts `over` on top of `base`.
pub fn overlay(base: &mut Json, over: &Json) {
    match (base, over) {
        (Json::Object(base), Json::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(old) => overlay(old, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn over(mut base: Json, over: &Json) -> Json {
        overlay(&mut base, over);
        base
    }

    #[test]
    fn tables_merge_and_everything_else_is_replaced() {
        let cases = [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (json!({"a": {"x": 1}}), json!({"a": {"y": 2}}), json!({"a": {"x": 1, "y": 2}})),
            (json!({"a": [1, 2]}), json!({"a": [3]}), json!({"a": [3]})),
            (json!({"a": {"x": 1}}), json!({"a": null}), json!({"a": null})),
            (json!({"a": {"x": 1}}), json!({"a": "text"}), json!({"a": "text"})),
            (json!({"a": null}), json!({"a": {"x": 1}}), json!({"a": {"x": 1}})),
        ];
        for (base, layer, expected) in cases {
            assert_eq!(over(base, &layer), expected);
        }
    }

    fn values() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![Just(Json::Null), any::<bool>().prop_map(Json::from)];
        let table = leaf.prop_recursive(3, 16, 3, |inner| {
            proptest::collection::btree_map("[ab]", inner, 0..3)
                .prop_map(|entries| Json::Object(entries.into_iter().collect()))
        });
        proptest::collection::btree_map("[ab]", table, 0..3)
            .prop_map(|entries| Json::Object(entries.into_iter().collect()))
    }

    proptest! {
        #[test]
        fn a_layer_twice_is_a_layer_once(base in values(), layer in values()) {
            let once = over(base, &layer);
            prop_assert_eq!(over(once.clone(), &layer), once);
        }

        #[test]
        fn an_empty_layer_changes_nothing(base in values()) {
            prop_assert_eq!(over(base.clone(), &json!({})), base);
        }
    }
}
