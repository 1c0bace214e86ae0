//! What stands in fitout's way on a cluster: findings about what was seen of it.
//!
//! Asks no cluster: what was seen is an argument.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::base::clock::Timestamp;
use crate::base::diagnostic::Severity;
use crate::base::ids::{AddonName, ClusterName, Digest};
use crate::fleet::model::SecretKeyRef;
use crate::fleet::range::{self, Range};
use crate::permissions::{
    Need, Permission, Policy, Purpose, Scope, Subject, Target, in_verb_order,
};

#[cfg(test)]
mod tests;

/// From this difference on, a clock is wrong. The server tells its time to the second.
const SKEW_SECONDS_MAX: i64 = 10;

/// What git says of a cluster.
#[derive(Clone, Debug)]
pub struct Expected {
    /// Its name.
    pub cluster: ClusterName,
    /// The version that its document says.
    pub version: String,
    /// Of the addons that it shall have, the versions of Kubernetes that they work on.
    pub ranges: BTreeMap<AddonName, String>,
    /// The addons that it was examined for.
    pub addons: BTreeSet<AddonName>,
}

/// What was seen of a cluster that gave an answer.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// How long the first answer took.
    pub millis: u64,
    /// Its version; an error in words where it is not told.
    pub version: Option<Result<String, String>>,
    /// The user that it knows whoever asks by, if it tells.
    pub user: Option<String>,
    /// Whether it takes the credentials.
    pub has_accepted: bool,
    /// By how many seconds its clock is ahead, where it tells its time.
    pub skew_seconds: Option<i64>,
    /// How many kinds were asked for.
    pub kinds: usize,
    /// Kinds that are not served and that no chart of the cluster brings: `apiVersion` and kind,
    /// with the addons that have objects of them.
    pub unserved: BTreeMap<(String, String), BTreeSet<AddonName>>,
    /// How many permissions were asked for.
    pub permissions: usize,
    /// What is not allowed.
    pub denied: Vec<Need>,
    /// Namespaces of releases that are not there.
    pub absent: BTreeSet<String>,
    /// What could not be found out, and why.
    pub unknown: BTreeMap<Check, String>,
}

/// What was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Check {
    /// Whether it answers.
    Connection,
    /// Whether it takes the credentials.
    Credentials,
    /// Its version.
    Version,
    /// Its time.
    Clock,
    /// The kinds that it serves.
    Kinds,
    /// What it allows.
    Permissions,
}

/// One thing that stands in the way, and a way out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// An error is in the way of something that git says; a warning costs comfort.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// What it is needed for.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    /// The way out.
    pub help: String,
}

/// A cluster, examined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Checkup {
    /// Which cluster.
    pub cluster: ClusterName,
    /// The addons that it was examined for.
    pub addons: BTreeSet<AddonName>,
    /// Whether it answered.
    pub is_reachable: bool,
    /// How long the first answer took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
    /// Its version.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The user that it knows whoever asks by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// By how many seconds its clock is ahead, where it tells its time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_seconds: Option<i64>,
    /// How many kinds were asked for.
    pub kinds: usize,
    /// How many permissions were asked for.
    pub permissions: usize,
    /// What stands in the way, the worst first.
    pub findings: Vec<Finding>,
    /// What gives the permissions that are required and lack, as YAML; empty when none do.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub rbac: String,
}

impl Checkup {
    /// Of a cluster that gave no answer.
    pub fn unreachable(expected: &Expected, reason: String) -> Self {
        let mut checkup = Self::empty(expected);
        checkup.findings.push(Finding {
            check: Check::Connection,
            severity: Severity::Error,
            message: reason,
            why: String::new(),
            help: "check the `connection` of its Cluster document, and the way to its API server"
                .to_owned(),
        });
        checkup
    }

    /// Of a cluster whose kubeconfig is in a Secret of the hub that this user of the hub may not
    /// read.
    pub fn behind_secret(expected: &Expected, secret: &SecretKeyRef, user: Option<&str>) -> Self {
        let mut checkup = Self::empty(expected);
        checkup.findings.push(Finding {
            check: Check::Permissions,
            severity: Severity::Error,
            message: format!(
                "may not get `secrets` ({}) in namespace `{}` of the hub",
                secret.name, secret.namespace
            ),
            why: "the Secret has the kubeconfig of the cluster".to_owned(),
            help: "let an administrator of the hub apply the RBAC that is printed".to_owned(),
        });
        let subject = user.filter(|user| !user.is_empty()).map(Subject::of_user);
        checkup.rbac = named_after_rules(
            &Policy::of([&Permission::of_secret(secret)]),
            subject.as_ref(),
            &[].into(),
        );
        checkup.rbac.insert_str(0, "# Not there, but on the hub\n");
        checkup
    }

    fn empty(expected: &Expected) -> Self {
        Self {
            cluster: expected.cluster.clone(),
            addons: expected.addons.clone(),
            is_reachable: false,
            millis: None,
            version: None,
            user: None,
            clock_skew_seconds: None,
            kinds: 0,
            permissions: 0,
            findings: Vec::new(),
            rbac: String::new(),
        }
    }

    /// Whether anything that git says cannot be done.
    pub fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Error)
    }
}

/// By how many seconds a server's clock is ahead at least, when it wrote `date` somewhere between
/// a question and its answer. It cuts its time to the second.
pub fn skew_seconds(date: Timestamp, before: Timestamp, after: Timestamp) -> i64 {
    let (before, after) = (before.as_second(), after.as_second());
    let date = date.as_second();
    if date > after { date - after } else { (date - before).min(0) }
}

/// What stands in the way on a cluster that answered.
pub fn judge(expected: &Expected, seen: &Seen) -> Checkup {
    let mut findings = Vec::new();
    if !seen.has_accepted {
        findings.push(Finding {
            check: Check::Credentials,
            severity: Severity::Error,
            message: "the API server does not accept the credentials".to_owned(),
            why: String::new(),
            help: "log in again, or renew the token or certificate of its kubeconfig".to_owned(),
        });
    }
    versions(expected, seen, &mut findings);
    findings.extend(clock(seen));
    findings.extend(unserved(seen));
    findings.extend(refused(seen));
    findings.extend(unknown(seen));
    findings.sort_by_key(|finding| (finding.severity, finding.check));
    Checkup {
        is_reachable: true,
        millis: Some(seen.millis),
        version: seen.version.clone().and_then(Result::ok),
        user: seen.user.clone(),
        clock_skew_seconds: seen.skew_seconds,
        kinds: seen.kinds,
        permissions: seen.permissions,
        findings,
        rbac: rbac(seen),
        ..Checkup::empty(expected)
    }
}

fn unserved(seen: &Seen) -> impl Iterator<Item = Finding> {
    const HELP: &str = "place the addon that brings its CRD on the cluster, or let the chart use a \
                        version that is served";
    seen.unserved.iter().map(|((api_version, kind), addons)| Finding {
        check: Check::Kinds,
        severity: Severity::Error,
        message: format!("no kind `{kind}` of `{api_version}` is served"),
        why: format!("objects of the chart ({})", names(addons)),
        help: HELP.to_owned(),
    })
}

fn unknown(seen: &Seen) -> impl Iterator<Item = Finding> {
    const HELP: &str = "everybody who is logged in may ask this, unless somebody took the \
                        ClusterRoles `system:basic-user` or `system:discovery` away";
    seen.unknown.iter().map(|(check, reason)| Finding {
        check: *check,
        severity: Severity::Error,
        message: format!("cannot be found out: {reason}"),
        why: String::new(),
        help: HELP.to_owned(),
    })
}

fn versions(expected: &Expected, seen: &Seen, findings: &mut Vec<Finding>) {
    let error = |message: String, help: String| Finding {
        check: Check::Version,
        severity: Severity::Error,
        message,
        why: String::new(),
        help,
    };
    let live = match &seen.version {
        None => return,
        Some(Ok(live)) => live,
        Some(Err(reason)) => {
            findings.push(error(
                format!("the version is not told: {reason}"),
                "bind the ClusterRole `system:discovery` to the user".to_owned(),
            ));
            return;
        }
    };
    let Some(version) = range::version(live) else { return };
    let assumed = range::version(&expected.version);
    let minor = (version.major, version.minor);
    if assumed.is_some_and(|assumed| (assumed.major, assumed.minor) != minor) {
        findings.push(error(
            format!("runs Kubernetes {live}, and its document says {}", expected.version),
            format!(
                "write `kubernetesVersion: \"{}.{}\"`: charts are rendered for it",
                minor.0, minor.1
            ),
        ));
    }
    for (addon, text) in &expected.ranges {
        if Range::parse(text).is_ok_and(|range| !range.admits(&version)) {
            findings.push(error(
                format!("runs Kubernetes {live}, and `{addon}` works on {text}"),
                "choose a version of the addon that works on it, or widen its `kubernetes`"
                    .to_owned(),
            ));
        }
    }
}

fn clock(seen: &Seen) -> Option<Finding> {
    let skew = seen.skew_seconds.filter(|skew| skew.abs() >= SKEW_SECONDS_MAX)?;
    let which = if skew > 0 { "ahead of" } else { "behind" };
    Some(Finding {
        check: Check::Clock,
        severity: Severity::Warning,
        message: format!("its clock is {} s {which} the one here", skew.abs()),
        why: "tokens and certificates are only good for a time, and records say when".to_owned(),
        help: "set both clocks by NTP".to_owned(),
    })
}

/// What is refused of one resource in one scope.
#[derive(Default)]
struct Refused<'a> {
    verbs: BTreeSet<&'a str>,
    names: BTreeSet<&'a str>,
    purposes: BTreeMap<Purpose, BTreeSet<AddonName>>,
}

/// One finding for each resource of a scope, those that are required and those that are only
/// useful apart.
fn refused(seen: &Seen) -> Vec<Finding> {
    let mut refused: BTreeMap<(bool, &Scope, String), Refused<'_>> = BTreeMap::new();
    for need in &seen.denied {
        let permission = &need.permission;
        let (what, name) = match &permission.target {
            Target::Url(path) => (format!("path `{path}`"), ""),
            Target::Resource { group, resource, name } if group.is_empty() => {
                (format!("`{resource}`"), name.as_str())
            }
            Target::Resource { group, resource, name } => {
                (format!("`{resource}.{group}`"), name.as_str())
            }
        };
        let key = (!need.is_required(), &permission.scope, what);
        let one = refused.entry(key).or_default();
        one.verbs.insert(&permission.verb);
        one.names.extend((!name.is_empty()).then_some(name));
        for (purpose, addons) in &need.purposes {
            one.purposes.entry(*purpose).or_default().extend(addons.iter().cloned());
        }
    }
    refused
        .into_iter()
        .map(|((is_useful, scope, what), of)| refusal(is_useful, scope, &what, &of))
        .collect()
}

fn refusal(is_useful: bool, scope: &Scope, what: &str, refused: &Refused<'_>) -> Finding {
    let verbs = in_verb_order(refused.verbs.iter().copied()).join(", ");
    let names: Vec<_> = refused.names.iter().copied().collect();
    let names = if names.is_empty() { String::new() } else { format!(" ({})", names.join(", ")) };
    let purposes = refused.purposes.iter();
    let purposes: Vec<String> =
        purposes.map(|(purpose, addons)| format!("{purpose} ({})", self::names(addons))).collect();
    let without: Vec<&str> =
        refused.purposes.keys().filter_map(|purpose| purpose.without()).collect();
    Finding {
        check: Check::Permissions,
        severity: if is_useful { Severity::Warning } else { Severity::Error },
        message: format!("may not {verbs} {what}{names} {scope}"),
        why: purposes.join("; "),
        help: if is_useful {
            format!("without it, {}; `fitout rbac` prints what gives it", without.join("; "))
        } else {
            "let an administrator of the cluster apply the RBAC that is printed".to_owned()
        },
    }
}

/// What gives everything that is required and lacks. Its name is made of what it grants, so that
/// it stands beside what was given before.
fn rbac(seen: &Seen) -> String {
    let lacks: Vec<&Need> = seen.denied.iter().filter(|need| need.is_required()).collect();
    if lacks.is_empty() {
        return String::new();
    }
    let (of_namespaces, others): (Vec<&Need>, Vec<&Need>) =
        lacks.into_iter().partition(|need| need.is_for_absent_namespace());
    let policy = Policy::of(others.iter().map(|need| &need.permission));
    let is_wanted = |name: &String| {
        !of_namespaces.is_empty() || policy.scopes.contains_key(&Scope::Namespace(name.clone()))
    };
    let namespaces = seen.absent.iter().filter(|name| is_wanted(name)).cloned().collect();
    let subject = seen.user.as_deref().filter(|user| !user.is_empty()).map(Subject::of_user);
    named_after_rules(&policy, subject.as_ref(), &namespaces)
}

/// Roles whose name says what they grant.
fn named_after_rules(
    policy: &Policy,
    subject: Option<&Subject>,
    namespaces: &BTreeSet<String>,
) -> String {
    let digest = Digest::of(policy.yaml("", subject, &BTreeSet::new()).as_bytes());
    let name = format!("fitout-missing-{}", &digest.short()[..8]);
    policy.yaml(&name, subject, namespaces)
}

fn names(addons: &BTreeSet<AddonName>) -> String {
    let names: Vec<&str> = addons.iter().map(AddonName::as_str).collect();
    names.join(", ")
}
