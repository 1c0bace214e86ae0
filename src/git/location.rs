//! Reading what a user gives as the place of a repository.

use std::path::PathBuf;

use super::error::GitError;
use crate::net::http::{Url, redact};

/// Where a repository is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    /// A folder; the repository is the one around it.
    Folder(PathBuf),
    /// Kept as a mirror; the second part is the fleet's folder in it.
    Remote(Remote, String),
}

/// A repository that is fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// `file://`: an absolute path.
    File(PathBuf),
    /// `http://` or `https://`.
    Http(Url),
    /// `ssh://` or `user@host:path`.
    Ssh(SshRemote),
}

/// The parts of an ssh URL. Each was checked to be no option and no shell syntax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SshRemote {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
    pub(super) path: String,
}

impl Remote {
    /// For messages and for the name of the mirror; never has a credential in it.
    pub(super) fn display(&self) -> String {
        match self {
            Self::File(path) => format!("file://{}", path.display()),
            Self::Http(url) => url.as_str().to_owned(),
            Self::Ssh(ssh) => {
                let user = ssh.user.as_ref().map(|user| format!("{user}@")).unwrap_or_default();
                let port = ssh.port.map(|port| format!(":{port}")).unwrap_or_default();
                let slash = if ssh.path.starts_with('/') { "" } else { "/" };
                format!("ssh://{user}{}{port}{slash}{}", ssh.host, ssh.path)
            }
        }
    }
}

/// Reads a location. A sub-folder of a remote stands behind `.git//`.
pub(super) fn parse(text: &str) -> Result<Location, GitError> {
    let refuse = |reason| GitError::Location { location: redact(text), reason };
    let (url, folder) = match text.split_once(".git//") {
        Some((start, folder)) => (format!("{start}.git"), folder.trim_matches('/').to_owned()),
        None => (text.to_owned(), String::new()),
    };
    if let Some(path) = url.strip_prefix("file://") {
        let path = path.strip_prefix("localhost").unwrap_or(path);
        return if path.starts_with('/') {
            Ok(Location::Remote(Remote::File(PathBuf::from(path)), folder))
        } else {
            Err(refuse("a file URL needs an absolute path"))
        };
    }
    if url.starts_with("https://") || url.starts_with("http://") {
        let url = Url::parse(url.trim_end_matches('/'))
            .map_err(|source| GitError::Http { location: redact(text), source })?;
        return Ok(Location::Remote(Remote::Http(url), folder));
    }
    if let Some(rest) = url.strip_prefix("ssh://") {
        return Ok(Location::Remote(Remote::Ssh(ssh_url(rest).map_err(refuse)?), folder));
    }
    if url.contains("://") {
        return Err(refuse("only file, https, http and ssh are spoken"));
    }
    if let Some(ssh) = scp_form(&url) {
        return Ok(Location::Remote(Remote::Ssh(ssh.map_err(refuse)?), folder));
    }
    Ok(Location::Folder(PathBuf::from(text)))
}

fn ssh_url(rest: &str) -> Result<SshRemote, &'static str> {
    let (authority, path) = rest.split_once('/').ok_or("an ssh URL needs a path")?;
    let (user, host) = match authority.rsplit_once('@') {
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, authority),
    };
    let (host, port) = match host.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(':') && !port.ends_with(']') => {
            (host, Some(port.parse().map_err(|_| "the port is not a number")?))
        }
        _ => (host, None),
    };
    // `ssh://host/~me/repo` is relative to a home folder, everything else is absolute.
    let path = if path.starts_with('~') { path.to_owned() } else { format!("/{path}") };
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    check(SshRemote { user, host, port, path })
}

/// `git@host:group/repo.git`, as git hosts show it.
fn scp_form(text: &str) -> Option<Result<SshRemote, &'static str>> {
    let (authority, path) = text.split_once(':')?;
    let (user, host) = authority.split_once('@')?;
    if authority.contains('/') {
        return None;
    }
    let (user, host, path) = (Some(user.to_owned()), host.to_owned(), path.to_owned());
    Some(check(SshRemote { user, host, port: None, path }))
}

/// Nothing that ssh would take for an option, and nothing that a shell on the other side would
/// take for anything but a word.
fn check(remote: SshRemote) -> Result<SshRemote, &'static str> {
    let is_word = |text: &str, more: &str| {
        !text.is_empty()
            && !text.starts_with('-')
            && text.chars().all(|c| c.is_ascii_alphanumeric() || more.contains(c))
    };
    if !is_word(&remote.host, ".-_:") {
        return Err("the host is not a host name");
    }
    if remote.user.as_ref().is_some_and(|user| user.contains(':')) {
        return Err("it has a password in it; use a key");
    }
    if remote.user.as_ref().is_some_and(|user| !is_word(user, ".-_+")) {
        return Err("the user is not a user name");
    }
    if remote.path.is_empty() || remote.path.starts_with('-') {
        return Err("the path is empty or looks like an option");
    }
    if remote.path.chars().any(char::is_control) {
        return Err("the path has control characters in it");
    }
    Ok(remote)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remotes_are_told_from_folders() {
        let cases = [
            ("file:///srv/fleet.git", "file:///srv/fleet.git", ""),
            ("https://git.example.org/a/fleet.git/", "https://git.example.org/a/fleet.git", ""),
            (
                "https://git.example.org/fleet.git//sub/b",
                "https://git.example.org/fleet.git",
                "sub/b",
            ),
            (
                "ssh://git@git.example.org:7999/a/b.git",
                "ssh://git@git.example.org:7999/a/b.git",
                "",
            ),
            ("ssh://git.example.org/~me/b", "ssh://git.example.org/~me/b", ""),
            ("git@git.example.org:a/b.git", "ssh://git@git.example.org/a/b.git", ""),
        ];
        for (text, display, folder) in cases {
            match parse(text).unwrap() {
                Location::Remote(remote, sub) => {
                    assert_eq!((remote.display().as_str(), sub.as_str()), (display, folder));
                }
                Location::Folder(path) => panic!("{text} was read as the folder {path:?}"),
            }
        }
        for text in [".", "/srv/fleet", "fleets/a@b", "C:fleet"] {
            assert_eq!(parse(text).unwrap(), Location::Folder(PathBuf::from(text)));
        }
    }

    #[test]
    fn options_and_shell_syntax_in_an_ssh_url_are_refused() {
        let cases = [
            "ssh://-oProxyCommand=evil/x",
            "ssh://a@-oProxyCommand=evil/x",
            "ssh://$(evil)/x",
            "ssh://-l@host/x",
            "ssh://me:secret@host/x",
            "ssh://host:port/x",
            "ssh://host",
            "git@host:--upload-pack=evil",
            "git@host:a\nb",
            "ext::sh -c evil://",
            "git://host/x",
            "file://other/x",
        ];
        for text in cases {
            let error = parse(text).unwrap_err();
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }
}
