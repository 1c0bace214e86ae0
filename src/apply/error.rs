//! Why an attempt did not get through.

use std::fmt;
use std::time::Duration;

use crate::base::diagnostic::counted;
use crate::base::ids::ClusterName;
use crate::k8s::RequestError;
use crate::live::ReleaseId;
use crate::live::record::RecordError;
use crate::object::key::ObjectKey;
use crate::object::manifest::ManifestError;

/// An attempt that did not get through.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// A request that concerns no single object.
    #[error("{doing} on cluster `{cluster}`")]
    Cluster {
        /// Which cluster.
        cluster: ClusterName,
        /// What was being done.
        doing: &'static str,
        /// What happened.
        source: RequestError,
    },
    /// Objects that were not taken. Others of the same step may have been.
    #[error("{}", Objects(.errors))]
    Objects {
        /// One or more.
        errors: Vec<ObjectError>,
    },
    /// A hook failed.
    #[error("the {event} hook {hook} from `{template}` {reason}")]
    Hook {
        /// `pre-install`, …
        event: &'static str,
        /// The object.
        hook: ObjectKey,
        /// Where it comes from.
        template: String,
        /// What it said.
        reason: String,
    },
    /// A CRD was not established, or its kinds were not served, in time.
    #[error("the CRD `{crd}` is not in use after {}", humantime::format_duration(*.after))]
    NotEstablished {
        /// Its name.
        crd: String,
        /// How long was waited.
        after: Duration,
    },
    /// Somebody else works on the release.
    #[error("release {release} is being changed by {holder}")]
    Busy {
        /// Which release.
        release: ReleaseId,
        /// Who, as far as known.
        holder: String,
    },
    /// Somebody else has taken over the release in between.
    #[error("release {release} was taken over by somebody else in between")]
    Lost {
        /// Which release.
        release: ReleaseId,
    },
    /// Not done, for safety.
    #[error("{0}")]
    Refused(#[from] Refused),
    /// A release record that makes no sense, or is too large.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// A manifest of a release record that makes no sense.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It cannot be rendered with random values of its own.
    #[error("rendering it with random values of its own failed: {message}")]
    Render {
        /// What the render said.
        message: String,
    },
    /// There is no such revision to go back to.
    #[error("release {release} has no revision {} to go back to", wanted(*.revision))]
    NoRevision {
        /// Which release.
        release: ReleaseId,
        /// Which revision; the one before when not given.
        revision: Option<u32>,
    },
}

fn wanted(revision: Option<u32>) -> String {
    revision.map_or_else(|| "before this one".to_owned(), |revision| revision.to_string())
}

impl ApplyError {
    /// Whether the same attempt may succeed later, with nothing changed by people.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Cluster { source, .. } => source.is_passing(),
            Self::Objects { errors } => errors.iter().all(|error| error.source.is_passing()),
            Self::Busy { .. } | Self::Lost { .. } | Self::NotEstablished { .. } => true,
            Self::Hook { .. }
            | Self::Refused(_)
            | Self::Record(_)
            | Self::Manifest(_)
            | Self::Render { .. }
            | Self::NoRevision { .. } => false,
        }
    }

    /// Whether the cluster did not answer at all.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Cluster { source, .. } => source.is_whole_cluster(),
            Self::Objects { errors } => errors.iter().any(|error| error.source.is_whole_cluster()),
            _ => false,
        }
    }

    /// Whether nothing was changed on the cluster by this attempt.
    pub fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_) | Self::Busy { .. } | Self::Render { .. })
    }

    /// Ways out, for people.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Objects { errors } => {
                let mut help: Vec<_> = errors.iter().filter_map(ObjectError::help).collect();
                help.dedup();
                help
            }
            Self::Busy { .. } => vec![
                "an attempt that was killed is taken over after two minutes, or at once on the \
                 machine it ran on"
                    .to_owned(),
            ],
            Self::Refused(refused) => refused.help(),
            Self::Cluster { source, .. } => way_out(source).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn object(doing: Doing, object: ObjectKey, template: &str, line: usize) -> Making {
        Making { doing, object, template: template.to_owned(), line }
    }
}

/// An [`ObjectError`] whose cause is still to come.
pub(super) struct Making {
    doing: Doing,
    object: ObjectKey,
    template: String,
    line: usize,
}

impl Making {
    pub(super) fn failed(self, source: RequestError) -> ObjectError {
        let Self { doing, object, template, line } = self;
        ObjectError { doing, object, template, line, source }
    }
}

/// What was being done with an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    /// Reading it.
    Reading,
    /// Applying it.
    Applying,
    /// Deleting it.
    Deleting,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Applying => "applying",
            Self::Deleting => "deleting",
        })
    }
}

/// An object that was not taken.
#[derive(Debug, thiserror::Error)]
#[error("{doing} {object}{}", origin(.template, *.line))]
pub struct ObjectError {
    /// What was being done.
    pub doing: Doing,
    /// Which object.
    pub object: ObjectKey,
    /// The template it comes from; empty when unknown.
    pub template: String,
    /// The line of the template's output, from 1.
    pub line: usize,
    /// What happened.
    pub source: RequestError,
}

impl ObjectError {
    /// Whether the server does not take the object as it is, rather than that it failed.
    pub fn is_refusal(&self) -> bool {
        use RequestError::{FieldConflict, Invalid, NoSuchKind, Terminating};
        matches!(
            self.source,
            FieldConflict { .. } | Invalid { .. } | NoSuchKind { .. } | Terminating { .. }
        )
    }

    /// What happened, with its causes; objects that failed alike, as all of a namespace do at times,
    /// are told once.
    pub fn told_together<'a>(errors: impl IntoIterator<Item = &'a Self>) -> Vec<String> {
        let mut alike: Vec<(Doing, String, Vec<&Self>)> = Vec::new();
        for error in errors {
            let cause = causes(&error.source);
            match alike.iter_mut().find(|(doing, of, _)| *doing == error.doing && *of == cause) {
                Some((_, _, errors)) => errors.push(error),
                None => alike.push((error.doing, cause, vec![error])),
            }
        }
        let told = alike.into_iter().map(|(doing, cause, errors)| match errors.as_slice() {
            [one] => format!("{one}: {cause}"),
            many => {
                let objects: Vec<_> = many.iter().map(|error| error.object.clone()).collect();
                format!("{doing} {}: {cause}", listed(&objects))
            }
        });
        told.collect()
    }

    fn help(&self) -> Option<String> {
        match &self.source {
            error if error.is_immutable() => Some(
                "set `upgrade.onImmutable: recreate` on the addon to delete and create such \
                 objects anew"
                    .to_owned(),
            ),
            RequestError::FieldConflict { .. } => Some(
                "leave the field to its owner with `ignoreDifferences`, or take it over with \
                 `--force-conflicts`"
                    .to_owned(),
            ),
            RequestError::NoSuchKind { .. } => {
                Some("add the addon that brings its CRD to `dependsOn`".to_owned())
            }
            error => way_out(error),
        }
    }
}

/// What people can do where a cluster as a whole does not take anything.
fn way_out(error: &RequestError) -> Option<String> {
    let help = match error {
        RequestError::Unauthorized | RequestError::Login { .. } => {
            "log in again, or renew the token or certificate of its kubeconfig; then run the same \
             command, which goes on where this one ended"
        }
        RequestError::Terminating { .. } => {
            "wait until it is gone, and run the same command, which makes it again; its `status` \
             says what it waits for"
        }
        RequestError::NoRoom { .. } => {
            "make room in its etcd (compact, defragment, raise the quota, disarm the alarm), and \
             run the same command, which goes on where this one ended"
        }
        RequestError::Unreachable { .. }
        | RequestError::Timeout { .. }
        | RequestError::Server { .. } => {
            "run the same command when the cluster is well again: it goes on where this one ended"
        }
        _ => return None,
    };
    Some(help.to_owned())
}

fn origin(template: &str, line: usize) -> String {
    match (template, line) {
        ("", _) => String::new(),
        (template, 0 | 1) => format!(" from `{template}`"),
        (template, line) => format!(" from `{template}` (line {line} of its output)"),
    }
}

struct Objects<'a>(&'a [ObjectError]);

impl fmt::Display for Objects<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&ObjectError::told_together(self.0).join("; "))
    }
}

/// An error with its causes, which are told here: there may be many errors, and a chain has one.
fn causes(error: &RequestError) -> String {
    let mut told = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(source) = cause {
        let text = source.to_string();
        if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
        cause = source.source();
    }
    told
}

/// Not done, for safety.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// More would be deleted than the policy allows.
    #[error("{} would be deleted, and the limit is {limit}: {}", counted(*.deleted, .what), listed(.objects))]
    Limit {
        /// How many.
        deleted: usize,
        /// Of what: `object`, `namespace`, `CRD`.
        what: &'static str,
        /// How many may.
        limit: u32,
        /// Which.
        objects: Vec<ObjectKey>,
    },
    /// Objects are there that belong to another release.
    #[error("{object} from `{template}` belongs to release {owner}")]
    Owned {
        /// Which object.
        object: ObjectKey,
        /// Where it comes from.
        template: String,
        /// Namespace and name of the release.
        owner: String,
    },
    /// Objects are there that belong to no release.
    #[error("{object} from `{template}` is there already and belongs to no release")]
    NotOwned {
        /// Which object.
        object: ObjectKey,
        /// Where it comes from.
        template: String,
    },
    /// An object that cannot be found again.
    #[error("an object of kind `{kind}` from `{template}` has no name")]
    NoName {
        /// Its kind.
        kind: String,
        /// Where it comes from.
        template: String,
    },
    /// The same object twice.
    #[error("{object} is in the release twice: from `{template}` and from `{other}`")]
    Twice {
        /// Which object.
        object: ObjectKey,
        /// Where it comes from.
        template: String,
        /// And where from besides.
        other: String,
    },
}

impl Refused {
    fn help(&self) -> Vec<String> {
        match self {
            Self::Limit { .. } => vec![
                "raise `limits` of the rollout policy, or agree with `--ignore-limits`".to_owned(),
            ],
            Self::NotOwned { .. } => {
                vec!["take such objects over with `--take-ownership`".to_owned()]
            }
            Self::Owned { .. } => vec![
                "let one of the two releases keep it, with `helm.sh/resource-policy: keep` on it \
                 in the other"
                    .to_owned(),
            ],
            Self::NoName { .. } => {
                vec!["only hooks may have `generateName` instead of a name".to_owned()]
            }
            Self::Twice { .. } => Vec::new(),
        }
    }
}

fn listed(objects: &[ObjectKey]) -> String {
    const SHOWN: usize = 5;
    let mut text: Vec<String> = objects.iter().take(SHOWN).map(ToString::to_string).collect();
    if objects.len() > SHOWN {
        text.push(format!("and {} more", objects.len() - SHOWN));
    }
    text.join(", ")
}
