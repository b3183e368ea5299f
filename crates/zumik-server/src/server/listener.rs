//! Sockets: taking connections, serving HTTP/1.1 on each, and letting go of them in the end.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long to wait before the next connection is taken when the system has no room for one.
const BREATH: Duration = Duration::from_millis(50);

/// A bound socket.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address; port 0 takes a free one.
    pub(super) async fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves connections until `closing` is cancelled. Then it takes no new ones, lets each finish the request it is in
    /// and send the answer, and ends with the last. When this future is dropped, all of them end at once.
    pub(super) async fn serve<S>(self, service: S, closing: CancellationToken)
    where
        S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
        S::Future: Send,
    {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                () = closing.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(stream, service.clone(), closing.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(BREATH).await;
                    }
                },
                // Ended ones are let go of as they end.
                Some(_) = connections.join_next() => {}
            }
        }
        drop(self.socket);
        while connections.join_next().await.is_some() {}
    }
}

async fn serve<S>(stream: TcpStream, service: S, closing: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // Answers are small and written whole: waiting for more to send only costs time.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection keeps its delay");
    }
    // hyper waits for the rest of a first head, however long that takes, before it closes.
    let began = &AtomicBool::new(false);
    let service = hyper::service::service_fn(move |request| {
        began.store(true, Ordering::Relaxed);
        service.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .pipeline_flush(true)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = closing.cancelled() => {
            if !began.load(Ordering::Relaxed) {
                return;
            }
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}
