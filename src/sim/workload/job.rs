//! Jobs: pods that come to an end, as many as it takes. CronJobs stay idle.

use std::time::Duration;

use serde_json::{Value as Json, json};

use super::condition::{self, Condition};
use super::round::{Round, is_ending};
use super::{replicas, time};
use crate::base::clock::Timestamp;
use crate::object::access;

/// The wait after the first failed pod; it doubles with each one.
const BACKOFF: Duration = Duration::from_secs(10);
/// The longest such wait.
const BACKOFF_MAX: Duration = Duration::from_mins(10);

/// A Job and its pods.
struct Work<'a> {
    job: &'a Json,
    pods: Vec<&'a Json>,
    succeeded: i64,
    failed: i64,
    /// Pods that are neither over nor ending.
    active: Vec<&'a Json>,
}

pub(super) fn run(round: &mut Round<'_>) {
    for job in round.of("batch", "Job") {
        if is_ending(job) {
            continue;
        }
        if condition::is_true(job, "Complete") || condition::is_true(job, "Failed") {
            expire(round, job);
            continue;
        }
        let pods = round.children(job).to_vec();
        let in_phase = |phase: &str| {
            let is_in = |pod: &&&Json| access::text(pod, &["status", "phase"]) == Some(phase);
            i64::try_from(pods.iter().filter(is_in).count()).unwrap_or(i64::MAX)
        };
        let (succeeded, failed) = (in_phase("Succeeded"), in_phase("Failed"));
        let active = replicas::by_worth(&pods);
        Work { job, pods, succeeded, failed, active }.bring_on(round);
    }
}

/// Deletes a finished Job when its time to live is over.
fn expire(round: &mut Round<'_>, job: &Json) {
    let Some(seconds) = access::number(job, &["spec", "ttlSecondsAfterFinished"]) else { return };
    let conditions = access::list(job, &["status", "conditions"]);
    let end = ["Complete", "Failed"]
        .iter()
        .filter_map(|kind| condition::find(conditions, kind))
        .find_map(|condition| time::read(condition, &["lastTransitionTime"]));
    let Some(end) = end else { return };
    let at = time::after(end, Duration::from_secs(seconds.max(0).unsigned_abs()));
    if at <= round.now() {
        round.delete(job);
    } else {
        round.wake_at(at);
    }
}

impl Work<'_> {
    fn number(&self, field: &str) -> Option<i64> {
        access::number(self.job, &["spec", field])
    }

    fn is_suspended(&self) -> bool {
        access::at(self.job, &["spec", "suspend"]) == Some(&Json::Bool(true))
    }

    /// When the Job began to work.
    fn start(&self, now: Timestamp) -> Timestamp {
        time::read(self.job, &["status", "startTime"]).unwrap_or(now)
    }

    fn bring_on(self, round: &mut Round<'_>) {
        if self.is_suspended() {
            self.end_pods(round);
            let reason = ("Suspended", "JobSuspended", "Job suspended");
            return self.status(round, &[reason]);
        }
        if let Some((reason, message)) = self.failure(round) {
            self.end_pods(round);
            let conditions = [("FailureTarget", reason, message), ("Failed", reason, message)];
            return self.status(round, &conditions);
        }
        let wanted = self.number("completions").unwrap_or(1);
        if self.succeeded >= wanted {
            self.end_pods(round);
            let (reason, message) =
                ("CompletionsReached", "Reached expected number of succeeded pods");
            let conditions =
                [("SuccessCriteriaMet", reason, message), ("Complete", reason, message)];
            return self.status(round, &conditions);
        }
        self.make(round, wanted);
        self.status(round, &[]);
    }

    /// Makes pods for the work that is left, after a pause if one has failed.
    fn make(&self, round: &mut Round<'_>, wanted: i64) {
        let active = i64::try_from(self.active.len()).unwrap_or(i64::MAX);
        let parallelism = self.number("parallelism").unwrap_or(1).max(0);
        let missing = parallelism.min(wanted - self.succeeded) - active;
        for pod in self.active.iter().take(usize::try_from(-missing).unwrap_or(0)) {
            round.delete(pod);
        }
        if let Some(at) = self.next_attempt()
            && at > round.now()
            && missing > 0
        {
            round.wake_at(at);
            return;
        }
        for number in 0..missing.min(500) {
            let name = replicas::pod_name(round, self.job, &number.to_string());
            let uid = access::uid(self.job);
            let job = access::name(self.job);
            let labels = [
                ("batch.kubernetes.io/controller-uid", uid),
                ("batch.kubernetes.io/job-name", job),
                ("controller-uid", uid),
                ("job-name", job),
            ];
            let pod = replicas::pod(round, self.job, &name, &labels);
            round.create(pod);
        }
    }

    /// Not before this, since a pod has failed.
    fn next_attempt(&self) -> Option<Timestamp> {
        let last = self.pods.iter().filter_map(|pod| failed_at(pod)).max()?;
        let doublings = u32::try_from(self.failed - 1).unwrap_or(0).min(10);
        Some(time::after(last, (BACKOFF * 2_u32.pow(doublings)).min(BACKOFF_MAX)))
    }

    /// Why the Job has failed, if it has.
    fn failure(&self, round: &mut Round<'_>) -> Option<(&'static str, &'static str)> {
        let limit = self.number("backoffLimit").unwrap_or(6);
        let restarts: i64 = self.active.iter().map(|pod| restarts(pod)).sum();
        if self.failed > limit || (restarts > 0 && restarts >= limit) {
            return Some(("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        }
        let deadline = self.number("activeDeadlineSeconds")?;
        let deadline = Duration::from_secs(deadline.max(0).unsigned_abs());
        let end = time::after(self.start(round.now()), deadline);
        if end <= round.now() {
            return Some(("DeadlineExceeded", "Job was active longer than specified deadline"));
        }
        round.wake_at(end);
        None
    }

    fn end_pods(&self, round: &mut Round<'_>) {
        for pod in &self.active {
            round.delete(pod);
        }
    }

    fn status(&self, round: &mut Round<'_>, conditions: &[(&'static str, &str, &str)]) {
        let now = round.now();
        let before = access::list(self.job, &["status", "conditions"]);
        let entries: Vec<_> = conditions
            .iter()
            .map(|(kind, reason, message)| {
                let mut entry = Condition::new(kind, true, reason, message).entry(before, now);
                let since = entry["lastTransitionTime"].clone();
                entry["lastProbeTime"] = since;
                entry
            })
            .collect();
        let is_over = entries.iter().any(|entry| entry["type"] != "Suspended");
        let active = if is_over || self.is_suspended() { 0 } else { self.active.len() };
        let ready = self.active.iter().filter(|pod| replicas::is_ready(pod)).count();
        let mut status = json!({
            "ready": if active == 0 { 0 } else { ready }, "terminating": 0,
            "uncountedTerminatedPods": {},
        });
        for (field, number) in
            [("active", active as i64), ("succeeded", self.succeeded), ("failed", self.failed)]
        {
            if number != 0 {
                status[field] = Json::from(number);
            }
        }
        if !self.is_suspended() {
            status["startTime"] = Json::from(time::seconds(self.start(now)));
        }
        if entries.iter().any(|entry| entry["type"] == "Complete") {
            status["completionTime"] = Json::from(time::seconds(now));
        }
        if !entries.is_empty() {
            status["conditions"] = Json::Array(entries);
        }
        round.status(self.job, status);
    }
}

fn container_statuses(pod: &Json) -> &[Json] {
    access::list(pod, &["status", "containerStatuses"])
}

fn restarts(pod: &Json) -> i64 {
    let count = |status| access::number(status, &["restartCount"]).unwrap_or(0);
    container_statuses(pod).iter().map(count).sum()
}

fn failed_at(pod: &Json) -> Option<Timestamp> {
    if access::text(pod, &["status", "phase"]) != Some("Failed") {
        return None;
    }
    container_statuses(pod)
        .iter()
        .filter_map(|status| time::read(status, &["state", "terminated", "finishedAt"]))
        .max()
}
