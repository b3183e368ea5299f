//! Where the server is, and the addresses of calls.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;

use reqwest::Url;

use crate::error::{Error, Result};

/// The address of the hosted service.
pub(crate) const HOSTED: &str = "https://api.zumik.ai";

/// A checked base URL: `http` or `https`, a host, perhaps a path prefix; nothing else.
///
/// Parsing a URL costs as much as everything else that is done to make a request, so it is done once: a call adds
/// its path to the parsed one.
#[derive(Clone)]
pub(crate) struct BaseUrl {
    url: Url,
    /// The whole, without a slash at its end.
    text: String,
    origin: Arc<str>,
    loopback: bool,
}

/// Scheme, host and port of a base URL that is refused. What else stands in its place may be a password or a key.
fn shown(text: &str) -> String {
    let (scheme, rest) = text.split_once("://").map_or(("", text), |(scheme, rest)| (scheme, rest));
    let (authority, path) = rest.split_once('/').map_or((rest, ""), |(authority, _)| (authority, "/…"));
    let (host, port) = authority.rsplit_once(':').unwrap_or((authority, ""));
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.[:]".contains(&byte));
    let is_port = port.len() <= 5 && port.bytes().all(|byte| byte.is_ascii_digit());
    if scheme.is_empty() && port.is_empty() || !(is_scheme && is_host && is_port) {
        return String::new();
    }
    let separator = if scheme.is_empty() { "" } else { "://" };
    format!(" '{scheme}{separator}{authority}{path}'")
}

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        let shown = shown(text);
        let refuse = |why: &str| Error::config(format!("the base URL{shown} cannot be used: {why}"));
        if !["http://", "https://"].iter().any(|scheme| starts_with(text, scheme)) {
            return Err(refuse("it must begin with http:// or https://"));
        }
        let url = Url::parse(text.trim_end_matches('/')).map_err(|error| refuse(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("it has a query or a fragment"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("it has a user name or password; the API key is set on its own"));
        }
        let text = url.as_str().trim_end_matches('/').to_owned();
        if ["/v1", "/v2"].iter().any(|version| text.ends_with(version)) {
            return Err(refuse("it must not end in /v1 or /v2; the client adds the version itself"));
        }
        let origin = url.origin().ascii_serialization().into();
        let loopback = is_loopback(unbracketed(&url));
        Ok(Self { url, text, origin, loopback })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> Arc<str> {
        Arc::clone(&self.origin)
    }

    /// The host without port and brackets.
    pub(crate) fn host(&self) -> &str {
        unbracketed(&self.url)
    }

    pub(crate) fn is_https(&self) -> bool {
        self.url.scheme() == "https"
    }

    /// Whether the server runs on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.loopback
    }

    /// The address of a call: `path` below the base URL, both it and `query` percent-encoded already.
    pub(crate) fn join(&self, path: &str, query: Option<&str>) -> Url {
        let mut url = self.url.clone();
        match self.url.path().trim_end_matches('/') {
            "" => url.set_path(path),
            prefix => url.set_path(&format!("{prefix}{path}")),
        }
        if query.is_some() {
            url.set_query(query);
        }
        url
    }
}

fn starts_with(text: &str, scheme: &str) -> bool {
    text.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme))
}

fn unbracketed(url: &Url) -> &str {
    url.host_str().unwrap_or_default().trim_matches(['[', ']'])
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

impl fmt::Debug for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        BaseUrl::parse(text).unwrap_err().message().to_owned()
    }

    #[test]
    fn a_url_that_is_refused_is_shown_unless_it_may_hold_a_secret() {
        assert!(
            refused("127.0.0.1:8787")
                .starts_with("the base URL '127.0.0.1:8787' cannot be used: it must begin")
        );
        assert!(
            refused("https://gw.example/canary/v1").starts_with("the base URL 'https://gw.example/…' cannot")
        );
        for secret in [
            "zk_live_canary",
            "canary:canary",
            "can/ary+canary=",
            "Authorization: Bearer canary",
            "https://api.zumik.ai canary",
            "http://u:canary@h",
            "http://h?key=canary",
            "http://h#canary",
        ] {
            assert!(refused(secret).starts_with("the base URL cannot be used: "), "{secret}");
        }
    }

    #[test]
    fn a_url_with_port_and_prefix_is_kept_without_the_last_slash() {
        let url = BaseUrl::parse(" http://[::1]:8787/zumik/ ").unwrap();
        assert_eq!(url.as_str(), "http://[::1]:8787/zumik");
        assert_eq!(&*url.origin(), "http://[::1]:8787");
        assert_eq!(url.host(), "::1");
        assert!(url.is_loopback() && !url.is_https());
    }

    #[test]
    fn a_call_stands_below_the_prefix_with_its_path_and_query_as_they_are() {
        let join = |base, path, query| BaseUrl::parse(base).unwrap().join(path, query).to_string();
        assert_eq!(join("http://h", "/v2/sessions", None), "http://h/v2/sessions");
        assert_eq!(
            join("http://h:1/zumik/", "/v2/a%2Fb//c", Some("d=%26")),
            "http://h:1/zumik/v2/a%2Fb//c?d=%26"
        );
        assert_eq!(join("http://h", "/v2/%25%2e", Some("")), "http://h/v2/%25%2e?");
    }

    #[test]
    fn only_hosts_of_this_machine_are_loopback() {
        for host in ["localhost", "127.0.0.1", "127.9.9.9", "[::1]", "LOCALHOST:1"] {
            assert!(BaseUrl::parse(&format!("http://{host}")).unwrap().is_loopback(), "{host}");
        }
        for host in ["api.zumik.ai", "localhost.example.com", "10.0.0.1"] {
            assert!(!BaseUrl::parse(&format!("http://{host}")).unwrap().is_loopback(), "{host}");
        }
    }

    #[test]
    fn what_cannot_be_a_base_url_is_refused_with_the_reason() {
        assert!(refused("").contains("must begin with"));
        assert!(refused("api.zumik.ai").contains("must begin with"));
        assert!(refused("http:8787").contains("must begin with"));
        assert!(refused("ftp://api.zumik.ai").contains("must begin with"));
        assert!(refused("https://").contains("empty host"));
        assert!(refused("http://localhost:99999").contains("invalid port number"));
        assert!(refused("https://me:secret@api.zumik.ai").contains("user name"));
        assert!(refused("https://api.zumik.ai?a=b").contains("query"));
        assert!(refused("https://api.zumik.ai/v1").contains("/v1"));
        assert!(refused("https://api.zumik.ai/v2/").contains("/v2"));
    }
}
