//! Flags of `helm template` that are not ours: accepted where they change nothing in its output,
//! refused in so many words where they would.

use crate::cli::exit::CommandError;

/// Flags that make no difference to what is printed, for scripts that pass them.
#[derive(Debug, clap::Args)]
pub(super) struct Ignored {
    #[arg(long, hide = true)]
    atomic: bool,
    #[arg(long, hide = true)]
    create_namespace: bool,
    #[arg(long, hide = true)]
    debug: bool,
    #[arg(long, hide = true)]
    description: Option<String>,
    #[arg(long, hide = true)]
    disable_openapi_validation: bool,
    #[arg(long, hide = true)]
    force: bool,
    #[arg(long, hide = true)]
    hide_notes: bool,
    #[arg(short, long, hide = true)]
    labels: Vec<String>,
    #[arg(long, hide = true)]
    render_subchart_notes: bool,
    #[arg(long, hide = true)]
    replace: bool,
    #[arg(long, hide = true)]
    skip_crds: bool,
    #[arg(long, hide = true)]
    take_ownership: bool,
    #[arg(long, hide = true)]
    timeout: Option<String>,
    #[arg(long, hide = true)]
    wait: bool,
    #[arg(long, hide = true)]
    wait_for_jobs: bool,
    #[arg(long, hide = true)]
    burst_limit: Option<String>,
    #[arg(long, hide = true)]
    qps: Option<String>,
    #[arg(long, hide = true)]
    kube_apiserver: Option<String>,
    #[arg(long, hide = true)]
    kube_as_group: Vec<String>,
    #[arg(long, hide = true)]
    kube_as_user: Option<String>,
    #[arg(long, hide = true)]
    kube_ca_file: Option<String>,
    #[arg(long, hide = true)]
    kube_context: Option<String>,
    #[arg(long, hide = true)]
    kube_insecure_skip_tls_verify: bool,
    #[arg(long, hide = true)]
    kube_tls_server_name: Option<String>,
    #[arg(long, hide = true)]
    kube_token: Option<String>,
    #[arg(long, hide = true)]
    registry_config: Option<String>,
    #[arg(long, hide = true)]
    repository_cache: Option<String>,
    #[arg(long, hide = true)]
    repository_config: Option<String>,
    #[arg(long, hide = true)]
    keyring: Option<String>,
}

/// Flags whose work `fitout template` does not do.
#[derive(Debug, clap::Args)]
pub(super) struct Refused {
    /// Refused: a render asks no cluster
    #[arg(long)]
    validate: bool,
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    dry_run: Option<String>,
    #[arg(long, hide = true)]
    dependency_update: bool,
    #[arg(long, hide = true)]
    enable_dns: bool,
    #[arg(long, hide = true)]
    post_renderer: Option<String>,
    #[arg(long, hide = true)]
    post_renderer_args: Vec<String>,
    #[arg(long, hide = true)]
    verify: bool,
    #[arg(long, hide = true)]
    username: Option<String>,
    #[arg(long, hide = true)]
    password: Option<String>,
    #[arg(long, hide = true)]
    pass_credentials: bool,
    #[arg(long, hide = true)]
    ca_file: Option<String>,
    #[arg(long, hide = true)]
    cert_file: Option<String>,
    #[arg(long, hide = true)]
    key_file: Option<String>,
    #[arg(long, hide = true)]
    insecure_skip_tls_verify: bool,
    #[arg(long, hide = true)]
    plain_http: bool,
}

const CLUSTER: &str = "`fitout diff` compares with a cluster by server-side dry run";
const CREDENTIALS: &str = "a ChartRepository document names the variable that holds them";
const ROOTS: &str = "`SSL_CERT_FILE` names the certificates that are trusted";

impl Refused {
    /// Refuses the first of them that was given.
    ///
    /// # Errors
    /// [`CommandError::Usage`], with what to do instead.
    pub(super) fn check(&self) -> Result<(), CommandError> {
        let asks_cluster = "asks a cluster, which `fitout template` never does";
        let dry_run = self.dry_run.as_deref();
        let no_credentials = "is not taken: a command line is no place for credentials";
        let no_tls = "is not supported";
        let rules = [
            (self.validate, "--validate", asks_cluster, CLUSTER),
            (dry_run == Some("server"), "--dry-run=server", asks_cluster, CLUSTER),
            (
                self.dependency_update,
                "--dependency-update",
                "downloads subcharts, which `fitout template` never does",
                "`helm dependency update` does it; the subcharts are then committed",
            ),
            (
                self.enable_dns,
                "--enable-dns",
                "lets charts ask a name server, which would make renders differ",
                "give the address as a value",
            ),
            (
                self.post_renderer.is_some() || !self.post_renderer_args.is_empty(),
                "--post-renderer",
                "runs a program, which `fitout template` never does",
                "send the output through a pipe",
            ),
            (
                self.verify,
                "--verify",
                "is not supported yet",
                "an index's digest is always checked",
            ),
            (self.username.is_some(), "--username", no_credentials, CREDENTIALS),
            (self.password.is_some(), "--password", no_credentials, CREDENTIALS),
            (self.pass_credentials, "--pass-credentials", no_credentials, CREDENTIALS),
            (self.ca_file.is_some(), "--ca-file", no_tls, ROOTS),
            (self.cert_file.is_some(), "--cert-file", no_tls, ROOTS),
            (self.key_file.is_some(), "--key-file", no_tls, ROOTS),
            (self.insecure_skip_tls_verify, "--insecure-skip-tls-verify", no_tls, ROOTS),
            (self.plain_http, "--plain-http", no_tls, "`--repo http://…` is plain HTTP"),
        ];
        match rules.into_iter().find(|(is_given, ..)| *is_given) {
            None => Ok(()),
            Some((_, flag, why, help)) => Err(CommandError::Usage {
                message: format!("{flag} {why}"),
                help: vec![help.to_owned()],
            }),
        }
    }
}
