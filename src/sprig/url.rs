//! `urlParse` and `urlJoin`, as Go's `net/url` reads and writes.

use std::fmt::Write as _;

use super::args::{NIL_DEREFERENCE, Outcome, fixed, map, text};
use super::reflection::kind_of;
use crate::template::binary::{from_bytes, to_bytes};
use crate::template::function::{Function, FunctionError, Param, Runtime};
use crate::template::quote::quote;
use crate::template::value::{Map, Value};

pub(super) const FUNCTIONS: &[Function] =
    &[fixed("urlParse", &[Param::Str], url_parse), fixed("urlJoin", &[Param::Map], url_join)];

/// A URL as Go's `net/url` takes it apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Url {
    /// In lower case.
    pub scheme: String,
    opaque: String,
    user: Option<User>,
    /// With its port.
    pub host: String,
    path: String,
    /// As it was written, where that is not how the path would be escaped.
    raw_path: String,
    query: String,
    fragment: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct User {
    name: String,
    password: Option<String>,
}

/// A part of a URL; each has its own reserved characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Path,
    User,
    Host,
    Fragment,
}

fn url_parse(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let raw = text(args, 0);
    let url = parse(raw).map_err(|reason| {
        FunctionError::Failed(format!("unable to parse url: parse {}: {reason}", quote(raw)))
    })?;
    let userinfo = url.user.as_ref().map(User::to_text).unwrap_or_default();
    let hostname = hostname(&url.host).to_owned();
    let parts = [
        ("scheme", url.scheme),
        ("host", url.host),
        ("hostname", hostname),
        ("path", url.path),
        ("query", url.query),
        ("opaque", url.opaque),
        ("fragment", url.fragment),
        ("userinfo", userinfo),
    ];
    Ok(Value::map(parts.map(|(key, part)| (key.into(), Value::str(part)))))
}

fn url_join(_: &mut dyn Runtime, args: &[Value]) -> Outcome {
    let parts = map(args, 0);
    let mut url = Url {
        scheme: part(&parts, "scheme")?,
        host: part(&parts, "host")?,
        path: part(&parts, "path")?,
        query: part(&parts, "query")?,
        opaque: part(&parts, "opaque")?,
        fragment: part(&parts, "fragment")?,
        raw_path: String::new(),
        user: None,
    };
    let userinfo = part(&parts, "userinfo")?;
    if !userinfo.is_empty() {
        let raw = format!("proto://{userinfo}@host");
        let parsed = parse(&raw).map_err(|reason| {
            format!("unable to parse userinfo in dict: parse {}: {reason}", quote(&raw))
        })?;
        url.user = parsed.user;
    }
    Ok(Value::str(url.to_text()))
}

fn part(parts: &Map, key: &str) -> Result<String, FunctionError> {
    match parts.get(key) {
        None => Ok(String::new()),
        Some(Value::Str(text)) => Ok((*text).to_owned()),
        Some(Value::Nil) => Err(NIL_DEREFERENCE.into()),
        Some(other) => {
            let kind = kind_of(&other);
            let complaint =
                format!("unable to parse {key} key, must be of type string, but {kind} found");
            Err(complaint.into())
        }
    }
}

fn parse(raw: &str) -> Result<Url, String> {
    let (rest, fragment) = raw.split_once('#').unwrap_or((raw, ""));
    if rest.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let mut url = Url { fragment: unescape(fragment, Part::Fragment)?, ..Url::default() };
    if rest == "*" {
        rest.clone_into(&mut url.path);
        return Ok(url);
    }
    let (scheme, rest) = split_scheme(rest)?;
    url.scheme = scheme.to_lowercase();
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    query.clone_into(&mut url.query);
    if !rest.starts_with('/') {
        if !scheme.is_empty() {
            rest.clone_into(&mut url.opaque);
            return Ok(url);
        }
        if rest.split('/').next().is_some_and(|segment| segment.contains(':')) {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_authority = !scheme.is_empty() || !rest.starts_with("///");
    let mut path = rest;
    if let Some(authority) = rest.strip_prefix("//").filter(|_| has_authority) {
        let (authority, behind) =
            authority.split_at(authority.find('/').unwrap_or(authority.len()));
        (url.user, url.host) = parse_authority(authority)?;
        path = behind;
    }
    url.path = unescape(path, Part::Path)?;
    if escape(&url.path, Part::Path) != path {
        path.clone_into(&mut url.raw_path);
    }
    Ok(url)
}

fn split_scheme(raw: &str) -> Result<(&str, &str), String> {
    for (at, byte) in raw.bytes().enumerate() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' => {}
            b'0'..=b'9' | b'+' | b'-' | b'.' if at > 0 => {}
            b':' if at == 0 => return Err("missing protocol scheme".to_owned()),
            b':' => return Ok((&raw[..at], &raw[at + 1..])),
            _ => break,
        }
    }
    Ok(("", raw))
}

fn parse_authority(authority: &str) -> Result<(Option<User>, String), String> {
    let Some((userinfo, host)) = authority.rsplit_once('@') else {
        return Ok((None, parse_host(authority)?));
    };
    let host = parse_host(host)?;
    let is_valid = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(&byte);
    if !userinfo.bytes().all(is_valid) {
        return Err("net/url: invalid userinfo".to_owned());
    }
    let (name, password) = match userinfo.split_once(':') {
        Some((name, password)) => (name, Some(unescape(password, Part::User)?)),
        None => (userinfo, None),
    };
    Ok((Some(User { name: unescape(name, Part::User)?, password }), host))
}

fn parse_host(host: &str) -> Result<String, String> {
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or("missing ']' in host")?;
        &host[end + 1..]
    } else {
        host.rfind(':').map_or("", |colon| &host[colon..])
    };
    let digits = port.strip_prefix(':');
    let is_valid = port.is_empty()
        || digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
    if !is_valid {
        return Err(format!("invalid port {} after host", quote(port)));
    }
    unescape(host, Part::Host)
}

/// The host without its port and without the brackets of an IPv6 address.
fn hostname(host: &str) -> &str {
    let without_port = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    match without_port.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(address) => address,
        None => without_port,
    }
}

fn unescape(raw: &str, part: Part) -> Result<String, String> {
    let bytes = raw.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let byte = bytes[at];
        if byte == b'%' {
            let digits = raw.get(at + 1..at + 3).filter(|digits| {
                digits.bytes().all(|digit| digit.is_ascii_hexdigit())
                    && (part != Part::Host || *digits == "25" || bytes[at + 1] >= b'8')
            });
            let Some(code) = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) else {
                let shown: String = raw[at..].chars().take(3).collect();
                return Err(format!("invalid URL escape {}", quote(&shown)));
            };
            out.push(code);
            at += 3;
            continue;
        }
        if part == Part::Host && byte.is_ascii() && must_escape(byte, part) {
            let shown = quote(&char::from(byte).to_string());
            return Err(format!("invalid character {shown} in host name"));
        }
        out.push(byte);
        at += 1;
    }
    Ok(from_bytes(&out))
}

fn escape(raw: &str, part: Part) -> String {
    let mut out = String::with_capacity(raw.len());
    for &byte in to_bytes(raw).iter() {
        if must_escape(byte, part) {
            write!(out, "%{byte:02X}").expect("a String takes everything");
        } else {
            out.push(char::from(byte));
        }
    }
    out
}

fn must_escape(byte: u8, part: Part) -> bool {
    let is_plain = byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    let also: &[u8] = match part {
        Part::Path => b"$&+,/:;=@",
        Part::User => b"$&+,;=",
        Part::Host => b"!$&'()*+,;=:[]<>\"",
        Part::Fragment => b"$&+,/:;=?@!()*",
    };
    !is_plain && !also.contains(&byte)
}

impl User {
    fn to_text(&self) -> String {
        let name = escape(&self.name, Part::User);
        match &self.password {
            Some(password) => format!("{name}:{}", escape(password, Part::User)),
            None => name,
        }
    }
}

impl Url {
    /// Reads any URL, relative ones as well.
    ///
    /// # Errors
    /// In Go's words.
    pub fn parse(raw: &str) -> Result<Self, String> {
        parse(raw)
    }

    /// Reads what a request may have: an absolute URL or an absolute path. Nothing in it is a
    /// fragment. Follows Go's `url.ParseRequestURI`.
    ///
    /// # Errors
    /// In Go's words.
    pub fn of_request(raw: &str) -> Result<Self, String> {
        let told = |reason: &str| format!("parse {}: {reason}", quote(raw));
        if raw.is_empty() {
            return Err(told("empty url"));
        }
        // A `#` is a character like others there.
        let url = parse(&raw.replace('#', "%23")).map_err(|reason| told(&reason))?;
        let is_absolute = !url.scheme.is_empty() || raw.starts_with('/') || raw == "*";
        if is_absolute { Ok(url) } else { Err(told("invalid URI for request")) }
    }

    /// The host without its port and without the brackets of an IPv6 address.
    pub fn hostname(&self) -> &str {
        hostname(&self.host)
    }

    /// The port; empty where there is none.
    pub fn port(&self) -> &str {
        match self.host.rsplit_once(':') {
            // A colon within an IPv6 address.
            Some((name, _)) if name.contains('[') && !name.ends_with(']') => "",
            Some((_, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => port,
            _ => "",
        }
    }

    /// The path as it was written where it is validly escaped, else as it is escaped.
    pub fn escaped_path(&self) -> String {
        let is_plain =
            |byte: u8| byte == b'%' || b"!'()*[]".contains(&byte) || !must_escape(byte, Part::Path);
        if !self.raw_path.is_empty() && self.raw_path.bytes().all(is_plain) {
            return self.raw_path.clone();
        }
        if self.path == "*" { "*".to_owned() } else { escape(&self.path, Part::Path) }
    }

    /// Keys and values of the query, unescaped; pairs that make no sense are left out.
    pub fn query(&self) -> Vec<(String, String)> {
        let unescaped = |text: &str| unescape(&text.replace('+', " "), Part::Fragment).ok();
        let pairs = self.query.split('&').filter(|pair| !pair.is_empty() && !pair.contains(';'));
        pairs
            .filter_map(|pair| {
                let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
                Some((unescaped(key)?, unescaped(value)?))
            })
            .collect()
    }

    fn to_text(&self) -> String {
        let mut out = String::new();
        if !self.scheme.is_empty() {
            out.push_str(&self.scheme);
            out.push(':');
        }
        if self.opaque.is_empty() {
            self.push_hierarchy(&mut out);
        } else {
            out.push_str(&self.opaque);
        }
        if !self.query.is_empty() {
            out.push('?');
            out.push_str(&self.query);
        }
        if !self.fragment.is_empty() {
            out.push('#');
            out.push_str(&escape(&self.fragment, Part::Fragment));
        }
        out
    }

    fn push_hierarchy(&self, out: &mut String) {
        let has_host = !self.host.is_empty();
        if has_host || self.user.is_some() || !self.scheme.is_empty() && !self.path.is_empty() {
            out.push_str("//");
        }
        if let Some(user) = &self.user {
            out.push_str(&user.to_text());
            out.push('@');
        }
        out.push_str(&escape(&self.host, Part::Host));
        let path = if self.path == "*" { "*".to_owned() } else { escape(&self.path, Part::Path) };
        if has_host && !path.is_empty() && !path.starts_with('/') {
            out.push('/');
        }
        let first = path.split('/').next().unwrap_or_default();
        if out.is_empty() && first.contains(':') {
            out.push_str("./");
        }
        out.push_str(&path);
    }
}
