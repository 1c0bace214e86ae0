//! Which merge request a comment goes to: as the variables of a CI job say.

use std::fmt;

use serde_json::Value as Json;

use crate::net::http::{Credential, Method};

/// Which API is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// GitLab, its own or somebody's
    Gitlab,
    /// GitHub, or GitHub Enterprise
    Github,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Gitlab => "GitLab",
            Self::Github => "GitHub",
        })
    }
}

impl Kind {
    /// The variable that the token comes from.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Gitlab => "GITLAB_TOKEN",
            Self::Github => "GITHUB_TOKEN",
        }
    }

    /// Characters of one comment.
    pub(super) fn max_chars(self) -> usize {
        match self {
            Self::Gitlab => 1_000_000,
            Self::Github => 65_536,
        }
    }

    pub(super) fn author_field(self) -> &'static str {
        match self {
            Self::Gitlab => "author",
            Self::Github => "user",
        }
    }
}

/// A merge request, and with what right it is commented on.
#[derive(Clone, Debug)]
pub struct Target {
    /// Which API is spoken.
    pub kind: Kind,
    /// Where it is, without a slash at the end.
    pub api: String,
    /// The project's number or path; `OWNER/NAME` on GitHub.
    pub project: String,
    /// The merge request's number.
    pub request: u64,
    /// Never printed.
    pub token: Credential,
}

/// Why it is not known where a comment goes.
#[derive(Debug, thiserror::Error)]
#[error("`{variable}` is not set{why}")]
pub struct TargetError {
    /// The variable.
    variable: &'static str,
    why: &'static str,
}

impl Target {
    /// As a job's variables say. `variable` looks one up.
    ///
    /// # Errors
    /// Names the variable that is not set, or makes no sense.
    pub fn from_job(
        kind: Kind,
        variable: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, TargetError> {
        let get = |name: &'static str, why: &'static str| {
            let found = variable(name).filter(|value| !value.trim().is_empty());
            found.ok_or(TargetError { variable: name, why })
        };
        let token = get(kind.variable(), ": a token that may comment")?;
        let (api, project, request) = match kind {
            Kind::Gitlab => {
                const WHY: &str = ": this is no job of a merge request";
                let request = get("CI_MERGE_REQUEST_IID", WHY)?.parse().map_err(|_| {
                    TargetError { variable: "CI_MERGE_REQUEST_IID", why: " to a number" }
                })?;
                (get("CI_API_V4_URL", WHY)?, get("CI_PROJECT_ID", WHY)?, request)
            }
            Kind::Github => {
                const WHY: &str = " to `refs/pull/NUMBER/merge`: this is no job of a pull request";
                let reference = get("GITHUB_REF", WHY)?;
                let number =
                    reference.strip_prefix("refs/pull/").and_then(|rest| rest.split('/').next());
                let request = number
                    .and_then(|number| number.parse().ok())
                    .ok_or(TargetError { variable: "GITHUB_REF", why: WHY })?;
                let api = variable("GITHUB_API_URL").filter(|url| !url.is_empty());
                let api = api.unwrap_or_else(|| "https://api.github.com".to_owned());
                (api, get("GITHUB_REPOSITORY", ": this is no job of GitHub")?, request)
            }
        };
        Ok(Self { kind, api, project, request, token: Credential::new(&token) })
    }

    /// The path of the merge request's comments.
    pub(super) fn comments(&self) -> String {
        match self.kind {
            Kind::Gitlab => {
                format!("/projects/{}/merge_requests/{}/notes", self.project(), self.request)
            }
            Kind::Github => format!("/repos/{}/issues/{}/comments", self.project(), self.request),
        }
    }

    /// The path of one of them.
    pub(super) fn comment(&self, id: u64) -> String {
        match self.kind {
            Kind::Gitlab => format!("{}/{id}", self.comments()),
            Kind::Github => format!("/repos/{}/issues/comments/{id}", self.project()),
        }
    }

    pub(super) fn update_method(&self) -> Method {
        match self.kind {
            Kind::Gitlab => Method::Put,
            Kind::Github => Method::Patch,
        }
    }

    /// The name of an author, as the API has it.
    pub(super) fn author<'j>(&self, user: &'j Json) -> Option<&'j str> {
        user[match self.kind {
            Kind::Gitlab => "username",
            Kind::Github => "login",
        }]
        .as_str()
    }

    /// The project as part of a path: nothing in it leads elsewhere.
    fn project(&self) -> String {
        let keeps_slash = self.kind == Kind::Github;
        self.project
            .bytes()
            .map(|byte| match byte {
                b'/' if keeps_slash => "/".to_owned(),
                byte if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) => {
                    char::from(byte).to_string()
                }
                byte => format!("%{byte:02X}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(kind: Kind, set: &[(&str, &str)]) -> String {
        let variable = |name: &str| {
            set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        match Target::from_job(kind, variable) {
            Ok(target) => format!("{}{}", target.api, target.comment(7)),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn a_job_says_where_its_comment_goes() {
        let gitlab = [
            ("GITLAB_TOKEN", "t"),
            ("CI_API_V4_URL", "https://git.example.org/api/v4"),
            ("CI_PROJECT_ID", "group/fleet"),
            ("CI_MERGE_REQUEST_IID", "12"),
        ];
        assert_eq!(
            told(Kind::Gitlab, &gitlab),
            "https://git.example.org/api/v4/projects/group%2Ffleet/merge_requests/12/notes/7"
        );
        assert_eq!(
            told(Kind::Gitlab, &gitlab[..3]),
            "`CI_MERGE_REQUEST_IID` is not set: this is no job of a merge request"
        );
        assert_eq!(told(Kind::Gitlab, &[]), "`GITLAB_TOKEN` is not set: a token that may comment");
        let github = [
            ("GITHUB_TOKEN", "t"),
            ("GITHUB_REPOSITORY", "a/b"),
            ("GITHUB_REF", "refs/pull/3/merge"),
        ];
        assert_eq!(
            told(Kind::Github, &github),
            "https://api.github.com/repos/a/b/issues/comments/7"
        );
        let branch = [
            ("GITHUB_TOKEN", "t"),
            ("GITHUB_REPOSITORY", "a/b"),
            ("GITHUB_REF", "refs/heads/main"),
        ];
        assert!(told(Kind::Github, &branch).contains("no job of a pull request"));
    }
}
