//! Policies of `tests/cases/guardrails/`, judged without a cluster. `e2e::guardrails` asks a real
//! API server the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fitout::base::ids::Rev;
use fitout::git::Source;
use fitout::guardrail::{Outcome, Subject, judge, matching, read};
use fitout::object::access;
use fitout::report::diagnostics;
use fitout::sim::defaults;
use serde_json::{Value as Json, json};

use crate::env::repository;

/// Where the objects of all cases are.
pub(crate) const NAMESPACE: &str = "guarded";

/// One file: policies with their parameters, and objects with what is expected of them.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The documents that are no objects.
    pub(crate) policies: String,
    /// The object, and `allowed` or a part of the reason against it.
    pub(crate) objects: Vec<(Json, String)>,
}

/// All of them, by name.
pub(crate) fn cases() -> Vec<Case> {
    let folder = repository().join("tests/cases/guardrails");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &std::path::Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let mut case = Case {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        policies: String::new(),
        objects: Vec::new(),
    };
    for document in text.split("---\n") {
        let mut object: Json = fitout::yaml::helm::read_object(document).unwrap();
        match access::annotation(&object, "expect").map(str::to_owned) {
            Some(expected) => {
                object["metadata"]["namespace"] = json!(NAMESPACE);
                case.objects.push((object, expected));
            }
            None => writeln!(case.policies, "---\n{document}").unwrap(),
        }
    }
    assert!(!case.objects.is_empty(), "{} asks nothing", case.name);
    case
}

fn source(policies: &str) -> Source {
    let path = "policies/guardrails/case.yaml".to_owned();
    Source { rev: Rev::new("test"), files: BTreeMap::from([(path, policies.as_bytes().into())]) }
}

#[test]
fn verdicts_are_as_expected() {
    let mut wrong = String::new();
    for case in cases() {
        let guardrails = read::read(&source(&case.policies));
        let told = diagnostics::text(&guardrails.diagnostics, false);
        assert!(guardrails.diagnostics.is_empty(), "{}: {told}", case.name);
        for (object, expected) in &case.objects {
            let mut object = object.clone();
            defaults::apply(&mut object);
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": NAMESPACE, "labels": {"kubernetes.io/metadata.name": NAMESPACE}}});
            let subject = Subject {
                object: &object,
                namespace: NAMESPACE,
                resource: matching::resource_of(access::kind(&object)),
                namespace_of: Some(&namespace),
            };
            let outcomes = judge::judge(&guardrails.value, &subject);
            let told: Vec<String> = outcomes.iter().map(Outcome::as_told_by_server).collect();
            let is_right = match expected.as_str() {
                "allowed" => told.is_empty(),
                expected => told.iter().any(|told| told.contains(expected)),
            };
            if !is_right {
                let name = access::name(&object);
                writeln!(wrong, "{}/{name}: expected {expected}, got {told:?}", case.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}
