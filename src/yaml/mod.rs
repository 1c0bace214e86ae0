//! YAML in two dialects over one spanned tree: ours (YAML 1.2 core, strict) for fleet documents,
//! Helm's (YAML 1.1 scalars, as Go's `sigs.k8s.io/yaml` reads) for values and manifests.

mod cursor;
pub mod helm;
pub mod node;
pub mod number;
pub mod parse;
mod plain;
mod resolve;
mod scalar;
mod scan;
pub mod strict;
pub mod write;
