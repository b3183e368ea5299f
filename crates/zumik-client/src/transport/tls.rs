//! TLS by default: rustls with the ring provider and the system's certificates.

use std::env;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

use crate::base_url::BaseUrl;
use crate::error::{Error, Result};

/// The configuration for a server. A provider that the process has installed as its default is preferred to ring.
///
/// For a plain `http` base URL the certificates of the system are not looked at: a machine without any can still talk
/// to a server of its own. Redirects are off, so only a proxy can bring TLS in.
pub(crate) fn config(base_url: &BaseUrl) -> Result<ClientConfig> {
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(|error| failed(&error))?;
    let config = if base_url.is_https() || (!base_url.is_loopback() && has_https_proxy()) {
        let verifier = Verifier::new(provider).map_err(|error| failed(&error))?;
        builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// Whether the way to a plain `http` server leads through a proxy that speaks TLS.
fn has_https_proxy() -> bool {
    let proxies = ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"].into_iter().filter_map(env::var_os);
    proxies.filter_map(|proxy| proxy.into_string().ok()).any(|proxy| proxy.starts_with("https:"))
}

fn failed(error: &rustls::Error) -> Error {
    Error::config(format!("cannot set up TLS: {error}")).with_cause(error.clone())
}
