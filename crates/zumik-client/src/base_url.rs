//! Where the server is.

use std::fmt;
use std::net::IpAddr;

use http::Uri;

use crate::error::{Error, Result};

/// The address of the hosted service.
pub(crate) const HOSTED: &str = "https://api.zumik.ai";

/// A checked base URL: `http` or `https`, a host, perhaps a path prefix; nothing else.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct BaseUrl {
    /// Without a slash at the end.
    text: String,
    host: String,
    https: bool,
}

impl BaseUrl {
    pub(crate) fn parse(text: &str) -> Result<Self> {
        let text = text.trim().trim_end_matches('/');
        let refuse = |why: &str| Error::config(format!("the base URL cannot be used: {why}"));
        if text.contains(['?', '#']) {
            return Err(refuse("it has a query or a fragment"));
        }
        let uri: Uri = text.parse().map_err(|_| refuse("it is not a URL"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it must begin with http:// or https://")),
        };
        let authority = uri.authority().ok_or_else(|| refuse("it has no host"))?;
        if authority.as_str().contains('@') {
            return Err(refuse("it has a user name or password; the API key is set on its own"));
        }
        if authority.host().is_empty() {
            return Err(refuse("it has no host"));
        }
        if ["/v1", "/v2"].iter().any(|version| text.ends_with(version)) {
            return Err(refuse("it must not end in /v1 or /v2; the client adds the version itself"));
        }
        let host = authority.host().trim_matches(['[', ']']).to_ascii_lowercase();
        Ok(Self { text: text.to_owned(), host, https })
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    /// Scheme, host and port.
    pub(crate) fn origin(&self) -> String {
        let start = if self.https { 8 } else { 7 };
        let end = self.text[start..].find('/').map_or(self.text.len(), |length| start + length);
        self.text[..end].to_owned()
    }

    /// The host without port and brackets.
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the server runs on this machine.
    pub(crate) fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
    }
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
    fn a_url_with_port_and_prefix_is_kept_without_the_last_slash() {
        let url = BaseUrl::parse(" http://[::1]:8787/zumik/ ").unwrap();
        assert_eq!(url.as_str(), "http://[::1]:8787/zumik");
        assert_eq!(url.origin(), "http://[::1]:8787");
        assert_eq!(url.host(), "::1");
        assert!(url.is_loopback() && !url.is_https());
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
        assert!(refused("").contains("not a URL"));
        assert!(refused("api.zumik.ai").contains("must begin with"));
        assert!(refused("ftp://api.zumik.ai").contains("must begin with"));
        assert!(refused("https://").contains("must begin with"));
        assert!(refused("https://me:secret@api.zumik.ai").contains("user name"));
        assert!(refused("https://api.zumik.ai?a=b").contains("query"));
        assert!(refused("https://api.zumik.ai/v1").contains("/v1"));
        assert!(refused("https://api.zumik.ai/v2/").contains("/v2"));
    }
}
