//! Integration tests: one binary, one module for each area.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "in a test a panic is the report, and what it prints is shown with it"
)]

mod apply;
mod approvals;
mod blue_green;
mod charts;
mod ci;
mod cluster_parity;
mod completions;
mod controller;
mod corpus;
mod demo;
mod doctor;
mod e2e;
mod env;
mod forge;
mod git;
mod graph;
mod guardrails;
mod parity;
mod preview;
mod prometheus;
mod readme;
mod reference;
mod remotes;
mod render;
mod repositories;
mod robust;
mod schema;
mod sim;
mod switches;
mod template;
mod tidy;
mod validate;
mod web;
mod why;
