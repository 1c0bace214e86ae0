//! Credential plugins: commands that a kubeconfig names to log in.

use std::io::IsTerminal as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use kube::config::{ExecAuthCluster, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;
use tokio::process::Command;
use tokio::sync::Mutex;

/// How long a plugin may take that asks nobody anything.
const LIMIT: Duration = Duration::from_secs(30);
/// How long somebody may take to log in.
const LIMIT_OF_PEOPLE: Duration = Duration::from_mins(5);
/// How much of what a plugin says is told.
const SAID_MAX: usize = 400;

/// A plugin that gave no credentials. What it printed to stdout is never told.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// The kubeconfig names no command.
    #[error("the credential plugin of the kubeconfig has no `command`")]
    NoCommand,
    /// It is not there, or cannot be run.
    #[error("the credential plugin `{command}` cannot be run{}", where_from(.hint))]
    NotRun {
        /// The command.
        command: String,
        /// The kubeconfig's words about where to get it.
        hint: String,
        /// What happened.
        source: std::io::Error,
    },
    /// It asks somebody, and nobody is there.
    #[error("the credential plugin `{command}` wants a terminal, and there is none")]
    NoTerminal {
        /// The command.
        command: String,
    },
    /// It did not end.
    #[error("the credential plugin `{command}` has not ended after {} s", .limit.as_secs())]
    TimedOut {
        /// The command.
        command: String,
        /// How long was waited.
        limit: Duration,
    },
    /// It says that it failed.
    #[error("the credential plugin `{command}` failed ({status}){}", said(.stderr))]
    Failed {
        /// The command.
        command: String,
        /// How it ended.
        status: ExitStatus,
        /// The end of its stderr.
        stderr: String,
    },
    /// What it printed is not what the protocol says.
    #[error("the credential plugin `{command}` printed no ExecCredential {reason}")]
    NotUnderstood {
        /// The command.
        command: String,
        /// What is wrong.
        reason: &'static str,
    },
}

fn where_from(hint: &str) -> String {
    if hint.is_empty() { String::new() } else { format!(" ({})", hint.trim()) }
}

fn said(stderr: &str) -> String {
    if stderr.is_empty() { String::new() } else { format!(": {stderr}") }
}

/// What a plugin gave.
#[derive(Debug)]
pub(super) struct PluginCredential {
    /// A bearer token.
    pub(super) token: Option<String>,
    /// A client certificate and its key, as PEM.
    pub(super) certificate: Option<(String, String)>,
    /// Until when it is good, where it says.
    pub(super) expires: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ExecCredential {
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

/// Runs a plugin, bounded in time.
///
/// # Errors
/// Where it is not there, fails, does not end, or prints no credentials.
pub(super) async fn run(
    plugin: &ExecConfig,
    cluster: Option<ExecAuthCluster>,
) -> Result<PluginCredential, PluginError> {
    let Some(name) = plugin.command.clone() else { return Err(PluginError::NoCommand) };
    let is_terminal = std::io::stdin().is_terminal();
    let is_interactive = match plugin.interactive_mode {
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always) if !is_terminal => {
            return Err(PluginError::NoTerminal { command: name });
        }
        _ => is_terminal,
    };
    // Two that ask at the same time would be answered by chance.
    static TERMINAL: Mutex<()> = Mutex::const_new(());
    let _terminal = if is_interactive { Some(TERMINAL.lock().await) } else { None };
    let mut command = command(plugin, &name, cluster, is_interactive);
    let child = command.spawn().map_err(|source| PluginError::NotRun {
        command: name.clone(),
        hint: plugin.install_hint.clone().unwrap_or_default(),
        source,
    })?;
    let limit = if is_interactive { LIMIT_OF_PEOPLE } else { LIMIT };
    let Ok(ended) = tokio::time::timeout(limit, child.wait_with_output()).await else {
        return Err(PluginError::TimedOut { command: name, limit });
    };
    let output = ended.map_err(|source| PluginError::NotRun {
        command: name.clone(),
        hint: String::new(),
        source,
    })?;
    if !output.status.success() {
        let stderr = end_of(&String::from_utf8_lossy(&output.stderr));
        return Err(PluginError::Failed { command: name, status: output.status, stderr });
    }
    credential(&output.stdout)
        .map_err(|reason| PluginError::NotUnderstood { command: name, reason })
}

fn command(
    plugin: &ExecConfig,
    name: &str,
    cluster: Option<ExecAuthCluster>,
    is_interactive: bool,
) -> Command {
    let mut spec = json!({"interactive": is_interactive});
    if let Some(cluster) = cluster.filter(|_| plugin.provide_cluster_info) {
        spec["cluster"] = json!(cluster);
    }
    let info = json!({
        "apiVersion": plugin.api_version, "kind": "ExecCredential", "spec": spec,
    });
    let mut command = Command::new(name);
    command.args(plugin.args.iter().flatten());
    for variable in plugin.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    command.env("KUBERNETES_EXEC_INFO", info.to_string()).kill_on_drop(true);
    let (stdin, stderr) = if is_interactive {
        (Stdio::inherit(), Stdio::inherit())
    } else {
        (Stdio::null(), Stdio::piped())
    };
    command.stdin(stdin).stdout(Stdio::piped()).stderr(stderr);
    command
}

fn credential(stdout: &[u8]) -> Result<PluginCredential, &'static str> {
    // An error of the parser could quote what it read.
    let printed: ExecCredential = serde_json::from_slice(stdout).map_err(|_| "that can be read")?;
    let status = printed.status.ok_or("with a status")?;
    let certificate = match (status.client_certificate_data, status.client_key_data) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => return Err("with both a client certificate and its key"),
    };
    let token = status.token.filter(|token| !token.is_empty());
    if token.is_none() && certificate.is_none() {
        return Err("with a token or a client certificate");
    }
    Ok(PluginCredential { token, certificate, expires: status.expiration_timestamp })
}

/// The end of what was said, in one line.
fn end_of(said: &str) -> String {
    let line = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let from = line.len().saturating_sub(SAID_MAX);
    let from = (from..=line.len()).find(|at| line.is_char_boundary(*at)).unwrap_or(line.len());
    line[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> ExecConfig {
        ExecConfig {
            command: Some("sh".to_owned()),
            args: Some(vec!["-c".to_owned(), script.to_owned()]),
            interactive_mode: Some(ExecInteractiveMode::Never),
            ..ExecConfig::default()
        }
    }

    #[tokio::test]
    async fn a_plugin_is_told_what_it_is_asked_and_gives_a_token() {
        let script = r#"test "$KUBERNETES_EXEC_INFO" = \
            '{"apiVersion":null,"kind":"ExecCredential","spec":{"interactive":false}}' &&
            echo '{"status": {"token": "t", "expirationTimestamp": "2030-01-02T03:04:05Z"}}'"#;
        let given = run(&shell(script), None).await.unwrap();
        assert_eq!(given.token.as_deref(), Some("t"));
        assert_eq!(given.expires.unwrap().to_string(), "2030-01-02T03:04:05Z");
    }

    #[tokio::test]
    async fn a_plugin_that_fails_is_told_with_its_own_words_but_never_its_output() {
        for (script, wanted) in [
            ("echo hunter2; echo 'please log\n in' >&2; exit 3", "exit status: 3): please log in"),
            ("echo hunter2", "printed no ExecCredential that can be read"),
            ("echo '{\"kind\": \"hunter2\"}'", "printed no ExecCredential with a status"),
            ("echo '{\"status\": {}}'", "with a token or a client certificate"),
        ] {
            let error = format!("{:#?}", run(&shell(script), None).await.unwrap_err());
            assert!(!error.contains("hunter2"), "{error}");
            let error = run(&shell(script), None).await.unwrap_err().to_string();
            assert!(error.contains(wanted), "{error}");
        }
        let absent = ExecConfig {
            command: Some("fitout-has-no-such-plugin".to_owned()),
            install_hint: Some("get it from the intranet\n".to_owned()),
            ..shell("")
        };
        let error = run(&absent, None).await.unwrap_err().to_string();
        assert!(error.ends_with("cannot be run (get it from the intranet)"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_plugin_that_does_not_end_is_ended() {
        let error = run(&shell("sleep 600"), None).await.unwrap_err().to_string();
        assert!(error.ends_with("has not ended after 30 s"), "{error}");
    }
}
