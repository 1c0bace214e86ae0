//! What an attempt would do: the same survey, then a server-side dry run instead of a write.
//!
//! Sends nothing that can mutate.

use std::collections::BTreeMap;

use futures::future::join_all;
use serde_json::Value as Json;

use super::attempt::{Attempt, Survey, untouched_at};
use super::error::{ApplyError, Doing, NotServed, ObjectError, Refused};
use super::history::failed;
use super::objects::{Wanted, at, body, may_recreate};
use super::ownership;
use super::prune::Pruning;
use super::{ApplyOptions, Kept, blue_green, crds, predict, random};
use crate::base::clock::Clock;
use crate::base::ids::Digest;
use crate::chart::model::Manifest;
use crate::diff::{Change, Ignored, Op, ignored, is_meant};
use crate::fleet::model::ImmutablePolicy;
use crate::k8s::error::FieldOwner;
use crate::k8s::{Apply, ClusterClient, RequestError, Resource};
use crate::live::read::read;
use crate::live::record::{RecordHead, ReleaseStatus};
use crate::live::{Adopted, Gap, GapSubject, Live, ReleaseId, observe, releases};
use crate::object::key::ObjectKey;
use crate::object::{access, noise, secret};
use crate::preview::mask::Mask;
use crate::render::Release;
use crate::sim::as_stored;

/// A release against its cluster, at one time.
#[derive(Debug, Default)]
pub struct Comparison {
    /// What the release is at.
    pub adopted: Option<Adopted>,
    /// A change that is under way, or that somebody left half done.
    pub pending: Option<Adopted>,
    /// Whether the cluster is at the release's digest already.
    pub is_current: bool,
    /// What would happen, in order of objects.
    pub changes: Vec<Change>,
    /// Objects that the server would not take.
    pub problems: Vec<ObjectError>,
    /// Why the whole would not be done.
    pub refused: Option<Refused>,
    /// Objects of kinds that the cluster does not serve, and that no CRD of the release brings: of
    /// another release's perhaps, that comes first.
    pub unserved: Vec<NotServed>,
    /// Fields that an `ignoreDifferences` leaves as they are.
    pub ignored: Vec<Ignored>,
    /// Hides the values of the release's Secrets in all that is told of it.
    pub mask: Mask,
    /// What could not be read.
    pub gaps: Vec<Gap>,
    /// Whether any object was worked out here, since the server refused a dry run.
    pub is_worked_out: bool,
    /// The state of every object that would be touched: see [`state_of`].
    pub states: BTreeMap<String, String>,
    /// What is said of two releases beside one another.
    pub beside: Option<String>,
}

/// Who worked out what an object would become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum How {
    /// The server, by a dry run.
    Server,
    /// This program.
    Here,
}

/// What an object would become.
struct Seen {
    /// If that is anything else.
    change: Option<Change>,
    how: How,
    /// Why it does not become that all the same.
    problem: Option<ObjectError>,
}

impl Seen {
    fn of(change: Option<Change>, how: How) -> Self {
        Self { change, how, problem: None }
    }

    /// The same as it is.
    fn same() -> Self {
        Self::of(None, How::Server)
    }
}

type Compared = Result<Seen, ObjectError>;

impl Comparison {
    /// Hides the values of the release's Secrets, those to come and those that are there.
    fn hide(&mut self, wanted: &[Wanted], live: &Live) {
        let to_come = wanted.iter().map(|wanted| &*wanted.manifest.object);
        let mask = Mask::of_secrets(to_come.chain(live.objects.values()));
        self.changes.iter_mut().for_each(|change| mask.change(change));
        self.ignored.iter_mut().for_each(|ignored| mask.ignored(ignored));
        self.mask = mask;
    }

    /// Ways out of what is refused, for people.
    pub fn help(&self) -> Vec<String> {
        let refused = self.refused.iter().flat_map(Refused::help);
        let mut help: Vec<_> =
            refused.chain(self.problems.iter().filter_map(ObjectError::help)).collect();
        help.dedup();
        help
    }

    fn add(&mut self, key: &ObjectKey, found: Option<&Json>, compared: Compared) {
        match compared {
            Ok(Seen { change, how, problem }) => {
                self.is_worked_out |= how == How::Here;
                self.problems.extend(problem);
                if let Some(change) = change {
                    self.states.insert(key.to_string(), state_of(found));
                    self.changes.push(change);
                }
            }
            Err(error) => self.problems.push(error),
        }
    }
}

/// A word for the state of an object, which changes whenever anything but its status does. For a
/// Secret it is the version, so that nothing can be guessed from it.
pub fn state_of(object: Option<&Json>) -> String {
    match object {
        None => "absent".to_owned(),
        Some(object) if secret::is_secret(object) => {
            format!("version {}", access::resource_version(object))
        }
        Some(object) => {
            let text = noise::without_server_fields(object).to_string();
            format!("{} {}", access::uid(object), Digest::of(text.as_bytes()).short())
        }
    }
}

/// Compares a release with its cluster. Where the cluster is at the release's digest and nobody
/// has touched its objects, there is no dry run.
pub async fn compare(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Comparison, ApplyError> {
    if release.slot.is_none() && release.instance.strategy.blue_green().is_some() {
        return blue_green::compare_beside(client, release, options, clock).await;
    }
    let mut hidden = None;
    let heads = match releases::heads(client, &ReleaseId::of(&release.instance)).await {
        Err(error @ RequestError::Forbidden { .. }) if options.is_read_only => {
            hidden = Some(Gap::of(GapSubject::Records, &error));
            Vec::new()
        }
        heads => heads.map_err(failed(client, "reading the release records"))?,
    };
    let target = random::target(client, release, &heads).await?;
    let attempt = Attempt { client, target: &target, options, clock };
    let (settled, pending) = releases::adopted(&heads);
    let pending = pending.or_else(|| releases::deployed_over_another(&heads));
    let mut comparison = Comparison {
        adopted: settled.map(Adopted::from),
        pending: pending.map(Adopted::from),
        ..Comparison::default()
    };
    if attempt.ensure_not_handed_over(&heads).is_err() {
        return Ok(comparison);
    }
    let wanted = attempt.settle().await?;
    if let Some(head) = attempt.same_as_deployed(&heads) {
        comparison.is_current = true;
        attempt.compare_current(head, wanted, &mut comparison).await?;
        return Ok(comparison);
    }
    attempt.compare_whole(&heads, wanted, &mut comparison).await?;
    comparison.gaps.extend(hidden);
    Ok(comparison)
}

impl Attempt<'_> {
    /// Everything that an attempt would do. Gives what it went by.
    pub(super) async fn compare_whole(
        &self,
        heads: &[RecordHead],
        wanted: Vec<Wanted>,
        comparison: &mut Comparison,
    ) -> Result<Survey, ApplyError> {
        let survey = self.survey(heads, wanted).await?;
        comparison.refused = self.refused(&survey).await?;
        let unserved = self.unserved(&survey.wanted).await?;
        let (built_in, others) = unserved.into_iter().partition(NotServed::is_built_in);
        comparison.unserved = others;
        if !Vec::is_empty(&built_in) {
            comparison.refused.get_or_insert(Refused::NotServed { objects: built_in });
        }
        comparison.gaps.clone_from(&survey.live.gaps);
        let review = self.review_crds(&survey).await?;
        if let Some(refused) = review.refused {
            comparison.refused.get_or_insert(refused);
        }
        self.compare_crds(comparison).await?;
        let untouched = Attempt::untouched(&survey, heads);
        let touched: Vec<&Wanted> =
            survey.wanted.iter().filter(|wanted| !untouched.contains_key(wanted.key())).collect();
        self.compare_objects(&touched, &survey.live, comparison).await;
        self.note_brought(&survey.wanted, &mut comparison.changes);
        for change in comparison.changes.iter_mut().filter(|change| crds::is_crd(&change.key)) {
            let warnings = review.warnings.get(&change.key.name);
            change.warnings.extend(warnings.into_iter().flatten().cloned());
        }
        removed(&survey, comparison);
        comparison.ignored = self.ignored(&survey.wanted, &survey.live);
        comparison.changes.sort_by(|a, b| a.key.cmp(&b.key));
        comparison.hide(&survey.wanted, &survey.live);
        Ok(survey)
    }

    /// Why the whole would not be done.
    async fn refused(&self, survey: &Survey) -> Result<Option<Refused>, ApplyError> {
        if let Err(refused) = self.check(survey) {
            return Ok(Some(refused));
        }
        match self.ensure_flux_rests(&survey.live).await {
            Ok(()) => Ok(None),
            Err(ApplyError::Refused(refused)) => Ok(Some(refused)),
            Err(error) => Err(error),
        }
    }

    async fn compare_current(
        &self,
        head: &RecordHead,
        wanted: Vec<Wanted>,
        comparison: &mut Comparison,
    ) -> Result<(), ApplyError> {
        debug_assert_eq!(head.status, ReleaseStatus::Deployed);
        let references = wanted.iter().map(|wanted| observe::reference(&wanted.manifest));
        let live = read(self.client, references, self.clock.now()).await;
        self.ensure_answer(&live)?;
        comparison.gaps.clone_from(&live.gaps);
        let is_touched = |wanted: &&Wanted| untouched_at(head, &live, wanted).is_none();
        let touched: Vec<&Wanted> = wanted.iter().filter(is_touched).collect();
        let policy = self.target.rules.upgrade.crds;
        for crd in crds::missing(self.client, &self.target.crds, policy).await {
            comparison.states.insert(crd.key.to_string(), state_of(None));
            comparison.changes.push(Change::create(&crd, &crd.object));
        }
        self.compare_objects(&touched, &live, comparison).await;
        comparison.ignored = self.ignored(&wanted, &live);
        comparison.changes.sort_by(|a, b| a.key.cmp(&b.key));
        comparison.hide(&wanted, &live);
        Ok(())
    }

    async fn compare_objects(&self, touched: &[&Wanted], live: &Live, comparison: &mut Comparison) {
        let jobs = touched.iter().map(|wanted| self.compare_object(wanted, live));
        for (result, wanted) in join_all(jobs).await.into_iter().zip(touched) {
            comparison.add(wanted.key(), live.objects.get(wanted.key()), result);
        }
    }

    async fn compare_object(&self, wanted: &Wanted, live: &Live) -> Compared {
        let manifest = &wanted.manifest;
        let found = live.objects.get(wanted.key());
        if live.gap_over(wanted.key()).is_some() {
            // Neither there nor absent, as far as is known: the Gap is told by itself.
            return Ok(Seen::same());
        }
        let is_namespaced = wanted.resource.as_ref().is_none_or(|resource| resource.is_namespaced);
        let ignored = &self.target.rules.ignored;
        let body = body(manifest, is_namespaced, Some(&self.target.id), found, ignored);
        let (found, resource) = match (found, &wanted.resource) {
            (Some(found), Some(resource)) => (found, resource),
            (_, None) => return Ok(Seen::of(Some(Change::create(manifest, &body)), How::Server)),
            (None, Some(resource)) => {
                let how = self.try_create(resource, manifest, &body).await?;
                return Ok(Seen::of(Some(Change::create(manifest, &body)), how));
            }
        };
        let rules: Vec<_> = ignored.iter().filter(|rule| is_meant(rule, &manifest.key)).collect();
        let update = |op, predicted: &Json| Change::update(manifest, op, found, predicted, &rules);
        match self.predict_over(resource, manifest, found, &body).await {
            Ok((predicted, how)) => Ok(Seen::of(update(Op::Update, &predicted), how)),
            Err(error)
                if error.is_immutable()
                    && self.target.rules.upgrade.on_immutable == ImmutablePolicy::Recreate
                    && may_recreate(manifest, Some(found)) =>
            {
                let mut anew = body.clone();
                as_stored(&mut anew);
                let mut change = update(Op::Replace, &merged(found, &anew));
                if let Some(change) = &mut change {
                    change.note = immutable(&error);
                }
                Ok(Seen::of(change, How::Server))
            }
            Err(error @ RequestError::FieldConflict { .. }) => {
                // What it would come to if the fields were taken: the owners are told with them.
                let forced = self.forced(resource, &manifest.key, &body).await;
                let change = forced.ok().and_then(|predicted| update(Op::Update, &predicted));
                let problem = Some(at(Doing::Applying, manifest, error));
                Ok(Seen { change, how: How::Server, problem })
            }
            Err(error) => Err(at(Doing::Applying, manifest, error)),
        }
    }

    async fn forced(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Json,
    ) -> Result<Json, RequestError> {
        let apply = Apply { is_dry_run: true, is_forced: true };
        self.client.apply(resource, &key.namespace, body, apply).await
    }

    /// The fields of live objects that rules leave alone, and that git has otherwise.
    fn ignored(&self, wanted: &[Wanted], live: &Live) -> Vec<Ignored> {
        let rules = &self.target.rules.ignored;
        let of_one = |wanted: &Wanted| {
            let found = live.objects.get(wanted.key());
            found.map(|found| ignored(wanted.key(), found, &wanted.manifest.object, rules))
        };
        wanted.iter().filter_map(of_one).flatten().collect()
    }

    /// What an apply over a live object would come to: by the server, or here where it may not be
    /// asked.
    async fn predict_over(
        &self,
        resource: &Resource,
        manifest: &Manifest,
        found: &Json,
        body: &Json,
    ) -> Result<(Json, How), RequestError> {
        let (predicted, how) = match self.predict(resource, &manifest.key, body).await {
            Err(RequestError::Forbidden { .. }) if self.options.is_read_only => {
                (self.work_out(found, body)?, How::Here)
            }
            predicted => (predicted?, How::Server),
        };
        let takes = self.options.takes();
        Ok((predict::after_handover(predicted, body, takes, self.clock.now()), how))
    }

    /// Whether all owners of fields in conflict give way.
    fn yield_all(&self, owners: &[FieldOwner]) -> bool {
        owners.iter().all(|owner| ownership::yields(owner, self.options.takes()))
    }

    /// Says of objects whose kind is still to come where it comes from.
    fn note_brought(&self, wanted: &[Wanted], changes: &mut [Change]) {
        let brought = self.brought(wanted);
        let is_to_come = |key: &ObjectKey| {
            wanted.iter().any(|wanted| wanted.key() == key && wanted.resource.is_none())
        };
        for change in changes.iter_mut().filter(|change| is_to_come(&change.key)) {
            let kind = (change.key.group.clone(), change.key.kind.clone());
            change.note = brought.get(&kind).map(|crd| format!("its kind comes with `{crd}`"));
        }
    }

    /// What an apply would come to, without the server.
    fn work_out(&self, found: &Json, body: &Json) -> Result<Json, RequestError> {
        let work_out = |is_forced| predict::predicted(found, body, is_forced, self.clock.now());
        match work_out(self.options.is_forced) {
            Err(RequestError::FieldConflict { owners }) if self.yield_all(&owners) => {
                work_out(true)
            }
            other => other,
        }
    }

    /// Whether the server would take a new object, as far as it can tell: its namespace may be
    /// still to come.
    async fn try_create(
        &self,
        resource: &Resource,
        manifest: &Manifest,
        body: &Json,
    ) -> Result<How, ObjectError> {
        match self.predict(resource, &manifest.key, body).await {
            Ok(_) | Err(RequestError::NotFound { .. } | RequestError::Terminating { .. }) => {
                Ok(How::Server)
            }
            Err(RequestError::Forbidden { .. }) if self.options.is_read_only => Ok(How::Here),
            Err(error) => Err(at(Doing::Applying, manifest, error)),
        }
    }

    async fn predict(
        &self,
        resource: &Resource,
        key: &ObjectKey,
        body: &Json,
    ) -> Result<Json, RequestError> {
        let apply = Apply { is_dry_run: true, is_forced: self.options.is_forced };
        match self.client.apply(resource, &key.namespace, body, apply).await {
            Err(RequestError::FieldConflict { owners }) if self.yield_all(&owners) => {
                let apply = Apply { is_forced: true, ..apply };
                self.client.apply(resource, &key.namespace, body, apply).await
            }
            other => other,
        }
    }

    /// CRDs of `crds/` folders, by their policy. They are not in the inventory.
    async fn compare_crds(&self, comparison: &mut Comparison) -> Result<(), ApplyError> {
        let policy = self.target.rules.upgrade.crds;
        let wanted = crds::settle(self.client, self.folder_crds()).await?;
        if wanted.is_empty() {
            return Ok(());
        }
        let references = wanted.iter().map(|wanted| observe::reference(&wanted.manifest));
        let live = read(self.client, references, self.clock.now()).await;
        self.ensure_answer(&live)?;
        for crd in &wanted {
            let found = live.objects.get(crd.key());
            let change = match found {
                Some(found) if crds::is_left_alone(found, policy, &self.target.id) => continue,
                Some(found) => self.compare_crd(crd, found).await,
                None => self.new_crd(crd).await,
            };
            comparison.add(crd.key(), found, change);
        }
        Ok(())
    }

    async fn new_crd(&self, crd: &Wanted) -> Compared {
        let body = body(&crd.manifest, false, None, None, &[]);
        let how = match &crd.resource {
            Some(resource) => self.try_create(resource, &crd.manifest, &body).await?,
            None => How::Server,
        };
        Ok(Seen::of(Some(Change::create(&crd.manifest, &body)), how))
    }

    async fn compare_crd(&self, crd: &Wanted, found: &Json) -> Compared {
        let Some(resource) = &crd.resource else { return Ok(Seen::same()) };
        let body = body(&crd.manifest, resource.is_namespaced, None, None, &[]);
        let predicted = self.predict_over(resource, &crd.manifest, found, &body).await;
        let (predicted, how) =
            predicted.map_err(|error| at(Doing::Applying, &crd.manifest, error))?;
        Ok(Seen::of(Change::update(&crd.manifest, Op::Update, found, &predicted, &[]), how))
    }
}

/// Which fields an object is created anew for.
fn immutable(error: &RequestError) -> Option<String> {
    let RequestError::Invalid { causes, .. } = error else { return None };
    let fields: Vec<_> = causes
        .iter()
        .filter(|cause| cause.is_immutable() && !cause.field.is_empty())
        .map(|cause| format!("`{}`", cause.field))
        .collect();
    (!fields.is_empty()).then(|| format!("{} cannot change", fields.join(" and ")))
}

/// What an object is after it was created anew, as far as that is known without the server: the
/// fields of the desired one over those of the live one.
fn merged(live: &Json, body: &Json) -> Json {
    match (live, body) {
        (Json::Object(live), Json::Object(body)) => {
            let mut fields = live.clone();
            for (name, value) in body {
                let before = live.get(name).unwrap_or(&Json::Null);
                fields.insert(name.clone(), merged(before, value));
            }
            Json::Object(fields)
        }
        (_, body) => body.clone(),
    }
}

fn removed(survey: &Survey, comparison: &mut Comparison) {
    let Pruning { doomed, kept } = &survey.pruning;
    for (manifest, _) in doomed {
        let found = survey.live.objects.get(&manifest.key);
        comparison.states.insert(manifest.key.to_string(), state_of(found));
        comparison.changes.push(Change::remove(manifest, found, None));
    }
    for (key, reason) in kept {
        let Some(manifest) = survey
            .before
            .values()
            .find(|manifest| (&manifest.key.kind, &manifest.key.name) == (&key.kind, &key.name))
        else {
            continue;
        };
        let manifest = Manifest { key: key.clone(), ..manifest.clone() };
        comparison.changes.push(Change::remove(&manifest, None, Some(reason.to_string())));
    }
}

impl std::fmt::Display for Kept {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Policy => f.write_str("its `helm.sh/resource-policy` says keep"),
            Self::NotOurs => f.write_str("it does not belong to the release"),
            Self::NotAsked => f.write_str("namespaces and CRDs go only where that is asked for"),
            Self::Gap(gap) => write!(f, "it could not be read: {}", gap.reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_state_of_an_object_moves_with_all_but_its_status() {
        let object = |replicas: i64, ready: i64, version: &str| {
            json!({"kind": "Deployment", "apiVersion": "apps/v1",
                   "metadata": {"uid": "u", "resourceVersion": version},
                   "spec": {"replicas": replicas}, "status": {"ready": ready}})
        };
        let before = state_of(Some(&object(1, 0, "1")));
        assert_eq!(before, state_of(Some(&object(1, 1, "2"))));
        assert_ne!(before, state_of(Some(&object(2, 0, "1"))));
        assert_eq!(state_of(None), "absent");
    }

    #[test]
    fn the_state_of_a_secret_is_its_version() {
        let object = json!({"kind": "Secret", "apiVersion": "v1",
                            "metadata": {"resourceVersion": "7"}, "data": {"k": "cGFzcw=="}});
        assert_eq!(state_of(Some(&object)), "version 7");
    }
}
