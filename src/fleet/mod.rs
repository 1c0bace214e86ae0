//! The fleet as git says it: documents, references between them, and what each instance shall be.
//!
//! A function of a [`crate::git::Source`]: no IO, no clock.

pub mod instance;
pub mod layers;
pub mod model;
pub mod path;
pub mod range;
pub mod read;
pub mod resolve;
pub mod schema;
pub mod selector;
mod shape;
mod text;

use crate::base::diagnostic::Checked;
use crate::git::Source;

/// What a revision says: documents and the instances that follow from them.
#[derive(Clone, Debug)]
pub struct Desired {
    /// The files.
    pub source: Source,
    /// The documents.
    pub fleet: model::Fleet,
    /// In order of cluster and addon.
    pub instances: Vec<instance::Instance>,
}

impl Desired {
    /// Reads, resolves and checks. What is wrong is left out of the value, so that the rest of the
    /// fleet can go on.
    pub fn read(source: Source) -> Checked<Self> {
        let Checked { value: fleet, mut diagnostics } = read::read(&source);
        let resolved = resolve::resolve(&fleet, &source);
        diagnostics.extend(resolved.diagnostics);
        Checked { value: Self { source, fleet, instances: resolved.value }, diagnostics }
    }
}
