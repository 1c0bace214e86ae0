//! Replacing a cluster: the traffic of the one that serves, blue, goes to the one that is to take its place,
//! green.
//!
//! # Expected flow
//! ```text
//! BringingUp ─parity→ Gates ─decided→ Switching ─hook done→ Draining → Kept → Done
//!      ↑        lost ↵  ↓ broken         ↓ hook failed         ↓          ↓ (by hand)
//!      └── retried ── Stopped          Failed ─────────────→ Switching ─hook done→ Back
//! ```
//! [`begin`] finds pairs in git and starts switches; [`advance`] is a pure function of a switch, of what was
//! seen, and of the time; [`hook`] is what is sent to move traffic. Everything that is decided is an event,
//! which is on record before it is done.
//!
//! # Guarantees
//! The laws of [`laws`], on every history. A hook is run for a decision that is on record, and is run again
//! until it has said how it went: whatever it does, it has to do the same twice without harm, as a patch does, a Job
//! by its name, and a webhook by the decision's number.
//!
//! # Assumptions
//! An observation's time is when its reading began, by the same clock as `now`.

pub mod advance;
pub mod begin;
pub mod command;
pub mod event;
pub mod hook;
pub mod laws;
pub mod model;
pub mod observation;
pub mod waiting;

pub use advance::{Step, advance};
pub use begin::{Begun, begin};
pub use command::{Command, Refused, command};
pub use event::{Proof, SwitchEvent, SwitchEventKind, Switches};
pub use model::{Decision, Pair, PairId, Phase, Switch, SwitchId};
pub use observation::{HookOutcome, HookSeen, Left, Observation, ParitySeen, SideSeen};
pub use waiting::Waiting;

#[cfg(test)]
mod tests;
