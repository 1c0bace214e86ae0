//! What a kubeconfig says of one context, and what one that is data may not say.
//!
//! Does what `kube` does with a kubeconfig but for proxies: `kube` would take `NO_PROXY` for a list
//! of proxies that are not asked, and refuse a kubeconfig over an entry that it does not know.

use std::path::Path;

use kube::config::{AuthInfo, ExecAuthCluster, Kubeconfig, KubeconfigError};

/// One context.
#[derive(Debug)]
pub(super) struct Chosen {
    /// The server and its user, without a proxy.
    pub(super) config: kube::Config,
    /// The proxy that the kubeconfig names.
    pub(super) proxy_url: Option<String>,
    /// What a credential plugin is told that wants to know the cluster.
    pub(super) plugin_sees: Option<ExecAuthCluster>,
}

/// A context, or the current one. A context without a user, or with one that is not there, has no
/// credentials.
pub(super) fn chosen(
    kubeconfig: &Kubeconfig,
    context: Option<&str>,
) -> Result<Chosen, KubeconfigError> {
    let name = context.or(kubeconfig.current_context.as_deref()).filter(|name| !name.is_empty());
    let name = name.ok_or(KubeconfigError::CurrentContextNotSet)?;
    let context = kubeconfig.contexts.iter().find(|named| named.name == name);
    let context = context.and_then(|named| named.context.as_ref());
    let context = context.ok_or_else(|| KubeconfigError::LoadContext(name.to_owned()))?;
    let cluster = kubeconfig.clusters.iter().find(|named| named.name == context.cluster);
    let cluster = cluster.and_then(|named| named.cluster.as_ref());
    let cluster =
        cluster.ok_or_else(|| KubeconfigError::LoadClusterOfContext(context.cluster.clone()))?;
    let user = context.user.as_ref().and_then(|user| {
        let named = kubeconfig.auth_infos.iter().find(|named| named.name == *user);
        named.and_then(|named| named.auth_info.clone())
    });
    let server = cluster.server.as_deref().ok_or(KubeconfigError::MissingClusterUrl)?;
    let server = server.parse().map_err(KubeconfigError::ParseClusterUrl)?;
    let sees = ExecAuthCluster::try_from(cluster)?;
    let mut config = kube::Config::new(server);
    config.root_cert = sees.certificate_authority_data.as_deref().map(certificates).transpose()?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.auth_info = user.unwrap_or_default();
    Ok(Chosen { config, proxy_url: cluster.proxy_url.clone(), plugin_sees: Some(sees) })
}

fn certificates(text: &[u8]) -> Result<Vec<Vec<u8>>, KubeconfigError> {
    let blocks = pem::parse_many(text).map_err(KubeconfigError::ParseCertificates)?;
    let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
    Ok(certificates.map(pem::Pem::into_contents).collect())
}

/// Where a kubeconfig comes from that is data: others than whoever runs fitout can write it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// A Secret of the hub.
    Secret,
    /// A file of the fleet's repository, which is in this folder.
    Repository(&'a Path),
}

/// Why a kubeconfig that is data is not used: it would run a command, or read a file, on behalf
/// of whoever wrote it. Files of the repository itself are as good as the kubeconfig.
pub(super) fn refused(
    kubeconfig: &Kubeconfig,
    source: Source<'_>,
    runs_plugins: bool,
) -> Option<&'static str> {
    let users = kubeconfig.auth_infos.iter().filter_map(|named| named.auth_info.as_ref());
    let mut users = users.into_iter();
    if users.clone().any(|user| user.auth_provider.is_some()) {
        return Some("has an `auth-provider`, which is not taken from data");
    }
    if !runs_plugins && users.clone().any(|user| user.exec.is_some()) {
        return Some(
            "runs a command to log in: whoever may write it would run commands here, which \
             `--insecure-kubeconfig-exec` allows",
        );
    }
    let is_outside = |path: &String| match source {
        Source::Secret => true,
        Source::Repository(folder) => !super::connect::is_within(Path::new(path), folder),
    };
    let clusters = kubeconfig.clusters.iter().filter_map(|named| named.cluster.as_ref());
    let mut authorities = clusters.filter_map(|cluster| cluster.certificate_authority.as_ref());
    if users.any(|user| files(user).any(is_outside)) || authorities.any(is_outside) {
        return Some("names a file outside of it to log in, which is not allowed for data");
    }
    None
}

fn files(user: &AuthInfo) -> impl Iterator<Item = &String> {
    [&user.token_file, &user.client_certificate, &user.client_key].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str) -> Kubeconfig {
        let text = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: c\n\
             contexts: [{{name: c, context: {{cluster: c, user: u}}}}]\n\
             clusters: [{{name: c, cluster: {{server: \"https://c\", proxy-url: \"http://p\"}}}}]\n\
             users: [{{name: u, user: {user}}}]\n"
        );
        Kubeconfig::from_yaml(&text).unwrap()
    }

    const EXEC: &str = "{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh}}";

    #[test]
    fn a_kubeconfig_of_the_hub_runs_no_command_and_reads_no_file() {
        for (user, wanted) in [
            ("{token: t}", None),
            (EXEC, Some("runs a command")),
            ("{auth-provider: {name: gcp}}", Some("has an `auth-provider`")),
            ("{tokenFile: /a}", Some("names a file")),
            ("{client-certificate: /a}", Some("names a file")),
            ("{client-key: /a}", Some("names a file")),
        ] {
            let refused = refused(&of(user), Source::Secret, false);
            assert_eq!(refused.is_some(), wanted.is_some(), "{user}");
            assert!(refused.unwrap_or_default().starts_with(wanted.unwrap_or_default()));
        }
        assert_eq!(refused(&of(EXEC), Source::Secret, true), None);
    }

    #[test]
    fn a_kubeconfig_of_the_repository_reads_files_of_the_repository() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "t").unwrap();
        let source = Source::Repository(folder.path());
        let user = |path: &Path| of(&format!("{{tokenFile: {}}}", path.display()));
        assert_eq!(refused(&user(&file), source, false), None);
        assert!(refused(&user(&folder.path().join("../x")), source, false).is_some());
        assert!(refused(&of(EXEC), source, false).is_some());
    }

    #[test]
    fn a_context_is_its_cluster_and_its_user() {
        let Chosen { config, proxy_url, .. } = chosen(&of("{token: t}"), None).unwrap();
        assert_eq!(config.cluster_url, "https://c/");
        assert_eq!(proxy_url.as_deref(), Some("http://p"));
        assert!(config.auth_info.token.is_some());
        let error = chosen(&of("{}"), Some("d")).unwrap_err();
        assert!(matches!(error, KubeconfigError::LoadContext(name) if name == "d"));
    }
}
