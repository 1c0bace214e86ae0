//! Layers of values that sops has encrypted. They are read as they stand there: keys are plain,
//! values are not. Only who has a key, and says so, gets them decrypted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value as Json;

use super::Desired;
use super::instance::Layer;
use super::resolve::read_values;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};
use crate::sops::{self, Keys, METADATA, SopsError};

/// Reads a sops file, without what sops keeps for itself. `named` is where an Addon names it: what is
/// wrong is told there, since no line of such a file may be shown.
///
/// # Errors
/// `bad-values` for a file that is no values, `not-encrypted` for one that sops has not written.
pub(super) fn read(file: &Arc<SourceFile>, named: &Span) -> Result<Layer, Diagnostic> {
    let Ok(layer) = read_values(file) else {
        let message = format!("`{}` cannot be read as values", file.path);
        return Err(Diagnostic::error("bad-values", message).label(named, "named here"));
    };
    let mut values = Json::clone(&layer.values);
    let metadata = values.as_object_mut().and_then(|values| values.remove(METADATA));
    if !metadata.is_some_and(|metadata| metadata["mac"].is_string()) {
        let message = format!("`{}` is not encrypted", file.path);
        return Err(Diagnostic::error("not-encrypted", message)
            .label(named, "sops has not written this file")
            .help("encrypt it with `sops --encrypt --in-place`, and change what was readable"));
    }
    Ok(Layer { values: Arc::new(values), node: layer.node, is_encrypted: true })
}

/// What decrypting gave.
#[derive(Debug, Default)]
pub struct Decryption {
    /// The values that were encrypted, as text.
    pub secrets: BTreeSet<String>,
    /// Files that could not be decrypted.
    pub diagnostics: Vec<Diagnostic>,
}

impl Desired {
    /// Decrypts the layers that sops has encrypted. What cannot be decrypted stays as it is.
    pub fn decrypt(&mut self, keys: &Keys) -> Decryption {
        let mut read: BTreeMap<String, Option<Arc<Json>>> = BTreeMap::new();
        let mut done = Decryption::default();
        let layers = self.instances.iter_mut().flat_map(|instance| {
            let span = &instance.span;
            instance.values.iter_mut().map(move |layer| (layer, span))
        });
        for (layer, span) in layers.filter(|(layer, _)| layer.is_encrypted) {
            let values =
                read.entry(layer.file().to_owned()).or_insert_with(|| {
                    match sops::decrypt(&layer.node, keys) {
                        Ok(decrypted) => {
                            done.secrets.extend(decrypted.secrets);
                            Some(Arc::new(decrypted.values))
                        }
                        Err(error) => {
                            done.diagnostics.push(undecrypted(layer, span, &error));
                            None
                        }
                    }
                });
            if let Some(values) = values {
                (layer.values, layer.is_encrypted) = (Arc::clone(values), false);
            }
        }
        done
    }
}

/// No line of the file is shown: it may be another one than it seems.
fn undecrypted(layer: &Layer, span: &Span, error: &SopsError) -> Diagnostic {
    let message = format!("`{}` cannot be decrypted: {error}", layer.file());
    let found = Diagnostic::error("not-decrypted", message).label(span, "of this addon");
    match error {
        SopsError::Changed | SopsError::Value { .. } => {
            found.help("restore it from git, and edit it with sops alone")
        }
        _ => found.help("give the key of one of its recipients in `SOPS_AGE_KEY`"),
    }
}
