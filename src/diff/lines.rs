//! The line of a template behind each field that changes.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::change::{Change, Op};
use super::path::{FieldPath, Step};
use crate::base::span::SourceFile;
use crate::chart::lines::Lines;
use crate::chart::model::{Manifest, Rendered};
use crate::object::secret;
use crate::render::{self, Release};
use crate::yaml::node::{Node, NodeKind};
use crate::yaml::parse::parse;

/// Finds the lines behind changes of a release, where they can be found: its templates that have
/// changes are rendered once more. Blocks.
pub fn locate(changes: &mut [Change], release: &Release) {
    let is_written =
        |change: &&mut Change| matches!(change.op, Op::Create | Op::Update | Op::Replace);
    let templates: BTreeSet<String> = changes
        .iter_mut()
        .filter(is_written)
        .filter_map(|change| Some(change.provenance.as_ref()?.template.clone()))
        .collect();
    if templates.is_empty() {
        return;
    }
    let names = templates.iter().map(String::as_str).collect();
    let lines = render::lines(release, &names);
    for change in changes.iter_mut().filter(is_written) {
        locate_one(change, release, &lines);
    }
}

fn locate_one(
    change: &mut Change,
    release: &Release,
    lines: &BTreeMap<String, Lines>,
) -> Option<()> {
    let from = change.provenance.as_mut()?;
    let is_it = |manifest: &&Manifest| {
        *manifest.source == *from.template
            && manifest.line == from.line
            && (&manifest.key.kind, &manifest.key.name) == (&change.key.kind, &change.key.name)
    };
    let Rendered { manifests, crds, .. } = &*release.rendered;
    let own = manifests.iter().find(is_it);
    let (manifest, lines) = match own {
        Some(own) => (own, Some(lines.get(&from.template)?)),
        // The files of `crds/` are no templates: they are what they say.
        None => (crds.manifests.iter().find(is_it)?, None),
    };
    let behind = |line: usize| match lines {
        Some(lines) => lines.behind(&manifest.text, from.line, line),
        None => Some(from.line + line - 1),
    };
    let first = 1 + manifest.text.lines().position(|line| !line.trim().is_empty())?;
    from.written_at = behind(first);
    let document = parse(&SourceFile::new(&*from.template, &*manifest.text)).ok()?;
    let root = document.first()?;
    for field in change.fields.iter_mut().filter(|field| !field.path.is_root()) {
        let line = line_of(root, &as_written(manifest, root, &field.path));
        field.line = line.and_then(behind);
    }
    Some(())
}

/// The path of a field as the manifest has it: what a Secret says as text is sent as data.
fn as_written(manifest: &Manifest, root: &Node, path: &FieldPath) -> FieldPath {
    let is_data = path.0.first() == Some(&Step::Field("data".to_owned()));
    match path.0.get(1) {
        Some(Step::Field(key))
            if is_data
                && secret::is_secret(&manifest.object)
                && root.at(&["stringData", key]).is_some() =>
        {
            FieldPath(vec![Step::Field("stringData".to_owned()), Step::Field(key.clone())])
        }
        _ => path.clone(),
    }
}

/// The line of a document that says a field, or else what is around it; nothing where not even
/// the first step is there.
fn line_of(root: &Node, path: &FieldPath) -> Option<usize> {
    let mut node = root;
    let mut line = None;
    for step in &path.0 {
        let (next, span) = match step {
            Step::Field(name) => match node.entry(name) {
                Some((key, value)) => (value, &key.span),
                None => break,
            },
            Step::Index(at) => match node.items().get(*at) {
                Some(item) => (item, &item.span),
                None => break,
            },
            Step::Item(keys) => match node.items().iter().find(|item| has_keys(item, keys)) {
                Some(item) => (item, &item.span),
                None => break,
            },
        };
        node = next;
        line = Some(span.line_column().0);
    }
    line
}

/// Whether an item has these keys, as far as it says them.
fn has_keys(item: &Node, keys: &[(&'static str, Json)]) -> bool {
    let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let says = |(key, value): &(&'static str, Json)| {
        item.get(key).map(|said| said.text() == Some(&text(value)))
    };
    matches!(item.kind, NodeKind::Mapping(_))
        && keys.first().and_then(says) == Some(true)
        && keys.iter().all(|key| says(key) != Some(false))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::diff::between;

    const DOCUMENT: &str = "kind: Deployment
spec:
  replicas: 1
  template:
    spec:
      containers:
        - name: web
          ports:
            - {containerPort: 80}
          env:
            - name: A
              value: one
";

    #[test]
    fn a_field_stands_in_its_line_or_in_that_of_what_is_around_it() {
        let document = parse(&SourceFile::new("a", DOCUMENT)).unwrap();
        let container = |more: &Json| {
            let mut one = json!({"name": "web", "ports": [{"containerPort": 80, "protocol": "TCP"}],
                                 "env": [{"name": "A", "value": "one"}]});
            one.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            json!({"spec": {"replicas": 1, "template": {"spec": {"containers": [one]}}}})
        };
        let lines = |after: &Json| -> Vec<Option<usize>> {
            let changes = between(&container(&json!({})), after);
            changes.iter().map(|one| line_of(&document[0], &one.path)).collect()
        };
        let changed = json!({"env": [{"name": "A", "value": "two"}]});
        assert_eq!(lines(&container(&changed)), [Some(12)]);
        let port = json!({"ports": [{"containerPort": 80, "protocol": "TCP", "hostPort": 1}]});
        assert_eq!(lines(&container(&port)), [Some(9)], "the protocol is the server's");
        let mut paused = container(&json!({}));
        paused["spec"]["paused"] = json!(true);
        assert_eq!(lines(&paused), [Some(2)]);
        let mut other = container(&json!({}));
        other["data"] = json!({"a": 1});
        assert_eq!(lines(&other), [None]);
    }
}
