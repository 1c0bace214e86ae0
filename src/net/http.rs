//! One HTTP client with the rules that keep credentials where they belong.
//!
//! Credentials go to the origin they were given for and to no other, and over plain HTTP only to
//! this machine. A redirect to another origin is followed without them; one from https to http is
//! refused. The roots of trust are `SSL_CERT_FILE`, else the system's bundle, else Mozilla's.

use std::fmt;
use std::io::Read;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use base64::Engine as _;
use ureq::http::{Response, Uri, header};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig};
use ureq::{Agent, Body};

const REDIRECTS_MAX: usize = 5;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const ANSWER_TIMEOUT: Duration = Duration::from_mins(1);
const BODY_TIMEOUT: Duration = Duration::from_mins(10);

/// Why a request failed. No variant holds a credential, or a URL that has one in it.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not a URL of ours.
    #[error("`{0}` is not an http or https URL")]
    Url(String),
    /// `https://user:password@…`: would end up in logs and in git.
    #[error("the URL of {host} has credentials in it; give them by an environment variable")]
    UserInfo {
        /// The host, without what stood before it.
        host: String,
    },
    /// A credential must not cross the network in the clear.
    #[error("credentials are not sent to {url} in the clear; use https")]
    Insecure {
        /// Where they would have gone.
        url: String,
    },
    /// No connection, or it broke.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What failed.
        #[source]
        source: Box<ureq::Error>,
    },
    /// Any status but 2xx.
    #[error("{url} answered {status}")]
    Status {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// A redirect that is not followed.
    #[error("{url} redirects to {target}, which is not followed: {reason}")]
    Redirect {
        /// What was asked for.
        url: String,
        /// Where it sends us.
        target: String,
        /// Why not.
        reason: &'static str,
    },
    /// More than the bound.
    #[error("{url} is larger than {limit} bytes")]
    TooLarge {
        /// What was asked for.
        url: String,
        /// The bound.
        limit: usize,
    },
    /// The connection broke while the body came.
    #[error("{url} broke off")]
    BrokenOff {
        /// What was asked for.
        url: String,
        /// What failed.
        #[source]
        source: std::io::Error,
    },
}

/// A token or `user:password`; never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential {
    header: String,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential")
    }
}

impl Credential {
    /// `user:password` as basic authentication, anything else as a bearer token.
    pub fn new(text: &str) -> Self {
        let text = text.trim();
        if text.contains(':') {
            Self::basic(text)
        } else {
            Self { header: format!("Bearer {text}") }
        }
    }

    /// As git hosts want it: a token is the password of basic authentication.
    pub fn for_git(text: &str) -> Self {
        let text = text.trim();
        if text.contains(':') {
            Self::basic(text)
        } else {
            Self::basic(&format!("x-access-token:{text}"))
        }
    }

    fn basic(text: &str) -> Self {
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        Self { header: format!("Basic {encoded}") }
    }
}

/// An http(s) URL that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    text: String,
    is_https: bool,
    host: String,
    port: u16,
    path: String,
}

impl Url {
    /// Reads a URL; user information in it is refused.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let uri: Uri = text.parse().map_err(|_| HttpError::Url(redact(text)))?;
        let is_https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(HttpError::Url(redact(text))),
        };
        let authority = uri.authority().ok_or_else(|| HttpError::Url(redact(text)))?;
        let host = authority.host().to_ascii_lowercase();
        if authority.as_str().contains('@') {
            return Err(HttpError::UserInfo { host });
        }
        if host.is_empty() {
            return Err(HttpError::Url(redact(text)));
        }
        let port = authority.port_u16().unwrap_or(if is_https { 443 } else { 80 });
        Ok(Self { text: text.to_owned(), is_https, host, port, path: uri.path().to_owned() })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether credentials for `self` may go to `other` as well.
    pub fn is_same_origin(&self, other: &Self) -> bool {
        (self.is_https, &self.host, self.port) == (other.is_https, &other.host, other.port)
    }

    /// Resolves a reference as it stands in a repository's index or a `Location` header.
    pub fn join(&self, reference: &str) -> Result<Self, HttpError> {
        if reference.contains("://") {
            return Self::parse(reference);
        }
        let scheme = if self.is_https { "https" } else { "http" };
        if let Some(rest) = reference.strip_prefix("//") {
            return Self::parse(&format!("{scheme}://{rest}"));
        }
        let authority = self.text.split("://").nth(1).unwrap_or_default();
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        if reference.starts_with('/') {
            return Self::parse(&format!("{scheme}://{authority}{reference}"));
        }
        let folder = self.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = without_dots(&format!("{folder}/{reference}"));
        Self::parse(&format!("{scheme}://{authority}{path}"))
    }

    fn is_loopback(&self) -> bool {
        let host = self.host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Whether nobody on the way can read or change what is said.
    pub fn may_carry_credentials(&self) -> bool {
        self.is_https || self.is_loopback()
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A URL without what may be a secret in it, for messages.
pub fn redact(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    match authority.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://…@{host}{path}"),
        None => url.to_owned(),
    }
}

fn without_dots(path: &str) -> String {
    let (path, query) = match path.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (path, None),
    };
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    let mut joined = format!("/{}", parts.join("/"));
    if let Some(query) = query {
        joined.push('?');
        joined.push_str(query);
    }
    joined
}

/// A successful answer.
pub struct Answer {
    /// Where it came from in the end.
    pub url: Url,
    /// `Content-Type` without parameters.
    pub content_type: String,
    body: Body,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Answer({})", self.url)
    }
}

impl Answer {
    /// The body as a stream.
    pub fn into_reader(self) -> Box<dyn Read + Send> {
        Box::new(self.body.into_with_config().limit(u64::MAX).reader())
    }

    /// The whole body, of at most `limit` bytes.
    pub fn bytes(self, limit: usize) -> Result<Vec<u8>, HttpError> {
        let url = self.url.text.clone();
        let mut bytes = Vec::new();
        self.into_reader()
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| HttpError::BrokenOff { url: url.clone(), source })?;
        if bytes.len() > limit {
            return Err(HttpError::TooLarge { url, limit });
        }
        Ok(bytes)
    }
}

/// How something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// Something new.
    Post,
    /// Instead of what is there.
    Put,
    /// A part of what is there.
    Patch,
}

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Upload<'a> {
    /// How.
    pub method: Method,
    /// `Content-Type`.
    pub content_type: &'a str,
    /// The bytes.
    pub body: &'a [u8],
    /// Headers besides: names and values.
    pub headers: &'a [(&'a str, &'a str)],
}

/// Requests, with one pool of connections for the process.
#[derive(Clone, Debug)]
pub struct Client {
    agent: Agent,
}

impl Client {
    /// The process's client.
    pub fn shared() -> Self {
        static AGENT: OnceLock<Agent> = OnceLock::new();
        Self { agent: AGENT.get_or_init(agent).clone() }
    }

    /// GETs `url`. `credential` is for the origin of `url`.
    pub fn get(
        &self,
        url: &Url,
        accept: &str,
        credential: Option<&Credential>,
    ) -> Result<Answer, HttpError> {
        let mut at = url.clone();
        for _ in 0..=REDIRECTS_MAX {
            let credential = credential.filter(|_| at.is_same_origin(url));
            let response = self.send(&at, accept, credential, None)?;
            if !response.status().is_redirection() {
                return answer(at, response);
            }
            at = redirected(&at, &response)?;
        }
        let (url, target) = (url.text.clone(), at.text);
        Err(HttpError::Redirect { url, target, reason: "too many redirects" })
    }

    /// Sends to `url`; redirects are not followed.
    pub fn send_to(
        &self,
        url: &Url,
        accept: &str,
        credential: Option<&Credential>,
        upload: Upload<'_>,
    ) -> Result<Answer, HttpError> {
        let response = self.send(url, accept, credential, Some(upload))?;
        answer(url.clone(), response)
    }

    fn send(
        &self,
        url: &Url,
        accept: &str,
        credential: Option<&Credential>,
        upload: Option<Upload<'_>>,
    ) -> Result<Response<Body>, HttpError> {
        if credential.is_some() && !url.may_carry_credentials() {
            return Err(HttpError::Insecure { url: url.text.clone() });
        }
        let unreachable =
            |source| HttpError::Unreachable { url: url.text.clone(), source: Box::new(source) };
        let authorize = credential.map(|credential| credential.header.as_str());
        let Some(upload) = upload else {
            let mut request = self.agent.get(url.as_str()).header(header::ACCEPT, accept);
            if let Some(value) = authorize {
                request = request.header(header::AUTHORIZATION, value);
            }
            return request.call().map_err(unreachable);
        };
        let request = match upload.method {
            Method::Post => self.agent.post(url.as_str()),
            Method::Put => self.agent.put(url.as_str()),
            Method::Patch => self.agent.patch(url.as_str()),
        };
        let mut request = request
            .header(header::ACCEPT, accept)
            .header(header::CONTENT_TYPE, upload.content_type);
        for (name, value) in upload.headers {
            request = request.header(*name, *value);
        }
        if let Some(value) = authorize {
            request = request.header(header::AUTHORIZATION, value);
        }
        request.send(upload.body).map_err(unreachable)
    }
}

fn answer(url: Url, response: Response<Body>) -> Result<Answer, HttpError> {
    let status = response.status();
    if !status.is_success() {
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.trim().parse().ok());
        return Err(HttpError::Status {
            url: url.text,
            status: status.as_u16(),
            retry_after: seconds.map(Duration::from_secs),
        });
    }
    let content_type = response
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .unwrap_or_default()
        .trim()
        .to_owned();
    Ok(Answer { url, content_type, body: response.into_body() })
}

fn redirected(from: &Url, response: &Response<Body>) -> Result<Url, HttpError> {
    let location =
        response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok()).ok_or_else(
            || HttpError::Status {
                url: from.text.clone(),
                status: response.status().as_u16(),
                retry_after: None,
            },
        )?;
    let target = from.join(location)?;
    if from.is_https && !target.is_https {
        return Err(HttpError::Redirect {
            url: from.text.clone(),
            target: target.text,
            reason: "it leads from https to http",
        });
    }
    Ok(target)
}

fn agent() -> Agent {
    let tls = TlsConfig::builder().root_certs(root_certificates()).build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("fitout/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_recv_response(Some(ANSWER_TIMEOUT))
        .timeout_recv_body(Some(BODY_TIMEOUT))
        .build()
        .new_agent()
}

const BUNDLES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

fn root_certificates() -> RootCerts {
    let named = std::env::var_os("SSL_CERT_FILE").map(std::path::PathBuf::from);
    let bundle = named
        .into_iter()
        .chain(BUNDLES.iter().map(std::path::PathBuf::from))
        .find_map(|path| std::fs::read(path).ok());
    let certificates: Vec<Certificate<'static>> = bundle
        .iter()
        .flat_map(|pem| ureq::tls::parse_pem(pem))
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if certificates.is_empty() {
        RootCerts::WebPki
    } else {
        RootCerts::Specific(Arc::new(certificates))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_resolved_as_a_browser_does() {
        let base = Url::parse("https://charts.example.org/cern/index.yaml").unwrap();
        let cases = [
            ("eosxd-1.0.0.tgz", "https://charts.example.org/cern/eosxd-1.0.0.tgz"),
            ("charts/a.tgz?x=1", "https://charts.example.org/cern/charts/a.tgz?x=1"),
            ("../other/a.tgz", "https://charts.example.org/other/a.tgz"),
            ("/top/a.tgz", "https://charts.example.org/top/a.tgz"),
            ("//cdn.example.org/a.tgz", "https://cdn.example.org/a.tgz"),
            ("http://127.0.0.1:8080/a.tgz", "http://127.0.0.1:8080/a.tgz"),
        ];
        for (reference, expected) in cases {
            assert_eq!(base.join(reference).unwrap().as_str(), expected, "{reference}");
        }
    }

    #[test]
    fn a_url_with_a_password_is_refused_without_being_told() {
        let error = Url::parse("https://me:hunter2@git.example.org/a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
        let error = Url::parse("ftp://me:hunter2@git.example.org/a").unwrap_err();
        assert!(!format!("{error} {error:?}").contains("hunter2"), "{error:?}");
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let url = |text| Url::parse(text).unwrap();
        let base = url("https://a.example.org/x");
        assert!(base.is_same_origin(&url("https://A.example.org:443/y")));
        for other in ["http://a.example.org/x", "https://b.example.org", "https://a.example.org:8"]
        {
            assert!(!base.is_same_origin(&url(other)), "{other}");
        }
    }

    #[test]
    fn a_credential_does_not_show_itself() {
        let credential = Credential::new("hunter2");
        assert!(!format!("{credential:?}").contains("hunter2"));
    }

    #[test]
    fn credentials_are_kept_back_from_plain_http_beyond_this_machine() {
        let url = Url::parse("http://charts.example.org/index.yaml").unwrap();
        let secret = Credential::new("token");
        let error = Client::shared().get(&url, "*/*", Some(&secret)).unwrap_err();
        assert!(matches!(error, HttpError::Insecure { .. }), "{error}");
        assert!(Url::parse("http://[::1]:80/").unwrap().may_carry_credentials());
        assert!(Url::parse("http://127.0.0.1/").unwrap().may_carry_credentials());
        assert!(!Url::parse("http://127.0.0.1.example.org/").unwrap().may_carry_credentials());
    }
}
