use zumik_client::sse::SseParser;
use zumik_server::fuzzing::provider_events;

#[path = "../../../crates/zumik-client/tests/client/sse/reference.rs"]
mod reference;

/// Any bytes in any pieces give the events of the reference, to the client and to the server as a client of providers.
/// The first byte says how large the pieces are.
pub fn sse(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let size = usize::from(*size).max(1);
    let mut parser = SseParser::new();
    let mut events = Vec::new();
    for piece in stream.chunks(size) {
        parser.push(piece.to_vec());
        while let Ok(Some(event)) = parser.next_event() {
            let (name, id, data) = (event.name(), event.id(), event.data().to_vec());
            let (name, id) = (name.unwrap_or_default().to_owned(), id.unwrap_or_default().to_owned());
            let retry = parser.retry().and_then(|retry| u64::try_from(retry.as_millis()).ok());
            events.push(reference::Event { name, id, data, retry });
        }
    }
    assert_eq!(events, reference::events(stream));
    of_a_provider(stream, size);
}

/// The server waits for what follows a CR, which may be half of a line's end.
fn of_a_provider(stream: &[u8], size: usize) {
    let stream = [stream, b"\n"].concat();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let found = provider_events(&stream, size).into_iter().map(|(name, data)| (text(&name), data.to_vec()));
    let expected = reference::events(&stream).into_iter().map(|event| (event.name, event.data));
    assert_eq!(found.collect::<Vec<_>>(), expected.collect::<Vec<_>>(), "as the server reads it");
}
