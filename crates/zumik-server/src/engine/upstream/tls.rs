//! TLS towards providers: rustls with the ring provider and the system's certificates, as in the client.

use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::Verifier;

/// The configuration. Without an `https` upstream the system's certificates are not looked at: a machine without any can
/// still talk to a model of its own.
///
/// # Errors
/// The system's certificates cannot be read.
pub(super) fn config(https: bool) -> Result<ClientConfig, rustls::Error> {
    let provider =
        CryptoProvider::get_default().cloned().unwrap_or_else(|| Arc::new(ring::default_provider()));
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions()?;
    let config = if https {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Verifier::new(provider)?))
    } else {
        builder.with_root_certificates(RootCertStore::empty())
    };
    Ok(config.with_no_client_auth())
}
