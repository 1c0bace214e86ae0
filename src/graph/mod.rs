//! What needs what: between the addons of a fleet, and between the objects of a release.
//!
//! A function of its arguments: no IO, no clock. [`dag`] is the graph itself; [`addons`] and
//! [`objects`] say what is in it; [`order`] is the order of installation that apply goes by;
//! [`picture`] is what all of them look like to a renderer.

pub mod addons;
pub mod dag;
pub mod objects;
pub mod order;
pub mod picture;
mod references;
pub mod scopes;
