//! What would happen to one object.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::fields::{FieldChange, between};
use super::owners;
use super::path::FieldPath;
use crate::chart::model::Manifest;
use crate::fleet::model::IgnoreDifference;
use crate::object::key::ObjectKey;
use crate::object::noise::without_server_fields;
use crate::object::{pointer, secret};

/// What would happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// It is not there yet.
    Create,
    /// Some of its fields change.
    Update,
    /// A field that cannot change must: it is deleted and created anew.
    Replace,
    /// It is no longer wanted.
    Delete,
    /// It is no longer wanted, and stays all the same.
    Keep,
}

/// Where the desired object comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// `CHART/templates/FILE`.
    pub template: String,
    /// The line of the template's output, from 1.
    pub line: usize,
    /// The line of the template that wrote that, from 1, where it is known.
    #[serde(default, rename = "writtenAt", skip_serializing_if = "Option::is_none")]
    pub written_at: Option<usize>,
    /// The template's file, where it is in the fleet's repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

/// What would happen to one object, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// Which object.
    pub key: ObjectKey,
    /// What would happen.
    pub op: Op,
    /// Field by field; values of Secrets are masked. A new object is one change at the root.
    pub fields: Vec<FieldChange>,
    /// Where the desired object comes from; a deleted one comes from the earlier release.
    pub provenance: Option<Provenance>,
    /// What there is to know besides, such as why it stays.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// What it may break.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// Whether a rule is about an object.
pub fn is_meant(rule: &IgnoreDifference, key: &ObjectKey) -> bool {
    rule.kind == key.kind && rule.name.as_ref().is_none_or(|name| *name == key.name)
}

impl Provenance {
    /// Of a manifest; `None` where that is not known.
    pub fn of(manifest: &Manifest) -> Option<Self> {
        (!manifest.source.is_empty()).then(|| Self {
            template: manifest.source.to_string(),
            line: manifest.line,
            written_at: None,
            file: None,
        })
    }
}

impl Change {
    /// An object that is not there yet.
    pub fn create(manifest: &Manifest, body: &Json) -> Self {
        let after = secret::masked(&without_server_fields(body));
        Self {
            key: manifest.key.clone(),
            op: Op::Create,
            fields: vec![root(None, Some(after))],
            provenance: Provenance::of(manifest),
            note: None,
            warnings: Vec::new(),
        }
    }

    /// An object that is no longer wanted; `note` says why it stays, if it does.
    pub fn remove(manifest: &Manifest, live: Option<&Json>, note: Option<String>) -> Self {
        let is_kept = note.is_some();
        let before = live.map(|live| secret::masked(&without_server_fields(live)));
        let fields = if is_kept { Vec::new() } else { vec![root(before, None)] };
        Self {
            key: manifest.key.clone(),
            op: if is_kept { Op::Keep } else { Op::Delete },
            fields,
            provenance: Provenance::of(manifest),
            note,
            warnings: Vec::new(),
        }
    }

    /// An object that is there, against what the server would make of it. `None` when nothing
    /// that counts differs.
    pub fn update(
        manifest: &Manifest,
        op: Op,
        live: &Json,
        predicted: &Json,
        ignored: &[&IgnoreDifference],
    ) -> Option<Self> {
        let mut before = without_server_fields(live);
        let mut after = without_server_fields(predicted);
        for rule in ignored {
            pointer::remove(&mut before, &rule.path);
            pointer::remove(&mut after, &rule.path);
        }
        let (before, after) = secret::mask_pair(Some(&before), Some(&after));
        let mut fields = between(&before.unwrap_or_default(), &after.unwrap_or_default());
        if fields.is_empty() {
            return None;
        }
        for field in &mut fields {
            field.owners = owners::others(live, &field.path);
        }
        Some(Self {
            key: manifest.key.clone(),
            op,
            fields,
            provenance: Provenance::of(manifest),
            note: None,
            warnings: Vec::new(),
        })
    }
}

fn root(before: Option<Json>, after: Option<Json>) -> FieldChange {
    FieldChange { path: FieldPath::default(), before, after, ..FieldChange::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::object::access;

    fn manifest(object: &Json) -> Manifest {
        Manifest {
            key: access::key_of(object),
            api_version: access::api_version(object).to_owned(),
            object: object.clone().into(),
            text: "".into(),
            source: "web/templates/x.yaml".into(),
            line: 4,
        }
    }

    #[test]
    fn a_secret_shows_which_keys_change_and_no_value() {
        let live = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                          "data": {"same": "aHVudGVyMg==", "other": "aHVudGVyMg=="}});
        let predicted = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                               "data": {"same": "aHVudGVyMg==", "other": "cGFzc3dvcmQ="}});
        let change = Change::update(&manifest(&live), Op::Update, &live, &predicted, &[]).unwrap();
        let paths: Vec<_> = change.fields.iter().map(|field| field.path.to_string()).collect();
        assert_eq!(paths, ["data.other"]);
        let text = serde_json::to_string(&change).unwrap();
        assert!(!text.contains("aHVudGVyMg") && !text.contains("cGFzc3dvcmQ"), "{text}");
        let created = serde_json::to_string(&Change::create(&manifest(&live), &live)).unwrap();
        assert!(!created.contains("aHVudGVyMg"), "{created}");
    }

    #[test]
    fn an_ignored_field_is_no_difference() {
        let live = json!({"kind": "Deployment", "spec": {"replicas": 3}});
        let predicted = json!({"kind": "Deployment", "spec": {"replicas": 1}});
        let rule = IgnoreDifference {
            kind: "Deployment".to_owned(),
            name: None,
            path: "/spec/replicas".to_owned(),
            reason: "scaled".to_owned(),
        };
        assert_eq!(Change::update(&manifest(&live), Op::Update, &live, &predicted, &[&rule]), None);
    }

    #[test]
    fn what_the_server_adds_is_no_difference() {
        let live = json!({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "1"}});
        let predicted =
            json!({"kind": "ConfigMap", "metadata": {"name": "a", "resourceVersion": "2"}});
        assert_eq!(Change::update(&manifest(&live), Op::Update, &live, &predicted, &[]), None);
    }
}
