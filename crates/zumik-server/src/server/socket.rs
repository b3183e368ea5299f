//! One TCP connection as hyper reads and writes it, with an end to waiting for a peer that takes nothing.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::rt::TokioIo;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep};

/// How long a peer may take nothing of what is written. What waits behind it, such as a call to a model, has ended then.
pub(super) const STALL_TIME: Duration = Duration::from_secs(60);

/// How long a connection is silent before the system asks the peer whether it is there, and between two such questions.
const PROBE_TIME: Duration = Duration::from_secs(15);

/// Bytes that the system takes beyond those that are on their way to the peer.
#[cfg(target_os = "linux")]
const UNSENT: u32 = 128 * 1024;

/// A connection.
pub(super) struct Socket<S = TcpStream> {
    stream: TokioIo<S>,
    /// Runs while a write waits for the peer.
    stalled: Option<Pin<Box<Sleep>>>,
}

impl Socket {
    pub(super) fn new(stream: TcpStream) -> Self {
        if let Err(error) = prepare(&stream) {
            tracing::debug!(%error, "a connection keeps the settings of the system");
        }
        Self::over(stream)
    }
}

impl<S> Socket<S> {
    fn over(stream: S) -> Self {
        Self { stream: TokioIo::new(stream), stalled: None }
    }

    /// Gives a write on, and fails when it has waited too long.
    fn watch<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(STALL_TIME)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, "the peer takes nothing")))
    }
}

/// What the system does for a connection by itself.
fn prepare(stream: &TcpStream) -> io::Result<()> {
    // Answers are small and written whole: waiting for more to send only costs time.
    stream.set_nodelay(true)?;
    let socket = SockRef::from(stream);
    // Without these, a peer that vanished without a word is not missed while a model thinks, ...
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(PROBE_TIME).with_interval(PROBE_TIME))?;
    // ... nor while the last bytes that it was sent are not acknowledged.
    #[cfg(target_os = "linux")]
    {
        socket.set_tcp_user_timeout(Some(STALL_TIME))?;
        // The system's own buffer takes megabytes, and wakes a writer when a third of it is free: a slow reader would need
        // minutes for that.
        socket.set_tcp_notsent_lowat(UNSENT)?;
    }
    Ok(())
}

impl<S: AsyncRead + Unpin> Read for Socket<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> Write for Socket<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.watch(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.watch(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_peer_that_takes_a_little_now_and_then_is_waited_for_and_one_that_takes_nothing_is_not() {
        let (here, mut peer) = tokio::io::duplex(8);
        let mut socket = TokioIo::new(Socket::over(here));
        let writing = tokio::spawn(async move { (socket.write_all(&[7; 80]).await, socket) });
        let mut part = [0; 8];
        for _ in 0..10 {
            sleep(STALL_TIME * 2 / 3).await;
            peer.read_exact(&mut part).await.unwrap();
        }
        let (written, mut socket) = writing.await.unwrap();
        written.unwrap();
        let error = socket.write_all(&[7; 80]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn the_system_asks_silent_peers_whether_they_are_there() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let socket = Socket::new(stream);
        let system = SockRef::from(socket.stream.inner());
        assert!(system.keepalive().unwrap() && system.tcp_nodelay().unwrap());
        #[cfg(target_os = "linux")]
        {
            assert_eq!(system.tcp_user_timeout().unwrap(), Some(STALL_TIME));
            assert_eq!(system.tcp_notsent_lowat().unwrap(), UNSENT);
        }
    }
}
