//! Differences that a policy puts up with.

use std::collections::BTreeSet;

use super::{Input, ObjectDifference};
use crate::base::ids::AddonName;
use crate::diff::FieldPath;
use crate::fleet::switch::AllowedDifference;
use crate::object::key::ObjectKey;
use crate::object::pointer;

/// Whether an addon may be missing, or be at another version.
pub(super) fn whole_addon(rules: &[AllowedDifference], addon: &AddonName) -> bool {
    rules.iter().any(|rule| {
        let is_narrow = rule.label.is_some()
            || rule.kind.is_some()
            || rule.name.is_some()
            || rule.path.is_some();
        !is_narrow && rule.addon.as_ref() == Some(addon)
    })
}

/// Whether all that differs of an object is a cluster's own by nature, or put up with.
pub(super) fn object(
    rules: &[AllowedDifference],
    addon: &AddonName,
    object: &ObjectDifference,
) -> bool {
    let key = &object.change.key;
    object.change.fields.iter().zip(&object.causes).all(|(field, causes)| {
        let is_own = !causes.is_empty() && causes.iter().all(Input::is_own);
        is_own || rules.iter().any(|rule| is_meant(rule, addon, key, (&field.path, causes)))
    })
}

fn is_meant(
    rule: &AllowedDifference,
    addon: &AddonName,
    key: &ObjectKey,
    (path, causes): (&FieldPath, &BTreeSet<Input>),
) -> bool {
    let is_from = |label: &String| {
        let is_it = |cause: &Input| {
            cause.is_own() || matches!(cause, Input::Label(other) if other == label)
        };
        !causes.is_empty() && causes.iter().all(is_it)
    };
    rule.addon.as_ref().is_none_or(|wanted| wanted == addon)
        && rule.kind.as_ref().is_none_or(|wanted| *wanted == key.kind)
        && rule.name.as_ref().is_none_or(|wanted| *wanted == key.name)
        && rule.path.as_ref().is_none_or(|wanted| is_below(path, wanted))
        && rule.label.as_ref().is_none_or(is_from)
}

/// Whether a field is at a pointer or below it.
fn is_below(path: &FieldPath, wanted: &str) -> bool {
    let Some(path) = path.pointer() else { return false };
    let (path, wanted) = (pointer::steps(&path), pointer::steps(wanted));
    let is_same = |(one, wanted): (&String, &String)| wanted == "*" || one == wanted;
    path.len() >= wanted.len() && path.iter().zip(&wanted).all(is_same)
}
