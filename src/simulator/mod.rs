//! The whole of fitout under one seed: real code from git revision to API request, over simulated
//! clusters, in virtual time, on one thread, with everything going wrong that the seed says.
//!
//! ```text
//! seed → Scenario (fleet, acts) → World (clusters, git, clock, controllers) → Court (laws) → Verdict
//! ```
//!
//! # Expected flow
//! [`check`] a seed: while the acts of its [`Scenario`] go on, the [`court`] judges every entry of the
//! event log and every write that reaches a cluster (the safety phase). Then faults stop, a last commit
//! mends what commits have broken, people answer whatever asks for them, and everything must get
//! where git wants it (the liveness phase). A seed that breaks a law is [`shrink`]ed to the few acts
//! that are needed.
//!
//! # Guarantees
//! The same seed gives the same history, to the last request, on every machine.

mod clock;
mod court;
mod fleet;
mod gates;
mod git;
mod journal;
mod run;
mod scenario;
pub mod shrink;
#[cfg(test)]
mod tests;
mod truth;
mod weather;
mod wire;
mod world;

use crate::base::clock::Timestamp;
use crate::rollout::Event;

pub use run::{check, play};
pub use scenario::{Act, Deed, Edit, Scenario};

/// A law that a history breaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The number of the law, as `docs/concepts.md` has them.
    pub law: u8,
    /// When, in virtual time.
    pub at: Timestamp,
    /// What is wrong.
    pub what: String,
}

/// What came of a history.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// The first law that was broken.
    pub broken: Option<Broken>,
    /// The event log.
    pub log: Vec<Event>,
    /// What was done, for those who want to know whether the history was worth its time.
    pub counts: Counts,
}

/// Figures of a history.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Ticks of controllers.
    pub ticks: u64,
    /// Requests that reached a cluster.
    pub requests: u64,
    /// Faults that requests met.
    pub faults: u64,
    /// Entries of the event log.
    pub events: u64,
    /// Controllers that were killed.
    pub kills: u64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.ticks += other.ticks;
        self.requests += other.requests;
        self.faults += other.faults;
        self.events += other.events;
        self.kills += other.kills;
    }
}
