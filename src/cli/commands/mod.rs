//! One file for each command.

pub mod adopt;
pub mod apply;
pub mod completions;
pub mod controller;
pub mod demo;
pub mod diff;
pub mod doctor;
pub mod graph;
pub mod history;
pub mod parity;
pub mod plan;
pub mod preview;
pub mod rbac;
pub mod release;
pub mod render;
pub mod rollback;
pub mod rollout;
pub mod schema;
pub mod sim;
pub mod status;
pub mod switch;
pub mod template;
pub mod test;
pub mod uninstall;
pub mod validate;
pub mod why;
