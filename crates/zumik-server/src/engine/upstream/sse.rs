//! Server-sent events as a provider sends them: cut out of the bytes as they come, without a copy where the bytes allow.

use std::mem;

use bytes::{Buf, Bytes, BytesMut};

/// Most bytes of one event. A longer one is not read to its end.
pub(crate) const LONGEST: usize = 16 * 1024 * 1024;

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// One event: the type that it names, and its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Value of the last `event:` line, if it has one.
    pub(crate) event: Option<Bytes>,
    /// Values of its `data:` lines, joined by line breaks.
    pub(crate) data: Bytes,
}

/// An event is longer than [`LONGEST`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TooLong;

/// What has come and is not cut yet.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    buffer: BytesMut,
    /// How much of the buffer is known to hold no end of an event; not more than [`LONGEST`].
    seen: u32,
    /// Whether the first event has been cut: a byte order mark may stand before it.
    begun: bool,
}

impl Frames {
    /// Takes in what has come.
    ///
    /// # Errors
    /// An event grows too long.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result<(), TooLong> {
        if self.buffer.len() + bytes.len() > LONGEST {
            return Err(TooLong);
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next event that is complete. Events without data, comments among them, are passed over.
    pub(crate) fn next(&mut self) -> Option<Frame> {
        loop {
            let (end, next) = self.blank_line()?;
            let block = self.buffer.split_to(end).freeze();
            self.buffer.advance(next - end);
            self.seen = 0;
            let is_first = !mem::replace(&mut self.begun, true);
            let mark = if is_first && block.starts_with(BYTE_ORDER_MARK) { BYTE_ORDER_MARK.len() } else { 0 };
            if let Some(frame) = frame(&block.slice(mark..)) {
                return Some(frame);
            }
        }
    }

    /// Where the first event ends and where the next begins: around an empty line, each line ended by `\n`, `\r\n` or
    /// `\r`. A `\r` at the very end may be half of a line's end and is left for the next time.
    fn blank_line(&mut self) -> Option<(usize, usize)> {
        loop {
            let seen = self.seen as usize;
            let Some(found) = memchr::memchr2(b'\n', b'\r', self.buffer.get(seen..)?) else {
                self.seen = self.buffer.len() as u32;
                return None;
            };
            let end = seen + found;
            let second = self.line_end(end)?;
            if let Some(next) = self.line_end(second) {
                return Some((end, next));
            }
            if *self.buffer.get(second)? == b'\r' {
                return None;
            }
            self.seen = second as u32;
        }
    }

    /// Behind the line end at `at`; nothing when there is none, or not all of it yet.
    fn line_end(&self, at: usize) -> Option<usize> {
        match (self.buffer.get(at)?, self.buffer.get(at + 1)) {
            (b'\n', _) => Some(at + 1),
            (b'\r', Some(b'\n')) => Some(at + 2),
            (b'\r', Some(_)) => Some(at + 1),
            _ => None,
        }
    }
}

fn frame(block: &Bytes) -> Option<Frame> {
    let (mut event, mut data): (Option<Bytes>, Option<&[u8]>) = (None, None);
    // Of an event with more than one line of data: all of them so far.
    let mut joined: Option<Vec<u8>> = None;
    for line in block.split(|byte| matches!(byte, b'\n' | b'\r')) {
        if let Some(value) = field(line, b"data") {
            match data {
                None => data = Some(value),
                Some(first) => {
                    let joined = joined.get_or_insert_with(|| first.to_vec());
                    joined.push(b'\n');
                    joined.extend_from_slice(value);
                }
            }
        } else if let Some(value) = field(line, b"event") {
            event = Some(block.slice_ref(value)).filter(|name| !name.is_empty());
        }
    }
    let data = data?;
    Some(Frame { event, data: joined.map_or_else(|| block.slice_ref(data), Bytes::from) })
}

/// The value of a line with this name; one space before it does not count. A name alone has an empty value.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(&[]),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(pieces: &[&[u8]]) -> Vec<(Option<String>, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut frames = Frames::default();
        let mut found = Vec::new();
        for piece in pieces {
            frames.push(piece).unwrap();
            while let Some(frame) = frames.next() {
                found.push((frame.event.as_deref().map(text), text(&frame.data)));
            }
        }
        found
    }

    #[test]
    fn an_event_is_its_data_and_what_it_is_called() {
        let stream = b": hello\n\nevent: a\ndata: 1\ndata:2\nid: 7\n\ndata: [DONE]\n\n\n\ndata: half";
        let one = (Some("a".to_owned()), "1\n2".to_owned());
        assert_eq!(all(&[stream]), [one, (None, "[DONE]".to_owned())]);
    }

    #[test]
    fn lines_of_data_are_joined_by_line_breaks() {
        for ending in ["\n", "\r\n", "\r"] {
            let stream = ["data: 1", "data:", "id: x", "data:3", "", ""].join(ending) + ".";
            assert_eq!(all(&[stream.as_bytes()]), [(None, "1\n\n3".to_owned())], "{ending:?}");
        }
    }

    #[test]
    fn an_event_that_grows_too_long_is_refused() {
        let mut frames = Frames::default();
        let half = vec![b'x'; LONGEST / 2];
        assert_eq!(frames.push(&half), Ok(()));
        assert_eq!(frames.push(&half), Ok(()));
        assert_eq!(frames.next(), None);
        assert_eq!(frames.push(b"x"), Err(TooLong));
    }

    proptest! {
        #[test]
        fn where_the_bytes_are_cut_and_how_lines_end_does_not_matter(
            texts in prop::collection::vec("[a-z:\\{\\}]{1,12}", 1..6),
            ending in prop::sample::select(vec!["\n", "\r\n", "\r"]),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..6),
        ) {
            let stream: String =
                texts.iter().map(|text| format!("data: {text}{ending}{ending}")).collect::<String>() + "x";
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
            cuts.extend([0, stream.len()]);
            cuts.sort_unstable();
            let pieces: Vec<_> = cuts.windows(2).map(|cut| &stream.as_bytes()[cut[0]..cut[1]]).collect();
            let found: Vec<_> = all(&pieces).into_iter().map(|(_, data)| data).collect();
            prop_assert_eq!(found, texts);
        }
    }
}
