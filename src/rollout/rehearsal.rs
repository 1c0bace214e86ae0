//! A rollout rehearsed: the real state machine over a model of the fleet, in virtual time.
//!
//! Pure. Answers how long a change takes, which cluster is touched when, and how far a bad version
//! gets before it is stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::advance::{Action, Advance, Decision, advance_together};
use super::approval::Approving;
use super::begin::{Ensure, Wish, ensure};
use super::command::{Command, command};
use super::depart::{Passenger, depart};
use super::event::{Event, EventKind, fold};
use super::model::{Place, Rollout};
use super::observation::{
    Attempt, AttemptResult, GateSeen, Instances, Observation, Readiness, Seen, Verdict,
};
use super::train::trains;
use super::waiting::WaitingOn;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::{AddonName, ClusterName, Digest, PolicyName};
use crate::health::Health;

/// What takes longer is given up: no policy of this world asks for it.
const LONGEST: Duration = Duration::from_hours(24 * 366);
/// How long an attempt takes.
const ATTEMPT: Duration = Duration::from_secs(10);
/// No look is made sooner than this after another one.
const LOOK: Duration = Duration::from_secs(1);

/// One addon of the change.
#[derive(Clone, Debug)]
pub struct Part {
    /// What git wants of it.
    pub wish: Wish,
    /// Where each instance is at the start; one that is missing is nowhere.
    pub before: BTreeMap<ClusterName, Place>,
    /// Addons that must be well on the same cluster before it begins there.
    pub depends_on: BTreeSet<AddonName>,
}

/// How the clusters behave.
#[derive(Clone, Debug)]
pub struct Behaviour {
    /// When it begins.
    pub start: Timestamp,
    /// From the end of an attempt until what it brought is healthy.
    pub ready_after: Duration,
    /// Where the new version never gets healthy.
    pub bad: BTreeSet<ClusterName>,
    /// Or gets healthy, and loses it so long after the attempt.
    pub turns_bad_after: Option<Duration>,
    /// Clusters that do not answer.
    pub unreachable: BTreeSet<ClusterName>,
    /// How long people take to approve; nobody does without it.
    pub approve_after: Option<Duration>,
}

/// What came of one rollout.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// Its state at the end.
    pub rollout: Rollout,
    /// Everything that happened, in order.
    pub log: Vec<Event>,
    /// When each cluster got the new version first.
    pub reached: BTreeMap<ClusterName, Timestamp>,
    /// Clusters that have a bad version at the end.
    pub bad: BTreeSet<ClusterName>,
    /// Why it does not end, where it does not.
    pub waiting: BTreeMap<ClusterName, WaitingOn>,
}

impl Rehearsed {
    /// When the last thing happened.
    pub fn ended_at(&self) -> Timestamp {
        self.log.last().map_or(self.rollout.started_at, |event| event.at)
    }

    /// When it was stopped, and why.
    pub fn stopped(&self) -> Option<&Event> {
        self.log.iter().find(|event| matches!(event.kind, EventKind::RolloutStopped { .. }))
    }
}

/// Rehearses the rollouts that a change starts. An addon of which nothing changes has none.
pub fn rehearse(parts: &[Part], behaviour: &Behaviour) -> Vec<Rehearsed> {
    let mut model = Model::new(parts, behaviour);
    model.run();
    let rehearsed = model.acts.into_iter().filter_map(|act| {
        let is_new = |name: &&ClusterName| {
            let goal = act.part.wish.goals.get(*name).and_then(|goal| goal.digest.as_ref());
            act.reached.contains_key(*name)
                && act.instances.get(*name).is_some_and(|one| one.digest() == goal)
        };
        let bad = behaviour.bad.iter().filter(is_new).cloned().collect();
        let rollout = act.rollout?;
        let waiting = if rollout.phase.is_ended() { BTreeMap::new() } else { act.waiting };
        Some(Rehearsed { rollout, log: act.log, reached: act.reached, bad, waiting })
    });
    rehearsed.collect()
}

/// All addons of the change, at one time.
struct Model<'a> {
    behaviour: &'a Behaviour,
    now: Timestamp,
    acts: Vec<Act<'a>>,
}

/// One addon.
struct Act<'a> {
    part: &'a Part,
    rollout: Option<Rollout>,
    instances: BTreeMap<ClusterName, Instance>,
    log: Vec<Event>,
    reached: BTreeMap<ClusterName, Timestamp>,
    waiting: BTreeMap<ClusterName, WaitingOn>,
    /// When somebody approves, from when they were asked.
    approval_at: Option<Timestamp>,
}

/// One instance.
#[derive(Clone, Debug, Default)]
struct Instance {
    place: Option<Place>,
    /// When what is there was brought there; none for what was there at the start.
    since: Option<Timestamp>,
    attempt: Option<Attempt>,
}

impl<'a> Model<'a> {
    fn new(parts: &'a [Part], behaviour: &'a Behaviour) -> Self {
        let act = |part: &'a Part| Act {
            part,
            rollout: None,
            instances: part
                .wish
                .goals
                .keys()
                .map(|name| {
                    let place = part.before.get(name).cloned();
                    (name.clone(), Instance { place, ..Instance::default() })
                })
                .collect(),
            log: Vec::new(),
            reached: BTreeMap::new(),
            waiting: BTreeMap::new(),
            approval_at: None,
        };
        Self { behaviour, now: behaviour.start, acts: parts.iter().map(act).collect() }
    }

    /// From one moment at which anything can change to the next.
    fn run(&mut self) {
        let end = after(self.behaviour.start, LONGEST);
        loop {
            let mut next: Option<Timestamp> = None;
            // All looks come before anything is done, as in a controller.
            let seen: Vec<Observation> =
                self.acts.iter().map(|act| self.observation(act)).collect();
            self.begin(&seen);
            for train in self.trains() {
                let train: Vec<_> = train.iter().map(|(one, at)| (one, &seen[*at], *at)).collect();
                let cars: Vec<_> = train.iter().map(|(one, seen, _)| (*one, *seen)).collect();
                let together = advance_together(&cars, self.now);
                for (step, (.., at)) in together.parts.into_iter().zip(train) {
                    let due = self.acts[at].take(step, self.now, self.behaviour);
                    next = [next, due].into_iter().flatten().min();
                }
            }
            match next {
                Some(next) if next <= end => self.now = next.max(after(self.now, LOOK)),
                _ => return,
            }
        }
    }

    /// Begins what has not begun: what one policy has move together as one train.
    fn begin(&mut self, seen: &[Observation]) {
        let mut events = Vec::new();
        let mut together: BTreeMap<Option<&PolicyName>, Vec<Passenger<'_>>> = BTreeMap::new();
        let open = self.acts.iter().zip(seen).filter(|(act, _)| act.log.is_empty());
        for (act, seen) in open {
            let (wish, seen) = (&act.part.wish, &seen.instances);
            if wish.policy.train {
                let policy = wish.policy_name.as_ref();
                together.entry(policy).or_default().push((None, wish, seen));
            } else if let Ensure::Changed(begun) = ensure(None, wish, seen, self.now) {
                events.extend(begun);
            }
        }
        let departures = together.into_values().map(|all| depart(&all, &[], self.now).events);
        events.extend(departures.collect::<Vec<_>>().concat());
        for event in events {
            let act = self.acts.iter_mut().find(|act| act.part.wish.addon == event.addon);
            if let Some(act) = act {
                act.rollout = fold([&event]);
                act.log.push(event);
            }
        }
    }

    /// The rollouts that are under way by what moves together, each with the place of its act.
    fn trains(&self) -> Vec<Vec<(Rollout, usize)>> {
        let acts = self.acts.iter().enumerate();
        let active = acts.filter_map(|(at, act)| Some((act.rollout.clone()?, at)));
        let active = active.filter(|(rollout, _)| !rollout.phase.is_ended()).collect();
        trains(active, |(rollout, _)| rollout)
    }

    fn observation(&self, act: &Act<'_>) -> Observation {
        let seen = act.instances.iter().map(|(name, instance)| {
            let is_down = self.behaviour.unreachable.contains(name);
            let seen = Seen {
                observed_at: self.now,
                unreachable: is_down.then(|| "it is unreachable in this rehearsal".to_owned()),
                has_gaps: false,
                place: instance.place.clone(),
                is_settled: true,
                health: self.health(act, name, instance),
                readiness: self.readiness(act, name),
                attempt: instance.attempt.clone().filter(|attempt| attempt.ended_at <= self.now),
            };
            (name.clone(), seen)
        });
        Observation { gates: self.gates(act), ..Observation::from(seen.collect::<Instances>()) }
    }

    /// Gates that ask somebody else see what is bad on any cluster that has the new version.
    fn gates(&self, act: &Act<'_>) -> BTreeMap<String, GateSeen> {
        let is_bad = |(name, instance): (&ClusterName, &Instance)| {
            act.reached.contains_key(name) && !self.health(act, name, instance).is_ready()
        };
        let verdict = if act.instances.iter().any(is_bad) {
            Verdict::Broken("is bad in this rehearsal".to_owned())
        } else {
            Verdict::Holds("is well in this rehearsal".to_owned())
        };
        let gates = act.part.wish.policy.stages.iter().flat_map(|stage| &stage.gates);
        let names = gates.filter_map(|gate| Some(gate.asked()?.name.to_owned()));
        let seen = GateSeen::new(self.now, verdict);
        names.map(|name| (name, seen.clone())).collect()
    }

    /// An addon that others depend on is well when it is healthy where it is, and nothing is under
    /// way.
    fn readiness(&self, act: &Act<'_>, name: &ClusterName) -> Readiness {
        for other in &self.acts {
            let addon = &other.part.wish.addon;
            let Some(instance) = other.instances.get(name) else { continue };
            if !act.part.depends_on.contains(addon) {
                continue;
            }
            if instance.place.is_none() || !self.health(other, name, instance).is_ready() {
                return Readiness::Blocked(format!("{name}/{addon}, which is not healthy"));
            }
        }
        Readiness::Ready
    }

    fn health(&self, act: &Act<'_>, name: &ClusterName, instance: &Instance) -> Health {
        let Some(since) = instance.since else { return Health::ready("is ready") };
        if self.now < after(since, self.behaviour.ready_after) {
            return Health::progressing("is not ready yet");
        }
        let goal = act.part.wish.goals.get(name).and_then(|goal| goal.digest.as_ref());
        let is_new = instance.digest() == goal && self.behaviour.bad.contains(name);
        let turns = self.behaviour.turns_bad_after.unwrap_or_default();
        if is_new && self.now >= after(since, turns) {
            return Health::progressing("is bad in this rehearsal");
        }
        Health::ready("is ready")
    }
}

impl Act<'_> {
    /// What follows from one look at the addon's rollout; gives when to look again.
    fn take(&mut self, step: Advance, now: Timestamp, behaviour: &Behaviour) -> Option<Timestamp> {
        let has_moved = !step.events.is_empty() || !step.decisions.is_empty();
        self.log.extend(step.events);
        self.waiting = step.waiting;
        for decision in &step.decisions {
            self.carry_out(&step.rollout, decision, now, behaviour);
        }
        self.rollout = Some(step.rollout);
        self.approve(now, behaviour);
        let soon = has_moved.then(|| after(now, LOOK));
        let changes = self.instances.values().flat_map(|one| one.changes_at(behaviour));
        let due = changes.chain(step.wake_at).chain(self.approval_at).chain(soon);
        due.filter(|due| *due > now).min()
    }

    fn carry_out(
        &mut self,
        rollout: &Rollout,
        decision: &Decision,
        now: Timestamp,
        behaviour: &Behaviour,
    ) {
        let Some(member) = rollout.members.get(&decision.cluster) else { return };
        let Some(instance) = self.instances.get_mut(&decision.cluster) else { return };
        if instance.attempt.as_ref().is_some_and(|attempt| attempt.ended_at > now) {
            return;
        }
        let ended_at = after(now, ATTEMPT);
        let result = if behaviour.unreachable.contains(&decision.cluster) {
            AttemptResult::Passing("the cluster does not answer".to_owned())
        } else {
            let release_revision =
                instance.place.as_ref().map_or(0, |one| one.release_revision) + 1;
            instance.since = Some(ended_at);
            instance.place = match decision.action {
                Action::Move => member.goal.digest.clone().map(|digest| Place {
                    rev: Some(member.goal.rev.clone()),
                    digest: Some(digest),
                    release_revision,
                }),
                Action::GoBack => {
                    member.from.clone().flatten().map(|from| Place { release_revision, ..from })
                }
            };
            if decision.action == Action::Move {
                self.reached.entry(decision.cluster.clone()).or_insert(now);
            }
            AttemptResult::Done { release_revision }
        };
        instance.attempt = Some(Attempt {
            began_at: now,
            ended_at,
            rollout: rollout.id.clone(),
            action: decision.action,
            result,
        });
    }

    /// Whoever is asked approves in time.
    fn approve(&mut self, now: Timestamp, behaviour: &Behaviour) {
        let asked = self.waiting.values().find_map(|waits| match waits {
            WaitingOn::Approval { have, need, .. } => Some((*have, *need)),
            _ => None,
        });
        let Some(((_, need), pause)) = asked.zip(behaviour.approve_after) else {
            self.approval_at = None;
            return;
        };
        if now < *self.approval_at.get_or_insert_with(|| after(now, pause)) {
            return;
        }
        let Some(rollout) = &mut self.rollout else { return };
        let named = rollout.approval_gates().filter_map(|gate| gate.people(&rollout.policy));
        let named: BTreeSet<String> = named.flatten().map(str::to_owned).collect();
        let others = (1..=need).map(|number| format!("approver {number}"));
        for by in named.into_iter().chain(others) {
            if let Ok(event) =
                command(rollout, Command::Approve(Approving::default()), &by, None, now)
            {
                rollout.take(&event);
                self.log.push(event);
            }
            let (have, need) = rollout.approvals();
            if have >= need {
                break;
            }
        }
        self.approval_at = Some(after(now, LOOK));
    }
}

impl Instance {
    fn digest(&self) -> Option<&Digest> {
        self.place.as_ref()?.digest.as_ref()
    }

    /// When it will look otherwise.
    fn changes_at(&self, behaviour: &Behaviour) -> impl Iterator<Item = Timestamp> {
        let since = self.since.map(|since| {
            let turns = behaviour.turns_bad_after.map(|turn| after(since, turn));
            [Some(after(since, behaviour.ready_after.max(LOOK))), turns]
        });
        let ended = self.attempt.as_ref().map(|attempt| attempt.ended_at);
        since.into_iter().flatten().flatten().chain(ended)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rollout::stages::Labels;
    use crate::rollout::{Goal, MemberState, Phase};

    fn part(addon: &str, depends_on: &[&str]) -> Part {
        let policy = json!({
            "stages": [
                {"name": "staging", "clusters": {"matchLabels": {"environment": "staging"}}, "soak": "30m"},
                {"name": "canary", "clusters": {"matchLabels": {"environment": "prod"}},
                 "pick": {"atLeast": 1}, "soak": "2h", "gates": [{"approval": {"count": 2}}]},
                {"name": "prod", "clusters": {"matchLabels": {"environment": "prod"}},
                 "batch": {"atMost": 4}, "soak": "10m"},
            ],
            "progressDeadline": "20m",
        });
        let names = ["staging-1", "staging-2"].map(str::to_owned).into_iter();
        let names = names.chain((1..=10).map(|number| format!("prod-{number}")));
        let labels: BTreeMap<ClusterName, Labels> = names
            .map(|name| {
                let environment = name.split('-').next().unwrap_or_default().to_owned();
                (name.into(), Labels::from([("environment".to_owned(), environment)]))
            })
            .collect();
        let goal = Goal { rev: "r2".into(), digest: Some("d2".into()) };
        let place =
            Place { rev: Some("r1".into()), digest: Some("d1".into()), release_revision: 1 };
        Part {
            before: labels.keys().map(|name| (name.clone(), place.clone())).collect(),
            wish: Wish {
                depends_on: BTreeSet::new(),
                addon: addon.into(),
                rev: "r2".into(),
                author: None,
                goals: labels.keys().map(|name| (name.clone(), goal.clone())).collect(),
                labels,
                policy_name: None,
                policy: serde_json::from_value(policy).expect("a policy"),
            },
            depends_on: depends_on.iter().map(|name| (*name).into()).collect(),
        }
    }

    fn behaviour() -> Behaviour {
        Behaviour {
            start: "2026-11-25T08:00:00Z".parse().expect("a time"),
            ready_after: Duration::from_mins(1),
            bad: BTreeSet::new(),
            turns_bad_after: None,
            unreachable: BTreeSet::new(),
            approve_after: Some(Duration::from_mins(15)),
        }
    }

    fn one(behaviour: &Behaviour) -> Rehearsed {
        let rehearsed = rehearse(&[part("web", &[])], behaviour);
        for one in &rehearsed {
            assert_eq!(crate::rollout::laws::check(&one.log), []);
        }
        rehearsed.into_iter().next().expect("it begins")
    }

    /// How many members never got the new version.
    fn untouched(rehearsed: &Rehearsed) -> usize {
        let members = rehearsed.rollout.members.iter();
        let is_spared = |(name, member): &(&ClusterName, &crate::rollout::Member)| {
            member.state != MemberState::Unchanged && !rehearsed.reached.contains_key(*name)
        };
        members.filter(is_spared).count()
    }

    fn minutes(rehearsed: &Rehearsed) -> i64 {
        rehearsed.ended_at().duration_since(rehearsed.rollout.started_at).as_mins()
    }

    #[test]
    fn a_good_version_takes_its_soaks_its_approvals_and_its_batches() {
        let rehearsed = one(&behaviour());
        assert_eq!(rehearsed.rollout.phase, Phase::Completed);
        assert_eq!(rehearsed.reached.len(), 12);
        // 30 + 120 + 15 + 3 batches of 10 minutes, and a little more than a minute for each round.
        assert!((195..203).contains(&minutes(&rehearsed)), "{}", minutes(&rehearsed));
    }

    #[test]
    fn a_version_that_is_bad_in_production_reaches_the_canary_alone() {
        let bad: BTreeSet<ClusterName> = (1..=10).map(|n| format!("prod-{n}").into()).collect();
        let rehearsed = one(&Behaviour { bad: bad.clone(), ..behaviour() });
        assert!(matches!(rehearsed.rollout.phase, Phase::RolledBack { .. }));
        assert_eq!(rehearsed.reached.keys().filter(|name| bad.contains(*name)).count(), 1);
        assert_eq!(untouched(&rehearsed), 9);
        // One that turns bad within the soak is caught as well, one that does so later is not.
        let turns = |minutes| Behaviour {
            bad: bad.clone(),
            turns_bad_after: Some(Duration::from_mins(minutes)),
            ..behaviour()
        };
        assert_eq!(untouched(&one(&turns(60))), 9);
        let late = one(&turns(60 * 24));
        assert_eq!((untouched(&late), late.bad.len()), (0, 10));
    }

    #[test]
    fn what_never_ends_says_what_it_waits_for() {
        let rehearsed = one(&Behaviour { approve_after: None, ..behaviour() });
        assert!(!rehearsed.rollout.phase.is_ended());
        let waits: BTreeSet<String> = rehearsed.waiting.values().map(ToString::to_string).collect();
        assert!(waits.contains("approval of stage canary: 0 of 2 given"), "{waits:?}");
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_left_out() {
        let unreachable = BTreeSet::from(["prod-3".into(), "staging-1".into()]);
        let rehearsed = one(&Behaviour { unreachable, ..behaviour() });
        assert_eq!(rehearsed.rollout.phase, Phase::Completed);
        assert_eq!(untouched(&rehearsed), 2);
    }

    #[test]
    fn an_addon_waits_for_what_it_depends_on() {
        let base = Part { before: BTreeMap::new(), ..part("base", &[]) };
        let rehearsed = rehearse(&[part("web", &["base"]), base], &behaviour());
        let [web, base] = rehearsed.as_slice() else { panic!("two rollouts") };
        for (cluster, at) in &web.reached {
            assert!(base.reached[cluster] < *at, "{cluster}");
        }
    }
}
