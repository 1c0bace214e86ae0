//! Roles and bindings of charts. Kubernetes lets nobody grant what they do not have: to write a
//! role one must hold its rules, or have the verb `escalate` on it; to bind one, hold its rules, or
//! have the verb `bind` on it.

use std::collections::BTreeSet;

use serde_json::Value as Json;

use super::{Gathered, Permission, Purpose, RBAC_GROUP, Scope, Target, Wanted};
use crate::chart::model::Manifest;
use crate::object::access::{list, text};

/// A role by the plural of its kind, its namespace (none for a ClusterRole) and its name.
type RoleKey = (&'static str, String, String);

/// Adds what the roles and bindings of the releases need.
pub(super) fn gather(releases: &[Wanted<'_>], gathered: &mut Gathered<'_>) {
    let objects: Vec<_> = releases.iter().map(|one| (one.addon, one.objects())).collect();
    let of_group = |object: &&Manifest| object.key.group == RBAC_GROUP;
    let mut held = BTreeSet::new();
    for (addon, objects) in &objects {
        for object in objects.iter().filter(of_group) {
            let Some(role) = role_of(&object.key.kind, object) else { continue };
            let scope = gathered.scope(&role.1);
            let escalate = on_role(&scope, &role, "escalate");
            // What an aggregated role will grant, nobody knows before.
            if object.object.get("aggregationRule").is_some_and(|rule| !rule.is_null()) {
                gathered.add(escalate, Purpose::Grants, addon);
                continue;
            }
            let bind = on_role(&scope, &role, "bind");
            for rule in list(&object.object, &["rules"]) {
                for permission in granted(rule, &scope) {
                    let need = gathered.add(permission, Purpose::Grants, addon);
                    need.instead.extend([escalate.clone(), bind.clone()]);
                }
            }
            held.insert(role);
        }
    }
    for (addon, objects) in &objects {
        for object in objects.iter().filter(of_group) {
            let Some((scope, role)) = bound(object, gathered) else { continue };
            if !held.contains(&role) {
                gathered.add(on_role(&scope, &role, "bind"), Purpose::Binds, addon);
            }
        }
    }
}

fn role_of(kind: &str, object: &Manifest) -> Option<RoleKey> {
    let key = &object.key;
    match kind {
        "ClusterRole" => Some(("clusterroles", String::new(), key.name.clone())),
        "Role" => Some(("roles", key.namespace.clone(), key.name.clone())),
        _ => None,
    }
}

/// Where a binding binds, and which role.
fn bound(object: &Manifest, gathered: &Gathered<'_>) -> Option<(Scope, RoleKey)> {
    let namespace = match object.key.kind.as_str() {
        "ClusterRoleBinding" => String::new(),
        "RoleBinding" => object.key.namespace.clone(),
        _ => return None,
    };
    let name = text(&object.object, &["roleRef", "name"])?.to_owned();
    let scope = gathered.scope(&namespace);
    match text(&object.object, &["roleRef", "kind"])? {
        "ClusterRole" => Some((scope, ("clusterroles", String::new(), name))),
        "Role" => Some((scope, ("roles", namespace, name))),
        _ => None,
    }
}

fn on_role(scope: &Scope, (plural, _, name): &RoleKey, verb: &str) -> Permission {
    Permission {
        scope: scope.clone(),
        target: Target::resource(RBAC_GROUP, plural, name),
        verb: verb.to_owned(),
    }
}

/// What a rule grants, one by one.
fn granted(rule: &Json, scope: &Scope) -> Vec<Permission> {
    let texts = |field: &str| -> Vec<&str> {
        list(rule, &[field]).iter().filter_map(Json::as_str).collect()
    };
    let mut targets: Vec<Target> =
        texts("nonResourceURLs").into_iter().map(|url| Target::Url(url.to_owned())).collect();
    let mut names = texts("resourceNames");
    if names.is_empty() {
        names.push("");
    }
    for group in texts("apiGroups") {
        for resource in texts("resources") {
            targets.extend(names.iter().map(|name| Target::resource(group, resource, name)));
        }
    }
    let mut granted = Vec::new();
    for target in targets {
        for verb in texts("verbs") {
            let (scope, target) = (scope.clone(), target.clone());
            granted.push(Permission { scope, target, verb: verb.to_owned() });
        }
    }
    granted
}
