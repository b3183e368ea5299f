//! A proxy between client and server that breaks what a network breaks, by a seed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::http::bare;

/// What happens to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It goes through.
    None,
    /// The connection ends before the request reaches the server.
    LostRequest,
    /// The server answers, and the connection ends instead.
    LostAnswer,
    /// The connection ends in the middle of the answer.
    CutAnswer,
    /// The server gets it twice at once; the client gets one of the answers.
    Twice,
    /// The server gets it twice, the second time when the client has its answer already.
    Late,
    /// It waits before it reaches the server: up to so long.
    Delay(Duration),
}

/// Of a hundred requests, how many meet each fault; the others go through.
const FAULTS: [(u8, Fault); 6] = [
    (2, Fault::LostRequest),
    (4, Fault::LostAnswer),
    (2, Fault::CutAnswer),
    (4, Fault::Twice),
    (2, Fault::Late),
    (6, Fault::Delay(Duration::from_millis(30))),
];

/// A running proxy. It ends when it is dropped.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    upstream: watch::Sender<String>,
    task: JoinHandle<()>,
}

struct Shared {
    upstream: watch::Receiver<String>,
    client: reqwest::Client,
    random: Mutex<fastrand::Rng>,
}

impl FaultyProxy {
    /// Starts a proxy to the server at a base URL; faults follow from the seed and the order of the requests.
    ///
    /// # Panics
    /// When no loopback port is free.
    pub async fn start(upstream: &str, seed: u64) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a loopback port");
        let address = listener.local_addr().expect("the address of a listener");
        let (sender, receiver) = watch::channel(upstream.to_owned());
        let random = Mutex::new(fastrand::Rng::with_seed(seed));
        let shared = Arc::new(Shared { upstream: receiver, client: bare(), random });
        Self { address, upstream: sender, task: tokio::spawn(accept(listener, shared)) }
    }

    /// The base URL for clients; it stays the same when the server moves.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The server is at another base URL from now on.
    pub fn redirect(&self, upstream: &str) {
        self.upstream.send_replace(upstream.to_owned());
    }
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        connections.spawn(async move {
            let service = service_fn(|request| forward(Arc::clone(&shared), request));
            // An error of the service is a connection that ends: what was wanted.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// A connection that ends without an answer.
#[derive(Debug)]
struct Broken;

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the connection is broken on purpose")
    }
}

impl std::error::Error for Broken {}

/// A request as it is sent on.
#[derive(Clone)]
struct Forwarded {
    parts: hyper::http::request::Parts,
    body: Bytes,
}

async fn forward(shared: Arc<Shared>, request: Request<Incoming>) -> Result<Response<Cut>, Broken> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Broken)?.to_bytes();
    let request = Forwarded { parts, body };
    let (fault, chance) = shared.draw();
    match fault {
        Fault::None => shared.send(request).await.map(whole),
        Fault::LostRequest => Err(Broken),
        Fault::LostAnswer => shared.send(request).await.and(Err(Broken)),
        Fault::CutAnswer => shared.send(request).await.map(|answer| cut(answer, chance)),
        Fault::Twice => {
            let (first, second) = tokio::join!(shared.send(request.clone()), shared.send(request));
            if chance < 0.5 { first.map(whole) } else { second.map(whole) }
        }
        Fault::Late => {
            let answer = shared.send(request.clone()).await;
            tokio::spawn(async move { shared.send(request).await });
            answer.map(whole)
        }
        Fault::Delay(longest) => {
            tokio::time::sleep(longest.mul_f64(chance)).await;
            shared.send(request).await.map(whole)
        }
    }
}

impl Shared {
    /// What happens to the next request, and a number from 0 to 1 for it.
    fn draw(&self) -> (Fault, f64) {
        let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut left, chance) = (random.u8(..100), random.f64());
        for (share, fault) in FAULTS {
            match left.checked_sub(share) {
                Some(rest) => left = rest,
                None => return (fault, chance),
            }
        }
        (Fault::None, chance)
    }

    /// Sends a request on and reads the whole answer.
    async fn send(&self, request: Forwarded) -> Result<Response<Bytes>, Broken> {
        let path = request.parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let url = format!("{}{path}", *self.upstream.borrow());
        let sent =
            self.client.request(request.parts.method, url).headers(request.parts.headers).body(request.body);
        let answer = sent.send().await.map_err(|_| Broken)?;
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = answer.status();
        response.headers_mut().clone_from(answer.headers());
        *response.body_mut() = answer.bytes().await.map_err(|_| Broken)?;
        Ok(response)
    }
}

fn whole(answer: Response<Bytes>) -> Response<Cut> {
    answer.map(|body| Cut { left: Full::new(body), breaks: None })
}

/// The answer up to a part of its body; its `Content-Length` still promises the rest.
fn cut(answer: Response<Bytes>, part: f64) -> Response<Cut> {
    answer.map(|body| {
        let promised = body.len() as u64;
        let kept = (promised as f64 * part) as usize;
        Cut { left: Full::new(body.slice(..kept)), breaks: Some(promised) }
    })
}

/// A body that may break off before it has given what it promised.
struct Cut {
    left: Full<Bytes>,
    breaks: Option<u64>,
}

impl Body for Cut {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        let broken = self.breaks.map(|_| Err(Broken));
        Pin::new(&mut self.left)
            .poll_frame(context)
            .map(|frame| frame.map(|frame| frame.map_err(|never: Infallible| match never {})).or(broken))
    }

    fn size_hint(&self) -> SizeHint {
        self.breaks.map_or_else(|| self.left.size_hint(), SizeHint::with_exact)
    }
}
