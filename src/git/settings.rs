//! What fetching depends on besides the location. The only reader of the environment in `git/`.

use std::path::PathBuf;

use crate::net::cache;
use crate::net::http::Credential;

/// The environment variable with a token, or `user:password`, for git over https.
pub const TOKEN_VARIABLE: &str = "FITOUT_GIT_TOKEN";

/// How remotes are fetched and where they are kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The folder for mirrors.
    pub cache: PathBuf,
    /// For the origin of an `https://` remote.
    pub credential: Option<Credential>,
    /// What runs for an `ssh://` remote.
    pub ssh: SshProgram,
}

/// What runs for an `ssh://` remote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SshProgram {
    /// A shell command line that arguments are added to.
    Shell(String),
    /// A program.
    Program(String),
}

impl Settings {
    /// `FITOUT_CACHE` and `FITOUT_GIT_TOKEN`; for ssh `GIT_SSH_COMMAND`, `core.sshCommand` of the
    /// user's git configuration, `GIT_SSH`, `ssh`: the order that git has.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|text| !text.trim().is_empty());
        let configured = || {
            let config = git2::Config::open_default().ok()?;
            config.get_string("core.sshCommand").ok().filter(|text| !text.trim().is_empty())
        };
        let ssh = match variable("GIT_SSH_COMMAND").or_else(configured) {
            Some(text) => SshProgram::Shell(text),
            None => SshProgram::Program(variable("GIT_SSH").unwrap_or_else(|| "ssh".to_owned())),
        };
        Self {
            cache: cache::folder(),
            credential: variable(TOKEN_VARIABLE).map(|text| Credential::for_git(&text)),
            ssh,
        }
    }
}
