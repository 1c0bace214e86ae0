//! `url`, and what can be asked of one; read as Go's `net/url` reads them.

use std::collections::HashMap;
use std::sync::Arc;

use cel::extractors::This;
use cel::objects::{Key, Map, Opaque};
use cel::{Context, ExecutionError, Value};

use super::{Any, Result, Text, of, wrong};
use crate::sprig::url::Url;

pub(super) const NAMES: &[&str] = &[
    "getEscapedPath",
    "getHost",
    "getHostname",
    "getPort",
    "getQuery",
    "getScheme",
    "isURL",
    "url",
];

pub(super) fn add(scope: &mut Context<'_, '_>) {
    let _ = scope.add_function("isURL", |text: Text| Url::of_request(&text).is_ok());
    let _ = scope.add_function("url", |text: Text| match Url::of_request(&text) {
        Ok(_) => match Url::parse(&text) {
            Ok(url) => Ok(Value::Opaque(Arc::new(Address(url)))),
            Err(reason) => Err(wrong("url", &reason)),
        },
        Err(reason) => Err(wrong("url", &reason)),
    });
    let _ = scope
        .add_function("getScheme", |This(one): This<Any>| text(&one, |url| url.scheme.clone()));
    let _ =
        scope.add_function("getHost", |This(one): This<Any>| text(&one, |url| url.host.clone()));
    let _ = scope.add_function("getHostname", |This(one): This<Any>| {
        text(&one, |url| url.hostname().to_owned())
    });
    let _ = scope
        .add_function("getPort", |This(one): This<Any>| text(&one, |url| url.port().to_owned()));
    let _ =
        scope.add_function("getEscapedPath", |This(one): This<Any>| text(&one, Url::escaped_path));
    let _ = scope.add_function("getQuery", |This(one): This<Any>| {
        let mut query: HashMap<Key, Vec<Value>> = HashMap::new();
        for (key, value) in of::<Address>(&one)?.0.query() {
            let value = Value::String(Arc::new(value));
            query.entry(Key::String(Arc::new(key))).or_default().push(value);
        }
        let listed = query.into_iter().map(|(key, values)| (key, Value::List(Arc::new(values))));
        Ok::<_, ExecutionError>(Value::Map(Map { map: Arc::new(listed.collect()) }))
    });
}

fn text(one: &Any, part: impl Fn(&Url) -> String) -> Result<Value> {
    Ok(Value::String(Arc::new(part(&of::<Address>(one)?.0))))
}

/// A URL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Address(Url);

impl Opaque for Address {
    fn runtime_type_name(&self) -> &'static str {
        "kubernetes.URL"
    }
}
