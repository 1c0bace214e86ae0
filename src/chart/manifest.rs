//! Rendered files to objects and hooks in install order, as Helm splits and sorts them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value as Json;

use super::documents::{Documents, Read};
use super::model::{Hook, Manifest};
use crate::object::access;
use crate::object::key::ObjectKey;
use crate::yaml::helm;

/// The kinds that are installed in an order of their own; others come last, by name.
const INSTALL_ORDER: &[&str] = &[
    "PriorityClass",
    "Namespace",
    "NetworkPolicy",
    "ResourceQuota",
    "LimitRange",
    "PodSecurityPolicy",
    "PodDisruptionBudget",
    "ServiceAccount",
    "Secret",
    "SecretList",
    "ConfigMap",
    "StorageClass",
    "PersistentVolume",
    "PersistentVolumeClaim",
    "CustomResourceDefinition",
    "ClusterRole",
    "ClusterRoleList",
    "ClusterRoleBinding",
    "ClusterRoleBindingList",
    "Role",
    "RoleList",
    "RoleBinding",
    "RoleBindingList",
    "Service",
    "DaemonSet",
    "Pod",
    "ReplicationController",
    "ReplicaSet",
    "Deployment",
    "HorizontalPodAutoscaler",
    "StatefulSet",
    "Job",
    "CronJob",
    "IngressClass",
    "Ingress",
    "APIService",
];

/// Where a kind stands in the install order: compare by this, then leave the order as it is.
pub fn install_rank(kind: &str) -> (usize, &str) {
    match INSTALL_ORDER.iter().position(|known| *known == kind) {
        Some(rank) => (rank, ""),
        None => (INSTALL_ORDER.len(), kind),
    }
}

/// A document of a rendered file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text, without the space around it.
    pub text: &'a str,
    /// The line it starts at, from 1.
    pub line: usize,
}

/// The documents of a text. Separators are Helm's: a `---` at the start or behind a line break,
/// whatever follows it.
pub fn split(text: &str) -> Vec<Document<'_>> {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let mut documents = Vec::new();
    let mut line = 1 + text[..start].matches('\n').count();
    let mut counted = 0;
    let mut from = 0;
    let mut push = |from: usize, to: usize| {
        let raw = &trimmed[from..to];
        if raw.is_empty() {
            return;
        }
        let at = from + (raw.len() - raw.trim_start().len());
        line += trimmed[counted..at].matches('\n').count();
        counted = at;
        documents.push(Document { text: raw.trim(), line });
    };
    while let Some(separator) = separator(trimmed, from) {
        push(from, separator.start);
        from = separator.end;
    }
    push(from, trimmed.len());
    documents
}

/// The next `---` at the start of a line, with the space around it, from `from` on: what Go finds
/// with `(?:^|\s*\n)---\s*`. Space that the separator before has taken is not there any more.
fn separator(text: &str, from: usize) -> Option<Range<usize>> {
    const IS_SPACE: fn(char) -> bool = |c| matches!(c, '\t' | '\n' | '\x0C' | '\r' | ' ');
    let at = text[from..]
        .match_indices("---")
        .map(|(at, _)| from + at)
        .find(|at| *at == 0 || *at > from && text.as_bytes()[at - 1] == b'\n')?;
    let start = from + text[from..at].trim_end_matches(IS_SPACE).len();
    let end = text.len() - text[at + 3..].trim_start_matches(IS_SPACE).len();
    Some(start..end)
}

/// Whether a document is empty, or has the shape of an object.
pub(super) fn is_object(document: &str) -> bool {
    helm::read_object(document).is_ok_and(|object| Head::of(&object).is_ok())
}

/// What sorting finds.
#[derive(Clone, Debug, Default)]
pub(super) struct Sorted {
    /// Everything that is no hook, documents without an object included.
    pub(super) documents: Vec<SortedDocument>,
    pub(super) hooks: Vec<Hook>,
    pub(super) warnings: Vec<String>,
}

/// A document that is no hook.
#[derive(Clone, Debug)]
pub(super) struct SortedDocument {
    pub(super) manifest: Manifest,
    /// Whether there is an object in it.
    pub(super) is_object: bool,
}

/// Splits rendered files, tells hooks from the rest and sorts both for installation.
///
/// # Errors
/// Helm's text, such as `YAML parse error on …`.
pub(super) fn sort(
    files: &BTreeMap<String, String>,
    namespace: &str,
    known: &Documents,
) -> Result<Sorted, String> {
    let mut sorted = Sorted::default();
    for (path, content) in files {
        let name = path.rsplit('/').next().unwrap_or(path);
        if name.starts_with('_') || content.trim().is_empty() {
            continue;
        }
        let source: Arc<str> = path.as_str().into();
        for document in split(content) {
            let (read, head) = read(document.text, path, known)?;
            let manifest = manifest(read, &head, document.line, &source, namespace);
            sorted.add(manifest, head);
        }
    }
    sorted.documents.sort_by(|a, b| {
        install_rank(&a.manifest.key.kind).cmp(&install_rank(&b.manifest.key.kind))
    });
    sorted.hooks.sort_by(|a, b| {
        install_rank(&a.manifest.key.kind).cmp(&install_rank(&b.manifest.key.kind))
    });
    Ok(sorted)
}

impl Sorted {
    fn add(&mut self, manifest: Manifest, head: Head) {
        let Some(annotation) = head.annotations.get("helm.sh/hook") else {
            let is_object = !manifest.key.kind.is_empty();
            self.documents.push(SortedDocument { manifest, is_object });
            return;
        };
        let events: Option<Vec<String>> =
            annotation.split(',').map(|event| hook_event(event).map(str::to_owned)).collect();
        let Some(events) = events else {
            self.warnings.push(format!("info: skipping unknown hook: {annotation:?}"));
            return;
        };
        let weight = head.annotations.get("helm.sh/hook-weight");
        let weight = weight.and_then(|weight| weight.parse().ok()).unwrap_or_default();
        let policies = |annotation: &str| {
            let policies = head.annotations.get(annotation);
            let words = policies.map(|text| text.split(',').map(|p| p.trim().to_lowercase()));
            words.map(Iterator::collect).unwrap_or_default()
        };
        let delete_policies = policies("helm.sh/hook-delete-policy");
        let output_log_policies = policies("helm.sh/hook-output-log-policy");
        self.hooks.push(Hook { manifest, events, weight, delete_policies, output_log_policies });
    }
}

fn hook_event(text: &str) -> Option<&'static str> {
    Some(match text.trim().to_lowercase().as_str() {
        "pre-install" => "pre-install",
        "post-install" => "post-install",
        "pre-delete" => "pre-delete",
        "post-delete" => "post-delete",
        "pre-upgrade" => "pre-upgrade",
        "post-upgrade" => "post-upgrade",
        "pre-rollback" => "pre-rollback",
        "post-rollback" => "post-rollback",
        "test" | "test-success" => "test",
        _ => return None,
    })
}

/// The objects of a file that is not rendered, such as a CRD.
///
/// # Errors
/// Helm's text.
pub(super) fn plain(
    text: &str,
    path: &str,
    namespace: &str,
    known: &Documents,
) -> Result<Vec<Manifest>, String> {
    let mut manifests = Vec::new();
    let source: Arc<str> = path.into();
    for document in split(text) {
        let (read, head) = read(document.text, path, known)?;
        let manifest = manifest(read, &head, document.line, &source, namespace);
        if !manifest.key.kind.is_empty() {
            manifests.push(manifest);
        }
    }
    Ok(manifests)
}

/// The objects of a manifest: its own, or the items of a list.
pub(super) fn objects(manifest: Manifest, namespace: &str) -> Vec<Manifest> {
    let is_list = manifest.key.kind.ends_with("List") && manifest.key.name.is_empty();
    let Some(Json::Array(items)) = manifest.object.get("items").filter(|_| is_list) else {
        return vec![manifest];
    };
    items
        .iter()
        .filter_map(|item| {
            let head = Head::of(item).ok().filter(|head| !head.kind.is_empty())?;
            let text = crate::yaml::write::json_to_yaml(item).unwrap_or_default();
            Some(Manifest {
                key: head.key(item, namespace),
                api_version: head.api_version,
                object: Arc::new(item.clone()),
                text: text.into(),
                source: Arc::clone(&manifest.source),
                line: manifest.line,
            })
        })
        .collect()
}

fn read(text: &str, path: &str, known: &Documents) -> Result<(Read, Head), String> {
    known
        .read(text)
        .and_then(|read| Head::of(&read.object).map(|head| (read, head)))
        .map_err(|problem| format!("YAML parse error on {path}: {problem}"))
}

fn manifest(read: Read, head: &Head, line: usize, source: &Arc<str>, namespace: &str) -> Manifest {
    Manifest {
        key: head.key(&read.object, namespace),
        api_version: head.api_version.clone(),
        object: read.object,
        text: read.text,
        source: Arc::clone(source),
        line,
    }
}

/// What Helm looks at in an object.
#[derive(Debug, Default)]
struct Head {
    api_version: String,
    kind: String,
    name: String,
    annotations: BTreeMap<String, String>,
}

impl Head {
    /// Fails, in Go's words, where one of its fields has another type.
    fn of(object: &Json) -> Result<Self, String> {
        let fields = match object {
            Json::Null => return Ok(Self::default()),
            Json::Object(fields) => fields,
            other => return Err(mismatch(other, "Go value", "releaseutil.SimpleHead")),
        };
        let mut head = Self {
            api_version: text(fields.get("apiVersion"), "apiVersion")?,
            kind: text(fields.get("kind"), "kind")?,
            ..Self::default()
        };
        let metadata = match fields.get("metadata") {
            None | Some(Json::Null) => return Ok(head),
            Some(Json::Object(metadata)) => metadata,
            Some(other) => {
                let field = "Go struct field SimpleHead.metadata";
                let kind = "struct { Name string \"json:\\\"name\\\"\"; Annotations \
                            map[string]string \"json:\\\"annotations\\\"\" }";
                return Err(mismatch(other, field, kind));
            }
        };
        head.name = text(metadata.get("name"), "metadata.name")?;
        match metadata.get("annotations") {
            None | Some(Json::Null) => {}
            Some(Json::Object(annotations)) => {
                for (key, value) in annotations {
                    let value = text(Some(value), "metadata.annotations")?;
                    head.annotations.insert(key.clone(), value);
                }
            }
            Some(other) => {
                let field = "Go struct field SimpleHead.metadata.annotations";
                return Err(mismatch(other, field, "map[string]string"));
            }
        }
        Ok(head)
    }

    fn key(&self, object: &Json, namespace: &str) -> ObjectKey {
        let own = object["metadata"]["namespace"].as_str().unwrap_or_default();
        ObjectKey {
            group: self
                .api_version
                .split_once('/')
                .map(|(group, _)| group)
                .unwrap_or_default()
                .to_owned(),
            kind: self.kind.clone(),
            namespace: if own.is_empty() { namespace } else { own }.to_owned(),
            name: self.name.clone(),
        }
    }
}

/// A text field: Go's library turns numbers and booleans into text.
fn text(value: Option<&Json>, field: &str) -> Result<String, String> {
    match value {
        None | Some(Json::Null) => Ok(String::new()),
        Some(Json::String(text)) => Ok(text.clone()),
        Some(Json::Bool(value)) => Ok(value.to_string()),
        Some(Json::Number(number)) => Ok(number.to_string()),
        Some(other) => {
            Err(mismatch(other, &format!("Go struct field SimpleHead.{field}"), "string"))
        }
    }
}

fn mismatch(value: &Json, target: &str, kind: &str) -> String {
    let found = access::type_name(value);
    format!(
        "error unmarshaling JSON: while decoding JSON: json: cannot unmarshal {found} into \
         {target} of type {kind}"
    )
}

#[cfg(test)]
mod tests;
