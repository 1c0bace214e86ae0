//! Tests of `values`.

use super::*;

#[test]
fn later_layers_replace_and_tables_merge() {
    let mut base = serde_json::json!({"a": {"b": 1, "c": [1]}, "d": 1});
    merge_layers(&mut base, serde_json::json!({"a": {"b": null, "c": [2]}, "d": {"e": 1}}));
    assert_eq!(base, serde_json::json!({"a": {"b": null, "c": [2]}, "d": {"e": 1}}));
}
