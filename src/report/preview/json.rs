//! The report as JSON, with a schema of its own.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;

use crate::diff::{FieldChange, Op};
use crate::preview::{
    Folded, Group, LeavingCluster, LiveReport, PlannedRollout, PlannedSwitch, Preview,
    VersionChange,
};
use crate::report::diagnostics;

/// What a change does to every cluster.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreviewReport {
    /// `fitout.dev/v1alpha1`.
    api_version: String,
    /// `Preview`.
    kind: String,
    /// The commit that the head is compared with.
    base: String,
    /// The commit, or `worktree:` and a digest.
    head: String,
    /// Instances at the head.
    instances: usize,
    /// How many of both sides the change can reach.
    reached: usize,
    /// Clusters on which any object changes.
    clusters: Vec<String>,
    /// Clusters, addons, policies and repositories that come, go or are set otherwise.
    documents: Vec<DocumentView>,
    /// Clusters that leave the fleet; what is installed there stays.
    leaving: Vec<LeavingView>,
    /// Charts that come, go or change their version.
    charts: Vec<ChartView>,
    /// Equal changes with who has them, the most dangerous first.
    groups: Vec<GroupView>,
    /// Labels and checksums of versions.
    folded: Vec<FoldedView>,
    /// The rollouts that would start.
    rollouts: Vec<RolloutView>,
    /// The switches of clusters that would begin.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    switches: Vec<SwitchView>,
    /// `CLUSTER/ADDON` of which nothing can be said, since one side does not render.
    unknown: Vec<String>,
    /// Findings at the head, as `fitout validate -o json` has them, with `isNew` beside.
    findings: Vec<Json>,
    /// What clusters that were asked would make of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    live: Option<LiveView>,
}

/// A switch of clusters that would begin.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SwitchView {
    /// The SwitchPolicy.
    policy: String,
    /// The cluster that joins the pair.
    joins: String,
    /// The other one, which serves as far as git knows.
    beside: String,
    /// The labels that make them a pair.
    labels: BTreeMap<String, String>,
}

/// What clusters that were asked would make of the head.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LiveView {
    /// Clusters that answered.
    clusters: Vec<String>,
    /// Equal changes with who has them.
    groups: Vec<GroupView>,
    /// Labels and checksums of versions.
    folded: Vec<FoldedView>,
    /// `CLUSTER/ADDON` that are as the head says already.
    unchanged: Vec<String>,
    /// What is in the way, or could not be looked at.
    problems: Vec<ProblemView>,
    /// Clusters that said nothing.
    silent: Vec<SilentView>,
}

/// What is in the way on one instance.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ProblemView {
    /// `CLUSTER/ADDON`.
    instance: String,
    message: String,
}

/// A cluster that said nothing.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct SilentView {
    cluster: String,
    reason: String,
}

/// A document of the fleet.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct DocumentView {
    kind: String,
    name: String,
    /// `create`, `update` or `delete`.
    op: String,
    fields: Vec<FieldView>,
}

/// A cluster that leaves the fleet.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct LeavingView {
    cluster: String,
    /// What stays installed there.
    addons: Vec<String>,
}

/// A chart that is another one.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChartView {
    addon: String,
    from: Option<String>,
    to: Option<String>,
    clusters: Vec<String>,
    who: String,
    images: Vec<ImageView>,
    changelog: Vec<String>,
}

/// An image that is another one.
#[derive(Debug, Serialize, JsonSchema)]
struct ImageView {
    from: String,
    to: String,
}

/// Changes that the same clusters have.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct GroupView {
    addon: String,
    clusters: Vec<String>,
    /// The clusters in words.
    who: String,
    /// `deletion`, `crd`, `rbac`, `immutable`, `restart`, `arrival` or `other`.
    risk: Json,
    changes: Vec<ChangeView>,
}

/// A change of an object.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct ChangeView {
    group: String,
    kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    namespace: String,
    name: String,
    /// `create`, `update`, `replace`, `delete` or `keep`.
    op: String,
    risk: Json,
    /// How many different contents the clusters have; the fields are those of one.
    variants: usize,
    /// `CHART/templates/FILE` and the line of its output.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    fields: Vec<FieldView>,
}

/// A field of an object; values of Secrets are masked.
#[derive(Debug, Serialize, JsonSchema)]
struct FieldView {
    /// Such as `spec.template.spec.containers[name=server].image`; empty for the whole object.
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<Json>,
}

/// The same small change in many objects.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct FoldedView {
    addon: String,
    what: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    objects: usize,
    /// Workloads that replace their pods for nothing else.
    restarts: usize,
    clusters: Vec<String>,
    who: String,
}

/// A rollout that would start.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct RolloutView {
    addon: String,
    policy: Option<String>,
    /// The other addons that move together with it.
    train: Vec<String>,
    clusters: usize,
    stages: Vec<StageView>,
    /// Clusters that no stage takes.
    left_out: Vec<String>,
    /// So many failed clusters stop it.
    failures_max: usize,
    on_failure: Json,
}

/// A stage of it.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
struct StageView {
    name: String,
    /// In the order in which they begin.
    clusters: Vec<String>,
    at_a_time: usize,
    gates: Vec<String>,
    /// When it may begin clusters; empty where that is at any time.
    windows: Vec<String>,
    /// When it may not, whatever the windows say.
    freezes: Vec<String>,
    /// Why it could not begin any at the time of the report.
    closed: Option<String>,
    /// When it opens next.
    opens_at: Option<String>,
    /// So many failed clusters stop the rollout in it, where the stage says something about failures itself.
    failures_max: Option<usize>,
    /// What happens then.
    on_failure: Option<Json>,
}

/// The JSON Schema of the report.
pub fn schema() -> Json {
    schemars::schema_for!(PreviewReport).to_value()
}

/// The report as JSON.
pub fn json(preview: &Preview) -> Json {
    to_json(&PreviewReport {
        api_version: crate::plan::API_VERSION.to_owned(),
        kind: "Preview".to_owned(),
        base: preview.base.to_string(),
        head: preview.head.to_string(),
        instances: preview.instances,
        reached: preview.reached,
        clusters: texts(preview.clusters()),
        documents: preview.documents.iter().map(document).collect(),
        leaving: preview.leaving.iter().map(leaving).collect(),
        charts: preview.versions.iter().map(chart).collect(),
        groups: preview.groups.iter().map(group).collect(),
        folded: preview.folded.iter().map(folded).collect(),
        rollouts: preview.rollouts.iter().map(rollout).collect(),
        switches: preview.switches.iter().map(switch).collect(),
        unknown: texts(&preview.unknown),
        findings: preview.findings.iter().map(finding).collect(),
        live: preview.live.as_ref().map(live),
    })
}

fn switch(one: &PlannedSwitch) -> SwitchView {
    SwitchView {
        policy: one.policy.to_string(),
        joins: one.joins.to_string(),
        beside: one.beside.to_string(),
        labels: one.labels.clone(),
    }
}

fn live(one: &LiveReport) -> LiveView {
    let problem = |(key, message): &(_, String)| ProblemView {
        instance: format!("{key}"),
        message: message.clone(),
    };
    let silent = |(cluster, reason): (&_, &String)| SilentView {
        cluster: format!("{cluster}"),
        reason: reason.clone(),
    };
    LiveView {
        clusters: texts(&one.clusters),
        groups: one.groups.iter().map(group).collect(),
        folded: one.folded.iter().map(folded).collect(),
        unchanged: texts(&one.unchanged),
        problems: one.problems.iter().map(problem).collect(),
        silent: one.silent.iter().map(silent).collect(),
    }
}

fn to_json(value: &impl Serialize) -> Json {
    serde_json::to_value(value).unwrap_or_default()
}

fn texts<T: ToString>(items: impl IntoIterator<Item = T>) -> Vec<String> {
    items.into_iter().map(|item| item.to_string()).collect()
}

fn op(op: Op) -> String {
    to_json(&op).as_str().unwrap_or_default().to_owned()
}

fn fields(fields: &[FieldChange]) -> Vec<FieldView> {
    let view = |field: &FieldChange| FieldView {
        path: field.path.to_string(),
        before: field.before.clone(),
        after: field.after.clone(),
    };
    fields.iter().map(view).collect()
}

fn document(one: &crate::preview::DocumentChange) -> DocumentView {
    DocumentView {
        kind: one.kind.to_owned(),
        name: one.name.clone(),
        op: op(one.op),
        fields: fields(&one.fields),
    }
}

fn leaving(one: &LeavingCluster) -> LeavingView {
    LeavingView { cluster: one.cluster.to_string(), addons: texts(&one.addons) }
}

fn chart(one: &VersionChange) -> ChartView {
    let image = |(from, to): &(String, String)| ImageView { from: from.clone(), to: to.clone() };
    ChartView {
        addon: one.addon.to_string(),
        from: one.from.clone(),
        to: one.to.clone(),
        clusters: texts(&one.clusters),
        who: one.who.clone(),
        images: one.images.iter().map(image).collect(),
        changelog: one.changelog.clone(),
    }
}

fn group(one: &Group) -> GroupView {
    GroupView {
        addon: one.addon.to_string(),
        clusters: texts(&one.clusters),
        who: one.who.clone(),
        risk: to_json(&one.risk),
        changes: one.changes.iter().map(change).collect(),
    }
}

fn change(one: &crate::preview::GroupedChange) -> ChangeView {
    let crate::diff::Change { key, provenance, note, .. } = &one.change;
    let source = provenance.as_ref().map(|from| format!("{}:{}", from.template, from.line));
    ChangeView {
        group: key.group.clone(),
        kind: key.kind.clone(),
        namespace: key.namespace.clone(),
        name: key.name.clone(),
        op: op(one.change.op),
        risk: to_json(&one.risk),
        variants: one.variants,
        source,
        note: note.clone(),
        fields: fields(&one.change.fields),
    }
}

fn folded(one: &Folded) -> FoldedView {
    let (from, to) = one.values.clone().unzip();
    FoldedView {
        addon: one.addon.to_string(),
        what: one.what.clone(),
        from,
        to,
        objects: one.objects,
        restarts: one.restarts,
        clusters: texts(&one.clusters),
        who: one.who.clone(),
    }
}

fn rollout(one: &PlannedRollout) -> RolloutView {
    let stage = |stage: &crate::preview::PlannedStage| StageView {
        name: stage.name.clone(),
        clusters: texts(&stage.clusters),
        at_a_time: stage.at_a_time,
        gates: stage.gates.clone(),
        windows: texts(&stage.calendar.windows),
        freezes: texts(&stage.calendar.freezes),
        closed: stage.calendar.closed.as_ref().map(|closed| closed.reason.clone()),
        failures_max: stage.own_failures.map(|(max, _)| max),
        on_failure: stage.own_failures.map(|(_, on_failure)| to_json(&on_failure)),
        opens_at: stage.calendar.closed.as_ref().and_then(|one| one.until).map(|at| at.to_string()),
    };
    RolloutView {
        addon: one.addon.to_string(),
        policy: one.policy.as_ref().map(ToString::to_string),
        train: texts(&one.train),
        clusters: one.clusters,
        stages: one.stages.iter().map(stage).collect(),
        left_out: texts(&one.left_out),
        failures_max: one.failures_max,
        on_failure: to_json(&one.on_failure),
    }
}

fn finding(one: &crate::preview::Finding) -> Json {
    let told = diagnostics::json(std::slice::from_ref(&one.diagnostic));
    let mut told = told.get(0).cloned().unwrap_or_default();
    if let Some(fields) = told.as_object_mut() {
        fields.insert("isNew".to_owned(), Json::from(one.is_new));
    }
    told
}
