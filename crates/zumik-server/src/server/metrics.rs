//! The listener for Prometheus: `GET /metrics` and nothing else.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use tower_service::Service;

use crate::app::App;

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Answers with the metrics of a server.
#[derive(Clone)]
pub(super) struct MetricsPage(pub(super) Arc<App>);

impl<B> Service<Request<B>> for MetricsPage {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let response = self.answer(request.method(), request.uri().path());
        Box::pin(std::future::ready(Ok(response)))
    }
}

impl MetricsPage {
    fn answer(&self, method: &Method, path: &str) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        if path != "/metrics" {
            *response.status_mut() = StatusCode::NOT_FOUND;
        } else if method != Method::GET && method != Method::HEAD {
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        } else {
            match self.0.metrics.text() {
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
