//! A request as it came, taken apart: what is asked for, of what, and in which form.

use bytes::Bytes;
use http::Method;

/// A request with its body.
#[derive(Clone, Debug)]
pub struct Request {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The query.
    pub query: Query,
    /// `Accept`.
    pub accept: String,
    /// `Content-Type` without parameters.
    pub content_type: String,
    /// `User-Agent` up to its first slash: the field manager where none is named.
    pub agent: String,
    /// The body.
    pub body: Bytes,
}

/// The parameters of a query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Query(Vec<(String, String)>);

/// What a path is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Objects of a kind.
    Objects(ObjectPath),
    /// Everything else: discovery, health, versions.
    Other(Vec<String>),
}

/// The path to one object, to a part of it, or to the objects of a kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectPath {
    /// Empty for the core group.
    pub group: String,
    /// The version asked for.
    pub version: String,
    /// Empty for all namespaces and for cluster-scoped kinds.
    pub namespace: String,
    /// The plural.
    pub plural: String,
    /// Empty for all objects.
    pub name: String,
    /// `status`, `scale`, …; empty for the object itself.
    pub subresource: String,
    /// Whether the path itself says that changes are to be told, as an older form has it.
    pub is_watch: bool,
}

impl Query {
    /// Reads the part of a URL behind `?`.
    pub fn parse(text: &str) -> Self {
        let pairs = text.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(name.replace('+', " ")), decoded(value.replace('+', " ")))
        });
        Self(pairs.collect())
    }

    /// A parameter; empty when it is not there.
    pub fn get(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| other == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// Whether a parameter is there.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    /// Whether a parameter says yes: it is there and does not say no.
    pub fn is_true(&self, name: &str) -> bool {
        self.has(name) && !matches!(self.get(name).to_lowercase().as_str(), "false" | "0")
    }
}

impl Request {
    /// Reads what came over HTTP.
    pub fn new(head: &http::request::Parts, body: Bytes) -> Self {
        let header = |name| {
            let value = head.headers.get(name).and_then(|value| value.to_str().ok());
            value.unwrap_or_default().to_owned()
        };
        let content_type = header(http::header::CONTENT_TYPE);
        let agent = header(http::header::USER_AGENT);
        Self {
            method: head.method.clone(),
            path: head.uri.path().to_owned(),
            query: Query::parse(head.uri.query().unwrap_or_default()),
            accept: header(http::header::ACCEPT),
            content_type: content_type.split(';').next().unwrap_or_default().trim().to_owned(),
            agent: agent.split('/').next().unwrap_or_default().to_owned(),
            body,
        }
    }

    /// What it is about.
    pub fn target(&self) -> Target {
        let steps: Vec<String> =
            self.path.split('/').filter(|step| !step.is_empty()).map(decoded).collect();
        object_path(&steps).map_or(Target::Other(steps), Target::Objects)
    }

    /// Whether nothing may be kept.
    pub fn is_dry_run(&self) -> bool {
        !self.query.get("dryRun").is_empty()
    }

    /// The field manager: as named, else the program that asks.
    pub fn manager(&self) -> &str {
        match self.query.get("fieldManager") {
            "" if self.agent.is_empty() => "unknown",
            "" => &self.agent,
            name => name,
        }
    }
}

fn object_path(steps: &[String]) -> Option<ObjectPath> {
    let step = |at: usize| steps.get(at).map_or("", String::as_str);
    let (group, version, rest) = match step(0) {
        "api" if steps.len() > 2 => ("", step(1), &steps[2..]),
        "apis" if steps.len() > 3 => (step(1), step(2), &steps[3..]),
        _ => return None,
    };
    let is_watch = rest[0] == "watch" && rest.len() > 1;
    let rest = if is_watch { &rest[1..] } else { rest };
    let text = |at: usize| rest.get(at).cloned().unwrap_or_default();
    let is_namespaced = rest[0] == "namespaces"
        && rest.len() > 2
        && !(group.is_empty()
            && rest.len() == 3
            && matches!(rest[2].as_str(), "status" | "finalize"));
    let at = if is_namespaced { 2 } else { 0 };
    Some(ObjectPath {
        group: group.to_owned(),
        version: version.to_owned(),
        namespace: if is_namespaced { text(1) } else { String::new() },
        plural: text(at),
        name: text(at + 1),
        subresource: rest.get(at + 2..).unwrap_or_default().join("/"),
        is_watch,
    })
}

/// Text with its `%XX` read; what is not UTF-8 then stays as it is.
fn decoded(text: impl AsRef<str>) -> String {
    let text = text.as_ref();
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%');
        let value = hex
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match value {
            Some(value) => {
                bytes.push(value);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        let steps: Vec<String> =
            text.split('/').filter(|step| !step.is_empty()).map(decoded).collect();
        object_path(&steps).map_or_else(
            || "other".to_owned(),
            |p| {
                format!(
                    "{}|{}|{}|{}|{}|{}",
                    p.group, p.version, p.namespace, p.plural, p.name, p.subresource
                )
            },
        )
    }

    #[test]
    fn paths_are_read() {
        let cases = [
            ("/api/v1/pods", "|v1||pods||"),
            ("/api/v1/namespaces", "|v1||namespaces||"),
            ("/api/v1/namespaces/a", "|v1||namespaces|a|"),
            ("/api/v1/namespaces/a/status", "|v1||namespaces|a|status"),
            ("/api/v1/namespaces/a/pods/b/log", "|v1|a|pods|b|log"),
            ("/apis/apps/v1/namespaces/a/deployments/b/scale", "apps|v1|a|deployments|b|scale"),
            ("/apis/rbac/v1/clusterroles/system:x", "rbac|v1||clusterroles|system:x|"),
            ("/api/v1/namespaces/a/pods/..%2Fx", "|v1|a|pods|../x|"),
            ("/api", "other"),
            ("/apis/apps/v1", "other"),
            ("/healthz", "other"),
        ];
        for (text, expected) in cases {
            assert_eq!(path(text), expected, "{text}");
        }
    }

    #[test]
    fn a_query_is_decoded() {
        let query = Query::parse("labelSelector=a%3Db%2Cc+in+%28d%29&watch=1&x");
        assert_eq!(query.get("labelSelector"), "a=b,c in (d)");
        assert!(query.is_true("watch"));
        assert_eq!((query.get("x"), query.get("y")), ("", ""));
        assert_eq!(Query::parse("a=%zz%").get("a"), "%zz%");
    }
}
