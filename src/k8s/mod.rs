//! Talking to Kubernetes API servers through `kube`: connections, lists, server-side apply.
//!
//! Works on untyped JSON, since charts bring any kind. Knows nothing about releases or plans.

pub mod client;
pub mod connect;
mod connection;
pub mod diagnosis;
pub mod discovery;
pub mod error;
mod kubeconfig;
pub mod login;
mod lost;
mod pace;
pub mod plugin;
pub mod proxy;
pub mod reviews;

pub use client::{Apply, ClusterClient, Delete};
pub use connect::{ConnectError, ConnectOptions, connect, connect_hub, is_within};
pub use diagnosis::LogPart;
pub use discovery::Resource;
pub use error::{FieldCause, RequestError};
pub use reviews::Probe;
