//! The parser.

use std::fmt;
use std::mem;
use std::ops::Range;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use memchr::memchr2;

use super::event::SseEvent;
use super::field::Field;

/// How large an event may be where nothing else is set: 16 MiB.
pub const DEFAULT_MAX_EVENT_BYTES: usize = 16 << 20;

/// Buffers that grew beyond this for one event are given back after it.
const KEPT_CAPACITY: usize = 256 << 10;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads server-sent events out of pieces of bytes.
///
/// [Push](Self::push) a piece, take [events](Self::next_event) until there is none, push the next piece. What the events
/// are does not depend on where the bytes were cut. The work is linear in the number of bytes.
pub struct SseParser {
    limit: usize,
    /// The piece at hand, read up to `position`.
    piece: Bytes,
    position: usize,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The last line ended with CR; a LF at the beginning of the rest belongs to it.
    after_cr: bool,
    first_line: bool,
    data: Data,
    /// Data that lies in no piece as a whole; see [`Data::Joined`].
    joined: Vec<u8>,
    name: String,
    id: String,
    retry: Option<Duration>,
    state: State,
}

/// Where the data of the event at hand is.
#[derive(Debug)]
enum Data {
    /// There was no `data` line.
    Missing,
    /// One line, in the piece at hand.
    InPiece(Range<usize>),
    /// One line, in an earlier piece.
    Kept(Bytes),
    /// In the parser's own buffer, from here on.
    Joined(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Reading,
    /// An event is complete and has not been left yet.
    Complete,
    /// The stream broke the limit. It stays broken.
    TooLarge,
}

impl SseParser {
    /// A parser at the beginning of a stream that takes events of up to [`DEFAULT_MAX_EVENT_BYTES`].
    pub fn new() -> Self {
        Self::with_max_event_bytes(DEFAULT_MAX_EVENT_BYTES)
    }

    /// A parser for events of up to `limit` bytes: neither a line nor the data of an event may be longer.
    pub fn with_max_event_bytes(limit: usize) -> Self {
        Self {
            limit,
            piece: Bytes::new(),
            position: 0,
            line: Vec::new(),
            after_cr: false,
            first_line: true,
            data: Data::Missing,
            joined: Vec::new(),
            name: String::new(),
            id: String::new(),
            retry: None,
            state: State::Reading,
        }
    }

    /// Adds the next piece of the stream.
    ///
    /// Best when [`next_event`](Self::next_event) has given all events of the last one: what is left of it is copied.
    pub fn push(&mut self, piece: impl Into<Bytes>) {
        let rest = self.piece.slice(self.position..);
        self.leave_piece();
        self.piece = match (rest.is_empty(), piece.into()) {
            (true, piece) => piece,
            (false, piece) => {
                let mut both = BytesMut::with_capacity(rest.len() + piece.len());
                both.extend_from_slice(&rest);
                both.extend_from_slice(&piece);
                both.freeze()
            }
        };
    }

    /// The next event, or `None` when the pieces so far hold no further one.
    ///
    /// # Errors
    ///
    /// [`EventTooLarge`] when a line or the data of an event passes the limit; the stream cannot be read further, and the
    /// error stays.
    pub fn next_event(&mut self) -> Result<Option<SseEvent<'_>>, EventTooLarge> {
        match self.state {
            State::Reading => {}
            State::Complete => self.leave_event(),
            State::TooLarge => return Err(EventTooLarge { limit: self.limit }),
        }
        if let Err(error) = self.read() {
            self.state = State::TooLarge;
            return Err(error);
        }
        Ok(self.event())
    }

    /// The event that [`next_event`](Self::next_event) gave last, until it is called again.
    pub fn event(&self) -> Option<SseEvent<'_>> {
        if self.state != State::Complete {
            return None;
        }
        let data = match &self.data {
            Data::Missing => return None,
            Data::InPiece(range) => &self.piece[range.clone()],
            Data::Kept(bytes) => bytes,
            Data::Joined(start) => &self.joined[*start..],
        };
        Some(SseEvent { name: not_empty(&self.name), id: not_empty(&self.id), data })
    }

    /// How long the server asks to wait before opening the stream again: the last `retry:`, which is in milliseconds.
    pub fn retry(&self) -> Option<Duration> {
        self.retry
    }

    /// Reads on to the end of an event, or of the piece.
    fn read(&mut self) -> Result<(), EventTooLarge> {
        while self.state == State::Reading {
            let start = self.position;
            let Some(&next) = self.piece.get(start) else { break };
            if mem::take(&mut self.after_cr) && next == b'\n' {
                self.position += 1;
                continue;
            }
            let Some(length) = memchr2(b'\n', b'\r', &self.piece[start..]) else {
                self.carry(start..self.piece.len())?;
                self.position = self.piece.len();
                break;
            };
            let end = start + length;
            self.after_cr = self.piece[end] == b'\r';
            self.position = end + 1;
            if self.line.is_empty() {
                self.line_in_piece(start..end)?;
            } else {
                self.carry(start..end)?;
                self.carried_line()?;
            }
        }
        if self.position == self.piece.len() && self.state == State::Reading {
            self.leave_piece();
        }
        Ok(())
    }

    /// Takes a line that lies whole in the piece at hand.
    fn line_in_piece(&mut self, mut line: Range<usize>) -> Result<(), EventTooLarge> {
        self.check(line.len())?;
        if mem::take(&mut self.first_line) && self.piece[line.clone()].starts_with(BYTE_ORDER_MARK) {
            line.start += BYTE_ORDER_MARK.len();
        }
        match Field::read(&self.piece[line.clone()]) {
            Field::Data { start } => {
                let value = line.start + start..line.end;
                if matches!(self.data, Data::Missing) {
                    self.data = Data::InPiece(value);
                    return Ok(());
                }
                // A handle of its own, so that the piece can be read while the buffer is written.
                let piece = self.piece.clone();
                return self.join(&piece[value]);
            }
            Field::End => self.end(),
            Field::Event(value) => set(&mut self.name, value),
            Field::Id(value) if !value.contains(&0) => set(&mut self.id, value),
            Field::Retry(value) => self.retry = milliseconds(value).or(self.retry),
            Field::Id(_) | Field::Ignored => {}
        }
        Ok(())
    }

    /// Takes a line that was carried over from earlier pieces.
    fn carried_line(&mut self) -> Result<(), EventTooLarge> {
        let mut line = mem::take(&mut self.line);
        let first = mem::take(&mut self.first_line) && line.starts_with(BYTE_ORDER_MARK);
        let begin = if first { BYTE_ORDER_MARK.len() } else { 0 };
        match Field::read(&line[begin..]) {
            Field::Data { start } if matches!(self.data, Data::Missing) => {
                mem::swap(&mut self.joined, &mut line);
                self.data = Data::Joined(begin + start);
            }
            Field::Data { start } => self.join(&line[begin + start..])?,
            Field::End => self.end(),
            Field::Event(value) => set(&mut self.name, value),
            Field::Id(value) if !value.contains(&0) => set(&mut self.id, value),
            Field::Retry(value) => self.retry = milliseconds(value).or(self.retry),
            Field::Id(_) | Field::Ignored => {}
        }
        line.clear();
        self.line = line;
        Ok(())
    }

    /// Adds a further line of data.
    fn join(&mut self, value: &[u8]) -> Result<(), EventTooLarge> {
        let start = match mem::replace(&mut self.data, Data::Missing) {
            Data::Joined(start) => start,
            Data::Missing => {
                self.joined.clear();
                0
            }
            Data::InPiece(range) => {
                self.joined.clear();
                self.joined.extend_from_slice(&self.piece[range]);
                0
            }
            Data::Kept(bytes) => {
                self.joined.clear();
                self.joined.extend_from_slice(&bytes);
                0
            }
        };
        self.data = Data::Joined(start);
        self.check(self.joined.len() - start + 1 + value.len())?;
        self.joined.push(b'\n');
        self.joined.extend_from_slice(value);
        Ok(())
    }

    fn end(&mut self) {
        match self.data {
            Data::Missing => self.name.clear(),
            _ => self.state = State::Complete,
        }
    }

    fn leave_event(&mut self) {
        self.state = State::Reading;
        self.data = Data::Missing;
        self.name.clear();
        self.joined.clear();
        self.joined.shrink_to(KEPT_CAPACITY);
        self.line.shrink_to(KEPT_CAPACITY);
    }

    /// Keeps a part of the piece for the line that it begins or continues.
    fn carry(&mut self, part: Range<usize>) -> Result<(), EventTooLarge> {
        self.check(self.line.len() + part.len())?;
        self.line.extend_from_slice(&self.piece[part]);
        Ok(())
    }

    /// Lets go of the piece; data that lies in it stays.
    fn leave_piece(&mut self) {
        if let Data::InPiece(range) = &self.data {
            self.data = Data::Kept(self.piece.slice(range.clone()));
        }
        self.piece = Bytes::new();
        self.position = 0;
    }

    fn check(&self, bytes: usize) -> Result<(), EventTooLarge> {
        if bytes > self.limit { Err(EventTooLarge { limit: self.limit }) } else { Ok(()) }
    }
}

impl Default for SseParser {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for SseParser {
    /// Where it stands; no data.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SseParser")
            .field("state", &self.state)
            .field("unread", &(self.piece.len() - self.position))
            .finish_non_exhaustive()
    }
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn set(field: &mut String, value: &[u8]) {
    field.clear();
    field.push_str(&String::from_utf8_lossy(value));
}

fn milliseconds(value: &[u8]) -> Option<Duration> {
    let digits = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(value).ok().filter(|_| digits)?;
    number.parse().ok().map(Duration::from_millis)
}

/// A line or the data of an event is longer than the parser takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is larger than {limit} bytes")]
pub struct EventTooLarge {
    limit: usize,
}

impl EventTooLarge {
    /// The limit, in bytes.
    pub fn limit(&self) -> usize {
        self.limit
    }
}
