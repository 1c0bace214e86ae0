//! What guardrails have against what is done with objects: made, changed, deleted.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::blast_radius::doomed;
use super::shared::{Before, Part, Shared};
use super::{Finding, Object, place};
use crate::base::diagnostic::{Diagnostic, Severity};
use crate::fleet::Desired;
use crate::guardrail::{Action, Guardrails, Operation, Outcome, Subject, judge, matching};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::render::Release;
use crate::sim::as_stored;

pub(super) fn check(
    desired: &Desired,
    shared: &Shared<'_>,
    (wanted, before): (&[Object<'_>], &[Object<'_>]),
    guardrails: &Guardrails,
) -> Vec<Finding> {
    if guardrails.policies.is_empty() {
        return Vec::new();
    }
    let old: BTreeMap<&ObjectKey, &Object<'_>> = before.iter().map(|one| (&one.key, one)).collect();
    let mut found = Vec::new();
    if let Some(release) = shared.head {
        for object in wanted {
            let old = old.get(&object.key).map(|old| whole(old));
            let told = Judging { desired, shared, guardrails, release, object };
            found.extend(told.kept(old.as_ref()));
        }
    }
    // CRDs of `crds/` are never deleted.
    let deletes = shared.part == Part::Rest && guardrails.judge_deletions();
    if let (Some(release), true) = (shared.replaced(), deletes) {
        for object in doomed(before, wanted) {
            found.extend(Judging { desired, shared, guardrails, release, object }.deleted());
        }
    }
    found
}

/// One object being judged.
struct Judging<'a> {
    desired: &'a Desired,
    shared: &'a Shared<'a>,
    guardrails: &'a Guardrails,
    release: &'a Release,
    object: &'a Object<'a>,
}

impl Judging<'_> {
    /// An object of the head, in place of the old one.
    fn kept(&self, old: Option<&Json>) -> Vec<Finding> {
        let new = whole(self.object);
        let operations = match (old, self.shared.before) {
            (Some(old), _) => vec![Operation::Update(old)],
            // Nobody knows whether it is there: a guardrail about changes alone is asked whether
            // it would let the object stay as it is.
            (None, Before::Unknown) => vec![Operation::Create, Operation::Update(&new)],
            (None, _) => vec![Operation::Create],
        };
        self.judge(&new, &operations)
    }

    fn deleted(&self) -> Vec<Finding> {
        self.judge(&whole(self.object), &[Operation::Delete])
    }

    fn judge(&self, object: &Json, operations: &[Operation<'_>]) -> Vec<Finding> {
        let key = &self.object.key;
        let namespace = namespace_of(self.shared, key);
        let defined = self.shared.resources.get(&(key.group.clone(), key.kind.clone()));
        let resource = defined.cloned().unwrap_or_else(|| matching::resource_of(&key.kind));
        let mut subjects: Vec<Subject<'_>> = Vec::new();
        for operation in operations {
            subjects.push(Subject {
                object,
                operation: *operation,
                namespace: &key.namespace,
                resource: resource.clone(),
                namespace_of: namespace.as_ref(),
            });
        }
        let outcomes = judge::judge(self.guardrails, &subjects);
        outcomes.iter().map(|outcome| self.finding(outcome)).collect()
    }

    fn finding(&self, outcome: &Outcome<'_>) -> Finding {
        let Self { desired, release, object, .. } = self;
        let one = explain(outcome, object);
        let one = match self.shared.head {
            Some(_) => place::at(one, desired, release, &object.manifest, "this object"),
            // Where it was written, there may be nothing any more.
            None => one,
        };
        let span = outcome.validation.map_or(&outcome.policy.span, |validation| &validation.span);
        let guardrail = Some(outcome.policy.name.clone());
        Finding { guardrail, ..Finding::of(one.label(span, "the guardrail"), release, object) }
    }
}

/// An object as the API server sees it.
fn whole(object: &Object<'_>) -> Json {
    let mut whole = (*object.manifest.object).clone();
    if !object.key.namespace.is_empty() {
        place::set_namespace(&mut whole, &object.key.namespace);
    }
    as_stored(&mut whole);
    whole
}

/// The Namespace of an object as the fleet renders it, or with no labels but its name's.
fn namespace_of(shared: &Shared<'_>, key: &ObjectKey) -> Option<Json> {
    if key.namespace.is_empty() {
        return None;
    }
    let name = &key.namespace;
    let mut namespace = match shared.namespaces.get(name) {
        Some(rendered) => (**rendered).clone(),
        None => json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}),
    };
    access::set_metadata(&mut namespace, "labels", "kubernetes.io/metadata.name", name);
    Some(namespace)
}

fn explain(outcome: &Outcome<'_>, object: &Object<'_>) -> Diagnostic {
    let (policy, key) = (&outcome.policy.name, &object.key);
    if outcome.is_unjudged {
        let message =
            format!("`{key}` is not judged by the guardrail `{policy}`: {}", outcome.message);
        return Diagnostic::warning("guardrail-not-judged", message);
    }
    let severity = match outcome.action() {
        Action::Deny => Severity::Error,
        Action::Warn => Severity::Warning,
        Action::Audit => Severity::Note,
    };
    let message = format!("`{key}` breaks the guardrail `{policy}`: {}", outcome.message);
    Diagnostic { severity, ..Diagnostic::error("broken-guardrail", message) }
}
