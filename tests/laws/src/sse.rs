use zumik_client::sse::SseParser;

#[path = "../../../crates/zumik-client/tests/client/sse/reference.rs"]
mod reference;

/// Any bytes in any pieces give the events of the reference. The first byte says how large the pieces are.
pub fn sse(input: &[u8]) {
    let Some((size, stream)) = input.split_first() else { return };
    let mut parser = SseParser::new();
    let mut events = Vec::new();
    for piece in stream.chunks(usize::from(*size).max(1)) {
        parser.push(piece.to_vec());
        while let Ok(Some(event)) = parser.next_event() {
            let (name, id, data) = (event.name(), event.id(), event.data().to_vec());
            let (name, id) = (name.unwrap_or_default().to_owned(), id.unwrap_or_default().to_owned());
            let retry = parser.retry().and_then(|retry| u64::try_from(retry.as_millis()).ok());
            events.push(reference::Event { name, id, data, retry });
        }
    }
    assert_eq!(events, reference::events(stream));
}
