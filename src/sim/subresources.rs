//! Parts of objects with a path of their own, and kinds whose objects are only answers.

use http::Method;
use serde_json::{Value as Json, json};

use super::api::{self, Call};
use super::delete::Deletion;
use super::kinds::Kind;
use super::patch::Patch;
use super::respond::Reply;
use super::ssa::{Managers, Reach, Writer};
use super::status::{Cause, StatusError};
use super::store::Store;
use crate::object::access;

/// Answers a request for a subresource or a review.
///
/// # Errors
/// 404 for what is not served, else as writing the object.
pub(super) fn answer(store: &mut Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let Call { request, path, kind } = call;
    if kind.is_review {
        return match request.method {
            Method::POST => review(store, call),
            _ => Err(StatusError::not_allowed()),
        };
    }
    match path.subresource.as_str() {
        "status" if kind.has_status => status(store, call),
        "scale" if kind.has_scale => scale(store, call),
        "finalize" if kind.is("", "Namespace") => {
            let written = store.update(&call.write(Reach::NotStatus), request.object(kind)?)?;
            Ok(call.written(store, written))
        }
        "eviction" if kind.is("", "Pod") => {
            store.delete(kind, &call.key(), &Deletion::default())?;
            Ok(Reply {
                code: 201,
                ..Reply::ok(json!({"kind": "Status", "apiVersion": "v1", "metadata": {},
                                   "status": "Success", "code": 201}))
            })
        }
        "log" if kind.is("", "Pod") => log(store, call),
        "token" if kind.is("", "ServiceAccount") => token(store, call),
        _ if kind.custom.is_some() => Err(StatusError::not_found(kind, &path.name)),
        _ => Err(StatusError::no_resource()),
    }
}

fn status(store: &mut Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    match call.request.method {
        Method::GET => whole(store, call).map(Reply::ok),
        Method::PUT => {
            let written =
                store.update(&call.write(Reach::Status), call.request.object(call.kind)?)?;
            Ok(call.written(store, written))
        }
        Method::PATCH => {
            let written = api::patch(store, call, Reach::Status)?;
            Ok(call.written(store, written))
        }
        _ => Err(StatusError::not_allowed()),
    }
}

fn whole(store: &Store, call: &Call<'_>) -> Result<Json, StatusError> {
    let missing = || StatusError::not_found(call.kind, &call.path.name);
    let mut object = store.whole(&call.key()).ok_or_else(missing)?;
    super::write::set_version(&mut object, call.kind);
    Ok(object)
}

/// The `Scale` of a workload, or of a custom object as its CRD says.
fn scale_of(object: &Json, kind: &Kind) -> Json {
    let number = |path: &[&str]| access::number(object, path).unwrap_or(0);
    let custom = kind.custom.as_ref().and_then(|custom| custom.selector_path.as_deref());
    let selector = match custom {
        Some(path) => {
            let path: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
            access::text(object, &path).unwrap_or_default().to_owned()
        }
        None => {
            let labels = access::at(object, &["spec", "selector", "matchLabels"]);
            let labels = access::string_map(labels);
            let pairs: Vec<_> =
                labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
            pairs.join(",")
        }
    };
    let mut spec = json!({"replicas": number(&["spec", "replicas"])});
    if spec["replicas"] == 0 {
        // Go leaves it out.
        spec = json!({});
    }
    json!({
        "kind": "Scale", "apiVersion": "autoscaling/v1",
        "metadata": {
            "name": access::name(object), "namespace": access::namespace(object),
            "uid": access::uid(object), "resourceVersion": access::resource_version(object),
            "creationTimestamp": access::text(object, &["metadata", "creationTimestamp"]),
        },
        "spec": spec,
        "status": {"replicas": number(&["status", "replicas"]), "selector": selector},
    })
}

fn scale(store: &mut Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let whole = whole(store, call)?;
    let before = scale_of(&whole, call.kind);
    let after = match call.request.method {
        Method::GET => return Ok(Reply::ok(before)),
        Method::PUT => call.request.object_of("Scale", false)?,
        Method::PATCH => {
            let body = &call.request.body;
            let content_type = call.request.content_type.as_str();
            match Patch::read(content_type, body, call.kind)? {
                // `Scale` has no lists.
                Patch::Strategic(patch) => Patch::Merge(patch).apply(&before, call.kind)?,
                patch => patch.apply(&before, call.kind)?,
            }
        }
        _ => return Err(StatusError::not_allowed()),
    };
    if !matches!(access::kind(&after), "" | "Scale") {
        let (kind, version) = (access::kind(&after), access::api_version(&after));
        let version = version.rsplit('/').next().unwrap_or_default();
        return Err(StatusError::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a Scale: converting \
             ({version}.{kind}) to (autoscaling.Scale): unknown conversion"
        )));
    }
    let replicas = access::number(&after, &["spec", "replicas"]).unwrap_or(0);
    if replicas < 0 {
        let why = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &json!(replicas), why);
        return Err(StatusError::invalid_as("Scale", "autoscaling", &call.path.name, &[cause]));
    }
    let mut patch = json!({"spec": {"replicas": replicas}});
    let version = access::resource_version(&after);
    if !version.is_empty() {
        patch["metadata"] = json!({"resourceVersion": version});
    }
    let written = store.patch(&call.write(Reach::Scale), &Patch::Merge(patch))?;
    Ok(Reply::ok(scale_of(&written.object, call.kind)))
}

fn log(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let pod = whole(store, call)?;
    let containers = access::list(&pod, &["spec", "containers"]).iter();
    let images: Vec<_> = containers.filter_map(|one| access::text(one, &["image"])).collect();
    Ok(Reply::text(format!("simulated: {} says nothing\n", images.join(", "))))
}

fn token(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    if call.request.method != Method::POST {
        return Err(StatusError::not_allowed());
    }
    let account = whole(store, call)?;
    let mut request = call.request.object(call.kind)?;
    if !request.is_object() {
        return Err(StatusError::bad_request("a request for a token must be an object"));
    }
    request["status"] = json!({
        "token": format!("simulated-{}", access::uid(&account)),
        "expirationTimestamp": super::metadata::time(
            store.now.saturating_add(std::time::Duration::from_hours(1)).unwrap_or(store.now),
        ),
    });
    Ok(Reply { code: 201, ..Reply::ok(request) })
}

/// Reviews: everything is allowed to everybody, who are all the administrator.
fn review(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let mut review = call.request.object(call.kind)?;
    if !review.is_object() {
        return Err(StatusError::bad_request("a review must be an object"));
    }
    let spec = |field| access::at(&review, &["spec", field]).is_some();
    let kind = call.kind;
    if kind.kind.ends_with("AccessReview")
        && spec("resourceAttributes") == spec("nonResourceAttributes")
    {
        let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
        let cause = Cause::invalid("spec.resourceAttributes", &Json::Null, why);
        return Err(StatusError::invalid_as("", &kind.group, "", &[cause]));
    }
    let api_version = kind.api_version();
    let writer =
        Writer { name: call.request.manager(), api_version, reach: Reach::Whole, now: store.now };
    let managers = Managers::default().update(None, &review, kind.shape(), &writer);
    if !managers.0.is_empty() {
        super::metadata::of(&mut review).insert("managedFields".to_owned(), managers.to_json());
    }
    let user = json!({"username": "kubernetes-admin",
                      "groups": ["system:masters", "system:authenticated"]});
    review["status"] = match call.kind.kind.as_str() {
        "SelfSubjectReview" => json!({"userInfo": user}),
        "TokenReview" => json!({"authenticated": true, "user": user}),
        "SelfSubjectRulesReview" => json!({
            "incomplete": false,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
        }),
        _ => json!({"allowed": true}),
    };
    super::write::set_version(&mut review, call.kind);
    Ok(Reply { code: 201, ..Reply::ok(review) })
}
