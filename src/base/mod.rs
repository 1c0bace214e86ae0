//! What every stage uses: identities, places in files, diagnostics, time, limits.

pub mod author;
pub mod clock;
pub mod codes;
pub mod diagnostic;
pub mod ids;
pub mod limits;
pub mod parallel;
pub mod planted;
pub mod span;
