//! The kinds that a cluster serves: those of Kubernetes 1.35 that addons use, and what its CRDs add.

use std::sync::{Arc, OnceLock};

use serde_json::Value as Json;

use super::schema::Shape;
use super::ssa::Reach;
use crate::object::key::ObjectKey;

/// A kind at one version, as it is served.
#[derive(Clone, Debug, PartialEq)]
pub struct Kind {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// Of lists.
    pub list_kind: String,
    /// The plural in URLs.
    pub plural: String,
    /// The singular that people may type.
    pub singular: String,
    /// What people may type instead.
    pub short_names: Vec<String>,
    /// Such as `all`.
    pub categories: Vec<String>,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
    /// Whether `status` is written through a subresource only.
    pub has_status: bool,
    /// Whether it has a `scale` subresource.
    pub has_scale: bool,
    /// Whether `metadata.generation` counts the changes of its objects.
    pub has_generation: bool,
    /// Whether its objects are answers, which are not kept: reviews.
    pub is_review: bool,
    /// Of kinds that a CRD defines.
    pub custom: Option<Arc<Custom>>,
}

/// What a CRD says beyond names.
#[derive(Debug, PartialEq)]
pub struct Custom {
    /// The OpenAPI schema of the version; `null` when there is none.
    pub schema: Json,
    /// `additionalPrinterColumns`.
    pub columns: Vec<Json>,
    /// Where an object has the selector of its `scale`, as a path with dots.
    pub selector_path: Option<String>,
    /// What readers and writers are warned of.
    pub warning: Option<String>,
}

impl Kind {
    /// `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// `deployments.apps`, as messages name it.
    pub fn resource(&self) -> String {
        match self.group.as_str() {
            "" => self.plural.clone(),
            group => format!("{}.{group}", self.plural),
        }
    }

    /// Whether it is this built-in kind.
    pub fn is(&self, group: &str, kind: &str) -> bool {
        self.group == group && self.kind == kind
    }

    /// The identity of one of its objects.
    pub fn key(&self, namespace: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: self.group.clone(),
            kind: self.kind.clone(),
            namespace: if self.is_namespaced { namespace.to_owned() } else { String::new() },
            name: name.to_owned(),
        }
    }

    /// The type of its objects.
    pub fn shape(&self) -> Shape<'_> {
        match &self.custom {
            Some(custom) => Shape::CustomRoot(&custom.schema),
            None => Shape::built_in(&self.kind),
        }
    }

    /// Which part of an object a write to the object itself changes.
    pub fn reach(&self) -> Reach {
        if self.has_status { Reach::NotStatus } else { Reach::Whole }
    }
}

/// Flags of the table: `n` namespaced, `s` status, `c` scale, `g` generation, `a` in `all`,
/// `r` review.
type Row = (&'static str, &'static str, &'static str, &'static str, &'static str);

/// `apiVersion`, kind, plural, short names, flags.
const BUILT_IN: &[Row] = &[
    ("v1", "Binding", "bindings", "", "nr"),
    ("v1", "ConfigMap", "configmaps", "cm", "n"),
    ("v1", "Endpoints", "endpoints", "ep", "n"),
    ("v1", "Event", "events", "ev", "n"),
    ("v1", "LimitRange", "limitranges", "limits", "n"),
    ("v1", "Namespace", "namespaces", "ns", "s"),
    ("v1", "Node", "nodes", "no", "s"),
    ("v1", "PersistentVolume", "persistentvolumes", "pv", "s"),
    ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", "pvc", "ns"),
    ("v1", "Pod", "pods", "po", "nsga"),
    ("v1", "PodTemplate", "podtemplates", "", "ng"),
    ("v1", "ReplicationController", "replicationcontrollers", "rc", "nscga"),
    ("v1", "ResourceQuota", "resourcequotas", "quota", "ns"),
    ("v1", "Secret", "secrets", "", "n"),
    ("v1", "Service", "services", "svc", "nsa"),
    ("v1", "ServiceAccount", "serviceaccounts", "sa", "n"),
    (
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        "",
        "g",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicy",
        "validatingadmissionpolicies",
        "",
        "sg",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingAdmissionPolicyBinding",
        "validatingadmissionpolicybindings",
        "",
        "g",
    ),
    (
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        "",
        "g",
    ),
    (
        "apiextensions.k8s.io/v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
        "crd,crds",
        "sg",
    ),
    ("apiregistration.k8s.io/v1", "APIService", "apiservices", "", "s"),
    ("apps/v1", "ControllerRevision", "controllerrevisions", "", "n"),
    ("apps/v1", "DaemonSet", "daemonsets", "ds", "nsga"),
    ("apps/v1", "Deployment", "deployments", "deploy", "nscga"),
    ("apps/v1", "ReplicaSet", "replicasets", "rs", "nscga"),
    ("apps/v1", "StatefulSet", "statefulsets", "sts", "nscga"),
    ("authentication.k8s.io/v1", "SelfSubjectReview", "selfsubjectreviews", "", "r"),
    ("authentication.k8s.io/v1", "TokenReview", "tokenreviews", "", "r"),
    ("authorization.k8s.io/v1", "LocalSubjectAccessReview", "localsubjectaccessreviews", "", "nr"),
    ("authorization.k8s.io/v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews", "", "r"),
    ("authorization.k8s.io/v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews", "", "r"),
    ("authorization.k8s.io/v1", "SubjectAccessReview", "subjectaccessreviews", "", "r"),
    ("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "nsa"),
    ("autoscaling/v1", "HorizontalPodAutoscaler", "horizontalpodautoscalers", "hpa", "nsa"),
    ("batch/v1", "CronJob", "cronjobs", "cj", "nsga"),
    ("batch/v1", "Job", "jobs", "", "nsga"),
    (
        "certificates.k8s.io/v1",
        "CertificateSigningRequest",
        "certificatesigningrequests",
        "csr",
        "s",
    ),
    ("coordination.k8s.io/v1", "Lease", "leases", "", "n"),
    ("discovery.k8s.io/v1", "EndpointSlice", "endpointslices", "", "ng"),
    ("events.k8s.io/v1", "Event", "events", "ev", "n"),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema", "flowschemas", "", "sg"),
    (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
        "prioritylevelconfigurations",
        "",
        "sg",
    ),
    ("networking.k8s.io/v1", "Ingress", "ingresses", "ing", "nsg"),
    ("networking.k8s.io/v1", "IngressClass", "ingressclasses", "", "g"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", "netpol", "ng"),
    ("node.k8s.io/v1", "RuntimeClass", "runtimeclasses", "", ""),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets", "pdb", "nsg"),
    ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", "", ""),
    ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", "", ""),
    ("rbac.authorization.k8s.io/v1", "Role", "roles", "", "n"),
    ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "", "n"),
    ("scheduling.k8s.io/v1", "PriorityClass", "priorityclasses", "pc", "g"),
    ("storage.k8s.io/v1", "CSIDriver", "csidrivers", "", ""),
    ("storage.k8s.io/v1", "CSINode", "csinodes", "", ""),
    ("storage.k8s.io/v1", "CSIStorageCapacity", "csistoragecapacities", "", "n"),
    ("storage.k8s.io/v1", "StorageClass", "storageclasses", "sc", ""),
    ("storage.k8s.io/v1", "VolumeAttachment", "volumeattachments", "", "s"),
    ("storage.k8s.io/v1", "VolumeAttributesClass", "volumeattributesclasses", "vac", ""),
];

/// The kinds of Kubernetes itself. Of several versions the preferred one comes first.
pub fn built_in() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| BUILT_IN.iter().map(of_row).collect())
}

fn of_row((api_version, kind, plural, short_names, flags): &Row) -> Kind {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let has = |flag| flags.contains(flag);
    Kind {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: (*kind).to_owned(),
        list_kind: format!("{kind}List"),
        plural: (*plural).to_owned(),
        singular: kind.to_lowercase(),
        short_names: short_names
            .split(',')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        categories: if has('a') { vec!["all".to_owned()] } else { Vec::new() },
        is_namespaced: has('n'),
        has_status: has('s'),
        has_scale: has('c'),
        has_generation: has('g'),
        is_review: has('r'),
        custom: None,
    }
}

/// A built-in kind at its preferred version.
pub fn find(group: &str, kind: &str) -> Option<&'static Kind> {
    built_in().iter().find(|known| known.is(group, kind))
}

/// Whether Kubernetes itself defines the group.
pub fn is_built_in_group(group: &str) -> bool {
    built_in().iter().any(|kind| kind.group == group)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_name_of_its_own() {
        let mut seen = std::collections::BTreeSet::new();
        for kind in built_in() {
            assert!(seen.insert((kind.api_version(), kind.plural.clone())), "{kind:?}");
        }
    }

    #[test]
    fn a_kind_is_named_with_its_group() {
        assert_eq!(find("apps", "Deployment").unwrap().resource(), "deployments.apps");
        assert_eq!(find("", "Pod").unwrap().resource(), "pods");
        assert_eq!(find("autoscaling", "HorizontalPodAutoscaler").unwrap().version, "v2");
    }
}
