//! Deletion, by inventory only: what may go, what stays and why, and what is too much.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;

use super::error::{ApplyError, Doing, ObjectError, Refused};
use super::gone::wait_until_gone;
use super::history::Tenure;
use super::objects::{Applying, at};
use super::ownership::{self, Owner};
use super::{Kept, crds};
use crate::base::planted::{Planted, is_planted};
use crate::chart::model::Manifest;
use crate::fleet::model::Limits;
use crate::graph::order::rank;
use crate::health;
use crate::k8s::Delete;
use crate::live::{Live, ReleaseId, observe};
use crate::object::access;
use crate::object::key::ObjectKey;

/// What goes and what stays.
#[derive(Debug, Default)]
pub(super) struct Pruning {
    /// In the order of deletion, with the uid that was seen.
    pub(super) doomed: Vec<(Manifest, String)>,
    /// With the reason.
    pub(super) kept: Vec<(ObjectKey, Kept)>,
}

impl Pruning {
    /// Leaves those that are kept for want of somebody who asks for them.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&ObjectKey) -> bool) {
        let (kept, doomed): (Vec<_>, Vec<_>) = std::mem::take(&mut self.doomed)
            .into_iter()
            .partition(|(manifest, _)| is_kept(&manifest.key));
        self.doomed = doomed;
        self.kept.extend(kept.into_iter().map(|(manifest, _)| (manifest.key, Kept::NotAsked)));
    }
}

/// Decides about objects that the inventory has and that are no longer wanted.
///
/// An object goes only if it was seen, belongs to the release, and nothing says that it stays. One
/// that is wanted under another name of its kind's group is not another object: `wanted` are the
/// uids of those that stay.
pub(super) fn decide(
    candidates: BTreeMap<ObjectKey, Manifest>,
    live: &Live,
    id: &ReleaseId,
    wanted: &BTreeSet<&str>,
) -> Pruning {
    let mut pruning = Pruning::default();
    for (key, manifest) in candidates {
        let found = observe::find(live, &key);
        let Some((key, object)) = found else {
            if let Some(gap) = live.gap_over(&key) {
                pruning.kept.push((key, Kept::Gap(gap.clone())));
            }
            continue;
        };
        if wanted.contains(access::uid(object)) {
            continue;
        }
        if access::says_keep(object) || access::says_keep(&manifest.object) {
            pruning.kept.push((key.clone(), Kept::Policy));
        } else if ownership::owner(object, id) != Owner::Ours {
            pruning.kept.push((key.clone(), Kept::NotOurs));
        } else {
            let manifest = Manifest { key: key.clone(), ..manifest };
            pruning.doomed.push((manifest, access::uid(object).to_owned()));
        }
    }
    pruning.doomed.sort_by_key(|(manifest, _)| std::cmp::Reverse(rank(&manifest.key.kind)));
    pruning
}

/// Refuses what is beyond the limits.
pub(super) fn check_limits(pruning: &Pruning, limits: &Limits) -> Result<(), Refused> {
    type Meant = fn(&ObjectKey) -> bool;
    if is_planted(Planted::NoLimits) {
        return Ok(());
    }
    let rules: [(&'static str, u32, Meant); 3] = [
        ("object", limits.deleted_objects, |_| true),
        ("namespace", limits.deleted_namespaces, |key| {
            key.kind == "Namespace" && key.group.is_empty()
        }),
        ("CRD", limits.removed_crds, crds::is_crd),
    ];
    for (what, limit, is_meant) in rules {
        let objects: Vec<ObjectKey> = pruning
            .doomed
            .iter()
            .map(|(manifest, _)| &manifest.key)
            .filter(|key| is_meant(key))
            .cloned()
            .collect();
        if objects.len() > limit as usize {
            return Err(Refused::Limit { deleted: objects.len(), what, limit, objects });
        }
    }
    Ok(())
}

/// Deletes what is to go, one kind's rank after the other. Custom resources are gone before what
/// comes after them is deleted: that may be the operator that takes their finalizers off, and
/// without it they would stay for ever.
pub(super) async fn delete(
    applying: &Applying<'_>,
    tenure: &mut Tenure<'_>,
    doomed: &[(Manifest, String)],
) -> Result<Vec<ObjectKey>, ApplyError> {
    let mut deleted = Vec::new();
    let mut errors: Vec<ObjectError> = Vec::new();
    for wave in doomed.chunk_by(|(a, _), (b, _)| rank(&a.key.kind) == rank(&b.key.kind)) {
        let jobs = wave.iter().map(|(manifest, uid)| delete_one(applying, manifest, uid));
        for (result, (manifest, _)) in join_all(jobs).await.into_iter().zip(wave) {
            match result {
                Ok(()) => deleted.push(manifest.key.clone()),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(ApplyError::Objects { errors });
        }
        let is_custom = |(manifest, _): &&(Manifest, String)| {
            !access::is_built_in_group(&manifest.key.group) && !manifest.key.group.is_empty()
        };
        let custom: Vec<_> = wave.iter().filter(is_custom).cloned().collect();
        let rest = &doomed[deleted.len()..];
        if !custom.is_empty() && rest.iter().any(|(manifest, _)| may_be_of_operator(manifest)) {
            wait_until_gone(applying, tenure, &custom).await?;
        }
    }
    Ok(deleted)
}

/// Whether an object may be a part of what takes finalizers off: a workload, what it may do, or the
/// kind itself.
fn may_be_of_operator(manifest: &Manifest) -> bool {
    let key = &manifest.key;
    let is_permission = matches!(
        key.kind.as_str(),
        "ServiceAccount" | "Role" | "RoleBinding" | "ClusterRole" | "ClusterRoleBinding"
    );
    is_permission || crds::is_crd(key) || health::has_pods(&key.group, &key.kind)
}

async fn delete_one(
    applying: &Applying<'_>,
    manifest: &Manifest,
    uid: &str,
) -> Result<(), ObjectError> {
    let failed = |error| at(Doing::Deleting, manifest, error);
    let (api_version, kind) = (&manifest.api_version, &manifest.key.kind);
    let resource = applying.client.resource_at_any_version(api_version, kind).await;
    let resource = resource.map_err(failed)?;
    let options = Delete { uid: uid.to_owned(), is_foreground: false };
    let key = &manifest.key;
    applying.client.delete(&resource, &key.namespace, &key.name, &options).await.map_err(failed)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::base::clock::Timestamp;
    use crate::live::{Gap, GapSubject};

    fn id() -> ReleaseId {
        ReleaseId { namespace: "apps".to_owned(), name: "web".to_owned() }
    }

    fn key(kind: &str, name: &str) -> ObjectKey {
        ObjectKey {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: "apps".to_owned(),
            name: name.to_owned(),
        }
    }

    fn manifest(key: &ObjectKey) -> Manifest {
        Manifest {
            key: key.clone(),
            api_version: "v1".to_owned(),
            object: json!({"kind": key.kind}).into(),
            text: "".into(),
            source: "".into(),
            line: 1,
        }
    }

    fn live_object(release: Option<&str>, policy: Option<&str>) -> Json {
        let mut object = json!({"metadata": {"uid": "u"}});
        if let Some(release) = release {
            access::set_metadata(&mut object, "annotations", ownership::RELEASE_NAME, release);
        }
        if let Some(policy) = policy {
            access::set_metadata(&mut object, "annotations", access::RESOURCE_POLICY, policy);
        }
        object
    }

    #[test]
    fn only_what_was_seen_and_is_ours_goes() {
        let keys: Vec<_> = ["ours", "kept", "other", "nobody", "hidden", "absent"]
            .map(|n| key("Secret", n))
            .into();
        let gap = Gap { subject: GapSubject::Object(keys[4].clone()), reason: "no".to_owned() };
        let live = Live {
            objects: [
                (keys[0].clone(), live_object(Some("web"), None)),
                (keys[1].clone(), live_object(Some("web"), Some("keep"))),
                (keys[2].clone(), live_object(Some("shop"), None)),
                (keys[3].clone(), live_object(None, None)),
            ]
            .into(),
            gaps: vec![gap.clone()],
            observed_at: Timestamp::UNIX_EPOCH,
        };
        let candidates = keys.iter().map(|key| (key.clone(), manifest(key))).collect();
        let pruning = decide(candidates, &live, &id(), &BTreeSet::new());
        let doomed: Vec<_> = pruning.doomed.iter().map(|(m, _)| m.key.clone()).collect();
        assert_eq!(doomed, [keys[0].clone()]);
        let mut kept = pruning.kept;
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        assert_eq!(
            kept,
            [
                (keys[4].clone(), Kept::Gap(gap)),
                (keys[1].clone(), Kept::Policy),
                (keys[3].clone(), Kept::NotOurs),
                (keys[2].clone(), Kept::NotOurs),
            ]
        );
    }

    #[test]
    fn an_object_that_is_wanted_under_another_group_does_not_go() {
        let old = ObjectKey { group: "extensions".to_owned(), ..key("Ingress", "i") };
        let live = Live {
            objects: [(old.clone(), live_object(Some("web"), None))].into(),
            gaps: Vec::new(),
            observed_at: Timestamp::UNIX_EPOCH,
        };
        let candidates: BTreeMap<_, _> = [(old.clone(), manifest(&old))].into();
        let pruning = decide(candidates.clone(), &live, &id(), &["u"].into());
        assert!(pruning.doomed.is_empty() && pruning.kept.is_empty());
        assert_eq!(decide(candidates, &live, &id(), &["v"].into()).doomed.len(), 1);
    }

    #[test]
    fn a_namespace_is_beyond_the_limit_by_default() {
        let doomed = vec![(manifest(&key("Namespace", "n")), String::new())];
        let pruning = Pruning { doomed, kept: Vec::new() };
        let refused = check_limits(&pruning, &Limits::default()).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "1 namespace would be deleted, and the limit is 0: Namespace/apps/n"
        );
        let limits = Limits { deleted_namespaces: 1, ..Limits::default() };
        assert_eq!(check_limits(&pruning, &limits), Ok(()));
    }

    #[test]
    fn deletion_runs_the_other_way_round() {
        let keys = [key("Secret", "s"), key("Deployment", "d"), key("Service", "v")];
        let live = Live {
            objects: keys.iter().map(|k| (k.clone(), live_object(Some("web"), None))).collect(),
            gaps: Vec::new(),
            observed_at: Timestamp::UNIX_EPOCH,
        };
        let candidates = keys.iter().map(|key| (key.clone(), manifest(key))).collect();
        let pruning = decide(candidates, &live, &id(), &BTreeSet::new());
        let kinds: Vec<_> = pruning.doomed.iter().map(|(m, _)| m.key.kind.clone()).collect();
        assert_eq!(kinds, ["Deployment", "Service", "Secret"]);
    }
}
