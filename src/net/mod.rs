//! Fetching over HTTP, and the folders where things are kept: shared by `git/`, the fetching of
//! charts and all that has state.
//!
//! Knows nothing about git, charts or the fleet.

pub mod cache;
pub mod http;
pub mod state;
