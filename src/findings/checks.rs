//! Health checks of objects that a release does not have: nobody would ever ask them.

use super::{Finding, Object};
use crate::base::diagnostic::{Diagnostic, closest};
use crate::fleet::Desired;
use crate::fleet::model::ObjectRef;
use crate::object::key::ObjectKey;
use crate::render::Release;

/// The checks of a release's addon that name none of its objects.
pub(super) fn check(desired: &Desired, release: &Release, objects: &[Object<'_>]) -> Vec<Finding> {
    let instance = &release.instance;
    let Some(addon) = desired.fleet.addons.get(&instance.key.addon) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, check) in instance.health.checks.iter().enumerate() {
        let of = &check.object;
        if objects.iter().any(|object| is_meant(of, &object.key, &instance.namespace)) {
            continue;
        }
        let index = index.to_string();
        let span = addon.node.span_at(&["spec", "health", "checks", &index, "object"]);
        let named = format!("{} `{}`", of.kind, of.name);
        let message =
            format!("a health check asks for {named}, and the release has no such object");
        let mut diagnostic =
            Diagnostic::warning("unasked-check", message).label(span, "never asked");
        let same = objects.iter().filter(|object| object.key.kind == of.kind);
        if let Some(best) = closest(&of.name, same.map(|object| object.key.name.as_str())) {
            diagnostic = diagnostic.help(format!("did you mean `{best}`?"));
        }
        let addons = [instance.key.addon.clone()].into();
        let object = format!("{}/{}", of.kind, of.name);
        found.push(Finding { diagnostic, addons, object, guardrail: None });
    }
    found
}

fn is_meant(of: &ObjectRef, key: &ObjectKey, namespace: &str) -> bool {
    let wanted = of.namespace.as_deref().unwrap_or(namespace);
    of.kind == key.kind
        && of.name == key.name
        && (key.namespace.is_empty() || key.namespace == wanted)
}
