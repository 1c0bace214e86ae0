//! Desired against live: what would change, field by field.
//!
//! A function of objects: what the API server would make of the desired one comes from a
//! server-side dry run, which is made elsewhere. Secrets are masked before they get here.

pub mod change;
pub mod fields;
pub mod ignored;
pub mod lines;
pub mod owners;
pub mod path;

pub use change::{Change, Op, Provenance, is_meant};
pub use fields::{FieldChange, apply, between};
pub use ignored::{Ignored, ignored};
pub use path::{FieldPath, Step};
