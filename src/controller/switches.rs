//! Switches of clusters, at each tick: which have begun, what is seen of them, and their hooks.

mod hook;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::gates::{TIMEOUT, prometheus, webhook, within};
use super::head::Head;
use super::tick::Reconciler;
use super::wishes::Looks;
use crate::base::clock::{Timestamp, after};
use crate::base::ids::{AddonName, ClusterName, InstanceKey, Rev};
use crate::fleet::model::{
    Cluster, ClusterMetadata, ClusterSpec, Connection, Fleet, Gate, PrometheusGate,
};
use crate::fleet::switch::{pair_of, pairs};
use crate::k8s::ClusterClient;
use crate::live::Observation as Observed;
use crate::parity::{self, Report, Sighting};
use crate::render::Release;
use crate::rollout::{GateSeen, Verdict};
use crate::store::{StoreError, SwitchLog};
use crate::switch::advance::gates_due;
use crate::switch::{
    HookOutcome, HookSeen, Left, Observation, PairId, ParitySeen, Phase, SideSeen, Switch,
    SwitchEvent, SwitchId, Waiting, advance, begin,
};

/// Clusters are looked at once in so many paces.
const LOOK_PACES: u32 = 5;

/// What is kept of switches between ticks. All of it but the log can be lost at any time.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) log: SwitchLog,
    /// What switches that are under way wait for.
    pub(super) waiting: BTreeMap<SwitchId, Waiting>,
    /// Pairs of which nothing is made, and why.
    pub(super) held: BTreeMap<PairId, String>,
    /// What gates have said.
    gates: BTreeMap<SwitchId, BTreeMap<String, GateSeen>>,
    /// The newest look at the clusters of each switch.
    looks: BTreeMap<SwitchId, Sides>,
    /// What git says of pairs.
    reports: BTreeMap<(ClusterName, ClusterName), (Rev, Arc<Report>)>,
    hub: Option<ClusterClient>,
    /// What hooks that have not done it have said last.
    told: BTreeMap<SwitchId, String>,
    /// Since when nothing is under way that could bring a cluster to parity.
    still_since: Option<Timestamp>,
}

/// Both clusters of a switch, seen at one time.
#[derive(Clone)]
struct Sides {
    at: Timestamp,
    /// Every instance that git wants there, and what was seen of it.
    seen: Arc<BTreeMap<InstanceKey, Observed>>,
    /// Why a cluster could not be asked.
    down: BTreeMap<ClusterName, String>,
}

impl Standing {
    /// Whether a switch is on its way, and not held nor only watched.
    pub(super) fn is_busy(&self) -> bool {
        self.waiting
            .values()
            .any(|waits| !waits.is_held() && !matches!(waits, Waiting::Time { .. }))
    }

    /// Whether nothing comes of the switches by itself, as far as can be told: clusters are not at parity,
    /// nothing is on its way to them, and that has been so for a while.
    pub(super) fn is_still(&mut self, is_quiet: bool, now: Timestamp, patience: Duration) -> bool {
        let is_idle = |waits: &Waiting| {
            !matches!(waits, Waiting::Hook { .. } | Waiting::Gate { .. } | Waiting::Health { .. })
        };
        let is_waiting = self.is_busy() && self.waiting.values().all(is_idle);
        if !is_quiet || !is_waiting {
            self.still_since = None;
            return false;
        }
        let since = *self.still_since.get_or_insert(now);
        after(since, patience) <= now
    }

    /// Whether a switch waits for somebody, or for its policy to open.
    pub(super) fn is_held(&self) -> bool {
        self.waiting.values().any(Waiting::is_held)
    }

    /// Whether a cluster has to be watched.
    pub(super) fn is_watching(&self) -> bool {
        let is_watched = |waits: &Waiting| !matches!(waits, Waiting::Time { is_drain: false, .. });
        self.waiting.values().any(is_watched)
    }
}

impl Reconciler {
    /// Begins and advances switches, and runs their hooks. Gives when time alone changes something.
    pub(super) async fn tick_switches(
        &mut self,
        head: &Arc<Head>,
        looks: &Looks,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.read_switches()?;
        if head.desired.fleet.switches.is_empty() && self.switches.log.sequence == 0 {
            return Ok(None);
        }
        self.begin_switches(head)?;
        let mut wake_at = None;
        self.switches.waiting.clear();
        for switch in self.active_switches() {
            let at = self.advance_switch(head, looks, switch).await?;
            wake_at = [wake_at, at].into_iter().flatten().min();
        }
        let active: BTreeSet<SwitchId> =
            self.active_switches().into_iter().map(|switch| switch.id).collect();
        self.switches.gates.retain(|id, _| active.contains(id));
        self.switches.looks.retain(|id, _| active.contains(id));
        self.metrics.switched(&self.switches.log.switches);
        Ok(wake_at)
    }

    /// What switches that are under way wait for, found out without recording or sending anything.
    pub(super) async fn survey_switches(&mut self, head: &Arc<Head>, looks: &Looks) {
        if self.read_switches().is_err() {
            return;
        }
        let now = self.options.clock.now();
        if head.is_whole() {
            let begun = begin(&head.desired.fleet, head.rev(), &self.switches.log.switches, now);
            self.switches.held = begun.held;
        }
        for switch in self.active_switches() {
            let seen = self.see(head, looks, &switch).await;
            // What was seen just now is not of the future.
            let step = advance(&switch, &seen, self.options.clock.now());
            self.switches.waiting.extend(step.waiting.map(|waits| (switch.id, waits)));
        }
    }

    fn active_switches(&self) -> Vec<Switch> {
        let all = self.switches.log.switches.iter();
        all.filter(|switch| !switch.phase.is_ended()).cloned().collect()
    }

    /// Reads what others have recorded: people, for the most part.
    pub(super) fn read_switches(&mut self) -> Result<(), StoreError> {
        for event in self.switches.log.read_on(&*self.store)? {
            tell(&event);
        }
        Ok(())
    }

    fn record_switches(&mut self, events: &[SwitchEvent]) -> Result<(), StoreError> {
        self.switches.log.append(&mut *self.store, events)?;
        for event in events {
            tell(event);
            self.metrics.switch_happened(event);
        }
        Ok(())
    }

    fn begin_switches(&mut self, head: &Head) -> Result<(), StoreError> {
        // Where a document cannot be read, a cluster that is not there may still be.
        if !head.is_whole() {
            return Ok(());
        }
        let now = self.options.clock.now();
        let begun = begin(&head.desired.fleet, head.rev(), &self.switches.log.switches, now);
        self.record_switches(&begun.events)?;
        for (pair, reason) in &begun.held {
            if self.switches.held.get(pair) != Some(reason) {
                tracing::warn!(policy = %pair.policy, %pair, reason, "pair is held");
            }
        }
        self.switches.held = begun.held;
        Ok(())
    }

    async fn advance_switch(
        &mut self,
        head: &Arc<Head>,
        looks: &Looks,
        switch: Switch,
    ) -> Result<Option<Timestamp>, StoreError> {
        let mut seen = self.see(head, looks, &switch).await;
        let step = advance(&switch, &seen, self.options.clock.now());
        self.record_switches(&step.events)?;
        let mut step = step;
        if let Some(decision) = step.run.take() {
            let outcome = self.run_hook(head, &step.switch, &decision).await;
            if let HookOutcome::Open(message) = &outcome
                && self.switches.told.insert(switch.id.clone(), message.clone()).as_ref()
                    != Some(message)
            {
                tracing::warn!(switch = %switch.id, message, "the hook has not done it yet");
            }
            seen.hook = Some(HookSeen { number: decision.number, outcome });
            step = advance(&step.switch, &seen, self.options.clock.now());
            self.record_switches(&step.events)?;
        }
        if let Some(waits) = step.waiting {
            self.switches.waiting.insert(step.switch.id.clone(), waits);
        }
        Ok(step.wake_at)
    }

    /// What is to be known of a switch.
    async fn see(&mut self, head: &Arc<Head>, looks: &Looks, switch: &Switch) -> Observation {
        let mut seen = Observation { left: left(head, switch), ..Observation::default() };
        if matches!(switch.phase, Phase::Kept { .. } | Phase::Stopped) {
            return seen;
        }
        let sides = self.look_at_sides(head, looks, switch).await;
        seen.blue = Some(side(head, &sides, &switch.blue));
        seen.green = Some(side(head, &sides, &switch.green));
        if matches!(switch.phase, Phase::BringingUp | Phase::Gates { .. }) {
            seen.parity = self.parity(head, switch, &sides).await;
        }
        seen.gates = self.ask_switch_gates(switch).await;
        seen
    }

    /// A look at every instance of both clusters, unless there was one a moment ago.
    async fn look_at_sides(&mut self, head: &Head, looks: &Looks, switch: &Switch) -> Sides {
        let now = self.options.clock.now();
        let known = self.switches.looks.get(&switch.id);
        let is_recent = |sides: &&Sides| {
            sides.at <= now && after(sides.at, self.options.pace * LOOK_PACES) > now
        };
        if let Some(sides) = known.filter(is_recent) {
            return sides.clone();
        }
        let is_of = |key: &InstanceKey| key.cluster == switch.blue || key.cluster == switch.green;
        let keys = head.desired.instances.iter().map(|instance| instance.key.clone());
        let keys: Vec<InstanceKey> = keys.filter(is_of).collect();
        let seen = Arc::new(self.observe(head, looks, keys).await);
        let down = [&switch.blue, &switch.green].into_iter().filter_map(|name| {
            let reason = match looks.get(name).map(|look| &look.releases) {
                Some(Ok(_)) => return None,
                Some(Err(reason)) => reason.clone(),
                None => "it is not in the fleet".to_owned(),
            };
            Some((name.clone(), reason))
        });
        let sides = Sides { at: now, seen, down: down.collect() };
        self.switches.looks.insert(switch.id.clone(), sides.clone());
        sides
    }

    /// Green against blue: what git says, and what is there. None where something could not be seen.
    async fn parity(
        &mut self,
        head: &Arc<Head>,
        switch: &Switch,
        sides: &Sides,
    ) -> Option<ParitySeen> {
        if sides.down.contains_key(&switch.green) {
            return None;
        }
        let report = self.report(head, switch).await?;
        let is_by_git = !report.lacks(&switch.policy.parity.allow).is_empty();
        let mut report = (*report).clone();
        let keys = sides.seen.iter().filter(|(key, _)| key.cluster == switch.green);
        let mut observed_at = sides.at;
        for (key, observation) in keys {
            let Some(release) = head.releases.get(key) else { continue };
            let sighting = Sighting::of(observation, release);
            if sighting.is_unknown {
                return None;
            }
            observed_at = observed_at.min(sighting.observed_at);
            if let Some(addon) = report.addons.get_mut(&key.addon) {
                addon.live.get_or_insert_default().green = Some(sighting);
            }
        }
        let is_unseen = |addon: &AddonName| {
            let key = InstanceKey { cluster: switch.green.clone(), addon: addon.clone() };
            head.desired.instance(&key).is_some() && !sides.seen.contains_key(&key)
        };
        let unseen = report.addons.keys().filter(|addon| is_unseen(addon));
        let unseen: Vec<String> =
            unseen.map(|addon| format!("{addon} could not be looked at")).collect();
        let lacks = report.lacks(&switch.policy.parity.allow).into_iter();
        let lacks = lacks.map(|lack| lack.told()).chain(unseen).collect();
        Some(ParitySeen { observed_at, lacks, is_by_git })
    }

    /// What git says of a pair, once for each commit.
    async fn report(&mut self, head: &Arc<Head>, switch: &Switch) -> Option<Arc<Report>> {
        let key = (switch.blue.clone(), switch.green.clone());
        if let Some((rev, report)) = self.switches.reports.get(&key)
            && rev == head.rev()
        {
            return Some(Arc::clone(report));
        }
        let (charts, of) = (Arc::clone(&self.options.charts), key.clone());
        let head_of = Arc::clone(head);
        let made = self.revisions.off(move |_| {
            let is_of = |release: &&Release| {
                let cluster = &release.instance.key.cluster;
                *cluster == of.0 || *cluster == of.1
            };
            let releases: Vec<Release> = head_of.releases.values().filter(is_of).cloned().collect();
            parity::compare(&head_of.desired, &releases, (&of.0, &of.1), &charts)
        });
        let report = match made.await {
            Ok(report) => Arc::new(report),
            Err(error) => {
                tracing::warn!(error, "clusters could not be compared");
                return None;
            }
        };
        self.switches.reports.insert(key, (head.rev().clone(), Arc::clone(&report)));
        Some(report)
    }

    /// Asks the gates that are due; gives what each has said last.
    async fn ask_switch_gates(&mut self, switch: &Switch) -> BTreeMap<String, GateSeen> {
        let now = self.options.clock.now();
        let mut known = self.switches.gates.get(&switch.id).cloned().unwrap_or_default();
        for gate in gates_due(switch, &known, now) {
            let Some(asked) = gate.asked() else { continue };
            let verdict = if self.is_onlooker && gate.webhook.is_some() {
                Verdict::Unknown("the controller asks for it".to_owned())
            } else {
                self.ask_switch_gate(switch, gate, now).await
            };
            known.insert(asked.name.to_owned(), GateSeen::new(now, verdict));
        }
        self.switches.gates.insert(switch.id.clone(), known.clone());
        known
    }

    async fn ask_switch_gate(&self, switch: &Switch, gate: &Gate, now: Timestamp) -> Verdict {
        let (gate, switch) = (gate.clone(), switch.clone());
        let asked = within(TIMEOUT, move || match (&gate.prometheus, &gate.webhook) {
            (Some(gate), _) => {
                let green = switch.green.as_str().replace('.', "\\\\.");
                let query = gate.query.replace(PrometheusGate::CLUSTERS, &green);
                prometheus::ask_query(gate, &query)
            }
            (None, Some(gate)) => webhook::post(&gate.url, &gate.secret, now, |nonce| {
                crate::switch::hook::gate_question(&switch, &gate.name, nonce, now)
            }),
            (None, None) => Err("the gate asks nobody".to_owned()),
        });
        asked.await.unwrap_or_else(Verdict::Unknown)
    }
}

/// Which clusters of a switch have left the pair: by a commit that could be read as a whole.
fn left(head: &Head, switch: &Switch) -> Left {
    if !head.is_whole() {
        return Left::default();
    }
    let fleet = &head.desired.fleet;
    let spec = fleet.switches.get(&switch.pair.policy).map(|policy| &policy.value.spec);
    let is_member = |name: &ClusterName| {
        let (Some(spec), Some(cluster)) = (spec, fleet.clusters.get(name)) else { return false };
        let labels = &cluster.value.metadata.labels;
        let values = switch.pair.labels.iter();
        spec.clusters.matches(labels)
            && pair_of(spec, &cluster.value).is_some()
            && values.into_iter().all(|(label, value)| labels.get(label) == Some(value))
    };
    Left { blue: !is_member(&switch.blue), green: !is_member(&switch.green) }
}

/// How a cluster is, whichever revisions its instances are at.
fn side(head: &Head, sides: &Sides, cluster: &ClusterName) -> SideSeen {
    if let Some(reason) = sides.down.get(cluster) {
        let problem = Some(format!("it does not answer: {reason}"));
        return SideSeen { observed_at: sides.at, problem };
    }
    let wanted = head.desired.instances.iter().filter(|one| one.key.cluster == *cluster);
    let mut observed_at = None::<Timestamp>;
    let mut problem = None;
    for instance in wanted {
        let addon = &instance.key.addon;
        let Some(seen) = sides.seen.get(&instance.key) else {
            problem.get_or_insert_with(|| format!("{addon} could not be looked at"));
            continue;
        };
        observed_at = [observed_at, Some(seen.observed_at)].into_iter().flatten().min();
        if let Some(gap) = seen.gaps.first() {
            problem.get_or_insert_with(|| format!("{addon}: {gap}"));
        } else if seen.adopted.is_none() {
            problem.get_or_insert_with(|| format!("{addon} is not installed"));
        } else if !seen.health.is_ready() {
            problem.get_or_insert_with(|| format!("{addon}: {}", seen.health.message));
        }
    }
    SideSeen { observed_at: observed_at.unwrap_or(sides.at), problem }
}

/// A cluster of a switch as git has it; of one that has left git, what the switch knows.
fn cluster(head: &Head, switch: &Switch, name: &ClusterName) -> Cluster {
    let known = head.desired.fleet.clusters.get(name).map(|document| document.value.clone());
    known.unwrap_or_else(|| Cluster {
        metadata: ClusterMetadata { name: name.clone(), labels: switch.pair.labels.clone() },
        spec: ClusterSpec {
            kubernetes_version: String::new(),
            connection: Connection::default(),
            facts: BTreeMap::new(),
            addons: Vec::new(),
            replaces: None,
        },
    })
}

fn tell(event: &SwitchEvent) {
    let name = event.kind.name();
    tracing::info!(
        switch = event.switch.as_ref().map(ToString::to_string).unwrap_or_default(),
        pair = %event.pair,
        reason = event.reason.as_deref().unwrap_or_default(),
        "{name}"
    );
}

/// The pairs of every policy, with the clusters of each.
pub fn pairs_in(fleet: &Fleet) -> BTreeMap<PairId, Vec<ClusterName>> {
    let mut all = BTreeMap::new();
    for (policy, document) in &fleet.switches {
        let spec = &document.value.spec;
        for (values, members) in pairs(spec, fleet.clusters.values().map(|one| &one.value)) {
            let values = values.iter().map(|value| (*value).to_owned());
            let labels = spec.pair.by.iter().cloned().zip(values).collect();
            let names = members.iter().map(|one| one.metadata.name.clone()).collect();
            all.insert(PairId { policy: policy.clone(), labels }, names);
        }
    }
    all
}
