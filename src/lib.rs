//! fitout fits out a fleet of Kubernetes clusters with their addons, as git says, and moves every
//! change through staging, canary and production behind gates that need fresh evidence.
//!
//! # One direction, one noun for each stage
//! ```text
//! git Rev ─read→ Source ─parse→ Fleet ─resolve→ Instance ─render→ Release ─order→ Graph ┐
//!                                          cluster ─observe→ Live ──────────────────────┴─compare→ Diff
//! Diff + Graph + policy ─plan→ Plan + PlanReport ─advance→ Rollout ─realize→ Outcome ─observe→ Health ─┐
//!                                                     ↑__________________________________________________│
//! ```

pub mod apply;
pub mod base;
pub mod chart;
pub mod checkup;
pub mod cli;
pub mod controller;
pub mod diff;
pub mod findings;
pub mod fleet;
pub mod forge;
pub mod git;
pub mod graph;
pub mod guardrail;
pub mod health;
pub mod k8s;
pub mod live;
pub mod net;
pub mod object;
pub mod parity;
pub mod permissions;
pub mod plan;
pub mod preview;
pub mod render;
pub mod report;
pub mod rollout;
pub mod sim;
pub mod simulator;
pub mod sops;
pub mod sprig;
pub mod store;
pub mod switch;
pub mod template;
pub mod web;
pub mod yaml;
