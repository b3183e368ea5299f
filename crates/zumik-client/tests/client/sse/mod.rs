//! The parser of server-sent events against a reference, however the bytes are cut.

mod reference;

use proptest::collection::vec;
use proptest::prelude::*;
use zumik_client::sse::{EventTooLarge, SseParser};

use reference::Event;

/// What the parser makes of a stream that comes in these pieces.
fn parse<'a>(
    limit: usize,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> (Vec<Event>, Option<EventTooLarge>) {
    let mut parser = SseParser::with_max_event_bytes(limit);
    let mut events = Vec::new();
    for piece in pieces {
        parser.push(piece.to_vec());
        loop {
            let event = match parser.next_event() {
                Ok(Some(event)) => event,
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(parser.next_event(), Err(error), "a broken stream stays broken");
                    return (events, Some(error));
                }
            };
            let (name, id) = (event.name().unwrap_or_default(), event.id().unwrap_or_default());
            events.push(Event {
                name: name.to_owned(),
                id: id.to_owned(),
                data: event.data().to_vec(),
                retry: None,
            });
            let retry = parser.retry().map(|retry| u64::try_from(retry.as_millis()).unwrap());
            events.last_mut().unwrap().retry = retry;
        }
    }
    (events, None)
}

/// The stream cut behind each of `cuts`, taken modulo its length.
fn cut<'a>(stream: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (stream.len() + 1)).collect();
    cuts.sort_unstable();
    let mut begin = 0;
    let mut pieces: Vec<&[u8]> = Vec::new();
    for end in cuts {
        pieces.push(&stream[begin..end]);
        begin = end;
    }
    pieces.push(&stream[begin..]);
    pieces
}

/// Bytes of which streams are made, so that lines, fields and ends come up often.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&'static [u8]> = vec![
        b"\n",
        b"\n",
        b"\r",
        b"\r\n",
        b"\n\n",
        b"\r\n\r\n",
        b"data",
        b"data:",
        b"data: ",
        b"event: ",
        b"event",
        b"id: ",
        b"id",
        b"retry: ",
        b"1500",
        b"99999999999999999999",
        b":",
        b" ",
        b"x",
        b"{\"a\":1}",
        b"[DONE]",
        b"\xef\xbb\xbf",
        b"\0",
        b"\xff",
        b"\xe2\x82\xac",
        b"\xe2\x82",
    ];
    let word = prop_oneof![
        12 => proptest::sample::select(words).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 1..4),
    ];
    vec(word, 0..40).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_any_bytes_gives_the_events_of_the_reference(
        stream in stream(),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let expected = reference::events(&stream);
        let whole = parse(usize::MAX, [stream.as_slice()]);
        prop_assert_eq!(&whole.0, &expected);
        prop_assert_eq!(parse(usize::MAX, cut(&stream, &cuts)).0, expected.clone());
        prop_assert_eq!(parse(usize::MAX, stream.chunks(1)).0, expected);
    }

    #[test]
    fn the_limit_strikes_at_the_same_event_wherever_the_bytes_are_cut(
        stream in stream(),
        cuts in vec(any::<usize>(), 0..12),
        limit in 0..40_usize,
    ) {
        let whole = parse(limit, [stream.as_slice()]);
        prop_assert_eq!(&parse(limit, cut(&stream, &cuts)), &whole);
        prop_assert_eq!(&parse(limit, stream.chunks(1)), &whole);
        let expected = reference::events(&stream);
        prop_assert!(expected.starts_with(&whole.0));
        prop_assert!(whole.0.iter().all(|event| event.data.len() <= limit));
        prop_assert!(whole.1.is_some() || whole.0 == expected);
    }

    #[test]
    fn pieces_may_be_pushed_before_the_events_of_the_last_one_are_taken(
        stream in stream(),
        cuts in vec(any::<usize>(), 0..6),
    ) {
        let mut parser = SseParser::new();
        let mut data = Vec::new();
        for piece in cut(&stream, &cuts) {
            parser.push(piece.to_vec());
            // One event at most, so that the rest stays.
            data.extend(parser.next_event().unwrap().map(|event| event.data().to_vec()));
        }
        while let Some(event) = parser.next_event().unwrap() {
            data.push(event.data().to_vec());
        }
        let expected: Vec<_> = reference::events(&stream).into_iter().map(|event| event.data).collect();
        prop_assert_eq!(data, expected);
    }
}

#[test]
fn an_event_in_one_piece_is_not_copied() {
    let piece = bytes::Bytes::from_static(b"event: e\ndata: {\"a\":1}\n\n");
    let mut parser = SseParser::new();
    parser.push(piece.clone());
    let data = parser.next_event().unwrap().unwrap().data();
    assert!(piece.as_ptr_range().contains(&data.as_ptr()));
}

#[test]
fn an_event_stays_at_hand_when_the_next_piece_comes() {
    let mut parser = SseParser::new();
    parser.push("data: one\n\n");
    parser.next_event().unwrap();
    parser.push("data: two\n\n");
    assert_eq!(parser.event().unwrap().data(), b"one");
    assert_eq!(parser.next_event().unwrap().unwrap().data(), b"two");
    assert_eq!(parser.next_event(), Ok(None));
    assert_eq!(parser.event(), None);
}

#[test]
fn neither_an_event_nor_a_parser_prints_its_data() {
    let mut parser = SseParser::new();
    parser.push("data: hush-hush\n\ndata: hush");
    let event = format!("{:?}", parser.next_event().unwrap().unwrap());
    assert_eq!(event, "SseEvent { name: None, id: None, data: 9 bytes }");
    assert!(!format!("{parser:?}").contains("hush"));
}
