//! One line of an event.

/// What a line says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    /// An empty line: the end of an event.
    End,
    /// `data`, and where its value begins in the line.
    Data { start: usize },
    /// `event`
    Event(&'a [u8]),
    /// `id`
    Id(&'a [u8]),
    /// `retry`
    Retry(&'a [u8]),
    /// A comment, or a field that nobody knows.
    Ignored,
}

impl<'a> Field<'a> {
    /// Reads a line without its end. Looks at the name only, however long the line is.
    pub(super) fn read(line: &'a [u8]) -> Self {
        match line {
            [] => Self::End,
            [b'd', b'a', b't', b'a', rest @ ..] => match value_start(rest) {
                Some(start) => Self::Data { start: 4 + start },
                None => Self::Ignored,
            },
            [b'e', b'v', b'e', b'n', b't', rest @ ..] => value(rest).map_or(Self::Ignored, Self::Event),
            [b'i', b'd', rest @ ..] => value(rest).map_or(Self::Ignored, Self::Id),
            [b'r', b'e', b't', b'r', b'y', rest @ ..] => value(rest).map_or(Self::Ignored, Self::Retry),
            _ => Self::Ignored,
        }
    }
}

fn value(rest: &[u8]) -> Option<&[u8]> {
    value_start(rest).map(|start| &rest[start..])
}

/// Where the value begins behind the name: after a colon and at most one blank. A name alone has an empty value.
fn value_start(rest: &[u8]) -> Option<usize> {
    match rest {
        [] => Some(0),
        [b':', b' ', ..] => Some(2),
        [b':', ..] => Some(1),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_by_its_name() {
        for (line, field) in [
            ("", Field::End),
            (":", Field::Ignored),
            (": data: x", Field::Ignored),
            ("data", Field::Data { start: 4 }),
            ("data:", Field::Data { start: 5 }),
            ("data: ", Field::Data { start: 6 }),
            ("data:x", Field::Data { start: 5 }),
            ("data:  x", Field::Data { start: 6 }),
            ("datax: x", Field::Ignored),
            ("data x", Field::Ignored),
            (" data: x", Field::Ignored),
            ("Data: x", Field::Ignored),
            ("event: e", Field::Event(b"e")),
            ("event", Field::Event(b"")),
            ("id:7", Field::Id(b"7")),
            ("idle: 7", Field::Ignored),
            ("retry: 100", Field::Retry(b"100")),
            ("retry:", Field::Retry(b"")),
            ("unknown: x", Field::Ignored),
        ] {
            assert_eq!(Field::read(line.as_bytes()), field, "{line:?}");
        }
    }
}
