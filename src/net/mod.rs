//! Fetching over HTTP and keeping what was fetched: shared by `git/` and the fetching of charts.
//!
//! Knows nothing about git, charts or the fleet.

pub mod cache;
pub mod http;
