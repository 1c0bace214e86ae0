//! Removing a release: its objects the other way round, then its records.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::along::{Along, along};
use super::error::{ApplyError, Doing, Refused};
use super::gone::{wait_gone, wait_until_gone};
use super::history::{self, Ending, Tenure, failed};
use super::hooks;
use super::objects::Applying;
use super::prune::{self, Pruning};
use super::target::hooks_of;
use super::{Action, ApplyOptions, Comparison, Kept, Outcome, crd_safety, crds, state_of};
use crate::base::clock::Clock;
use crate::chart::model::{Hook, Manifest};
use crate::diff::Change;
use crate::fleet::model::{ImmutablePolicy, Limits};
use crate::k8s::{ClusterClient, Delete, Resource};
use crate::live::read::read;
use crate::live::record::{RecordHead, ReleaseRecord, ReleaseStatus};
use crate::live::{Adopted, Gap, Live, ObjectRef, PodLog, ReleaseId, releases};
use crate::object::key::ObjectKey;
use crate::object::{access, manifest};

/// How many namespaces and CRDs may go, with everything that goes along with them.
#[derive(Clone, Copy, Debug)]
pub enum Allowance<'a> {
    /// Those of the chart's templates, as far as a policy allows; beyond that nothing is done at
    /// all. Those of `crds/` folders and the release's own namespace stay.
    Limits(&'a Limits),
    /// Those of the chart's templates: what takes a first installation back.
    Templates,
    /// Those that somebody has asked for.
    Asked {
        /// The release's namespace, and those of the chart's templates.
        namespaces: bool,
        /// The CRDs of the chart's templates and of its `crds/` folder.
        crds: bool,
    },
}

/// Namespaces that a cluster does not work without.
const SYSTEM_NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Removes a release: `pre-delete` hooks, objects, `post-delete` hooks, records; then, where that is
/// asked for, the CRDs of the chart's `crds/` folder and the release's namespace. A release that is
/// not there is no error.
///
/// # Guarantees
/// The records go last, so that an attempt that was killed goes on; they stay when an object could
/// not be read. The outcome names what stays, and why.
///
/// # Errors
/// Before anything is done: [`Refused::Limit`]; [`Refused::Inhabited`] of a namespace with other
/// releases, or one of the system; [`ApplyError::Hidden`] where an object could not be read.
/// [`Refused::HandedOver`] for one that is Helm's again.
pub async fn uninstall(
    client: &ClusterClient,
    id: &ReleaseId,
    allowance: Allowance<'_>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let Some(survey) = survey(client, id, allowance, clock).await? else {
        return Ok(outcome(0, Pruning::default(), Vec::new(), Vec::new()));
    };
    let newest = survey.heads.last().expect("a survey has records");
    history::ensure_free(newest, options, clock.now())?;
    if newest.is_handed_over {
        return Err(Refused::HandedOver { release: id.clone() }.into());
    }
    if let Some((key, gap)) = first_gap(&survey.pruning) {
        return Err(ApplyError::Hidden { object: key.clone(), gap: gap.clone() });
    }
    if let Allowance::Limits(limits) = allowance
        && !options.ignores_limits
    {
        prune::check_limits(&survey.pruning, limits)?;
    }
    // Whoever asks for CRDs is told of their objects first.
    if !matches!(allowance, Allowance::Asked { crds: true, .. }) {
        crd_safety::ensure_unused(client, &survey.pruning).await?;
    }
    ensure_alone(client, id, &survey).await?;
    let Some(record) = survey.records.last() else {
        return Ok(outcome(0, survey.pruning, Vec::new(), Vec::new()));
    };
    let hooks = hooks_of(record)?;
    let objects: Vec<Manifest> =
        survey.pruning.doomed.iter().map(|(manifest, _)| manifest.clone()).collect();
    let mut tenure = Tenure::resume(client, newest, record.clone(), &options.holder, clock).await?;
    let applying = Applying {
        client,
        id: None,
        options,
        timeout: options.rules.timeout.unwrap_or(options.timeout),
        on_immutable: ImmutablePolicy::Fail,
        ignored: &[],
        objects: &objects,
        clock,
    };
    let result = steps(&applying, &mut tenure, &hooks, &survey).await;
    let (mut deleted, logs) = match result {
        Ok(done) => done,
        Err(error) => {
            let description = format!("Uninstall failed: {error}");
            let status = ReleaseStatus::Failed;
            // The attempt's error matters more; the record may also stay `uninstalling`.
            let _ = tenure.close(Ending { status, description, ownership: None }).await;
            return Err(error);
        }
    };
    if let Some(uid) = &survey.namespace {
        deleted.push(remove_namespace(&applying, &id.namespace, uid).await?);
    }
    // Oldest first: the newest, with the inventory, is the last to go.
    for head in &survey.heads {
        history::delete(client, head).await?;
    }
    Ok(outcome(newest.revision, survey.pruning, deleted, logs))
}

/// What there is of a release.
struct Survey {
    /// Oldest first; at least one.
    heads: Vec<RecordHead>,
    records: Vec<ReleaseRecord>,
    live: Live,
    pruning: Pruning,
    /// The CRDs of the chart's `crds/` folder that are to go, with their uids.
    crds: Vec<(Manifest, String)>,
    /// The uid of the release's namespace, if it is to go.
    namespace: Option<String>,
}

async fn survey(
    client: &ClusterClient,
    id: &ReleaseId,
    allowance: Allowance<'_>,
    clock: &dyn Clock,
) -> Result<Option<Survey>, ApplyError> {
    let heads = releases::heads(client, id).await;
    let heads = heads.map_err(failed(client, "reading the release records"))?;
    if heads.is_empty() {
        return Ok(None);
    }
    let records = history::present(client, &heads).await?;
    let inventory = history::inventory(&records)?;
    let reference = |manifest: &Manifest| ObjectRef {
        key: manifest.key.clone(),
        api_version: manifest.api_version.clone(),
    };
    let live = read(client, inventory.values().map(reference), clock.now()).await;
    let pruning = prune::decide(inventory, &live, id, &BTreeSet::new());
    let mut survey = Survey { heads, records, live, pruning, crds: Vec::new(), namespace: None };
    if let Allowance::Asked { namespaces, crds } = allowance {
        survey.pruning.keep(|key| match () {
            () if is_namespace(key) => !namespaces,
            () => crds::is_crd(key) && !crds,
        });
        let surroundings = survey.surroundings(client, id, clock).await?;
        survey.add_definitions(&surroundings, crds)?;
        survey.add_namespace(&surroundings, id, namespaces)?;
    }
    Ok(Some(survey))
}

impl Survey {
    /// The release's namespace, and the CRDs of the chart's `crds/` folder.
    async fn surroundings(
        &self,
        client: &ClusterClient,
        id: &ReleaseId,
        clock: &dyn Clock,
    ) -> Result<Live, ApplyError> {
        let namespace = ObjectRef { key: namespace_key(&id.namespace), api_version: "v1".into() };
        let crds = definitions(self.records.last())?
            .into_iter()
            .map(|crd| ObjectRef { key: crd.key, api_version: crd.api_version });
        Ok(read(client, crds.chain([namespace]), clock.now()).await)
    }

    fn add_definitions(&mut self, seen: &Live, is_asked_for: bool) -> Result<(), ApplyError> {
        for manifest in definitions(self.records.last())? {
            let key = &manifest.key;
            if let (true, Some(gap)) = (is_asked_for, seen.gap_over(key)) {
                return Err(ApplyError::Hidden { object: key.clone(), gap: gap.clone() });
            }
            let Some(object) = seen.objects.get(key) else { continue };
            if access::says_keep(object) {
                self.pruning.kept.push((manifest.key, Kept::Policy));
            } else if is_asked_for {
                self.live.objects.insert(key.clone(), object.clone());
                self.crds.push((manifest, access::uid(object).to_owned()));
            } else {
                self.pruning.kept.push((manifest.key, Kept::NotAsked));
            }
        }
        Ok(())
    }

    fn add_namespace(
        &mut self,
        seen: &Live,
        id: &ReleaseId,
        is_asked_for: bool,
    ) -> Result<(), ApplyError> {
        let key = namespace_key(&id.namespace);
        let is_doomed = self.pruning.doomed.iter().any(|(manifest, _)| manifest.key == key);
        let is_kept = self.pruning.kept.iter().any(|(kept, _)| *kept == key);
        if is_doomed || is_kept {
            return Ok(());
        }
        if let (true, Some(gap)) = (is_asked_for, seen.gap_over(&key)) {
            return Err(ApplyError::Hidden { object: key, gap: gap.clone() });
        }
        let Some(object) = seen.objects.get(&key) else { return Ok(()) };
        if access::says_keep(object) {
            self.pruning.kept.push((key, Kept::Policy));
        } else if is_asked_for {
            self.namespace = Some(access::uid(object).to_owned());
            self.live.objects.insert(key, object.clone());
        } else {
            self.pruning.kept.push((key, Kept::NotAsked));
        }
        Ok(())
    }
}

fn is_namespace(key: &ObjectKey) -> bool {
    key.kind == "Namespace" && key.group.is_empty()
}

fn namespace_key(name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// The CRDs of the `crds/` folder of a record's chart.
fn definitions(record: Option<&ReleaseRecord>) -> Result<Vec<Manifest>, ApplyError> {
    let mut found = Vec::new();
    let files = record.into_iter().flat_map(|record| &record.chart.files);
    for file in files.filter(|file| file.name.starts_with("crds/")) {
        let bytes = STANDARD.decode(&file.data).unwrap_or_default();
        let parsed = manifest::parse(&String::from_utf8_lossy(&bytes), "")?;
        found.extend(parsed.into_iter().filter(|manifest| crds::is_crd(&manifest.key)));
    }
    for manifest in &mut found {
        manifest.key = manifest::settled(&manifest.key, false);
    }
    Ok(found)
}

/// Refuses to delete a namespace that others need.
async fn ensure_alone(
    client: &ClusterClient,
    id: &ReleaseId,
    survey: &Survey,
) -> Result<(), ApplyError> {
    let of_templates = survey.pruning.doomed.iter().map(|(manifest, _)| &manifest.key);
    let of_templates = of_templates.filter(|key| is_namespace(key)).map(|key| key.name.as_str());
    let own = survey.namespace.iter().map(|_| id.namespace.as_str());
    for namespace in of_templates.chain(own) {
        if SYSTEM_NAMESPACES.contains(&namespace) {
            let namespace = namespace.to_owned();
            return Err(Refused::Inhabited { namespace, releases: Vec::new() }.into());
        }
        let listed = client.list_metadata(&releases::secrets(), namespace, "owner=helm").await;
        let listed = listed.map_err(failed(client, "looking for other releases"))?;
        let others: BTreeSet<ReleaseId> = listed
            .iter()
            .filter_map(|secret| access::label(secret, "name"))
            .map(|name| ReleaseId { namespace: namespace.to_owned(), name: name.to_owned() })
            .filter(|other| other != id)
            .collect();
        if !others.is_empty() {
            let (namespace, releases) = (namespace.to_owned(), others.into_iter().collect());
            return Err(Refused::Inhabited { namespace, releases }.into());
        }
    }
    Ok(())
}

fn first_gap(pruning: &Pruning) -> Option<(&ObjectKey, &Gap)> {
    pruning.kept.iter().find_map(|(key, kept)| match kept {
        Kept::Gap(gap) => Some((key, gap)),
        Kept::Policy | Kept::NotOurs | Kept::NotAsked => None,
    })
}

/// What [`uninstall`] would do.
#[derive(Clone, Debug, Default)]
pub struct Removal {
    /// What would go, in the order of deletion.
    pub doomed: Vec<ObjectKey>,
    /// What would stay, and why.
    pub kept: Vec<(ObjectKey, Kept)>,
    /// What would go along with namespaces and CRDs.
    pub along: Vec<Along>,
}

/// What [`uninstall`] would do, with what goes along with namespaces and CRDs; `None` where there
/// is no release. Sends nothing that can mutate.
///
/// # Errors
/// As [`uninstall`] before it begins; also where it cannot be told what goes along.
pub async fn removal(
    client: &ClusterClient,
    id: &ReleaseId,
    allowance: Allowance<'_>,
    clock: &dyn Clock,
) -> Result<Option<Removal>, ApplyError> {
    let Some(survey) = survey(client, id, allowance, clock).await? else { return Ok(None) };
    if let Some((key, gap)) = first_gap(&survey.pruning) {
        return Err(ApplyError::Hidden { object: key.clone(), gap: gap.clone() });
    }
    ensure_alone(client, id, &survey).await?;
    let doomed = survey.pruning.doomed.iter().chain(&survey.crds);
    let mut doomed: Vec<ObjectKey> = doomed.map(|(manifest, _)| manifest.key.clone()).collect();
    doomed.extend(survey.namespace.iter().map(|_| namespace_key(&id.namespace)));
    let mut goes_along = Vec::new();
    let known: BTreeSet<&ObjectKey> = doomed.iter().collect();
    for key in &doomed {
        let Some(live) = survey.live.objects.get(key) else { continue };
        let found = along(client, key, live, &known).await;
        goes_along.extend(found.map_err(failed(client, "looking for what would go along"))?);
    }
    Ok(Some(Removal { doomed, kept: survey.pruning.kept, along: goes_along }))
}

/// What [`uninstall`] would do within limits, as a difference. Sends nothing that can mutate.
pub async fn compare_uninstall(
    client: &ClusterClient,
    id: &ReleaseId,
    limits: &Limits,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Comparison, ApplyError> {
    let mut comparison = Comparison::default();
    let allowance = Allowance::Limits(limits);
    let Some(survey) = survey(client, id, allowance, clock).await? else { return Ok(comparison) };
    let (settled, pending) = releases::adopted(&survey.heads);
    comparison.adopted = settled.map(Adopted::from);
    comparison.pending = pending.map(Adopted::from);
    comparison.gaps.clone_from(&survey.live.gaps);
    if !options.ignores_limits {
        comparison.refused = prune::check_limits(&survey.pruning, limits).err();
    }
    if let Err(refused) = crd_safety::ensure_unused(client, &survey.pruning).await {
        comparison.refused.get_or_insert(refused);
    }
    for (manifest, _) in &survey.pruning.doomed {
        let found = survey.live.objects.get(&manifest.key);
        comparison.states.insert(manifest.key.to_string(), state_of(found));
        comparison.changes.push(Change::remove(manifest, found, None));
    }
    comparison.changes.sort_by(|a, b| a.key.cmp(&b.key));
    Ok(comparison)
}

async fn steps(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    due: &[Hook],
    survey: &Survey,
) -> Result<(Vec<ObjectKey>, Vec<PodLog>), ApplyError> {
    let mut logs = hooks::run(applying, tenure, due, "pre-delete").await?;
    let doomed = &survey.pruning.doomed;
    let mut deleted = prune::delete(applying, tenure, doomed).await?;
    // Whoever installs the release again must not meet what it had.
    wait_until_gone(applying, tenure, doomed).await?;
    logs.extend(hooks::run(applying, tenure, due, "post-delete").await?);
    deleted.extend(prune::delete(applying, tenure, &survey.crds).await?);
    wait_until_gone(applying, tenure, &survey.crds).await?;
    tenure.renew().await?;
    Ok((deleted, logs))
}

/// Deletes the release's namespace. Its records go with it, so that nothing can be written there
/// from now on.
async fn remove_namespace(
    applying: &Applying<'_>,
    name: &str,
    uid: &str,
) -> Result<ObjectKey, ApplyError> {
    let namespaces = Resource::core("Namespace", "namespaces", false);
    let key = namespace_key(name);
    let failed = |error| {
        let error = ApplyError::object(Doing::Deleting, key.clone(), "", 0).failed(error);
        ApplyError::Objects { errors: vec![error] }
    };
    let options = Delete { uid: uid.to_owned(), is_foreground: false };
    applying.client.delete(&namespaces, "", name, &options).await.map_err(failed)?;
    let patience = (applying.timeout, applying.clock);
    let gone = wait_gone(applying.client, &namespaces, &key, uid, patience).await;
    gone.map_err(failed)?;
    Ok(key)
}

fn outcome(
    release_revision: u32,
    pruning: Pruning,
    pruned: Vec<ObjectKey>,
    logs: Vec<PodLog>,
) -> Outcome {
    Outcome {
        action: Action::Uninstalled,
        release_revision,
        applied: std::collections::BTreeMap::new(),
        unchanged: 0,
        pruned,
        kept: pruning.kept,
        lingering: Vec::new(),
        logs,
        beside: None,
    }
}
