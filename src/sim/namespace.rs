//! Namespaces: who may come in, and how one goes away with its content.

use serde_json::{Value as Json, json};

use super::delete::Deletion;
use super::kinds::{self, Kind};
use super::metadata::{self, is_ending};
use super::status::StatusError;
use super::store::Store;
use crate::object::key::ObjectKey;

/// Namespaces that every cluster begins with.
pub(super) const FIRST: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The identity of a namespace.
pub(super) fn key(name: &str) -> ObjectKey {
    ObjectKey {
        group: String::new(),
        kind: "Namespace".to_owned(),
        namespace: String::new(),
        name: name.to_owned(),
    }
}

/// Whether a new object may be in a namespace.
///
/// # Errors
/// 404 when the namespace is not there, 403 when it is going away.
pub(super) fn check(
    store: &Store,
    kind: &Kind,
    namespace: &str,
    name: &str,
) -> Result<(), StatusError> {
    if !kind.is_namespaced {
        return Ok(());
    }
    match store.get(&key(namespace)) {
        None => Err(StatusError::no_namespace(namespace)),
        Some(found) if is_ending(found) => Err(StatusError::terminating(kind, name, namespace)),
        Some(_) => Ok(()),
    }
}

/// One look at the namespaces that are going away. Tells whether anything was done.
pub(super) fn step(store: &mut Store) -> bool {
    let ending: Vec<ObjectKey> = store
        .keys("", "Namespace", "")
        .filter(|key| store.get(key).is_some_and(is_ending))
        .cloned()
        .collect();
    let mut is_busy = false;
    for key in ending {
        is_busy |= empty(store, &key);
    }
    is_busy
}

fn empty(store: &mut Store, key: &ObjectKey) -> bool {
    let content: Vec<ObjectKey> =
        store.objects().keys().filter(|other| other.namespace == key.name).cloned().collect();
    let mut is_busy = false;
    for other in &content {
        if store.get(other).is_some_and(|object| !is_ending(object)) {
            let grace = (other.kind == "Pod" && other.group.is_empty()).then_some(30);
            store.delete_object(other, &Deletion { grace, ..Deletion::default() });
            is_busy = true;
        }
    }
    if !content.is_empty() {
        return is_busy;
    }
    let Some(mut namespace) = store.get(key).cloned() else { return is_busy };
    namespace["spec"] = json!({});
    let managers = store.managers(key);
    store.put(key, namespace, managers);
    if store.get(key).is_some_and(super::prepare::is_over) {
        store.remove(key);
    }
    true
}

/// Makes the namespaces that every cluster begins with.
pub(super) fn begin(store: &mut Store) {
    let Some(kind) = kinds::find("", "Namespace") else { return };
    for name in FIRST {
        let mut namespace = json!({
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {
                "name": name, "uid": store.new_uid(),
                "creationTimestamp": metadata::time(store.now),
                "labels": {"kubernetes.io/metadata.name": name},
            },
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        });
        super::write::set_version(&mut namespace, kind);
        store.put(&key(name), namespace, super::ssa::Managers::default());
    }
}

/// The status of a namespace that was told to go.
pub(super) fn ending_status() -> Json {
    json!({"phase": "Terminating"})
}
