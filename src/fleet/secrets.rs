//! Layers of values that sops has encrypted, read as they stand there: keys are plain, values are
//! not. Nothing is decrypted here.

use std::sync::Arc;

use serde_json::Value as Json;

use super::instance::Layer;
use super::resolve::read_values;
use crate::base::diagnostic::Diagnostic;
use crate::base::span::{SourceFile, Span};

/// Where sops keeps what it needs to decrypt a file.
const METADATA: &str = "sops";

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
