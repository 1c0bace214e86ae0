//! From a request to an answer: the routes of the API.

use http::Method;
use serde_json::{Value as Json, json};

use super::delete::{Deleted, Deletion};
use super::kinds::Kind;
use super::patch::Patch;
use super::request::{ObjectPath, Request, Target};
use super::respond::{self, Body, Form, Reply};
use super::selector::Selector;
use super::ssa::Reach;
use super::status::StatusError;
use super::store::Store;
use super::watch::Watch;
use super::write::{Validation, Write, Written, bad_body, set_version};
use super::{discovery, kinds, list, openapi, options, subresources};
use crate::object::access;
use crate::object::key::ObjectKey;

/// What follows from a request.
#[derive(Debug)]
pub enum Answer {
    /// It is answered.
    Reply(Reply),
    /// Changes are to be told as they come.
    Watch(Watch),
}

/// What a request is about, once its path was looked up.
pub(super) struct Call<'a> {
    pub(super) request: &'a Request,
    pub(super) path: &'a ObjectPath,
    pub(super) kind: &'a Kind,
}

/// Answers a request; the controllers have run up to now already.
///
/// # Errors
/// Any refusal of the API.
pub fn answer(store: &mut Store, request: &Request) -> Result<Answer, StatusError> {
    let answered = in_json(store, request).or_else(|error| match Reply::from(error.clone()) {
        reply if request.accept.contains("yaml") => Ok(Answer::Reply(reply)),
        _ => Err(error),
    })?;
    Ok(match answered {
        Answer::Reply(reply) => Answer::Reply(respond::in_yaml(&request.accept, reply)),
        watch @ Answer::Watch(_) => watch,
    })
}

fn in_json(store: &mut Store, request: &Request) -> Result<Answer, StatusError> {
    match request.target() {
        Target::Other(steps) => other(store, request, &steps).map(Answer::Reply),
        Target::Objects(path) => {
            let kind = discovery::find(store, &path.group, &path.version, &path.plural)
                .ok_or_else(|| not_served(&path.group))?;
            respond::check(&request.accept)?;
            let is_of_none = path.namespace.is_empty();
            if kind.is_namespaced && is_of_none && !path.name.is_empty()
                || !kind.is_namespaced && !is_of_none
            {
                return Err(not_served(&path.group));
            }
            let answer = objects(store, &Call { request, path: &path, kind: &kind })?;
            let warning = kind.custom.as_ref().and_then(|custom| custom.warning.clone());
            Ok(match answer {
                Answer::Reply(mut reply) => {
                    reply.warnings.extend(warning);
                    Answer::Reply(reply)
                }
                watch @ Answer::Watch(_) => watch,
            })
        }
    }
}

/// The answer where nothing is served: the groups of Kubernetes itself have a handler that says so.
fn not_served(group: &str) -> StatusError {
    if kinds::is_built_in_group(group) {
        StatusError::no_resource()
    } else {
        StatusError::no_path()
    }
}

fn other(store: &Store, request: &Request, steps: &[String]) -> Result<Reply, StatusError> {
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let aggregated = respond::wants_aggregated(&request.accept);
    let typed = |body| Reply { body: Body::Typed(respond::AGGREGATED, body), ..Reply::text("") };
    let found =
        |json: Option<Json>, group: &str| json.map(Reply::ok).ok_or_else(|| not_served(group));
    if request.method != Method::GET {
        return Err(StatusError::no_path());
    }
    match steps.as_slice() {
        ["healthz" | "readyz" | "livez", ..] => Ok(Reply::text("ok")),
        ["version"] => Ok(Reply::ok(discovery::version())),
        ["api"] if aggregated => Ok(typed(discovery::aggregated(store, true))),
        ["api"] => Ok(Reply::ok(discovery::core())),
        ["apis"] if aggregated => Ok(typed(discovery::aggregated(store, false))),
        ["apis"] => Ok(Reply::ok(discovery::group_list(store))),
        ["api", version] => found(discovery::resource_list(store, "", version), ""),
        ["apis", group] => found(discovery::group(store, group), group),
        ["apis", group, version] => found(discovery::resource_list(store, group, version), group),
        // A client that wants Protocol Buffers reads an empty body as a document without content.
        ["openapi", "v2"] if request.accept.contains("protobuf") => {
            Ok(Reply { body: Body::Empty(openapi::V2_BINARY), ..Reply::text("") })
        }
        ["openapi", "v2"] => Ok(Reply::ok(openapi::v2(&infos(&discovery::served(store))))),
        ["openapi", "v3"] => {
            let mut versions: Vec<String> =
                discovery::served(store).iter().map(Kind::api_version).collect();
            versions.sort();
            versions.dedup();
            Ok(Reply::ok(openapi::v3_index(&versions)))
        }
        ["openapi", "v3", "api" | "apis", version @ ..] => {
            let version = version.join("/");
            let mut kinds = discovery::served(store);
            kinds.retain(|kind| kind.api_version() == version);
            let document = (!kinds.is_empty()).then(|| openapi::v3(&version, &infos(&kinds)));
            document.map(Reply::ok).ok_or_else(StatusError::no_path)
        }
        [] => Ok(Reply::ok(json!({"paths": ["/api", "/apis", "/healthz", "/version"]}))),
        _ => Err(StatusError::no_path()),
    }
}

/// Kinds as the OpenAPI documents name them.
fn infos(kinds: &[Kind]) -> Vec<openapi::KindInfo> {
    let info = |kind: &Kind| openapi::KindInfo {
        group: kind.group.clone(),
        version: kind.version.clone(),
        kind: kind.kind.clone(),
        plural: kind.plural.clone(),
        is_namespaced: kind.is_namespaced,
    };
    kinds.iter().map(info).collect()
}

fn objects(store: &mut Store, call: &Call<'_>) -> Result<Answer, StatusError> {
    let Call { request, path, kind } = call;
    if !path.subresource.is_empty() || kind.is_review {
        return subresources::answer(store, call).map(Answer::Reply);
    }
    let is_one = !path.name.is_empty();
    // Objects of namespaces are read from all of them, but not written there.
    let is_all = kind.is_namespaced && path.namespace.is_empty();
    if is_all && request.method != Method::GET {
        return Err(StatusError::not_allowed());
    }
    match (&request.method, is_one) {
        (&Method::GET, _) if path.is_watch => {
            Watch::new(store, request, path, (*kind).clone()).map(Answer::Watch)
        }
        (&Method::GET, true) => get(store, call).map(Answer::Reply),
        (&Method::GET, false) if request.query.is_true("watch") => {
            Watch::new(store, request, path, (*kind).clone()).map(Answer::Watch)
        }
        (&Method::GET, false) => list::answer(store, call).map(Answer::Reply),
        (&Method::POST, false) => {
            options::check_write(request, "CreateOptions")?;
            let object = request.object(kind)?;
            let twice = call.duplicates()?;
            let mut written = store.create(&call.write(kind.reach()), object)?;
            written.warnings.extend(twice);
            Ok(Answer::Reply(call.written(store, written)))
        }
        (&Method::PUT, true) => {
            options::check_write(request, "UpdateOptions")?;
            let object = request.object(kind)?;
            let twice = call.duplicates()?;
            let mut written = store.update(&call.write(kind.reach()), object)?;
            written.warnings.extend(twice);
            Ok(Answer::Reply(call.written(store, written)))
        }
        (&Method::PATCH, true) => {
            let written = patch(store, call, kind.reach())?;
            Ok(Answer::Reply(call.written(store, written)))
        }
        (&Method::DELETE, true) => delete(store, call).map(Answer::Reply),
        (&Method::DELETE, false) => delete_all(store, call).map(Answer::Reply),
        _ => Err(StatusError::not_allowed()),
    }
}

impl Call<'_> {
    pub(super) fn form(&self) -> Form {
        respond::form(&self.request.accept, self.request.query.get("includeObject"))
    }

    pub(super) fn key(&self) -> ObjectKey {
        self.kind.key(&self.path.namespace, &self.path.name)
    }

    pub(super) fn write(&self, reach: Reach) -> Write<'_> {
        Write {
            kind: self.kind,
            namespace: &self.path.namespace,
            name: &self.path.name,
            reach,
            manager: self.request.manager(),
            is_dry_run: self.request.is_dry_run(),
            validation: match self.request.query.get("fieldValidation") {
                "Ignore" => Validation::Ignore,
                "Strict" => Validation::Strict,
                _ => Validation::Warn,
            },
        }
    }

    /// What a writer is told of fields that stand in the body twice.
    fn duplicates(&self) -> Result<Vec<String>, StatusError> {
        let write = self.write(self.kind.reach());
        let twice = self.request.duplicates();
        let twice: Vec<_> = twice.iter().map(|path| format!("duplicate field {path:?}")).collect();
        match write.validation {
            Validation::Ignore => Ok(Vec::new()),
            Validation::Warn => Ok(twice),
            Validation::Strict if twice.is_empty() => Ok(twice),
            Validation::Strict => {
                Err(bad_body(&write, &format!("strict decoding error: {}", twice.join(", "))))
            }
        }
    }

    pub(super) fn written(&self, store: &Store, written: Written) -> Reply {
        let object = respond::object(self.form(), written.object, self.kind, store.now);
        let code = if written.is_new { 201 } else { 200 };
        Reply { code, warnings: written.warnings, ..Reply::ok(object) }
    }
}

fn get(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    list::version(store, call.request.query.get("resourceVersion"))?;
    let mut object = store
        .whole(&call.key())
        .ok_or_else(|| StatusError::not_found(call.kind, &call.path.name))?;
    set_version(&mut object, call.kind);
    Ok(Reply::ok(respond::object(call.form(), object, call.kind, store.now)))
}

/// Any patch, server-side apply included.
pub(super) fn patch(
    store: &mut Store,
    call: &Call<'_>,
    reach: Reach,
) -> Result<Written, StatusError> {
    let Call { request, kind, .. } = call;
    let is_apply = request.content_type == "application/apply-patch+yaml";
    if !is_apply && !Patch::is_known(&request.content_type) {
        return Err(StatusError::no_media_type());
    }
    options::check_patch(request)?;
    let write = call.write(reach);
    if !is_apply {
        return store.patch(&write, &Patch::read(&request.content_type, &request.body, kind)?);
    }
    let body = request.yaml()?;
    store.apply(&write, &body, request.query.is_true("force"))
}

fn deletion(call: &Call<'_>) -> Result<Deletion, StatusError> {
    let request = call.request;
    let mut given = if request.body.is_empty() { json!({}) } else { request.options()? };
    for field in ["propagationPolicy", "gracePeriodSeconds", "orphanDependents"] {
        let value = request.query.get(field);
        if !value.is_empty() && given.get(field).is_none() && given.is_object() {
            given[field] = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
        }
    }
    if request.is_dry_run() && given.is_object() {
        given["dryRun"] = json!([request.query.get("dryRun")]);
    }
    options::check_deletion(&given)?;
    Ok(Deletion::read(&given, call.kind))
}

fn delete(store: &mut Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let deletion = deletion(call)?;
    let deleted = store.delete(call.kind, &call.key(), &deletion)?;
    let status = |object: &Json| {
        let mut details = json!({"name": call.path.name, "kind": call.kind.plural,
                                 "uid": access::uid(object)});
        if !call.kind.group.is_empty() {
            details["group"] = Json::from(call.kind.group.as_str());
        }
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
               "details": details})
    };
    Ok(Reply::ok(match deleted {
        // Some are given back as they were; of others only that they are gone.
        Deleted::Gone(object) if is_given_back(call.kind) => versioned(object, call.kind),
        Deleted::Gone(object) => status(&object),
        Deleted::Ending(object) => versioned(object, call.kind),
    }))
}

/// Kinds whose objects are the answer to their deletion.
fn is_given_back(kind: &Kind) -> bool {
    matches!(
        (kind.group.as_str(), kind.kind.as_str()),
        (
            "",
            "Namespace"
                | "PersistentVolume"
                | "PersistentVolumeClaim"
                | "Pod"
                | "PodTemplate"
                | "ResourceQuota"
                | "Service"
                | "ServiceAccount"
        ) | (
            "storage.k8s.io",
            "CSIDriver" | "CSINode" | "StorageClass" | "VolumeAttachment" | "VolumeAttributesClass"
        )
    )
}

fn versioned(mut object: Json, kind: &Kind) -> Json {
    set_version(&mut object, kind);
    object
}

fn delete_all(store: &mut Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let query = &call.request.query;
    let selector =
        Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), call.kind)?;
    let deletion = deletion(call)?;
    let keys: Vec<ObjectKey> = store
        .keys(&call.kind.group, &call.kind.kind, &call.path.namespace)
        .filter(|key| store.get(key).is_some_and(|object| selector.matches(object)))
        .cloned()
        .collect();
    let mut items = Vec::new();
    for key in keys {
        let before = store.whole(&key);
        match store.delete(call.kind, &key, &deletion) {
            // As they were listed before they went.
            Ok(Deleted::Gone(object)) => items.push(before.unwrap_or(object)),
            Ok(Deleted::Ending(object)) => items.push(object),
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let metadata = json!({"resourceVersion": store.version().to_string()});
    Ok(Reply::ok(respond::list(Form::Whole, items, call.kind, store.now, metadata)))
}
