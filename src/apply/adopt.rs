//! Taking over, in place, what another tool has installed: Helm, Flux's helm-controller, or `kubectl`
//! with a file.
//!
//! An adoption is an attempt as any other: objects are applied as git says and a release record is
//! made. What is its own: objects that belong to no release are taken with the fields that their files
//! have set; no hooks run, since nothing is installed; the records that the helm-controller keeps in
//! another namespace come to the release's own.

use std::fmt;

use serde::Serialize;
use serde_json::{Value as Json, json};

use super::attempt::{Attempt, Survey, realize_from};
use super::error::{ApplyError, Refused};
use super::flux::{self, HelmRelease};
use super::history::{self, failed, records_failed};
use super::ownership::{self, Owner};
use super::{ApplyOptions, Comparison, Outcome, random};
use crate::base::clock::Clock;
use crate::diff::{Change, Op, Step};
use crate::k8s::{ClusterClient, RequestError};
use crate::live::record::{RecordHead, ReleaseStatus, SECRET_TYPE};
use crate::live::releases::{self, secrets};
use crate::live::{Adopted, ReleaseId};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::render::Release;

/// What an adoption would take over, and what would change with it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Adoption {
    /// Who has made it.
    pub former: Former,
    /// Objects that are there, in their order.
    pub taken: Vec<Taken>,
    /// Objects that are there and belong to another release, with its namespace and name.
    pub foreign: Vec<(String, String)>,
    /// HelmReleases of Flux that make the release, suspended or not.
    pub helm_releases: Vec<HelmRelease>,
    /// The namespace that the release's records come from, where it is another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_from: Option<String>,
    /// What would change.
    #[serde(skip)]
    pub comparison: Comparison,
    /// What of that ends pods, or removes something.
    pub disruptions: Vec<Disruption>,
}

/// Who has made what is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Former {
    /// Nothing is there.
    Nobody,
    /// It is fitout's already.
    Fitout {
        /// Helm's revision number.
        revision: u32,
    },
    /// Helm, or Flux's helm-controller.
    Helm {
        /// Helm's revision number.
        revision: u32,
        /// The chart's version.
        chart_version: String,
        /// How the release stands.
        status: ReleaseStatus,
    },
    /// No release has it: it was made from files.
    Files,
}

impl Former {
    /// The chart's version, which only the record itself has where Helm made it.
    async fn learn_version(
        &mut self,
        client: &ClusterClient,
        newest: &RecordHead,
    ) -> Result<(), ApplyError> {
        let Self::Helm { chart_version, .. } = self else { return Ok(()) };
        let record = releases::record(client, newest).await;
        if let Some(record) = record.map_err(|error| records_failed(client, error))? {
            *chart_version = history::origin(newest, &record).chart_version;
        }
        Ok(())
    }
}

/// An object that would be taken over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Taken {
    /// Which object.
    pub object: String,
    /// Managers whose fields come with it, with their operation.
    pub from: Vec<String>,
}

/// What an adoption in place should not do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Disruption {
    /// The pods of a workload are made anew.
    Restart {
        /// The workload.
        object: ObjectKey,
        /// What changes of its pods.
        fields: Vec<String>,
    },
    /// A workload gets fewer pods.
    Fewer {
        /// The workload.
        object: ObjectKey,
        /// How many it has.
        before: i64,
        /// How many it gets.
        after: i64,
    },
    /// An object is deleted and created anew.
    Replace {
        /// Which object.
        object: ObjectKey,
    },
    /// An object is deleted.
    Delete {
        /// Which object.
        object: ObjectKey,
    },
}

impl fmt::Display for Disruption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart { object, fields } => {
                write!(f, "the pods of {object} would restart: {}", fields.join(", "))
            }
            Self::Fewer { object, before, after } => {
                write!(f, "{object} would have {after} instead of {before} pods")
            }
            Self::Replace { object } => write!(f, "{object} would be deleted and created anew"),
            Self::Delete { object } => write!(f, "{object} would be deleted"),
        }
    }
}

/// What of some changes ends pods, or removes something.
pub fn disruptions(changes: &[Change]) -> Vec<Disruption> {
    changes.iter().filter_map(disruption).collect()
}

fn disruption(change: &Change) -> Option<Disruption> {
    let object = change.key.clone();
    match change.op {
        Op::Delete => return Some(Disruption::Delete { object }),
        Op::Replace => return Some(Disruption::Replace { object }),
        Op::Create | Op::Keep => return None,
        Op::Update => {}
    }
    if !has_template(&object) {
        return None;
    }
    let is_at = |steps: &[Step], names: [&str; 2]| {
        steps.iter().zip(names).filter(|(step, name)| is_field(step, name)).count() == names.len()
    };
    let of_pods = change.fields.iter().filter(|field| is_at(&field.path.0, ["spec", "template"]));
    let fields: Vec<String> = of_pods.map(|field| field.path.to_string()).collect();
    if !fields.is_empty() {
        return Some(Disruption::Restart { object, fields });
    }
    let replicas = change.fields.iter().find(|field| is_at(&field.path.0, ["spec", "replicas"]))?;
    let number = |value: &Option<Json>| value.as_ref().and_then(Json::as_i64);
    let (before, after) = number(&replicas.before).zip(number(&replicas.after))?;
    (after < before).then_some(Disruption::Fewer { object, before, after })
}

fn is_field(step: &Step, name: &str) -> bool {
    matches!(step, Step::Field(field) if field == name)
}

/// Whether a kind makes pods from a template that it has, and makes them anew when it changes.
fn has_template(key: &ObjectKey) -> bool {
    key.group == "apps" && matches!(&*key.kind, "Deployment" | "StatefulSet" | "DaemonSet")
}

/// The records of a release, wherever its former manager keeps them.
struct Records {
    /// In the release's own namespace, oldest first.
    here: Vec<RecordHead>,
    /// In the namespace that Flux keeps them in.
    elsewhere: Vec<RecordHead>,
}

impl Records {
    async fn read(
        client: &ClusterClient,
        id: &ReleaseId,
        helm_releases: &[HelmRelease],
    ) -> Result<Self, ApplyError> {
        let failed = failed(client, "reading the release records");
        let here = releases::heads(client, id).await.map_err(&failed)?;
        let mut elsewhere = Vec::new();
        for helm_release in helm_releases {
            let namespace = helm_release.storage_namespace.clone();
            if namespace == id.namespace {
                continue;
            }
            let kept = ReleaseId { namespace, name: id.name.clone() };
            let heads = releases::heads(client, &kept).await.map_err(&failed)?;
            let Some(newest) = heads.last() else { continue };
            let record = releases::record(client, newest).await;
            let record = record.map_err(|error| records_failed(client, error))?;
            // Another release of this name may be in that namespace.
            if record.is_some_and(|record| record.namespace == id.namespace) {
                elsewhere.extend(heads);
            }
        }
        Ok(Self { here, elsewhere })
    }

    /// Those that say how the release is.
    fn heads(&self) -> &[RecordHead] {
        if self.here.is_empty() { &self.elsewhere } else { &self.here }
    }

    /// Copies what is elsewhere to the release's own namespace, the newest first: it is what counts.
    async fn bring_here(
        &mut self,
        client: &ClusterClient,
        id: &ReleaseId,
    ) -> Result<(), ApplyError> {
        let failed = failed(client, "copying the release records");
        for head in self.elsewhere.iter().rev() {
            let namespace = &head.id.namespace;
            let found = client.get(&secrets(), namespace, &head.secret_name).await;
            let Some(secret) = found.map_err(&failed)? else { continue };
            let metadata = |field: &str| access::at(&secret, &["metadata", field]);
            let copy = json!({
                "apiVersion": "v1", "kind": "Secret", "type": SECRET_TYPE,
                "metadata": {
                    "name": head.secret_name, "namespace": id.namespace,
                    "labels": metadata("labels"), "annotations": metadata("annotations"),
                },
                "data": secret.get("data"),
            });
            match client.create(&secrets(), &id.namespace, &copy).await {
                Ok(_) | Err(RequestError::AlreadyExists { .. }) => {}
                Err(error) => return Err(failed(error)),
            }
        }
        if !self.elsewhere.is_empty() {
            self.here = releases::heads(client, id).await.map_err(&failed)?;
        }
        Ok(())
    }
}

fn in_place(options: &ApplyOptions) -> ApplyOptions {
    ApplyOptions { takes_ownership: true, adopts: true, ..options.clone() }
}

/// What [`adopt`] would do. Sends nothing that can mutate.
///
/// # Errors
/// [`ApplyError::Busy`] while somebody changes the release.
pub async fn compare_adoption(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Adoption, ApplyError> {
    let options = &in_place(options);
    let id = ReleaseId::of(&release.instance);
    let helm_releases = helm_releases(client, &id).await?;
    let records = Records::read(client, &id, &helm_releases).await?;
    let heads = records.heads();
    let mut adoption = Adoption {
        former: former(heads),
        taken: Vec::new(),
        foreign: Vec::new(),
        records_from: records.elsewhere.first().map(|head| head.id.namespace.clone()),
        comparison: Comparison::default(),
        disruptions: Vec::new(),
        helm_releases,
    };
    if matches!(adoption.former, Former::Fitout { .. }) {
        return Ok(adoption);
    }
    if let Some(newest) = heads.last() {
        history::ensure_free(newest, options, clock.now())?;
        adoption.former.learn_version(client, newest).await?;
    }
    let target = random::target(client, release, heads).await?;
    let attempt = Attempt { client, target: &target, options, clock };
    let (settled, pending) = releases::adopted(heads);
    adoption.comparison.adopted = settled.map(Adopted::from);
    adoption.comparison.pending = pending.map(Adopted::from);
    let wanted = attempt.settle().await?;
    let survey = attempt.compare_whole(heads, wanted, &mut adoption.comparison).await?;
    if let Err(refused) = ensure_suspended(&id, &adoption.helm_releases, options) {
        adoption.comparison.refused.get_or_insert(refused);
    }
    adoption.disruptions = disruptions(&adoption.comparison.changes);
    adoption.see(&survey, &id, options);
    if adoption.former == Former::Nobody && !survey.live.objects.is_empty() {
        adoption.former = Former::Files;
    }
    Ok(adoption)
}

impl Adoption {
    /// Sorts what is there by whose it is.
    fn see(&mut self, survey: &Survey, id: &ReleaseId, options: &ApplyOptions) {
        for wanted in &survey.wanted {
            let Some(live) = survey.live.objects.get(wanted.key()) else { continue };
            let object = wanted.key().to_string();
            match ownership::owner(live, id) {
                Owner::Other(release) => self.foreign.push((object, release)),
                Owner::Ours | Owner::Nobody => {
                    let from = ownership::former_managers(live, options.takes());
                    self.taken.push(Taken { object, from });
                }
            }
        }
        self.taken.sort_by(|a, b| a.object.cmp(&b.object));
        self.foreign.sort();
    }
}

/// The HelmReleases of a release; none where they may not be read.
async fn helm_releases(
    client: &ClusterClient,
    id: &ReleaseId,
) -> Result<Vec<HelmRelease>, ApplyError> {
    let found = flux::of_release(client, id).await;
    found.map_err(failed(client, "looking for HelmReleases of Flux"))
}

fn ensure_suspended(
    id: &ReleaseId,
    helm_releases: &[HelmRelease],
    options: &ApplyOptions,
) -> Result<(), Refused> {
    match helm_releases.iter().find(|one| !one.is_suspended) {
        Some(one) if !options.is_forced => {
            Err(Refused::OfFlux { release: id.clone(), helm_release: one.clone() })
        }
        _ => Ok(()),
    }
}

fn former(heads: &[RecordHead]) -> Former {
    match heads.last() {
        None => Former::Nobody,
        Some(newest) if newest.origin.digest.is_some() => {
            Former::Fitout { revision: newest.revision }
        }
        Some(newest) => Former::Helm {
            revision: newest.revision,
            chart_version: newest.origin.chart_version.clone(),
            status: newest.status,
        },
    }
}

/// Takes a release over, as git says, without running its hooks.
///
/// # Guarantees
/// What Flux keeps of it in another namespace is deleted last, once everything is taken over. Killed
/// at any point, the next adoption goes on.
///
/// # Errors
/// As [`super::realize`]; [`Refused::OfFlux`] while a HelmRelease makes it.
pub async fn adopt(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let options = &in_place(options);
    let id = ReleaseId::of(&release.instance);
    let helm_releases = helm_releases(client, &id).await?;
    ensure_suspended(&id, &helm_releases, options)?;
    let mut records = Records::read(client, &id, &helm_releases).await?;
    records.bring_here(client, &id).await?;
    let outcome = realize_from(client, release, &records.here, options, clock).await?;
    for head in &records.elsewhere {
        history::delete(client, head).await?;
    }
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diff::between;

    fn change(kind: &str, op: Op, before: &Json, after: &Json) -> Change {
        let group = if kind == "ConfigMap" { "" } else { "apps" };
        Change {
            key: ObjectKey {
                group: group.to_owned(),
                kind: kind.to_owned(),
                namespace: "web".to_owned(),
                name: "web".to_owned(),
            },
            op,
            fields: between(before, after),
            provenance: None,
            note: None,
            warnings: Vec::new(),
        }
    }

    fn told(change: Change) -> Vec<String> {
        disruptions(&[change]).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_ends_pods_is_told_and_labels_of_the_object_are_not() {
        let spec = |replicas: i64, image: &str, label: &str| {
            json!({"metadata": {"labels": {"a": label}}, "spec": {"replicas": replicas,
                   "template": {"spec": {"containers": [{"name": "web", "image": image}]}}}})
        };
        let before = spec(3, "web:1", "a");
        let update = |after: &Json| told(change("Deployment", Op::Update, &before, after));
        assert!(update(&spec(4, "web:1", "b")).is_empty());
        assert_eq!(
            update(&spec(3, "web:2", "a")),
            ["the pods of Deployment/web/web would restart: \
              spec.template.spec.containers[name=web].image"]
        );
        assert_eq!(
            update(&spec(2, "web:1", "a")),
            ["Deployment/web/web would have 2 instead of 3 pods"]
        );
    }

    #[test]
    fn what_removes_an_object_is_told() {
        let (a, b) = (json!({"data": {"template": "a"}}), json!({}));
        assert!(told(change("ConfigMap", Op::Update, &a, &b)).is_empty());
        assert!(told(change("ConfigMap", Op::Create, &b, &a)).is_empty());
        assert_eq!(
            told(change("ConfigMap", Op::Delete, &a, &b)),
            ["ConfigMap/web/web would be deleted"]
        );
        assert_eq!(
            told(change("StatefulSet", Op::Replace, &a, &b)),
            ["StatefulSet/web/web would be deleted and created anew"]
        );
    }
}
