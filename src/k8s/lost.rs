//! Writes whose answer was lost: whether they were done all the same.

use http::Method;
use serde_json::Value as Json;

use super::client::Call;
use super::discovery::escaped;
use super::error::RequestError;
use crate::object::access;

/// The path of the object that a request wrote which was made again, where the second answer may
/// only mean that the first request was done.
pub(super) fn path_of_doubt(call: &Call<'_>, error: &RequestError) -> Option<String> {
    let is_doubtful =
        matches!(error, RequestError::AlreadyExists { .. } | RequestError::Conflict { .. });
    let sent = call.body.filter(|sent| is_doubtful && sent.is_object())?;
    let path = call.path.split('?').next()?;
    match (&call.method, access::name(sent)) {
        (&Method::POST, "") => None,
        (&Method::POST, name) => Some(format!("{path}/{}", escaped(name))),
        (&Method::PUT | &Method::PATCH, _) => Some(path.to_owned()),
        _ => None,
    }
}

/// Whether an object is what was asked for: everything that was sent is in it, but for the version
/// that it was to have had. A field that was sent as `null` is not there.
pub(super) fn is_done(sent: &Json, present: &Json) -> bool {
    match (sent, present) {
        (Json::Object(sent), Json::Object(present)) => sent.iter().all(|(name, sent)| {
            name == "resourceVersion" || is_done(sent, present.get(name).unwrap_or(&Json::Null))
        }),
        // Servers add defaults to the items of lists too.
        (Json::Array(sent), Json::Array(present)) => {
            sent.len() == present.len()
                && sent.iter().zip(present).all(|(sent, present)| is_done(sent, present))
        }
        (sent, present) => sent == present,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_was_sent_is_looked_for_in_what_is_there() {
        let present = json!({"metadata": {"name": "r", "uid": "u", "resourceVersion": "8",
            "labels": {"status": "deployed"}}, "data": {"release": "abc"},
            "list": [{"name": "a", "default": true}]});
        for (sent, is_there) in [
            (json!({"metadata": {"name": "r", "resourceVersion": "7"}}), true),
            (json!({"metadata": {"labels": {"status": "deployed", "holder": null}}}), true),
            (json!({"metadata": {"labels": {"status": "failed"}}}), false),
            (json!({"metadata": {"labels": null}}), false),
            (json!({"data": {"release": "abc", "more": ""}}), false),
            (json!({"list": [{"name": "a"}]}), true),
            (json!({"list": []}), false),
        ] {
            assert_eq!(is_done(&sent, &present), is_there, "{sent}");
        }
    }
}
