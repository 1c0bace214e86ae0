//! Why an attempt did not get through.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::flux::HelmRelease;
use super::objects::holds_more_than_itself;
use crate::base::clock::{Timestamp, moment};
use crate::base::diagnostic::counted;
use crate::base::ids::ClusterName;
use crate::k8s::RequestError;
use crate::live::record::RecordError;
use crate::live::{Gap, GapSubject, PodLog, ReleaseId};
use crate::object::apis;
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
        /// Why, with the pod and its reason.
        reason: String,
        /// The last words of what ended with an error, or all where the hook's
        /// `helm.sh/hook-output-log-policy` asks for them.
        logs: Vec<PodLog>,
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
    /// There is no such release.
    #[error("release {release} is not installed")]
    NotInstalled {
        /// Which one.
        release: ReleaseId,
    },
    /// The release has no such test.
    #[error("release {release} has no test `{name}`")]
    NoTest {
        /// Which release.
        release: ReleaseId,
        /// Which test.
        name: String,
        /// Those it has.
        known: Vec<String>,
    },
    /// Something may be there that could not be read, and so nothing is deleted.
    #[error("nothing is deleted, since {object} could not be read: {}", .gap.reason)]
    Hidden {
        /// Which object.
        object: ObjectKey,
        /// What hides it.
        gap: Gap,
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
            | Self::NotInstalled { .. }
            | Self::NoTest { .. }
            | Self::NoRevision { .. } => false,
            Self::Hidden { gap, .. } => gap.subject == GapSubject::Cluster,
        }
    }

    /// Whether the cluster did not answer at all.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Cluster { source, .. } => source.is_whole_cluster(),
            Self::Objects { errors } => errors.iter().any(|error| error.source.is_whole_cluster()),
            Self::Hidden { gap, .. } => gap.subject == GapSubject::Cluster,
            _ => false,
        }
    }

    /// Whether nothing was changed on the cluster by this attempt.
    pub fn is_refused(&self) -> bool {
        matches!(
            self,
            Self::Refused(_)
                | Self::Busy { .. }
                | Self::Render { .. }
                | Self::NotInstalled { .. }
                | Self::NoTest { .. }
                | Self::Hidden { .. }
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
            Self::NoTest { known, .. } if known.is_empty() => {
                vec!["the chart has no hook with `helm.sh/hook: test`".to_owned()]
            }
            Self::NoTest { known, .. } => vec![format!("it has {}", known.join(", "))],
            Self::Refused(refused) => refused.help(),
            Self::Cluster { source, .. } => way_out(source).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// What containers of a hook that failed have said.
    pub fn logs(&self) -> &[PodLog] {
        match self {
            Self::Hook { logs, .. } => logs,
            _ => &[],
        }
    }

    /// With all that a hook said in place of its last words.
    pub(super) fn with_logs(self, all: Vec<PodLog>) -> Self {
        match self {
            Self::Hook { event, hook, template, reason, logs } => {
                let logs = if all.is_empty() { logs } else { all };
                Self::Hook { event, hook, template, reason, logs }
            }
            other => other,
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
    /// Whether the server does not take the object as it is, or somebody does not let it go, rather
    /// than that it failed.
    pub fn is_refusal(&self) -> bool {
        use RequestError::{FieldConflict, Invalid, Lingers, NoSuchKind, Terminating};
        matches!(
            self.source,
            FieldConflict { .. }
                | Invalid { .. }
                | NoSuchKind { .. }
                | Terminating { .. }
                | Lingers { .. }
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

    pub(super) fn help(&self) -> Option<String> {
        match &self.source {
            RequestError::Lingers { help, .. } => help.clone(),
            error if error.is_immutable() && holds_more_than_itself(&self.object) => Some(
                "fitout never deletes such an object to create it anew, since what it holds would \
                 be lost: move the data over to one of another name, or take the change back"
                    .to_owned(),
            ),
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
    /// A namespace that others need.
    #[error("the namespace `{namespace}` is not deleted: {}", inhabitants(.releases))]
    Inhabited {
        /// Which one.
        namespace: String,
        /// The releases in it; none of a namespace of the system.
        releases: Vec<ReleaseId>,
    },
    /// An object that cannot be found again.
    #[error("an object of kind `{kind}` from `{template}` has no name")]
    NoName {
        /// Its kind.
        kind: String,
        /// Where it comes from.
        template: String,
    },
    /// A CRD would go, and its objects with it.
    #[error("the CRD `{crd}` would be deleted, and {} of it with it: {}", counted(.objects.len(), "object"), listed(.objects))]
    CrdInUse {
        /// Its name.
        crd: String,
        /// The objects.
        objects: Vec<ObjectKey>,
    },
    /// A version of a CRD would go that objects may be stored in.
    #[error("the CRD `{crd}` would lose the version {}, which its objects may be stored in{}", .versions.join(" and "), stored(.objects))]
    StoredVersion {
        /// Its name.
        crd: String,
        /// The versions.
        versions: Vec<String>,
        /// The objects that are there.
        objects: Vec<ObjectKey>,
    },
    /// What a change of a CRD would take away cannot be told.
    #[error("what would be lost with a change of the CRD `{crd}` cannot be told: {reason}")]
    CrdUnknown {
        /// Its name.
        crd: String,
        /// Why.
        reason: String,
    },
    /// An object that another release is about to write as well.
    #[error("{object} from `{template}` is claimed by release {} as well", .others.join(" and release "))]
    Claimed {
        /// Which object.
        object: ObjectKey,
        /// Where it comes from.
        template: String,
        /// The other releases.
        others: Vec<String>,
    },
    /// Objects of kinds that the cluster does not serve, and that nothing here brings.
    #[error("{}", Unserved(.objects))]
    NotServed {
        /// One or more.
        objects: Vec<NotServed>,
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
    /// What traffic goes through cannot move it between two releases.
    #[error("traffic cannot be moved with {object}: {problem}")]
    Traffic {
        /// The object.
        object: ObjectKey,
        /// What is wrong with it.
        problem: String,
        /// Whether it is that it is not there.
        is_absent: bool,
    },
    /// The instance stands as two releases beside one another.
    #[error(
        "release {release} stands as {present}: it was brought there by the strategy `blueGreen`"
    )]
    StandsBeside {
        /// What git wants.
        release: ReleaseId,
        /// What is there.
        present: String,
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

/// An object of a kind that the cluster does not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotServed {
    /// Which object.
    pub object: ObjectKey,
    /// Its `apiVersion`.
    pub api_version: String,
    /// Where it comes from.
    pub template: String,
}

impl NotServed {
    /// Whether the kind is one of Kubernetes' own, that no CRD can bring.
    pub fn is_built_in(&self) -> bool {
        apis::is_own_group(&self.object.group)
    }
}

struct Unserved<'a>(&'a [NotServed]);

impl fmt::Display for Unserved<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut by_kind: BTreeMap<(&str, &str), Vec<&NotServed>> = BTreeMap::new();
        for one in self.0 {
            by_kind.entry((&one.api_version, &one.object.kind)).or_default().push(one);
        }
        for (index, ((api_version, kind), objects)) in by_kind.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}the cluster serves no kind `{kind}` of `{api_version}`")?;
            if let Some(fate) = apis::fate(api_version, kind) {
                write!(f, " ({fate})")?;
            }
            let of = |one: &&NotServed| format!("{} from `{}`", one.object, one.template);
            write!(f, ": {}", first_of(&objects.iter().map(of).collect::<Vec<_>>()))?;
        }
        Ok(())
    }
}

impl Refused {
    /// Ways out, for people.
    pub fn help(&self) -> Vec<String> {
        match self {
            Self::NotServed { objects } if objects.iter().any(NotServed::is_built_in) => vec![
                "take a version of the chart that knows this Kubernetes, or switch off what it \
                 no longer has"
                    .to_owned(),
            ],
            Self::NotServed { .. } => {
                vec!["add the addon that brings the CRD to `dependsOn`".to_owned()]
            }
            Self::Limit { .. } => vec![
                "raise `limits` of the rollout policy, or agree with `--ignore-limits`".to_owned(),
            ],
            Self::NotOwned { .. } => {
                vec!["take such objects over with `--take-ownership`".to_owned()]
            }
            Self::CrdInUse { .. } => vec![
                "delete its objects first, or keep the CRD: `helm.sh/resource-policy: keep`"
                    .to_owned(),
            ],
            Self::StoredVersion { crd, .. } => vec![format!(
                "write each object anew in a version that stays, then take the old one out of \
                 `status.storedVersions` of `{crd}`"
            )],
            Self::CrdUnknown { .. } => {
                vec!["give fitout the right to list the CRD's objects".to_owned()]
            }
            Self::Claimed { .. } => {
                vec!["let one of them have it, or give it another name".to_owned()]
            }
            Self::Owned { .. } => vec![
                "let one of the two releases keep it, with `helm.sh/resource-policy: keep` on it \
                 in the other"
                    .to_owned(),
            ],
            Self::NoName { .. } => {
                vec!["only hooks may have `generateName` instead of a name".to_owned()]
            }
            Self::Inhabited { releases, .. } if !releases.is_empty() => {
                vec!["uninstall those as well, or leave the namespace with its name out".to_owned()]
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
            Self::Traffic { object, .. } => vec![format!(
                "the {} must exist, belong to neither release, and name the Services of both \
                 (see `docs/blue-green.md`)",
                object.kind
            )],
            Self::StandsBeside { .. } => vec![
                "set the strategy `blueGreen` again, or uninstall the addon from the cluster first"
                    .to_owned(),
            ],
            Self::TooLarge(_) => vec![
                "split the chart, or bring large files to the cluster by another way than its \
                 values and manifests"
                    .to_owned(),
            ],
            Self::Inhabited { .. } | Self::Twice { .. } => Vec::new(),
        }
    }
}

fn stored(objects: &[ObjectKey]) -> String {
    if objects.is_empty() { String::new() } else { format!(": {}", listed(objects)) }
}

fn listed(objects: &[ObjectKey]) -> String {
    first_of(&objects.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// The first few of them, and how many there are besides.
pub(super) fn first_of(all: &[String]) -> String {
    const SHOWN: usize = 5;
    let more = all.len().saturating_sub(SHOWN);
    let shown = all[..all.len() - more].join(", ");
    if more == 0 { shown } else { format!("{shown}, and {more} more") }
}

fn inhabitants(releases: &[ReleaseId]) -> String {
    if releases.is_empty() {
        return "the cluster does not work without it".to_owned();
    }
    let releases: Vec<String> = releases.iter().map(ToString::to_string).collect();
    format!("there are other releases in it: {}", releases.join(", "))
}
