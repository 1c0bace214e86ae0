//! Counters for Prometheus: what was polled, attempted, decided, and how the fleet stands.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::attempt::{Done, Task};
use super::wishes::Looks;
use crate::base::ids::InstanceKey;
use crate::live::Observation;
use crate::rollout::{AttemptResult, Event};
use crate::store::Rollouts;
use crate::switch::{SwitchEvent, Switches};

/// Everything that `/metrics` shows.
#[derive(Debug, Default)]
pub struct Metrics {
    ticks: Counter,
    polls: Family<ResultLabel, Counter>,
    attempts: Family<AttemptLabel, Counter>,
    events: Family<EventLabel, Counter>,
    rollouts: Family<PhaseLabel, Gauge>,
    switches: Family<PhaseLabel, Gauge>,
    switch_events: Family<SwitchEventLabel, Counter>,
    clusters: Family<ResultLabel, Gauge>,
    healthy: Family<InstanceLabel, Gauge>,
    drifted: Counter,
    last_tick: Gauge<f64, AtomicU64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabel {
    task: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct EventLabel {
    event: &'static str,
    addon: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SwitchEventLabel {
    event: &'static str,
    policy: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InstanceLabel {
    cluster: String,
    addon: String,
}

fn result(is_good: bool) -> ResultLabel {
    ResultLabel { result: if is_good { "ok" } else { "failed" } }
}

impl Metrics {
    /// Git was polled.
    pub fn polled(&self, is_good: bool) {
        self.polls.get_or_create(&result(is_good)).inc();
    }

    /// An attempt has ended.
    pub fn attempted(&self, task: &Task, done: &Done) {
        let result = match done.result {
            AttemptResult::Done { .. } => "done",
            AttemptResult::UnderWay(_) => "underWay",
            AttemptResult::Passing(_) => "passing",
            AttemptResult::Final(_) => "final",
        };
        self.attempts.get_or_create(&AttemptLabel { task: task.word(), result }).inc();
    }

    /// An event was recorded.
    pub fn happened(&self, event: &Event) {
        let label = EventLabel { event: event.kind.name(), addon: event.addon.to_string() };
        self.events.get_or_create(&label).inc();
    }

    /// An event of a switch was recorded.
    pub fn switch_happened(&self, event: &SwitchEvent) {
        let label =
            SwitchEventLabel { event: event.kind.name(), policy: event.pair.policy.to_string() };
        self.switch_events.get_or_create(&label).inc();
    }

    /// How switches stand.
    pub fn switched(&self, switches: &Switches) {
        self.switches.clear();
        for switch in switches.iter() {
            self.switches.get_or_create(&PhaseLabel { phase: switch.phase.word() }).inc();
        }
    }

    /// An instance at rest was compared with what it is at.
    pub fn compared(&self, key: &InstanceKey, observation: &Observation) {
        let label =
            InstanceLabel { cluster: key.cluster.to_string(), addon: key.addon.to_string() };
        self.healthy.get_or_create(&label).set(i64::from(observation.health.is_ready()));
        if observation.has_drifted == Some(true) {
            self.drifted.inc();
        }
    }

    /// A tick has ended.
    pub fn ticked(&self, rollouts: &Rollouts, looks: &Looks) {
        self.ticks.inc();
        self.last_tick.set(crate::base::clock::now().as_millisecond() as f64 / 1000.0);
        self.rollouts.clear();
        for rollout in rollouts.iter() {
            self.rollouts.get_or_create(&PhaseLabel { phase: rollout.phase.word() }).inc();
        }
        let reached = looks.values().filter(|look| look.releases.is_ok()).count();
        self.clusters.get_or_create(&result(true)).set(reached as i64);
        self.clusters.get_or_create(&result(false)).set((looks.len() - reached) as i64);
    }

    /// Whether there was a tick yet.
    pub fn has_ticked(&self) -> bool {
        self.ticks.get() > 0
    }

    /// Seconds since the epoch of the last tick's end; 0 before the first.
    pub fn last_tick(&self) -> f64 {
        self.last_tick.get()
    }

    /// The text that Prometheus reads.
    pub fn text(&self) -> String {
        let mut registry = Registry::with_prefix("fitout");
        registry.register("ticks", "Ticks of the controller", self.ticks.clone());
        registry.register("git_polls", "Polls of the fleet's repository", self.polls.clone());
        registry.register("attempts", "Attempts on instances", self.attempts.clone());
        registry.register("rollout_events", "Entries of the event log", self.events.clone());
        registry.register("rollouts", "Rollouts by phase", self.rollouts.clone());
        registry.register("switches", "Switches of clusters by phase", self.switches.clone());
        registry.register(
            "switch_events",
            "Entries of the log of switches",
            self.switch_events.clone(),
        );
        registry.register("clusters", "Clusters by whether they answer", self.clusters.clone());
        registry.register(
            "instance_healthy",
            "1 where an instance at rest was last seen healthy",
            self.healthy.clone(),
        );
        registry.register("drifted", "Instances that somebody had changed", self.drifted.clone());
        registry.register(
            "last_tick_timestamp_seconds",
            "When the last tick ended",
            self.last_tick.clone(),
        );
        let mut text = String::new();
        encode(&mut text, &registry).expect("writing to a String cannot fail");
        text
    }
}
