//! The listener for Prometheus: `GET /metrics` and nothing else, to whoever has the token when there is one.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request, Response, StatusCode};
use sha2::{Digest, Sha256};
use tower_service::Service;

use crate::app::App;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers with the metrics of a server.
#[derive(Clone)]
pub(super) struct MetricsPage {
    pub(super) app: Arc<App>,
    pub(super) guard: Guard,
}

/// Who may read the metrics: everyone who reaches them, or whoever has the token (contract: `common.md`, "Service health").
#[derive(Clone, Default)]
pub(super) struct Guard(Option<[u8; 32]>);

impl Guard {
    pub(super) fn token(token: &str) -> Self {
        Self(Some(Sha256::digest(token).into()))
    }

    /// Digests are compared, so that the time it takes tells nothing about the token.
    fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(expected) = &self.0 else { return true };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_first_chunk::<7>());
        given.is_some_and(|(scheme, token)| {
            scheme.eq_ignore_ascii_case(b"bearer ") && Sha256::digest(token)[..] == expected[..]
        })
    }
}

impl<B> Service<Request<B>> for MetricsPage {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.answer(&request);
        Box::pin(std::future::ready(Ok(response)))
    }
}

impl MetricsPage {
    fn answer<B>(&self, request: &Request<B>) -> Response<Body> {
        let method = request.method();
        let mut response = Response::new(Body::empty());
        if !self.guard.admits(request.headers()) {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            *response.status_mut() = StatusCode::UNAUTHORIZED;
        } else if request.uri().path() != "/metrics" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        } else if method != Method::GET && method != Method::HEAD {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        } else {
            match self.app.metrics.text() {
                Ok(text) => {
                    response.headers_mut().insert(CONTENT_TYPE, OPEN_METRICS);
                    *response.body_mut() = Body::from(text);
                }
                Err(error) => {
                    tracing::error!(%error, "metrics could not be written");
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                }
            }
        }
        response
    }
}
