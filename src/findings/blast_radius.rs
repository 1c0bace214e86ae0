//! More deletions than a policy's `limits` allow: a cluster would stop there and ask.

use std::collections::BTreeSet;

use super::shared::Shared;
use super::{Finding, Object};
use crate::base::diagnostic::{Diagnostic, counted, few};
use crate::base::ids::PolicyName;
use crate::base::span::Span;
use crate::fleet::Desired;
use crate::fleet::model::Limits;
use crate::object::access;
use crate::object::key::ObjectKey;

pub(super) fn check(
    desired: &Desired,
    shared: &Shared<'_>,
    (wanted, before): (&[Object<'_>], &[Object<'_>]),
) -> Vec<Finding> {
    let Some(release) = shared.release() else { return Vec::new() };
    let doomed = doomed(before, wanted);
    // Of an addon that goes, the policy that the head has of that name.
    let policy = release.instance.policy.as_ref();
    let limits = match policy.and_then(|name| desired.fleet.policies.get(name)) {
        Some(policy) => policy.value.spec.limits.clone(),
        None => release.instance.limits.clone(),
    };
    exceeded(&limits, &doomed)
        .into_iter()
        .map(|exceeded| Finding {
            diagnostic: explain(desired, shared, policy, &exceeded),
            addons: BTreeSet::from([release.instance.key.addon.clone()]),
            object: String::new(),
            guardrail: None,
        })
        .collect()
}

/// Objects of `before` that an apply of `after` deletes.
pub(super) fn doomed<'a>(before: &'a [Object<'a>], after: &[Object<'_>]) -> Vec<&'a Object<'a>> {
    let kept: BTreeSet<&ObjectKey> = after.iter().map(|object| &object.key).collect();
    let annotation = |object: &Object<'_>, name: &str| {
        access::annotation(&object.manifest.object, name).map(str::to_ascii_lowercase)
    };
    before
        .iter()
        .filter(|object| {
            !kept.contains(&object.key)
                && annotation(object, "helm.sh/resource-policy").is_none_or(|is| is.trim() != "keep")
                // Hooks are deleted by their own policies.
                && annotation(object, "helm.sh/hook").is_none()
        })
        .collect()
}

/// A limit that is exceeded.
struct Exceeded<'a> {
    field: &'static str,
    what: &'static str,
    limit: u32,
    objects: Vec<&'a Object<'a>>,
}

fn exceeded<'a>(limits: &Limits, doomed: &[&'a Object<'a>]) -> Vec<Exceeded<'a>> {
    let of_kind = |group: &str, kind: &str| -> Vec<&'a Object<'a>> {
        let is = |object: &&&Object<'_>| object.key.group == group && object.key.kind == kind;
        doomed.iter().filter(is).copied().collect()
    };
    let namespaces = of_kind("", "Namespace");
    let crds = of_kind("apiextensions.k8s.io", "CustomResourceDefinition");
    let all = [
        ("deletedObjects", "object", limits.deleted_objects, doomed.to_vec()),
        ("deletedNamespaces", "namespace", limits.deleted_namespaces, namespaces),
        ("removedCrds", "CRD", limits.removed_crds, crds),
    ];
    all.into_iter()
        .map(|(field, what, limit, objects)| Exceeded { field, what, limit, objects })
        .filter(|one| one.objects.len() > one.limit as usize)
        .collect()
}

fn explain(
    desired: &Desired,
    shared: &Shared<'_>,
    policy: Option<&PolicyName>,
    exceeded: &Exceeded<'_>,
) -> Diagnostic {
    let Exceeded { field, what, limit, objects } = exceeded;
    let addon = shared.release().map(|release| release.instance.key.addon.to_string());
    let addon = addon.unwrap_or_default();
    let doomed = counted(objects.len(), what);
    let message =
        format!("{doomed} of `{addon}` would be deleted on a cluster, and {limit} may be");
    let names: BTreeSet<String> = objects.iter().map(|object| object.key.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let found = Diagnostic::error("blast-radius", message).note(few(&names)).help(format!(
        "the rollout would stop there and ask; if it is meant, raise `limits.{field}` of the policy \
         in the same change"
    ));
    match place(desired, shared, policy, field) {
        Some((span, text)) => found.label(&span, text),
        None => found,
    }
}

/// The limit, else the policy, else the addon.
fn place(
    desired: &Desired,
    shared: &Shared<'_>,
    policy: Option<&PolicyName>,
    field: &str,
) -> Option<(Span, &'static str)> {
    let Some(policy) = policy.and_then(|name| desired.fleet.policies.get(name)) else {
        return shared.head.map(|head| (head.instance.chart_span.clone(), "of this addon"));
    };
    let limit = policy.node.at(&["spec", "limits", field]);
    Some(match limit {
        Some(node) => (node.span.clone(), "the limit"),
        None => (policy.node.span_at(&["metadata", "name"]).clone(), "the policy's default"),
    })
}
