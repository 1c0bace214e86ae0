//! One look at one cluster: where each release is, from one list of its records.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::clock::{Clock, Timestamp};
use crate::base::ids::{AddonName, Rev};
use crate::base::planted::{Planted, is_planted};
use crate::health::Health;
use crate::k8s::ClusterClient;
use crate::live::blue_green::{self, Standing};
use crate::live::record::{RecordHead, ReleaseStatus};
use crate::live::{Observation, ReleaseId, releases};
use crate::rollout::{Place, Readiness, Seen};

/// A cluster's releases at one time, or why they could not be read.
#[derive(Clone, Debug)]
pub struct Look {
    /// When the reading began.
    pub at: Timestamp,
    /// By release.
    pub releases: Result<BTreeMap<ReleaseId, Sighting>, String>,
}

/// One release by its records' heads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sighting {
    /// The addon; none for a release that Helm made.
    pub addon: Option<AddonName>,
    /// The newest revision that was ever deployed.
    pub place: Option<Place>,
    /// The commit of the newest record, whatever became of it.
    pub rev: Option<Rev>,
    /// Whether that is the newest record, and it is deployed.
    pub is_settled: bool,
    /// The chart's version at the newest record.
    pub chart_version: String,
    /// Whether it was handed over to Helm.
    pub is_handed_over: bool,
}

/// Looks at a cluster.
pub async fn look(client: &ClusterClient, clock: &dyn Clock) -> Look {
    let at = clock.now();
    let heads = releases::all_heads(client).await;
    let releases = heads.map(|heads| sightings(&heads));
    let releases =
        if is_planted(Planted::GapIsAbsence) { Ok(releases.unwrap_or_default()) } else { releases };
    let releases = releases.map_err(|error| crate::report::errors::chain(&error));
    Look { at, releases }
}

/// Heads (sorted by release, oldest first) to one sighting for each release.
fn sightings(heads: &[RecordHead]) -> BTreeMap<ReleaseId, Sighting> {
    let bases: BTreeSet<ReleaseId> = heads.iter().filter_map(blue_green::base_of).collect();
    let mut seen = BTreeMap::new();
    for of_release in heads.chunk_by(|a, b| a.id == b.id) {
        let newest = of_release.last().expect("a chunk has at least one");
        if newest.status == ReleaseStatus::Uninstalled {
            continue;
        }
        let is_of_two = of_release.iter().any(|head| blue_green::base_of(head).is_some());
        if !is_of_two {
            seen.insert(newest.id.clone(), sighting(newest, of_release));
        }
    }
    for base in bases {
        let standing = Standing::of(&base, heads.iter().cloned());
        let Some(newest) = standing.present().last() else { continue };
        let mut of_two = sighting(newest, standing.present());
        of_two.is_settled &= standing.coming().is_none();
        if standing.active().is_none() {
            // What has never had all of the traffic is nothing to go back to.
            of_two.place = None;
        }
        seen.insert(base, of_two);
    }
    seen
}

fn sighting(newest: &RecordHead, heads: &[RecordHead]) -> Sighting {
    let was_deployed = |head: &&RecordHead| {
        matches!(head.status, ReleaseStatus::Deployed | ReleaseStatus::Superseded)
    };
    let place = heads.iter().rev().find(was_deployed).map(|head| Place {
        rev: head.origin.rev.clone(),
        digest: head.origin.digest.clone(),
        release_revision: head.revision,
    });
    Sighting {
        addon: newest.origin.addon.clone(),
        place,
        rev: newest.origin.rev.clone(),
        is_settled: newest.status == ReleaseStatus::Deployed,
        chart_version: newest.origin.chart_version.clone(),
        is_handed_over: newest.is_handed_over,
    }
}

impl Look {
    /// A look that could not be had.
    pub fn failed(at: Timestamp, reason: String) -> Self {
        Self { at, releases: Err(reason) }
    }

    /// Whether a release is known to have been handed over to Helm.
    pub fn is_handed_over(&self, id: &ReleaseId) -> bool {
        self.releases
            .as_ref()
            .is_ok_and(|releases| releases.get(id).is_some_and(|seen| seen.is_handed_over))
    }

    /// What is known of one release without having looked at its objects.
    pub fn seen(&self, id: Option<&ReleaseId>) -> Seen {
        let seen = Seen {
            observed_at: self.at,
            unreachable: None,
            has_gaps: false,
            place: None,
            is_settled: true,
            health: Health::unknown("has not been looked at"),
            readiness: Readiness::NotAsked,
            attempt: None,
        };
        let releases = match &self.releases {
            Ok(releases) => releases,
            Err(reason) => return Seen { unreachable: Some(reason.clone()), ..seen },
        };
        match id.and_then(|id| releases.get(id)) {
            Some(sighting) => {
                Seen { place: sighting.place.clone(), is_settled: sighting.is_settled, ..seen }
            }
            None => seen,
        }
    }
}

/// What an observation of a release's objects adds. Where it is comes from the observation itself,
/// so that place and health are of one time.
pub fn seen_in(observation: &Observation, before: Seen) -> Seen {
    let is_deployed = observation
        .adopted
        .as_ref()
        .is_some_and(|adopted| adopted.status == ReleaseStatus::Deployed);
    let place = match &observation.adopted {
        Some(adopted) if is_deployed => Some(Place {
            rev: adopted.rev.clone(),
            digest: adopted.digest.clone(),
            release_revision: adopted.release_revision,
        }),
        Some(_) => before.place.clone(),
        None => None,
    };
    let is_absent = observation.adopted.is_none() && observation.pending.is_none();
    let down = observation.gaps.iter().find(|_| observation.is_unreachable());
    Seen {
        observed_at: observation.observed_at,
        unreachable: down.map(|gap| gap.reason.clone()),
        has_gaps: !observation.gaps.is_empty(),
        place,
        is_settled: is_absent || is_deployed && observation.pending.is_none(),
        health: observation.health.clone(),
        ..before
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::live::record::heads;

    fn seen(statuses: &[(ReleaseStatus, &str)]) -> Option<(Option<u32>, bool)> {
        let seen = sightings(&heads(statuses));
        let sighting = seen.into_values().next()?;
        Some((sighting.place.map(|place| place.release_revision), sighting.is_settled))
    }

    #[test]
    fn a_release_is_where_it_was_deployed_last() {
        use ReleaseStatus::{Deployed, Failed, PendingInstall, PendingUpgrade, Superseded};
        assert_eq!(seen(&[(Superseded, "a"), (Deployed, "b")]), Some((Some(2), true)));
        assert_eq!(seen(&[(Deployed, "a"), (PendingUpgrade, "b")]), Some((Some(1), false)));
        assert_eq!(seen(&[(Superseded, "a"), (Failed, "b")]), Some((Some(1), false)));
        assert_eq!(seen(&[(PendingInstall, "a")]), Some((None, false)));
        assert_eq!(seen(&[(ReleaseStatus::Uninstalled, "a")]), None);
        assert_eq!(seen(&[]), None);
    }
}
