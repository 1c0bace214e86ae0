//! The objects of a cluster with their versions, and what has changed lately.
//!
//! Knows keys and bytes, not the rules of writing; those are in [`super::write`].

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use serde_json::Value as Json;

use super::metadata;
use super::ssa::Managers;
use crate::base::clock::Timestamp;
use crate::object::access;
use crate::object::key::ObjectKey;

/// Changes that are kept for watches at most.
const HISTORY_MAX: usize = 1_000;
/// How long changes are kept, in seconds: as long as a real server keeps them.
const HISTORY_SECONDS: i64 = 300;

/// The state of one cluster.
#[derive(Clone, Debug)]
pub struct Store {
    /// The cluster's name.
    pub name: String,
    /// How many nodes it has.
    pub nodes: u32,
    /// The time that its controllers have got to; never runs backwards.
    pub now: Timestamp,
    pub(super) version: u64,
    pub(super) uids: u64,
    pub(super) objects: BTreeMap<ObjectKey, Json>,
    pub(super) managers: BTreeMap<ObjectKey, Managers>,
    /// Objects as they are given out: made once for each change.
    wholes: BTreeMap<ObjectKey, Arc<Json>>,
    history: VecDeque<Arc<Change>>,
    /// Changes up to this version are no longer kept.
    forgotten: u64,
    /// Where its controllers had nothing left to do.
    pub(super) rest: Option<Rest>,
}

/// A version at which the controllers have nothing to do.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rest {
    pub(super) version: u64,
    /// Until when, if nobody changes anything.
    pub(super) until: Option<Timestamp>,
}

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangeKind {
    /// It came.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

/// One change.
#[derive(Debug)]
pub struct Change {
    /// The cluster's version after it.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What happened.
    pub kind: ChangeKind,
    /// To what.
    pub key: ObjectKey,
    /// The object after it, or the last one.
    pub object: Arc<Json>,
    /// The object before it.
    pub before: Option<Arc<Json>>,
}

impl Store {
    /// An empty cluster.
    pub fn new(name: &str, nodes: u32, now: Timestamp) -> Self {
        Self {
            name: name.to_owned(),
            nodes,
            now,
            version: 1,
            uids: 0,
            objects: BTreeMap::new(),
            managers: BTreeMap::new(),
            wholes: BTreeMap::new(),
            history: VecDeque::new(),
            forgotten: 1,
            rest: None,
        }
    }

    /// The version of the last change.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// A stored cluster; changes before are not known.
    pub(super) fn restored(mut self) -> Self {
        self.forgotten = self.version;
        let whole = |(key, object): (&ObjectKey, &Json)| {
            (key.clone(), Arc::new(with_managers(object, self.managers.get(key))))
        };
        self.wholes = self.objects.iter().map(whole).collect();
        self
    }

    /// A uid that no object of this cluster has had.
    pub fn new_uid(&mut self) -> String {
        self.uids += 1;
        metadata::uid(&self.name, self.uids)
    }

    /// The uid that [`Self::new_uid`] would give.
    pub fn next_uid(&self) -> String {
        metadata::uid(&self.name, self.uids + 1)
    }

    /// An object, without `managedFields`.
    pub fn get(&self, key: &ObjectKey) -> Option<&Json> {
        self.objects.get(key)
    }

    /// All objects, without `managedFields`.
    pub fn objects(&self) -> &BTreeMap<ObjectKey, Json> {
        &self.objects
    }

    /// Who owns which fields of an object.
    pub fn managers(&self, key: &ObjectKey) -> Managers {
        self.managers.get(key).cloned().unwrap_or_default()
    }

    /// An object as it is given out.
    pub fn whole(&self, key: &ObjectKey) -> Option<Json> {
        self.shared(key).map(Arc::unwrap_or_clone)
    }

    /// As [`Self::whole`], without a copy.
    pub fn shared(&self, key: &ObjectKey) -> Option<Arc<Json>> {
        self.wholes.get(key).cloned()
    }

    /// The keys of the objects of a kind, in one namespace or, when empty, in all, in order.
    pub fn keys<'a>(
        &'a self,
        group: &'a str,
        kind: &'a str,
        namespace: &'a str,
    ) -> impl Iterator<Item = &'a ObjectKey> {
        let first = ObjectKey {
            group: group.to_owned(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        self.objects.range(first..).map(|(key, _)| key).take_while(move |key| {
            key.group == group
                && key.kind == kind
                && (namespace.is_empty() || key.namespace == namespace)
        })
    }

    /// Keeps an object. Gives it as it is then, with its new `resourceVersion`.
    pub fn put(&mut self, key: &ObjectKey, mut object: Json, managers: Managers) -> Json {
        self.version += 1;
        let version = self.version;
        let text = Json::from(version.to_string());
        metadata::of(&mut object).insert("resourceVersion".to_owned(), text);
        if is_inert(key, &object)
            && let Some(rest) = &mut self.rest
            && rest.version + 1 == version
        {
            rest.version = version;
        }
        let before = self.shared(key);
        let whole = Arc::new(with_managers(&object, Some(&managers)));
        self.objects.insert(key.clone(), object);
        self.managers.insert(key.clone(), managers);
        self.wholes.insert(key.clone(), Arc::clone(&whole));
        let kind = if before.is_some() { ChangeKind::Modified } else { ChangeKind::Added };
        self.remember(kind, key, Arc::clone(&whole), before);
        Arc::unwrap_or_clone(whole)
    }

    /// Removes an object. Gives it as it was last.
    pub fn remove(&mut self, key: &ObjectKey) -> Option<Json> {
        let before = self.shared(key)?;
        self.version += 1;
        self.objects.remove(key);
        self.managers.remove(key);
        self.wholes.remove(key);
        let mut last = Json::clone(&before);
        let version = Json::from(self.version.to_string());
        metadata::of(&mut last).insert("resourceVersion".to_owned(), version);
        self.remember(ChangeKind::Deleted, key, Arc::new(last.clone()), Some(before));
        Some(last)
    }

    fn remember(
        &mut self,
        kind: ChangeKind,
        key: &ObjectKey,
        object: Arc<Json>,
        before: Option<Arc<Json>>,
    ) {
        let (version, at) = (self.version, self.now);
        let change = Change { version, at, kind, key: key.clone(), object, before };
        self.history.push_back(Arc::new(change));
        self.forget();
    }

    /// Forgets changes that are too old or too many.
    pub fn forget(&mut self) {
        let oldest = self.now.as_second() - HISTORY_SECONDS;
        while let Some(first) = self.history.front()
            && (self.history.len() > HISTORY_MAX || first.at.as_second() < oldest)
        {
            self.forgotten = first.version;
            self.history.pop_front();
        }
    }

    /// The changes of a kind's objects after a version, oldest first; `Err` with the oldest
    /// version that can be asked for when that is too long ago.
    pub fn changes_since(&self, version: u64) -> Result<Vec<Arc<Change>>, u64> {
        if version < self.forgotten {
            return Err(self.forgotten);
        }
        let at = self.history.partition_point(|change| change.version <= version);
        Ok(self.history.range(at..).cloned().collect())
    }
}

/// Whether no controller has anything to do because of what was written: data that nobody owns, and that nobody
/// wants to be gone.
fn is_inert(key: &ObjectKey, object: &Json) -> bool {
    let metadata = &object["metadata"];
    key.group.is_empty()
        && matches!(key.kind.as_str(), "ConfigMap" | "Secret")
        && metadata["ownerReferences"].is_null()
        && metadata["deletionTimestamp"].is_null()
}

fn with_managers(object: &Json, managers: Option<&Managers>) -> Json {
    let mut object = object.clone();
    if let Some(managers) = managers.filter(|managers| !managers.0.is_empty()) {
        metadata::of(&mut object).insert("managedFields".to_owned(), managers.to_json());
    }
    object
}

/// The number of a `resourceVersion`; 0 for none.
pub fn version_of(object: &Json) -> u64 {
    access::resource_version(object).parse().unwrap_or_default()
}
