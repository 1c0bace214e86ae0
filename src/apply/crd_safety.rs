//! What a change of a CRD would take from the objects that are there: told before it is made, and
//! refused where objects would be lost.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json};

use super::crds::is_crd;
use super::error::{Refused, first_of};
use super::prune::Pruning;
use crate::base::diagnostic::counted;
use crate::k8s::{ClusterClient, RequestError, Resource};
use crate::object::access;
use crate::object::key::ObjectKey;

/// What was found out about CRDs that change.
#[derive(Debug, Default)]
pub(super) struct Review {
    /// Why they must not change so.
    pub(super) refused: Option<Refused>,
    /// What else there is to know, by the CRD's name.
    pub(super) warnings: BTreeMap<String, Vec<String>>,
}

/// Looks at CRDs that are there and what they shall be: pairs of the live and the wanted one.
///
/// Of a CRD that takes nothing away, nothing is asked.
pub(super) async fn review(
    client: &ClusterClient,
    changes: &[(&Json, &Json)],
    may_recreate: bool,
) -> Review {
    let mut review = Review::default();
    for (live, wanted) in changes {
        let losses = losses(live, wanted);
        let is_recreated = may_recreate && losses.is_other_scope;
        if losses.is_empty() && !is_recreated {
            continue;
        }
        let name = access::name(live);
        let (refused, warnings) = match objects(client, live).await {
            Ok(objects) if is_recreated && !objects.is_empty() => {
                let objects = keys(live, &objects);
                (Some(Refused::CrdInUse { crd: name.to_owned(), objects }), Vec::new())
            }
            Ok(objects) => losses.told(live, &objects),
            Err(error) => losses.told_blindly(name, &error, is_recreated),
        };
        if let Some(refused) = refused {
            review.refused.get_or_insert(refused);
        }
        if !warnings.is_empty() {
            review.warnings.insert(name.to_owned(), warnings);
        }
    }
    review
}

/// Refuses to delete a CRD as long as objects of it are there that are not deleted as well.
pub(super) async fn ensure_unused(
    client: &ClusterClient,
    pruning: &Pruning,
) -> Result<(), Refused> {
    let doomed: BTreeSet<&ObjectKey> =
        pruning.doomed.iter().map(|(manifest, _)| &manifest.key).collect();
    for key in doomed.iter().filter(|key| is_crd(key)) {
        let crd = key.name.clone();
        let unknown = |error: RequestError| Refused::CrdUnknown {
            crd: crd.clone(),
            reason: error.to_string(),
        };
        let live = client.get(&super::crds::definitions(), "", &key.name).await.map_err(unknown)?;
        let Some(live) = live else { continue };
        let objects = objects(client, &live).await.map_err(unknown)?;
        let staying = keys(&live, &objects).into_iter().filter(|key| !doomed.contains(key));
        let objects: Vec<ObjectKey> = staying.collect();
        if !objects.is_empty() {
            return Err(Refused::CrdInUse { crd, objects });
        }
    }
    Ok(())
}

/// The objects of a CRD.
async fn objects(client: &ClusterClient, crd: &Json) -> Result<Vec<Json>, RequestError> {
    let text = |path: &[&str]| access::text(crd, path).unwrap_or_default().to_owned();
    let is_served = |version: &&Json| flag(version, "served");
    let served: Vec<_> = versions(crd).iter().filter(is_served).collect();
    let stored = served.iter().find(|version| flag(version, "storage")).or(served.first());
    let Some(version) = stored.and_then(|version| access::text(version, &["name"])) else {
        // Of a CRD that serves nothing, nobody can see the objects.
        return Ok(Vec::new());
    };
    let resource = Resource {
        group: text(&["spec", "group"]),
        version: version.to_owned(),
        kind: text(&["spec", "names", "kind"]),
        plural: text(&["spec", "names", "plural"]),
        is_namespaced: access::text(crd, &["spec", "scope"]) != Some("Cluster"),
    };
    match client.list(&resource, "", "").await {
        // It is not established yet: there can be none.
        Err(RequestError::NotFound { .. }) => Ok(Vec::new()),
        listed => listed,
    }
}

fn keys(crd: &Json, objects: &[Json]) -> Vec<ObjectKey> {
    let text = |path: &[&str]| access::text(crd, path).unwrap_or_default().to_owned();
    let key = |object: &Json| ObjectKey {
        group: text(&["spec", "group"]),
        kind: text(&["spec", "names", "kind"]),
        namespace: access::namespace(object).to_owned(),
        name: access::name(object).to_owned(),
    };
    objects.iter().map(key).collect()
}

fn versions(crd: &Json) -> &[Json] {
    access::list(crd, &["spec", "versions"])
}

fn version<'a>(crd: &'a Json, name: &str) -> Option<&'a Json> {
    versions(crd).iter().find(|version| access::text(version, &["name"]) == Some(name))
}

fn flag(version: &Json, name: &str) -> bool {
    version.get(name).and_then(Json::as_bool).unwrap_or_default()
}

/// Steps to a field; `*` is any item or key.
type Path = Vec<String>;

/// What a change takes away.
#[derive(Debug, Default, PartialEq, Eq)]
struct Losses {
    /// Versions that objects may be stored in, and that go.
    stored: Vec<String>,
    /// Versions that are served no longer.
    served: Vec<String>,
    /// Fields that the schema of a version has no longer; the API server drops them from objects.
    fields: BTreeMap<String, Vec<Path>>,
    /// A CRD whose scope changes has to be deleted and created anew.
    is_other_scope: bool,
}

fn losses(live: &Json, wanted: &Json) -> Losses {
    let mut losses = Losses {
        is_other_scope: access::text(live, &["spec", "scope"])
            != access::text(wanted, &["spec", "scope"]),
        ..Losses::default()
    };
    let stored = access::list(live, &["status", "storedVersions"]).iter().filter_map(Json::as_str);
    losses.stored = stored.filter(|name| version(wanted, name).is_none()).map(Into::into).collect();
    for before in versions(live).iter().filter(|version| flag(version, "served")) {
        let name = access::text(before, &["name"]).unwrap_or_default();
        match version(wanted, name) {
            Some(after) if flag(after, "served") => {
                let schema = |version| access::at(version, &["schema", "openAPIV3Schema"]);
                let mut gone = Vec::new();
                if let (Some(before), Some(after)) = (schema(before), schema(after)) {
                    compare_schemas(&Vec::new(), before, after, &mut gone);
                }
                if !gone.is_empty() {
                    losses.fields.insert(name.to_owned(), gone);
                }
            }
            _ => losses.served.push(name.to_owned()),
        }
    }
    losses
}

/// The fields that one schema has and another one drops.
fn compare_schemas(path: &Path, before: &Json, after: &Json, gone: &mut Vec<Path>) {
    if flag(after, "x-kubernetes-preserve-unknown-fields") {
        return;
    }
    let step = |name: &str| path.iter().cloned().chain([name.to_owned()]).collect::<Path>();
    let any = |schema: &Json| schema.get("additionalProperties").cloned();
    if let (Some(before), Some(after)) = (before.get("items"), after.get("items")) {
        compare_schemas(&step("*"), before, after, gone);
    }
    if let (Some(before), Some(after)) = (any(before), any(after)) {
        compare_schemas(&step("*"), &before, &after, gone);
    }
    let empty = Map::new();
    let properties = |schema: &'_ Json| schema.get("properties").and_then(Json::as_object).cloned();
    let (Some(old), new) = (properties(before), properties(after).unwrap_or(empty)) else { return };
    for (name, before) in &old {
        // Of these, the server itself knows the fields.
        if path.is_empty() && matches!(name.as_str(), "metadata" | "apiVersion" | "kind") {
            continue;
        }
        match (new.get(name), any(after)) {
            (Some(after), _) => compare_schemas(&step(name), before, after, gone),
            (None, Some(_)) => {}
            (None, None) => gone.push(step(name)),
        }
    }
}

impl Losses {
    fn is_empty(&self) -> bool {
        self.stored.is_empty() && self.served.is_empty() && self.fields.is_empty()
    }

    /// In words, with the objects that it is about.
    fn told(&self, crd: &Json, objects: &[Json]) -> (Option<Refused>, Vec<String>) {
        let all = keys(crd, objects);
        let name = access::name(crd);
        let refused = (!self.stored.is_empty()).then(|| Refused::StoredVersion {
            crd: name.to_owned(),
            versions: self.stored.clone(),
            objects: all.clone(),
        });
        let named = |is_meant: &dyn Fn(&Json) -> bool| -> Vec<String> {
            let meant = objects.iter().zip(&all).filter(|(object, _)| is_meant(object));
            meant.map(|(_, key)| key.to_string()).collect()
        };
        let mut warnings = Vec::new();
        let group = access::text(crd, &["spec", "group"]).unwrap_or_default();
        for version in &self.served {
            let api_version = format!("{group}/{version}");
            let users = named(&|object| is_written_as(object, &api_version));
            let by = users_of(&users, "was written in it", "were written in it");
            warnings.push(format!("`{version}` is served no longer{by}"));
        }
        // Served in several versions, an object has the field of each of them.
        let fields: BTreeSet<&Path> = self.fields.values().flatten().collect();
        for path in fields {
            let users = named(&|object| has(object, path));
            if !users.is_empty() {
                let by = users_of(&users, "has it", "have it");
                warnings.push(format!("the field `{}` goes{by}", path.join(".")));
            }
        }
        (refused, warnings)
    }

    /// In words, where the objects could not be listed.
    fn told_blindly(
        &self,
        name: &str,
        error: &RequestError,
        is_recreated: bool,
    ) -> (Option<Refused>, Vec<String>) {
        if is_recreated || !self.stored.is_empty() {
            let (crd, reason) = (name.to_owned(), error.to_string());
            return (Some(Refused::CrdUnknown { crd, reason }), Vec::new());
        }
        let served = self.served.iter().map(|version| format!("`{version}` is served no longer"));
        let fields = self.fields.values().flatten();
        let fields = fields.map(|path| format!("the field `{}` goes", path.join(".")));
        let told = served.chain(fields).collect::<BTreeSet<_>>().into_iter();
        let unknown = |what| format!("{what}; who uses it cannot be told: {error}");
        (None, told.map(unknown).collect())
    }
}

/// Those who are concerned, behind a warning.
fn users_of(users: &[String], one: &str, more: &str) -> String {
    if users.is_empty() {
        return String::new();
    }
    let what = if users.len() == 1 { one } else { more };
    format!(", and {} {what}: {}", counted(users.len(), "object"), first_of(users))
}

/// Whether somebody has written fields of an object in a version.
fn is_written_as(object: &Json, api_version: &str) -> bool {
    let managed = access::list(object, &["metadata", "managedFields"]);
    managed.iter().any(|entry| access::text(entry, &["apiVersion"]) == Some(api_version))
}

fn has(value: &Json, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    match value {
        Json::Object(fields) if step == "*" => fields.values().any(|value| has(value, rest)),
        Json::Object(fields) => fields.get(step).is_some_and(|value| has(value, rest)),
        Json::Array(items) => step == "*" && items.iter().any(|item| has(item, rest)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn crd(versions: &Json) -> Json {
        json!({"metadata": {"name": "widgets.x.org"},
               "spec": {"group": "x.org", "scope": "Namespaced",
                        "names": {"kind": "Widget", "plural": "widgets"}, "versions": versions},
               "status": {"storedVersions": ["v1alpha1", "v1"]}})
    }

    fn one(name: &str, served: bool, properties: &Json) -> Json {
        json!({"name": name, "served": served, "storage": name == "v1",
               "schema": {"openAPIV3Schema": {"type": "object", "properties": properties}}})
    }

    fn spec(properties: &Json) -> Json {
        json!({"spec": {"type": "object", "properties": properties}})
    }

    #[test]
    fn a_version_that_objects_may_be_stored_in_must_stay() {
        let (old, new) = (one("v1alpha1", true, &json!({})), one("v1", true, &json!({})));
        let live = crd(&json!([old, new]));
        let losses = losses(&live, &crd(&json!([new])));
        assert_eq!(
            (&*losses.stored, &*losses.served),
            (&["v1alpha1".to_owned()][..], &["v1alpha1".to_owned()][..])
        );
        let widget = json!({"metadata": {"name": "a", "namespace": "n", "managedFields": [
            {"manager": "kubectl", "apiVersion": "x.org/v1alpha1"}]}});
        let (refused, warnings) = losses.told(&live, &[widget]);
        let refused = refused.unwrap().to_string();
        assert!(refused.contains("v1alpha1") && refused.contains("Widget/n/a"), "{refused}");
        assert_eq!(
            warnings,
            ["`v1alpha1` is served no longer, and 1 object was written in it: Widget/n/a"]
        );
    }

    #[test]
    fn a_field_that_goes_is_told_with_the_objects_that_have_it() {
        let text = json!({"type": "string"});
        let part = |properties: Json| json!({"type": "object", "properties": properties});
        let list = |properties: Json| json!({"type": "array", "items": part(properties)});
        let before = spec(&json!({"size": text, "parts": list(json!({"a": text, "b": text})),
                                  "free": part(json!({"x": text})), "unused": text}));
        let after = spec(&json!({"parts": list(json!({"a": text})),
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}));
        let live = crd(&json!([one("v1alpha1", false, &json!({})), one("v1", true, &before)]));
        let wanted = crd(&json!([one("v1alpha1", false, &json!({})), one("v1", true, &after)]));
        let widget = |name: &str, spec: Json| json!({"metadata": {"name": name}, "spec": spec});
        let objects = [
            widget("a", json!({"size": "1", "parts": [{"a": "1"}, {"b": "2"}]})),
            widget("b", json!({"size": "2", "free": {"x": "1"}})),
        ];
        let (refused, warnings) = losses(&live, &wanted).told(&live, &objects);
        assert_eq!(refused, None);
        assert_eq!(
            warnings,
            [
                "the field `spec.parts.*.b` goes, and 1 object has it: Widget/a",
                "the field `spec.size` goes, and 2 objects have it: Widget/a, Widget/b",
            ]
        );
        assert!(losses(&live, &live).is_empty());
    }
}
