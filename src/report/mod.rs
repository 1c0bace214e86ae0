//! Renderers of diagnostics, diffs and plans: text, JSON, markdown.

pub mod checkup;
pub mod diagnostics;
pub mod diff;
pub mod drift;
pub mod errors;
pub mod findings;
pub mod graph;
pub mod origin;
mod paint;
pub mod parity;
pub mod plan;
pub mod preview;
pub mod rehearsal;
pub mod rollout;
pub mod status;
pub mod switch;
