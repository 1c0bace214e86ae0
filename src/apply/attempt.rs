//! One attempt to bring a release to its target.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use serde_json::{Map, Value as Json, json};

use super::crd_safety::{self, Review};
use super::error::{ApplyError, Doing, NotServed, ObjectError, Refused};
use super::gone::{lingering, wait_gone};
use super::history::{self, Ending, Tenure, failed};
use super::objects::{Applying, Wanted, at, evidence};
use super::ownership::{self, Owner};
use super::prune::{self, Pruning};
use super::target::{Direction, Target};
use super::{Action, ApplyOptions, Outcome, crds, flux, hooks, random};
use crate::base::clock::Clock;
use crate::chart::model::Manifest;
use crate::fleet::model::{CrdPolicy, ImmutablePolicy};
use crate::graph::order;
use crate::health::{self, deletion};
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::read::read;
use crate::live::record::{
    self, HEALS_ANNOTATION, OWNERSHIP_ANNOTATION, RecordHead, ReleaseStatus,
};
use crate::live::{
    Drift, Gap, GapSubject, Heal, Live, ObjectRef, PodLog, ReleaseId, blue_green, blue_green::Side,
    drift, observe, releases,
};
use crate::object::key::ObjectKey;
use crate::object::{access, noise};
use crate::render::Release;

/// Brings a release to what git says: one attempt.
///
/// # Expected flow
/// Namespace → release record (pending) → CRDs, waited for → pre hooks → objects in order, those of
/// one step at the same time → objects that are no longer wanted → post hooks → release record
/// (deployed). Where the cluster already is at the release's digest, only objects that somebody has
/// changed are applied; where nobody has, nothing is written at all.
///
/// # Guarantees
/// Refusals ([`ApplyError::is_refused`]) come before the first write. Killed at any point, the next
/// attempt goes on.
///
/// # Errors
/// Everything else marks the record as failed; objects stay as they are then.
pub async fn realize(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let id = ReleaseId::of(&release.instance);
    let standing = blue_green::standing(client, &id).await;
    let standing = standing.map_err(failed(client, "reading the release records"))?;
    if standing.has_slots() {
        let present =
            standing.present().last().map_or_else(String::new, |head| head.id.name.clone());
        return Err(Refused::StandsBeside { release: id, present }.into());
    }
    realize_from(client, release, standing.heads_of(Side::Plain), options, clock).await
}

/// As [`realize`], from records that were read already.
pub(super) async fn realize_from(
    client: &ClusterClient,
    release: &Release,
    heads: &[RecordHead],
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let target = random::target(client, release, heads).await?;
    let target = Target { is_adoption: options.takes_ownership, ..target };
    Attempt { client, target: &target, options, clock }.run(heads).await
}

/// One attempt; see [`realize`].
pub(super) struct Attempt<'a> {
    pub(super) client: &'a ClusterClient,
    pub(super) target: &'a Target,
    pub(super) options: &'a ApplyOptions,
    pub(super) clock: &'a dyn Clock,
}

/// What the release's namespace is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Namespace {
    /// There, as it was or new.
    Fit,
    /// New in place of one that was on its way out.
    MadeAnew,
}

/// What was found out before the first write.
pub(super) struct Survey {
    pub(super) wanted: Vec<Wanted>,
    pub(super) live: Live,
    pub(super) pruning: Pruning,
    /// What the records have that may be on the cluster.
    pub(super) before: BTreeMap<ObjectKey, Manifest>,
}

/// What the steps have done so far.
#[derive(Default)]
struct Done {
    applied: BTreeMap<ObjectKey, Json>,
    unchanged: BTreeMap<ObjectKey, String>,
    pruned: Vec<ObjectKey>,
    lingering: Vec<(ObjectKey, String)>,
    logs: Vec<PodLog>,
}

impl Attempt<'_> {
    pub(super) async fn run(&self, heads: &[RecordHead]) -> Result<Outcome, ApplyError> {
        self.ensure_not_handed_over(heads)?;
        let wanted = self.settle().await?;
        if let Some(head) = self.same_as_deployed(heads) {
            self.end_last_attempt(heads).await?;
            return self.heal(head, wanted).await;
        }
        if let Some(newest) = heads.last() {
            history::ensure_free(newest, self.options, self.clock.now())?;
        }
        let survey = self.survey(heads, wanted).await?;
        self.check(&survey)?;
        self.ensure_flux_rests(&survey.live).await?;
        let objects = self.unserved(&survey.wanted).await?;
        if !objects.is_empty() {
            return Err(Refused::NotServed { objects }.into());
        }
        if let Some(refused) = self.review_crds(&survey).await?.refused {
            return Err(refused.into());
        }
        if self.ensure_namespace().await? == Namespace::MadeAnew {
            return self.again().await;
        }
        let mut tenure =
            Tenure::open(self.client, heads, self.target, self.options, self.clock).await?;
        match self.steps(&mut tenure, &survey, heads).await {
            Ok(done) => self.finish(&mut tenure, heads, survey, done).await,
            Err(error @ ApplyError::Lost { .. }) => Err(error),
            Err(error) => {
                let ending = Ending {
                    status: ReleaseStatus::Failed,
                    description: format!("{} failed: {error}", self.verb()),
                    ownership: None,
                };
                // The attempt's error matters more. A record that stays pending is closed by the
                // next attempt.
                let _ = tenure.close(ending).await;
                Err(error)
            }
        }
    }

    /// What was handed over to Helm is only taken back when that is asked for.
    pub(super) fn ensure_not_handed_over(&self, heads: &[RecordHead]) -> Result<(), Refused> {
        let is_handed_over = heads.last().is_some_and(|newest| newest.is_handed_over);
        if is_handed_over && !self.options.adopts {
            return Err(Refused::HandedOver { release: self.target.id.clone() });
        }
        Ok(())
    }

    /// Unless somebody has agreed to a fight.
    pub(super) async fn ensure_flux_rests(&self, live: &Live) -> Result<(), ApplyError> {
        if self.options.is_forced {
            return Ok(());
        }
        flux::ensure_rests(self.client, &self.target.id, live).await
    }

    /// What an attempt that was killed at its very end has not done: the revision before it is no
    /// longer the deployed one.
    async fn end_last_attempt(&self, heads: &[RecordHead]) -> Result<(), ApplyError> {
        let Some(newest) = releases::deployed_over_another(heads) else { return Ok(()) };
        match history::supersede(self.client, heads, newest.revision, self.clock.now()).await {
            // It was not killed, and is doing it.
            Err(ApplyError::Lost { .. }) => Ok(()),
            ended => ended,
        }
    }

    fn verb(&self) -> String {
        match self.target.direction {
            Direction::Forward => "Release".to_owned(),
            Direction::Back { to } => format!("Rollback to {to}"),
        }
    }

    fn applying(&self) -> Applying<'_> {
        Applying {
            client: self.client,
            id: Some(&self.target.id),
            options: self.options,
            timeout: self.target.rules.timeout.unwrap_or(self.options.timeout),
            on_immutable: self.target.rules.upgrade.on_immutable,
            ignored: &self.target.rules.ignored,
            objects: &self.target.manifests,
            clock: self.clock,
        }
    }

    /// Where each object belongs, as far as the cluster knows its kind.
    pub(super) async fn settle(&self) -> Result<Vec<Wanted>, ApplyError> {
        let jobs = self
            .target
            .manifests
            .iter()
            .map(|manifest| Wanted::settle(self.client, manifest.clone()));
        collect(join_all(jobs).await)
    }

    /// The deployed record, if it already is what the target is.
    pub(super) fn same_as_deployed<'h>(&self, heads: &'h [RecordHead]) -> Option<&'h RecordHead> {
        let digest = self.target.origin.digest.as_ref()?;
        let is_forward = self.target.direction == Direction::Forward;
        history::deployed_at(heads, digest).filter(|_| is_forward)
    }

    pub(super) async fn survey(
        &self,
        heads: &[RecordHead],
        wanted: Vec<Wanted>,
    ) -> Result<Survey, ApplyError> {
        let before = history::inventory(&history::present(self.client, heads).await?)?;
        let mut gone = before.clone();
        for wanted in &wanted {
            gone.retain(|key, _| !is_same_object(key, wanted.key(), wanted.resource.as_ref()));
        }
        // A CRD that moved to the chart's `crds/` folder is not gone.
        let folder: BTreeSet<&str> =
            self.target.crds.iter().map(|crd| crd.key.name.as_str()).collect();
        gone.retain(|key, _| !crds::is_crd(key) || !folder.contains(key.name.as_str()));
        let references = wanted.iter().map(|wanted| observe::reference(&wanted.manifest));
        let references = references.chain(gone.iter().map(|(key, manifest)| ObjectRef {
            key: key.clone(),
            api_version: manifest.api_version.clone(),
        }));
        let live = read(self.client, references, self.clock.now()).await;
        self.ensure_answer(&live)?;
        let staying = wanted.iter().filter_map(|wanted| live.objects.get(wanted.key()));
        let staying = staying.map(access::uid).collect();
        let pruning = prune::decide(gone, &live, &self.target.id, &staying);
        Ok(Survey { wanted, live, pruning, before })
    }

    pub(super) fn ensure_answer(&self, live: &Live) -> Result<(), ApplyError> {
        let hidden = live.gaps.iter().find(|gap| gap.subject == GapSubject::Cluster);
        match hidden {
            None => Ok(()),
            Some(Gap { reason, .. }) => Err(ApplyError::Cluster {
                cluster: self.client.name.clone(),
                doing: "reading the release's objects",
                source: RequestError::Unreachable { source: reason.clone().into() },
            }),
        }
    }

    /// Refuses what must not be done, before anything is.
    pub(super) fn check(&self, survey: &Survey) -> Result<(), Refused> {
        let mut seen: BTreeMap<&ObjectKey, &Manifest> = BTreeMap::new();
        for Wanted { manifest, .. } in &survey.wanted {
            let template = manifest.source.to_string();
            if manifest.key.name.is_empty() {
                return Err(Refused::NoName { kind: manifest.key.kind.clone(), template });
            }
            if let Some(other) = seen.insert(&manifest.key, manifest) {
                let object = manifest.key.clone();
                return Err(Refused::Twice { object, template, other: other.source.to_string() });
            }
            let Some(live) = survey.live.objects.get(&manifest.key) else { continue };
            match ownership::owner(live, &self.target.id) {
                Owner::Ours => {}
                Owner::Other(owner) => {
                    return Err(Refused::Owned { object: manifest.key.clone(), template, owner });
                }
                Owner::Nobody if self.may_take(manifest, live, survey) => {}
                Owner::Nobody => {
                    return Err(Refused::NotOwned { object: manifest.key.clone(), template });
                }
            }
        }
        record::ensure_fits(&self.target.draft)
            .map_err(|error| Refused::TooLarge(error.to_string()))?;
        if self.options.ignores_limits {
            return Ok(());
        }
        prune::check_limits(&survey.pruning, &self.target.limits)
    }

    /// Objects whose kind the cluster does not serve and the release does not bring.
    pub(super) async fn unserved(&self, wanted: &[Wanted]) -> Result<Vec<NotServed>, ApplyError> {
        let own = self.brought(wanted);
        let is_unserved = |wanted: &&Wanted| {
            let key = wanted.key();
            wanted.resource.is_none() && !own.contains_key(&(key.group.clone(), key.kind.clone()))
        };
        let unserved = |wanted: &Wanted| NotServed {
            object: wanted.key().clone(),
            api_version: wanted.manifest.api_version.clone(),
            template: wanted.manifest.source.to_string(),
        };
        let mut all: Vec<_> = wanted.iter().filter(is_unserved).map(unserved).collect();
        for crd in &crds::settle(self.client, self.folder_crds()).await? {
            all.extend(crd.resource.is_none().then(|| unserved(crd)));
        }
        Ok(all)
    }

    /// What changes of CRDs would take from the objects that are there.
    pub(super) async fn review_crds(&self, survey: &Survey) -> Result<Review, ApplyError> {
        let folder = crds::settle(self.client, self.folder_crds()).await?;
        let references = folder.iter().map(|crd| observe::reference(&crd.manifest));
        let live = read(self.client, references, self.clock.now()).await;
        self.ensure_answer(&live)?;
        let policy = self.target.rules.upgrade.crds;
        let of_folder = folder.iter().filter_map(|crd| {
            let found = live.objects.get(crd.key())?;
            let is_left = crds::is_left_alone(found, policy, &self.target.id);
            (!is_left).then_some((found, &*crd.manifest.object))
        });
        let own = survey.wanted.iter().filter(|wanted| crds::is_crd(wanted.key()));
        let own = own.filter_map(|wanted| {
            Some((survey.live.objects.get(wanted.key())?, &*wanted.manifest.object))
        });
        let changes: Vec<_> = of_folder.chain(own).collect();
        let may_recreate = self.target.rules.upgrade.on_immutable == ImmutablePolicy::Recreate;
        let mut review = crd_safety::review(self.client, &changes, may_recreate).await;
        if let Err(refused) = crd_safety::ensure_unused(self.client, &survey.pruning).await {
            review.refused.get_or_insert(refused);
        }
        Ok(review)
    }

    /// The kinds that the release brings, and the names of their CRDs.
    pub(super) fn brought(&self, wanted: &[Wanted]) -> BTreeMap<(String, String), String> {
        let own = wanted.iter().map(|wanted| &wanted.manifest);
        crds::defined(self.folder_crds().iter().chain(own))
    }

    /// The CRDs of `crds/` folders, where they are wanted.
    pub(super) fn folder_crds(&self) -> &[Manifest] {
        match self.target.rules.upgrade.crds {
            CrdPolicy::Skip => &[],
            CrdPolicy::Create | CrdPolicy::CreateReplace => &self.target.crds,
        }
    }

    /// Whether an object without an owner is the release's all the same: it was told to be, it is
    /// the release's own namespace, or somebody took the annotations off.
    fn may_take(&self, manifest: &Manifest, live: &Json, survey: &Survey) -> bool {
        let key = &manifest.key;
        self.options.takes_ownership
            || (key.kind == "Namespace" && key.name == self.target.id.namespace)
            || noise::ownership(live).is_some()
            || survey.before.keys().any(|before| {
                (&before.group, &before.kind, &before.name) == (&key.group, &key.kind, &key.name)
            })
    }

    /// The release's namespace, made if it is not there; one that is being deleted is waited for
    /// first. Without the right to look it is taken to be there.
    async fn ensure_namespace(&self) -> Result<Namespace, ApplyError> {
        let namespaces = Resource::core("Namespace", "namespaces", false);
        let name = &self.target.id.namespace;
        let failed = failed(self.client, "making the release's namespace");
        let mut made = Namespace::Fit;
        match self.client.get(&namespaces, "", name).await {
            Ok(Some(namespace)) if deletion::is_under_way(&namespace) => {
                self.wait_for_namespace(&namespaces, &namespace).await?;
                made = Namespace::MadeAnew;
            }
            Ok(Some(_)) | Err(RequestError::Forbidden { .. }) => return Ok(made),
            Ok(None) => {}
            Err(error) => return Err(failed(error)),
        }
        let namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": name, "labels": {"name": name}},
        });
        match self.client.create(&namespaces, "", &namespace).await {
            Ok(_) | Err(RequestError::AlreadyExists { .. }) => Ok(made),
            Err(error) => Err(failed(error)),
        }
    }

    async fn wait_for_namespace(
        &self,
        namespaces: &Resource,
        namespace: &Json,
    ) -> Result<(), ApplyError> {
        let key = access::key_of(namespace);
        let timeout = self.target.rules.timeout.unwrap_or(self.options.timeout);
        let patience = (timeout, self.clock);
        let uid = access::uid(namespace);
        let gone = wait_gone(self.client, namespaces, &key, uid, patience).await;
        gone.map_err(|error| {
            let error = ApplyError::object(Doing::Applying, key, "", 0).failed(error);
            ApplyError::Objects { errors: vec![error] }
        })
    }

    /// Begins once more, after the namespace went with whatever was in it, the records included.
    async fn again(&self) -> Result<Outcome, ApplyError> {
        let heads = releases::heads(self.client, &self.target.id).await;
        let heads = heads.map_err(failed(self.client, "reading the release records"))?;
        Box::pin(self.run(&heads)).await
    }

    async fn steps(
        &self,
        tenure: &mut Tenure<'_>,
        survey: &Survey,
        heads: &[RecordHead],
    ) -> Result<Done, ApplyError> {
        let applying = self.applying();
        let (pre, post) = self.events(tenure.record.info.status);
        let of_chart = Applying { id: None, ..self.applying() };
        let rules = (self.target.rules.upgrade.crds, &self.target.id);
        crds::install(&of_chart, self.folder_crds(), rules).await?;
        // What is taken over as it is has been installed already.
        let hooks = if self.options.adopts { &[][..] } else { &self.target.hooks[..] };
        let logs = hooks::run(&applying, tenure, hooks, pre).await?;
        let mut done = Done { logs, ..Done::default() };
        let untouched = Self::untouched(survey, heads);
        for wave in order::waves(survey.wanted.clone(), |wanted| &wanted.manifest) {
            self.apply_wave(&applying, wave, survey, &untouched, &mut done).await?;
        }
        done.pruned = prune::delete(&applying, tenure, &survey.pruning.doomed).await?;
        done.lingering = lingering(&applying, &survey.live, &survey.pruning.doomed).await;
        done.logs.extend(hooks::run(&applying, tenure, hooks, post).await?);
        Ok(done)
    }

    fn events(&self, status: ReleaseStatus) -> (&'static str, &'static str) {
        match (self.target.direction, status) {
            (Direction::Back { .. }, _) => ("pre-rollback", "post-rollback"),
            (Direction::Forward, ReleaseStatus::PendingInstall) => ("pre-install", "post-install"),
            (Direction::Forward, _) => ("pre-upgrade", "post-upgrade"),
        }
    }

    /// Objects that the deployed record has in the same words, and whose fields nobody has
    /// touched since: with the digest of what fitout owns of them.
    pub(super) fn untouched(survey: &Survey, heads: &[RecordHead]) -> BTreeMap<ObjectKey, String> {
        let mut untouched = BTreeMap::new();
        let Some(newest) = heads.last().filter(|head| head.status == ReleaseStatus::Deployed)
        else {
            return untouched;
        };
        for Wanted { manifest, resource } in &survey.wanted {
            let same = survey
                .before
                .iter()
                .find(|(key, _)| is_same_object(key, &manifest.key, resource.as_ref()));
            let is_same = same.is_some_and(|(_, before)| before.object == manifest.object);
            let owned = survey.live.objects.get(&manifest.key).and_then(noise::ownership);
            let recorded = newest.ownership.get(&manifest.key.to_string());
            if let (true, Some(owned)) = (is_same, owned)
                && recorded == Some(&owned)
            {
                untouched.insert(manifest.key.clone(), owned);
            }
        }
        untouched
    }

    /// Applies the objects of one step. All are tried; then the first step with an error is the
    /// last one.
    async fn apply_wave(
        &self,
        applying: &Applying<'_>,
        wave: Vec<Wanted>,
        survey: &Survey,
        untouched: &BTreeMap<ObjectKey, String>,
        done: &mut Done,
    ) -> Result<(), ApplyError> {
        let mut jobs = Vec::new();
        for wanted in &wave {
            match untouched.get(wanted.key()) {
                Some(owned) => {
                    done.unchanged.insert(wanted.key().clone(), owned.clone());
                }
                None => jobs.push(self.apply_one(applying, wanted, &survey.live)),
            }
        }
        let applied = collect(join_all(jobs).await)?;
        let definitions: Vec<&str> = applied
            .iter()
            .filter(|(key, _)| crds::is_crd(key))
            .map(|(key, _)| key.name.as_str())
            .collect();
        if !definitions.is_empty() {
            crds::established(applying, &definitions).await?;
        }
        done.applied.extend(applied);
        Ok(())
    }

    async fn apply_one(
        &self,
        applying: &Applying<'_>,
        wanted: &Wanted,
        live: &Live,
    ) -> Result<(ObjectKey, Json), ObjectError> {
        // A kind that was not served at first may be by now: its CRD is part of the release.
        let settled = match &wanted.resource {
            Some(_) => wanted.clone(),
            None => Wanted::settle(self.client, wanted.manifest.clone()).await?,
        };
        let Some(resource) = &settled.resource else {
            let error = RequestError::NoSuchKind {
                api_version: settled.manifest.api_version.clone(),
                kind: settled.manifest.key.kind.clone(),
            };
            return Err(at(Doing::Applying, &settled.manifest, error));
        };
        let live = live.objects.get(settled.key());
        let object = applying.apply(&settled.manifest, resource, live).await?;
        Ok((settled.key().clone(), object))
    }

    async fn finish(
        &self,
        tenure: &mut Tenure<'_>,
        heads: &[RecordHead],
        survey: Survey,
        done: Done,
    ) -> Result<Outcome, ApplyError> {
        let (action, description) = match (self.target.direction, tenure.record.info.status) {
            (Direction::Back { to }, _) => (Action::RolledBack, format!("Rollback to {to}")),
            _ if self.options.adopts => (Action::Adopted, "Adoption complete".to_owned()),
            (_, ReleaseStatus::PendingInstall) => {
                (Action::Installed, "Install complete".to_owned())
            }
            _ => (Action::Upgraded, "Upgrade complete".to_owned()),
        };
        let ending = Ending {
            status: ReleaseStatus::Deployed,
            description,
            ownership: Some(ownership_of(&done)),
        };
        tenure.close(ending).await?;
        let revision = tenure.record.version;
        history::supersede(self.client, heads, revision, self.clock.now()).await?;
        Ok(outcome(action, revision, done, survey.pruning))
    }

    /// Applies what somebody has changed; the release stays at its revision.
    async fn heal(&self, head: &RecordHead, wanted: Vec<Wanted>) -> Result<Outcome, ApplyError> {
        let references = wanted.iter().map(|wanted| observe::reference(&wanted.manifest));
        let live = read(self.client, references, self.clock.now()).await;
        self.ensure_answer(&live)?;
        let mut done = Done::default();
        let mut touched = Vec::new();
        let manifests: Vec<_> = wanted.iter().map(|wanted| wanted.manifest.clone()).collect();
        let drifts = drift::drifts(head, &live, &manifests);
        for wanted in wanted {
            match untouched_at(head, &live, &wanted) {
                Some(owned) => {
                    done.unchanged.insert(wanted.key().clone(), owned);
                }
                None => touched.push(wanted),
            }
        }
        let policy = self.target.rules.upgrade.crds;
        let missing = crds::missing(self.client, &self.target.crds, policy).await;
        if touched.is_empty() && missing.is_empty() {
            return Ok(outcome(Action::Unchanged, head.revision, done, Pruning::default()));
        }
        let survey =
            Survey { wanted: touched, live, pruning: Pruning::default(), before: BTreeMap::new() };
        self.check(&survey)?;
        if self.ensure_namespace().await? == Namespace::MadeAnew {
            return self.again().await;
        }
        let applying = self.applying();
        let of_chart = Applying { id: None, ..self.applying() };
        crds::install(&of_chart, &missing, (policy, &self.target.id)).await?;
        for wave in order::waves(survey.wanted.clone(), |wanted| &wanted.manifest) {
            self.apply_wave(&applying, wave, &survey, &BTreeMap::new(), &mut done).await?;
        }
        let ownership = ownership_of(&done);
        let moved = done.applied.iter().any(|(key, object)| {
            let before = survey.live.objects.get(key).map_or("", access::resource_version);
            before != access::resource_version(object)
        });
        let is_healed = moved || !missing.is_empty();
        self.note(head, &ownership, is_healed.then_some(drifts)).await?;
        let action = if is_healed { Action::Healed } else { Action::Unchanged };
        Ok(outcome(action, head.revision, done, Pruning::default()))
    }

    /// Keeps with the record what fitout owns now, and what was put back.
    async fn note(
        &self,
        head: &RecordHead,
        ownership: &BTreeMap<String, String>,
        healed: Option<Vec<Drift>>,
    ) -> Result<(), ApplyError> {
        let mut annotations = Map::new();
        if *ownership != head.ownership {
            let text = serde_json::to_string(ownership).expect("text keys and values");
            annotations.insert(OWNERSHIP_ANNOTATION.to_owned(), Json::from(text));
        }
        if let Some(drifts) = healed.filter(|drifts| !drifts.is_empty()) {
            let heal = Heal { at: self.clock.now(), drifts };
            let heals = drift::with_heal(&head.heals, heal);
            let text = serde_json::to_string(&heals).expect("text keys only");
            annotations.insert(HEALS_ANNOTATION.to_owned(), Json::from(text));
        }
        if annotations.is_empty() {
            return Ok(());
        }
        let patch = json!({"metadata": {"annotations": annotations}});
        let namespace = &head.id.namespace;
        self.client
            .merge_patch(&releases::secrets(), namespace, &head.secret_name, &patch)
            .await
            .map_err(failed(self.client, "writing the release record"))?;
        Ok(())
    }
}

/// What fitout owns of an object, where that is what it owned after the apply. A Job that takes
/// itself away once it has ended is not missed.
pub(super) fn untouched_at(head: &RecordHead, live: &Live, wanted: &Wanted) -> Option<String> {
    let recorded = head.ownership.get(&wanted.key().to_string())?;
    match live.objects.get(wanted.key()) {
        Some(object) => noise::ownership(object).filter(|owned| owned == recorded),
        None => {
            let is_gone = live.gap_over(wanted.key()).is_none();
            let is_spent = is_gone && health::takes_itself_away(&wanted.manifest.object);
            is_spent.then(|| recorded.clone())
        }
    }
}

/// Whether a key of a record stands for an object: its scope was not settled then.
fn is_same_object(recorded: &ObjectKey, key: &ObjectKey, resource: Option<&Resource>) -> bool {
    let is_cluster_scoped = resource.is_some_and(|resource| !resource.is_namespaced);
    recorded.group == key.group
        && recorded.kind == key.kind
        && recorded.name == key.name
        && (is_cluster_scoped || recorded.namespace == key.namespace)
}

fn ownership_of(done: &Done) -> BTreeMap<String, String> {
    let applied = done
        .applied
        .iter()
        .filter_map(|(key, object)| Some((key.to_string(), noise::ownership(object)?)));
    let unchanged = done.unchanged.iter().map(|(key, owned)| (key.to_string(), owned.clone()));
    applied.chain(unchanged).collect()
}

fn outcome(action: Action, release_revision: u32, done: Done, pruning: Pruning) -> Outcome {
    Outcome {
        action,
        release_revision,
        unchanged: done.unchanged.len(),
        applied: done.applied.iter().map(|(key, object)| (key.clone(), evidence(object))).collect(),
        pruned: done.pruned,
        kept: pruning.kept,
        lingering: done.lingering,
        logs: done.logs,
        beside: None,
    }
}

pub(super) fn collect<T>(results: Vec<Result<T, ObjectError>>) -> Result<Vec<T>, ApplyError> {
    let mut values = Vec::with_capacity(results.len());
    let mut errors = Vec::new();
    for result in results {
        match result {
            Ok(value) => values.push(value),
            Err(error) => errors.push(error),
        }
    }
    if errors.is_empty() { Ok(values) } else { Err(ApplyError::Objects { errors }) }
}
