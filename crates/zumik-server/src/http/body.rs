//! Taking a request body in, up to the cap.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::HttpBody;
use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body_util::BodyExt;

use super::ApiError;

/// Most bytes of a request body, multipart framing included (contract `common.md`, "Content types and size").
pub(crate) const BODY_CAP: usize = 2 * 1024 * 1024;

/// How long a body may take: a client that sends nothing must not hold a connection, and a shutdown, forever.
const BODY_TIME: Duration = Duration::from_secs(120);

/// How much of a refused body is read and thrown away, and for how long, so that a client that sends before it reads
/// gets to see the answer instead of a reset connection.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// What a body may hold while it is on its way without asking for room, so that small requests are always read.
const FREE: usize = 64 * 1024;

/// What all bodies that are on their way hold beyond that, at most: whose they are is not known before they are read.
const TOGETHER: usize = 256 * 1024 * 1024;

/// The room for bodies that are on their way.
#[derive(Debug)]
pub(crate) struct Room(AtomicUsize);

impl Default for Room {
    fn default() -> Self {
        Self(AtomicUsize::new(TOGETHER))
    }
}

/// What one body takes of the room; it gives that back when it is dropped.
struct Share<'a> {
    room: &'a Room,
    taken: usize,
}

impl Share<'_> {
    /// Takes what a body of this length needs; tells whether there was so much.
    fn grow(&mut self, length: usize) -> bool {
        let more = length.saturating_sub(FREE + self.taken);
        if more > 0 {
            let take = |free: usize| free.checked_sub(more);
            if self.room.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_err() {
                return false;
            }
            self.taken += more;
        }
        true
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        if self.taken > 0 {
            self.room.0.fetch_add(self.taken, Ordering::Relaxed);
        }
    }
}

/// Why a body was not read to its end.
enum Cut {
    BrokeOff,
    TooLarge,
    NoRoom,
}

/// The whole body.
///
/// # Errors
/// 413 when it is over the cap, whatever its `Content-Length` claims; 400 when it breaks off or takes too long; 503 when
/// other bodies have taken all the room.
pub(crate) async fn read<B>(room: &Room, headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>> + Send,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    if claims_too_much(headers) {
        discard(body);
        return Err(ApiError::too_large(BODY_CAP));
    }
    let mut body = body;
    match tokio::time::timeout(BODY_TIME, collect(room, &mut body)).await {
        Ok(Ok(whole)) => Ok(whole),
        Ok(Err(Cut::TooLarge)) => {
            discard(body);
            Err(ApiError::too_large(BODY_CAP))
        }
        Ok(Err(Cut::NoRoom)) => {
            discard(body);
            Err(ApiError::overloaded("The server is busy reading other large requests."))
        }
        Ok(Err(Cut::BrokeOff)) => Err(ApiError::malformed("The request body broke off before its end.")),
        Err(_) => {
            let seconds = BODY_TIME.as_secs();
            Err(ApiError::malformed(format!("The request body did not come within {seconds} seconds.")))
        }
    }
}

/// Puts the parts of a body together; one that comes in one part, as most do, is not copied.
async fn collect<B>(room: &Room, body: &mut B) -> Result<Bytes, Cut>
where
    B: HttpBody<Data = Bytes> + Unpin,
{
    let mut share = Share { room, taken: 0 };
    let (mut first, mut joined) = (Bytes::new(), BytesMut::new());
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Cut::BrokeOff)?.into_data() else { continue };
        let before = first.len() + joined.len();
        if before + data.len() > BODY_CAP {
            return Err(Cut::TooLarge);
        }
        if !share.grow(before + data.len()) {
            return Err(Cut::NoRoom);
        }
        if before == 0 {
            first = data;
        } else {
            joined.extend_from_slice(&std::mem::take(&mut first));
            joined.extend_from_slice(&data);
        }
    }
    Ok(if joined.is_empty() { first } else { joined.freeze() })
}

fn claims_too_much(headers: &HeaderMap) -> bool {
    let claimed = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    // A length too long for an integer is too long for the cap.
    claimed.is_some_and(|text| text.parse::<u64>().map_or(true, |length| length > BODY_CAP as u64))
}

/// Reads the rest of a body in the background and forgets it.
fn discard<B>(mut body: B)
where
    B: HttpBody<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Send,
{
    tokio::spawn(async move {
        let rest = async {
            let mut seen = 0;
            while let Some(Ok(frame)) = body.frame().await {
                seen += frame.data_ref().map_or(0, Bytes::len);
                if seen > DISCARD_BYTES {
                    break;
                }
            }
        };
        // Either end is as good as the other: the answer has been given.
        let _ = tokio::time::timeout(DISCARD_TIME, rest).await;
    });
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use futures_util::stream::{iter, pending};
    use futures_util::{Stream, StreamExt as _};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_waited_for_forever() {
        let half = iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]).chain(pending());
        let headers = HeaderMap::new();
        let room = Room::default();
        let read = tokio::time::timeout(2 * BODY_TIME, read(&room, &headers, Body::from_stream(half)));
        let error = read.await.expect("an end").unwrap_err();
        assert_eq!((error.status().as_u16(), error.param()), (400, None));
    }

    /// A body of two parts, the second of this length.
    fn parts(length: usize) -> impl Stream<Item = Result<Bytes, Infallible>> + Send + Unpin {
        iter([Ok(Bytes::from_static(&[b'['; FREE])), Ok(Bytes::from(vec![b'x'; length]))])
    }

    #[tokio::test]
    async fn bodies_that_do_not_come_to_their_end_leave_room_for_small_ones_only() {
        let (room, headers) = (Room(AtomicUsize::new(10)), HeaderMap::new());
        let endless = Body::from_stream(parts(8).chain(pending()));
        let mut endless = Box::pin(read(&room, &headers, endless));
        assert!(futures_util::poll!(&mut endless).is_pending());

        let refused = read(&room, &headers, Body::from_stream(parts(3))).await.unwrap_err();
        assert_eq!(refused.status().as_u16(), 503);
        for length in [0, 2] {
            let whole = read(&room, &headers, Body::from_stream(parts(length))).await.unwrap();
            assert_eq!(whole.len(), FREE + length);
            assert!(whole[..FREE].iter().all(|byte| *byte == b'['), "the parts are in order");
        }

        drop(endless);
        assert_eq!(read(&room, &headers, Body::from_stream(parts(10))).await.unwrap().len(), FREE + 10);
    }
}
