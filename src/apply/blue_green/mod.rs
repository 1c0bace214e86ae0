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

use self::machine::{Beside, Goal, Next, Shares, Split, View};
use self::traffic::{Backends, Reading, Unfit};
use super::bring::{Brought, Failure, Recovery, health_timeout};
use super::error::{ApplyError, Refused};
use super::history::{self, failed};
use super::wait::{told_why, wait};
use super::{Action, Allowance, ApplyOptions, Comparison, Outcome, compare, realize, uninstall};
use crate::base::clock::{Clock, Timestamp, moment};
use crate::chart::model::Manifest;
use crate::fleet::blue_green::{BlueGreen, TrafficObject, TrafficStep, renamed};
use crate::fleet::model::HealthCheck;
use crate::health::{self, Health};
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::live::blue_green::{Mark, Side, Standing, of, standing};
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
pub struct Course {
    /// The release to go to, which must be there; what git says when not given.
    pub to: Option<Side>,
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
    course: Course,
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
    course: Course,
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
    let Some(to) = way_back(&standing) else {
        return nothing(ApplyError::NoRevision { release: id, revision: None });
    };
    bring(client, release, Course { to: Some(to), at_once: true }, options, clock).await
}

/// The release that an instance goes back to: the active one from another one that is on its way, or
/// the one that is kept. One that is on its way back goes on.
fn way_back(standing: &Standing) -> Option<Side> {
    let (active, _) = standing.active()?;
    let Some(coming) = standing.coming() else {
        return standing.kept().map(|(side, _)| side).last();
    };
    let is_back = matches!(standing.mark(coming), Some(Mark::Trial { returns: true, .. }));
    Some(if is_back { coming } else { active })
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
    let active = standing.active().map(|(side, _)| side);
    let slot = match active.or_else(|| standing.sides().next()) {
        Some(Side::Of(slot)) => slot,
        // The first to come beside it.
        None | Some(Side::Plain) => Side::Plain.next(),
    };
    let Some(in_slot) = in_slot(release, slot) else {
        return Err(ApplyError::NotInstalled { release: id });
    };
    let mut comparison = Box::pin(compare(client, &in_slot, options, clock)).await?;
    if let Some(coming) = standing.coming().and_then(|side| standing.newest(side)) {
        comparison.pending = Some(coming.into());
    } else if standing.is_unfinished(clock.now()) || active == Some(Side::Plain) {
        comparison.pending.clone_from(&comparison.adopted);
    }
    comparison.beside = beside(release, &standing, &comparison);
    if let Some(mut walk) = Walk::new(client, release, Course::default(), options, clock)
        && let Err(ApplyError::Refused(refused)) = walk.look().await
    {
        comparison.refused.get_or_insert(refused);
    }
    Ok(comparison)
}

/// What is said of two releases beside one another.
fn beside(release: &Release, standing: &Standing, comparison: &Comparison) -> Option<String> {
    if comparison.is_current || standing.coming().is_some() {
        return standing.beside();
    }
    let spec = release.instance.strategy.blue_green()?;
    let (active, _) = standing.active()?;
    let base = &release.instance.release_name;
    let next = active.next().release_name(base);
    let steps: Vec<String> =
        spec.way().iter().skip(1).map(|step| format!("{} %", step.weight)).collect();
    let kept = standing.newest(Side::Of(active.next()));
    let gets = if kept.is_some_and(|head| head.origin.digest.as_ref() == Some(&release.digest)) {
        format!("{next}, which is kept, gets all of the traffic back")
    } else {
        let steps = steps.join(", ");
        format!("{next} is installed beside it and gets {steps} of the traffic")
    };
    Some(match active {
        // What is compared is new.
        Side::Plain => format!("{base} stands as before; {gets}"),
        Side::Of(slot) => format!("compared with {}; {gets}", slot.release_name(base)),
    })
}

/// Removes every release that an instance has: those beside one another, and one from before. What
/// has the traffic stays for as long as can be.
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
    let active = standing.active().map(|(side, _)| side);
    let others = standing.sides().filter(|side| Some(*side) != active);
    let mut logs = Vec::new();
    let mut pruned = Vec::new();
    for other in others {
        let gone = uninstall(client, &of(id, other), allowance, options, clock).await?;
        logs.extend(gone.logs);
        pruned.extend(gone.pruned);
    }
    let last = active.map_or_else(|| id.clone(), |side| of(id, side));
    let mut outcome = uninstall(client, &last, allowance, options, clock).await?;
    outcome.logs.splice(0..0, logs);
    outcome.pruned.splice(0..0, pruned);
    Ok(outcome)
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

/// An attempt.
struct Walk<'a> {
    client: &'a ClusterClient,
    release: &'a Release,
    spec: &'a BlueGreen,
    object: TrafficObject<'a>,
    course: Course,
    options: &'a ApplyOptions,
    clock: &'a dyn Clock,
    /// The name that the releases are called after.
    id: ReleaseId,
    /// The Services of records, by the name of the record's Secret.
    services: BTreeMap<String, BTreeSet<(String, String)>>,
    /// What was done with the release that the instance comes to be at.
    outcome: Option<Outcome>,
    /// Whether the instance was anywhere when the attempt began.
    had_active: Option<bool>,
}

/// What an attempt goes by.
struct Seen {
    standing: Standing,
    way: Vec<TrafficStep>,
    /// What traffic goes through, as it was read.
    object: Json,
    backends: Backends,
    between: BTreeSet<Side>,
    shares: Shares,
    there: Vec<(Side, Beside)>,
    /// The look at the new release.
    looked: Option<(Observation, Live)>,
}

impl<'a> Walk<'a> {
    /// None for an instance of another strategy.
    fn new(
        client: &'a ClusterClient,
        release: &'a Release,
        course: Course,
        options: &'a ApplyOptions,
        clock: &'a dyn Clock,
    ) -> Option<Self> {
        let spec = release.instance.strategy.blue_green()?;
        Some(Self {
            client,
            release,
            spec,
            object: spec.traffic.object()?,
            course,
            options,
            clock,
            id: ReleaseId::of(&release.instance),
            services: BTreeMap::new(),
            outcome: None,
            had_active: None,
        })
    }

    fn name(&self, side: Side) -> String {
        side.release_name(&self.id.name)
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
            goal: self.course.to.map_or(Goal::Digest(&self.release.digest), Goal::Side),
            way: &seen.way,
            at_once: self.course.at_once,
            timeout: health_timeout(self.release),
            keep_for: self.spec.keep_for(),
            now: self.clock.now(),
            there: seen.there.clone(),
            active: seen.standing.active(),
            shares: seen.shares,
        }
    }

    /// Does one step. Gives how far the attempt has come, where it ends with that.
    async fn carry_out(&mut self, next: Next, seen: &Seen) -> Result<Option<Progress>, ApplyError> {
        match next {
            Next::Install(side) => self.install(side, seen).await?,
            Next::Shift(split) => self.shift(split, seen).await?,
            Next::Mark { side, mark } => self.mark(side, mark, seen).await?,
            Next::Remove { side, given_up } => {
                self.tell(&format!("{} is removed", self.name(side)));
                let id = of(&self.id, side);
                uninstall(self.client, &id, Allowance::Templates, self.options, self.clock).await?;
                if let Some(reason) = given_up {
                    let back_at = seen.standing.active().map(|(side, _)| self.name(side));
                    return Ok(Some(Progress::GaveUp { reason, back_at }));
                }
            }
            Next::Wait { side, on, until } => {
                let told = machine::told(&self.name(side), &on, until);
                return Ok(Some(Progress::Waiting { told, until }));
            }
            Next::Done { active, kept } => return self.done(active, kept, seen).await.map(Some),
        }
        Ok(None)
    }

    async fn look(&mut self) -> Result<Seen, ApplyError> {
        let standing = read_standing(self.client, &self.id).await?;
        for side in standing.sides() {
            if standing.newest(side).is_some_and(|head| head.is_handed_over) {
                return Err(Refused::HandedOver { release: of(&self.id, side) }.into());
            }
        }
        self.had_active.get_or_insert(standing.active().is_some());
        let there = standing.sides().filter_map(|side| {
            let head = standing.newest(side)?;
            let beside = Beside {
                digest: head.origin.digest.clone(),
                is_deployed: head.status == ReleaseStatus::Deployed,
                mark: standing.mark(side).cloned(),
                health: Health::unknown("was not looked at"),
                can_serve: false,
            };
            Some((side, beside))
        });
        let mut seen = Seen {
            way: self.spec.way(),
            object: self.traffic().await?,
            backends: self.backends(&standing).await?,
            between: BTreeSet::new(),
            shares: Shares::default(),
            there: there.collect(),
            looked: None,
            standing,
        };
        let view = self.view(&seen);
        seen.between = view.between();
        seen.shares =
            self.reading(&seen).shares(&seen.object).map_err(|unfit| self.unfit(&unfit))?;
        self.look_at_trial(&mut seen).await?;
        Ok(seen)
    }

    /// Looks at the release on its way, of which the health decides what comes next.
    ///
    /// # Errors
    /// Where something of it could not be read: that it is not healthy would be no more than a guess.
    async fn look_at_trial(&self, seen: &mut Seen) -> Result<(), ApplyError> {
        let view = self.view(seen);
        let Some((side, checks)) = view.on_trial() else { return Ok(()) };
        let checks = self.checks_at(side, &checks);
        let (name, release) = (self.name(side), self.rendered(side));
        let subject = match &release {
            Some(release) => Subject { checks: &checks, ..Subject::from(release) },
            None => Subject { name: &name, checks: &checks, ..Subject::from(&self.id) },
        };
        let (observation, live) = look(self.client, subject, self.clock).await;
        if let Some(gap) = observation.gaps.first() {
            return Err(ApplyError::Cluster {
                cluster: self.client.name.clone(),
                doing: "looking at the new release",
                source: RequestError::Unreachable { source: gap.to_string().into() },
            });
        }
        if let Some((_, one)) = seen.there.iter_mut().find(|(one, _)| *one == side) {
            one.health = observation.health.clone();
            one.can_serve = live.objects.values().all(health::has_ready_pod);
        }
        seen.looked = Some((observation, live));
        Ok(())
    }

    /// The addon's checks and more, meant for a release.
    fn checks_at(&self, side: Side, more: &[HealthCheck]) -> Vec<HealthCheck> {
        let name = self.name(side);
        let checks = self.release.instance.health.checks.iter().chain(more).cloned();
        let checks = checks.map(|mut check| {
            check.object.name = renamed(&check.object.name, &self.id.name, &name);
            check
        });
        checks.collect()
    }

    /// What git says, in a slot.
    fn rendered(&self, side: Side) -> Option<Release> {
        match (side, self.course.to) {
            (Side::Of(slot), None) => in_slot(self.release, slot),
            _ => None,
        }
    }

    fn reading<'s>(&'s self, seen: &'s Seen) -> Reading<'s> {
        Reading {
            kind: self.object.kind,
            base: &self.id.name,
            backends: &seen.backends,
            between: &seen.between,
        }
    }

    /// The object that traffic goes through.
    async fn traffic(&self) -> Result<Json, ApplyError> {
        let object = self.object;
        let namespace = object.namespace.unwrap_or(&self.id.namespace);
        let resource = self.traffic_resource().await?;
        let found = self.client.get(&resource, namespace, object.name).await;
        let found = found.map_err(failed(self.client, "reading what traffic goes through"))?;
        found.ok_or_else(|| self.absent("it is not there"))
    }

    async fn traffic_resource(&self) -> Result<Resource, ApplyError> {
        let (api_version, kind) = self.object.kind.api();
        match self.client.resource_at_any_version(api_version, kind).await {
            Ok(resource) => Ok(resource),
            Err(RequestError::NoSuchKind { .. }) => {
                Err(self.absent("the cluster does not serve its kind"))
            }
            Err(error) => Err(failed(self.client, "reading what traffic goes through")(error)),
        }
    }

    fn unfit(&self, unfit: &Unfit) -> ApplyError {
        self.refused(unfit.to_string(), false)
    }

    fn absent(&self, problem: &str) -> ApplyError {
        self.refused(problem.to_owned(), true)
    }

    fn refused(&self, problem: String, is_absent: bool) -> ApplyError {
        let (api_version, kind) = self.object.kind.api();
        let object = ObjectKey {
            group: access::group_of(api_version).to_owned(),
            kind: kind.to_owned(),
            namespace: self.object.namespace.unwrap_or(&self.id.namespace).to_owned(),
            name: self.object.name.to_owned(),
        };
        Refused::Traffic { object, problem, is_absent }.into()
    }

    /// The Services of each release: those that it has, and those that it would get.
    async fn backends(&mut self, standing: &Standing) -> Result<Backends, ApplyError> {
        let mut backends = Backends::new();
        for side in Side::ALL {
            let mut services = BTreeSet::new();
            if let Some(release) = self.rendered(side) {
                services.extend(services_of(&release.rendered.manifests, &self.id.namespace));
            }
            if let Some(head) = standing.newest(side) {
                services.extend(self.recorded_services(head).await?);
            }
            backends.insert(side, services);
        }
        Ok(backends)
    }

    /// The Services that a record has. Of what git says the render tells.
    async fn recorded_services(
        &mut self,
        head: &RecordHead,
    ) -> Result<BTreeSet<(String, String)>, ApplyError> {
        let is_rendered = head.origin.digest.as_ref() == Some(&self.release.digest);
        if is_rendered && self.course.to.is_none() {
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

    /// Brings the goal up. A new release that cannot be brought up is given up.
    async fn install(&mut self, side: Side, seen: &Seen) -> Result<(), ApplyError> {
        let Some(release) = self.rendered(side) else {
            return Err(ApplyError::NoRevision { release: of(&self.id, side), revision: None });
        };
        self.tell(&format!("{} is installed", self.name(side)));
        let error = match realize(self.client, &release, self.options, self.clock).await {
            Ok(outcome) => {
                self.outcome = Some(outcome);
                return Ok(());
            }
            Err(error) => error,
        };
        let is_active = seen.standing.active().is_some_and(|(active, _)| active == side);
        let may_pass = error.is_refused() || error.is_passing() || error.is_unreachable();
        if is_active || may_pass {
            return Err(error);
        }
        let standing = read_standing(self.client, &self.id).await?;
        let Some(head) = standing.newest(side) else { return Err(error) };
        let reason = crate::report::errors::chain(&error);
        self.tell(&format!("{} is given up: {reason}", self.name(side)));
        self.write_mark(head, &Mark::GivenUp { since: self.clock.now(), reason }).await
    }

    /// Moves traffic, unless somebody has written its object since it was looked at.
    async fn shift(&self, split: Split, seen: &Seen) -> Result<(), ApplyError> {
        let Split { to, weight, .. } = split;
        self.tell(&format!("{} gets {weight} % of the traffic", self.name(to)));
        let patch = self.reading(seen).shift(&seen.object, split);
        let patch = patch.map_err(|unfit| self.unfit(&unfit))?;
        let resource = self.traffic_resource().await?;
        let object = self.object;
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

    async fn mark(&self, side: Side, mut mark: Mark, seen: &Seen) -> Result<(), ApplyError> {
        let Some(head) = seen.standing.newest(side) else { return Ok(()) };
        if let (Mark::GivenUp { reason, .. }, Some((observation, live))) = (&mut mark, &seen.looked)
        {
            reason.push_str(&told_why(self.client, live, observation).await);
        }
        match &mark {
            Mark::GivenUp { reason, .. } => {
                self.tell(&format!("{} is given up: {reason}", self.name(side)));
            }
            Mark::Active { .. } => self.tell(&format!("{} has taken over", self.name(side))),
            Mark::Kept { until, .. } => {
                self.tell(&format!("{} is kept until {}", self.name(side), moment(*until)));
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

    /// The instance is there. What somebody has changed of it is put back.
    async fn done(
        &mut self,
        active: Side,
        kept: Option<(Side, Timestamp)>,
        seen: &Seen,
    ) -> Result<Progress, ApplyError> {
        let mut outcome = match (self.outcome.take(), self.rendered(active)) {
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
        if outcome.action == Action::Installed && self.had_active == Some(true) {
            outcome.action = Action::Upgraded;
        }
        let mut told = format!("{} has all of the traffic", self.name(active));
        if let Some((side, until)) = kept {
            told = format!("{told}, {} is kept until {}", self.name(side), moment(until));
        }
        outcome.beside = Some(told);
        Ok(Progress::Done(outcome))
    }

    /// Waits until what the instance is at is healthy.
    async fn healthy(&mut self, outcome: Outcome) -> Brought {
        let nothing = |failure| Brought::Failed { failure, recovery: Recovery::None };
        let standing = match read_standing(self.client, &self.id).await {
            Ok(standing) => standing,
            Err(error) => return nothing(Failure::Apply(error)),
        };
        let side = standing.active().map_or(Side::Plain, |(side, _)| side);
        let (id, checks) = (of(&self.id, side), self.checks_at(side, &[]));
        let subject = Subject { checks: &checks, ..Subject::from(&id) };
        let timeout = health_timeout(self.release);
        match wait(self.client, subject, timeout, self.clock).await {
            Ok(_) => Brought::Healthy { outcome },
            Err(error) => nothing(Failure::Health(error)),
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
