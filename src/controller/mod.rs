//! The fleet controller: polls git, looks at clusters, advances rollouts, carries out decisions.
//!
//! # Expected flow
//! Each tick: poll git when due → look at every cluster → begin, supersede or follow rollouts →
//! observe the members that evidence is needed of → advance → record the events → start the
//! attempts. Ticks carry no input: what wakes one only brings it forward.
//!
//! # Guarantees
//! - An event is on disk before what it announces is done. After `kill -9` the next tick starts
//!   from the log and from what the clusters say, and repeats nothing harmful.
//! - A cluster that does not answer holds up nothing but itself.
//! - A commit that cannot be read, or an addon that cannot be rendered, changes nothing.
//!
//! # Assumptions
//! One controller for each event log at a time; [`lock`] sees to that on one machine.

mod approvals;
pub mod attempt;
mod gates;
pub mod head;
mod heal;
pub mod lock;
pub mod look;
pub mod metrics;
mod observe;
pub mod serve;
pub mod survey;
pub mod switches;
mod tick;
pub mod wishes;

use std::sync::Arc;
use std::time::Duration;

use crate::base::clock::Clock;
use crate::chart::source::ChartStore;
use crate::k8s::ConnectOptions;

pub use gates::{AsksGates, HttpGates};
pub use head::{Branch, Head, Origin};
pub use survey::Survey;
pub use tick::{Reconciler, Tick};

/// What a controller goes by.
#[derive(Clone)]
pub struct Options {
    /// The fleet's repository.
    pub origin: Arc<dyn Origin>,
    /// How often git is polled.
    pub interval: Duration,
    /// How often clusters are looked at while a rollout is under way.
    pub pace: Duration,
    /// How often every instance is compared with what it is at, and healed.
    pub resync: Duration,
    /// Where charts are kept.
    pub charts: Arc<ChartStore>,
    /// Who asks the services behind gates.
    pub gates: Arc<dyn AsksGates>,
    /// How clusters are reached.
    pub connect: ConnectOptions,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who this is, on release records.
    pub holder: String,
}
