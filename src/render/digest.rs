//! What makes a release the one it is.

use sha2::Digest as _;

use crate::base::ids::{Digest, hex};
use crate::chart::model::{Chart, Hook, Manifest, RenderInput, Rendered};

/// Of the objects, hooks and CRDs, namespace, release name, chart name and version. Comments and
/// the layout of the YAML do not count, the order of objects does: it is the order of installation.
pub(super) fn of(chart: &Chart, input: &RenderInput, rendered: &Rendered) -> Digest {
    let mut hash = Hash(sha2::Sha256::new());
    hash.text(&input.release_name);
    hash.text(&input.namespace);
    hash.text(chart.metadata["name"].as_str().unwrap_or_default());
    hash.text(chart.metadata["version"].as_str().unwrap_or_default());
    for (title, manifests) in [("crds", &rendered.crds), ("manifests", &rendered.manifests)] {
        hash.text(title);
        for manifest in manifests {
            hash.manifest(manifest);
        }
    }
    hash.text("hooks");
    for hook in &rendered.hooks {
        hash.hook(hook);
    }
    Digest::new(hex(&hash.0.finalize()))
}

struct Hash(sha2::Sha256);

impl Hash {
    /// With its length, so that no two lists of texts look alike.
    fn text(&mut self, text: &str) {
        self.0.update((text.len() as u64).to_le_bytes());
        self.0.update(text);
    }

    fn manifest(&mut self, manifest: &Manifest) {
        self.text(&manifest.object.to_string());
    }

    fn hook(&mut self, hook: &Hook) {
        self.manifest(&hook.manifest);
        self.text(&hook.weight.to_string());
        self.text(&hook.events.join(","));
        self.text(&hook.delete_policies.join(","));
    }
}
