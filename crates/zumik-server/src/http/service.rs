//! The way of one request, from the first byte to the answer, in the order of the contract's checks.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use axum::body::{Body, HttpBody};
use bytes::Bytes;
use futures_util::FutureExt;
use http::request::Parts;
use http::{Request, Response};
use zumik_types::{Scope, TraceId};

use super::call::Call;
use super::input::{Form, is_multipart};
use super::reply::{stamp_replay, stamp_trace};
use super::routes::{PathIds, Run};
use super::{ApiError, Reply, auth, body, idempotency};
use crate::app::App;
use crate::chain::chain;
use crate::store::ProjectCtx;

/// The whole API as a service: `tower::Service<Request<B>>`, to be served, mounted into an axum router with
/// `fallback_service`, or called without a socket. Clones are cheap and share one server.
#[derive(Clone)]
pub struct Api(Arc<App>);

impl Api {
    pub(crate) fn new(app: Arc<App>) -> Self {
        Self(app)
    }
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Api").finish_non_exhaustive()
    }
}

impl<B> tower_service::Service<Request<B>> for Api
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let app = Arc::clone(&self.0);
        Box::pin(async move { Ok(answer(app, request).await) })
    }
}

/// What is known of a request before it is answered, and what the log will tell of it.
struct Visit {
    trace: TraceId,
    /// Name of the route, once it is found.
    route: &'static str,
    replay: bool,
}

/// Answers a request, whatever happens: a panic is a 500 like any other fault.
async fn answer<B>(app: Arc<App>, request: Request<B>) -> Response<Body>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let started = Instant::now();
    let _running = app.running.token();
    let mut visit = Visit { trace: app.mint_trace(), route: "none", replay: false };
    let (head, body) = request.into_parts();
    let method = head.method.clone();
    let keyed = idempotency::carries_key(&head);

    let outcome = AssertUnwindSafe(run(&app, head, body, &mut visit)).catch_unwind().await;
    let mut response = match outcome.unwrap_or_else(|panic| Err(panicked(&*panic))) {
        Ok(reply) => {
            visit.replay = reply.is_replay();
            reply.into_response()
        }
        Err(error) => {
            if let Some(cause) = error.cause() {
                let (route, provider) = (visit.route, error.of_provider());
                tracing::error!(trace = %visit.trace, route, provider, cause = chain(cause), "request failed");
            }
            let mut response = error.into_response();
            stamp_trace(response.headers_mut(), &visit.trace);
            response
        }
    };
    if keyed {
        stamp_replay(response.headers_mut(), visit.replay);
    }

    let elapsed = started.elapsed();
    let status = response.status().as_u16();
    app.metrics.request(visit.route, status, elapsed);
    tracing::debug!(
        trace = %visit.trace,
        %method,
        route = visit.route,
        status,
        replay = visit.replay,
        elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
        "request"
    );
    response
}

/// The checks of `common.md`, "Order of the checks": size, route, key, scope, rate, idempotency; then the handler, which
/// checks body, path ids, references and state.
async fn run<B>(app: &Arc<App>, head: Parts, body: B, visit: &mut Visit) -> Result<Reply, ApiError>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    let body = body::read(&app.bodies, &head.headers, body).await?;
    let (route, ids) = app.routes.find(&head)?;
    visit.route = route.name;
    match route.run {
        Run::Open(handler) => handler(app, &visit.trace).await,
        Run::Keyed(..) if app.is_draining() => Err(ApiError::draining()),
        Run::Keyed(scope, handler) => {
            let mut call = admit(app, head, ids, body, scope, &visit.trace).await?;
            let outcome = handler(&mut call).await;
            match outcome {
                // Where it was refused before a write looked at the key: the key comes first all the same.
                Err(error) => call.replay().await?.ok_or(error),
                reply => reply,
            }
        }
    }
}

/// Checks key, scope, rate and the form of the idempotency key.
async fn admit(
    app: &Arc<App>,
    head: Parts,
    ids: PathIds,
    body: Bytes,
    scope: Scope,
    trace: &TraceId,
) -> Result<Call, ApiError> {
    let caller = auth::caller(&*app.store, &head.headers).await?;
    if !caller.scopes.allow(scope) {
        return Err(ApiError::insufficient_scope(auth::name(scope)));
    }
    app.limits.request(&caller.key)?;
    // A form is recognized by its parts. One that cannot be read counts as any other body: its handler will refuse it.
    let form = if idempotency::carries_key(&head) && is_multipart(&head.headers) {
        Form::read(&head.headers, body.clone()).await.ok()
    } else {
        None
    };
    let key = idempotency::identify(&head, &body, form.as_ref())?;
    let ctx = ProjectCtx {
        project: caller.project,
        key: caller.key,
        scopes: caller.scopes,
        trace: trace.clone(),
        now: app.clock.now(),
    };
    Ok(Call { app: Arc::clone(app), ctx, key, form, head, ids, body })
}

/// A fault that says where to look. What the panic said may hold contents and goes nowhere.
fn panicked(_: &(dyn std::any::Any + Send)) -> ApiError {
    ApiError::internal("a handler panicked")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use async_trait::async_trait;
    use axum::body::to_bytes;
    use http::header::{AUTHORIZATION, CONTENT_TYPE};
    use indexmap::IndexMap;
    use tokio::sync::Semaphore;
    use tower_service::Service;

    use super::*;
    use crate::app::Inference;
    use crate::clock::SystemClock;
    use crate::config::LimitSettings;
    use crate::domain::{Scopes, key_hash};
    use crate::engine::{Failure, Generated, Local, Models, Prompted, Upstreams};
    use crate::mint::RandomMint;
    use crate::store::memory::MemoryStore;
    use crate::store::{NewKey, Store};

    const KEY: &str = "zk_test_0123456789abcdef";

    async fn api(local: Arc<dyn Local>) -> Api {
        let (clock, mint) = (Arc::new(SystemClock), Arc::new(RandomMint::default()));
        let store = Arc::new(MemoryStore::new(clock.clone(), mint.clone()));
        let project = store.ensure_project("test", chrono::Utc::now()).await.unwrap();
        let key = NewKey {
            name: "test".to_owned(),
            scopes: Scopes::INFERENCE_ONLY,
            hash: key_hash(KEY.as_bytes()),
            masked: String::new(),
        };
        store.create_key(&project.id, key, chrono::Utc::now()).await.unwrap();
        let inference = Inference {
            local,
            upstreams: Upstreams::new(&IndexMap::new(), &|_| None).unwrap(),
            models: Models::new(BTreeMap::new()),
        };
        Api::new(Arc::new(App::new(store, inference, clock, mint, &LimitSettings::default()).unwrap()))
    }

    fn generation() -> Request<Body> {
        Request::post("/v2/responses")
            .header(AUTHORIZATION, format!("Bearer {KEY}"))
            .header(CONTENT_TYPE, "application/json")
            .header(idempotency::KEY, "k")
            .body(Body::from(r#"{"model":"auto","input":"canary"}"#))
            .unwrap()
    }

    struct Panics;

    #[async_trait]
    impl Local for Panics {
        async fn generate(&self, request: &Prompted<'_>) -> Result<Generated, Failure> {
            panic!("{}", request.messages[0].text);
        }
    }

    #[tokio::test]
    async fn a_panic_is_a_fault_like_any_other_and_tells_nothing() {
        let mut api = api(Arc::new(Panics)).await;
        let response = api.call(generation()).await.unwrap();
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key("agent-trace-id"));
        assert_eq!(response.headers()["agent-idempotent-replay"], "false");
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let body = String::from_utf8_lossy(&body);
        assert!(body.contains("internal_error") && !body.contains("canary"), "{body}");
    }

    #[tokio::test]
    async fn a_form_that_its_key_was_made_of_is_not_read_again() {
        let Api(app) = api(Arc::new(Panics)).await;
        let request = Request::post("/v1/files")
            .header(AUTHORIZATION, format!("Bearer {KEY}"))
            .header(CONTENT_TYPE, "multipart/form-data; boundary=b")
            .header(idempotency::KEY, "k");
        let (head, ()) = request.body(()).unwrap().into_parts();
        let (_, ids) = app.routes.find(&head).unwrap();
        let part = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n";
        let trace = TraceId::with_suffix("1");
        let call = admit(&app, head, ids, Bytes::from_static(part.as_bytes()), Scope::Inference, &trace);
        let mut call = call.await.unwrap();
        // Whoever reads it again finds another one.
        call.body = Bytes::from(part.replace("purpose", "other"));
        let form = call.form().await.unwrap();
        assert!(form.part("purpose").is_some(), "it was read again");
    }

    /// Tells when a call begins and when it is dropped.
    struct Endless {
        began: Arc<Semaphore>,
        dropped: Arc<Semaphore>,
    }

    struct OnDrop(Arc<Semaphore>);

    impl Drop for OnDrop {
        fn drop(&mut self) {
            self.0.add_permits(1);
        }
    }

    #[async_trait]
    impl Local for Endless {
        async fn generate(&self, _: &Prompted<'_>) -> Result<Generated, Failure> {
            let _call = OnDrop(Arc::clone(&self.dropped));
            self.began.add_permits(1);
            std::future::pending().await
        }
    }

    #[tokio::test]
    async fn a_client_that_goes_away_cancels_the_call_of_the_engine() {
        let (began, dropped) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let engine = Endless { began: Arc::clone(&began), dropped: Arc::clone(&dropped) };
        let mut api = api(Arc::new(engine)).await;
        let request = tokio::spawn(api.call(generation()));
        let within = Duration::from_secs(10);
        tokio::time::timeout(within, began.acquire()).await.unwrap().unwrap().forget();
        request.abort();
        tokio::time::timeout(within, dropped.acquire()).await.unwrap().unwrap().forget();
    }
}
