//! Jobs, and tests of releases, that clusters run for a gate. Pure: which Job is made, and what one that is there says.
//!
//! A Job is made for one change: its name is drawn from the rollout, the commit, the stage, the gate, the cluster and
//! the time of the stage's last change. So whoever looks for it finds the one of this change or none; a
//! controller that is killed before it has noted that it made one makes no second one.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use sha2::{Digest as _, Sha256};

use super::model::{Member, MemberState, Rollout};
use super::observation::Verdict;
use crate::base::clock::Timestamp;
use crate::base::diagnostic::few;
use crate::base::ids::{ClusterName, hex};
use crate::base::planted::{Planted, is_planted};
use crate::fleet::model::{Gate, JobGate};
use crate::health::{self, Condition};

/// On a Job: when the stage that it was made for was changed last.
pub const CHANGED_AT: &str = "fitout.dev/changed-at";
/// On a Job: the rollout that it was made for.
pub const ROLLOUT: &str = "fitout.dev/rollout";
/// How long a Job stays once it is over, if the gate's own manifest does not say: nobody deletes one that has failed, so
/// that people can look at it.
const STAYS_SECONDS: u32 = 86_400;
/// The name of a Job may have 63 characters, and its pods have a few more.
const NAME_CHARS_MAX: usize = 40;

/// What was seen of a gate's Jobs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Jobs {
    /// By cluster.
    pub runs: BTreeMap<ClusterName, Run>,
}

/// What was seen of the Job on one cluster.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Run {
    /// What is run: `Job NAMESPACE/NAME`, or the tests of a release.
    pub what: String,
    /// The change of the stage that it was made for; of tests that were found to have been run, when they began.
    pub begun_for: Timestamp,
    /// How it is.
    pub state: RunState,
}

/// How a Job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RunState {
    /// It came to a good end.
    Succeeded,
    /// It came to a bad end.
    Failed(String),
    /// It is not over, or nobody knows.
    Open(String),
}

/// The clusters that a gate's Job is run on: the one that it names, or those that the present stage has changed and that
/// have got there.
pub fn clusters(gate: &JobGate, rollout: &Rollout) -> Vec<ClusterName> {
    if let Some(cluster) = &gate.cluster {
        return vec![cluster.clone()];
    }
    let changed = rollout.changing(rollout.stage).filter(|(_, member)| {
        let is_there =
            matches!(member.state, MemberState::Healthy { .. } | MemberState::Soaked { .. });
        is_there && member.goal.digest.is_some()
    });
    changed.map(|(name, _)| name.clone()).collect()
}

impl Gate {
    /// Whether there is nothing to ask it about: its Job is run where the addon is, and the present stage only takes
    /// the addon away.
    pub fn is_moot(&self, rollout: &Rollout) -> bool {
        let goes = |(_, member): (_, &Member)| member.goal.digest.is_none();
        self.job.as_ref().is_some_and(|job| job.cluster.is_none())
            && rollout.changing(rollout.stage).all(goes)
    }
}

/// The Job of the present change: its name, its namespace, and itself.
#[derive(Clone, Debug, PartialEq)]
pub struct Made {
    /// Drawn from all that it is for.
    pub name: String,
    /// Its own, or the release's.
    pub namespace: String,
    /// What is sent.
    pub object: Json,
    /// The change that it is for.
    pub changed_at: Timestamp,
}

/// The Job for a cluster; none before the stage has changed anything.
pub fn make(
    gate: &JobGate,
    rollout: &Rollout,
    cluster: &ClusterName,
    namespace: &str,
) -> Option<Made> {
    let changed_at = rollout.changed_at()?;
    let mut object = Json::Object(gate.manifest.clone()?);
    let stage = rollout.stage_name(rollout.stage);
    let mut parts =
        vec![rollout.addon().as_str().to_owned(), gate.name.clone(), cluster.to_string()];
    if !is_planted(Planted::OldRun) {
        let change = [rollout.id.to_string(), rollout.rev.to_string(), stage.to_owned()];
        parts.extend(change.into_iter().chain([changed_at.to_string()]));
    }
    let hash = hex(&Sha256::digest(parts.join("\n")));
    let word: String = format!("{}-{}", rollout.addon(), gate.name);
    let word = word.chars().take(NAME_CHARS_MAX).collect::<String>();
    let name = format!("{}-{}", word.trim_end_matches('-'), &hash[..12]);
    let own = object["metadata"]["namespace"].as_str().unwrap_or(namespace);
    let namespace = own.to_owned();
    let metadata = &mut object["metadata"];
    if let Some(fields) = metadata.as_object_mut() {
        fields.remove("generateName");
    }
    metadata["name"] = json!(name);
    metadata["namespace"] = json!(namespace);
    metadata["annotations"][CHANGED_AT] = json!(changed_at);
    metadata["annotations"][ROLLOUT] = json!(rollout.id);
    metadata["annotations"]["fitout.dev/stage"] = json!(stage);
    metadata["annotations"]["fitout.dev/revision"] = json!(rollout.rev);
    metadata["labels"]["app.kubernetes.io/managed-by"] = json!("fitout");
    let spec = &mut object["spec"];
    if spec["ttlSecondsAfterFinished"].is_null() {
        spec["ttlSecondsAfterFinished"] = json!(STAYS_SECONDS);
    }
    // Nobody looks any more when it has taken longer than the gate waits.
    if spec["activeDeadlineSeconds"].is_null() {
        let soak = rollout.present_stage().and_then(|stage| stage.soak);
        let lasts = soak.map_or(std::time::Duration::ZERO, |soak| soak.0) + gate.deadline();
        spec["activeDeadlineSeconds"] = json!(lasts.as_secs().max(1));
    }
    Some(Made { name, namespace, object, changed_at })
}

/// What a Job that is there says.
pub fn read(object: &Json) -> Run {
    let text = |field: &str| object["metadata"][field].as_str().unwrap_or_default();
    let what = format!("Job {}/{}", text("namespace"), text("name"));
    let begun_for = object["metadata"]["annotations"][CHANGED_AT].as_str();
    let Some(begun_for) = begun_for.and_then(|text| text.parse().ok()) else {
        let state = RunState::Open("is there, and none of fitout's".to_owned());
        return Run { what, begun_for: Timestamp::MIN, state };
    };
    let health = health::of(object);
    let state = match health.condition {
        Condition::Ready => RunState::Succeeded,
        Condition::Failed => RunState::Failed(health.message),
        _ => RunState::Open(health.message),
    };
    Run { what, begun_for, state }
}

/// What Jobs say together. One that failed is enough; none is no pass.
pub fn verdict(seen: &Jobs) -> Verdict {
    let failed = seen.runs.iter().find_map(|(cluster, run)| match &run.state {
        RunState::Failed(reason) => Some(format!("{} on {cluster} {reason}", run.what)),
        _ => None,
    });
    let open = seen.runs.iter().find_map(|(cluster, run)| match &run.state {
        RunState::Open(reason) => Some(format!("{} on {cluster}: {reason}", run.what)),
        _ => None,
    });
    let names: Vec<&str> = seen.runs.keys().map(ClusterName::as_str).collect();
    match (failed, open) {
        (Some(failed), _) => Verdict::Broken(failed),
        (None, Some(open)) => Verdict::Unknown(open),
        (None, None) if names.is_empty() => Verdict::Unknown("no cluster to run it on".to_owned()),
        (None, None) => Verdict::Holds(format!("succeeded on {}", few(&names))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(state: RunState) -> Run {
        Run { what: "Job web/web-smoke-1".to_owned(), begun_for: Timestamp::UNIX_EPOCH, state }
    }

    #[test]
    fn one_failed_job_is_enough_and_one_that_is_open_is_no_pass() {
        let seen = |states: &[RunState]| {
            let runs = states.iter().enumerate();
            let runs =
                runs.map(|(at, state)| (format!("c{at}").as_str().into(), run(state.clone())));
            verdict(&Jobs { runs: runs.collect() })
        };
        let (failed, open) =
            (RunState::Failed("failed: x".into()), RunState::Open("0 of 1".into()));
        let said = |text: &str| format!("Job web/web-smoke-1 on {text}");
        for (states, expected) in [
            (vec![], Verdict::Unknown("no cluster to run it on".to_owned())),
            (vec![RunState::Succeeded], Verdict::Holds("succeeded on `c0`".to_owned())),
            (vec![RunState::Succeeded, open.clone()], Verdict::Unknown(said("c1: 0 of 1"))),
            (vec![open, failed], Verdict::Broken(said("c1 failed: x"))),
        ] {
            assert_eq!(seen(&states), expected);
        }
    }

    #[test]
    fn a_job_of_somebody_else_is_no_evidence() {
        let complete = json!([{"type": "Complete", "status": "True"}]);
        let job = |annotations: Json| {
            json!({
                "apiVersion": "batch/v1", "kind": "Job",
                "metadata": {"name": "a", "namespace": "b", "annotations": annotations},
                "status": {"conditions": complete},
            })
        };
        assert!(matches!(read(&job(json!({}))).state, RunState::Open(_)));
        let ours = read(&job(json!({CHANGED_AT: "2027-01-15T08:00:00Z"})));
        assert_eq!(ours.state, RunState::Succeeded);
        assert_eq!(ours.begun_for.to_string(), "2027-01-15T08:00:00Z");
    }
}
