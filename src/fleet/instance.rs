//! What each instance shall be, with every reference followed and every layer in order.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::ids::{InstanceKey, PolicyName, RepositoryName};
use crate::base::span::Span;
use crate::fleet::blue_green::Strategy;
use crate::fleet::model::{
    Credentials, Dependency, DriftPolicy, HealthSpec, IgnoreDifference, Limits, UpgradeSpec, Verify,
};
use crate::yaml::node::Node;

/// One addon on one cluster as git says it shall be. Not yet rendered.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Cluster and addon.
    pub key: InstanceKey,
    /// Where the chart is.
    pub chart: ChartLocation,
    /// Namespace of the release.
    pub namespace: String,
    /// The Helm release's name.
    pub release_name: String,
    /// The cluster's version, such as `1.35`.
    pub kubernetes_version: String,
    /// Layers in order; later wins, null deletes.
    pub values: Vec<Layer>,
    /// What must be healthy on the same cluster first.
    pub depends_on: Vec<Dependency>,
    /// When it counts as healthy.
    pub health: HealthSpec,
    /// How an upgrade is done.
    pub upgrade: UpgradeSpec,
    /// Fields whose live value is left alone.
    pub ignore_differences: Vec<IgnoreDifference>,
    /// What the controller does about what others change of it.
    pub on_drift: DriftPolicy,
    /// How its cluster changes.
    pub strategy: Strategy,
    /// Which policy moves it over the fleet.
    pub policy: Option<PolicyName>,
    /// Blast radius, from that policy.
    pub limits: Limits,
    /// Where the Addon says which chart it is.
    pub chart_span: Span,
    /// Where the Addon is written: the place of last resort for a diagnostic.
    pub span: Span,
}

impl Instance {
    /// The layer whose values are encrypted, if one is: what is rendered with it must not get to a
    /// cluster.
    pub fn encrypted(&self) -> Option<&Layer> {
        self.values.iter().find(|layer| layer.is_encrypted)
    }
}

/// Where a chart is.
#[derive(Clone, Debug, PartialEq)]
pub enum ChartLocation {
    /// A folder of the fleet's repository, at the fleet's revision.
    Path(String),
    /// A folder of another git repository.
    Git {
        /// `https://`, `ssh://` or `file://`.
        url: String,
        /// Tag, branch or commit.
        reference: String,
        /// The folder.
        path: String,
    },
    /// A packed chart of an HTTP repository.
    Http {
        /// The ChartRepository.
        repository: RepositoryName,
        /// Its URL.
        url: String,
        /// The chart.
        name: String,
        /// Its exact version.
        version: String,
        /// Where the credentials come from.
        credentials: Option<Credentials>,
        /// What is checked.
        verify: Verify,
    },
}

/// One layer of values and where it was written.
#[derive(Clone, Debug)]
pub struct Layer {
    /// The values; always an object. Shared by instances that have the layer in common.
    pub values: Arc<Json>,
    /// The tree they were read from, for `why` and diagnostics.
    pub node: Arc<Node>,
    /// Whether they are a sops file's, as they stand there: nothing is decrypted.
    pub is_encrypted: bool,
}

impl Layer {
    /// Where the value at a path was written, if this layer sets it.
    pub fn origin(&self, path: &[&str]) -> Option<&Span> {
        self.node.at(path).map(|node| &node.span)
    }

    /// The file that holds it.
    pub fn file(&self) -> &str {
        &self.node.span.file.path
    }
}
