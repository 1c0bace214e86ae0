//! What a cluster can do, as templates see it: its version and the API versions it serves.

use crate::object::apis;

/// API versions that Helm 3.22 takes for granted when it renders without a cluster, in its order.
pub const DEFAULT_API_VERSIONS: &[&str] = &[
    "v1",
    "admissionregistration.k8s.io/v1",
    "admissionregistration.k8s.io/v1alpha1",
    "admissionregistration.k8s.io/v1beta1",
    "internal.apiserver.k8s.io/v1alpha1",
    "apps/v1",
    "apps/v1beta1",
    "apps/v1beta2",
    "authentication.k8s.io/v1",
    "authentication.k8s.io/v1alpha1",
    "authentication.k8s.io/v1beta1",
    "authorization.k8s.io/v1",
    "authorization.k8s.io/v1beta1",
    "autoscaling/v1",
    "autoscaling/v2",
    "batch/v1",
    "batch/v1beta1",
    "certificates.k8s.io/v1",
    "certificates.k8s.io/v1beta1",
    "certificates.k8s.io/v1alpha1",
    "coordination.k8s.io/v1alpha2",
    "coordination.k8s.io/v1beta1",
    "coordination.k8s.io/v1",
    "discovery.k8s.io/v1",
    "discovery.k8s.io/v1beta1",
    "events.k8s.io/v1",
    "events.k8s.io/v1beta1",
    "extensions/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1",
    "flowcontrol.apiserver.k8s.io/v1beta1",
    "flowcontrol.apiserver.k8s.io/v1beta2",
    "flowcontrol.apiserver.k8s.io/v1beta3",
    "lifecycle.k8s.io/v1alpha1",
    "networking.k8s.io/v1",
    "networking.k8s.io/v1beta1",
    "node.k8s.io/v1",
    "node.k8s.io/v1alpha1",
    "node.k8s.io/v1beta1",
    "policy/v1",
    "policy/v1beta1",
    "rbac.authorization.k8s.io/v1",
    "rbac.authorization.k8s.io/v1beta1",
    "rbac.authorization.k8s.io/v1alpha1",
    "resource.k8s.io/v1",
    "resource.k8s.io/v1beta2",
    "resource.k8s.io/v1beta1",
    "resource.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1alpha3",
    "scheduling.k8s.io/v1beta1",
    "scheduling.k8s.io/v1",
    "storage.k8s.io/v1beta1",
    "storage.k8s.io/v1",
    "storage.k8s.io/v1alpha1",
    "storagemigration.k8s.io/v1",
    "storagemigration.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1beta1",
    "apiextensions.k8s.io/v1",
];

/// The version of Helm whose behaviour this is.
pub const HELM_VERSION: &str = "v3.22.0";

/// The Kubernetes version that Helm assumes without a cluster.
pub const DEFAULT_KUBE_VERSION: &str = "v1.37.0";

/// A Kubernetes version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubeVersion {
    /// Such as `v1.35.0`.
    pub version: String,
    /// The first number.
    pub major: String,
    /// The second number.
    pub minor: String,
}

impl KubeVersion {
    /// Reads a version: at least two numbers, perhaps behind a `v`; what follows them, such as a
    /// distribution's suffix, does not count.
    ///
    /// # Errors
    /// Helm's text.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bare = text.trim_start();
        let bare = bare.strip_prefix('v').unwrap_or(bare);
        let end = bare.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(bare.len());
        // A point counts only between two numbers.
        let mut numbers = Vec::new();
        for part in bare[..end].split('.') {
            match part.parse::<u32>() {
                Ok(number) => numbers.push(number.to_string()),
                Err(_) => break,
            }
        }
        match numbers.as_slice() {
            [] => Err(format!("could not parse {text:?} as version")),
            [_] => Err(format!("illegal version string {text:?}")),
            [major, minor, ..] => Ok(Self {
                version: format!("v{}", numbers.join(".")),
                major: major.clone(),
                minor: minor.clone(),
            }),
        }
    }
}

/// What templates see as `.Capabilities`.
#[derive(Clone, Debug)]
pub struct Capabilities {
    /// The cluster's version.
    pub kube_version: KubeVersion,
    /// Built-in ones first, then those of the render's input.
    pub api_versions: Vec<String>,
}

/// Which API versions a render without a cluster takes for granted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Served {
    /// What `helm template` does, whatever the version: [`DEFAULT_API_VERSIONS`].
    #[default]
    AsHelm,
    /// What a cluster of the version serves by itself, as an installation would find it.
    AsCluster,
}

impl Capabilities {
    /// Capabilities of a render without a cluster.
    ///
    /// # Errors
    /// When `kube_version` is no version.
    pub fn new(
        kube_version: &str,
        served: Served,
        api_versions: &[String],
    ) -> Result<Self, String> {
        let kube_version = KubeVersion::parse(kube_version)
            .map_err(|problem| format!("invalid kube version '{kube_version}': {problem}"))?;
        let minor = apis::minor(&kube_version.version);
        let mut served = match (served, minor) {
            (Served::AsCluster, Some(minor)) => apis::served(minor),
            _ => DEFAULT_API_VERSIONS.iter().map(|version| (*version).to_owned()).collect(),
        };
        served.extend(api_versions.iter().cloned());
        Ok(Self { kube_version, api_versions: served })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_serves_what_its_version_does_and_helm_what_it_knows() {
        let has = |version: &str, served, what: &str| {
            let capabilities = Capabilities::new(version, served, &["x.org/v1".to_owned()]);
            capabilities.unwrap().api_versions.iter().any(|one| one == what)
        };
        assert!(has("v1.24.0", Served::AsCluster, "policy/v1beta1/PodSecurityPolicy"));
        assert!(!has("v1.35.0", Served::AsCluster, "policy/v1beta1"));
        assert!(has("v1.35.0", Served::AsHelm, "policy/v1beta1"));
        assert!(has("v1.35.0", Served::AsCluster, "x.org/v1"));
    }

    #[test]
    fn versions_are_read_as_kubernetes_reads_them() {
        let cases = [
            ("1.31.0", Ok("v1.31.0 1 31")),
            ("v1.31", Ok("v1.31 1 31")),
            ("v1.29.4-gke.100+x", Ok("v1.29.4 1 29")),
            ("1.30+", Ok("v1.30 1 30")),
            ("1", Err("illegal version string \"1\"")),
            ("latest", Err("could not parse \"latest\" as version")),
        ];
        for (text, expected) in cases {
            let actual = KubeVersion::parse(text);
            let actual = actual.map(|v| format!("{} {} {}", v.version, v.major, v.minor));
            assert_eq!(actual.as_deref().map_err(String::as_str), expected, "{text}");
        }
    }
}
