//! One look at the cluster, and what its controllers make of it.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::time;
use super::{Effect, View};
use crate::base::clock::Timestamp;
use crate::object::access;
use crate::object::key::ObjectKey;

/// What the controllers of one round share.
pub(super) struct Round<'a> {
    view: &'a View<'a>,
    /// Pods and ReplicaSets by the uid of the controller that they belong to.
    owned: BTreeMap<&'a str, Vec<&'a Json>>,
    /// ControllerRevisions by the same.
    revisions: BTreeMap<&'a str, Vec<&'a Json>>,
    effects: Vec<Effect>,
    wake: Option<Timestamp>,
}

impl<'a> Round<'a> {
    pub(super) fn new(view: &'a View<'a>) -> Self {
        let mut round = Self {
            view,
            owned: BTreeMap::new(),
            revisions: BTreeMap::new(),
            effects: Vec::new(),
            wake: None,
        };
        for (group, kind) in [("", "Pod"), ("apps", "ReplicaSet"), ("apps", "ControllerRevision")] {
            for object in round.of(group, kind) {
                let Some(owner) = controller_uid(object) else { continue };
                let is_revision = kind == "ControllerRevision";
                let by = if is_revision { &mut round.revisions } else { &mut round.owned };
                by.entry(owner).or_default().push(object);
            }
        }
        round
    }

    pub(super) fn now(&self) -> Timestamp {
        self.view.now
    }

    /// How many nodes there shall be.
    pub(super) fn nodes_wanted(&self) -> u32 {
        self.view.nodes
    }

    /// The objects of a kind, by namespace and name.
    pub(super) fn of(&self, group: &str, kind: &str) -> impl Iterator<Item = &'a Json> + use<'a> {
        let first = ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: String::new(),
            name: String::new(),
        };
        self.view
            .objects
            .range(first.clone()..)
            .take_while(move |(key, _)| key.group == first.group && key.kind == first.kind)
            .map(|(_, object)| object)
    }

    /// Whether there is such an object.
    pub(super) fn has(&self, key: &ObjectKey) -> bool {
        self.view.objects.contains_key(key)
    }

    /// The pods or ReplicaSets that a controller's object owns.
    pub(super) fn children(&self, owner: &Json) -> &[&'a Json] {
        self.owned.get(access::uid(owner)).map_or(&[], Vec::as_slice)
    }

    /// The ControllerRevisions that a controller's object owns.
    pub(super) fn revisions(&self, owner: &Json) -> &[&'a Json] {
        self.revisions.get(access::uid(owner)).map_or(&[], Vec::as_slice)
    }

    /// An object.
    pub(super) fn get(&self, key: &ObjectKey) -> Option<&'a Json> {
        self.view.objects.get(key)
    }

    /// Makes an object, unless somebody has taken its name: then there is nothing to be done.
    pub(super) fn create(&mut self, object: Json) {
        if !self.has(&access::key_of(&object)) {
            self.effects.push(Effect::Create(object));
        }
    }

    pub(super) fn update(&mut self, object: Json) {
        self.effects.push(Effect::Update(object));
    }

    pub(super) fn delete(&mut self, object: &Json) {
        self.effects.push(Effect::Delete(access::key_of(object)));
    }

    /// Writes the status, if it is another than before.
    pub(super) fn status(&mut self, object: &Json, status: Json) {
        let is_empty = |status: &Json| status.as_object().is_none_or(Map::is_empty);
        let before = object.get("status").unwrap_or(&Json::Null);
        if *before == status || (is_empty(before) && is_empty(&status)) {
            return;
        }
        let mut object = object.clone();
        object["status"] = status;
        self.effects.push(Effect::UpdateStatus(object));
    }

    /// Asks to be called again at a time, unless it has passed.
    pub(super) fn wake_at(&mut self, at: Timestamp) {
        if at > self.now() {
            self.wake = Some(self.wake.map_or(at, |wake| wake.min(at)));
        }
    }

    pub(super) fn finish(self) -> (Vec<Effect>, Option<Timestamp>) {
        (self.effects, self.wake)
    }
}

/// The uid of the owner that controls an object.
fn controller_uid(object: &Json) -> Option<&str> {
    access::list(object, &["metadata", "ownerReferences"])
        .iter()
        .find(|owner| access::at(owner, &["controller"]) == Some(&Json::Bool(true)))
        .and_then(|owner| access::text(owner, &["uid"]))
}

/// The kind of the owner that controls an object.
pub(super) fn controller_kind(object: &Json) -> Option<&str> {
    access::list(object, &["metadata", "ownerReferences"])
        .iter()
        .find(|owner| access::at(owner, &["controller"]) == Some(&Json::Bool(true)))
        .and_then(|owner| access::text(owner, &["kind"]))
}

/// The reference by which `owner` controls what it makes.
pub(super) fn owner_reference(owner: &Json) -> Json {
    json!({
        "apiVersion": access::api_version(owner),
        "kind": access::kind(owner),
        "name": access::name(owner),
        "uid": access::uid(owner),
        "controller": true,
        "blockOwnerDeletion": true,
    })
}

/// Whether somebody asked for the object's end.
pub(super) fn is_ending(object: &Json) -> bool {
    time::read(object, &["metadata", "deletionTimestamp"]).is_some()
}

/// A status of the numbers that are not zero, as Go's `omitempty` leaves it.
pub(super) fn numbers(fields: &[(&str, i64)]) -> Map<String, Json> {
    fields
        .iter()
        .filter(|(_, number)| *number != 0)
        .map(|(field, number)| ((*field).to_owned(), Json::from(*number)))
        .collect()
}
