//! Tests of `manifest`.

use super::*;

#[test]
fn texts_split_where_helm_splits_them() {
    let text = "\n---\na: 1\n---\n\n  \n# c\nb: 2\n--- # x\nc: 3\n---\n---\nd\n";
    let documents: Vec<_> = split(text).into_iter().map(|d| (d.text, d.line)).collect();
    assert_eq!(documents, [("a: 1", 3), ("# c\nb: 2", 7), ("# x\nc: 3", 9), ("---\nd", 12)]);
}
