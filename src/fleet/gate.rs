//! The gates of a rollout's stages as users write them.

use std::collections::BTreeSet;
use std::time::Duration;

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::model::{Credentials, HumanDuration, RolloutPolicySpec};
use crate::base::ids::{AddonName, ClusterName};

/// What must hold before the next stage: exactly one of the fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Somebody says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalGate>,
    /// A query of Prometheus says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusGate>,
    /// A service of your own says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub webhook: Option<WebhookGate>,
    /// Another addon's rollout is done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<RolloutGate>,
    /// A Job, or the tests of the release, succeeds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<JobGate>,
}

/// A Job, or the tests of the release, run once the stage's clusters are healthy, once for each change, on each cluster
/// that the stage has changed. If one fails the rollout stops.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct JobGate {
    /// What it is called, where a stage has several.
    #[serde(default = "job")]
    pub name: String,
    /// A file with a Job, relative to the policy's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A Job written here. Its name is given by fitout; its namespace is the release's unless it says another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manifest: Option<serde_json::Map<String, Json>>,
    /// `true`: the test hooks of the release instead, as `helm test` runs them.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub helm_test: bool,
    /// The one cluster that it is run on instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// So long after the stage's soak it is broken unless it has succeeded; 10 minutes by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<HumanDuration>,
}

impl JobGate {
    /// How long after the stage's soak it may take.
    pub fn deadline(&self) -> Duration {
        self.deadline.map_or(Duration::from_mins(10), |deadline| deadline.0)
    }

    /// What is wrong with a Job, if anything.
    pub fn flaw(job: &serde_json::Map<String, Json>) -> Option<&'static str> {
        let text = |field: &str| job.get(field).and_then(Json::as_str);
        if (text("apiVersion"), text("kind")) != (Some("batch/v1"), Some("Job")) {
            return Some("it is no `Job` of `batch/v1`");
        }
        let pod = job.get("spec").map(|spec| &spec["template"]["spec"]);
        let Some(pod) = pod.filter(|pod| pod["containers"].is_array()) else {
            return Some("it has no `spec.template.spec.containers`");
        };
        let metadata = job.get("metadata").unwrap_or(&Json::Null);
        let is_mapping = |value: &Json| value.is_null() || value.is_object();
        if ![metadata, &metadata["labels"], &metadata["annotations"]].into_iter().all(is_mapping) {
            return Some("its `metadata` is none");
        }
        let restarts = pod["restartPolicy"].as_str();
        (!matches!(restarts, Some("Never" | "OnFailure")))
            .then_some("its pods have to have `restartPolicy: Never` or `OnFailure`")
    }
}

fn job() -> String {
    "job".to_owned()
}

/// Another addon's newest rollout has completed, or there is none of it. What an instance needs on its own
/// cluster is for `dependsOn` of the addon to say.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RolloutGate {
    /// The addon, after which the gate is called.
    pub addon: AddonName,
    /// So long after the stage's soak it is broken unless it holds; it is waited for without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<HumanDuration>,
}

/// A gate that asks somebody else, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedGate<'a> {
    /// What it is called.
    pub name: &'a str,
    /// How often it is asked.
    pub interval: Duration,
    /// How long after the stage's soak it may take to hold.
    pub deadline: Option<Duration>,
    /// Whether it holds for good once it has held after a change.
    pub is_once: bool,
}

impl Gate {
    /// The gate, if it asks somebody else.
    pub fn asked(&self) -> Option<AskedGate<'_>> {
        let prometheus = self.prometheus.as_ref();
        let prometheus = prometheus.map(|gate| (gate.name.as_str(), gate.interval, gate.deadline));
        let webhook = self.webhook.as_ref();
        let webhook = webhook.map(|gate| (gate.name.as_str(), gate.interval, gate.deadline));
        let rollout = self.rollout.as_ref();
        let soon = Some(HumanDuration(Duration::from_secs(10)));
        let rollout = rollout.map(|gate| (gate.addon.as_str(), soon, gate.deadline));
        if let Some(gate) = &self.job {
            return Some(AskedGate {
                name: &gate.name,
                interval: Duration::from_secs(5),
                deadline: Some(gate.deadline()),
                is_once: true,
            });
        }
        let (name, interval, deadline) = prometheus.or(webhook).or(rollout)?;
        let interval = interval.map_or(INTERVAL, |interval| interval.0);
        let deadline = deadline.map(|deadline| deadline.0);
        Some(AskedGate { name, interval, deadline, is_once: false })
    }
}

/// A service that answers `pass`, `fail` or `wait`, asked again and again from when the stage's clusters
/// are healthy. `fail` stops the rollout; without an answer it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct WebhookGate {
    /// What it is called, where a stage has several.
    #[serde(default = "webhook")]
    pub name: String,
    /// Where it is asked, by POST; https, or on this machine.
    pub url: String,
    /// What questions are signed with.
    pub secret: Secret,
    /// How often it is asked; every minute by default.
    pub interval: Option<HumanDuration>,
    /// So long after the stage's soak it is broken unless it holds; it is waited for without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<HumanDuration>,
}

/// A secret that is not in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// An environment variable that holds it.
    pub env: String,
}

fn webhook() -> String {
    "webhook".to_owned()
}

/// A query whose every value has to be within bounds, or that is no worse on the clusters that the stage has
/// changed than on others, asked again and again from when the stage's clusters are healthy. What is not so
/// stops the rollout; without data it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct PrometheusGate {
    /// What it is called, where a stage has several.
    #[serde(default = "prometheus")]
    pub name: String,
    /// Where Prometheus answers, such as `https://prometheus.example.org`.
    pub url: String,
    /// PromQL that gives a vector or a scalar; with `compareTo` a vector with one value for each cluster.
    /// `$clusters` stands for the clusters that the stage has changed and `$control` for those that still
    /// have what was there before, both as a regular expression: `{cluster=~"$clusters|$control"}`.
    pub query: String,
    /// No value of a changed cluster may be less.
    pub min: Option<f64>,
    /// No value of a changed cluster may be more.
    pub max: Option<f64>,
    /// What the changed clusters are compared with: `control` is the clusters that still have what was there
    /// before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub compare_to: Option<CompareTo>,
    /// With `compareTo`, the label that names the cluster; `cluster` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster_label: Option<String>,
    /// With `compareTo`, by how much more than the median of the others a cluster may have: a number, or a
    /// percentage of that median; `10%` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tolerance: Option<Tolerance>,
    /// With `compareTo`, which values are worse; `higher` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worse: Option<Worse>,
    /// With `compareTo`, how likely a wrong decision may be, however often it is asked; `0.05` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_rate: Option<f64>,
    /// With `compareTo`, it does not hold by fewer samples of each changed cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_least: Option<u32>,
    /// How often it is asked, and sampled with `compareTo`; every minute by default.
    pub interval: Option<HumanDuration>,
    /// So long after the stage's soak it is broken unless it holds; it is waited for without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline: Option<HumanDuration>,
    /// Sent with each query.
    pub credentials: Option<Credentials>,
}

/// What the clusters that a stage has changed are compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CompareTo {
    /// Clusters that still have what was there before.
    Control,
}

/// Which values are worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Worse {
    /// Higher ones, as of errors.
    #[default]
    Higher,
    /// Lower ones, as of successes.
    Lower,
}

/// A difference that is put up with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Tolerance {
    /// So much.
    Number(f64),
    /// `10%` of what the others have.
    Percent(String),
}

impl Tolerance {
    /// How much that is where the others have `reference`; none where the text is no percentage.
    pub fn of(&self, reference: f64) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Percent(text) => {
                let percent: f64 = text.strip_suffix('%')?.trim().parse().ok()?;
                Some(percent / 100.0 * reference.abs())
            }
        }
    }
}

impl PrometheusGate {
    /// Stands for the clusters that the stage has changed, as a regular expression.
    pub const CLUSTERS: &str = "$clusters";
    /// Stands for the clusters that still have what was there before.
    pub const CONTROL: &str = "$control";
    /// How likely a wrong decision is where the gate does not say.
    pub const ERROR_RATE: f64 = 0.05;

    /// How often it is asked.
    pub fn interval(&self) -> Duration {
        self.interval.map_or(INTERVAL, |interval| interval.0)
    }

    /// The difference that is put up with.
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance.clone().unwrap_or_else(|| Tolerance::Percent("10%".to_owned()))
    }

    /// How likely a wrong decision may be.
    pub fn error_rate(&self) -> f64 {
        self.error_rate.unwrap_or(Self::ERROR_RATE)
    }

    /// How much time one value is made of, by the longest range of the query (`[5m]`).
    pub fn window(&self) -> Duration {
        let range = Regex::new(r"\[\s*([0-9a-z]+)\s*[\]:]").expect("the pattern is correct");
        let ranges = range.captures_iter(&self.query);
        let ranges = ranges.filter_map(|found| humantime::parse_duration(&found[1]).ok());
        ranges.max().unwrap_or_default()
    }
}

/// How often a gate is asked that does not say.
const INTERVAL: Duration = Duration::from_mins(1);

fn prometheus() -> String {
    "prometheus".to_owned()
}

/// Somebody says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ApprovalGate {
    /// How many different people; 1 by default.
    #[serde(default = "one_approval")]
    pub count: u32,
    /// Whose approvals count: people, or groups of the policy; anybody's by default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Whether the author of the commit may not approve it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub not_author: bool,
    /// Whether only approvals in git count, by commits signed with a key of the policy's `signers`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub signed: bool,
}

impl ApprovalGate {
    /// The people whose approvals count; none where anybody's do.
    pub fn people<'a>(&'a self, policy: &'a RolloutPolicySpec) -> Option<BTreeSet<&'a str>> {
        let named = self.from.iter().flat_map(|name| match policy.groups.get(name) {
            Some(people) => people.iter().map(String::as_str).collect(),
            None => vec![name.as_str()],
        });
        (!self.from.is_empty()).then(|| named.collect())
    }
}

fn one_approval() -> u32 {
    1
}
