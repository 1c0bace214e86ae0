//! Objects that are being deleted: since when, what holds them, and what can be done about it.

use serde_json::Value as Json;

use super::{Health, access, condition};

/// How an object is that is being deleted; `None` of any other.
pub(super) fn health(object: &Json) -> Option<Health> {
    since(object).map(|_| Health::progressing(words(object)))
}

/// Whether an object is being deleted.
pub fn is_under_way(object: &Json) -> bool {
    since(object).is_some()
}

fn since(object: &Json) -> Option<&str> {
    access::text(object, &["metadata", "deletionTimestamp"])
}

/// Since when an object is being deleted, and which finalizers hold it until what has happened.
pub fn words(object: &Json) -> String {
    let mut words = "is being deleted".to_owned();
    if let Some(since) = since(object) {
        words.push_str(" since ");
        words.push_str(since);
    }
    for (index, finalizer) in finalizers(object).into_iter().enumerate() {
        words.push_str(if index == 0 { ": " } else { "; " });
        words.push_str(&format!("finalizer `{finalizer}` holds it {}", until(object, finalizer)));
    }
    for remains in ["NamespaceContentRemaining", "NamespaceFinalizersRemaining"] {
        if let Some(remains) = condition(object, remains)
            && remains.is_true()
        {
            words.push_str(": ");
            words.push_str(remains.words());
        }
    }
    words
}

/// What people can do about an object that does not go away; `None` where time is all it takes.
pub fn help(object: &Json) -> Option<String> {
    let foreign = finalizers(object).into_iter().find(|name| known(name).is_none())?;
    let who = match setter(object, foreign) {
        Some(manager) => format!("see whether `{manager}` runs, which has set `{foreign}`"),
        None => format!("see whether the controller runs that `{foreign}` is for"),
    };
    let namespace = match access::namespace(object) {
        "" => String::new(),
        namespace => format!(" -n {namespace}"),
    };
    let group = access::group_of(access::api_version(object));
    let dot = if group.is_empty() { "" } else { "." };
    Some(format!(
        "{who}; if it is gone for good, `kubectl patch {}{dot}{group} {}{namespace} --type=merge \
         -p '{{\"metadata\":{{\"finalizers\":null}}}}'` lets the object go, and leaves undone what \
         the finalizer is for",
        access::kind(object).to_lowercase(),
        access::name(object),
    ))
}

fn finalizers(object: &Json) -> Vec<&str> {
    let of = |path: &[&str]| access::list(object, path).iter().filter_map(Json::as_str).collect();
    let mut all: Vec<&str> = of(&["metadata", "finalizers"]);
    if access::kind(object) == "Namespace" {
        let of_spec: Vec<&str> = of(&["spec", "finalizers"]);
        all.extend(of_spec);
    }
    all
}

/// What the finalizers of Kubernetes itself wait for.
fn known(finalizer: &str) -> Option<&'static str> {
    Some(match finalizer {
        "foregroundDeletion" => "until all that it owns is gone",
        "orphan" => "until nothing is owned by it any more",
        "kubernetes" => "until everything in it is gone",
        "kubernetes.io/pvc-protection" => "until no pod uses the claim",
        "kubernetes.io/pv-protection" => "until no claim is bound to the volume",
        "service.kubernetes.io/load-balancer-cleanup" => "until its load balancer is gone",
        "customresourcecleanup.apiextensions.k8s.io" => "until all objects of its kind are gone",
        "batch.kubernetes.io/job-tracking" => "until the Job controller has counted it",
        _ => return None,
    })
}

fn until(object: &Json, finalizer: &str) -> String {
    match (known(finalizer), setter(object, finalizer)) {
        (Some(until), _) => until.to_owned(),
        (None, Some(manager)) => format!("until `{manager}` takes it off"),
        (None, None) => "until its controller takes it off".to_owned(),
    }
}

/// Who write what a chart or a file says: a finalizer that is in there is another's to take off.
const WRITERS: [&str; 4] = ["fitout", "helm", "kubectl", "kubectl-client-side-apply"];

/// The field manager that has set a finalizer, if it is one that may take it off.
fn setter<'a>(object: &'a Json, finalizer: &str) -> Option<&'a str> {
    let value = format!("v:\"{finalizer}\"");
    let entries = access::list(object, &["metadata", "managedFields"]);
    let has_set = |entry: &&Json| {
        access::at(entry, &["fieldsV1", "f:metadata", "f:finalizers", &value]).is_some()
    };
    let manager = access::text(entries.iter().find(has_set)?, &["manager"])?;
    (!WRITERS.contains(&manager)).then_some(manager)
}
