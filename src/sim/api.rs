//! From a request to an answer: the routes of the API.

use base64::Engine as _;
use http::Method;
use serde_json::{Value as Json, json};

use super::delete::{Deleted, Deletion};
use super::kinds::Kind;
use super::patch::Patch;
use super::request::{ObjectPath, Request, Target};
use super::respond::{self, Body, Form, Reply};
use super::selector::Selector;
use super::ssa::Reach;
use super::status::{Cause, StatusError};
use super::store::Store;
use super::watch::Watch;
use super::write::{Validation, Write, Written, set_version};
use super::{discovery, openapi, subresources};
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
    match request.target() {
        Target::Other(steps) => other(store, request, &steps).map(Answer::Reply),
        Target::Objects(path) => {
            let kind = discovery::find(store, &path.group, &path.version, &path.plural)
                .ok_or_else(StatusError::no_path)?;
            if kind.is_namespaced && path.namespace.is_empty() && !path.name.is_empty() {
                return Err(StatusError::no_resource());
            }
            objects(store, &Call { request, path: &path, kind: &kind })
        }
    }
}

fn other(store: &Store, request: &Request, steps: &[String]) -> Result<Reply, StatusError> {
    let steps: Vec<&str> = steps.iter().map(String::as_str).collect();
    let aggregated = respond::wants_aggregated(&request.accept);
    let typed = |body| Reply { body: Body::Typed(respond::AGGREGATED, body), ..Reply::text("") };
    let found = |json: Option<Json>| json.map(Reply::ok).ok_or_else(StatusError::no_path);
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
        ["api", version] => found(discovery::resource_list(store, "", version)),
        ["apis", group] => found(discovery::group(store, group)),
        ["apis", group, version] => found(discovery::resource_list(store, group, version)),
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
            found(document)
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
    match (&request.method, is_one) {
        (&Method::GET, true) => get(store, call).map(Answer::Reply),
        (&Method::GET, false) if request.query.is_true("watch") => {
            Watch::new(store, request, path, (*kind).clone()).map(Answer::Watch)
        }
        (&Method::GET, false) => list(store, call).map(Answer::Reply),
        (&Method::POST, false) => {
            let object = request.json()?;
            let written = store.create(&call.write(kind.reach())?, object)?;
            Ok(Answer::Reply(call.written(store, written)))
        }
        (&Method::PUT, true) => {
            let object = request.json()?;
            let written = store.update(&call.write(kind.reach())?, object)?;
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
    fn form(&self) -> Form {
        respond::form(&self.request.accept, self.request.query.get("includeObject"))
    }

    pub(super) fn key(&self) -> ObjectKey {
        self.kind.key(&self.path.namespace, &self.path.name)
    }

    pub(super) fn write(&self, reach: Reach) -> Result<Write<'_>, StatusError> {
        Ok(Write {
            kind: self.kind,
            namespace: &self.path.namespace,
            name: &self.path.name,
            reach,
            manager: self.request.manager(),
            is_dry_run: self.request.is_dry_run()?,
            validation: match self.request.query.get("fieldValidation") {
                "Ignore" => Validation::Ignore,
                "Strict" => Validation::Strict,
                _ => Validation::Warn,
            },
        })
    }

    pub(super) fn written(&self, store: &Store, written: Written) -> Reply {
        let object = respond::object(self.form(), written.object, self.kind, store.now);
        let code = if written.is_new { 201 } else { 200 };
        Reply { code, warnings: written.warnings, ..Reply::ok(object) }
    }
}

fn get(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let mut object = store
        .whole(&call.key())
        .ok_or_else(|| StatusError::not_found(call.kind, &call.path.name))?;
    set_version(&mut object, call.kind);
    Ok(Reply::ok(respond::object(call.form(), object, call.kind, store.now)))
}

fn list(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let query = &call.request.query;
    let selector =
        Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), call.kind)?;
    let limit: usize = query.get("limit").parse().unwrap_or(0);
    let after = match query.get("continue") {
        "" => None,
        token => Some(read_token(token)?),
    };
    let mut items = Vec::new();
    let mut next = None;
    for key in store.keys(&call.kind.group, &call.kind.kind, &call.path.namespace) {
        let place = (key.namespace.as_str(), key.name.as_str());
        if after.as_ref().is_some_and(|(namespace, name)| place <= (namespace, name)) {
            continue;
        }
        let Some(object) = store.get(key).filter(|object| selector.matches(object)) else {
            continue;
        };
        if limit > 0 && items.len() == limit {
            let last: &Json = items.last().expect("the limit is above zero");
            next = Some(token(access::namespace(last), access::name(last)));
            break;
        }
        let mut item = store.whole(key).unwrap_or_else(|| object.clone());
        set_version(&mut item, call.kind);
        items.push(item);
    }
    let mut metadata = json!({"resourceVersion": store.version().to_string()});
    if let Some(next) = next {
        metadata["continue"] = Json::from(next);
    }
    Ok(Reply::ok(respond::list(call.form(), items, call.kind, store.now, metadata)))
}

fn token(namespace: &str, name: &str) -> String {
    let text = json!([namespace, name]).to_string();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn read_token(token: &str) -> Result<(String, String), StatusError> {
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(token).ok();
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).ok_or_else(|| {
        StatusError::bad_request("continue key is not valid: it was not given out by this server")
    })
}

/// Any patch, server-side apply included.
pub(super) fn patch(
    store: &mut Store,
    call: &Call<'_>,
    reach: Reach,
) -> Result<Written, StatusError> {
    let Call { request, kind, .. } = call;
    let body = request.json()?;
    let write = call.write(reach)?;
    if request.content_type != "application/apply-patch+yaml" {
        return store.patch(&write, &Patch::read(&request.content_type, body, kind)?);
    }
    if request.query.get("fieldManager").is_empty() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        let message =
            format!("PatchOptions.meta.k8s.io \"\" is invalid: {}: {}", cause.field, cause.message);
        return Err(StatusError::new(422, "Invalid", message).with_details(json!({
            "group": "meta.k8s.io", "kind": "PatchOptions",
            "causes": [{"reason": cause.reason, "message": cause.message, "field": cause.field}],
        })));
    }
    store.apply(&write, &body, request.query.is_true("force"))
}

fn deletion(call: &Call<'_>) -> Result<Deletion, StatusError> {
    let request = call.request;
    let mut options = if request.body.is_empty() { json!({}) } else { request.json()? };
    for field in ["propagationPolicy", "gracePeriodSeconds", "orphanDependents"] {
        let value = request.query.get(field);
        if !value.is_empty() && options.get(field).is_none() && options.is_object() {
            options[field] = serde_json::from_str(value).unwrap_or_else(|_| Json::from(value));
        }
    }
    let mut deletion = Deletion::read(&options, call.kind);
    deletion.is_dry_run |= request.is_dry_run()?;
    Ok(deletion)
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
        // Pods and namespaces are given back as they were; of others only that they are gone.
        Deleted::Gone(object) if call.kind.is("", "Pod") => versioned(object, call.kind),
        Deleted::Gone(object) => status(&object),
        Deleted::Ending(object) => versioned(object, call.kind),
    }))
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
        match store.delete(call.kind, &key, &deletion) {
            Ok(Deleted::Gone(object) | Deleted::Ending(object)) => items.push(object),
            Err(error) if error.code == 404 => {}
            Err(error) => return Err(error),
        }
    }
    let metadata = json!({"resourceVersion": store.version().to_string()});
    Ok(Reply::ok(respond::list(Form::Whole, items, call.kind, store.now, metadata)))
}
