//! The annotation of client-side `kubectl apply`, and what it means once `kubectl apply
//! --server-side` takes over: no conflict with oneself.

use serde_json::Value as Json;

use super::metadata;
use super::schema::Shape;
use super::ssa::Conflict;
use super::typed;
use crate::object::access;

/// Where client-side apply notes what it applied.
const ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Whose server-side apply this is about.
const MANAGER: &str = "kubectl";

/// The conflicts that are left when `manager` may take over what the annotation of `live` says.
pub(super) fn without_own(
    conflicts: Vec<Conflict>,
    live: Option<&Json>,
    manager: &str,
    shape: Shape<'_>,
) -> Vec<Conflict> {
    let Some(text) = live.and_then(annotation).filter(|_| manager == MANAGER) else {
        return conflicts;
    };
    let Ok(config) = serde_json::from_str::<Json>(text) else { return conflicts };
    let own = typed::set_of(&config, shape).paths();
    conflicts.into_iter().filter(|conflict| !own.contains(&conflict.path)).collect()
}

/// Notes in the annotation, where there is one, what `manager` has applied on the server.
pub(super) fn follow(object: &mut Json, config: &Json, manager: &str) {
    if manager != MANAGER || annotation(object).is_none() {
        return;
    }
    let mut config = config.clone();
    let annotations = metadata::of(&mut config).get_mut("annotations");
    if let Some(annotations) = annotations.and_then(Json::as_object_mut) {
        annotations.remove(ANNOTATION);
    }
    let text = format!("{config}\n");
    let annotations = metadata::of(object).get_mut("annotations").and_then(Json::as_object_mut);
    if let Some(annotations) = annotations {
        annotations.insert(ANNOTATION.to_owned(), Json::from(text));
    }
}

fn annotation(object: &Json) -> Option<&str> {
    access::text(object, &["metadata", "annotations", ANNOTATION])
}
