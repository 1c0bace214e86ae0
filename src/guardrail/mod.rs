//! `ValidatingAdmissionPolicy` documents of the repository, judged without a cluster.
//!
//! The same YAML that clusters use is read from `policies/` ([`read`]), matched against rendered
//! objects ([`matching`]) and evaluated as an API server does when an object is created
//! ([`judge`]). Pure.
//!
//! # Guarantees
//! - What cannot be evaluated here is told; it never counts as passed.
//! - The work of an expression is bounded by its loops and the size of what they run over.
//! - No value of a Secret is in a message.

pub mod expression;
pub mod judge;
mod library;
pub mod matching;
pub mod read;

pub use judge::{Operation, Outcome, Subject};
pub use read::{Action, Guardrails, Policy};
