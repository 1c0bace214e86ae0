//! Whether a server is reached through a proxy, and through which.

use std::net::IpAddr;

use http::Uri;
use ipnet::IpNet;

/// A proxy that cannot be used. Its URL is not told: it may have a password in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// It is no URL.
    #[error("the proxy of {0} is no URL")]
    NotAUrl(&'static str),
    /// Nobody speaks that.
    #[error("the proxy of {0} is neither `http://`, `https://` nor `socks5://`")]
    Scheme(&'static str),
}

/// What the environment says about proxies.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment {
    https: Option<String>,
    http: Option<String>,
    no: String,
}

impl Environment {
    /// Of this process: `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY`, or the same in small letters.
    pub(super) fn of_process() -> Self {
        let variable = |name: &str| {
            let names = [name.to_owned(), name.to_lowercase()];
            names.iter().find_map(|name| std::env::var(name).ok().filter(|text| !text.is_empty()))
        };
        Self {
            https: variable("HTTPS_PROXY"),
            http: variable("HTTP_PROXY"),
            no: variable("NO_PROXY").unwrap_or_default(),
        }
    }
}

/// The proxy on the way to `server`: the `proxy-url` of its kubeconfig, else what the environment
/// says. As for kubectl, `NO_PROXY` is about the environment's proxies only, and those are never
/// asked for a loopback address.
pub(super) fn proxy(
    server: &Uri,
    proxy_url: Option<&str>,
    environment: &Environment,
) -> Result<Option<Uri>, ProxyError> {
    if let Some(url) = proxy_url.filter(|url| !url.is_empty()) {
        return parsed(url, "`proxy-url` in the kubeconfig").map(Some);
    }
    let (of_environment, from) = match server.scheme_str() {
        Some("http") => (&environment.http, "`HTTP_PROXY`"),
        _ => (&environment.https, "`HTTPS_PROXY`"),
    };
    match of_environment {
        Some(url) if !is_direct(server, &environment.no) => parsed(url, from).map(Some),
        _ => Ok(None),
    }
}

fn parsed(url: &str, from: &'static str) -> Result<Uri, ProxyError> {
    let url = if url.contains("://") { url.to_owned() } else { format!("http://{url}") };
    // Names are resolved by the proxy in any case.
    let url = url.replacen("socks5h://", "socks5://", 1);
    let uri: Uri = url.parse().map_err(|_| ProxyError::NotAUrl(from))?;
    if !matches!(uri.scheme_str(), Some("http" | "https" | "socks5")) {
        return Err(ProxyError::Scheme(from));
    }
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let place = authority.rsplit('@').next().unwrap_or_default();
    let has_port = place.len() == uri.host().unwrap_or_default().len() || uri.port_u16().is_some();
    if place.is_empty() || !has_port {
        return Err(ProxyError::NotAUrl(from));
    }
    Ok(uri)
}

/// Whether a server is reached without the environment's proxy.
fn is_direct(server: &Uri, no_proxy: &str) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    let port = server.port_u16().unwrap_or(match server.scheme_str() {
        Some("http") => 80,
        _ => 443,
    });
    let address: Option<IpAddr> = host.parse().ok();
    host == "localhost"
        || address.is_some_and(|address| address.is_loopback())
        || no_proxy.split(',').any(|entry| is_named(entry.trim(), &host, address, port))
}

/// Whether one entry of `NO_PROXY` names a host: `*`, an address, a network, or a domain with all
/// that is below it (`.example.org`: only what is below), each with or without a port. What is
/// none of them names nothing.
fn is_named(entry: &str, host: &str, address: Option<IpAddr>, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    if let Ok(network) = entry.parse::<IpNet>() {
        return address.is_some_and(|address| network.contains(&address));
    }
    if let Ok(named) = entry.parse::<IpAddr>() {
        return address == Some(named);
    }
    let (name, only) = match entry.rsplit_once(':') {
        Some((name, digits)) => match digits.parse::<u16>() {
            Ok(only) => (name, Some(only)),
            Err(_) => return false,
        },
        None => (entry, None),
    };
    if only.is_some_and(|only| only != port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']).to_lowercase();
    let name = name.strip_prefix('*').unwrap_or(&name);
    match name.strip_prefix('.') {
        _ if name.is_empty() => false,
        Some(_) => host.ends_with(name),
        None => host == name || host.ends_with(&format!(".{name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(server: &str, proxy_url: Option<&str>, no: &str) -> String {
        let environment = Environment {
            https: Some("proxy.example.org:3128".to_owned()),
            http: None,
            no: no.to_owned(),
        };
        match proxy(&server.parse().unwrap(), proxy_url, &environment) {
            Ok(Some(uri)) => uri.to_string(),
            Ok(None) => "direct".to_owned(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn the_environment_names_a_proxy_for_all_but_no_proxy() {
        const SERVER: &str = "https://api.k8s.example.org:6443";
        const PROXY: &str = "http://proxy.example.org:3128/";
        for (no, wanted) in [
            ("", PROXY),
            ("*", "direct"),
            ("example.com, api.k8s.example.org", "direct"),
            ("example.org", "direct"),
            (".example.org", "direct"),
            ("*.example.org:6443,", "direct"),
            ("example.org:443", PROXY),
            ("ample.org", PROXY),
            (".api.k8s.example.org", PROXY),
            ("10.0.0.0/8", PROXY),
            (",::,a:b:c", PROXY),
        ] {
            assert_eq!(way(SERVER, None, no), wanted, "{no}");
        }
        for (server, no) in [
            ("https://10.1.2.3", "192.168.0.0/16,10.0.0.0/8"),
            ("https://10.1.2.3", "10.1.2.3"),
            ("https://10.1.2.3", "10.1.2.3:443"),
            ("https://[fd00::1]:6443", "fd00::/8"),
            ("https://[fd00::1]:6443", "[fd00::1]:6443"),
            ("https://127.0.0.1:6443", ""),
            ("https://localhost", ""),
            ("http://api.example.org", ""),
        ] {
            assert_eq!(way(server, None, no), "direct", "{server} {no}");
        }
    }

    #[test]
    fn proxy_url_goes_before_the_environment_and_is_asked_for_everything() {
        let server = "https://127.0.0.1:6443";
        assert_eq!(way(server, Some("http://p:1"), "*"), "http://p:1/");
        assert_eq!(way(server, Some("socks5h://p:1"), "*"), "socks5://p:1/");
        assert_eq!(way(server, Some(""), ""), "direct");
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_without_its_password() {
        for url in ["ftp://u:hunter2@p", "http://u:hunter2@p:port", "http://"] {
            let told = way("https://a.example.org", Some(url), "");
            assert!(told.starts_with("the proxy of `proxy-url`"), "{told}");
            assert!(!told.contains("hunter2"), "{told}");
        }
    }
}
