//! From what was compared to a plan. A function of its arguments, in whatever order they come.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Edge, ObjectChange, Plan, PlanReport, Preconditions, Reason, RefusedBecause, RefusedInstance,
    Skipped, SkippedBecause, Step, StepAction, Waiting, WaitingOn,
};
use crate::base::ids::{AddonName, Digest, InstanceKey, Rev};
use crate::diff::{Change, Op};
use crate::live::{Adopted, ReleaseStatus};

/// An instance that may become a step.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Cluster and addon.
    pub key: InstanceKey,
    /// The release's namespace.
    pub namespace: String,
    /// The release's name.
    pub release: String,
    /// What it depends on, on the same cluster.
    pub depends_on: Vec<AddonName>,
    /// What git wants; nothing where the instance shall go.
    pub wish: Option<Wish>,
    /// What was seen, or why nothing was.
    pub evidence: Result<Evidence, RefusedBecause>,
}

/// What git wants of an instance.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of what is rendered.
    pub digest: Digest,
    /// The chart's version.
    pub chart_version: String,
}

/// What was seen of an instance.
#[derive(Clone, Debug, Default)]
pub struct Evidence {
    /// What it is at.
    pub adopted: Option<Adopted>,
    /// What is under way, or was left half done.
    pub pending: Option<Adopted>,
    /// What would happen to its objects.
    pub changes: Vec<Change>,
    /// Requests about its objects that failed.
    pub failures: Vec<String>,
    /// Why the server would not take it, if it would not.
    pub problems: Vec<String>,
    /// Why it must not be done, if it must not.
    pub guard: Option<String>,
    /// What could not be read.
    pub gaps: Vec<String>,
    /// The state of each object that would be touched.
    pub states: BTreeMap<String, String>,
}

impl Candidate {
    /// What its step is called. A release that git no longer wants has its own name in it: its
    /// addon may be wanted on the same cluster under another name or in another namespace.
    pub fn id(&self) -> String {
        match &self.wish {
            Some(_) => self.key.to_string(),
            None => format!("{}@{}/{}", self.key, self.namespace, self.release),
        }
    }
}

/// Makes the plan. Every candidate is a step or is in the report.
pub fn make(rev: Rev, candidates: impl IntoIterator<Item = Candidate>) -> Plan {
    let candidates: BTreeMap<String, Candidate> =
        candidates.into_iter().map(|candidate| (candidate.id(), candidate)).collect();
    let mut report = PlanReport::default();
    let mut steps = BTreeMap::new();
    for (id, candidate) in &candidates {
        match judge(candidate) {
            Verdict::Step(step) => {
                steps.insert(id.clone(), step);
            }
            Verdict::Refused(because) => {
                report.refused.push(RefusedInstance { instance: candidate.key.clone(), because });
            }
            Verdict::Skipped(because) => {
                report.skipped.push(Skipped { instance: candidate.key.clone(), because });
            }
        }
    }
    hold_back(&candidates, &mut steps, &mut report);
    let edges = edges(&candidates, &steps);
    Plan::sealed(rev, steps.into_values().collect(), edges, report)
}

enum Verdict {
    Step(Step),
    Refused(RefusedBecause),
    Skipped(SkippedBecause),
}

fn judge(candidate: &Candidate) -> Verdict {
    let evidence = match &candidate.evidence {
        Ok(evidence) => evidence,
        Err(because) => return Verdict::Refused(because.clone()),
    };
    if let Some(guard) = &evidence.guard {
        return Verdict::Refused(RefusedBecause::Guard(guard.clone()));
    }
    if !evidence.problems.is_empty() {
        return Verdict::Refused(RefusedBecause::Objects(evidence.problems.join("; ")));
    }
    if !evidence.gaps.is_empty() {
        return Verdict::Refused(RefusedBecause::Gap(evidence.gaps.join("; ")));
    }
    if !evidence.failures.is_empty() {
        return Verdict::Refused(RefusedBecause::Failed(evidence.failures.join("; ")));
    }
    match decide(candidate, evidence) {
        Ok((action, reason)) => Verdict::Step(step(candidate, evidence, action, reason)),
        Err(because) => Verdict::Skipped(because),
    }
}

fn decide(
    candidate: &Candidate,
    evidence: &Evidence,
) -> Result<(StepAction, Reason), SkippedBecause> {
    let is_handed_over = |adopted: &Adopted| adopted.is_handed_over;
    let newest = evidence.pending.as_ref().or(evidence.adopted.as_ref());
    if newest.is_some_and(is_handed_over) {
        return Err(SkippedBecause::HandedOver);
    }
    let Some(wish) = &candidate.wish else {
        return match evidence.adopted.as_ref().or(evidence.pending.as_ref()) {
            Some(adopted) if adopted.addon.is_some() => {
                Ok((StepAction::Uninstall, Reason::NoLongerWanted))
            }
            _ => Err(SkippedBecause::NotOurs),
        };
    };
    if evidence.pending.is_some() {
        let action = match &evidence.adopted {
            Some(adopted) if adopted.status == ReleaseStatus::Deployed => StepAction::Upgrade,
            _ => StepAction::Install,
        };
        return Ok((action, Reason::LastAttemptInterrupted));
    }
    let Some(adopted) = &evidence.adopted else {
        return Ok((StepAction::Install, Reason::NotInstalled));
    };
    match &adopted.digest {
        None => Ok((StepAction::Upgrade, Reason::Adopted)),
        Some(_) if adopted.status != ReleaseStatus::Deployed => {
            Ok((StepAction::Upgrade, Reason::LastAttemptFailed))
        }
        Some(digest) if *digest != wish.digest => Ok((StepAction::Upgrade, Reason::Changed)),
        Some(_) if evidence.changes.iter().any(|change| change.op != Op::Keep) => {
            Ok((StepAction::Heal, Reason::Drifted))
        }
        Some(_) => Err(SkippedBecause::UpToDate),
    }
}

fn step(candidate: &Candidate, evidence: &Evidence, action: StepAction, reason: Reason) -> Step {
    let newest = evidence.pending.as_ref().or(evidence.adopted.as_ref());
    Step {
        id: candidate.id(),
        key: candidate.key.clone(),
        namespace: candidate.namespace.clone(),
        release: candidate.release.clone(),
        action,
        reason,
        from_version: evidence
            .adopted
            .as_ref()
            .map(|adopted| adopted.chart_version.clone())
            .filter(|version| !version.is_empty()),
        to_version: candidate.wish.as_ref().map(|wish| wish.chart_version.clone()),
        changes: evidence.changes.iter().map(summary).collect(),
        preconditions: Preconditions {
            desired_digest: candidate.wish.as_ref().map(|wish| wish.digest.clone()),
            release_revision: newest.map(|adopted| adopted.release_revision),
            release_status: newest.map(|adopted| adopted.status),
            objects: evidence.states.clone(),
        },
    }
}

/// A change without any value.
fn summary(change: &Change) -> ObjectChange {
    let fields = change.fields.iter().filter(|field| !field.path.is_root());
    ObjectChange {
        op: change.op,
        object: change.key.to_string(),
        fields: fields.map(|field| field.path.to_string()).collect(),
        note: change.note.clone(),
        warnings: change.warnings.clone(),
    }
}

/// Takes out steps whose dependencies cannot be met, until none is left that waits for such a one.
fn hold_back(
    candidates: &BTreeMap<String, Candidate>,
    steps: &mut BTreeMap<String, Step>,
    report: &mut PlanReport,
) {
    let wanted: BTreeSet<&InstanceKey> = keys(candidates, true);
    let leaving: BTreeSet<&InstanceKey> = keys(candidates, false);
    let refused = report.refused.iter().map(|refused| refused.instance.clone());
    let mut stuck: BTreeSet<InstanceKey> = refused.filter(|key| wanted.contains(key)).collect();
    loop {
        let mut held = Vec::new();
        for id in steps.keys() {
            let candidate = &candidates[id];
            let waits = if candidate.wish.is_some() {
                dependencies(candidate).find_map(|dependency| {
                    if stuck.contains(&dependency) {
                        return Some(WaitingOn::Dependency(dependency));
                    }
                    let is_leaving = leaving.contains(&dependency) && !wanted.contains(&dependency);
                    is_leaving.then_some(WaitingOn::MissingDependency(dependency))
                })
            } else {
                // What takes its place must be there first.
                let key = &candidate.key;
                stuck.contains(key).then(|| WaitingOn::Dependency(key.clone()))
            };
            held.extend(waits.map(|on| (id.clone(), on)));
        }
        if held.is_empty() {
            return;
        }
        for (id, on) in held {
            steps.remove(&id);
            let instance = candidates[&id].key.clone();
            if candidates[&id].wish.is_some() {
                stuck.insert(instance.clone());
            }
            report.waiting.push(Waiting { instance, on });
        }
    }
}

fn keys(candidates: &BTreeMap<String, Candidate>, is_wanted: bool) -> BTreeSet<&InstanceKey> {
    let of_kind = |candidate: &&Candidate| candidate.wish.is_some() == is_wanted;
    candidates.values().filter(of_kind).map(|candidate| &candidate.key).collect()
}

fn dependencies(candidate: &Candidate) -> impl Iterator<Item = InstanceKey> {
    candidate
        .depends_on
        .iter()
        .map(|addon| InstanceKey { cluster: candidate.key.cluster.clone(), addon: addon.clone() })
}

/// Dependencies first; what goes away goes the other way round, and after what takes its place.
fn edges(candidates: &BTreeMap<String, Candidate>, steps: &BTreeMap<String, Step>) -> Vec<Edge> {
    let mut edges = BTreeSet::new();
    for (id, step) in steps {
        let candidate = &candidates[id];
        let is_leaving = |step: &Step| step.action == StepAction::Uninstall;
        for dependency in dependencies(candidate) {
            for other in steps.values().filter(|other| other.key == dependency) {
                let (before, after) = match (is_leaving(step), is_leaving(other)) {
                    (true, true) => (step, other),
                    (false, false) => (other, step),
                    _ => continue,
                };
                edges.insert(Edge { before: before.id.clone(), after: after.id.clone() });
            }
        }
        let successor = steps.get(&candidate.key.to_string());
        if let Some(successor) = successor.filter(|_| is_leaving(step)) {
            edges.insert(Edge { before: successor.id.clone(), after: step.id.clone() });
        }
    }
    edges.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(addon: &str) -> InstanceKey {
        InstanceKey { cluster: "c".into(), addon: addon.into() }
    }

    fn adopted(digest: &str, status: ReleaseStatus) -> Adopted {
        Adopted {
            rev: Some("r".into()),
            digest: (!digest.is_empty()).then(|| digest.into()),
            addon: (!digest.is_empty()).then(|| "a".into()),
            chart_version: "1.0.0".to_owned(),
            release_revision: 3,
            status,
            is_handed_over: false,
        }
    }

    fn candidate(addon: &str, depends_on: &[&str], evidence: Evidence) -> Candidate {
        Candidate {
            key: key(addon),
            namespace: "n".to_owned(),
            release: addon.to_owned(),
            depends_on: depends_on.iter().map(|addon| (*addon).into()).collect(),
            wish: Some(Wish { digest: "new".into(), chart_version: "2.0.0".to_owned() }),
            evidence: Ok(evidence),
        }
    }

    fn decided(evidence: Evidence) -> String {
        let plan = make("r".into(), [candidate("a", &[], evidence)]);
        match plan.steps.first() {
            Some(step) => format!("{}: {}", step.action, step.reason),
            None => format!("{:?}", plan.report),
        }
    }

    #[test]
    fn the_action_follows_from_what_is_there() {
        use ReleaseStatus::{Deployed, Failed, PendingInstall, PendingUpgrade};
        let at = |digest, status| Evidence {
            adopted: Some(adopted(digest, status)),
            ..Evidence::default()
        };
        assert_eq!(decided(Evidence::default()), "install: it is not on the cluster");
        assert_eq!(decided(at("old", Deployed)), "upgrade: what is rendered has changed");
        assert_eq!(
            decided(at("", Deployed)),
            "upgrade: Helm installed it, and fitout takes it over"
        );
        assert_eq!(decided(at("new", Failed)), "upgrade: the last attempt failed");
        assert!(decided(at("new", Deployed)).contains("UpToDate"));
        let pending = |adopted, status| Evidence {
            adopted,
            pending: Some(super::tests::adopted("new", status)),
            ..Evidence::default()
        };
        assert_eq!(decided(pending(None, PendingInstall)), "install: the last attempt did not end");
        assert_eq!(
            decided(pending(Some(adopted("old", Deployed)), PendingUpgrade)),
            "upgrade: the last attempt did not end"
        );
    }

    #[test]
    fn what_cannot_be_met_holds_back_all_that_depends_on_it() {
        let mut base = candidate("base", &[], Evidence::default());
        base.evidence = Err(RefusedBecause::Unreachable("no route".to_owned()));
        let plan = make(
            "r".into(),
            [
                candidate("top", &["middle"], Evidence::default()),
                candidate("middle", &["base"], Evidence::default()),
                candidate("free", &[], Evidence::default()),
                base,
            ],
        );
        let ids: Vec<_> = plan.steps.iter().map(|step| step.id.as_str()).collect();
        assert_eq!(ids, ["c/free"]);
        assert_eq!(plan.report.refused.len(), 1);
        let waiting: Vec<_> = plan.report.waiting.iter().map(|w| w.on.to_string()).collect();
        assert_eq!(waiting.len(), 2);
        assert!(waiting[0].contains("c/base") && waiting[1].contains("c/middle"));
    }

    #[test]
    fn dependencies_come_first_and_removal_runs_the_other_way_round() {
        let there = || Evidence {
            adopted: Some(adopted("old", ReleaseStatus::Deployed)),
            ..Evidence::default()
        };
        let both = |wish: bool| {
            let mut app = candidate("app", &["base"], there());
            let mut base = candidate("base", &[], there());
            if !wish {
                (app.wish, base.wish) = (None, None);
            }
            let plan = make("r".into(), [app, base]);
            plan.edges.iter().map(|e| format!("{} → {}", e.before, e.after)).collect::<Vec<_>>()
        };
        assert_eq!(both(true), ["c/base → c/app"]);
        assert_eq!(both(false), ["c/app@n/app → c/base@n/base"]);
    }

    #[test]
    fn what_git_no_longer_wants_goes_only_if_fitout_put_it_there() {
        let gone = |digest| {
            let mut gone = candidate(
                "a",
                &[],
                Evidence {
                    adopted: Some(adopted(digest, ReleaseStatus::Deployed)),
                    ..Evidence::default()
                },
            );
            gone.wish = None;
            make("r".into(), [gone])
        };
        assert_eq!(gone("old").steps[0].action, StepAction::Uninstall);
        assert_eq!(gone("").report.skipped[0].because, SkippedBecause::NotOurs);
    }

    #[test]
    fn a_release_that_moved_goes_after_its_successor_is_there() {
        let there = || Evidence {
            adopted: Some(adopted("old", ReleaseStatus::Deployed)),
            ..Evidence::default()
        };
        let mut former = candidate("a", &[], there());
        former.wish = None;
        "former".clone_into(&mut former.namespace);
        let plan = make("r".into(), [candidate("a", &[], Evidence::default()), former.clone()]);
        let told: Vec<_> =
            plan.edges.iter().map(|e| format!("{} → {}", e.before, e.after)).collect();
        assert_eq!(told, ["c/a → c/a@former/a"]);
        let refused = Evidence { guard: Some("no".to_owned()), ..Evidence::default() };
        let plan = make("r".into(), [candidate("a", &[], refused), former]);
        assert!(plan.is_empty(), "nothing goes before its successor can come");
    }

    #[test]
    fn a_gap_is_never_taken_for_an_absence() {
        let evidence = Evidence { gaps: vec!["no".to_owned()], ..Evidence::default() };
        let plan = make("r".into(), [candidate("a", &[], evidence)]);
        assert!(plan.is_empty());
        assert_eq!(plan.report.refused[0].because, RefusedBecause::Gap("no".to_owned()));
    }

    #[test]
    fn the_digest_is_over_all_else() {
        let mut plan = make("r".into(), [candidate("a", &[], Evidence::default())]);
        assert!(plan.is_intact());
        let read: Plan = serde_json::from_str(&plan.to_json()).unwrap();
        assert_eq!(read, plan);
        plan.steps[0].namespace = "other".to_owned();
        assert!(!plan.is_intact());
    }

    fn any_candidate() -> impl Strategy<Value = Candidate> {
        let addon = prop_oneof!["a", "b", "c", "d"];
        let depends = prop::collection::vec(prop_oneof!["a", "b", "c", "d"], 0..3);
        (addon, depends, 0..5_u8, any::<bool>()).prop_map(|(addon, depends, seen, is_wanted)| {
            let depends: Vec<&str> = depends.iter().map(String::as_str).collect();
            let mut candidate = candidate(&addon, &depends, Evidence::default());
            candidate.evidence = match seen {
                0 => Ok(Evidence::default()),
                1 => Ok(Evidence {
                    adopted: Some(adopted("old", ReleaseStatus::Deployed)),
                    ..Evidence::default()
                }),
                2 => Ok(Evidence {
                    adopted: Some(adopted("new", ReleaseStatus::Deployed)),
                    ..Evidence::default()
                }),
                3 => Ok(Evidence { guard: Some("no".to_owned()), ..Evidence::default() }),
                _ => Err(RefusedBecause::Unreachable("down".to_owned())),
            };
            if !is_wanted {
                candidate.wish = None;
            }
            candidate
        })
    }

    proptest! {
        #[test]
        fn the_order_of_the_input_does_not_matter(
            candidates in prop::collection::vec(any_candidate(), 0..5)
        ) {
            let by_key: BTreeMap<_, _> = candidates.into_iter().map(|c| (c.id(), c)).collect();
            let forward = make("r".into(), by_key.values().cloned());
            let backward = make("r".into(), by_key.values().rev().cloned());
            prop_assert_eq!(&forward, &backward);
            // Law 7: every instance is a step or has a reason.
            let report = &forward.report;
            let told = forward.steps.len() + report.waiting.len() + report.refused.len()
                + report.skipped.len();
            prop_assert_eq!(told, by_key.len());
        }
    }
}
