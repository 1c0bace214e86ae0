//! What the documents of two clusters say differently: all that can make their renders differ.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value as Json;

use super::Sides;
use crate::base::ids::ClusterName;
use crate::base::span::Span;
use crate::fleet::model::{Cluster, Document, Fleet};

/// Something that a Cluster document says.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// Its name.
    Name,
    /// A fact.
    Fact(String),
    /// Its version of Kubernetes.
    KubernetesVersion,
    /// A label.
    Label(String),
    /// Its own settings of addons.
    Settings,
}

impl Input {
    /// Whether no two clusters are expected to have it in common: names, facts and the version of
    /// Kubernetes. Labels and settings say what a cluster is for.
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Name | Self::Fact(_) | Self::KubernetesVersion)
    }
}

impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Fact(fact) => write!(f, "fact {fact}"),
            Self::KubernetesVersion => f.write_str("Kubernetes version"),
            Self::Label(label) => write!(f, "label {label}"),
            Self::Settings => f.write_str("own settings"),
        }
    }
}

impl Serialize for Input {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Something that two clusters' documents say differently.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InputDifference {
    /// What.
    pub input: Input,
    /// What each says; settings are told by the addons that have some.
    pub value: Sides<String>,
    /// Where each says it.
    pub place: Sides<String>,
}

/// What two clusters' documents say differently: what is a cluster's own by nature first.
pub fn between(fleet: &Fleet, blue: &ClusterName, green: &ClusterName) -> Vec<InputDifference> {
    let (Some(blue), Some(green)) = (fleet.clusters.get(blue), fleet.clusters.get(green)) else {
        return Vec::new();
    };
    let mut inputs = vec![Input::Name];
    inputs.extend(names(blue, green, |one| one.spec.facts.keys()).map(Input::Fact));
    inputs.push(Input::KubernetesVersion);
    inputs.extend(names(blue, green, |one| one.metadata.labels.keys()).map(Input::Label));
    inputs.push(Input::Settings);
    let differs = |input: &Input| !is_equal(input, &blue.value, &green.value);
    let difference = |input: Input| InputDifference {
        value: Sides { blue: told(&input, &blue.value), green: told(&input, &green.value) },
        place: Sides { blue: place(&input, blue), green: place(&input, green) },
        input,
    };
    inputs.into_iter().filter(differs).map(difference).collect()
}

fn names<'a, I: Iterator<Item = &'a String>>(
    blue: &'a Document<Cluster>,
    green: &'a Document<Cluster>,
    of: impl Fn(&'a Cluster) -> I,
) -> impl Iterator<Item = String> {
    let all = of(&blue.value).chain(of(&green.value));
    all.cloned().collect::<std::collections::BTreeSet<String>>().into_iter()
}

fn is_equal(input: &Input, blue: &Cluster, green: &Cluster) -> bool {
    match input {
        Input::Name => blue.metadata.name == green.metadata.name,
        Input::Fact(fact) => blue.spec.facts.get(fact) == green.spec.facts.get(fact),
        Input::KubernetesVersion => blue.spec.kubernetes_version == green.spec.kubernetes_version,
        Input::Label(label) => blue.metadata.labels.get(label) == green.metadata.labels.get(label),
        Input::Settings => blue.spec.addons == green.spec.addons,
    }
}

fn told(input: &Input, cluster: &Cluster) -> Option<String> {
    match input {
        Input::Name => Some(cluster.metadata.name.to_string()),
        Input::Fact(fact) => cluster.spec.facts.get(fact).map(short),
        Input::KubernetesVersion => Some(cluster.spec.kubernetes_version.clone()),
        Input::Label(label) => cluster.metadata.labels.get(label).cloned(),
        Input::Settings => {
            let names: Vec<&str> =
                cluster.spec.addons.iter().map(|setting| setting.name.as_str()).collect();
            (!names.is_empty()).then(|| format!("of {}", names.join(", ")))
        }
    }
}

/// A fact on one line.
fn short(value: &Json) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn place(input: &Input, cluster: &Document<Cluster>) -> Option<String> {
    let path: Vec<&str> = match input {
        Input::Name => vec!["metadata", "name"],
        Input::Fact(fact) => vec!["spec", "facts", fact],
        Input::KubernetesVersion => vec!["spec", "kubernetesVersion"],
        Input::Label(label) => vec!["metadata", "labels", label],
        Input::Settings => vec!["spec", "addons"],
    };
    cluster.node.at(&path).map(|node| Span::to_string(&node.span))
}

/// A cluster with one thing as another one has it.
pub(super) fn with(
    cluster: &Document<Cluster>,
    input: &Input,
    other: &Document<Cluster>,
) -> Document<Cluster> {
    let mut one = cluster.clone();
    let from = &other.value;
    match input {
        Input::Name => one.value.metadata.name = from.metadata.name.clone(),
        Input::Fact(fact) => match from.spec.facts.get(fact) {
            Some(value) => {
                one.value.spec.facts.insert(fact.clone(), value.clone());
            }
            None => {
                one.value.spec.facts.remove(fact);
            }
        },
        Input::KubernetesVersion => {
            one.value.spec.kubernetes_version.clone_from(&from.spec.kubernetes_version);
        }
        Input::Label(label) => match from.metadata.labels.get(label) {
            Some(value) => {
                one.value.metadata.labels.insert(label.clone(), value.clone());
            }
            None => {
                one.value.metadata.labels.remove(label);
            }
        },
        // Their values are read from the document's tree.
        Input::Settings => {
            one.value.spec.addons.clone_from(&from.spec.addons);
            one.node = other.node.clone();
        }
    }
    one
}
