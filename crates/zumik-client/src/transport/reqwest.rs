//! The transport that is used unless another is given: HTTP/1.1 over reqwest.

use std::error::Error as StdError;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures_util::stream;
use reqwest::redirect;

use super::{BoxFuture, HttpRequest, HttpResponse, ResponseBody, Transport, TransportError};
use crate::base_url::BaseUrl;
use crate::error::{Error, Result};

/// How long opening a connection may take, name resolution and TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// HTTP over [reqwest](https://docs.rs/reqwest), with a pool of connections that all clones of a client share.
///
/// Redirects are not followed, so that the API key never goes to another host; nothing is repeated here, so that the
/// retry rules are in one place. The proxy variables (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, `NO_PROXY`) are
/// honored, except for a base URL on the loopback interface; a proxy that speaks SOCKS needs the feature `socks`.
#[derive(Debug, Clone)]
pub struct ReqwestTransport(reqwest::Client);

impl ReqwestTransport {
    pub(crate) fn new(base_url: &BaseUrl) -> Result<Self> {
        let tls = cfg!(any(feature = "rustls", feature = "rustls-no-provider", feature = "native-tls"));
        if base_url.is_https() && !tls {
            return Err(Error::config(
                "an https base URL needs one of the features `rustls`, `rustls-no-provider`, `native-tls`",
            ));
        }
        let builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .connect_timeout(CONNECT_TIMEOUT);
        let builder = if base_url.is_loopback() { builder.no_proxy() } else { builder };
        #[cfg(feature = "rustls")]
        let builder = builder.tls_backend_preconfigured(super::tls::config(base_url)?);
        #[cfg(all(feature = "rustls-no-provider", not(any(feature = "rustls", feature = "native-tls"))))]
        if rustls::crypto::CryptoProvider::get_default().is_none() {
            return Err(Error::config(
                "no TLS provider: with the feature `rustls-no-provider`, install one as the process default first",
            ));
        }
        let client = builder.build().map_err(|error| {
            Error::config(format!("cannot set up HTTP: {}", chain(&error))).with_cause(error)
        })?;
        Ok(Self(client))
    }
}

/// A client that was set up by its owner. It should not follow redirects: only then does the API key stay with the
/// host that it is meant for.
impl From<reqwest::Client> for ReqwestTransport {
    fn from(client: reqwest::Client) -> Self {
        Self(client)
    }
}

impl Transport for ReqwestTransport {
    fn send(&self, request: HttpRequest) -> BoxFuture<'_, Result<HttpResponse, TransportError>> {
        Box::pin(async move {
            let mut outgoing = reqwest::Request::new(request.method, request.url);
            *outgoing.headers_mut() = request.headers;
            if !request.body.is_empty() {
                *outgoing.body_mut() = Some(request.body.into());
            }
            let mut answer = self.0.execute(outgoing).await.map_err(failure)?;
            let (status, headers) = (answer.status(), std::mem::take(answer.headers_mut()));
            // A new `chunk` for each poll loses nothing: what has come is in the body, not in the future.
            let pieces = stream::poll_fn(move |context| {
                let piece = pin!(answer.chunk()).poll(context);
                piece.map(|piece| piece.map_err(failure).transpose())
            });
            Ok(HttpResponse::new(status, headers, ResponseBody::stream(pieces)))
        })
    }
}

/// Tells whether the request may have left: not without a connection, and not when hyper gave it back unwritten.
fn failure(error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    if error.is_connect() || error.is_builder() || was_returned(&error) {
        TransportError::not_sent(error)
    } else {
        TransportError::interrupted(error)
    }
}

/// What may be wrong with the scheme of a base URL, by what came back of a connection.
pub(crate) fn wrong_scheme(error: &TransportError) -> Option<&'static str> {
    let mut next: Option<&(dyn StdError + 'static)> = Some(error.cause());
    while let Some(cause) = next {
        if !error.may_have_been_sent() && cause.downcast_ref().is_some_and(is_no_tls) {
            return Some("TLS was not answered there; the base URL may have to begin with http://");
        }
        if cause.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Some("no HTTP is spoken there; the base URL may have to begin with https://");
        }
        next = cause.source();
    }
    None
}

/// Whether a handshake got no answer, or one that is none of TLS.
fn is_no_tls(error: &io::Error) -> bool {
    // What an error of this type holds is no source of it.
    let inner = error.get_ref();
    if let Some(inner) = inner.and_then(|inner| inner.downcast_ref::<io::Error>()) {
        return is_no_tls(inner);
    }
    #[cfg(feature = "rustls-no-provider")]
    if let Some(inner) = inner.and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        return matches!(inner, rustls::Error::InvalidMessage(_));
    }
    error.kind() == io::ErrorKind::UnexpectedEof
}

/// hyper reports a request as canceled only when the connection ended before it took the request up.
fn was_returned(error: &reqwest::Error) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_canceled) {
            return true;
        }
        cause = error.source();
    }
    false
}

fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
