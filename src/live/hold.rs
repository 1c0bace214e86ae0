//! The veto of a cluster: an annotation with which whoever runs it holds changes off.

use crate::base::ids::OWN_NAMESPACE;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::object::access;

/// The annotation on [`OWN_NAMESPACE`], which need not be there; its value says why.
pub const ANNOTATION: &str = "fitout.dev/hold";

/// Why the cluster lets no rollout begin on it; none where it does not say so, or may not be asked.
///
/// # Errors
/// The cluster does not answer, so that it cannot be known.
pub async fn hold(client: &ClusterClient) -> Result<Option<String>, RequestError> {
    let namespaces = Resource::core("Namespace", "namespaces", false);
    let found = match client.get(&namespaces, "", OWN_NAMESPACE).await {
        Ok(found) => found,
        Err(RequestError::Forbidden { .. }) => None,
        Err(error) => return Err(error),
    };
    let annotations = found
        .as_ref()
        .and_then(|namespace| access::text(namespace, &["metadata", "annotations", ANNOTATION]));
    Ok(annotations.map(|why| {
        let why = if why.trim().is_empty() { "it does not say why" } else { why.trim() };
        format!(
            "the cluster, which holds changes off: {why} ({ANNOTATION} on namespace {OWN_NAMESPACE})"
        )
    }))
}
