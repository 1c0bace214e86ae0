//! Why a chart could not be had.

use std::path::PathBuf;

use crate::base::diagnostic::Diagnostic;
use crate::base::span::Span;
use crate::git::GitError;
use crate::net::http::HttpError;

/// The code of a chart whose repository cannot be reached: the world failed, not the user.
pub const UNREACHABLE: &str = "chart-unreachable";

/// Why a chart could not be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// No folder, or no `Chart.yaml` in it.
    #[error("there is no chart in the folder `{folder}`")]
    NoFolder {
        /// Within the repository.
        folder: String,
    },
    /// The repository's index does not have the chart.
    #[error("the chart repository {url} has no chart `{name}`")]
    NoChart {
        /// The repository.
        url: String,
        /// The chart.
        name: String,
        /// A chart of a similar name.
        similar: Option<String>,
    },
    /// It has the chart, but not that version.
    #[error("the chart repository {url} has no version `{version}` of `{name}`")]
    NoVersion {
        /// The repository.
        url: String,
        /// The chart.
        name: String,
        /// The version.
        version: String,
        /// The versions it has, in the index's order.
        versions: Vec<String>,
    },
    /// The index cannot be read.
    #[error("the index of the chart repository {url} cannot be read: {reason}")]
    BadIndex {
        /// The repository.
        url: String,
        /// Why not.
        reason: String,
    },
    /// A digest is required and the index has none.
    #[error("the chart repository {url} gives no digest for `{name}` {version}")]
    NoDigest {
        /// The repository.
        url: String,
        /// The chart.
        name: String,
        /// The version.
        version: String,
    },
    /// What came is not what the index promised.
    #[error("{url} has the digest {found}, and the index says {expected}")]
    WrongDigest {
        /// Where the archive came from.
        url: String,
        /// Of the index.
        expected: String,
        /// Of what came.
        found: String,
    },
    /// The variable with the credentials is not set.
    #[error("the environment variable `{variable}` with the repository's credentials is not set")]
    NoCredentials {
        /// Its name.
        variable: String,
    },
    /// Too much to be a chart.
    #[error("the chart in `{folder}` is larger than {limit} bytes or has too many files")]
    TooLarge {
        /// Within the repository.
        folder: String,
        /// The bound.
        limit: usize,
    },
    /// The files are there, and no chart.
    #[error("{}", .0.message)]
    Invalid(Box<Diagnostic>),
    /// The download failed.
    #[error("the chart cannot be downloaded")]
    Http(#[from] HttpError),
    /// The git repository failed.
    #[error("the chart's repository cannot be read")]
    Git(#[from] GitError),
    /// The cache cannot be written.
    #[error("the cache `{path}` cannot be written")]
    Cache {
        /// Which file.
        path: PathBuf,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
}

impl SourceError {
    /// As a finding at the place that asks for the chart.
    pub fn diagnostic(&self, span: &Span) -> Diagnostic {
        if let Self::Invalid(found) = self {
            let mut found = (**found).clone();
            if found.labels.is_empty() {
                found = found.label(span, "the chart named here");
            }
            return found;
        }
        let code = self.code();
        let mut found = Diagnostic::error(code, self.chain()).label(span, "this chart");
        match self {
            Self::NoChart { similar: Some(similar), .. } => {
                found = found.help(format!("did you mean `{similar}`?"));
            }
            Self::NoVersion { version, versions, .. } => {
                let before = found.help.len();
                found = found.did_you_mean(version, versions.iter().map(String::as_str));
                if found.help.len() == before && !versions.is_empty() {
                    let some = &versions[..versions.len().min(5)];
                    found = found.help(format!("it has {}", some.join(", ")));
                }
            }
            Self::NoDigest { .. } => {
                found = found.help("the ChartRepository says `verify: {digest: required}`");
            }
            Self::WrongDigest { .. } => {
                found = found.help("the archive was changed after the index was written");
            }
            Self::Git(error) => found.help.extend(error.help()),
            Self::Http(HttpError::Status { status: 401 | 403, .. }) => {
                found = found.help(
                    "the ChartRepository's `credentials: {env: NAME}` names the variable with a \
                     token, or with `user:password`",
                );
            }
            Self::Http(HttpError::Status { status: 404, .. }) => {
                found = found.help("a chart repository serves an `index.yaml` below its URL");
            }
            _ => {}
        }
        found
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NoFolder { .. } | Self::NoChart { .. } | Self::NoVersion { .. } => {
                "missing-chart"
            }
            Self::BadIndex { .. } => "bad-index",
            Self::NoDigest { .. } => "missing-digest",
            Self::WrongDigest { .. } => "wrong-digest",
            Self::NoCredentials { .. } => "missing-credentials",
            Self::TooLarge { .. } => "chart-too-large",
            Self::Invalid(found) => found.code,
            Self::Git(error) if error.is_unknown_revision() => "missing-chart",
            Self::Http(HttpError::TooLarge { .. }) => "chart-too-large",
            Self::Http(_) | Self::Git(_) | Self::Cache { .. } => UNREACHABLE,
        }
    }

    fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let more = error.to_string();
            if !text.contains(&more) {
                text = format!("{text}: {more}");
            }
            cause = error.source();
        }
        text
    }
}
