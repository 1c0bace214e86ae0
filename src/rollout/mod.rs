//! The rollout state machine: a pure function of state, observation and time.
//!
//! A rollout moves the instances of one addon that a commit changed, stage by stage. Its state is
//! the fold of its [`Event`]s; [`advance`] looks at the state, at what was observed and at the
//! time, and says which events follow and what is to be done on which cluster. It does nothing
//! itself and knows neither Kubernetes nor git.
//!
//! # Expected flow
//! [`ensure`] → `rollout.started` → ([`advance`] → the caller records the events, then carries out
//! the decisions) again and again → an event that ends it.
//!
//! # Guarantees
//! The laws of [`laws::check`], whatever the order and content of observations and commands.
//!
//! # Assumptions
//! - Events are recorded before the decisions that come with them are carried out. A decision may
//!   be carried out any number of times.
//! - An observation's time is when its reading began, by the same clock as `now`.
//!
//! # Caveats
//! A rollout is pinned to its policy and goals: a policy that changes counts from the next one on. Only
//! windows and freezes are what git says now, so that a freeze holds what is under way.

pub mod advance;
pub mod approval;
pub mod begin;
pub mod command;
pub mod comparison;
pub mod depart;
pub mod event;
pub mod job;
pub mod laws;
pub mod model;
pub mod observation;
pub mod prometheus;
pub mod rehearsal;
pub mod replay;
pub mod sequential;
pub mod stages;
pub mod train;
pub mod waiting;
pub mod webhook;

#[cfg(test)]
mod explore_tests;
#[cfg(test)]
mod tests;

pub use advance::{Action, Advance, Decision, Together, advance, advance_together};
pub use approval::Approving;
pub use begin::{Ensure, Wish, ensure};
pub use command::{Command, Refused, command, command_together};
pub use depart::{Departure, Passenger, depart};
pub use event::{Event, EventKind, fold};
pub use model::{Goal, Member, MemberState, Phase, Place, Rollout, RolloutId};
pub use observation::{
    Attempt, AttemptResult, Evidence, GateSeen, Instances, Observation, Readiness, Seen, Verdict,
};
pub use waiting::WaitingOn;
