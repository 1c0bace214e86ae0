//! What the releases of one cluster are to each other, before any of them is touched: kinds that
//! one brings for another, and objects that two of them claim.

use std::collections::{BTreeMap, BTreeSet};

use super::error::NotServed;
use super::{Comparison, Refused, crds};
use crate::base::ids::AddonName;
use crate::fleet::model::CrdPolicy;
use crate::graph::scopes::Scopes;
use crate::live::ReleaseId;
use crate::object::key::ObjectKey;
use crate::render::Release;

/// A release among others of its cluster.
#[derive(Debug)]
pub struct Neighbour<'a> {
    /// What git says.
    pub release: &'a Release,
    /// What its cluster says.
    pub comparison: &'a mut Comparison,
    /// What comes before it. A release that brings the CRD of one of its objects is added.
    pub depends_on: &'a mut Vec<AddonName>,
}

impl Neighbour<'_> {
    fn addon(&self) -> &AddonName {
        &self.release.instance.key.addon
    }
}

/// Orders releases by the kinds that they bring for each other, and refuses those that cannot be
/// done beside each other.
///
/// # Guarantees
/// Of an object that several releases claim, none is written by a release that does not have it
/// already: each would undo what the other does.
pub fn settle(all: &mut [Neighbour<'_>]) {
    refuse_claims(all);
    order_by_kinds(all);
    order_by_traffic(all);
}

/// What traffic goes through may come with another release, which goes first then.
fn order_by_traffic(all: &mut [Neighbour<'_>]) {
    for index in 0..all.len() {
        let refused = &all[index].comparison.refused;
        let Some(Refused::Traffic { object, is_absent: true, .. }) = refused else { continue };
        let brings = |one: &&Neighbour<'_>| {
            one.comparison.refused.is_none()
                && claims_of(one.release).iter().any(|(key, _)| key == object)
        };
        let Some(from) = all.iter().find(brings).map(|one| one.addon().clone()) else { continue };
        if comes_first(all, index, &from) {
            all[index].comparison.refused = None;
        }
    }
}

fn refuse_claims(all: &mut [Neighbour<'_>]) {
    let mut claims: BTreeMap<ObjectKey, Vec<(usize, String)>> = BTreeMap::new();
    for (index, one) in all.iter().enumerate() {
        for (object, template) in claims_of(one.release) {
            claims.entry(object).or_default().push((index, template));
        }
    }
    for (object, claims) in claims {
        let id = |index: usize| ReleaseId::of(&all[index].release.instance);
        let ids: BTreeSet<ReleaseId> = claims.iter().map(|(index, _)| id(*index)).collect();
        if ids.len() < 2 {
            continue;
        }
        // One that was refused already does not get to the object.
        let open: Vec<_> =
            claims.iter().filter(|(index, _)| all[*index].comparison.refused.is_none()).collect();
        let coming: Vec<_> =
            open.iter().filter(|(index, _)| !all[*index].comparison.is_current).collect();
        if open.len() < 2 || coming.is_empty() {
            continue;
        }
        let refusals: Vec<_> = coming
            .iter()
            .map(|(index, template)| {
                let others = ids.iter().filter(|other| **other != id(*index));
                let refused = Refused::Claimed {
                    object: object.clone(),
                    template: template.clone(),
                    others: others.map(ToString::to_string).collect(),
                };
                (*index, refused)
            })
            .collect();
        for (index, refused) in refusals {
            all[index].comparison.refused.get_or_insert(refused);
        }
    }
}

/// The objects that a release writes, in whichever slot, each with its template.
fn claims_of(release: &Release) -> Vec<(ObjectKey, String)> {
    let claims = release.stands_as().into_iter().flat_map(|rendered| {
        let scopes = Scopes::of(rendered);
        let manifests = rendered.manifests.iter();
        manifests.map(move |one| (scopes.settle(&one.key), one.source.to_string()))
    });
    claims.collect()
}

/// The first object that a release shares with others that git wants on its cluster.
///
/// # Errors
/// The object, and which releases have it.
pub fn alone<'a>(
    release: &Release,
    others: impl Iterator<Item = &'a Release>,
) -> Result<(), Refused> {
    let id = ReleaseId::of(&release.instance);
    let mut mine: BTreeMap<ObjectKey, (String, BTreeSet<String>)> = claims_of(release)
        .into_iter()
        .map(|(key, template)| (key, (template, BTreeSet::new())))
        .collect();
    for other in others.filter(|other| ReleaseId::of(&other.instance) != id) {
        for (key, _) in claims_of(other) {
            if let Some((_, others)) = mine.get_mut(&key) {
                others.insert(ReleaseId::of(&other.instance).to_string());
            }
        }
    }
    let shared = mine.into_iter().find(|(_, (_, others))| !others.is_empty());
    shared.map_or(Ok(()), |(object, (template, others))| {
        Err(Refused::Claimed { object, template, others: others.into_iter().collect() })
    })
}

/// Group and kind.
type Kind = (String, String);

/// The kinds that a release brings CRDs of.
fn kinds_of(release: &Release) -> impl Iterator<Item = Kind> {
    let is_skipped = release.instance.upgrade.crds == CrdPolicy::Skip;
    let of_folder = release.rendered.crds.manifests.iter().filter(|_| !is_skipped);
    crds::defined(of_folder.chain(&release.rendered.manifests)).into_keys()
}

/// Takes the objects away that a cluster does not serve, but one of these releases brings the kind
/// of. Gives the rest.
pub fn without_brought<'a>(
    unserved: Vec<NotServed>,
    releases: impl Iterator<Item = &'a Release>,
) -> Vec<NotServed> {
    if unserved.is_empty() {
        return unserved;
    }
    let brought: BTreeSet<Kind> = releases.flat_map(kinds_of).collect();
    let is_brought =
        |one: &NotServed| brought.contains(&(one.object.group.clone(), one.object.kind.clone()));
    unserved.into_iter().filter(|one| !is_brought(one)).collect()
}

fn order_by_kinds(all: &mut [Neighbour<'_>]) {
    let mut brought: BTreeMap<Kind, usize> = BTreeMap::new();
    for (index, one) in all.iter().enumerate() {
        for kind in kinds_of(one.release) {
            brought.entry(kind).or_insert(index);
        }
    }
    for index in 0..all.len() {
        let mut lacking: Vec<NotServed> = Vec::new();
        for one in std::mem::take(&mut all[index].comparison.unserved) {
            let kind = (one.object.group.clone(), one.object.kind.clone());
            let from = brought.get(&kind).map(|from| all[*from].addon().clone());
            match from {
                Some(addon) if comes_first(all, index, &addon) => {
                    let note = format!("its kind comes with the addon `{addon}`");
                    let changes = all[index].comparison.changes.iter_mut();
                    for change in changes.filter(|change| change.key == one.object) {
                        change.note = Some(note.clone());
                    }
                }
                _ => lacking.push(one),
            }
        }
        if !lacking.is_empty() {
            let refused = Refused::NotServed { objects: lacking };
            all[index].comparison.refused.get_or_insert(refused);
        }
    }
}

/// Lets a release wait for an addon, unless that waits for the release already.
fn comes_first(all: &mut [Neighbour<'_>], index: usize, addon: &AddonName) -> bool {
    let mut before = BTreeSet::from([addon.clone()]);
    let mut next = vec![addon.clone()];
    while let Some(one) = next.pop() {
        for neighbour in all.iter().filter(|neighbour| *neighbour.addon() == one) {
            let new = neighbour.depends_on.iter().filter(|one| before.insert((*one).clone()));
            next.extend(new.cloned());
        }
    }
    if before.contains(all[index].addon()) {
        return false;
    }
    let depends_on = &mut *all[index].depends_on;
    if !depends_on.contains(addon) {
        depends_on.push(addon.clone());
    }
    true
}
