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
use hyper_util::rt::TokioTimer;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tower_service::Service;

use super::socket::Socket;

/// How long a client may take to send the head of a request.
const HEAD_TIME: Duration = Duration::from_secs(30);

/// How long to wait before the next connection is taken when the system has no room for one.
const BREATH: Duration = Duration::from_millis(50);

/// A bound socket.
pub(super) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    /// Connections at one time.
    most: usize,
}

impl Listener {
    /// Binds an address; port 0 takes a free one. It will have so many connections at one time.
    pub(super) async fn bind(address: SocketAddr, most: usize) -> io::Result<Self> {
        let socket = TcpListener::bind(address).await?;
        let address = socket.local_addr()?;
        Ok(Self { socket, address, most })
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
        let mut told = false;
        loop {
            // Those that find no room wait in the queue of the system.
            let room = connections.len() < self.most;
            if !room && !told {
                told = true;
                tracing::warn!(most = self.most, "no more connections are taken until one of them ends");
            }
            told &= connections.len() > self.most / 2;
            tokio::select! {
                () = closing.cancelled() => break,
                accepted = self.socket.accept(), if room => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(serve(Socket::new(stream), service.clone(), closing.clone()));
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

async fn serve<S>(socket: Socket, service: S, closing: CancellationToken)
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
{
    // hyper waits for the rest of a first head, however long that takes, before it closes.
    let began = &AtomicBool::new(false);
    let service = hyper::service::service_fn(move |request| {
        began.store(true, Ordering::Relaxed);
        service.clone().call(request)
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .serve_connection(socket, service);
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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use bytes::Bytes;
    use futures_util::stream::{self, StreamExt as _};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;
    use tokio::time::{Instant, timeout};
    use tokio_util::sync::DropGuard;

    use super::*;
    use crate::server::socket::STALL_TIME;

    const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";

    /// A listener whose every answer is this stream.
    async fn serving<B>(most: usize, body: impl Fn() -> B + Clone + Send + Sync + 'static) -> SocketAddr
    where
        B: stream::Stream<Item = Bytes> + Send + 'static,
    {
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), most).await.unwrap();
        let address = listener.address();
        let answer = move || std::future::ready(Body::from_stream(body().map(Ok::<_, Infallible>)));
        tokio::spawn(listener.serve(axum::Router::new().fallback(answer), CancellationToken::new()));
        address
    }

    /// Reads until these bytes have come.
    async fn read_until(stream: &mut TcpStream, end: &[u8]) {
        let mut seen = Vec::new();
        while !seen.ends_with(end) {
            assert_ne!(stream.read_buf(&mut seen).await.unwrap(), 0, "the server closed");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_nothing_for_a_minute_is_let_go() {
        let gone = CancellationToken::new();
        let guard = gone.clone();
        let address = serving(1, move || {
            let held: DropGuard = guard.clone().drop_guard();
            stream::repeat(Bytes::from_static(&[b'x'; 65_536])).take(1_024).map(move |bytes| {
                let _ = &held;
                bytes
            })
        })
        .await;
        let mut client = TcpStream::connect(address).await.unwrap();
        client.write_all(GET).await.unwrap();
        let began = Instant::now();
        timeout(10 * STALL_TIME, gone.cancelled()).await.expect("the answer is dropped");
        assert!(began.elapsed() >= STALL_TIME);
    }

    #[tokio::test]
    async fn a_connection_too_many_is_taken_when_another_ends() {
        let address = serving(1, || stream::once(async { Bytes::from_static(b"first") })).await;
        let mut first = TcpStream::connect(address).await.unwrap();
        first.write_all(GET).await.unwrap();
        read_until(&mut first, b"\r\n0\r\n\r\n").await;
        let mut second = TcpStream::connect(address).await.unwrap();
        second.write_all(GET).await.unwrap();
        let early = timeout(Duration::from_millis(100), second.read_u8()).await;
        assert!(early.is_err(), "{early:?}");
        drop(first);
        read_until(&mut second, b"\r\n0\r\n\r\n").await;
    }

    #[tokio::test]
    async fn what_follows_a_request_does_not_hold_up_the_parts_of_its_answer() {
        let address =
            serving(2, || stream::once(async { Bytes::from_static(b"first") }).chain(stream::pending()))
                .await;
        for more in [&b"\r\n"[..], GET] {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(&[GET, more].concat()).await.unwrap();
            timeout(Duration::from_secs(10), read_until(&mut client, b"first\r\n"))
                .await
                .expect("the first part");
        }
    }
}
