//! Streams of events: what comes, what ends them, and what is repeated.

use std::error::Error as _;
use std::time::Duration;

use serde_json::{Value, json};
use zumik_client::endpoint::{BuildError, DecodeError, Endpoint, RequestParts, json as decode_json};
use zumik_client::stream::StreamEndpoint;
use zumik_client::testing::{Answer, FakeTransport, StreamPart};
use zumik_client::types::{Operation, operations};
use zumik_client::{Bytes, Error, ErrorKind, EventStream, Outcome};

use crate::common::limited;

/// A generation that can stream, with free JSON around it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Talk {
    stream: bool,
}

impl Endpoint for Talk {
    const OPERATION: &'static Operation = &operations::CREATE_V1_RESPONSE;
    type Output = Value;

    fn parts(&self) -> Result<RequestParts, BuildError> {
        RequestParts::new(Self::OPERATION, &[])?.json(&json!({ "model": "code.fast", "stream": self.stream }))
    }

    fn decode(body: &Bytes) -> Result<Self::Output, DecodeError> {
        decode_json(body)
    }
}

impl StreamEndpoint for Talk {
    type Event = Value;

    fn streaming(self) -> Self {
        Self { stream: true }
    }
}

const ONE: &str = r#"{"n":1}"#;
const TWO: &str = r#"{"n":2}"#;
const DONE: &str = "[DONE]";

/// All events up to the end or the error.
async fn read(stream: &mut EventStream<Value>) -> (Vec<u64>, Option<Error>) {
    let mut numbers = Vec::new();
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => numbers.push(event["n"].as_u64().unwrap_or_default()),
            Err(error) => {
                assert!(stream.next().await.is_none(), "an error is the last thing of a stream");
                return (numbers, Some(error));
            }
        }
    }
    assert!(stream.next().await.is_none());
    (numbers, None)
}

/// What becomes of one scripted body.
async fn outcome_of(answer: Answer) -> (Vec<u64>, Option<Error>) {
    let fake = FakeTransport::new();
    fake.answer(answer);
    let client = fake.client();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    let read = read(&mut stream).await;
    assert_eq!(fake.open_streams(), 0, "a stream that has ended holds no connection");
    read
}

async fn error_of(answer: Answer) -> Error {
    outcome_of(answer).await.1.expect("the stream ended well")
}

#[tokio::test(start_paused = true)]
async fn events_come_in_their_order_until_done() {
    let (numbers, error) = outcome_of(Answer::events([ONE, TWO, DONE, ONE])).await;
    assert_eq!(numbers, [1, 2]);
    assert!(error.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_asks_for_one_and_has_the_headers_of_its_answer() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events([ONE, DONE]).header("agent-trace-id", "trc_7"));
    let client = fake.client();
    let stream =
        client.call(Talk::default()).session_ref("ses_1".parse::<zumik_client::types::SessionId>().unwrap());
    let stream = stream.stream().await.unwrap();
    assert_eq!(stream.meta().trace_id().unwrap().as_str(), "trc_7");

    let request = &fake.requests()[0];
    assert_eq!(request.json()["stream"], json!(true));
    assert_eq!(request.header("accept"), Some("text/event-stream"));
    assert_eq!(request.header("agent-session-ref"), Some("ses_1"));
    assert_eq!(request.idempotency_key(), Some("key-1"));
}

#[tokio::test(start_paused = true)]
async fn an_event_comes_when_it_is_sent_and_not_when_the_answer_ends() {
    let fake = FakeTransport::new();
    let minute = Duration::from_secs(60);
    fake.answer(Answer::stream([
        StreamPart::event(ONE),
        StreamPart::pause(minute),
        StreamPart::event(TWO),
        StreamPart::event(DONE),
    ]));
    let client = fake.client();
    let begun = tokio::time::Instant::now();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), Duration::ZERO);
    stream.next().await.unwrap().unwrap();
    assert_eq!(begun.elapsed(), minute);
}

#[tokio::test(start_paused = true)]
async fn a_response_ends_with_its_final_event_even_if_the_connection_stays() {
    let last = r#"{"type":"response.completed","n":9}"#;
    let parts = [StreamPart::event(ONE), StreamPart::event(last), StreamPart::hang()];
    let (numbers, error) = outcome_of(Answer::stream(parts)).await;
    assert_eq!(numbers, [1, 9]);
    assert!(error.is_none(), "{error:?}");
}

#[tokio::test(start_paused = true)]
async fn the_blank_line_behind_done_may_be_missing() {
    let parts = [StreamPart::event(ONE), StreamPart::bytes("data: [DONE]")];
    assert!(outcome_of(Answer::stream(parts)).await.1.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_just_stops_is_not_a_whole_answer() {
    for cut in ["", "data: {\"n\":2}\n", "data: {\"n\":"] {
        let (numbers, error) =
            outcome_of(Answer::stream([StreamPart::event(ONE), StreamPart::bytes(cut)])).await;
        let error = error.expect(cut);
        assert_eq!(numbers, [1], "{cut:?}");
        assert_eq!(error.kind(), ErrorKind::StreamTruncated, "{error}");
        assert_eq!(error.outcome(), Outcome::Ambiguous);
        assert!(!error.is_retryable());
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_in_the_middle_is_reported_and_never_repeated() {
    let fake = FakeTransport::new();
    fake.answer(Answer::stream([StreamPart::event(ONE), StreamPart::reset()]));
    fake.answer(Answer::events([ONE, DONE]));
    let client = fake.client();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    let (numbers, error) = read(&mut stream).await;
    let error = error.unwrap();
    assert_eq!(numbers, [1]);
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    assert_eq!(error.outcome(), Outcome::Ambiguous);
    assert_eq!(
        error.to_string(),
        "POST /v1/responses: 200: the connection to http://localhost broke in the middle of the answer: \
         connection reset by peer (1 attempt)"
    );
    assert!(error.source().is_none());
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_breaks_before_the_first_event_is_repeated_under_the_same_key() {
    let fake = FakeTransport::new();
    fake.answer(limited());
    fake.answer(Answer::reset());
    fake.answer(Answer::stream([StreamPart::bytes(": hello\n\nda"), StreamPart::reset()]));
    fake.answer(Answer::stream([]));
    fake.answer(Answer::events([ONE, DONE]));
    let client = fake.builder().max_retries(4).build().unwrap();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    assert_eq!(read(&mut stream).await.0, [1]);
    assert_eq!(stream.meta().attempts(), 5);
    let keys: Vec<_> = fake.requests().iter().map(|r| r.idempotency_key().unwrap().to_owned()).collect();
    assert_eq!(keys, ["key-1"; 5]);
}

#[tokio::test(start_paused = true)]
async fn an_error_before_the_stream_is_the_error_of_the_call() {
    let fake = FakeTransport::new();
    fake.answer(Answer::error(404, "invalid_request_error", "model_not_found"));
    let error = fake.client().call(Talk::default()).stream().await.unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.outcome(), Outcome::Rejected);
}

#[tokio::test(start_paused = true)]
async fn an_error_in_the_stream_is_an_error_of_the_api() {
    for (error_type, code, kind) in [
        ("api_error", "provider_error", ErrorKind::Server),
        ("api_error", "deadline_exceeded", ErrorKind::DeadlineExceeded),
        ("rate_limit_error", "rate_limit_exceeded", ErrorKind::RateLimited),
        ("insufficient_quota", "quota_exceeded", ErrorKind::QuotaExceeded),
        ("invalid_request_error", "", ErrorKind::BadRequest),
    ] {
        let frame =
            json!({ "error": { "message": "no luck", "type": error_type, "code": code } }).to_string();
        let error = error_of(Answer::events([ONE, &frame])).await;
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.error_type().unwrap().as_str(), error_type);
        assert_eq!(error.code().unwrap_or_default(), code);
        assert_eq!(error.outcome(), Outcome::Ambiguous);
        assert!(error.message().ends_with("no luck"));
    }
    let flat = r#"{"type":"error","code":"provider_error","message":"no luck","param":null}"#;
    assert_eq!(error_of(Answer::events([flat])).await.code(), Some("provider_error"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_no_json_keeps_its_bytes() {
    let error = error_of(Answer::events([ONE, "<html>"])).await;
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(error.body().as_ref(), b"<html>");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_says_what_it_is() {
    let fake = FakeTransport::new();
    fake.answer(Answer::json(json!({ "id": "resp_1" })));
    let error = fake.client().call(Talk::default()).stream().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert_eq!(error.outcome(), Outcome::Ambiguous);
    assert!(error.message().contains("application/json, not a stream of events"), "{error}");
    assert_eq!(error.body().as_ref(), b"{\"id\":\"resp_1\"}");
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_no_stream_is_not_printed() {
    let fake = FakeTransport::new();
    for body in [r#"{"text":"hush-hush"}"#, "data: {\"text\":\"hush-hush\"}\n\n", "hush-hush"] {
        fake.answer(Answer::bytes(body));
        let error = fake.client().call(Talk::default()).stream().await.unwrap_err();
        assert_eq!(error.body().as_ref(), body.as_bytes());
        let printed = format!("{error} {error:?}");
        assert!(printed.contains("text/plain, not a stream") && !printed.contains("hush"), "{printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_over_the_limit_is_an_error() {
    let fake = FakeTransport::new();
    let large = format!("\"{}\"", "x".repeat(1000));
    fake.answer(Answer::events([ONE, &large, DONE])).answer(Answer::events([&large]));
    let client = fake.builder().max_event_bytes(500).build().unwrap();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    assert_eq!(read(&mut stream).await.1.unwrap().kind(), ErrorKind::Decode);
    let error = client.call(Talk::default()).stream().await.unwrap_err();
    assert_eq!(error.message(), "an event of the stream is larger than 500 bytes");
}

#[tokio::test(start_paused = true)]
async fn the_first_event_has_a_time_limit_for_each_attempt() {
    let fake = FakeTransport::new();
    fake.answer(Answer::stream([StreamPart::bytes(":\n"), StreamPart::hang()]));
    fake.answer(Answer::hang());
    let client = fake.client();
    let call = client.call(Talk::default()).first_event_timeout(Duration::from_secs(7)).max_retries(1);
    let error = call.stream().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!((error.outcome(), error.attempts()), (Outcome::Ambiguous, 2));
    assert_eq!(fake.requests()[1].at, Duration::from_millis(7250));
    assert_eq!(fake.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn silence_in_the_stream_has_a_limit_and_any_sign_of_life_begins_it_anew() {
    let (limit, nearly) = (Duration::from_secs(10), Duration::from_secs(9));
    let fake = FakeTransport::new();
    fake.answer(Answer::stream([
        StreamPart::event(ONE),
        StreamPart::pause(nearly),
        StreamPart::bytes(": still here\n"),
        StreamPart::pause(nearly),
        StreamPart::event(TWO),
        StreamPart::hang(),
    ]));
    let client = fake.builder().idle_timeout(limit).build().unwrap();
    let begun = tokio::time::Instant::now();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    let (numbers, error) = read(&mut stream).await;
    let error = error.unwrap();
    assert_eq!(numbers, [1, 2]);
    assert_eq!(error.kind(), ErrorKind::StreamIdle);
    assert!(error.is_timeout());
    assert_eq!(begun.elapsed(), nearly * 2 + limit);
    assert_eq!(fake.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_takes_its_time_is_not_silence() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events([ONE, TWO, DONE]));
    let client = fake.builder().idle_timeout(Duration::from_secs(1)).build().unwrap();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    assert!(read(&mut stream).await.1.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_stream_may_last_longer_than_the_deadline_of_its_call() {
    let fake = FakeTransport::new();
    let pause = StreamPart::pause(Duration::from_secs(4));
    let parts =
        [StreamPart::event(ONE), pause.clone(), StreamPart::event(TWO), pause, StreamPart::event(DONE)];
    fake.answer(Answer::stream(parts));
    let client = fake.client();
    let mut stream = client.call(Talk::default()).timeout(Duration::from_secs(5)).stream().await.unwrap();
    assert!(read(&mut stream).await.1.is_none());
}

#[tokio::test(start_paused = true)]
async fn dropping_a_stream_closes_its_connection() {
    let fake = FakeTransport::new();
    fake.answer(Answer::stream([StreamPart::event(ONE), StreamPart::hang()]));
    let client = fake.client();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(fake.open_streams(), 1);
    drop(stream);
    assert_eq!(fake.open_streams(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_placeholder_is_refused_before_its_first_event_is_seen() {
    let fake = FakeTransport::new();
    let answer = Answer::events([ONE, DONE]).header("agent-execution-mode", "placeholder");
    fake.answer(answer.clone()).answer(answer);
    let client = fake.builder().reject_placeholder(true).build().unwrap();
    let error = client.call(Talk::default()).stream().await.unwrap_err();
    assert!(error.is_placeholder());
    assert_eq!(fake.open_streams(), 0);

    let mut stream = client.call(Talk::default()).reject_placeholder(false).stream().await.unwrap();
    assert_eq!(read(&mut stream).await.0, [1]);
}

#[tokio::test(start_paused = true)]
async fn neither_a_stream_nor_its_errors_print_what_a_model_said() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events([r#"{"n":1,"text":"hush-hush"}"#, r#"["hush-hush"#]));
    let client = fake.client();
    let mut stream = client.call(Talk::default()).stream().await.unwrap();
    let error = read(&mut stream).await.1.unwrap();
    let printed = format!("{stream:?} {error:?} {error}");
    assert!(!printed.contains("hush"), "{printed}");
}
