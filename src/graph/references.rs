//! What an object says that it needs: the names of others in its fields.

use serde_json::Value as Json;

use super::objects::Need;
use crate::object::access::{list, text};
use crate::object::key::ObjectKey;

/// Another object, and how it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) need: Need,
    pub(super) kind: &'static str,
    pub(super) group: &'static str,
    /// `None` for kinds without namespaces.
    pub(super) namespace: Option<String>,
    pub(super) name: String,
}

const RBAC: &str = "rbac.authorization.k8s.io";

/// Everything an object refers to, in the order of its fields. `key` is the object's own, with its
/// namespace settled.
pub(super) fn of(key: &ObjectKey, object: &Json) -> Vec<Reference> {
    let mut found = Found { namespace: &key.namespace, references: Vec::new() };
    match (key.group.as_str(), key.kind.as_str()) {
        ("", "Pod") => found.pod(&object["spec"]),
        ("batch", "CronJob") => {
            found.pod(&object["spec"]["jobTemplate"]["spec"]["template"]["spec"]);
        }
        ("", "ServiceAccount") => {
            found.names(object, &["imagePullSecrets"], Need::Reads, "Secret");
            found.names(object, &["secrets"], Need::Reads, "Secret");
        }
        ("", "PersistentVolumeClaim") => found.claim(object),
        (RBAC, "RoleBinding" | "ClusterRoleBinding") => found.binding(object),
        ("networking.k8s.io", "Ingress") => found.ingress(object),
        ("autoscaling", "HorizontalPodAutoscaler") => {
            let target = &object["spec"]["scaleTargetRef"];
            if let Some((kind, group)) = text(target, &["kind"]).and_then(workload) {
                found.add(Need::Scales, (kind, group), text(target, &["name"]));
            }
        }
        ("apiregistration.k8s.io", "APIService") => found.service(&object["spec"]["service"]),
        ("admissionregistration.k8s.io", _) => {
            for webhook in list(object, &["webhooks"]) {
                found.service(&webhook["clientConfig"]["service"]);
            }
        }
        _ => {}
    }
    if workload(&key.kind).is_some_and(|(_, group)| group == key.group) {
        found.pod(&object["spec"]["template"]["spec"]);
        found.add(Need::Serves, ("Service", ""), text(object, &["spec", "serviceName"]));
    }
    found.references
}

/// A kind with a pod template, and its group.
fn workload(kind: &str) -> Option<(&'static str, &'static str)> {
    Some(match kind {
        "Deployment" => ("Deployment", "apps"),
        "StatefulSet" => ("StatefulSet", "apps"),
        "DaemonSet" => ("DaemonSet", "apps"),
        "ReplicaSet" => ("ReplicaSet", "apps"),
        "ReplicationController" => ("ReplicationController", ""),
        "Job" => ("Job", "batch"),
        _ => return None,
    })
}

struct Found<'a> {
    namespace: &'a str,
    references: Vec<Reference>,
}

impl Found<'_> {
    fn add(&mut self, need: Need, of: (&'static str, &'static str), name: Option<&str>) {
        self.push(need, of, Some(self.namespace.to_owned()), name);
    }

    fn push(
        &mut self,
        need: Need,
        (kind, group): (&'static str, &'static str),
        namespace: Option<String>,
        name: Option<&str>,
    ) {
        let Some(name) = name.filter(|name| !name.is_empty()) else { return };
        self.references.push(Reference { need, kind, group, namespace, name: name.to_owned() });
    }

    fn names(&mut self, object: &Json, path: &[&str], need: Need, kind: &'static str) {
        for item in list(object, path) {
            self.add(need, (kind, ""), text(item, &["name"]));
        }
    }

    fn pod(&mut self, spec: &Json) {
        let account = text(spec, &["serviceAccountName"]).or(text(spec, &["serviceAccount"]));
        self.add(Need::RunsAs, ("ServiceAccount", ""), account);
        self.names(spec, &["imagePullSecrets"], Need::Reads, "Secret");
        let class = text(spec, &["priorityClassName"]);
        self.push(Need::Has, ("PriorityClass", "scheduling.k8s.io"), None, class);
        for volume in list(spec, &["volumes"]) {
            self.volume(volume);
            let claim = text(volume, &["persistentVolumeClaim", "claimName"]);
            self.add(Need::Mounts, ("PersistentVolumeClaim", ""), claim);
            for source in list(volume, &["projected", "sources"]) {
                self.volume(source);
            }
        }
        for containers in ["initContainers", "containers"] {
            for container in list(spec, &[containers]) {
                self.environment(container);
            }
        }
    }

    fn volume(&mut self, volume: &Json) {
        let of_volume = text(volume, &["secret", "secretName"]);
        let secret = of_volume.or(text(volume, &["secret", "name"]));
        self.add(Need::Mounts, ("Secret", ""), secret);
        self.add(Need::Mounts, ("ConfigMap", ""), text(volume, &["configMap", "name"]));
    }

    fn environment(&mut self, container: &Json) {
        for variable in list(container, &["env"]) {
            let from = &variable["valueFrom"];
            self.add(Need::Reads, ("Secret", ""), text(from, &["secretKeyRef", "name"]));
            self.add(Need::Reads, ("ConfigMap", ""), text(from, &["configMapKeyRef", "name"]));
        }
        for from in list(container, &["envFrom"]) {
            self.add(Need::Reads, ("Secret", ""), text(from, &["secretRef", "name"]));
            self.add(Need::Reads, ("ConfigMap", ""), text(from, &["configMapRef", "name"]));
        }
    }

    fn claim(&mut self, claim: &Json) {
        let class = text(claim, &["spec", "storageClassName"]);
        self.push(Need::Has, ("StorageClass", "storage.k8s.io"), None, class);
        self.push(Need::Has, ("PersistentVolume", ""), None, text(claim, &["spec", "volumeName"]));
    }

    fn binding(&mut self, binding: &Json) {
        let role = &binding["roleRef"];
        let name = text(role, &["name"]);
        match text(role, &["kind"]) {
            Some("Role") => self.add(Need::Grants, ("Role", RBAC), name),
            _ => self.push(Need::Grants, ("ClusterRole", RBAC), None, name),
        }
        for subject in list(binding, &["subjects"]) {
            if text(subject, &["kind"]) == Some("ServiceAccount") {
                let namespace = text(subject, &["namespace"]).unwrap_or(self.namespace).to_owned();
                let account = ("ServiceAccount", "");
                self.push(Need::To, account, Some(namespace), text(subject, &["name"]));
            }
        }
    }

    fn ingress(&mut self, ingress: &Json) {
        let class = text(ingress, &["spec", "ingressClassName"]);
        self.push(Need::Has, ("IngressClass", "networking.k8s.io"), None, class);
        let service = |backend: &Json| text(backend, &["service", "name"]).map(str::to_owned);
        let mut services = vec![service(&ingress["spec"]["defaultBackend"])];
        for rule in list(ingress, &["spec", "rules"]) {
            for path in list(rule, &["http", "paths"]) {
                services.push(service(&path["backend"]));
            }
        }
        for name in services {
            self.add(Need::RoutesTo, ("Service", ""), name.as_deref());
        }
        for tls in list(ingress, &["spec", "tls"]) {
            self.add(Need::Reads, ("Secret", ""), text(tls, &["secretName"]));
        }
    }

    fn service(&mut self, service: &Json) {
        let namespace = text(service, &["namespace"]).unwrap_or(self.namespace).to_owned();
        let name = text(service, &["name"]);
        self.push(Need::RoutesTo, ("Service", ""), Some(namespace), name);
    }
}
