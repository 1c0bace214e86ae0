//! Two releases of an instance beside one another: the strategy `blueGreen`.
//!
//! [`machine`] says what comes next of what is seen, [`traffic`] how much of the traffic each release
//! has and how that is changed; here both meet the cluster. Nothing is remembered between two looks:
//! what counts stands on the cluster (see [`crate::live::blue_green`]).

mod machine;
mod traffic;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value as Json, json};

use self::machine::{Beside, Next, Shares, View};
use self::traffic::{Backends, Reading};
use super::bring::{Brought, Failure, Recovery, health_timeout};
use super::error::{ApplyError, Refused};
use super::history::{self, failed};
use super::wait::{told_why, wait};
use super::{Action, Allowance, ApplyOptions, Comparison, Outcome, compare, realize, uninstall};
use crate::base::clock::{Clock, Timestamp, moment};
use crate::base::ids::Digest;
use crate::chart::model::Manifest;
use crate::fleet::blue_green::{BlueGreen, Slot, TrafficObject, TrafficStep, renamed};
use crate::fleet::model::HealthCheck;
use crate::health::Health;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::blue_green::{Mark, Standing, of, standing};
use crate::live::record::{RecordHead, ReleaseStatus, TRAFFIC_ANNOTATION};
use crate::live::{Live, Observation, ReleaseId, Subject, look, releases};
use crate::object::key::ObjectKey;
use crate::object::{access, manifest};
use crate::render::{Release, in_slot};

/// Whose fields the weights of traffic are.
const TRAFFIC_MANAGER: &str = "fitout-traffic";
/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// More steps than any way has: an attempt that takes more goes round in circles.
const STEPS_MAX: usize = 400;

/// How far an attempt has come.
#[derive(Clone, Debug)]
pub enum Progress {
    /// The instance is at the goal, which has all of the traffic.
    Done(Outcome),
    /// Nothing can be done before time passes or something becomes healthy.
    Waiting {
        /// In words.
        told: String,
        /// Until when at the most.
        until: Timestamp,
    },
    /// The new release did not get there: all of the traffic is where it was, and it is gone again.
    GaveUp {
        /// Why.
        reason: String,
        /// The release that has the traffic; none after a first installation.
        back_at: Option<String>,
    },
}

/// Where an attempt goes, and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct Course<'a> {
    /// The digest to go to; that of the release when not given. Another one must still be there.
    pub to: Option<&'a Digest>,
    /// Without steps: back to what was there.
    pub at_once: bool,
}

/// Does what can be done now to bring an instance to a release beside the one it is at.
///
/// # Guarantees
/// See [`machine`]. What the object that traffic goes through must have is looked at before the
/// first write.
///
/// # Errors
/// As [`realize`], and [`Refused::Traffic`]. Nothing was given up then: the next attempt goes on.
pub async fn advance(
    client: &ClusterClient,
    release: &Release,
    course: Course<'_>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Progress, ApplyError> {
    let Some(mut walk) = Walk::new(client, release, course, options, clock) else {
        let outcome = realize(client, release, options, clock).await?;
        return Ok(Progress::Done(outcome));
    };
    walk.advance().await
}

/// Brings an instance to a release beside the one it is at, through all of its steps, and waits for
/// its health.
pub(super) async fn bring(
    client: &ClusterClient,
    release: &Release,
    course: Course<'_>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Brought {
    let nothing =
        |error| Brought::Failed { failure: Failure::Apply(error), recovery: Recovery::None };
    let Some(mut walk) = Walk::new(client, release, course, options, clock) else {
        return nothing(ApplyError::NotInstalled { release: ReleaseId::of(&release.instance) });
    };
    let mut told_before = String::new();
    let mut failing_since = None;
    loop {
        let pause = match walk.advance().await {
            Ok(Progress::Done(outcome)) => return walk.healthy(outcome).await,
            Ok(Progress::GaveUp { reason, back_at }) => {
                let recovery = match back_at {
                    Some(release) => Recovery::TrafficBack { release },
                    None => Recovery::Uninstalled,
                };
                return Brought::Failed { failure: Failure::GivenUp { reason }, recovery };
            }
            Ok(Progress::Waiting { told, until }) => {
                failing_since = None;
                if told != told_before {
                    walk.tell(&told);
                    told_before = told;
                }
                until.duration_since(clock.now()).max(jiff::SignedDuration::ZERO).unsigned_abs()
            }
            Err(error) if error.is_passing() => {
                let since = *failing_since.get_or_insert(clock.now());
                if clock.now().duration_since(since).unsigned_abs() >= health_timeout(release) {
                    return nothing(error);
                }
                PAUSE_MAX
            }
            Err(error) => return nothing(error),
        };
        clock.sleep(pause.clamp(Duration::from_millis(50), PAUSE_MAX)).await;
    }
}

/// Takes an instance back to what it was at before: all of the traffic goes back at once, to the release
/// that is kept, or from one that is on its way.
///
/// # Errors
/// [`ApplyError::NoRevision`] where none is kept any more.
pub async fn traffic_back(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Brought {
    let id = ReleaseId::of(&release.instance);
    let nothing =
        |error| Brought::Failed { failure: Failure::Apply(error), recovery: Recovery::None };
    let standing = match read_standing(client, &id).await {
        Ok(standing) => standing,
        Err(error) => return nothing(error),
    };
    let goal = standing.active().and_then(|(active, _)| {
        let back = match standing.mark(active.other()) {
            Some(Mark::Kept { .. } | Mark::Active { .. }) => active.other(),
            Some(Mark::Trial { .. } | Mark::GivenUp { .. }) => active,
            None if standing.slots.contains_key(&active.other()) => active,
            None => return None,
        };
        standing.newest(back)?.origin.digest.clone()
    });
    let Some(goal) = goal else {
        return nothing(ApplyError::NoRevision { release: id, revision: None });
    };
    bring(client, release, Course { to: Some(&goal), at_once: true }, options, clock).await
}

/// What [`bring`] would do, against the release that the instance is at. Sends nothing that can
/// mutate.
pub(super) async fn compare_beside(
    client: &ClusterClient,
    release: &Release,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Comparison, ApplyError> {
    let id = ReleaseId::of(&release.instance);
    let standing = read_standing(client, &id).await?;
    let against = standing.active().map(|(slot, _)| slot);
    let slot = against.or_else(|| standing.slots.keys().next().copied()).unwrap_or(Slot::Blue);
    let rendered = rendered(release, slot).await?;
    let mut comparison = Box::pin(compare(client, &rendered, options, clock)).await?;
    if let Some(coming) = standing.coming().and_then(|slot| standing.newest(slot)) {
        comparison.pending = Some(coming.into());
    } else if standing.is_unfinished(clock.now()) {
        comparison.pending.clone_from(&comparison.adopted);
    }
    comparison.beside = beside(release, &standing, against, &comparison);
    if let Some(mut walk) = Walk::new(client, release, Course::default(), options, clock)
        && let Err(ApplyError::Refused(refused)) = walk.traffic(&standing).await
    {
        comparison.refused.get_or_insert(refused);
    }
    Ok(comparison)
}

/// What is said of two releases beside one another.
fn beside(
    release: &Release,
    standing: &Standing,
    against: Option<Slot>,
    comparison: &Comparison,
) -> Option<String> {
    if comparison.is_current || standing.coming().is_some() {
        return standing.beside();
    }
    let spec = release.instance.strategy.blue_green()?;
    let base = &release.instance.release_name;
    let active = against?;
    let steps: Vec<String> =
        spec.way().iter().skip(1).map(|step| format!("{} %", step.weight)).collect();
    let next = active.other().release_name(base);
    Some(format!(
        "compared with {}; {next} is installed beside it and gets {} of the traffic",
        active.release_name(base),
        steps.join(", ")
    ))
}

/// Removes every release that an instance has: both beside one another, and one from before.
///
/// # Errors
/// As [`uninstall`]; those that went before stay gone.
pub async fn uninstall_all(
    client: &ClusterClient,
    id: &ReleaseId,
    allowance: Allowance<'_>,
    options: &ApplyOptions,
    clock: &dyn Clock,
) -> Result<Outcome, ApplyError> {
    let standing = read_standing(client, id).await?;
    let mut outcome: Option<Outcome> = None;
    // What is on its way first: whatever has the traffic stays for as long as can be.
    let active = standing.active().map(|(slot, _)| slot);
    let mut slots: Vec<Slot> = standing.slots.keys().copied().collect();
    slots.sort_by_key(|slot| Some(*slot) == active);
    for id in slots.into_iter().map(|slot| of(id, slot)).chain([id.clone()]) {
        if id.name != standing_name(&standing, &id) {
            continue;
        }
        let gone = uninstall(client, &id, allowance, options, clock).await?;
        outcome = Some(match outcome {
            None => gone,
            Some(mut before) => {
                before.pruned.extend(gone.pruned);
                before.kept.extend(gone.kept);
                before.logs.extend(gone.logs);
                before
            }
        });
    }
    match outcome {
        Some(outcome) => Ok(outcome),
        None => uninstall(client, id, allowance, options, clock).await,
    }
}

/// The name of a release, if there are records of it.
fn standing_name<'a>(standing: &'a Standing, id: &'a ReleaseId) -> &'a str {
    let all = standing.slots.values().chain([&standing.plain]);
    all.flatten().find(|head| head.id == *id).map_or("", |head| head.id.name.as_str())
}

/// The release that an instance is at, as `helm` calls it.
///
/// # Errors
/// The request's.
pub async fn present(client: &ClusterClient, id: &ReleaseId) -> Result<ReleaseId, RequestError> {
    let standing = standing(client, id).await?;
    Ok(standing.present().last().map_or_else(|| id.clone(), |head| head.id.clone()))
}

async fn read_standing(client: &ClusterClient, id: &ReleaseId) -> Result<Standing, ApplyError> {
    standing(client, id).await.map_err(failed(client, "reading the release records"))
}

async fn rendered(release: &Release, slot: Slot) -> Result<Release, ApplyError> {
    let release = release.clone();
    let work = tokio::task::spawn_blocking(move || in_slot(&release, slot));
    let failed = |message: String| ApplyError::Render { message };
    work.await.map_err(|error| failed(error.to_string()))?.map_err(|error| failed(error.text))
}

/// An attempt.
struct Walk<'a> {
    client: &'a ClusterClient,
    release: &'a Release,
    spec: &'a BlueGreen,
    object: TrafficObject<'a>,
    goal: &'a Digest,
    at_once: bool,
    options: &'a ApplyOptions,
    clock: &'a dyn Clock,
    /// The name that both releases are called after.
    id: ReleaseId,
    /// What the goal renders to.
    renders: BTreeMap<Slot, Release>,
    /// The Services of records, by the name of the record's Secret.
    services: BTreeMap<String, BTreeSet<(String, String)>>,
    /// What was done with the release that the instance comes to be at.
    outcome: Option<Outcome>,
    had_active: bool,
}

/// What an attempt goes by.
struct Seen {
    standing: Standing,
    way: Vec<TrafficStep>,
    shares: Shares,
    blue: Option<Beside>,
    green: Option<Beside>,
    /// The look at the new release.
    looked: Option<(Observation, Live)>,
}

impl<'a> Walk<'a> {
    /// None for an instance of another strategy.
    fn new(
        client: &'a ClusterClient,
        release: &'a Release,
        course: Course<'a>,
        options: &'a ApplyOptions,
        clock: &'a dyn Clock,
    ) -> Option<Self> {
        let spec = release.instance.strategy.blue_green()?;
        Some(Self {
            client,
            release,
            spec,
            object: spec.traffic.object()?,
            goal: course.to.unwrap_or(&release.digest),
            at_once: course.at_once,
            options,
            clock,
            id: ReleaseId::of(&release.instance),
            renders: BTreeMap::new(),
            services: BTreeMap::new(),
            outcome: None,
            had_active: false,
        })
    }

    fn name(&self, slot: Slot) -> String {
        slot.release_name(&self.id.name)
    }

    fn tell(&self, what: &str) {
        if let Some(news) = &self.options.news {
            // Whoever listened may be gone.
            let _ = news.send(format!("{}: {what}", self.release.instance.key));
        }
    }

    async fn advance(&mut self) -> Result<Progress, ApplyError> {
        for _ in 0..STEPS_MAX {
            let seen = self.look().await?;
            let next = machine::next(&self.view(&seen));
            if let Some(progress) = self.carry_out(next, &seen).await? {
                return Ok(progress);
            }
        }
        // Somebody changes it back as often as it is changed.
        Err(ApplyError::Lost { release: self.id.clone() })
    }

    fn view<'s>(&'s self, seen: &'s Seen) -> View<'s> {
        View {
            goal: self.goal,
            way: &seen.way,
            at_once: self.at_once,
            timeout: health_timeout(self.release),
            keep_for: self.spec.keep_for(),
            now: self.clock.now(),
            blue: seen.blue.clone(),
            green: seen.green.clone(),
            active: seen.standing.active(),
            has_plain: !seen.standing.plain.is_empty(),
            shares: seen.shares,
        }
    }

    /// Does one step. Gives how far the attempt has come, where it ends with that.
    async fn carry_out(&mut self, next: Next, seen: &Seen) -> Result<Option<Progress>, ApplyError> {
        match next {
            Next::Install(slot) => return self.install(slot, seen).await,
            Next::Shift { to, weight } => self.shift(to, weight, &seen.standing).await?,
            Next::Mark { slot, mark } => self.mark(slot, mark, seen).await?,
            Next::Remove { slot, given_up } => {
                self.tell(&format!("{} is removed", self.name(slot)));
                self.remove(&of(&self.id, slot)).await?;
                if let Some(reason) = given_up {
                    let back_at = seen.standing.active().map(|(slot, _)| self.name(slot));
                    return Ok(Some(Progress::GaveUp { reason, back_at }));
                }
            }
            Next::RemovePlain => {
                self.tell(&format!("{}, from before, is removed", self.id.name));
                self.remove(&self.id.clone()).await?;
            }
            Next::Wait { slot, on, until } => {
                let told = machine::told(&self.name(slot), &on, until);
                return Ok(Some(Progress::Waiting { told, until }));
            }
            Next::Done { active, kept } => return self.done(active, kept, seen).await.map(Some),
        }
        Ok(None)
    }

    async fn look(&mut self) -> Result<Seen, ApplyError> {
        let standing = read_standing(self.client, &self.id).await?;
        for slot in standing.slots.keys() {
            if standing.newest(*slot).is_some_and(|head| head.is_handed_over) {
                let release = of(&self.id, *slot);
                return Err(Refused::HandedOver { release }.into());
            }
        }
        self.had_active |= standing.active().is_some() || !standing.plain.is_empty();
        let (_, shares) = self.traffic(&standing).await?;
        let mut seen =
            Seen { way: self.spec.way(), shares, blue: None, green: None, looked: None, standing };
        seen.blue = self.beside(Slot::Blue, &mut seen).await?;
        seen.green = self.beside(Slot::Green, &mut seen).await?;
        Ok(seen)
    }

    /// One of the two releases. Its health is looked at where something follows from it.
    async fn beside(&mut self, slot: Slot, seen: &mut Seen) -> Result<Option<Beside>, ApplyError> {
        let Some(head) = seen.standing.newest(slot) else { return Ok(None) };
        let digest = head.origin.digest.clone();
        let is_deployed = head.status == ReleaseStatus::Deployed;
        let mark = seen.standing.mark(slot).cloned();
        let is_at_goal = digest.as_ref() == Some(self.goal);
        let health = match mark {
            Some(Mark::Trial { step, returns, .. }) if is_at_goal && is_deployed => {
                let way = self.view(seen).way_of(returns);
                let checks = way.get(step.min(way.len().saturating_sub(1)));
                let checks = checks.map(|step| step.checks.clone()).unwrap_or_default();
                let (observation, live) = self.look_at(slot, &checks).await?;
                let health = observation.health.clone();
                seen.looked = Some((observation, live));
                health
            }
            _ => Health::unknown("was not looked at"),
        };
        Ok(Some(Beside { digest, is_deployed, mark, health }))
    }

    /// Looks at a release with the addon's checks and those of a step.
    ///
    /// # Errors
    /// Where something of it could not be read: that it is not healthy would be no more than a guess.
    async fn look_at(
        &mut self,
        slot: Slot,
        step: &[HealthCheck],
    ) -> Result<(Observation, Live), ApplyError> {
        let name = self.name(slot);
        let checks = self.release.instance.health.checks.iter().chain(step).cloned();
        let checks: Vec<HealthCheck> = checks
            .map(|mut check| {
                check.object.name = renamed(&check.object.name, &self.id.name, &name);
                check
            })
            .collect();
        let release = self.rendered(slot).await?;
        let subject = match &release {
            Some(release) => Subject::from(release),
            None => Subject { name: &name, ..Subject::from(&self.id) },
        };
        let subject = Subject { checks: &checks, ..subject };
        let (observation, live) = look(self.client, subject, self.clock).await;
        match observation.gaps.first() {
            Some(gap) => Err(ApplyError::Cluster {
                cluster: self.client.name.clone(),
                doing: "looking at the new release",
                source: RequestError::Unreachable { source: gap.to_string().into() },
            }),
            None => Ok((observation, live)),
        }
    }

    /// What the goal renders to in a slot; nothing where the goal is not what git says.
    async fn rendered(&mut self, slot: Slot) -> Result<Option<Release>, ApplyError> {
        if *self.goal != self.release.digest {
            return Ok(None);
        }
        if let Some(release) = self.renders.get(&slot) {
            return Ok(Some(release.clone()));
        }
        let release = rendered(self.release, slot).await?;
        self.renders.insert(slot, release.clone());
        Ok(Some(release))
    }

    /// The object that traffic goes through, and how much of it each release has.
    async fn traffic(&mut self, standing: &Standing) -> Result<(Json, Shares), ApplyError> {
        let object = self.object;
        let namespace = object.namespace.unwrap_or(&self.id.namespace).to_owned();
        let resource = self.traffic_resource().await?;
        let found = self.client.get(&resource, &namespace, object.name).await;
        let found = found.map_err(failed(self.client, "reading what traffic goes through"))?;
        let Some(found) = found else { return Err(self.unfit("it is not there")) };
        let (backends, slots) = self.backends(standing).await?;
        let reading =
            Reading { kind: object.kind, base: &self.id.name, backends: &backends, slots: &slots };
        let shares = reading.shares(&found).map_err(|unfit| self.unfit(&unfit.to_string()))?;
        Ok((found, shares))
    }

    async fn traffic_resource(&self) -> Result<Resource, ApplyError> {
        let (api_version, kind) = self.object.kind.api();
        match self.client.resource_at_any_version(api_version, kind).await {
            Ok(resource) => Ok(resource),
            Err(RequestError::NoSuchKind { .. }) => {
                Err(self.unfit("the cluster does not serve its kind"))
            }
            Err(error) => Err(failed(self.client, "reading what traffic goes through")(error)),
        }
    }

    fn unfit(&self, problem: &str) -> ApplyError {
        let (api_version, kind) = self.object.kind.api();
        let object = ObjectKey {
            group: access::group_of(api_version).to_owned(),
            kind: kind.to_owned(),
            namespace: self.object.namespace.unwrap_or(&self.id.namespace).to_owned(),
            name: self.object.name.to_owned(),
        };
        Refused::Traffic { object, problem: problem.to_owned() }.into()
    }

    /// The Services of each release, and which releases are there or about to be.
    async fn backends(
        &mut self,
        standing: &Standing,
    ) -> Result<(Backends, BTreeSet<Slot>), ApplyError> {
        let mut backends = Backends::new();
        let mut slots: BTreeSet<Slot> = standing.slots.keys().copied().collect();
        let target = standing.active().map_or_else(
            || standing.slots.keys().next().copied().unwrap_or(Slot::Blue),
            |(active, _)| active.other(),
        );
        let is_there = standing.active().is_some_and(|(active, _)| {
            standing
                .newest(active)
                .is_some_and(|head| head.origin.digest.as_ref() == Some(self.goal))
        });
        if !is_there {
            slots.insert(target);
        }
        for slot in Slot::ALL {
            let mut services = BTreeSet::new();
            if let Some(release) = self.rendered(slot).await? {
                services.extend(services_of(&release.rendered.manifests, &self.id.namespace));
            }
            if let Some(head) = standing.newest(slot) {
                services.extend(self.recorded_services(head).await?);
            }
            backends.insert(slot, services);
        }
        Ok((backends, slots))
    }

    /// The Services that a record has. Of what git says the render tells.
    async fn recorded_services(
        &mut self,
        head: &RecordHead,
    ) -> Result<BTreeSet<(String, String)>, ApplyError> {
        if head.origin.digest.as_ref() == Some(&self.release.digest)
            && *self.goal == self.release.digest
        {
            return Ok(BTreeSet::new());
        }
        if let Some(known) = self.services.get(&head.secret_name) {
            return Ok(known.clone());
        }
        let record = releases::record(self.client, head).await;
        let record = record.map_err(|error| history::records_failed(self.client, error))?;
        let Some(record) = record else { return Ok(BTreeSet::new()) };
        let manifests = manifest::parse(&record.manifest, &record.namespace)?;
        let services: BTreeSet<_> = services_of(&manifests, &record.namespace).collect();
        self.services.insert(head.secret_name.clone(), services.clone());
        Ok(services)
    }

    /// Brings the goal up in a slot. One that was never healthy and cannot be brought up is given
    /// up.
    async fn install(&mut self, slot: Slot, seen: &Seen) -> Result<Option<Progress>, ApplyError> {
        let Some(release) = self.rendered(slot).await? else {
            let release = of(&self.id, slot);
            return Err(ApplyError::NoRevision { release, revision: None });
        };
        self.tell(&format!("{} is installed", self.name(slot)));
        match realize(self.client, &release, self.options, self.clock).await {
            Ok(outcome) => {
                self.outcome = Some(outcome);
                Ok(None)
            }
            Err(error) => {
                let is_active = seen.standing.active().is_some_and(|(active, _)| active == slot);
                let may_pass = error.is_refused() || error.is_passing() || error.is_unreachable();
                if is_active || may_pass {
                    return Err(error);
                }
                let standing = read_standing(self.client, &self.id).await?;
                let Some(head) = standing.newest(slot) else { return Err(error) };
                let reason = crate::report::errors::chain(&error);
                let mark = Mark::GivenUp { since: self.clock.now(), reason };
                self.write_mark(head, &mark).await?;
                Ok(None)
            }
        }
    }

    async fn shift(
        &mut self,
        to: Slot,
        weight: u32,
        standing: &Standing,
    ) -> Result<(), ApplyError> {
        let object = self.object;
        self.tell(&format!("{} gets {weight} % of the traffic", self.name(to)));
        let (found, _) = self.traffic(standing).await?;
        let (backends, mut slots) = self.backends(standing).await?;
        slots.insert(to);
        let reading =
            Reading { kind: object.kind, base: &self.id.name, backends: &backends, slots: &slots };
        let patch = reading.shift(&found, to, weight);
        let patch = patch.map_err(|unfit| self.unfit(&unfit.to_string()))?;
        let resource = self.traffic_resource().await?;
        let namespace = object.namespace.unwrap_or(&self.id.namespace);
        let sent = self
            .client
            .json_patch_as(TRAFFIC_MANAGER, &resource, namespace, object.name, &patch)
            .await;
        match sent {
            // Somebody wrote it in between: the next look sees what.
            Ok(_) | Err(RequestError::Conflict { .. }) => Ok(()),
            Err(error) => Err(failed(self.client, "moving traffic")(error)),
        }
    }

    async fn mark(&self, slot: Slot, mut mark: Mark, seen: &Seen) -> Result<(), ApplyError> {
        let Some(head) = seen.standing.newest(slot) else { return Ok(()) };
        if let (Mark::GivenUp { reason, .. }, Some((observation, live))) = (&mut mark, &seen.looked)
        {
            reason.push_str(&told_why(self.client, live, observation).await);
        }
        match &mark {
            Mark::GivenUp { reason, .. } => {
                self.tell(&format!("{} is given up: {reason}", self.name(slot)));
            }
            Mark::Active { .. } => self.tell(&format!("{} has taken over", self.name(slot))),
            Mark::Kept { until, .. } => {
                self.tell(&format!("{} is kept until {}", self.name(slot), moment(*until)));
            }
            Mark::Trial { .. } => {}
        }
        self.write_mark(head, &mark).await
    }

    async fn write_mark(&self, head: &RecordHead, mark: &Mark) -> Result<(), ApplyError> {
        let text = serde_json::to_string(mark).expect("text keys only");
        let patch = json!({"metadata": {
            "resourceVersion": head.resource_version,
            "annotations": {TRAFFIC_ANNOTATION: text},
        }});
        let namespace = &head.id.namespace;
        let secrets = releases::secrets();
        let written = self.client.merge_patch(&secrets, namespace, &head.secret_name, &patch).await;
        match written {
            Ok(_) | Err(RequestError::Conflict { .. }) => Ok(()),
            Err(error) => Err(failed(self.client, "writing the release record")(error)),
        }
    }

    async fn remove(&self, id: &ReleaseId) -> Result<(), ApplyError> {
        uninstall(self.client, id, Allowance::Templates, self.options, self.clock).await?;
        Ok(())
    }

    /// The instance is there. What somebody has changed of it is put back.
    async fn done(
        &mut self,
        active: Slot,
        kept: Option<Timestamp>,
        seen: &Seen,
    ) -> Result<Progress, ApplyError> {
        let mut outcome = match (self.outcome.take(), self.rendered(active).await?) {
            (Some(outcome), _) => outcome,
            (None, Some(release)) => {
                realize(self.client, &release, self.options, self.clock).await?
            }
            (None, None) => Outcome {
                action: Action::RolledBack,
                release_revision: seen.standing.newest(active).map_or(0, |head| head.revision),
                applied: BTreeMap::new(),
                unchanged: 0,
                pruned: Vec::new(),
                kept: Vec::new(),
                lingering: Vec::new(),
                logs: Vec::new(),
                beside: None,
            },
        };
        if outcome.action == Action::Installed && self.had_active {
            outcome.action = Action::Upgraded;
        }
        let name = self.name(active);
        let mut told = format!("{name} has all of the traffic");
        if let Some(until) = kept {
            let other = match seen.standing.newest(active.other()) {
                Some(head) => &head.id.name,
                None => &self.id.name,
            };
            told = format!("{told}, {other} is kept until {}", moment(until));
        }
        outcome.beside = Some(told);
        Ok(Progress::Done(outcome))
    }

    /// Waits until what the instance is at is healthy.
    async fn healthy(&mut self, outcome: Outcome) -> Brought {
        let timeout = health_timeout(self.release);
        let present = present(self.client, &self.id).await;
        let id = present.unwrap_or_else(|_| self.id.clone());
        let checks: Vec<HealthCheck> = self
            .release
            .instance
            .health
            .checks
            .iter()
            .cloned()
            .map(|mut check| {
                check.object.name = renamed(&check.object.name, &self.id.name, &id.name);
                check
            })
            .collect();
        let subject = Subject { checks: &checks, ..Subject::from(&id) };
        match wait(self.client, subject, timeout, self.clock).await {
            Ok(_) => Brought::Healthy { outcome },
            Err(error) => {
                Brought::Failed { failure: Failure::Health(error), recovery: Recovery::None }
            }
        }
    }
}

fn services_of<'m>(
    manifests: &'m [Manifest],
    namespace: &'m str,
) -> impl Iterator<Item = (String, String)> + 'm {
    let services =
        manifests.iter().filter(|one| one.key.kind == "Service" && one.key.group.is_empty());
    services.map(move |one| {
        let of = if one.key.namespace.is_empty() { namespace } else { &one.key.namespace };
        (of.to_owned(), one.key.name.clone())
    })
}
