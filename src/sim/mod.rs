//! Simulated clusters: an in-memory Kubernetes API as a `tower` service.

pub mod defaults;
pub mod openapi;
pub mod table;
pub mod workload;
