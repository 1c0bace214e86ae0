//! The laws, judged with every entry of the event log and every write that reaches a cluster, by
//! what the clusters really have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::SimClock;
use super::fleet::{FleetModel, SECRET};
use super::truth::{self, FOREIGN};
use super::{Broken, Counts};
use serde_json::Value as Json;

use crate::base::clock::Clock as _;
use crate::base::ids::{AddonName, ClusterName, Digest};
use crate::live::record::{self, RecordHead, ReleaseStatus};
use crate::object::access;
use crate::rollout::train::Whole;
use crate::rollout::{
    Event, EventKind, Member, MemberState, Phase, Rollout, RolloutId, fold, laws,
};
use crate::sim::store::{Change, ChangeKind, Store};

/// How old a look at a cluster may be when a controller acts on it: the looks at others that are
/// made with it may take this long.
const LOOK_LASTS: Duration = Duration::from_mins(10);

/// Shows the state of a cluster to whoever asks.
pub(super) type Sees<'a> = dyn Fn(&ClusterName, &mut dyn FnMut(&Store)) + 'a;

/// Judges one history. Cheap to clone; clones are the same court.
#[derive(Clone)]
pub(super) struct Court(Arc<Mutex<State>>);

struct State {
    clock: SimClock,
    broken: Option<Broken>,
    counts: Counts,
    /// Of the log, by name.
    rollouts: BTreeMap<RolloutId, Rollout>,
    /// The newest of each addon.
    newest: BTreeMap<AddonName, RolloutId>,
    /// What each addon depends on; it never changes.
    depends_on: BTreeMap<String, Option<String>>,
    /// Every fleet that git ever had.
    fleets: Vec<FleetModel>,
    clusters: BTreeMap<String, Truth>,
    /// Jobs of gates that were ever begun, by cluster and name.
    jobs: BTreeSet<(String, String)>,
    writes: u64,
}

/// What is known of a cluster.
#[derive(Default)]
struct Truth {
    /// The cluster's version when it was looked at last.
    version: u64,
    /// Addons that ran as they should then.
    ready: BTreeSet<String>,
    /// When each addon was last seen to run as it should.
    ready_at: BTreeMap<String, Duration>,
    /// Addons that are there, in whatever state.
    present: BTreeSet<String>,
    /// What was deployed and ran, ever, and since when.
    proven: BTreeMap<(String, Digest), Duration>,
    /// What is deployed now.
    deployed: BTreeMap<String, Digest>,
    /// Objects that the present attempt on each addon has deleted.
    deleted: BTreeMap<String, u32>,
}

impl Court {
    /// A court for a history that begins with a fleet.
    pub(super) fn new(clock: SimClock, fleet: &FleetModel) -> Self {
        let addons = fleet.addons.iter();
        let depends_on = addons.map(|(name, addon)| (name.clone(), addon.depends_on.clone()));
        let state = State {
            clock,
            broken: None,
            counts: Counts::default(),
            rollouts: BTreeMap::new(),
            newest: BTreeMap::new(),
            depends_on: depends_on.collect(),
            fleets: vec![fleet.clone()],
            clusters: BTreeMap::new(),
            jobs: BTreeSet::new(),
            writes: 0,
        };
        Self(Arc::new(Mutex::new(state)))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first law that was broken.
    pub(super) fn broken(&self) -> Option<Broken> {
        self.lock().broken.clone()
    }

    /// A law is broken.
    pub(super) fn accuse(&self, law: u8, what: String) {
        self.lock().accuse(law, what);
    }

    /// Figures so far.
    pub(super) fn counts(&self) -> Counts {
        self.lock().counts
    }

    /// Counts something.
    pub(super) fn count(&self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.lock().counts);
    }

    /// How many writes changed something on a cluster so far.
    pub(super) fn writes(&self) -> u64 {
        self.lock().writes
    }

    /// Every addon that there ever was.
    pub(super) fn addons(&self) -> Vec<String> {
        self.lock().depends_on.keys().cloned().collect()
    }

    /// Git has another fleet.
    pub(super) fn fleet(&self, fleet: &FleetModel) {
        self.lock().fleets.push(fleet.clone());
    }

    /// The newest rollout of each addon.
    pub(super) fn newest_rollouts(&self) -> Vec<Rollout> {
        let state = self.lock();
        state.newest.values().map(|id| state.rollouts[id].clone()).collect()
    }

    /// Every rollout that there ever was.
    pub(super) fn rollouts(&self) -> Vec<Rollout> {
        self.lock().rollouts.values().cloned().collect()
    }

    /// Takes in what was appended to the log. `sees` gives a cluster's state.
    pub(super) fn appended(&self, events: &[Event], sees: &Sees<'_>) {
        let started: Vec<&Event> = events
            .iter()
            .filter(|event| matches!(event.kind, EventKind::InstanceStarted { .. }))
            .collect();
        for cluster in started.iter().filter_map(|event| event.cluster.as_ref()) {
            sees(cluster, &mut |store| self.lock().sample(cluster.as_str(), store));
        }
        let mut state = self.lock();
        for event in events {
            state.take(event);
        }
    }

    /// Takes in what a request has changed on a cluster, which had the version `before`.
    pub(super) fn reached(&self, cluster: &str, before: u64, store: &Store) {
        let mut state = self.lock();
        state.counts.requests += 1;
        state.sample(cluster, store);
        for change in store.changes_since(before).unwrap_or_default() {
            state.writes += 1;
            state.judge_change(cluster, &change);
        }
    }
}

impl Truth {
    /// Whether what is deployed of an addon has been so for longer than any look lasts.
    fn has_long_had(&self, addon: &str, now: Duration) -> bool {
        let since = self.deployed.get(addon).and_then(|digest| self.proven_at(addon, digest));
        since.is_some_and(|since| now.saturating_sub(since) > LOOK_LASTS)
    }

    /// Since when an addon has been seen to run at a digest.
    fn proven_at(&self, addon: &str, digest: &Digest) -> Option<Duration> {
        self.proven.get(&(addon.to_owned(), digest.clone())).copied()
    }
}

impl State {
    fn accuse(&mut self, law: u8, what: String) {
        if self.broken.is_none() {
            self.broken = Some(Broken { law, at: self.clock.now(), what });
        }
    }

    /// What a cluster really has now.
    fn sample(&mut self, cluster: &str, store: &Store) {
        let now = self.clock.elapsed();
        let names: Vec<String> = self.depends_on.keys().cloned().collect();
        let truth = self.clusters.entry(cluster.to_owned()).or_default();
        if std::mem::replace(&mut truth.version, store.version()) == store.version() {
            truth.ready_at.extend(truth.ready.iter().map(|addon| (addon.clone(), now)));
            return;
        }
        truth.present.clear();
        truth.ready.clear();
        truth.deployed.clear();
        for addon in names {
            if truth::is_present(store, &addon) {
                truth.present.insert(addon.clone());
            }
            if !truth::is_ready(store, &addon) {
                continue;
            }
            truth.ready.insert(addon.clone());
            truth.ready_at.insert(addon.clone(), now);
            if let Some(digest) = truth::deployed(store, &addon) {
                truth.deployed.insert(addon.clone(), digest.clone());
                truth.proven.entry((addon, digest)).or_insert(now);
            }
        }
    }

    // The log.

    fn take(&mut self, event: &Event) {
        self.counts.events += 1;
        if serde_json::to_string(event).is_ok_and(|text| text.contains(SECRET)) {
            self.accuse(9, format!("{} has a secret value", event.kind.name()));
        }
        if matches!(event.kind, EventKind::RolloutStarted { .. }) {
            self.take_start(event);
            return;
        }
        let Some(rollout) = self.rollouts.get(&event.rollout) else {
            self.accuse(8, format!("{} of an unknown rollout", event.kind.name()));
            return;
        };
        let found = laws::check_next(&Whole::of(rollout, self.rollouts.values()), event);
        let missing = self.missing_before(rollout, event);
        for (law, what) in found.into_iter().chain(missing) {
            self.accuse(law, format!("{}: {what}", event.rollout));
        }
        if let Some(rollout) = self.rollouts.get_mut(&event.rollout) {
            rollout.take(event);
        }
    }

    fn take_start(&mut self, event: &Event) {
        let Some(begun) = fold([event]) else { return };
        let before = self.newest.get(&event.addon).map(|id| &self.rollouts[id]);
        let offence = before.and_then(|before| match &before.phase {
            phase if !phase.is_ended() => Some((2, format!("{} goes on beside it", before.id))),
            Phase::RolledBack { .. } if !before.is_retried && before.rev == begun.rev => {
                Some((12, format!("{} has shown that it is bad", before.id)))
            }
            Phase::Completed if !before.is_retried => retried_early(before, &begun),
            _ => None,
        });
        let offence = offence.or_else(|| self.needless(&begun, event));
        if let Some((law, what)) = offence {
            self.accuse(law, format!("{} begins: {what}", begun.id));
        }
        self.newest.insert(event.addon.clone(), begun.id.clone());
        self.rollouts.insert(begun.id.clone(), begun);
    }

    /// Why a rollout has nothing to do: each cluster that it would change has long had what it brings.
    fn needless(&self, begun: &Rollout, event: &Event) -> Option<(u8, String)> {
        let EventKind::RolloutStarted { supersedes: None, .. } = event.kind else { return None };
        let now = self.clock.elapsed();
        let addon = begun.addon().as_str();
        let has_it = |(name, member): (&ClusterName, &Member)| {
            self.clusters.get(name.as_str()).is_some_and(|truth| {
                truth.deployed.get(addon) == member.goal.digest.as_ref()
                    && truth.has_long_had(addon, now)
            })
        };
        let mut waiting = begun.members.iter().filter(|(_, one)| one.state == MemberState::Waiting);
        waiting.all(has_it).then(|| (4, "every cluster is where it should be".to_owned()))
    }

    /// What an instance that is begun depends on, or what depends on one that goes, is not as it
    /// has to be.
    fn missing_before(&self, rollout: &Rollout, event: &Event) -> Option<(u8, String)> {
        let EventKind::InstanceStarted { from } = &event.kind else { return None };
        let cluster = event.cluster.as_ref()?;
        let member = rollout.members.get(cluster)?;
        let addon = event.addon.as_str();
        let truth = self.clusters.get(cluster.as_str())?;
        let now = self.clock.elapsed();
        if from.is_none() && truth.has_long_had(addon, now) {
            let what = format!("{addon} begins on {cluster} as if nothing was there");
            return Some((4, what));
        }
        let ready_at = &truth.ready_at;
        let is_ready =
            |on: &str| ready_at.get(on).is_some_and(|at| now.saturating_sub(*at) <= LOOK_LASTS);
        if member.goal.digest.is_some() {
            let on = self.depends_on.get(addon)?.as_ref()?;
            let what = || format!("{addon} begins on {cluster} without {on}");
            return (!is_ready(on)).then(|| (3, what()));
        }
        let depends =
            |other: &&String| self.depends_on.get(*other).and_then(Option::as_deref) == Some(addon);
        let other = truth.present.iter().find(depends)?;
        Some((3, format!("{addon} goes from {cluster} before {other}")))
    }

    // The clusters.

    fn judge_change(&mut self, cluster: &str, change: &Change) {
        let is_record = change.key.kind == "Secret" && change.key.name.starts_with("sh.helm.");
        let Some(addon) = truth::addon_of(&change.key.namespace).map(str::to_owned) else { return };
        match change.kind {
            _ if truth::is_of_gate(&change.object) => self.judge_job(cluster, change),
            ChangeKind::Deleted if is_record => {}
            ChangeKind::Deleted => self.judge_deletion(cluster, &addon, change),
            ChangeKind::Added if is_record => {
                if let Some(head) = record::head(&change.object) {
                    self.judge_attempt(cluster, &addon, &head);
                }
            }
            ChangeKind::Modified if is_record => {
                let status = |object: &Json| record::head(object).map(|head| head.status);
                let before = change.before.as_deref().and_then(status);
                let goes = status(&change.object) == Some(ReleaseStatus::Uninstalling);
                if goes && before != Some(ReleaseStatus::Uninstalling) {
                    self.attempt_begins(cluster, &addon);
                }
            }
            ChangeKind::Added | ChangeKind::Modified => {
                if change.key.name == FOREIGN {
                    self.accuse(4, format!("{cluster}: {} was written", change.key.name));
                }
            }
        }
    }

    /// A gate's Job is run once for what it judges, whoever is killed meanwhile.
    fn judge_job(&mut self, cluster: &str, change: &Change) {
        let name = &change.key.name;
        let is_begun = change.kind == ChangeKind::Added;
        if is_begun && !self.jobs.insert((cluster.to_owned(), name.clone())) {
            self.accuse(8, format!("{cluster}: Job {name} is run again"));
        }
    }

    fn attempt_begins(&mut self, cluster: &str, addon: &str) {
        let truth = self.clusters.entry(cluster.to_owned()).or_default();
        truth.deleted.insert(addon.to_owned(), 0);
    }

    /// A revision is begun on a cluster: whether any rollout said so, and whether all earlier stages
    /// have really shown it to be good.
    fn judge_attempt(&mut self, cluster: &str, addon: &str, head: &RecordHead) {
        self.attempt_begins(cluster, addon);
        let Some(digest) = head.origin.digest.clone() else { return };
        let name = ClusterName::from(cluster);
        let of_addon = self.rollouts.values().filter(|one| one.addon().as_str() == addon);
        let members: Vec<(&Rollout, &Member)> =
            of_addon.filter_map(|rollout| Some((rollout, rollout.members.get(&name)?))).collect();
        let is_goal = |member: &Member| {
            let has_begun = !matches!(member.state, MemberState::Waiting | MemberState::Unchanged);
            has_begun && member.goal.digest.as_ref() == Some(&digest)
        };
        let was_there = |member: &Member| {
            let from = member.from.as_ref().and_then(Option::as_ref);
            from.and_then(|place| place.digest.as_ref()) == Some(&digest)
        };
        let truth = self.clusters.get(cluster);
        let is_proven = truth.is_some_and(|truth| truth.proven_at(addon, &digest).is_some());
        let begun = members.iter().rev().find(|(_, member)| is_goal(member));
        if begun.is_none() && !is_proven && !members.iter().any(|(_, member)| was_there(member)) {
            let what = format!("{cluster} gets {} of {addon}, and nobody said so", digest.short());
            self.accuse(8, what);
            return;
        }
        let unproven = begun
            .filter(|_| !is_proven)
            .and_then(|(rollout, member)| self.unproven_before(rollout, member));
        if let Some(what) = unproven {
            self.accuse(1, format!("{cluster} gets {} of {addon}: {what}", digest.short()));
        }
    }

    /// A cluster of an earlier stage that never ran what it should have shown to be good.
    fn unproven_before(&self, rollout: &Rollout, of: &Member) -> Option<String> {
        let stage = of.stage?;
        let open = rollout.members.iter().find(|(name, member)| {
            let is_earlier = member.stage.is_some_and(|earlier| earlier < stage);
            let is_excused = member.state == MemberState::Unchanged || member.state.is_over();
            let has_run = member.goal.digest.as_ref().is_none_or(|digest| {
                let truth = self.clusters.get(name.as_str());
                let addon = rollout.addon().as_str();
                truth.and_then(|truth| truth.proven_at(addon, digest)).is_some()
            });
            is_earlier && !is_excused && !has_run
        });
        open.map(|(name, member)| {
            format!("{name}, which is {} in an earlier stage, never ran it", member.state.word())
        })
    }

    fn judge_deletion(&mut self, cluster: &str, addon: &str, change: &Change) {
        let key = &change.key;
        if key.name == FOREIGN
            || access::annotation(&change.object, "meta.helm.sh/release-name") != Some(addon)
        {
            self.accuse(4, format!("{cluster}: {} {} was deleted", key.kind, key.name));
            return;
        }
        let way_back = self.has_way_back(cluster, addon);
        let is_unwanted = self.fleets.iter().any(|fleet| !fleet.wants(cluster, addon));
        if key.kind == "Deployment" && !is_unwanted && !way_back {
            let what = format!("{cluster}: {addon} was deleted, which git always wanted there");
            self.accuse(4, what);
            return;
        }
        let truth = self.clusters.entry(cluster.to_owned()).or_default();
        let deleted = truth.deleted.entry(addon.to_owned()).or_default();
        *deleted += 1;
        let deleted = *deleted;
        let limit = self
            .fleets
            .iter()
            .filter_map(|fleet| fleet.policy["limits"]["deletedObjects"].as_u64());
        let limit = limit.max().unwrap_or(0);
        if u64::from(deleted) > limit && !way_back {
            let what = format!("{cluster}: {deleted} objects of {addon} deleted at once");
            self.accuse(4, what);
        }
    }

    /// Whether a rollout of an addon took a cluster back, or may have.
    fn has_way_back(&self, cluster: &str, addon: &str) -> bool {
        let name = ClusterName::from(cluster);
        let mut of_addon = self.rollouts.values().filter(|one| one.addon().as_str() == addon);
        of_addon.any(|rollout| {
            rollout.members.get(&name).is_some_and(|member| {
                matches!(
                    member.state,
                    MemberState::GoingBack { .. } | MemberState::Back | MemberState::Stuck { .. }
                )
            })
        })
    }
}

/// A cluster that a completed rollout went on without, and that the next one begins again although
/// nobody said so and git wants the same.
fn retried_early(before: &Rollout, begun: &Rollout) -> Option<(u8, String)> {
    let again = begun.members.iter().find(|(name, member)| {
        let known = before.members.get(*name);
        member.state == MemberState::Waiting
            && known.is_some_and(|known| {
                known.state.is_given_up() && known.goal.digest == member.goal.digest
            })
    });
    again.map(|(name, _)| (12, format!("{} went on without {name}", before.id)))
}
