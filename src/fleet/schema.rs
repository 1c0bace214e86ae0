//! The JSON Schema of each kind of document: derived from the types of [`super::model`], completed
//! with what types cannot say. It is what `fitout schema` prints and what documents are checked
//! against, so that an editor and `fitout validate` agree.

use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use serde_json::{Value as Json, json};

use super::model::{Addon, Approval, ChartRepository, Cluster, RolloutPolicy, Waiver};
use super::switch::SwitchPolicy;

/// The `apiVersion` of every document.
pub const API_VERSION: &str = "fitout.dev/v1alpha1";

/// The kinds of document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A cluster.
    Cluster,
    /// An addon.
    Addon,
    /// Where charts are downloaded from.
    ChartRepository,
    /// How a change moves over the fleet.
    RolloutPolicy,
    /// How the traffic of a cluster goes to the one that replaces it.
    SwitchPolicy,
    /// A finding that is put up with for a while.
    Waiver,
    /// Somebody's approval of a stage of a rollout.
    Approval,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Cluster,
        Self::Addon,
        Self::ChartRepository,
        Self::RolloutPolicy,
        Self::SwitchPolicy,
        Self::Waiver,
        Self::Approval,
    ];

    /// As in `kind:`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cluster => "Cluster",
            Self::Addon => "Addon",
            Self::ChartRepository => "ChartRepository",
            Self::RolloutPolicy => "RolloutPolicy",
            Self::SwitchPolicy => "SwitchPolicy",
            Self::Waiver => "Waiver",
            Self::Approval => "Approval",
        }
    }

    /// In a sentence.
    pub fn noun(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Addon => "addon",
            Self::ChartRepository => "chart repository",
            Self::RolloutPolicy => "rollout policy",
            Self::SwitchPolicy => "switch policy",
            Self::Waiver => "waiver",
            Self::Approval => "approval",
        }
    }

    /// The kind of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its schema (JSON Schema 2020-12).
    pub fn schema(self) -> &'static Json {
        static SCHEMAS: LazyLock<[Json; 7]> = LazyLock::new(|| {
            [
                build::<Cluster>(Kind::Cluster),
                build::<Addon>(Kind::Addon),
                build::<ChartRepository>(Kind::ChartRepository),
                build::<RolloutPolicy>(Kind::RolloutPolicy),
                build::<SwitchPolicy>(Kind::SwitchPolicy),
                build::<Waiver>(Kind::Waiver),
                build::<Approval>(Kind::Approval),
            ]
        });
        &SCHEMAS[self as usize]
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A form that a text must have.
pub(super) struct Form {
    pub(super) pattern: Regex,
    /// The code of the diagnostic.
    pub(super) code: &'static str,
    /// What a text of that form is.
    pub(super) what: &'static str,
    /// Types and fields that must have it.
    fields: &'static [(&'static str, &'static str)],
}

pub(super) static FORMS: LazyLock<[Form; 6]> = LazyLock::new(|| {
    let regex = |text| Regex::new(text).expect("the patterns below are correct");
    [
        Form {
            pattern: regex("^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"),
            code: "bad-name",
            what: "a name is at most 63 lower-case letters, digits and `-`",
            fields: &[
                ("ClusterMetadata", "name"),
                ("AddonMetadata", "name"),
                ("RepositoryMetadata", "name"),
                ("PolicyMetadata", "name"),
                ("WaiverMetadata", "name"),
                ("ApprovalMetadata", "name"),
                ("Stage", "name"),
                ("JobGate", "name"),
                ("AddonSpec", "namespace"),
            ],
        },
        Form {
            pattern: regex("^[a-z0-9]([-a-z0-9.]{0,51}[a-z0-9])?$"),
            code: "bad-name",
            what: "a release name is at most 53 lower-case letters, digits, `-` and `.`",
            fields: &[("AddonSpec", "releaseName")],
        },
        Form {
            pattern: regex(r"^v?[0-9]+\.[0-9]+(\.[0-9]+)?([-+].*)?$"),
            code: "bad-version",
            what: "a Kubernetes version is like `1.35` or `1.35.2`",
            fields: &[("ClusterSpec", "kubernetesVersion")],
        },
        Form {
            pattern: regex("^(/[^/]*)+$"),
            code: "bad-pointer",
            what: "a JSON pointer is like `/spec/replicas`",
            fields: &[("IgnoreDifference", "path"), ("AllowedDifference", "path")],
        },
        Form {
            pattern: regex("^.+-[0-9]+$"),
            code: "bad-name",
            what: "a rollout is like `traefik-3`",
            fields: &[("ApprovalSpec", "rollout")],
        },
        Form {
            pattern: regex("^[0-9a-f]{64}$"),
            code: "bad-digest",
            what: "the digest of a plan is 64 hexadecimal digits, as `fitout rollout show` prints them",
            fields: &[("ApprovalSpec", "plan")],
        },
    ]
});

/// Types of which exactly one of the fields must be given.
const EXACTLY_ONE: [(&str, &[&str]); 7] = [
    ("Connection", &["context", "kubeconfigFile", "kubeconfigSecret", "inCluster", "simulated"]),
    ("ChartSource", &["repository", "path", "git", "oci"]),
    ("ValuesLayer", &["file", "secrets", "inline"]),
    ("Gate", &["approval", "prometheus", "webhook", "rollout", "job"]),
    ("JobGate", &["file", "manifest", "helmTest"]),
    ("Hook", &["webhook", "job", "patch"]),
    ("Traffic", &["service", "httpRoute", "virtualService", "traefikService"]),
];

fn build<T: schemars::JsonSchema>(kind: Kind) -> Json {
    let mut schema =
        serde_json::to_value(schemars::schema_for!(T)).expect("a derived schema is plain JSON");
    schema["properties"]["apiVersion"] = json!({"type": "string", "const": API_VERSION});
    schema["properties"]["kind"] = json!({"type": "string", "const": kind.name()});
    schema["required"] = json!(["apiVersion", "kind", "metadata", "spec"]);
    for (name, fields) in EXACTLY_ONE {
        if let Some(definition) = schema["$defs"].get_mut(name) {
            let choices: Vec<Json> =
                fields.iter().map(|field| json!({"required": [field]})).collect();
            definition["oneOf"] = Json::Array(choices);
        }
    }
    for form in FORMS.iter() {
        for (name, field) in form.fields {
            let property = schema["$defs"].get_mut(*name);
            if let Some(property) = property.and_then(|one| one["properties"].get_mut(*field)) {
                property["pattern"] = json!(form.pattern.as_str());
            }
        }
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_and_choice_is_of_a_field_that_exists() {
        let all = Kind::ALL.map(Kind::schema);
        let has = |name: &str, field: &str| {
            all.iter().any(|schema| !schema["$defs"][name]["properties"][field].is_null())
        };
        for form in FORMS.iter() {
            for (name, field) in form.fields {
                assert!(has(name, field), "{name}.{field}");
            }
        }
        for (name, fields) in EXACTLY_ONE {
            assert!(fields.iter().all(|field| has(name, field)), "{name}");
        }
    }

    #[test]
    fn the_schemas_accept_what_the_types_accept() {
        let document = json!({
            "apiVersion": API_VERSION,
            "kind": "Cluster",
            "metadata": {"name": "a"},
            "spec": {"kubernetesVersion": "1.35", "connection": {"simulated": {"nodes": 2}}},
        });
        let schema = jsonschema::validator_for(Kind::Cluster.schema()).unwrap();
        assert!(schema.is_valid(&document));
        let mut wrong = document;
        wrong["spec"]["connection"]["context"] = json!("b");
        assert!(!schema.is_valid(&wrong));
    }
}
