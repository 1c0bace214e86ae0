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
    hash.text("crds");
    hash.text(rendered.crds.digest().as_str());
    hash.text("manifests");
    for manifest in &rendered.manifests {
        hash.manifest(manifest);
    }
    hash.text("hooks");
    for hook in &rendered.hooks {
        hash.hook(hook);
    }
    Digest::new(hex(&hash.0.finalize()))
}

/// Of what [`of`] does not look at: the text of the manifests and notes, warnings, and whether it has
/// anything random in it.
pub(super) fn of_text(rendered: &Rendered) -> Digest {
    let mut hash = Hash(sha2::Sha256::new());
    hash.text(&rendered.text);
    hash.text(&rendered.notes);
    hash.text(if rendered.impure { "impure" } else { "pure" });
    for hook in &rendered.hooks {
        hash.text(&hook.manifest.text);
    }
    for warning in &rendered.warnings {
        hash.text(warning);
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
