//! What makes a release the one it is.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};

use crate::base::ids::{Digest, hex};
use crate::chart::model::{Chart, Hook, Manifest, RenderInput, Rendered};

/// The digests of documents, which renders share: each is worked out once.
#[derive(Debug, Default)]
pub(super) struct Documents {
    objects: Mutex<Known<Json>>,
    texts: Mutex<Known<str>>,
}

/// By address. What has the address is kept, so that nothing else can get it.
type Known<T> = HashMap<usize, (Arc<T>, [u8; 32])>;

impl Documents {
    /// Of the objects, hooks and CRDs, namespace, release name, chart name and version. Comments and
    /// the layout of the YAML do not count, the order of objects does: it is the order of installation.
    pub(super) fn digest(&self, chart: &Chart, input: &RenderInput, rendered: &Rendered) -> Digest {
        let mut hash = Hash(Sha256::new());
        hash.text(&input.release_name);
        hash.text(&input.namespace);
        hash.text(chart.metadata["name"].as_str().unwrap_or_default());
        hash.text(chart.metadata["version"].as_str().unwrap_or_default());
        hash.text("crds");
        hash.text(rendered.crds.digest().as_str());
        hash.text("manifests");
        for manifest in &rendered.manifests {
            hash.bytes(&self.object(manifest));
        }
        hash.text("hooks");
        for hook in &rendered.hooks {
            self.hook(&mut hash, hook);
        }
        hash.finish()
    }

    /// Of what [`Self::digest`] does not look at: the text of the manifests and notes, warnings, and
    /// whether it has anything random in it.
    pub(super) fn digest_of_text(&self, rendered: &Rendered) -> Digest {
        let mut hash = Hash(Sha256::new());
        let hooks = rendered.hooks.iter().map(|hook| &hook.manifest);
        let hooks = hooks.map(|manifest| (&manifest.source, &manifest.text));
        let documents = rendered.documents.iter().map(|one| (&one.source, &one.text));
        for (source, text) in documents.chain(hooks) {
            hash.text(source);
            hash.bytes(&once(&self.texts, text, |text| Sha256::digest(text).into()));
        }
        hash.text(&rendered.notes);
        hash.text(if rendered.impure { "impure" } else { "pure" });
        for warning in &rendered.warnings {
            hash.text(warning);
        }
        hash.finish()
    }

    fn object(&self, manifest: &Manifest) -> [u8; 32] {
        once(&self.objects, &manifest.object, |object| Sha256::digest(object.to_string()).into())
    }

    fn hook(&self, hash: &mut Hash, hook: &Hook) {
        hash.bytes(&self.object(&hook.manifest));
        hash.text(&hook.weight.to_string());
        hash.text(&hook.events.join(","));
        hash.text(&hook.delete_policies.join(","));
    }
}

fn once<T: ?Sized>(
    known: &Mutex<Known<T>>,
    of: &Arc<T>,
    digest: impl FnOnce(&T) -> [u8; 32],
) -> [u8; 32] {
    let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
    let address = Arc::as_ptr(of).addr();
    let found = lock().get(&address).map(|(_, digest)| *digest);
    found.unwrap_or_else(|| {
        let digest = digest(of);
        lock().insert(address, (Arc::clone(of), digest));
        digest
    })
}

struct Hash(Sha256);

impl Hash {
    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    /// With their length, so that no two lists look alike.
    fn bytes(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    fn finish(self) -> Digest {
        Digest::new(hex(&self.0.finalize()))
    }
}
