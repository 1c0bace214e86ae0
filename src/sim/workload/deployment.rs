//! Deployments: a ReplicaSet for each pod template, and a way from one to the next.

use serde_json::{Value as Json, json};

use super::condition::{self, Condition};
use super::replicas::{self, Counts};
use super::rolling::{self, Bounds, Part};
use super::round::{Round, is_ending, numbers, owner_reference};
use super::time;
use crate::base::clock::Timestamp;
use crate::object::access;

const HASH_LABEL: &str = "pod-template-hash";
const REVISION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const DESIRED_REPLICAS: &str = "deployment.kubernetes.io/desired-replicas";
const MAX_REPLICAS: &str = "deployment.kubernetes.io/max-replicas";
/// Annotations that a ReplicaSet does not take from its Deployment.
const OWN_ANNOTATIONS: [&str; 5] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
];
/// A deadline of this many seconds is none.
const NO_DEADLINE: i64 = i32::MAX as i64;

/// A ReplicaSet of a Deployment.
struct Set<'a> {
    object: &'a Json,
    wanted: i64,
    counts: Counts,
    revision: i64,
}

/// A Deployment and what it has made.
struct Rollout<'a> {
    deployment: &'a Json,
    bounds: Bounds,
    is_recreate: bool,
    is_paused: bool,
    hash: String,
    new: Option<Set<'a>>,
    /// Oldest first.
    old: Vec<Set<'a>>,
}

pub(super) fn run(round: &mut Round<'_>) {
    for deployment in round.of("apps", "Deployment") {
        if !is_ending(deployment) {
            let rollout = Rollout::read(round, deployment);
            rollout.scale(round);
            rollout.annotate(round);
            rollout.clean_up(round);
            let status = rollout.status(round);
            round.status(deployment, status);
        }
    }
}

impl<'a> Rollout<'a> {
    fn read(round: &mut Round<'a>, deployment: &'a Json) -> Self {
        let wanted = replicas::wanted(deployment);
        let rolling = |field| access::at(deployment, &["spec", "strategy", "rollingUpdate", field]);
        let surge = replicas::share(rolling("maxSurge"), wanted, "25%", true);
        let unavailable = replicas::share(rolling("maxUnavailable"), wanted, "25%", false);
        // An update that may neither add nor take away would stand still.
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable };
        let mut sets: Vec<_> = round.children(deployment).to_vec();
        sets.retain(|set| !is_ending(set));
        sets.sort_by_key(|set| {
            (access::text(set, &["metadata", "creationTimestamp"]), access::name(set))
        });
        let min_ready = replicas::min_ready_seconds(deployment);
        let hash = replicas::template_hash(deployment);
        let mut new = None;
        let mut old = Vec::new();
        for object in sets {
            let pods = round.children(object).to_vec();
            let set = Set {
                object,
                wanted: replicas::wanted(object),
                counts: replicas::count(round, &pods, min_ready),
                revision: revision(object),
            };
            if access::label(object, HASH_LABEL) == Some(&hash) {
                new = Some(set);
            } else {
                old.push(set);
            }
        }
        let is_recreate =
            access::text(deployment, &["spec", "strategy", "type"]) == Some("Recreate");
        let (surge, unavailable) = if is_recreate { (0, wanted) } else { (surge, unavailable) };
        Self {
            deployment,
            bounds: Bounds { wanted, surge, unavailable: unavailable.min(wanted) },
            is_recreate,
            is_paused: access::at(deployment, &["spec", "paused"]) == Some(&Json::Bool(true)),
            hash,
            new,
            old,
        }
    }

    fn sets(&self) -> impl Iterator<Item = &Set<'a>> {
        self.old.iter().chain(&self.new)
    }

    /// Makes the new ReplicaSet, or brings the ones there are a step further.
    fn scale(&self, round: &mut Round<'_>) {
        let Some(new) = &self.new else {
            let old: i64 = self.old.iter().map(|set| set.wanted).sum();
            let old_pods: i64 = self.old.iter().map(|set| set.counts.replicas).sum();
            if self.is_paused {
                self.write_sets(round, None, &self.paused_replicas());
            } else if self.is_recreate && old + old_pods > 0 {
                self.write_sets(round, None, &vec![0; self.old.len()]);
            } else {
                round.create(self.new_set(self.bounds.room(0, old)));
            }
            return;
        };
        let part = |set: &Set<'_>| Part { replicas: set.wanted, available: set.counts.available };
        let old: Vec<_> = self.old.iter().map(part).collect();
        let (new_replicas, old_replicas) = match (self.is_paused, self.is_recreate) {
            (true, _) if old.iter().all(|part| part.replicas == 0) => {
                (self.bounds.wanted, self.paused_replicas())
            }
            (true, _) => (new.wanted, self.paused_replicas()),
            (false, true) => {
                let is_clear = self.old.iter().all(|set| set.wanted + set.counts.replicas == 0);
                let new = if is_clear { self.bounds.wanted } else { new.wanted };
                (new, vec![0; old.len()])
            }
            (false, false) => rolling::step(self.bounds, part(new), &old),
        };
        self.write_sets(round, Some(new_replicas), &old_replicas);
    }

    /// While paused, only a Deployment of a single set in use follows its number of replicas.
    fn paused_replicas(&self) -> Vec<i64> {
        let used: Vec<_> = self.sets().filter(|set| set.wanted > 0).collect();
        let is_single = |set: &Set<'_>| used.len() == 1 && set.wanted > 0;
        let next = |set| if is_single(set) { self.bounds.wanted } else { set.wanted };
        self.old.iter().map(next).collect()
    }

    fn write_sets(&self, round: &mut Round<'_>, new: Option<i64>, old: &[i64]) {
        for (set, replicas) in self.old.iter().zip(old) {
            self.write_set(round, set, *replicas, None);
        }
        if let (Some(set), Some(replicas)) = (&self.new, new) {
            self.write_set(round, set, replicas, Some(self.next_revision()));
        }
    }

    fn write_set(
        &self,
        round: &mut Round<'_>,
        set: &Set<'_>,
        replicas: i64,
        revision: Option<i64>,
    ) {
        let mut object = set.object.clone();
        object["spec"]["replicas"] = Json::from(replicas);
        if replicas > 0 {
            self.annotate_scale(&mut object);
        }
        if let Some(revision) = revision {
            self.annotate_set(&mut object, revision);
        }
        if object != *set.object {
            round.update(object);
        }
    }

    fn annotate_scale(&self, set: &mut Json) {
        let Bounds { wanted, surge, .. } = self.bounds;
        access::set_metadata(set, "annotations", DESIRED_REPLICAS, &wanted.to_string());
        access::set_metadata(set, "annotations", MAX_REPLICAS, &(wanted + surge).to_string());
    }

    fn annotate_set(&self, set: &mut Json, next: i64) {
        let annotations = access::at(self.deployment, &["metadata", "annotations"]);
        for (key, value) in access::string_map(annotations) {
            if !OWN_ANNOTATIONS.contains(&key) {
                access::set_metadata(set, "annotations", key, value);
            }
        }
        let before = revision(set);
        if before == next {
            return;
        }
        access::set_metadata(set, "annotations", REVISION, &next.to_string());
        if before > 0 {
            let history = match access::annotation(set, REVISION_HISTORY) {
                Some(history) => format!("{history},{before}"),
                None => before.to_string(),
            };
            access::set_metadata(set, "annotations", REVISION_HISTORY, &history);
        }
    }

    /// The revision that the new ReplicaSet has or is to get.
    fn next_revision(&self) -> i64 {
        let old = self.old.iter().map(|set| set.revision).max().unwrap_or(0);
        let own = self.new.as_ref().map_or(0, |set| set.revision);
        own.max(old + 1)
    }

    fn new_name(&self) -> String {
        match &self.new {
            Some(set) => access::name(set.object).to_owned(),
            None => format!("{}-{}", access::name(self.deployment), self.hash),
        }
    }

    fn new_set(&self, replicas: i64) -> Json {
        let spec = self.deployment.get("spec").unwrap_or(&Json::Null);
        let mut template = spec.get("template").cloned().unwrap_or_else(|| json!({}));
        access::set_metadata(&mut template, "labels", HASH_LABEL, &self.hash);
        let mut selector = spec.get("selector").cloned().unwrap_or_else(|| json!({}));
        selector["matchLabels"] =
            replicas::with_label(selector.get("matchLabels"), HASH_LABEL, &self.hash);
        let mut set = json!({
            "apiVersion": "apps/v1", "kind": "ReplicaSet",
            "metadata": {
                "name": self.new_name(),
                "namespace": access::namespace(self.deployment),
                "labels": template["metadata"]["labels"],
                "ownerReferences": [owner_reference(self.deployment)],
            },
            "spec": {"replicas": replicas, "selector": selector, "template": template},
        });
        if let Some(seconds) = spec.get("minReadySeconds") {
            set["spec"]["minReadySeconds"] = seconds.clone();
        }
        self.annotate_scale(&mut set);
        self.annotate_set(&mut set, self.next_revision());
        set
    }

    /// The Deployment says which revision it is at.
    fn annotate(&self, round: &mut Round<'_>) {
        let next = self.next_revision();
        if revision(self.deployment) != next && !(self.is_paused && self.new.is_none()) {
            let mut deployment = self.deployment.clone();
            access::set_metadata(&mut deployment, "annotations", REVISION, &next.to_string());
            round.update(deployment);
        }
    }

    /// Deletes ReplicaSets that are too far back in history, once the new one stands.
    fn clean_up(&self, round: &mut Round<'_>) {
        let Some(new) = &self.new else { return };
        if new.counts.available < self.bounds.wanted {
            return;
        }
        let limit =
            access::number(self.deployment, &["spec", "revisionHistoryLimit"]).unwrap_or(10);
        let limit = usize::try_from(limit).unwrap_or(0);
        let is_idle = |set: &&Set<'_>| set.wanted == 0 && set.counts.replicas == 0;
        let mut idle: Vec<_> = self.old.iter().filter(is_idle).collect();
        idle.sort_by_key(|set| set.revision);
        for set in idle.iter().take(idle.len().saturating_sub(limit)) {
            round.delete(set.object);
        }
    }

    fn status(&self, round: &mut Round<'_>) -> Json {
        let total = |of: fn(&Set<'_>) -> i64| self.sets().map(of).sum::<i64>();
        let available = total(|set| set.counts.available);
        let told = total(|set| set.wanted);
        let mut status = numbers(&[
            ("replicas", total(|set| set.counts.replicas)),
            ("updatedReplicas", self.new.as_ref().map_or(0, |set| set.counts.replicas)),
            ("readyReplicas", total(|set| set.counts.ready)),
            ("availableReplicas", available),
            ("unavailableReplicas", (told - available).max(0)),
        ]);
        if let Some(generation) = access::number(self.deployment, &["metadata", "generation"]) {
            status.insert("observedGeneration".to_owned(), Json::from(generation));
        }
        let terminating = total(|set| set.counts.terminating);
        status.insert("terminatingReplicas".to_owned(), Json::from(terminating));
        let mut status = Json::Object(status);
        let mut conditions = vec![self.available(round.now(), available)];
        conditions.extend(self.progressing(round, &status));
        if self.is_paused {
            // A Deployment that is made so says that first; what is there stays in its place.
            let before = access::list(self.deployment, &["status", "conditions"]);
            conditions.reverse();
            conditions.sort_by_key(|one| before.iter().position(|b| b["type"] == one["type"]));
        }
        status["conditions"] = Json::Array(conditions);
        status
    }

    fn available(&self, now: Timestamp, available: i64) -> Json {
        let is_enough = available >= self.bounds.wanted - self.bounds.unavailable;
        let (reason, message) = if is_enough {
            ("MinimumReplicasAvailable", "Deployment has minimum availability.")
        } else {
            ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
        };
        let condition = Condition::new("Available", is_enough, reason, message);
        self.entry(&condition, now, false)
    }

    /// An entry that also says when it was last more than repeated.
    fn entry(&self, condition: &Condition, now: Timestamp, is_news: bool) -> Json {
        let before = access::list(self.deployment, &["status", "conditions"]);
        let mut entry = condition.entry(before, now);
        let same = condition::find(before, condition.kind).filter(|before| {
            !is_news
                && ["status", "reason"].iter().all(|field| before.get(field) == entry.get(field))
        });
        let updated = same.and_then(|before| before.get("lastUpdateTime")).cloned();
        entry["lastUpdateTime"] = updated.unwrap_or_else(|| Json::from(time::seconds(now)));
        entry
    }

    /// Whether the update gets on, which is a matter of time.
    fn progressing(&self, round: &mut Round<'_>, status: &Json) -> Option<Json> {
        let deadline = access::number(self.deployment, &["spec", "progressDeadlineSeconds"]);
        let deadline = deadline.unwrap_or(600);
        let before = access::list(self.deployment, &["status", "conditions"]);
        let before = condition::find(before, "Progressing");
        if deadline >= NO_DEADLINE {
            return None;
        }
        let now = round.now();
        let reason =
            before.and_then(|before| access::text(before, &["reason"])).unwrap_or_default();
        let new = |status, reason: &str, message: String| Condition {
            kind: "Progressing",
            status,
            reason: reason.to_owned(),
            message,
        };
        let name = self.new_name();
        if self.is_paused {
            let paused = new("Unknown", "DeploymentPaused", "Deployment is paused".to_owned());
            return Some(self.entry(&paused, now, false));
        }
        if self.new.is_none() {
            let made =
                new("True", "NewReplicaSetCreated", format!("Created new replica set \"{name}\""));
            return Some(self.entry(&made, now, false));
        }
        let number = |field| access::number(status, &[field]).unwrap_or(0);
        let is_uniform = number("replicas") == number("updatedReplicas");
        if let Some(before) = before
            && reason == "NewReplicaSetAvailable"
            && is_uniform
        {
            return Some(before.clone());
        }
        let wanted = self.bounds.wanted;
        if is_uniform && number("replicas") == wanted && number("availableReplicas") == wanted {
            let message = format!("ReplicaSet \"{name}\" has successfully progressed.");
            return Some(self.entry(&new("True", "NewReplicaSetAvailable", message), now, false));
        }
        if before.is_none() || has_progressed(self.deployment, status) {
            let message = format!("ReplicaSet \"{name}\" is progressing.");
            return Some(self.entry(&new("True", "ReplicaSetUpdated", message), now, true));
        }
        let before = before?;
        if reason == "ProgressDeadlineExceeded" {
            return Some(before.clone());
        }
        let since = time::read(before, &["lastUpdateTime"]).unwrap_or(now);
        let deadline = std::time::Duration::from_secs(deadline.max(0).unsigned_abs());
        let end = time::after(since, deadline);
        if now < end {
            round.wake_at(end);
            return Some(before.clone());
        }
        let message = format!("ReplicaSet \"{name}\" has timed out progressing.");
        Some(self.entry(&new("False", "ProgressDeadlineExceeded", message), now, true))
    }
}

/// Whether a status is nearer to the end than the one before.
fn has_progressed(deployment: &Json, status: &Json) -> bool {
    let before = |field| access::number(deployment, &["status", field]).unwrap_or(0);
    let after = |field| access::number(status, &[field]).unwrap_or(0);
    let grows = |field| after(field) > before(field);
    let old_before = before("replicas") - before("updatedReplicas");
    let old_after = after("replicas") - after("updatedReplicas");
    ["updatedReplicas", "readyReplicas", "availableReplicas"].into_iter().any(grows)
        || old_after < old_before
}

fn revision(object: &Json) -> i64 {
    access::annotation(object, REVISION).and_then(|text| text.parse().ok()).unwrap_or(0)
}
