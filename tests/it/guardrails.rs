//! Policies of `tests/cases/guardrails/`, judged without a cluster. `e2e::guardrails` asks a real
//! API server the same.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use fitout::base::ids::Rev;
use fitout::git::Source;
use fitout::guardrail::{Operation, Outcome, Subject, judge, matching, read};
use fitout::object::access;
use fitout::report::diagnostics;
use fitout::sim::as_stored;
use serde_json::{Value as Json, json};

use crate::env::repository;

/// Where the objects of all cases are.
pub(crate) const NAMESPACE: &str = "guarded";

/// One file: policies with their parameters, and objects with what is expected of them.
pub(crate) struct Case {
    pub(crate) name: String,
    /// The documents that are no objects.
    pub(crate) policies: String,
    pub(crate) objects: Vec<Asked>,
}

/// What is asked about an object.
pub(crate) struct Asked {
    /// The object; of a deletion, as it is.
    pub(crate) object: Json,
    /// What it takes the place of; annotation `was`, as a merge patch.
    pub(crate) old: Option<Json>,
    /// Annotation `deleted`.
    pub(crate) is_deleted: bool,
    /// `allowed`, or a part of the reason against it; annotation `expect`.
    pub(crate) expected: String,
}

impl Asked {
    fn of(mut object: Json) -> Option<Self> {
        let annotation = |name: &str| access::annotation(&object, name).map(str::to_owned);
        let expected = annotation("expect")?;
        let (was, is_deleted) = (annotation("was"), annotation("deleted").is_some());
        object["metadata"]["namespace"] = json!(NAMESPACE);
        let old = was.map(|patch| {
            let mut old = object.clone();
            merge(&mut old, &fitout::yaml::helm::read_object(&patch).unwrap());
            old
        });
        Some(Self { object, old, is_deleted, expected })
    }
}

fn merge(object: &mut Json, patch: &Json) {
    match patch {
        Json::Object(fields) => {
            for (name, value) in fields {
                merge(&mut object[name], value);
            }
        }
        value => *object = value.clone(),
    }
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
        match Asked::of(fitout::yaml::helm::read_object(document).unwrap()) {
            Some(asked) => case.objects.push(asked),
            None => writeln!(case.policies, "---\n{document}").unwrap(),
        }
    }
    assert!(!case.objects.is_empty(), "{} asks nothing", case.name);
    case
}

fn source(policies: &str) -> Source {
    let path = "policies/guardrails/case.yaml".to_owned();
    let files = BTreeMap::from([(path, policies.as_bytes().into())]);
    Source { rev: Rev::new("test"), files, author: None }
}

#[test]
fn verdicts_are_as_expected() {
    let mut wrong = String::new();
    for case in cases() {
        let guardrails = read::read(&source(&case.policies));
        let told = diagnostics::text(&guardrails.diagnostics, false);
        assert!(guardrails.diagnostics.is_empty(), "{}: {told}", case.name);
        for asked in &case.objects {
            let whole = |object: &Json| {
                let mut object = object.clone();
                as_stored(&mut object);
                object
            };
            let (object, old) = (whole(&asked.object), asked.old.as_ref().map(whole));
            let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {
                "name": NAMESPACE, "labels": {"kubernetes.io/metadata.name": NAMESPACE}}});
            let subject = Subject {
                object: &object,
                operation: match &old {
                    _ if asked.is_deleted => Operation::Delete,
                    Some(old) => Operation::Update(old),
                    None => Operation::Create,
                },
                namespace: NAMESPACE,
                resource: matching::resource_of(access::kind(&object)),
                namespace_of: Some(&namespace),
            };
            let outcomes = judge::judge(&guardrails.value, &[subject]);
            let told: Vec<String> = outcomes.iter().map(Outcome::as_told_by_server).collect();
            let is_right = match asked.expected.as_str() {
                "allowed" => told.is_empty(),
                expected => told.iter().any(|told| told.contains(expected)),
            };
            if !is_right {
                let name = access::name(&object);
                writeln!(wrong, "{}/{name}: expected {}, got {told:?}", case.name, asked.expected)
                    .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn what_an_api_server_converts_first_is_not_judged() {
    let policies = "---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: scaled}
spec:
  matchConstraints:
    resourceRules:
      - {apiGroups: [autoscaling], apiVersions: [v2], operations: [CREATE], resources: [horizontalpodautoscalers]}
      - {apiGroups: [example.org], apiVersions: [v2], operations: [CREATE], resources: [widgets]}
  validations: [{expression: object.spec.maxReplicas <= 3}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: scaled}
spec: {policyName: scaled, validationActions: [Deny]}
";
    let guardrails = read::read(&source(policies)).value;
    let told = |api_version: &str, kind: &str| {
        let object = json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "a"},
            "spec": {"maxReplicas": 9}});
        let subject = Subject {
            object: &object,
            operation: Operation::Create,
            namespace: NAMESPACE,
            resource: matching::resource_of(kind),
            namespace_of: None,
        };
        let outcomes = judge::judge(&guardrails, &[subject]);
        outcomes.iter().map(|one| (one.is_unjudged, one.message.clone())).collect::<Vec<_>>()
    };
    let broken = vec![(false, "failed expression: object.spec.maxReplicas <= 3".to_owned())];
    assert_eq!(told("autoscaling/v2", "HorizontalPodAutoscaler"), broken);
    assert_eq!(
        told("autoscaling/v1", "HorizontalPodAutoscaler"),
        vec![(true, "the API server converts it to `autoscaling/v2` first".to_owned())]
    );
    assert_eq!(told("example.org/v1", "Widget"), broken);
}
