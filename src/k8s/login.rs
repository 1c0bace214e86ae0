//! From the user of a kubeconfig to credentials that are good now.
//!
//! Whatever changes while fitout runs is resolved here, before `kube` makes a client: token and
//! certificate files are read, credential plugins are run. What is left is fixed, so that new
//! credentials are a new client.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kube::config::{AuthInfo, ExecAuthCluster};
use serde_json::json;

use super::plugin::{self, PluginCredential, PluginError};

/// After how long files are read again, as client-go does.
const FILES_AGAIN: Duration = Duration::from_mins(1);
/// How long before their end credentials are renewed, as long as that leaves half of their time.
const BEFORE_END: Duration = Duration::from_secs(30);

/// Credentials that could not be got.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// A file that the kubeconfig names.
    #[error("reading the {what} `{}`", .path.display())]
    File {
        /// `token file`, …
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A token file without a token in it.
    #[error("the token file `{}` holds no token", .path.display())]
    NoToken {
        /// Which.
        path: PathBuf,
    },
    /// The kubeconfig's own words are no credentials.
    #[error("the kubeconfig's credentials make no sense")]
    Senseless,
    /// A credential plugin.
    #[error(transparent)]
    Plugin(#[from] PluginError),
}

/// Credentials, and for how long they are taken to be good; for good when not said.
pub(super) struct Login {
    /// Nothing in it changes any more.
    pub(super) user: AuthInfo,
    /// When to ask again.
    pub(super) again_in: Option<Duration>,
}

/// Credentials of a user. A token file goes before a token, and a plugin is only asked where the
/// kubeconfig has neither token nor password, as for client-go.
pub(super) async fn resolve(
    mut user: AuthInfo,
    cluster: Option<ExecAuthCluster>,
) -> Result<Login, LoginError> {
    let mut again_in = None;
    if let Some(path) = user.token_file.take() {
        user.token = secret(&token(Path::new(&path)).await?)?.token;
        again_in = Some(FILES_AGAIN);
    }
    if let Some(path) = user.client_certificate.take()
        && user.client_certificate_data.is_none()
    {
        let pem = read("client certificate", Path::new(&path)).await?;
        user.client_certificate_data = Some(STANDARD.encode(pem));
        again_in = Some(FILES_AGAIN);
    }
    if let Some(path) = user.client_key.take()
        && user.client_key_data.is_none()
    {
        let pem = read("client key", Path::new(&path)).await?;
        let key = parsed(json!({"client-key-data": STANDARD.encode(pem)}))?;
        user.client_key_data = key.client_key_data;
        again_in = Some(FILES_AGAIN);
    }
    let exec = user.exec.take();
    let Some(exec) = exec.filter(|_| user.token.is_none() && user.password.is_none()) else {
        return Ok(Login { user, again_in });
    };
    let given = plugin::run(&exec, cluster).await?;
    let again_in = given.expires.map(|end| until(end, Timestamp::now()));
    Ok(Login { user: with(user, given)?, again_in })
}

/// How long until credentials that end then are renewed.
fn until(end: Timestamp, now: Timestamp) -> Duration {
    let left = Duration::try_from(end.duration_since(now)).unwrap_or_default();
    left.saturating_sub(BEFORE_END).max(left / 2)
}

fn with(mut user: AuthInfo, given: PluginCredential) -> Result<AuthInfo, LoginError> {
    if let Some(token) = given.token {
        user.token = secret(&token)?.token;
    }
    if let Some((certificate, key)) = given.certificate {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        let key = parsed(json!({"client-key-data": STANDARD.encode(key)}))?;
        user.client_key_data = key.client_key_data;
    }
    Ok(user)
}

async fn token(path: &Path) -> Result<String, LoginError> {
    let text = read("token file", path).await?;
    let token = String::from_utf8(text).unwrap_or_default().trim().to_owned();
    if token.is_empty() { Err(LoginError::NoToken { path: path.to_owned() }) } else { Ok(token) }
}

fn secret(token: &str) -> Result<AuthInfo, LoginError> {
    parsed(json!({"token": token}))
}

/// The type of secrets in [`AuthInfo`] is only made by reading them.
fn parsed(user: serde_json::Value) -> Result<AuthInfo, LoginError> {
    serde_json::from_value(user).map_err(|_| LoginError::Senseless)
}

async fn read(what: &'static str, path: &Path) -> Result<Vec<u8>, LoginError> {
    tokio::fs::read(path).await.map_err(|source| LoginError::File {
        what,
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(user: &AuthInfo) -> String {
        serde_json::to_string(user).unwrap()
    }

    #[tokio::test]
    async fn a_token_file_is_read_without_its_end_of_line_and_goes_before_a_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "first\n").unwrap();
        let user = AuthInfo {
            token_file: Some(path.display().to_string()),
            ..parsed(json!({"token": "inline"})).unwrap()
        };
        let login = resolve(user.clone(), None).await.unwrap();
        assert_eq!(told(&login.user), r#"{"token":"first"}"#);
        assert_eq!(login.again_in, Some(FILES_AGAIN));
        std::fs::write(&path, "\n").unwrap();
        let error = resolve(user.clone(), None).await.err().unwrap().to_string();
        assert!(error.ends_with("token` holds no token"), "{error}");
        std::fs::remove_file(&path).unwrap();
        let error = resolve(user, None).await.err().unwrap().to_string();
        assert!(error.starts_with("reading the token file `"), "{error}");
    }

    #[test]
    fn credentials_are_renewed_a_little_before_they_end() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let seconds = [3600, 60, 10, 0, -5].map(|end| until(at(1000 + end), at(1000)).as_secs());
        assert_eq!(seconds, [3570, 30, 5, 0, 0]);
    }
}
