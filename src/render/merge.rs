//! Merged values, built once for instances that share all their layers.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value as Json;

use crate::base::ids::Digest;
use crate::fleet::instance::Layer;
use crate::fleet::layers;

/// Values and their digest.
#[derive(Clone)]
pub(super) struct Merged {
    pub(super) values: Arc<Json>,
    pub(super) digest: Digest,
}

/// Remembers what it merged.
#[derive(Default)]
pub(super) struct Merger {
    /// By the identity of the layers, which are kept alive by the instances they came from.
    by_layers: BTreeMap<Vec<usize>, Merged>,
    by_digest: BTreeMap<Digest, Merged>,
}

impl Merger {
    pub(super) fn merge(&mut self, layers: &[Layer]) -> Merged {
        let identity = layers.iter().map(|layer| Arc::as_ptr(&layer.values).addr()).collect();
        if let Some(merged) = self.by_layers.get(&identity) {
            return merged.clone();
        }
        let values = layers::merge(layers);
        let digest = Digest::of(values.to_string().as_bytes());
        let merged = self
            .by_digest
            .entry(digest.clone())
            .or_insert_with(|| Merged { values: Arc::new(values), digest })
            .clone();
        self.by_layers.insert(identity, merged.clone());
        merged
    }
}
