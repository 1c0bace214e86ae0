//! Manifest text, as release records keep it, back to objects.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value as Json;

use super::access;
use super::key::ObjectKey;
use crate::chart::model::Manifest;
use crate::yaml::{helm, write::json_to_yaml};

/// A manifest that cannot be read back.
#[derive(Debug, thiserror::Error)]
#[error("reading document {index} of the manifest{}: {reason}", origin(.template))]
pub struct ManifestError {
    /// Which document, from 1.
    index: usize,
    /// Its `# Source:`, or nothing.
    template: String,
    /// What is wrong with it.
    reason: String,
}

fn origin(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(" from `{path}`") }
}

/// The objects of a release's manifest. Documents without content are left out; objects without
/// a namespace get `namespace`; a `List` is taken apart.
pub fn parse(text: &str, namespace: &str) -> Result<Vec<Manifest>, ManifestError> {
    let mut manifests = Vec::new();
    for (index, document) in documents(text).into_iter().enumerate() {
        let source = document
            .lines()
            .find_map(|line| line.strip_prefix("# Source: "))
            .unwrap_or_default()
            .trim();
        let value = helm::read_object(document).map_err(|reason| ManifestError {
            index: index + 1,
            template: source.to_owned(),
            reason,
        })?;
        let mut push = |object: Json, text: String| {
            if !access::kind(&object).is_empty() {
                manifests.push(manifest(object, text, source, namespace));
            }
        };
        push(value, document.trim_start_matches('\n').to_owned());
    }
    Ok(expanded(&manifests, namespace))
}

/// The manifests with every `List` taken apart into its items.
pub fn expanded(manifests: &[Manifest], namespace: &str) -> Vec<Manifest> {
    each(manifests, namespace).into_iter().map(Cow::into_owned).collect()
}

/// As [`expanded`], without copies of what is no `List`.
pub fn each<'a>(manifests: &'a [Manifest], namespace: &str) -> Vec<Cow<'a, Manifest>> {
    let mut objects = Vec::with_capacity(manifests.len());
    for whole in manifests {
        let is_list = whole.key.kind.ends_with("List") && whole.object.get("items").is_some();
        if !is_list {
            objects.push(Cow::Borrowed(whole));
            continue;
        }
        for item in access::list(&whole.object, &["items"]) {
            let text = json_to_yaml(item).unwrap_or_default();
            let part = manifest(item.clone(), text, &whole.source, namespace);
            objects.push(Cow::Owned(Manifest { line: whole.line, ..part }));
        }
    }
    objects
}

fn manifest(object: Json, text: String, source: &str, namespace: &str) -> Manifest {
    let mut key = access::key_of(&object);
    if key.namespace.is_empty() {
        namespace.clone_into(&mut key.namespace);
    }
    Manifest {
        key,
        api_version: access::api_version(&object).to_owned(),
        object: Arc::new(object),
        text: text.into(),
        source: source.into(),
        line: 1,
    }
}

/// The documents of a stream: text between lines that start with `---`.
fn documents(text: &str) -> Vec<&str> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if is_separator(line) {
            documents.push(&text[start..offset]);
            start = offset + line.len();
        }
        offset += line.len();
    }
    documents.push(&text[start..]);
    documents.retain(|document| !document.trim().is_empty());
    documents
}

fn is_separator(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| {
        let rest = rest.trim();
        rest.is_empty() || rest.starts_with('#')
    })
}

/// The identity an object has once its scope is known: cluster-scoped objects have no namespace.
pub fn settled(key: &ObjectKey, is_namespaced: bool) -> ObjectKey {
    let namespace = if is_namespaced { key.namespace.clone() } else { String::new() };
    ObjectKey { namespace, ..key.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_come_back_with_their_source() {
        let text = "---\n# Source: a/templates/x.yaml\napiVersion: v1\nkind: ConfigMap\n\
                    metadata:\n  name: a\ndata:\n  k: |\n    ---x\n\
                    ---\n# Source: a/templates/empty.yaml\n\n\
                    ---\n# Source: a/templates/y.yaml\napiVersion: v1\nkind: List\nitems:\n\
                    - {apiVersion: v1, kind: Secret, metadata: {name: s, namespace: other}}\n";
        let manifests = parse(text, "ns").unwrap();
        let keys: Vec<_> = manifests.iter().map(|manifest| manifest.key.to_string()).collect();
        assert_eq!(keys, ["ConfigMap/ns/a", "Secret/other/s"]);
        assert_eq!(&*manifests[0].source, "a/templates/x.yaml");
        assert_eq!(manifests[0].object["data"]["k"], "---x\n");
    }

    #[test]
    fn broken_text_is_an_error_that_names_the_document() {
        let error = parse("---\n# Source: a/x.yaml\nkind: [\n", "ns").unwrap_err();
        let told = "reading document 1 of the manifest from `a/x.yaml`: ";
        assert!(error.to_string().starts_with(told), "{error}");
    }
}
