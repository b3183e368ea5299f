//! Server-sent events: bytes in, events out.
//!
//! [`SseParser`] is what the client's streams are read with, as a library of its own: pulled, without tasks or I/O. It
//! scans each byte once, whatever the pieces in which the bytes arrive, holds no more than one event, and gives an event
//! that lies in one piece without copying it. It follows the [WHATWG standard]: LF, CR and CRLF, a byte order mark,
//! comments, data of several lines, `event`, `id` and `retry`; an event without its blank line at the end is no event.
//!
//! ```
//! use zumik_client::sse::SseParser;
//!
//! let mut parser = SseParser::new();
//! let mut seen = Vec::new();
//! for piece in [&b": hello\nda"[..], b"ta: {\"n\":1}\n\ndata: [DONE]", b"\r\n\r\n"] {
//!     parser.push(piece);
//!     while let Some(event) = parser.next_event()? {
//!         seen.push(event.data().to_vec());
//!     }
//! }
//! assert_eq!(seen, [&b"{\"n\":1}"[..], b"[DONE]"]);
//! # Ok::<(), zumik_client::sse::EventTooLarge>(())
//! ```
//!
//! [WHATWG standard]: https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream

mod event;
mod field;
mod parser;

pub use event::SseEvent;
pub use parser::{DEFAULT_MAX_EVENT_BYTES, EventTooLarge, SseParser};
