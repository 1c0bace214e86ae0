//! Lists: which objects, at which version, how many at a time.

use std::collections::BTreeMap;

use base64::Engine as _;
use serde_json::{Value as Json, json};

use super::api::Call;
use super::respond::{self, Reply};
use super::selector::Selector;
use super::status::StatusError;
use super::store::Store;
use super::write::set_version;
use super::{kinds::Kind, options};
use crate::object::access;

/// Where a list goes on: behind this object.
type Place = (String, String);

/// Answers a list.
///
/// # Errors
/// 400 or 422 for a query that makes no sense, 410 or 504 for a version that is not kept, or not
/// there yet.
pub(super) fn answer(store: &Store, call: &Call<'_>) -> Result<Reply, StatusError> {
    let query = &call.request.query;
    let limit = limit(query.get("limit"))?;
    let selector =
        Selector::parse(query.get("labelSelector"), query.get("fieldSelector"), call.kind)?;
    options::check_list(call.request)?;
    let asked = query.get("resourceVersion");
    let after = match query.get("continue") {
        "" => None,
        _ if !matches!(asked, "" | "0") => {
            let message = "specifying resource version is not allowed when using continue";
            return Err(StatusError::bad_request(message));
        }
        token => Some(read_token(token)?),
    };
    let version = version(store, asked).map_err(|error| match error.code {
        500 => {
            let message = format!("invalid resource version: {}", error.message);
            StatusError::bad_request(message)
        }
        _ => error,
    })?;
    let is_exact = query.get("resourceVersionMatch") == "Exact";
    let mut items = match version.filter(|_| is_exact) {
        Some(version) => objects_at(store, call, version)?,
        None => objects(store, call, |object| selector.matches(object)),
    };
    items.retain(|place, object| {
        after.as_ref().is_none_or(|after| path(after) < *place)
            && (!is_exact || selector.matches(object))
    });
    let mut metadata = json!({"resourceVersion": store.version().to_string()});
    if is_exact && let Some(version) = version {
        metadata["resourceVersion"] = Json::from(version.to_string());
    }
    let left = items.len().saturating_sub(limit);
    let items: Vec<Json> = items.into_values().take(limit).collect();
    if left > 0
        && let Some(last) = items.last()
    {
        metadata["continue"] = Json::from(token(access::namespace(last), access::name(last)));
        if selector.is_everything() {
            metadata["remainingItemCount"] = Json::from(left);
        }
    } else if call.kind.custom.is_some() && respond::is_whole(call.form()) {
        // Custom objects have no type that would leave it out.
        metadata["continue"] = Json::from("");
    }
    Ok(Reply::ok(respond::list(call.form(), items, call.kind, store.now, metadata)))
}

fn limit(text: &str) -> Result<usize, StatusError> {
    let limit: i64 = match text {
        "" => 0,
        text => text.parse().map_err(|_| {
            let message = format!("strconv.ParseInt: parsing {text:?}: invalid syntax");
            StatusError::bad_request(message)
        })?,
    };
    Ok(usize::try_from(limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX))
}

/// The version that is asked for; `None` for any.
///
/// # Errors
/// 500 for what is no number, as a real server has it, and 504 for one that is not there yet.
pub(super) fn version(store: &Store, asked: &str) -> Result<Option<u64>, StatusError> {
    let version = number(asked)?;
    if version > store.version() {
        return Err(StatusError::too_large(version, store.version()));
    }
    Ok(Some(version).filter(|version| *version > 0))
}

/// A version as a number; 0 for any.
///
/// # Errors
/// 500 for what is no number.
pub(super) fn number(asked: &str) -> Result<u64, StatusError> {
    if asked.is_empty() {
        return Ok(0);
    }
    asked.parse().map_err(|_| {
        let message = format!(
            "resourceVersion: Invalid value: {asked:?}: strconv.ParseUint: parsing {asked:?}: \
             invalid syntax"
        );
        StatusError::new(500, "", message)
    })
}

/// Where an object stands in the order of a list: that of the keys in a real server's store.
fn path((namespace, name): &Place) -> String {
    format!("{namespace}/{name}")
}

fn given_out(mut object: Json, kind: &Kind) -> (String, Json) {
    set_version(&mut object, kind);
    let place = (access::namespace(&object).to_owned(), access::name(&object).to_owned());
    (path(&place), object)
}

fn objects(
    store: &Store,
    call: &Call<'_>,
    is_wanted: impl Fn(&Json) -> bool,
) -> BTreeMap<String, Json> {
    let is_whole = !respond::is_metadata(call.form());
    store
        .keys(&call.kind.group, &call.kind.kind, &call.path.namespace)
        .filter_map(|key| store.shared(key))
        .filter(|object| is_wanted(object))
        .map(|object| if is_whole { Json::clone(&object) } else { respond::metadata_of(&object) })
        .map(|object| given_out(object, call.kind))
        .collect()
}

/// The objects as they were once: those of now, with all that has changed since undone.
fn objects_at(
    store: &Store,
    call: &Call<'_>,
    version: u64,
) -> Result<BTreeMap<String, Json>, StatusError> {
    let changes =
        store.changes_since(version).map_err(|oldest| StatusError::too_old(version, oldest))?;
    let mut objects = objects(store, call, |_| true);
    let namespace = call.path.namespace.as_str();
    let is_meant = |object: &Json| namespace.is_empty() || access::namespace(object) == namespace;
    for change in changes.iter().rev().filter(|change| {
        call.kind.is(&change.key.group, &change.key.kind) && is_meant(&change.object)
    }) {
        let (place, _) = given_out(Json::clone(&change.object), call.kind);
        match &change.before {
            Some(before) => {
                objects.insert(place, given_out(Json::clone(before), call.kind).1);
            }
            None => {
                objects.remove(&place);
            }
        }
    }
    Ok(objects)
}

fn token(namespace: &str, name: &str) -> String {
    let text = json!([namespace, name]).to_string();
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(text)
}

fn read_token(token: &str) -> Result<Place, StatusError> {
    let refused = |why: &str| {
        let message = format!("invalid continue token: continue key is not valid: {why}");
        StatusError::bad_request(message)
    };
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD
        .decode(token)
        .map_err(|_| refused("illegal base64 data at input byte 0"))?;
    serde_json::from_slice(&bytes).map_err(|_| refused("it was not given out by this server"))
}
