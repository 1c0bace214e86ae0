//! Time: the controllers run as far as the clock has got, and not by themselves in between.

use serde_json::Value as Json;

use super::delete::{self, Deletion};
use super::kinds::{self, Kind};
use super::metadata;
use super::ssa::{Managers, Reach, Writer};
use super::store::{Rest, Store};
use super::workload::{self, Effect, View};
use super::{crd, namespace, prepare};
use crate::base::clock::Timestamp;
use crate::object::access;
use crate::object::key::ObjectKey;

/// Rounds at one instant: more mean that controllers undo each other's work.
const ROUNDS_MAX: usize = 200;
/// Instants on the way to the present, after a long pause.
const INSTANTS_MAX: usize = 5_000;

/// How long a container takes to end once it is told to; one that has less time is stopped.
const CONTAINER_ENDS_AFTER: i64 = 1;

/// When a pod that was told to end has ended; `None` for others, and for those that finalizers hold.
fn end_of_pod(pod: &Json) -> Option<Timestamp> {
    let deadline: Timestamp =
        access::text(pod, &["metadata", "deletionTimestamp"])?.parse().ok()?;
    let grace = access::number(pod, &["metadata", "deletionGracePeriodSeconds"]).unwrap_or(0);
    if grace == 0 {
        return None;
    }
    let told = deadline.as_second() - grace;
    Timestamp::from_second(told + grace.min(CONTAINER_ENDS_AFTER)).ok()
}

impl Store {
    /// Lets the controllers act up to `now`, in the order of their times. Time never runs
    /// backwards: an earlier `now` counts as the last one.
    pub fn advance(&mut self, now: Timestamp) {
        let now = now.max(self.now);
        for _ in 0..INSTANTS_MAX {
            match self.settle().and_then(|rest| rest.until) {
                Some(wake) if wake <= now && wake > self.now => self.now = wake,
                _ => break,
            }
        }
        if now > self.now {
            self.now = now;
            self.settle();
        }
        self.forget();
    }

    /// When the controllers will next have something to do by themselves.
    pub fn next_wake(&self) -> Option<Timestamp> {
        if let Some(rest) = self.resting() {
            return rest.until;
        }
        let own = workload::next_wake(&self.view());
        [own, self.pods_end().1].into_iter().flatten().min()
    }

    fn view(&self) -> View<'_> {
        View { objects: self.objects(), nodes: self.nodes, now: self.now }
    }

    /// The present state, if it is known that the controllers have nothing to do in it now.
    fn resting(&self) -> Option<Rest> {
        let is_now = |rest: &Rest| rest.version == self.version;
        self.rest.filter(is_now).filter(|rest| rest.until.is_none_or(|until| until > self.now))
    }

    /// Rounds of all controllers until nothing is left to do now; `None` when they do not come to
    /// an end.
    fn settle(&mut self) -> Option<Rest> {
        if let Some(rest) = self.resting() {
            return Some(rest);
        }
        self.rest = None;
        for _ in 0..ROUNDS_MAX {
            let (effects, wake) = workload::round(&self.view());
            let mut is_busy = !effects.is_empty();
            for effect in effects {
                self.carry_out(effect);
            }
            is_busy |= delete::collect(self);
            is_busy |= namespace::step(self);
            let (over, next_end) = self.pods_end();
            for key in &over {
                self.delete_object(key, &Deletion { grace: Some(0), ..Deletion::default() });
            }
            if !is_busy && over.is_empty() {
                let until = [wake, next_end].into_iter().flatten().min();
                self.rest = Some(Rest { version: self.version, until });
                return self.rest;
            }
        }
        None
    }

    /// Pods whose containers have ended after they were told to, and when the next ones will have.
    fn pods_end(&self) -> (Vec<ObjectKey>, Option<Timestamp>) {
        let mut over = Vec::new();
        let mut next = None;
        for key in self.keys("", "Pod", "") {
            let Some(end) = self.get(key).and_then(end_of_pod) else { continue };
            if end <= self.now {
                over.push(key.clone());
            } else {
                next = Some(next.map_or(end, |next: Timestamp| next.min(end)));
            }
        }
        (over, next)
    }

    fn carry_out(&mut self, effect: Effect) {
        match effect {
            Effect::Create(object) => self.controller_creates(object),
            Effect::Update(object) => self.controller_writes(object, Reach::NotStatus),
            Effect::UpdateStatus(object) => self.controller_writes(object, Reach::Status),
            Effect::Delete(key) => {
                let deletion = Deletion { grace: Some(0), ..Deletion::default() };
                self.delete_object(&key, &deletion);
            }
        }
    }

    fn controller_creates(&mut self, mut object: Json) {
        let key = access::key_of(&object);
        let Some(kind) = self.kind_of(&object) else { return };
        let key = kind.key(&key.namespace, &key.name);
        if self.get(&key).is_some() || namespace::check(self, &kind, &key.namespace, "").is_err() {
            return;
        }
        if prepare::decode(&kind, &mut object).is_err() {
            return;
        }
        let writer = self.controller(&kind, Reach::NotStatus);
        let managers = Managers::default().update(None, &object, kind.shape(), &writer);
        let write = super::write::Write {
            kind: &kind,
            namespace: &key.namespace,
            name: &key.name,
            reach: kind.reach(),
            manager: "",
            is_dry_run: false,
            validation: super::write::Validation::Ignore,
        };
        prepare::finish(self, &kind, None, &mut object, &write);
        // The one that it was given already.
        self.new_uid();
        self.put(&key, object, managers);
    }

    /// What a controller wrote: it read the object in the same round, so there is no conflict.
    fn controller_writes(&mut self, mut object: Json, reach: Reach) {
        let key = access::key_of(&object);
        let Some(kind) = self.kind_of(&object) else { return };
        let key = kind.key(&key.namespace, &key.name);
        let Some(old) = self.get(&key).cloned() else { return };
        metadata::restore(&mut object, Some(&old));
        prepare::limit_reach(&old, &mut object, reach);
        let version = access::resource_version(&old).to_owned();
        metadata::of(&mut object).insert("resourceVersion".to_owned(), Json::from(version));
        if object == old {
            return;
        }
        if kind.has_generation && metadata::is_other_content(&old, &object) {
            let generation = access::number(&old, &["metadata", "generation"]).unwrap_or(0) + 1;
            metadata::of(&mut object).insert("generation".to_owned(), Json::from(generation));
        }
        let writer = self.controller(&kind, reach);
        let managers = self.managers(&key).update(Some(&old), &object, kind.shape(), &writer);
        let is_over = prepare::is_over(&object);
        self.put(&key, object, managers);
        if is_over {
            self.remove(&key);
        }
    }

    /// What the garbage collector wrote: as any controller, but of the metadata.
    pub(super) fn collector_writes(&mut self, key: &ObjectKey, object: &Json) {
        let Some(old) = self.get(key).cloned() else { return };
        let mut managers = self.managers(key);
        if let Some(kind) = self.kind_of(object) {
            let writer = self.controller(&kind, Reach::Whole);
            managers = managers.update(Some(&old), object, kind.shape(), &writer);
        }
        self.put(key, object.clone(), managers);
    }

    fn controller(&self, kind: &Kind, reach: Reach) -> Writer<'static> {
        let is_kubelet = matches!(kind.kind.as_str(), "Pod" | "Node") && reach == Reach::Status;
        let name = if is_kubelet { "kubelet" } else { "kube-controller-manager" };
        Writer { name, api_version: kind.api_version(), reach, now: self.now }
    }

    /// The kind of an object that is stored.
    pub(super) fn kind_of(&self, object: &Json) -> Option<Kind> {
        let group = access::group_of(access::api_version(object));
        let name = access::kind(object);
        kinds::find(group, name).cloned().or_else(|| {
            let mut all = crd::all(self.objects()).flat_map(crd::kinds);
            all.find(|kind| kind.is(group, name))
        })
    }

    /// Makes what a cluster begins with.
    pub(super) fn begin(&mut self) {
        namespace::begin(self);
        let now = self.now;
        self.advance(now);
    }
}
