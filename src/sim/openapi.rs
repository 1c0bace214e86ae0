//! As much of the API server's OpenAPI documents as `kubectl apply` and `helm` read.
//!
//! They look up one thing: whether the `PATCH` of a kind takes `fieldValidation` and `dryRun`, so
//! that checking fields can be left to the server. No schemas are published. The documents say
//! nothing of strategic merge patches either, since a client that reads of them here would look for
//! merge keys in the schemas; without, it takes those of its own built-in types.

use serde_json::{Map, Value as Json, json};

/// A kind as the documents name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KindInfo {
    /// API group; empty for the core group.
    pub group: String,
    /// Version within the group.
    pub version: String,
    /// Kind.
    pub kind: String,
    /// The plural in URLs.
    pub plural: String,
    /// Whether its objects are in namespaces.
    pub is_namespaced: bool,
}

impl KindInfo {
    fn group_version(&self) -> String {
        match self.group.as_str() {
            "" => self.version.clone(),
            group => format!("{group}/{}", self.version),
        }
    }

    /// The path of one object, with places for its namespace and name.
    fn path(&self) -> String {
        let namespace = if self.is_namespaced { "namespaces/{namespace}/" } else { "" };
        format!("/{}/{namespace}{}/{{name}}", root(&self.group_version()), self.plural)
    }

    fn gvk(&self) -> Json {
        json!({"group": self.group, "version": self.version, "kind": self.kind})
    }
}

/// The path below which a group and version is served: `api/v1`, `apis/apps/v1`.
fn root(group_version: &str) -> String {
    let is_core = !group_version.contains('/');
    format!("{}/{group_version}", if is_core { "api" } else { "apis" })
}

/// `/openapi/v3`: where the document of each group and version (`v1`, `apps/v1`) is.
pub fn v3_index(groups: &[String]) -> Json {
    let paths: Map<String, Json> = groups
        .iter()
        .map(|group| {
            let root = root(group);
            let url = format!("/openapi/v3/{root}");
            (root, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({"paths": paths})
}

/// `/openapi/v3/apis/…`: the document of a group and version, of those of the kinds that are in it.
pub fn v3(group_version: &str, kinds: &[KindInfo]) -> Json {
    let schema = |kind: &str| json!({"schema": {"type": kind}});
    let parameters: Vec<Json> = PARAMETERS
        .iter()
        .map(|(name, kind)| {
            let mut parameter = schema(kind);
            parameter["name"] = json!(name);
            parameter["in"] = json!("query");
            parameter
        })
        .collect();
    let content: Map<String, Json> =
        PATCH_TYPES.iter().map(|kind| ((*kind).to_owned(), schema("object"))).collect();
    let patch = |kind: &KindInfo| {
        json!({"patch": {
            "parameters": parameters,
            "requestBody": {"required": true, "content": content},
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": kind.gvk(),
        }})
    };
    let paths: Map<String, Json> = kinds
        .iter()
        .filter(|kind| kind.group_version() == group_version)
        .map(|kind| (kind.path(), patch(kind)))
        .collect();
    json!({
        "openapi": "3.0.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths, "components": {},
    })
}

/// `/openapi/v2`: one document of all kinds, for clients that know no other. One that asks for
/// Protocol Buffers can be given an empty body: that is a document without content.
pub fn v2(kinds: &[KindInfo]) -> Json {
    let parameters: Vec<Json> = PARAMETERS
        .iter()
        .map(|(name, kind)| json!({"name": name, "in": "query", "type": kind}))
        .collect();
    let patch = |kind: &KindInfo| {
        json!({"patch": {
            "consumes": PATCH_TYPES,
            "parameters": parameters,
            "responses": {"200": {"description": "OK"}},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": kind.gvk(),
        }})
    };
    let paths: Map<String, Json> = kinds.iter().map(|kind| (kind.path(), patch(kind))).collect();
    json!({
        "swagger": "2.0", "info": {"title": "Kubernetes", "version": "v1.35.4"},
        "paths": paths, "definitions": {},
    })
}

/// The media type of `/openapi/v2` as Protocol Buffers.
pub const V2_BINARY: &str = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";

const PARAMETERS: [(&str, &str); 4] = [
    ("dryRun", "string"),
    ("fieldManager", "string"),
    ("fieldValidation", "string"),
    ("force", "boolean"),
];

const PATCH_TYPES: [&str; 3] =
    ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(group: &str, kind: &str, plural: &str, is_namespaced: bool) -> KindInfo {
        KindInfo {
            group: group.to_owned(),
            version: "v1".to_owned(),
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            is_namespaced,
        }
    }

    #[test]
    fn a_client_finds_that_fields_are_checked_by_the_server() {
        let kinds =
            [kind("apps", "Deployment", "deployments", true), kind("", "Node", "nodes", false)];
        assert_eq!(
            v3_index(&["v1".to_owned(), "apps/v1".to_owned()]),
            json!({"paths": {
                "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"},
                "apis/apps/v1": {"serverRelativeURL": "/openapi/v3/apis/apps/v1"},
            }})
        );
        let document = v3("apps/v1", &kinds);
        let paths: Vec<_> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, ["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]);
        let patch = &document["paths"][paths[0]]["patch"];
        assert_eq!(patch["x-kubernetes-group-version-kind"]["kind"], "Deployment");
        let names: Vec<_> =
            patch["parameters"].as_array().unwrap().iter().map(|p| &p["name"]).collect();
        assert_eq!(names, ["dryRun", "fieldManager", "fieldValidation", "force"]);
        assert_eq!(v2(&kinds)["paths"].as_object().unwrap().len(), 2);
        assert!(v2(&kinds)["paths"]["/api/v1/nodes/{name}"].is_object());
    }
}
