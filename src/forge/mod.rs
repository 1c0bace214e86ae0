//! Comments on merge requests: one that is ours is kept up to date, on GitLab and GitHub.
//!
//! The token comes from the environment alone, goes to the API's origin alone, and is in no message. A
//! comment of somebody else is never changed, whatever it says.

mod target;

use std::time::Duration;

use serde_json::{Value as Json, json};

use crate::net::http::{Client, Credential, HttpError, Method, Upload, Url};

pub use self::target::{Kind, Target, TargetError};

/// What our comment begins with; it is not shown.
const MARKER: &str = "<!-- fitout preview -->";
/// Comments of one request.
const PAGE: usize = 100;
/// Pages that are looked through for our comment.
const PAGES_MAX: usize = 50;
/// Bytes of one answer.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Attempts, while the other side is busy.
const ATTEMPTS: u32 = 4;
/// The longest that is waited between two attempts.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Why a comment could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// The API refused, or is not there.
    #[error("the comment could not be posted")]
    Http(#[from] HttpError),
    /// It does not answer as such an API does.
    #[error("{url} does not answer as the API of {kind}")]
    Answer {
        /// What was asked for.
        url: String,
        /// Which API it should be.
        kind: Kind,
    },
}

impl ForgeError {
    /// Ways out.
    pub fn help(&self, kind: Kind) -> Vec<String> {
        let Self::Http(HttpError::Status { status, .. }) = self else { return Vec::new() };
        let told = match (status, kind) {
            (401, _) => format!("the token in `{}` is not valid, or has expired", kind.variable()),
            (403, Kind::Gitlab) => {
                "the token needs the scope `api` and the role Reporter; a job's own token (`CI_JOB_TOKEN`) may not \
                 comment"
                    .to_owned()
            }
            (403, Kind::Github) => {
                "the job needs `permissions: {pull-requests: write}`; a request from a fork has none".to_owned()
            }
            (404, _) => "the token does not see the project or the merge request".to_owned(),
            _ => return Vec::new(),
        };
        vec![told]
    }

    /// Whether a later attempt may succeed, and when it should be made.
    fn retry_after(&self, attempt: u32) -> Option<Duration> {
        let wait = Duration::from_secs(1 << attempt);
        match self {
            Self::Http(HttpError::Status { status: 429 | 500..=599, retry_after, .. }) => {
                Some(retry_after.unwrap_or(wait).min(WAIT_MAX))
            }
            Self::Http(HttpError::Unreachable { .. } | HttpError::BrokenOff { .. }) => Some(wait),
            _ => None,
        }
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// There was no comment of ours.
    Created,
    /// Ours says something else now.
    Updated,
    /// Ours said the same already.
    Unchanged,
}

/// The most characters that a comment's text may have, the mark included that it is found by.
pub fn max_chars(kind: Kind) -> usize {
    kind.max_chars() - MARKER.len() - 1
}

/// Makes our comment say `text`: the one that is there, or a new one. Blocks. Tried again while the
/// other side is busy; each attempt looks for the comment anew, so that none is made twice.
///
/// # Errors
/// When the API refuses, or does not answer after several attempts.
pub fn post(target: &Target, text: &str) -> Result<Posted, ForgeError> {
    let mut attempt = 0;
    loop {
        let error = match try_post(target, text) {
            Ok(posted) => return Ok(posted),
            Err(error) => error,
        };
        attempt += 1;
        match error.retry_after(attempt - 1) {
            Some(wait) if attempt < ATTEMPTS => std::thread::sleep(wait),
            _ => return Err(error),
        }
    }
}

fn try_post(target: &Target, text: &str) -> Result<Posted, ForgeError> {
    let api = Api { target, client: Client::shared() };
    let body = format!("{MARKER}\n{text}");
    match api.own()? {
        Some((_, present)) if present == body => Ok(Posted::Unchanged),
        Some((id, _)) => {
            api.send(target.update_method(), &target.comment(id), &body)?;
            Ok(Posted::Updated)
        }
        None => {
            api.send(Method::Post, &target.comments(), &body)?;
            Ok(Posted::Created)
        }
    }
}

struct Api<'a> {
    target: &'a Target,
    client: Client,
}

impl Api<'_> {
    fn url(&self, path: &str) -> Result<Url, ForgeError> {
        Ok(Url::parse(&format!("{}{path}", self.target.api.trim_end_matches('/')))?)
    }

    fn credential(&self) -> &Credential {
        &self.target.token
    }

    fn get(&self, path: &str) -> Result<Json, ForgeError> {
        let url = self.url(path)?;
        let answer = self.client.get(&url, "application/json", Some(self.credential()))?;
        let bytes = answer.bytes(ANSWER_BYTES_MAX)?;
        let wrong = || ForgeError::Answer { url: url.to_string(), kind: self.target.kind };
        serde_json::from_slice(&bytes).map_err(|_| wrong())
    }

    fn send(&self, method: Method, path: &str, body: &str) -> Result<(), ForgeError> {
        let url = self.url(path)?;
        let body = json!({ "body": body }).to_string();
        let (content_type, body) = ("application/json", body.as_bytes());
        let upload = Upload { method, content_type, body, headers: &[] };
        self.client.send_to(&url, "application/json", Some(self.credential()), upload)?;
        Ok(())
    }

    /// Who we are: a user's name. The token of a GitHub job may not ask, and belongs to one bot.
    fn user(&self) -> Result<String, ForgeError> {
        match self.get("/user") {
            Ok(user) => Ok(self.target.author(&user).unwrap_or_default().to_owned()),
            Err(ForgeError::Http(HttpError::Status { status: 403, .. }))
                if self.target.kind == Kind::Github =>
            {
                Ok("github-actions[bot]".to_owned())
            }
            Err(error) => Err(error),
        }
    }

    /// The comment that we made, and what it says.
    fn own(&self) -> Result<Option<(u64, String)>, ForgeError> {
        let user = self.user()?;
        for page in 1..=PAGES_MAX {
            let path = format!("{}?per_page={PAGE}&page={page}", self.target.comments());
            let Json::Array(comments) = self.get(&path)? else {
                let url = self.url(&path)?.to_string();
                return Err(ForgeError::Answer { url, kind: self.target.kind });
            };
            let own = comments.iter().find(|comment| {
                let author = comment.get(self.target.kind.author_field());
                let is_ours = author.and_then(|author| self.target.author(author)) == Some(&user);
                is_ours && comment["body"].as_str().is_some_and(|body| body.starts_with(MARKER))
            });
            if let Some(own) = own
                && let (Some(id), Some(body)) = (own["id"].as_u64(), own["body"].as_str())
            {
                return Ok(Some((id, body.to_owned())));
            }
            if comments.len() < PAGE {
                break;
            }
        }
        Ok(None)
    }
}
