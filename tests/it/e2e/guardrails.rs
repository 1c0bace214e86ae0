//! A real API server judges the objects of `tests/cases/guardrails/` as fitout does without it.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use fitout::object::access;

use super::clusters::{Cluster, clusters};
use crate::guardrails::{Asked, Case, NAMESPACE, cases};

/// How long a policy may take to have an effect.
const EFFECT_LIMIT: Duration = Duration::from_mins(1);

#[test]
fn the_api_server_has_the_same_verdicts() {
    let Some(clusters) = clusters() else { return };
    let cluster = clusters.named("stg-01");
    let namespace = format!("apiVersion: v1\nkind: Namespace\nmetadata: {{name: {NAMESPACE}}}\n");
    cluster.kubectl_apply(&namespace);
    let mut wrong = String::new();
    let cases = cases();
    // What is to be changed or deleted is there before any policy is: a policy that is deleted
    // still has an effect for a moment.
    for asked in cases.iter().flat_map(|case| &case.objects) {
        let there = if asked.is_deleted { Some(&asked.object) } else { asked.old.as_ref() };
        if let Some(object) = there {
            cluster.kubectl_apply(&object.to_string());
        }
    }
    for case in cases {
        cluster.kubectl_apply(&case.policies);
        judge(cluster, &case, &mut wrong);
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            cluster.kubectl(&format!("delete {kind} --all"));
        }
    }
    cluster.kubectl(&format!("delete namespace {NAMESPACE}"));
    cluster.kubectl("delete configmap limits -n default --ignore-not-found");
    assert!(wrong.is_empty(), "{wrong}");
}

/// Asks for each object until the answer is the expected one: policies take effect a moment after
/// they are there. Those that are refused come first, since nothing else shows the effect.
fn judge(cluster: &Cluster, case: &Case, wrong: &mut String) {
    let mut objects: Vec<_> = case.objects.iter().collect();
    objects.sort_by_key(|asked| asked.expected == "allowed");
    let started = Instant::now();
    for Asked { object, old, is_deleted, expected } in objects {
        let path = format!("{}/object.json", env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(&path, object.to_string()).unwrap();
        let verb = match old {
            _ if *is_deleted => "delete",
            Some(_) => "replace",
            None => "create",
        };
        let told = loop {
            let ran = cluster.try_kubectl(&[verb, "--dry-run=server", "-f", &path]).to_string();
            let is_denied = ran.contains("ValidatingAdmissionPolicy");
            let is_right = if expected == "allowed" { !is_denied } else { ran.contains(expected) };
            if is_right {
                break None;
            }
            if started.elapsed() > EFFECT_LIMIT {
                break Some(ran);
            }
        };
        if let Some(told) = told {
            let name = access::name(object);
            writeln!(wrong, "{}/{name}: expected {expected}, got {told}", case.name).unwrap();
        }
    }
}
