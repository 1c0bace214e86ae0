//! Kubernetes objects as untyped JSON: identity, access, comparison noise, secrecy.

pub mod access;
pub mod apis;
pub mod key;
pub mod manifest;
pub mod noise;
pub mod pointer;
pub mod secret;
