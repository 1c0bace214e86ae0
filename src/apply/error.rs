//! Why an attempt did not get through.

use std::fmt;
use std::time::Duration;

use super::flux::HelmRelease;
use crate::base::clock::{Timestamp, moment};
use crate::base::diagnostic::counted;
use crate::base::ids::ClusterName;
use crate::k8s::RequestError;
use crate::live::ReleaseId;
use crate::live::record::RecordError;
use crate::object::key::ObjectKey;
use crate::object::manifest::ManifestError;

/// What a change under way is called whose record does not say whose it is.
pub(super) const HELM: &str = "helm";

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
    #[error("release {release} is being changed by {holder}{}", heard(*.since))]
    Busy {
        /// Which release.
        release: ReleaseId,
        /// Who, as far as known.
        holder: String,
        /// When they were heard of last, where that is known.
        since: Option<Timestamp>,
    },
    /// There is no such release.
    #[error("there is no release {release} on cluster `{cluster}`")]
    NoRelease {
        /// Which release.
        release: ReleaseId,
        /// Which cluster.
        cluster: ClusterName,
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

fn heard(since: Option<Timestamp>) -> String {
    since.map_or_else(String::new, |at| format!(", who was heard of last at {}", moment(at)))
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
            | Self::NoRelease { .. }
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
        matches!(
            self,
            Self::Refused(_) | Self::Busy { .. } | Self::Render { .. } | Self::NoRelease { .. }
        )
    }

    /// Ways out, for people.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::Objects { errors } => {
                let mut help: Vec<_> = errors.iter().filter_map(ObjectError::help).collect();
                help.dedup();
                help
            }
            Self::Busy { holder, .. } if holder == HELM => vec![
                "Helm says neither who it is nor that it is alive: it is taken to be gone ten \
                 minutes after its last write; `fitout apply --unlock` says that it is"
                    .to_owned(),
            ],
            Self::Busy { .. } => vec![
                "an attempt that was killed is taken over after two minutes, or at once on the \
                 machine it ran on; `fitout apply --unlock` does not wait"
                    .to_owned(),
            ],
            Self::Refused(refused) => refused.help(),
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
    /// Giving its fields back to Helm.
    HandingOver,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reading => "reading",
            Self::Applying => "applying",
            Self::Deleting => "deleting",
            Self::HandingOver => "handing over",
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
        use RequestError::{FieldConflict, Invalid, NoSuchKind};
        matches!(self.source, FieldConflict { .. } | Invalid { .. } | NoSuchKind { .. })
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
            _ => None,
        }
    }
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
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}: {}", error.source)?;
            // Causes are told here, since there may be many and a chain has one only.
            let mut cause = std::error::Error::source(&error.source);
            while let Some(source) = cause {
                let text = source.to_string();
                if !error.source.to_string().contains(&text) {
                    write!(f, ": {text}")?;
                }
                cause = source.source();
            }
        }
        Ok(())
    }
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
    /// It was handed over to Helm.
    #[error("release {release} was handed over to Helm")]
    HandedOver {
        /// Which release.
        release: ReleaseId,
    },
    /// Flux's helm-controller makes the release.
    #[error(
        "release {release} is made by the HelmRelease {helm_release} of Flux, which is not suspended"
    )]
    OfFlux {
        /// Which release.
        release: ReleaseId,
        /// What makes it.
        helm_release: HelmRelease,
    },
    /// Its release record would be larger than the API server takes.
    #[error("{0}")]
    TooLarge(String),
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
            Self::HandedOver { .. } => {
                vec!["`fitout adopt` takes it back; `helm` goes on with it".to_owned()]
            }
            Self::OfFlux { helm_release, .. } => {
                let mut help = vec![format!(
                    "suspend it with `{}`; a HelmRelease that is deleted while it is suspended \
                     leaves its release alone",
                    helm_release.suspend()
                )];
                help.extend(helm_release.kustomization.as_ref().map(|kustomization| {
                    format!(
                        "Kustomization {kustomization} brings it: `suspend: true` in git keeps it so"
                    )
                }));
                help
            }
            Self::TooLarge(_) => vec![
                "split the chart, or bring large files to the cluster by another way than its \
                 values and manifests"
                    .to_owned(),
            ],
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
