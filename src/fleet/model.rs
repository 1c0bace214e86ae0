//! Cluster, Addon, ChartRepository, RolloutPolicy, Waiver and Approval as users write them (`fitout.dev/v1alpha1`).
//!
//! Plain data with `serde`; the JSON Schema of each kind is derived from these types and is also
//! what documents are checked against. Spans are found through [`Document::node`].

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::blue_green::Strategy;
use super::calendar::{Freeze, Window};
pub use super::gate::{
    ApprovalGate, AskedGate, CompareTo, Gate, JobGate, PrometheusGate, RolloutGate, Secret,
    Tolerance, WebhookGate, Worse,
};
use super::schema::Kind;
use super::switch::SwitchPolicy;
use crate::base::ids::{AddonName, ClusterName, Digest, PolicyName, RepositoryName};
use crate::base::limits::RELEASE_HISTORY_MAX;
use crate::yaml::node::Node;

/// A document together with the tree it was read from, for spans.
#[derive(Clone, Debug)]
pub struct Document<T> {
    /// The document.
    pub value: T,
    /// Its tree.
    pub node: Node,
}

/// Everything a revision says, with references not yet followed.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// By name.
    pub clusters: BTreeMap<ClusterName, Document<Cluster>>,
    /// By name.
    pub addons: BTreeMap<AddonName, Document<Addon>>,
    /// By name.
    pub repositories: BTreeMap<RepositoryName, Document<ChartRepository>>,
    /// By name.
    pub policies: BTreeMap<PolicyName, Document<RolloutPolicy>>,
    /// By name.
    pub switches: BTreeMap<PolicyName, Document<SwitchPolicy>>,
    /// By name.
    pub waivers: BTreeMap<String, Document<Waiver>>,
    /// By name.
    pub approvals: BTreeMap<String, Document<Approval>>,
    /// Kind and name of documents that are there but cannot be read.
    pub broken: BTreeSet<(Kind, String)>,
}

impl Fleet {
    /// Whether a document is there but cannot be read.
    pub fn is_broken(&self, kind: Kind, name: &str) -> bool {
        self.broken.iter().any(|(one, broken)| *one == kind && broken == name)
    }
}

/// `metadata` of a Cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterMetadata {
    /// Unique among clusters; a DNS label.
    pub name: ClusterName,
    /// What selectors match.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// One Kubernetes cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cluster {
    /// Name and labels.
    pub metadata: ClusterMetadata,
    /// The rest.
    pub spec: ClusterSpec,
}

/// `spec` of a Cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ClusterSpec {
    /// Assumed when rendering offline, checked against the live one, such as `1.35`.
    pub kubernetes_version: String,
    /// How the cluster is reached.
    pub connection: Connection,
    /// Free data for values, as `.Cluster.facts`.
    #[serde(default)]
    pub facts: BTreeMap<String, Json>,
    /// This cluster's own addon settings, on top of placement.
    #[serde(default)]
    pub addons: Vec<ClusterAddon>,
    /// The cluster whose place it is to take, by a SwitchPolicy: to say which of the two serves where that is
    /// not on record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<ClusterName>,
}

/// How a cluster is reached: exactly one of the first five fields.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Connection {
    /// A context of the kubeconfig.
    pub context: Option<String>,
    /// A kubeconfig file; its current context is used.
    pub kubeconfig_file: Option<String>,
    /// A Secret in the hub that holds a kubeconfig, as Cluster API writes it.
    pub kubeconfig_secret: Option<SecretKeyRef>,
    /// The cluster that fitout runs in.
    pub in_cluster: Option<InCluster>,
    /// An embedded simulated cluster.
    pub simulated: Option<Simulated>,
    /// Requests that may begin in a second, a short burst aside. As many as the server answers by
    /// default: it shares its time by API priority and fairness.
    pub requests_per_second: Option<NonZeroU32>,
}

/// A key of a Secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretKeyRef {
    /// Namespace of the Secret.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key; `value` by default, as Cluster API has it.
    pub key: Option<String>,
}

/// `inCluster: {}`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct InCluster {}

/// `simulated: {nodes: 12}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Simulated {
    /// How many nodes it has.
    #[serde(default = "one_node")]
    pub nodes: u32,
}

fn one_node() -> u32 {
    1
}

/// A cluster's own setting for one addon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClusterAddon {
    /// The addon.
    pub name: AddonName,
    /// Pins the chart version on this cluster.
    pub version: Option<String>,
    /// `false`: not on this cluster, whatever placement says.
    #[serde(default = "enabled")]
    pub enabled: bool,
    /// The last layer of values.
    #[serde(default)]
    pub values: serde_json::Map<String, Json>,
}

fn enabled() -> bool {
    true
}

/// `metadata` of an Addon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddonMetadata {
    /// Unique among addons; a DNS label.
    pub name: AddonName,
    /// Free.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// One addon: a chart, where it goes and how it is changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Addon {
    /// Its name.
    pub metadata: AddonMetadata,
    /// The rest.
    pub spec: AddonSpec,
}

/// `spec` of an Addon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct AddonSpec {
    /// Where the chart comes from.
    pub chart: ChartSource,
    /// Namespace of the release.
    pub namespace: String,
    /// The Helm release's name; the addon's name by default.
    pub release_name: Option<String>,
    /// Which clusters get it: an empty selector is every cluster, none is only those that list it.
    pub placement: Option<Selector>,
    /// Layers; later wins, null deletes, as in Helm.
    #[serde(default)]
    pub values: Vec<ValuesLayer>,
    /// Other versions or values for some clusters; later wins.
    #[serde(default)]
    pub variants: Vec<Variant>,
    /// What must be healthy on the same cluster first.
    #[serde(default)]
    pub depends_on: Vec<Dependency>,
    /// The Kubernetes versions it works on, such as `>=1.27 <1.37`.
    pub kubernetes: Option<String>,
    /// When it counts as healthy.
    #[serde(default)]
    pub health: HealthSpec,
    /// How an upgrade is done.
    #[serde(default)]
    pub upgrade: UpgradeSpec,
    /// Fields whose live value is left alone.
    #[serde(default)]
    pub ignore_differences: Vec<IgnoreDifference>,
    /// What the controller does about what others change of it.
    #[serde(default)]
    pub on_drift: DriftPolicy,
    /// Which policy moves it over the fleet.
    #[serde(default)]
    pub rollout: RolloutSpec,
    /// What update automation may propose.
    pub updates: Option<UpdatesSpec>,
}

/// Where a chart comes from: `repository` with `name` and `version`, or exactly one of the others.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartSource {
    /// A ChartRepository.
    pub repository: Option<RepositoryName>,
    /// The chart's name in that repository.
    pub name: Option<String>,
    /// Its exact version.
    pub version: Option<String>,
    /// A folder with `Chart.yaml` in this repository, relative to the Addon's file.
    pub path: Option<String>,
    /// A folder with `Chart.yaml` in another git repository.
    pub git: Option<GitChart>,
    /// An OCI reference.
    pub oci: Option<String>,
}

/// A chart in a git repository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GitChart {
    /// `https://`, `ssh://` or `file://`.
    pub url: String,
    /// A tag, branch or commit.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The folder with `Chart.yaml`; the top by default.
    #[serde(default)]
    pub path: String,
}

/// A label selector, as in Kubernetes. Empty matches everything.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Selector {
    /// All of these labels, with these values.
    #[serde(default)]
    pub match_labels: BTreeMap<String, String>,
    /// All of these expressions.
    #[serde(default)]
    pub match_expressions: Vec<MatchExpression>,
}

/// One expression of a selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MatchExpression {
    /// The label.
    pub key: String,
    /// How it is compared.
    pub operator: MatchOperator,
    /// With what; empty for `Exists` and `DoesNotExist`.
    #[serde(default)]
    pub values: Vec<String>,
}

/// The operator of a selector's expression.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum MatchOperator {
    /// The label has one of the values.
    In,
    /// The label is absent or has none of the values.
    NotIn,
    /// The label is there.
    Exists,
    /// The label is absent.
    DoesNotExist,
}

/// One layer of values: exactly one of `file`, `secrets` and `inline`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ValuesLayer {
    /// A values file, relative to the Addon's file; a template over `.Cluster`.
    pub file: Option<String>,
    /// A sops-encrypted values file.
    pub secrets: Option<String>,
    /// Values written here.
    pub inline: Option<serde_json::Map<String, Json>>,
    /// A file that is missing is no error.
    #[serde(default)]
    pub optional: bool,
}

/// Another version or other values for some clusters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// For which clusters.
    pub clusters: Selector,
    /// The chart version there.
    pub version: Option<String>,
    /// A layer of values behind the addon's own.
    #[serde(default)]
    pub values: serde_json::Map<String, Json>,
}

/// Another addon on the same cluster, at a version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Dependency {
    /// The addon.
    pub addon: AddonName,
    /// A semver range of its chart version, such as `>=1.12`.
    pub version: Option<String>,
}

/// When an instance counts as healthy.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthSpec {
    /// How long it may take; 10 minutes by default.
    pub timeout: Option<HumanDuration>,
    /// Checks besides those built in for each kind.
    #[serde(default)]
    pub checks: Vec<HealthCheck>,
}

/// One check of an object.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// The object, in the release's namespace unless it says another.
    pub object: ObjectRef,
    /// A CEL expression over `self`; true is healthy.
    pub cel: String,
}

/// An object of a release.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ObjectRef {
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace; the release's by default.
    pub namespace: Option<String>,
}

/// How an upgrade is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct UpgradeSpec {
    /// What happens to the chart's CRDs.
    pub crds: CrdPolicy,
    /// What happens when a field that cannot change must change.
    pub on_immutable: ImmutablePolicy,
    /// A failed upgrade goes back to the revision before.
    pub atomic: bool,
    /// How many revisions of a release are kept on the cluster, as `helm upgrade --history-max`
    /// has it; `0` keeps all.
    pub history_max: u32,
}

impl Default for UpgradeSpec {
    fn default() -> Self {
        Self {
            crds: CrdPolicy::CreateReplace,
            on_immutable: ImmutablePolicy::Fail,
            atomic: true,
            history_max: RELEASE_HISTORY_MAX,
        }
    }
}

/// What happens to the chart's CRDs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum CrdPolicy {
    /// Created and kept up to date.
    #[default]
    CreateReplace,
    /// Created when absent, never changed: what Helm does.
    Create,
    /// Left alone.
    Skip,
}

/// What happens when a field that cannot change must change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum ImmutablePolicy {
    /// The upgrade fails with the reason.
    #[default]
    Fail,
    /// The object is deleted and created anew.
    Recreate,
}

/// What the controller does about what others change of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum DriftPolicy {
    /// It is put back, after growing pauses where the same is changed again and again.
    #[default]
    Heal,
    /// It is told; `fitout apply` puts it back.
    Report,
}

/// A field whose live value is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IgnoreDifference {
    /// The kind of the objects.
    pub kind: String,
    /// Only the object of this name.
    pub name: Option<String>,
    /// A JSON pointer; `*` stands for any one step.
    pub path: String,
    /// Why.
    pub reason: String,
}

/// Which policy moves an addon over the fleet.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutSpec {
    /// A RolloutPolicy; without one, all clusters change at once.
    pub policy: Option<PolicyName>,
    /// How one cluster changes.
    #[serde(default)]
    pub strategy: Strategy,
}

/// What update automation may propose.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UpdatesSpec {
    /// A semver range.
    pub version: String,
}

/// `metadata` of a ChartRepository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RepositoryMetadata {
    /// Unique among repositories.
    pub name: RepositoryName,
}

/// Where charts are downloaded from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartRepository {
    /// Its name.
    pub metadata: RepositoryMetadata,
    /// The rest.
    pub spec: ChartRepositorySpec,
}

/// `spec` of a ChartRepository.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartRepositorySpec {
    /// Where it is.
    pub url: String,
    /// How it is spoken to.
    #[serde(rename = "type", default)]
    pub kind: RepositoryKind,
    /// Where the credentials come from.
    pub credentials: Option<Credentials>,
    /// What is checked of a download.
    #[serde(default)]
    pub verify: Verify,
}

/// How a chart repository is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RepositoryKind {
    /// An `index.yaml` and packed charts over HTTP.
    #[default]
    Http,
    /// An OCI registry.
    Oci,
    /// A git repository with a folder for each chart.
    Git,
}

/// Where credentials come from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// An environment variable that holds a token, or `user:password`.
    pub env: String,
}

/// What is checked of a download.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Whether the index must have a digest; one that is there is always checked.
    #[serde(default)]
    pub digest: DigestPolicy,
}

/// Whether the index must have a digest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DigestPolicy {
    /// A chart without a digest is refused.
    Required,
    /// A chart without a digest is taken.
    #[default]
    Optional,
}

/// `metadata` of a RolloutPolicy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyMetadata {
    /// Unique among policies.
    pub name: PolicyName,
}

/// How a change moves over the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RolloutPolicy {
    /// Its name.
    pub metadata: PolicyMetadata,
    /// The rest.
    pub spec: RolloutPolicySpec,
}

/// `spec` of a RolloutPolicy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct RolloutPolicySpec {
    /// In this order. A cluster belongs to the first stage that takes it.
    pub stages: Vec<Stage>,
    /// Whether the addons of this policy that one commit changes move together, as a release train.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub train: bool,
    /// Failed clusters before the rollout stops; 1 by default: the first failure stops it.
    #[serde(default)]
    pub max_failures: Option<Amount>,
    /// A cluster that is not healthy so long after it was begun, or after its change was applied,
    /// has failed; 20 minutes by default.
    pub progress_deadline: Option<HumanDuration>,
    /// What happens when it stops.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// What becomes of a cluster that does not answer until the deadline, counted from when its stage
    /// began.
    #[serde(default, skip_serializing_if = "OnUnreachable::is_default")]
    pub on_unreachable: OnUnreachable,
    /// When new clusters may be begun; at any time by default. What has begun goes on, and back, at
    /// any time.
    #[serde(default)]
    pub windows: Vec<Window>,
    /// When no new cluster is begun, whatever the windows say.
    #[serde(default)]
    pub freezes: Vec<Freeze>,
    /// Blast radius: over it, stop and ask.
    #[serde(default)]
    pub limits: Limits,
    /// People by the name of a group, for approvals.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Vec<String>>,
    /// The public keys, as `.pub` files have them, that people sign commits with, by person: for approvals in
    /// git.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signers: BTreeMap<String, Vec<String>>,
}

/// One stage of a rollout.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Which clusters.
    pub clusters: Selector,
    /// Only a sample of them.
    pub pick: Option<Pick>,
    /// How many at a time; all by default.
    pub batch: Option<Batch>,
    /// Who is begun first where not all are begun at once: clusters that the first of these matches, then
    /// those of the second and so on, then the others; by name among equals.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<Selector>,
    /// How long a batch must stay healthy.
    pub soak: Option<HumanDuration>,
    /// What must hold besides health before the next stage.
    #[serde(default)]
    pub gates: Vec<Gate>,
    /// In place of the policy's windows; `[]` is at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub windows: Option<Vec<Window>>,
    /// In place of the policy's freezes; `[]` is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub freezes: Option<Vec<Freeze>>,
    /// In place of the policy's: failed clusters of this stage, or a share of its clusters. They do not
    /// count against the policy's.
    #[serde(default, rename = "maxFailures", skip_serializing_if = "Option::is_none")]
    pub max_failures: Option<Amount>,
    /// In place of the policy's.
    #[serde(default, rename = "progressDeadline", skip_serializing_if = "Option::is_none")]
    pub progress_deadline: Option<HumanDuration>,
    /// In place of the policy's.
    #[serde(default, rename = "onFailure", skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<OnFailure>,
    /// In place of the policy's.
    #[serde(default, rename = "onUnreachable", skip_serializing_if = "Option::is_none")]
    pub on_unreachable: Option<OnUnreachable>,
}

/// A representative sample of a stage's clusters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Pick {
    /// So many percent, rounded up.
    pub percent: Option<u32>,
    /// Never fewer than this.
    pub at_least: Option<u32>,
    /// Labels whose values the sample shall cover.
    #[serde(default)]
    pub spread_by: Vec<String>,
}

/// How many clusters at a time: the smaller of what is given.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Batch {
    /// So many percent of the stage, rounded up.
    pub percent: Option<u32>,
    /// Never more than this.
    pub at_most: Option<u32>,
}

/// A number, or a percentage such as `10%`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Amount {
    /// So many.
    Number(u32),
    /// `10%`.
    Percent(String),
}

/// What happens when a rollout stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// What this stage changed goes back.
    #[default]
    Rollback,
    /// Everything stays as it is until somebody decides.
    Pause,
    /// What has failed stays as it is, and the others go on, however many have failed. A stage in which
    /// no cluster gets there stops it all the same.
    Continue,
}

/// What becomes of a cluster that does not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnUnreachable {
    /// It is left out, and catches up with a rollout of its own.
    #[default]
    Skip,
    /// It is waited for.
    Wait,
    /// It has failed.
    Fail,
}

impl OnUnreachable {
    #[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes it so")]
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

/// Blast radius: over it, stop and ask.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub struct Limits {
    /// Deleted objects for one instance.
    pub deleted_objects: u32,
    /// Deleted namespaces.
    pub deleted_namespaces: u32,
    /// Removed CRDs.
    pub removed_crds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deleted_objects: 20, deleted_namespaces: 0, removed_crds: 0 }
    }
}

/// A duration in humantime form, such as `30m` or `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HumanDuration(pub Duration);

impl Serialize for HumanDuration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl<'de> Deserialize<'de> for HumanDuration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        humantime::parse_duration(&text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for HumanDuration {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Duration".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "format": "duration",
            "description": "A duration such as `30s`, `10m`, `2h` or `1h 30m`."
        })
    }
}

/// `metadata` of a Waiver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverMetadata {
    /// Unique among waivers.
    pub name: String,
}

/// A finding that is put up with until a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The name.
    pub metadata: WaiverMetadata,
    /// The rest.
    pub spec: WaiverSpec,
}

impl Waiver {
    /// For how long and why, as a note.
    pub fn told(&self) -> String {
        format!("waived until {}: {}", self.spec.until, self.spec.reason)
    }
}

/// `spec` of a Waiver. What is not given matches everything.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct WaiverSpec {
    /// The finding's code, such as `broken-guardrail` or `removed-api`.
    pub code: String,
    /// The guardrail's name.
    #[serde(default)]
    pub guardrail: Option<String>,
    /// The addon.
    #[serde(default)]
    pub addon: Option<AddonName>,
    /// The object, such as `Deployment/monitoring/prometheus-server`.
    #[serde(default)]
    pub object: Option<String>,
    /// On which clusters.
    #[serde(default)]
    pub clusters: Option<Selector>,
    /// Why it is put up with.
    pub reason: String,
    /// The last day of it, such as `2027-03-31` (UTC). From then on the finding counts again.
    pub until: String,
}

/// `metadata` of an Approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalMetadata {
    /// Unique among approvals.
    pub name: String,
}

/// Somebody's approval of a stage: theirs who wrote the commit that brought it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// The name.
    pub metadata: ApprovalMetadata,
    /// The rest.
    pub spec: ApprovalSpec,
}

/// `spec` of an Approval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApprovalSpec {
    /// The rollout, such as `traefik-3`.
    pub rollout: String,
    /// The name of the stage.
    pub stage: String,
    /// The digest of what the rollout brings to its clusters, as `fitout rollout show` prints it. The approval
    /// says nothing of a rollout that brings anything else.
    pub plan: Digest,
    /// Why, for the record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}
