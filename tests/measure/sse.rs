//! The parser of server-sent events against `eventsource-stream`, in memory: chunks of an answer as they come over a
//! connection, and events so large that they come in many pieces.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use eventsource_stream::Eventsource;
use futures_util::{StreamExt, stream};
use zumik_client::sse::SseParser;

use crate::report::{Report, Row, median};
use crate::{Plan, Result};

/// What one read of a connection gives.
const PIECE: usize = 16 << 10;
const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Measures both parsers.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let turns = plan.pick(21, 3);
    let chunks = pieces(&chunks(16 * MIB));
    let rates = compare(&chunks, turns)?;
    add(report, "chunks of an answer, about 250 bytes each", rates, "eventsource-stream");

    let large = pieces(&events_of(MIB, 16 * MIB));
    let rates = compare(&large, plan.pick(3, 1))?;
    add(report, "events of 1 MiB", rates, "eventsource-stream");

    // The same number of bytes, so that only the size of an event differs. Both are larger than what the parser keeps.
    let huge = pieces(&events_of(16 * MIB - KIB, 16 * MIB));
    let (mut of_large, mut of_huge) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        of_huge.push(rate(&huge, ours(&huge)?));
        of_large.push(rate(&large, ours(&large)?));
    }
    add(report, "one event of 16 MiB", (median(&of_huge), median(&of_large)), "events of 1 MiB");
    Ok(())
}

/// The rates of our parser and of the other, in turns, in bytes a second.
fn compare(pieces: &[Bytes], turns: usize) -> Result<(f64, f64)> {
    let (mut our, mut their) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        our.push(rate(pieces, ours(pieces)?));
        their.push(rate(pieces, theirs(pieces)?));
    }
    Ok((median(&our), median(&their)))
}

fn ours(pieces: &[Bytes]) -> Result<Duration> {
    let begun = Instant::now();
    let mut parser = SseParser::new();
    for piece in pieces {
        parser.push(piece.clone());
        while let Some(event) = parser.next_event()? {
            black_box(event.data());
        }
    }
    Ok(begun.elapsed())
}

fn theirs(pieces: &[Bytes]) -> Result<Duration> {
    let begun = Instant::now();
    let mut events = stream::iter(pieces.iter().cloned().map(Ok::<_, Infallible>)).eventsource();
    // Every piece is there: nothing of this ever waits.
    futures_util::future::FutureExt::now_or_never(async {
        while let Some(event) = events.next().await {
            black_box(event?.data);
        }
        Ok::<_, eventsource_stream::EventStreamError<Infallible>>(())
    })
    .ok_or("the stream waits")??;
    Ok(begun.elapsed())
}

fn rate(pieces: &[Bytes], time: Duration) -> f64 {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    bytes as f64 / time.as_secs_f64()
}

fn add(report: &mut Report, what: &str, (ours, other): (f64, f64), than: &str) {
    let show = |rate: f64| match rate {
        1e9.. => format!("{:.2} GB/s", rate / 1e9),
        _ => format!("{:.1} MB/s", rate / 1e6),
    };
    report.add(Row {
        what: format!("Reading server-sent events: {what}"),
        value: show(ours),
        baseline: format!("{than}: {}", show(other)),
        ratio: Some(ours / other),
    });
}

/// Chunks of a chat completion, as a provider sends them.
fn chunks(bytes: usize) -> Vec<u8> {
    let mut stream = Vec::with_capacity(bytes + KIB);
    for number in 0.. {
        if stream.len() >= bytes {
            break;
        }
        let chunk = serde_json::json!({
            "id": "chatcmpl-rsp_01jy7n3q8v6m4k2x9c7b5t3w1z", "object": "chat.completion.chunk", "created": 1750000000,
            "model": "code.fast",
            "choices": [{ "index": 0, "delta": { "content": format!("word {number} ") }, "finish_reason": null }],
        });
        stream.extend_from_slice(format!("data: {chunk}\n\n").as_bytes());
    }
    stream
}

/// Events with data of this size.
fn events_of(size: usize, bytes: usize) -> Vec<u8> {
    let event = format!("data: \"{}\"\n\n", "x".repeat(size));
    event.repeat(bytes.div_ceil(event.len())).into_bytes()
}

fn pieces(stream: &[u8]) -> Vec<Bytes> {
    stream.chunks(PIECE).map(Bytes::copy_from_slice).collect()
}
