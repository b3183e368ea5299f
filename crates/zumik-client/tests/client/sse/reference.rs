//! Server-sent events read from one piece, word for word as the standard says it. Slow, and short enough to be seen to
//! be right.

/// An event with everything that a reader can see of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) id: String,
    pub(crate) data: Vec<u8>,
    pub(crate) retry: Option<u64>,
}

/// All events of a stream.
pub(crate) fn events(stream: &[u8]) -> Vec<Event> {
    let stream = stream.strip_prefix(b"\xef\xbb\xbf").unwrap_or(stream);
    let mut events = Vec::new();
    let (mut name, mut data, mut id, mut retry) = (String::new(), Vec::new(), String::new(), None);
    for line in lines(stream) {
        if line.is_empty() {
            if data.pop().is_some() {
                events.push(Event { name: name.clone(), id: id.clone(), data: data.clone(), retry });
            }
            data.clear();
            name.clear();
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &line[line.len()..]),
        };
        match field {
            b"event" => name = String::from_utf8_lossy(value).into_owned(),
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"id" if !value.contains(&0) => id = String::from_utf8_lossy(value).into_owned(),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                retry = String::from_utf8_lossy(value).parse().ok().or(retry);
            }
            _ => {}
        }
    }
    events
}

/// The lines that have an end: CRLF, LF or CR.
fn lines(mut stream: &[u8]) -> Vec<&[u8]> {
    let mut lines = Vec::new();
    while let Some(end) = stream.iter().position(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(&stream[..end]);
        let both = stream[end..].starts_with(b"\r\n");
        stream = &stream[end + if both { 2 } else { 1 }..];
    }
    lines
}
