//! Evidence for rollouts: a full look at the members that have begun, and at what those that are
//! next depend on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::StreamExt as _;

use super::head::Head;
use super::look::{Look, seen_in};
use super::tick::Reconciler;
use super::wishes::Looks;
use crate::base::ids::{AddonName, ClusterName, InstanceKey};
use crate::base::limits::CLUSTERS_IN_PARALLEL;
use crate::base::planted::{Planted, is_planted};
use crate::fleet::Desired;
use crate::fleet::model::Dependency;
use crate::k8s::ClusterClient;
use crate::live::{self, Subject};
use crate::rollout::train::{Whole, trains};
use crate::rollout::{GateSeen, Instances, MemberState, Observation, Readiness, Rollout};

/// Full looks at instances, made in this tick.
type Observed = BTreeMap<InstanceKey, live::Observation>;

impl Reconciler {
    /// What each rollout is to know of its members.
    pub(super) async fn observe_members(
        &self,
        head: &Head,
        looks: &Looks,
        active: Vec<Rollout>,
    ) -> Vec<(Rollout, Observation)> {
        let mut wanted: BTreeSet<InstanceKey> = BTreeSet::new();
        for rollout in &active {
            for (cluster, member) in rollout.changing(rollout.stage) {
                let key = InstanceKey { cluster: cluster.clone(), addon: rollout.addon().clone() };
                if member.state == MemberState::Waiting {
                    let on = self.dependencies(head, rollout, &key).unwrap_or_default();
                    wanted.extend(on.iter().map(|on| on_same_cluster(on, &key)));
                } else if needs_evidence(&member.state) {
                    wanted.insert(key);
                }
            }
        }
        let observed = self.observe(head, looks, wanted).await;
        let holds = self.holds(looks, &active).await;
        let seen = |rollout: &Rollout| -> Instances {
            let clusters = rollout.members.keys();
            let seen = clusters.filter_map(|cluster| {
                let key = InstanceKey { cluster: cluster.clone(), addon: rollout.addon().clone() };
                let look = looks.get(cluster)?;
                if rollout.members[cluster].goal.digest.is_some() {
                    // Without its release's name nothing can be told of it, not even that it is absent.
                    self.ids.get(&key)?;
                }
                let mut seen = look.seen(self.ids.get(&key));
                if let Some(observation) = observed.get(&key) {
                    seen = seen_in(observation, seen);
                }
                seen.attempt = self.attempts.get(&key).cloned();
                let is_waiting = rollout.members[cluster].state == MemberState::Waiting;
                if is_waiting && rollout.members[cluster].stage == Some(rollout.stage) {
                    let blocked = match rollout.members[cluster].goal.digest {
                        Some(_) if is_planted(Planted::NoDependency) => None,
                        Some(_) => match self.dependencies(head, rollout, &key) {
                            Ok(on) => blocked_by_dependency(&on, look, &observed, &key),
                            Err(reason) => Some(reason),
                        },
                        None if is_planted(Planted::NoDependant) => None,
                        None => self.blocked_by_dependant(head, looks, &key),
                    };
                    let blocked = blocked.or_else(|| holds.get(cluster).cloned());
                    seen.readiness = blocked.map_or(Readiness::Ready, Readiness::Blocked);
                }
                Some((cluster.clone(), seen))
            });
            seen.collect()
        };
        let gates = self.ask_gates_once(&active).await;
        let with_seen = |(rollout, gates): (Rollout, _)| {
            let instances = seen(&rollout);
            let refused = self.refused_approvals.get(&rollout.id).cloned().unwrap_or_default();
            (rollout, Observation { instances, gates, refused })
        };
        active.into_iter().zip(gates).map(with_seen).collect()
    }

    /// What gates say: those of a train are asked once, of all that moves in it.
    async fn ask_gates_once(&self, active: &[Rollout]) -> Vec<BTreeMap<String, GateSeen>> {
        let trains = trains(active.iter().collect(), |rollout: &&Rollout| *rollout);
        let first = trains.iter().filter_map(|train| train.first().map(|first| (*first, train)));
        let asked: Vec<_> =
            first.map(|(first, train)| Whole::of(first, train.iter().copied()).as_one()).collect();
        let said = self.ask_gates(&asked).await;
        let of = |rollout: &Rollout| {
            let is_in = |train: &Vec<&Rollout>| train.iter().any(|one| one.id == rollout.id);
            let at = trains.iter().position(is_in)?;
            said.get(at).cloned()
        };
        active.iter().map(|rollout| of(rollout).unwrap_or_default()).collect()
    }

    /// The clusters that are next and must not be begun, because they say so or cannot be asked.
    async fn holds(&self, looks: &Looks, active: &[Rollout]) -> BTreeMap<ClusterName, String> {
        let next = active.iter().flat_map(|rollout| {
            let members = rollout.changing(rollout.stage);
            members.filter(|(_, member)| member.state == MemberState::Waiting)
        });
        let next: BTreeSet<&ClusterName> = next.map(|(cluster, _)| cluster).collect();
        let asked = next.into_iter().filter_map(|cluster| {
            looks.get(cluster)?.releases.as_ref().ok()?;
            let (_, client) = self.clients.get(cluster)?;
            Some(async move {
                let held = match live::hold::hold(client).await {
                    Ok(held) => held?,
                    Err(error) => {
                        format!("the cluster, to say whether it holds changes off: {error}")
                    }
                };
                Some((cluster.clone(), held))
            })
        });
        let asked: Vec<_> = asked.collect();
        let asked = futures::stream::iter(asked).buffer_unordered(CLUSTERS_IN_PARALLEL);
        asked.filter_map(std::future::ready).collect().await
    }

    /// Full looks, many at a time; of clusters that just did not answer there are none. Each is
    /// evidence of its own time.
    pub(super) async fn observe(
        &self,
        head: &Head,
        looks: &Looks,
        wanted: impl IntoIterator<Item = InstanceKey>,
    ) -> Observed {
        self.observe_by(ClusterClient::clone, head, looks, wanted).await
    }

    /// As [`Self::observe`], with one list of each kind and cluster for all looks. A list may be
    /// older than a look that uses it, so that nothing here is evidence for a gate.
    pub(super) async fn skim(
        &self,
        head: &Head,
        looks: &Looks,
        wanted: impl IntoIterator<Item = InstanceKey>,
    ) -> Observed {
        self.observe_by(ClusterClient::for_one_pass, head, looks, wanted).await
    }

    async fn observe_by(
        &self,
        client: impl Fn(&ClusterClient) -> ClusterClient,
        head: &Head,
        looks: &Looks,
        wanted: impl IntoIterator<Item = InstanceKey>,
    ) -> Observed {
        let clients: BTreeMap<&ClusterName, ClusterClient> =
            self.clients.iter().map(|(name, (_, known))| (name, client(known))).collect();
        let looked =
            |cluster: &ClusterName| looks.get(cluster).is_some_and(|look| look.releases.is_ok());
        let jobs = wanted.into_iter().filter(|key| looked(&key.cluster)).filter_map(|key| {
            let client = clients.get(&key.cluster)?;
            let id = self.ids.get(&key)?.clone();
            let release = head.releases.get(&key);
            let clock = Arc::clone(&self.options.clock);
            Some(async move {
                let subject = release.map_or_else(|| Subject::from(&id), Subject::from);
                let subject = Subject { namespace: &id.namespace, name: &id.name, ..subject };
                let observation = live::observe(client, subject, &*clock).await;
                (key, observation)
            })
        });
        let jobs: Vec<_> = jobs.collect();
        futures::stream::iter(jobs).buffer_unordered(CLUSTERS_IN_PARALLEL).collect().await
    }

    /// What an instance depends on, on its cluster: as the newest commit says, and where that one cannot
    /// be read, as the commit that the rollout is pinned to does.
    ///
    /// # Errors
    /// Why it cannot be known.
    fn dependencies(
        &self,
        head: &Head,
        rollout: &Rollout,
        key: &InstanceKey,
    ) -> Result<Vec<Dependency>, String> {
        if let Some(instance) = head.desired.instance(key) {
            return Ok(instance.depends_on.clone());
        }
        let pinned = self.revisions.desired(&rollout.rev)?;
        let instance = pinned.instance(key).ok_or_else(|| {
            format!("to know what it depends on: commit {} has no {key}", rollout.rev.short())
        })?;
        Ok(instance.depends_on.clone())
    }

    /// Why an instance must not go yet: what is still there and depends on it, as of the commit
    /// that each is at.
    fn blocked_by_dependant(
        &self,
        head: &Head,
        looks: &Looks,
        key: &InstanceKey,
    ) -> Option<String> {
        let releases = looks.get(&key.cluster)?.releases.as_ref().ok()?;
        for (id, sighting) in releases {
            let Some(addon) = sighting.addon.as_ref().filter(|addon| **addon != key.addon) else {
                continue;
            };
            let other = InstanceKey { cluster: key.cluster.clone(), addon: addon.clone() };
            // Also of one that is on its way off: its objects may still be there.
            let at_rev = sighting.rev.as_ref().and_then(|rev| self.revisions.desired(rev).ok());
            let depends = |desired: &Desired| {
                let instance = desired.instance(&other);
                instance.is_some_and(|one| one.depends_on.iter().any(|on| on.addon == key.addon))
            };
            let is_dependant =
                depends(&head.desired) || at_rev.is_some_and(|desired| depends(&desired));
            if is_dependant {
                return Some(format!("{other} to go first, which depends on it (release {id})"));
            }
        }
        None
    }
}

/// Whether an observation of the objects can change anything.
fn needs_evidence(state: &MemberState) -> bool {
    matches!(
        state,
        MemberState::Moving { applied_at: Some(_), .. }
            | MemberState::Healthy { .. }
            | MemberState::Soaked { .. }
            | MemberState::GoingBack { applied_at: Some(_), .. }
    )
}

/// A dependency's instance.
fn on_same_cluster(on: &Dependency, key: &InstanceKey) -> InstanceKey {
    InstanceKey { cluster: key.cluster.clone(), addon: on.addon.clone() }
}

/// Why an instance must not be begun: something it depends on is not there, not well, or not at the
/// version asked for.
fn blocked_by_dependency(
    depends_on: &[Dependency],
    look: &Look,
    observed: &Observed,
    key: &InstanceKey,
) -> Option<String> {
    depends_on.iter().find_map(|on| {
        let dependency = on_same_cluster(on, key);
        let wait = |what: &str| Some(format!("{dependency}, {what}"));
        if look.releases.is_err() {
            return None;
        }
        let Some(observation) = observed.get(&dependency) else {
            return wait("which the fleet does not have there");
        };
        let Some(adopted) = &observation.adopted else { return wait("which is not installed") };
        if observation.pending.is_some() {
            return wait("which is being changed");
        }
        if !observation.health.is_ready() || !observation.gaps.is_empty() {
            return wait(&format!("which is not healthy: {}", observation.health.message));
        }
        let range = on.version.as_deref()?;
        let version = &adopted.chart_version;
        if on.is_met_by(version) {
            return None;
        }
        let version = version.trim_start_matches('v');
        wait(&format!("which is at `{version}` and has to be at {range}"))
    })
}

/// Whether a rollout is moving an instance, or may be. What has passed its stage is at rest.
pub(super) fn is_in_rollout(
    rollouts: &[Rollout],
    cluster: &ClusterName,
    addon: &AddonName,
) -> bool {
    rollouts.iter().any(|rollout| {
        rollout.addon() == addon
            && rollout.members.get(cluster).is_some_and(|member| {
                let is_off = member.state.is_touched()
                    || matches!(member.state, MemberState::GoingBack { .. });
                is_off && member.stage.is_none_or(|stage| stage >= rollout.stage)
            })
    })
}
