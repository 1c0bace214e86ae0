//! Talking to Kubernetes API servers through `kube`: connections, lists, server-side apply.
//!
//! Works on untyped JSON, since charts bring any kind. Knows nothing about releases or plans.

pub mod client;
pub mod connect;
pub mod diagnosis;
pub mod discovery;
pub mod error;
pub mod reviews;

pub use client::{Apply, ClusterClient, Delete};
pub use connect::{ConnectError, ConnectOptions, connect};
pub use diagnosis::LogPart;
pub use discovery::Resource;
pub use error::{FieldCause, RequestError};
pub use reviews::Probe;
