//! Deletion: at once, after a grace period, or once finalizers and dependants are gone; and the
//! collection of what has lost its owners.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value as Json, json};

use super::kinds::Kind;
use super::metadata::{self, finalizers, is_ending};
use super::prepare::is_over;
use super::status::StatusError;
use super::store::{Store, version_of};
use super::{crd, namespace};
use crate::object::access;
use crate::object::key::ObjectKey;

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What becomes of the objects that the deleted one owns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They go after it.
    #[default]
    Background,
    /// They go before it.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// How an object is deleted.
#[derive(Clone, Debug, Default)]
pub struct Deletion {
    /// Of what it owns.
    pub propagation: Propagation,
    /// Seconds until a pod is gone.
    pub grace: Option<i64>,
    /// Only the object with this uid; any when empty.
    pub uid: String,
    /// Only at this version; any when empty.
    pub resource_version: String,
    /// Whether nothing is kept.
    pub is_dry_run: bool,
}

/// What a deletion came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Deleted {
    /// It is gone; as it was last.
    Gone(Json),
    /// It will go; as it is now.
    Ending(Json),
}

impl Deletion {
    /// Reads `DeleteOptions`.
    pub fn read(options: &Json, kind: &Kind) -> Self {
        let text = |path: &[&str]| access::text(options, path).unwrap_or_default();
        let orphans = options.get("orphanDependents").and_then(Json::as_bool);
        let keeps = kind.is("batch", "Job") || kind.is("", "ReplicationController");
        let propagation = match (text(&["propagationPolicy"]), orphans) {
            ("Orphan", _) | ("", Some(true)) => Propagation::Orphan,
            ("Foreground", _) => Propagation::Foreground,
            ("", None) if keeps => Propagation::Orphan,
            _ => Propagation::Background,
        };
        Self {
            propagation,
            grace: access::number(options, &["gracePeriodSeconds"]).map(|grace| grace.max(0)),
            uid: text(&["preconditions", "uid"]).to_owned(),
            resource_version: text(&["preconditions", "resourceVersion"]).to_owned(),
            is_dry_run: !access::list(options, &["dryRun"]).is_empty(),
        }
    }
}

impl Store {
    /// Deletes an object that a request names.
    ///
    /// # Errors
    /// 404 when it is not there, 409 when it is not the one that is meant, 403 for a namespace
    /// that a cluster cannot be without.
    pub fn delete(
        &mut self,
        kind: &Kind,
        key: &ObjectKey,
        deletion: &Deletion,
    ) -> Result<Deleted, StatusError> {
        let missing = || StatusError::not_found(kind, &key.name);
        let object = self.get(key).ok_or_else(missing)?;
        let moved_on = |what: &str, given: &str, has: &str, since: &str| {
            let why = format!(
                "the {what} in the precondition ({given}) does not match the {what} in record \
                 ({has}). The object might have been {since}"
            );
            StatusError::conflict_of(&kind.kind, &kind.group, &key.name, &why)
        };
        let (uid, version) = (access::uid(object), version_of(object).to_string());
        if !deletion.uid.is_empty() && deletion.uid != uid {
            return Err(moved_on("UID", &deletion.uid, uid, "deleted and then recreated"));
        }
        let given = deletion.resource_version.as_str();
        if !given.is_empty() && given != version {
            return Err(moved_on("ResourceVersion", given, &version, "modified"));
        }
        if kind.is("", "Namespace") && namespace::FIRST.contains(&key.name.as_str()) {
            return Err(StatusError::forbidden(
                kind,
                &key.name,
                "this namespace may not be deleted",
            ));
        }
        self.delete_object(key, deletion).ok_or_else(missing)
    }

    /// Deletes an object without any question; `None` when it is not there.
    pub(super) fn delete_object(
        &mut self,
        key: &ObjectKey,
        deletion: &Deletion,
    ) -> Option<Deleted> {
        let before = self.get(key)?.clone();
        let grace = grace(key, &before, deletion);
        let mut object = before.clone();
        let mut waits: Vec<String> = finalizers(&before).into_iter().map(str::to_owned).collect();
        for (policy, name) in [(Propagation::Orphan, ORPHAN), (Propagation::Foreground, FOREGROUND)]
        {
            waits.retain(|other| other != name);
            if deletion.propagation == policy && self.has_dependants(access::uid(&before)) {
                waits.push(name.to_owned());
            }
        }
        let is_first = !is_ending(&before);
        let is_crd = key.kind == crd::KIND && key.group == crd::GROUP;
        if is_crd && is_first && !waits.iter().any(|other| other == crd::FINALIZER) {
            waits.push(crd::FINALIZER.to_owned());
        }
        metadata::set_finalizers(&mut object, &waits);
        let is_namespace = key.kind == "Namespace" && key.group.is_empty();
        if is_first {
            self.begin_end(&mut object, grace, is_crd);
            if is_namespace {
                object["status"] = namespace::ending_status();
            } else if is_crd {
                object["status"] = crd::ending_status(&before, self.now);
            }
        }
        if !is_namespace && !is_crd {
            let metadata = metadata::of(&mut object);
            let left = metadata.get("deletionGracePeriodSeconds").and_then(Json::as_i64);
            let grace = left.map_or(grace, |left| left.min(grace));
            metadata.insert("deletionGracePeriodSeconds".to_owned(), Json::from(grace));
        }
        if is_over(&object) {
            let is_kept = deletion.is_dry_run;
            let last = if is_kept { self.whole(key) } else { self.remove(key) };
            return last.map(Deleted::Gone);
        }
        if object == before {
            return self.whole(key).map(Deleted::Ending);
        }
        let managers = self.managers(key);
        Some(Deleted::Ending(self.put_unless(deletion.is_dry_run, key, object, managers)))
    }

    /// Notes that an object was told to go.
    fn begin_end(&self, object: &mut Json, grace: i64, is_crd: bool) {
        let at = self.now.saturating_add(Duration::from_secs(grace.unsigned_abs()));
        let at = metadata::time(at.unwrap_or(self.now));
        let metadata = metadata::of(object);
        metadata.insert("deletionTimestamp".to_owned(), Json::from(at));
        let generation = metadata.get("generation").and_then(Json::as_i64);
        if let Some(generation) = generation.filter(|_| !is_crd) {
            metadata.insert("generation".to_owned(), Json::from(generation + 1));
        }
    }

    fn has_dependants(&self, uid: &str) -> bool {
        self.objects().values().any(|object| owners(object).any(|owner| owner == uid))
    }
}

/// Seconds until an object is gone: only pods that run somewhere take time.
fn grace(key: &ObjectKey, object: &Json, deletion: &Deletion) -> i64 {
    let is_pod = key.kind == "Pod" && key.group.is_empty();
    let phase = access::text(object, &["status", "phase"]).unwrap_or_default();
    let node = access::text(object, &["spec", "nodeName"]).unwrap_or_default();
    if !is_pod || node.is_empty() || matches!(phase, "Succeeded" | "Failed") {
        return 0;
    }
    let own = access::number(object, &["spec", "terminationGracePeriodSeconds"]);
    deletion.grace.unwrap_or_else(|| own.unwrap_or(30)).max(0)
}

fn owners(object: &Json) -> impl Iterator<Item = &str> {
    access::list(object, &["metadata", "ownerReferences"])
        .iter()
        .filter_map(|owner| access::text(owner, &["uid"]))
}

/// One look at what has lost its owners and at owners that wait for what they own. Tells whether
/// anything was done.
pub fn collect(store: &mut Store) -> bool {
    let (doomed, changed) = decide(store);
    for (key, propagation) in &doomed {
        store.delete_object(key, &Deletion { propagation: *propagation, ..Deletion::default() });
    }
    for (key, object) in &changed {
        if store.get(key).is_none() {
            continue;
        }
        store.collector_writes(key, object);
        if is_over(object) {
            store.remove(key);
        }
    }
    !doomed.is_empty() || !changed.is_empty()
}

type Decided = (Vec<(ObjectKey, Propagation)>, BTreeMap<ObjectKey, Json>);

/// Which objects go, and which others change.
fn decide(store: &Store) -> Decided {
    let mut doomed = Vec::new();
    let mut changed = BTreeMap::new();
    let mut dependants: BTreeMap<&str, Vec<(&ObjectKey, &Json)>> = BTreeMap::new();
    for (key, object) in store.objects() {
        for owner in owners(object) {
            dependants.entry(owner).or_default().push((key, object));
        }
    }
    let waiting = || store.objects().iter().filter(|(_, object)| is_ending(object));
    if dependants.is_empty() && waiting().next().is_none() {
        return (doomed, changed);
    }
    let uids: BTreeMap<&str, &Json> =
        store.objects().values().map(|object| (access::uid(object), object)).collect();
    for (key, object) in store.objects().iter().filter(|(_, object)| !is_ending(object)) {
        let all: Vec<&str> = owners(object).collect();
        if !all.is_empty() && all.iter().all(|owner| !uids.contains_key(owner)) {
            doomed.push((key.clone(), Propagation::Background));
        } else if all.iter().any(|owner| !uids.contains_key(owner)) {
            let present: BTreeSet<&str> =
                all.iter().copied().filter(|owner| uids.contains_key(owner)).collect();
            changed.insert(key.clone(), with_owners(object, &present));
        }
    }
    for (key, crd) in waiting().filter(|(_, object)| finalizers(object).contains(&crd::FINALIZER)) {
        let mut instances = instances(store, crd).peekable();
        if instances.peek().is_none() {
            changed.insert(key.clone(), without_finalizer(crd, crd::FINALIZER));
        }
        let going = instances.filter(|key| store.get(key).is_some_and(|one| !is_ending(one)));
        doomed.extend(going.map(|key| (key.clone(), Propagation::Background)));
    }
    for (key, object) in waiting() {
        let uid = access::uid(object);
        let owned = dependants.get(uid).map_or(&[][..], Vec::as_slice);
        let names = finalizers(object);
        if names.contains(&ORPHAN) {
            for (key, dependant) in owned {
                let left: BTreeSet<&str> = owners(dependant).filter(|o| *o != uid).collect();
                changed.insert((*key).clone(), with_owners(dependant, &left));
            }
            changed.insert(key.clone(), without_finalizer(object, ORPHAN));
        } else if names.contains(&FOREGROUND) {
            let going = owned.iter().filter(|(_, dependant)| !is_ending(dependant));
            doomed.extend(going.map(|(key, _)| ((*key).clone(), Propagation::Foreground)));
            if !owned.iter().any(|(_, dependant)| blocks(dependant, uid)) {
                changed.insert(key.clone(), without_finalizer(object, FOREGROUND));
            }
        }
    }
    (doomed, changed)
}

/// The objects of the kind that a CRD defines.
fn instances<'a>(store: &'a Store, crd: &Json) -> impl Iterator<Item = &'a ObjectKey> {
    let text = |path: &[&str]| access::text(crd, path).unwrap_or_default().to_owned();
    let (group, kind) = (text(&["spec", "group"]), text(&["spec", "names", "kind"]));
    store.objects().keys().filter(move |key| key.group == group && key.kind == kind)
}

fn with_owners(object: &Json, left: &BTreeSet<&str>) -> Json {
    let mut object = object.clone();
    let kept: Vec<Json> = access::list(&object, &["metadata", "ownerReferences"])
        .iter()
        .filter(|owner| access::text(owner, &["uid"]).is_some_and(|uid| left.contains(uid)))
        .cloned()
        .collect();
    let metadata = metadata::of(&mut object);
    if kept.is_empty() {
        metadata.remove("ownerReferences");
    } else {
        metadata.insert("ownerReferences".to_owned(), json!(kept));
    }
    object
}

fn without_finalizer(object: &Json, name: &str) -> Json {
    let left: Vec<String> =
        finalizers(object).into_iter().filter(|other| *other != name).map(str::to_owned).collect();
    let mut object = object.clone();
    metadata::set_finalizers(&mut object, &left);
    object
}

fn blocks(dependant: &Json, owner: &str) -> bool {
    access::list(dependant, &["metadata", "ownerReferences"]).iter().any(|reference| {
        access::text(reference, &["uid"]) == Some(owner)
            && reference.get("blockOwnerDeletion").and_then(Json::as_bool).unwrap_or_default()
    })
}
