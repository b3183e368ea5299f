//! Taking a request body in, up to the cap.

use std::time::Duration;

use axum::body::HttpBody;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap};
use http_body_util::{BodyExt, LengthLimitError, Limited};

use super::ApiError;

/// Most bytes of a request body, multipart framing included (contract `common.md`, "Content types and size").
pub(crate) const BODY_CAP: usize = 2 * 1024 * 1024;

/// How long a body may take: a client that sends nothing must not hold a connection, and a shutdown, forever.
const BODY_TIME: Duration = Duration::from_secs(120);

/// How much of a refused body is read and thrown away, and for how long, so that a client that sends before it reads
/// gets to see the answer instead of a reset connection.
const DISCARD_BYTES: usize = 64 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// The whole body.
///
/// # Errors
/// 413 when it is over the cap, whatever its `Content-Length` claims; 400 when it breaks off or takes too long.
pub(crate) async fn read<B>(headers: &HeaderMap, body: B) -> Result<Bytes, ApiError>
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
    match tokio::time::timeout(BODY_TIME, Limited::new(&mut body, BODY_CAP).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(body);
            Err(ApiError::too_large(BODY_CAP))
        }
        Ok(Err(_)) => Err(ApiError::malformed("The request body broke off before its end.")),
        Err(_) => {
            let seconds = BODY_TIME.as_secs();
            Err(ApiError::malformed(format!("The request body did not come within {seconds} seconds.")))
        }
    }
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
    use futures_util::StreamExt as _;
    use futures_util::stream::{iter, pending};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_never_ends_is_not_waited_for_forever() {
        let half = iter([Ok::<_, Infallible>(Bytes::from_static(b"{"))]).chain(pending());
        let headers = HeaderMap::new();
        let read = tokio::time::timeout(2 * BODY_TIME, read(&headers, Body::from_stream(half)));
        let error = read.await.expect("an end").unwrap_err();
        assert_eq!((error.status().as_u16(), error.param()), (400, None));
    }
}
