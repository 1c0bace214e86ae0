//! StatefulSets: pods with places and claims of their own, one after another.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::round::{Round, is_ending};
use super::{replicas, revision, volume};
use crate::object::access;

/// A StatefulSet and its pods.
struct Set<'a> {
    object: &'a Json,
    first: i64,
    wanted: i64,
    min_ready: i64,
    is_ordered: bool,
    /// The names of the revision that the pods had and of the one that they get.
    current: String,
    update: String,
    /// Pods by their place.
    pods: BTreeMap<i64, &'a Json>,
}

pub(super) fn run(round: &mut Round<'_>) {
    for object in round.of("apps", "StatefulSet") {
        if is_ending(object) {
            continue;
        }
        let hash = revision::record(round, object);
        let set = Set::read(round, object, revision::name(object, &hash));
        let ended = set.bring_on(round);
        let status = set.status(round, ended);
        round.status(object, status);
    }
}

impl<'a> Set<'a> {
    fn read(round: &Round<'a>, object: &'a Json, update: String) -> Self {
        let place = |pod: &Json| access::name(pod).rsplit_once('-')?.1.parse().ok();
        let pods = round.children(object).iter();
        let current = access::text(object, &["status", "currentRevision"]);
        Self {
            object,
            first: access::number(object, &["spec", "ordinals", "start"]).unwrap_or(0),
            wanted: replicas::wanted(object),
            min_ready: replicas::min_ready_seconds(object),
            is_ordered: access::text(object, &["spec", "podManagementPolicy"]) != Some("Parallel"),
            current: current.unwrap_or(&update).to_owned(),
            update,
            pods: pods.filter_map(|pod| Some((place(pod)?, *pod))).collect(),
        }
    }

    fn places(&self) -> std::ops::Range<i64> {
        self.first..self.first.saturating_add(self.wanted)
    }

    fn revision_of(pod: &Json) -> &str {
        access::label(pod, revision::HASH_LABEL).unwrap_or_default()
    }

    /// The next step: fill places, else empty those that are too many, else update. Gives how
    /// many pods the update has ended.
    fn bring_on(&self, round: &mut Round<'_>) -> i64 {
        let is_updating = self.fill(round) && self.empty(round) && self.update(round);
        i64::from(is_updating)
    }

    /// Makes missing pods, in order; whether all places are filled and, where order matters, up.
    fn fill(&self, round: &mut Round<'_>) -> bool {
        let mut is_filled = true;
        for place in self.places() {
            let is_up = match self.pods.get(&place) {
                None => {
                    self.make(round, place);
                    false
                }
                Some(pod) if replicas::is_over(pod) && !is_ending(pod) => {
                    round.delete(pod);
                    false
                }
                Some(pod) if self.is_ordered => replicas::is_available(round, pod, self.min_ready),
                Some(_) => true,
            };
            is_filled &= is_up;
            if !is_up && self.is_ordered {
                return false;
            }
        }
        is_filled
    }

    /// Ends the last pod that has no place; whether there is none.
    fn empty(&self, round: &mut Round<'_>) -> bool {
        let places = self.places();
        let mut others = self.pods.iter().rev().filter(|(place, _)| !places.contains(place));
        let Some((_, pod)) = others.next() else { return true };
        if !is_ending(pod) {
            round.delete(pod);
        }
        false
    }

    /// Ends the last pod of an old revision, once those behind it are up; whether it did.
    fn update(&self, round: &mut Round<'_>) -> bool {
        if access::text(self.object, &["spec", "updateStrategy", "type"]) == Some("OnDelete") {
            return false;
        }
        let from = self.first + self.partition();
        for (_, pod) in self.pods.range(from..self.places().end.max(from)).rev() {
            if Self::revision_of(pod) != self.update && !is_ending(pod) {
                round.delete(pod);
                return true;
            }
            if !replicas::is_available(round, pod, self.min_ready) {
                return false;
            }
        }
        false
    }

    fn partition(&self) -> i64 {
        let partition = ["spec", "updateStrategy", "rollingUpdate", "partition"];
        access::number(self.object, &partition).unwrap_or(0).max(0)
    }

    /// Makes the pod of a place and its claims. Below the partition, and where the update has not
    /// come yet, it comes back as it was.
    fn make(&self, round: &mut Round<'_>, place: i64) {
        let current = access::number(self.object, &["status", "currentReplicas"]).unwrap_or(0);
        let is_kept = place < self.first + self.partition()
            || (self.partition() == 0 && place < self.first + current);
        let old = revision::template(round, self.object, &self.current).filter(|_| is_kept);
        let revision = if old.is_some() { &self.current } else { &self.update };
        let mut owner = self.object.clone();
        if let Some(old) = old {
            owner["spec"]["template"] = old.clone();
        }
        let name = format!("{}-{place}", access::name(self.object));
        let labels = [
            (revision::HASH_LABEL, revision.as_str()),
            ("statefulset.kubernetes.io/pod-name", &name),
            ("apps.kubernetes.io/pod-index", &place.to_string()),
        ];
        let mut pod = replicas::pod(round, &owner, &name, &labels);
        pod["spec"]["hostname"] = Json::from(name.as_str());
        if let Some(service) = access::text(self.object, &["spec", "serviceName"]) {
            pod["spec"]["subdomain"] = Json::from(service);
        }
        volume::claims(round, self.object, &name, &mut pod);
        round.create(pod);
    }

    /// The status; pods that the update has just ended do not count as current any more, so that
    /// they come back as new ones.
    fn status(&self, round: &mut Round<'_>, ended: i64) -> Json {
        let pods: Vec<_> = self.pods.values().copied().collect();
        let counts = replicas::count(round, &pods, self.min_ready);
        let of = |revision: &str| {
            let is_of =
                |pod: &&&Json| replicas::is_active(pod) && Self::revision_of(pod) == revision;
            i64::try_from(pods.iter().filter(is_of).count()).unwrap_or(i64::MAX)
        };
        let updated = of(&self.update);
        let is_done = updated == counts.replicas
            && counts.replicas == self.wanted
            && counts.available == self.wanted;
        let current = if is_done { &self.update } else { &self.current };
        let mut status = json!({
            "replicas": counts.replicas, "availableReplicas": counts.available,
            "currentRevision": current, "updateRevision": self.update, "collisionCount": 0,
        });
        let optional = [
            ("readyReplicas", counts.ready),
            ("currentReplicas", (of(current) - ended).max(0)),
            ("updatedReplicas", updated),
        ];
        for (field, number) in optional {
            if number != 0 {
                status[field] = Json::from(number);
            }
        }
        if let Some(generation) = access::number(self.object, &["metadata", "generation"]) {
            status["observedGeneration"] = Json::from(generation);
        }
        status
    }
}
