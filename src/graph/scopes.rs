//! Which kinds have namespaces, as far as that can be told without a cluster.

use std::collections::BTreeMap;

use crate::chart::model::Rendered;
use crate::object::access::text;
use crate::object::key::ObjectKey;
use crate::object::manifest::settled;

/// Which kinds have no namespace, and which CRDs define which kinds, as far as it can be known
/// without a cluster.
#[derive(Debug)]
pub struct Scopes {
    /// Group and kind to the CRD's key, and whether the kind has namespaces.
    defined: BTreeMap<(String, String), (ObjectKey, bool)>,
}

impl Scopes {
    /// As the built-in kinds and the CRDs of a release say.
    pub fn of(rendered: &Rendered) -> Self {
        let defined = rendered
            .crds
            .manifests
            .iter()
            .chain(&rendered.manifests)
            .filter(|manifest| manifest.key.kind == "CustomResourceDefinition")
            .filter_map(|crd| {
                let group = text(&crd.object, &["spec", "group"])?.to_owned();
                let kind = text(&crd.object, &["spec", "names", "kind"])?.to_owned();
                let is_namespaced = text(&crd.object, &["spec", "scope"]) != Some("Cluster");
                Some(((group, kind), (settled(&crd.key, false), is_namespaced)))
            })
            .collect();
        Self { defined }
    }

    /// The identity of an object: without a namespace where its kind has none.
    pub fn settle(&self, key: &ObjectKey) -> ObjectKey {
        let defined = self.defined.get(&(key.group.clone(), key.kind.clone()));
        let is_namespaced = match defined {
            Some((_, is_namespaced)) => *is_namespaced,
            None => !is_cluster_scoped(key),
        };
        settled(key, is_namespaced)
    }

    /// The CRD of the release that defines a kind, if there is one.
    pub fn definition(&self, key: &ObjectKey) -> Option<&ObjectKey> {
        self.defined.get(&(key.group.clone(), key.kind.clone())).map(|(crd, _)| crd)
    }
}

/// Kubernetes' own kinds without namespaces. Of others only a cluster knows.
fn is_cluster_scoped(key: &ObjectKey) -> bool {
    match key.group.as_str() {
        "" => matches!(key.kind.as_str(), "Namespace" | "Node" | "PersistentVolume"),
        "rbac.authorization.k8s.io" => key.kind.starts_with("ClusterRole"),
        "networking.k8s.io" => key.kind == "IngressClass",
        "storage.k8s.io" => key.kind != "CSIStorageCapacity",
        "policy" => key.kind == "PodSecurityPolicy",
        "admissionregistration.k8s.io"
        | "apiextensions.k8s.io"
        | "apiregistration.k8s.io"
        | "certificates.k8s.io"
        | "flowcontrol.apiserver.k8s.io"
        | "node.k8s.io"
        | "scheduling.k8s.io" => true,
        "gateway.networking.k8s.io" => key.kind == "GatewayClass",
        _ => false,
    }
}
