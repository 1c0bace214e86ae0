//! Which instances a change can reach: those whose inputs differ. Nothing is rendered to know it.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::base::ids::{Digest, InstanceKey};
use crate::fleet::Desired;
use crate::fleet::instance::{ChartLocation, Instance};
use crate::git::Source;

/// The instances of both sides that have to be rendered, each in the order of its revision.
#[derive(Debug, Default)]
pub struct Reached {
    /// Of the base.
    pub base: Vec<Instance>,
    /// Of the head.
    pub head: Vec<Instance>,
}

/// Compares the inputs of every instance of both revisions.
pub fn reached(base: &Desired, head: &Desired) -> Reached {
    let (mut before, mut after) = (Inputs::of(&base.source), Inputs::of(&head.source));
    let mut reached = Reached::default();
    let mut are_equal = |key: &InstanceKey| match (base.instance(key), head.instance(key)) {
        (Some(one), Some(other)) => before.of_instance(one) == after.of_instance(other),
        _ => false,
    };
    for instance in &base.instances {
        if !are_equal(&instance.key) {
            reached.base.push(instance.clone());
        }
    }
    for instance in &head.instances {
        if !are_equal(&instance.key) {
            reached.head.push(instance.clone());
        }
    }
    reached
}

/// What is known of a revision's inputs so far.
struct Inputs<'a> {
    source: &'a Source,
    /// By the identity of the layer, which its instances share.
    layers: BTreeMap<usize, Digest>,
    folders: BTreeMap<String, Digest>,
}

/// Everything that a render of an instance, and the comparison of it, depends on.
#[derive(PartialEq)]
struct Input<'i> {
    chart: &'i ChartLocation,
    /// Of a chart in the fleet's own repository.
    files: Option<Digest>,
    namespace: &'i str,
    release_name: &'i str,
    kubernetes_version: &'i str,
    layers: Vec<Digest>,
}

impl<'a> Inputs<'a> {
    fn of(source: &'a Source) -> Self {
        Self { source, layers: BTreeMap::new(), folders: BTreeMap::new() }
    }

    fn of_instance<'i>(&mut self, instance: &'i Instance) -> Input<'i> {
        let files = match &instance.chart {
            ChartLocation::Path(path) => Some(self.folder(path)),
            ChartLocation::Git { .. } | ChartLocation::Http { .. } => None,
        };
        let layers = instance.values.iter().map(|layer| self.layer(&layer.values)).collect();
        Input {
            chart: &instance.chart,
            files,
            namespace: &instance.namespace,
            release_name: &instance.release_name,
            kubernetes_version: &instance.kubernetes_version,
            layers,
        }
    }

    fn layer(&mut self, values: &std::sync::Arc<Json>) -> Digest {
        let identity = std::sync::Arc::as_ptr(values).addr();
        let digest = || Digest::of(values.to_string().as_bytes());
        self.layers.entry(identity).or_insert_with(digest).clone()
    }

    fn folder(&mut self, path: &str) -> Digest {
        if let Some(known) = self.folders.get(path) {
            return known.clone();
        }
        let mut bytes = Vec::new();
        for (name, data) in self.source.below(path) {
            for part in [name.as_bytes(), data] {
                // Lengths keep the end of one part apart from the start of the next.
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
        let digest = Digest::of(&bytes);
        self.folders.insert(path.to_owned(), digest.clone());
        digest
    }
}
