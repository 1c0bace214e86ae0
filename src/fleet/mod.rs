//! The fleet as git says it: documents, references between them, and what each instance shall be.
//!
//! A function of a [`crate::git::Source`]: no IO, no clock.

pub mod blue_green;
pub mod calendar;
mod check;
pub mod findings;
pub mod gate;
pub mod instance;
pub mod layers;
pub mod model;
pub mod origin;
pub mod path;
mod policy;
pub mod range;
pub mod read;
pub mod resolve;
pub mod schema;
pub mod secrets;
pub mod selector;
mod shape;
pub mod switch;
mod text;
mod versions;
pub mod waivers;

use std::collections::BTreeMap;

use jiff::civil::Date;

use crate::base::diagnostic::Checked;
use crate::base::ids::InstanceKey;
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
    /// An instance by its key.
    pub fn instance(&self, key: &InstanceKey) -> Option<&instance::Instance> {
        let at = self.instances.binary_search_by(|instance| instance.key.cmp(key)).ok()?;
        self.instances.get(at)
    }

    /// Reads, resolves and checks. What is wrong is left out of the value, so that the rest of the
    /// fleet can go on. What a waiver that holds `today` puts up with is only a note.
    pub fn read(source: Source, today: Date) -> Checked<Self> {
        let Checked { value: fleet, mut diagnostics } = read::read(&source);
        let resolved = resolve::resolve(&fleet, &source);
        diagnostics.extend(check::check(&fleet, &source, &resolved.value, today));
        diagnostics.extend(resolved.diagnostics);
        Checked { value: Self { source, fleet, instances: resolved.value }, diagnostics }
    }

    /// The chart version of each instance, as far as it is known without fetching charts.
    pub fn chart_versions(&self) -> BTreeMap<InstanceKey, String> {
        versions::of(&self.instances, &self.source)
    }
}
