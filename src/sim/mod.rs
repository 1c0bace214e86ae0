//! Simulated clusters: an in-memory Kubernetes API with controllers, as a deterministic state
//! machine and a thin HTTP shell.
//!
//! ```text
//! HTTP ─request→ Request ─api→ Store ─control→ Effects of the controllers ─┐
//!                           ↑ write, ssa, delete, watch                    │
//!                           └──────────────────────────────────────────────┘
//! ```
//! All but [`cluster`], [`state`], [`fleet`] and [`serve`] are functions of their arguments: time comes
//! in with each request, and the same requests at the same times give the same answers.
//!
//! **Invariant:** what a real API server would refuse is refused in its words, and what it would not
//! keep is not kept: the answers to the scripts of `tests/cases/parity/` are the same, but for the
//! differences that are listed there. Versions of one kind differ in name only.

mod admission;
pub mod api;
mod body;
pub mod cluster;
mod control;
pub mod crd;
mod custom;
pub mod defaults;
pub mod delete;
pub mod discovery;
pub mod faults;
pub mod fields;
pub mod fleet;
pub mod immutable;
pub mod kinds;
mod last_applied;
mod list;
pub mod metadata;
mod namespace;
mod network;
pub mod openapi;
mod options;
pub mod patch;
mod prepare;
pub mod protobuf;
pub mod request;
pub mod respond;
pub mod schema;
pub mod selector;
pub mod serve;
pub mod ssa;
pub mod state;
pub mod status;
pub mod store;
pub mod strategic;
mod subresources;
pub mod table;
#[cfg(test)]
mod tests;
pub mod typed;
mod types;
pub mod validate;
pub mod watch;
pub mod workload;
pub mod write;

pub use cluster::{Network, SimCluster};
pub use faults::{Fault, Faults};
pub use fleet::SimFleet;
pub use prepare::as_stored;
