//! What an error says, and what it makes of answers that are not what they should be.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use zumik_client::testing::{Answer, FakeTransport, StreamPart};
use zumik_client::transport::TransportError;
use zumik_client::types::{ErrorType, EventId};
use zumik_client::{BranchPosition, Error, ErrorKind, Method, Outcome};

use crate::common::*;

async fn error_of(answer: Answer) -> Error {
    let fake = FakeTransport::new();
    fake.answer(answer);
    fake.client().call(Append).max_retries(0).await.unwrap_err()
}

#[test]
fn an_error_is_one_pointer() {
    assert_eq!(size_of::<Error>(), size_of::<usize>());
    assert_eq!(size_of::<Result<(), Error>>(), size_of::<usize>());
}

#[tokio::test(start_paused = true)]
async fn an_error_says_everything_in_one_line() {
    let answer = Answer::branch_conflict("br_1", 18, "evt_18")
        .message("The branch is at version 18,\nnot 17.")
        .header("agent-trace-id", "trc_1");
    insta::assert_snapshot!(
        error_of(answer).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: 409 branch_version_conflict: The branch is at version 18, not 17. (trace trc_1, 1 attempt)"
    );
    insta::assert_snapshot!(
        error_of(Answer::refused()).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: cannot connect to http://localhost: connection refused (not sent, 1 attempt)"
    );
    insta::assert_snapshot!(
        error_of(Answer::reset()).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: the connection to http://localhost broke: connection reset by peer (ambiguous, 1 attempt)"
    );
    insta::assert_snapshot!(
        error_of(Answer::hang()).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: http://localhost did not answer within 60 s, the limit of one attempt (ambiguous, 1 attempt)"
    );
    let page = "<html>\n <body>Bad gateway</body>\n</html>";
    insta::assert_snapshot!(
        error_of(Answer::bytes(page).status(502)).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: 502 Bad Gateway: the answer is not an error of the API: <html> <body>Bad gateway</body> </html> (1 attempt)"
    );
    insta::assert_snapshot!(
        error_of(Answer::json(json!({ "done": true })).breaking_off()).await,
        @"POST /v2/sessions/{session_id}/branches/{branch_id}/events: the connection to http://localhost broke: connection reset by peer (ambiguous, 1 attempt)"
    );
}

#[tokio::test(start_paused = true)]
async fn a_time_that_is_over_is_told_with_what_set_it() {
    let fake = FakeTransport::new();
    fake.answer(Answer::hang());
    let client = fake.client();
    let call = client.v1().chat().completions().create("code.fast", ["Why?"]);
    let error = call.timeout(Duration::from_millis(300)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.message(), "http://localhost did not answer within 0.3 s, the timeout of the call");

    fake.answer(Answer::hang());
    let call = client.v1().chat().completions().create("code.fast", ["Why?"]);
    let error = call.first_event_timeout(Duration::from_secs(2)).max_retries(0).stream().await.unwrap_err();
    assert_eq!(
        error.message(),
        "http://localhost did not answer within 2 s, the limit until the first event"
    );
}

#[tokio::test(start_paused = true)]
async fn every_member_of_the_envelope_can_be_read() {
    let answer = Answer::error(400, "invalid_request_error", "")
        .error_member("param", json!("event.payload_ref"))
        .message("No such artifact.")
        .header("x-request-id", "trc_9");
    let error = error_of(answer).await;
    assert_eq!(error.error_type(), Some(&ErrorType::InvalidRequestError));
    assert_eq!((error.code(), error.param()), (None, Some("event.payload_ref")));
    assert_eq!(error.message(), "No such artifact.");
    assert_eq!(error.trace_id().unwrap().as_str(), "trc_9");
    assert_eq!(error.operation().unwrap(), "POST /v2/sessions/{session_id}/branches/{branch_id}/events");
    assert!(error.body().starts_with(b"{"));
}

#[tokio::test(start_paused = true)]
async fn envelopes_with_missing_odd_or_no_members_still_give_an_error() {
    let rows = [
        (json!({}), "the answer is not an error of the API: JSON of 2 bytes", None),
        (json!({ "error": null }), "the answer is not an error of the API: JSON of 14 bytes", None),
        (json!({ "error": "nope" }), "nope", None),
        (json!({ "error": { "message": "m" } }), "m", None),
        (
            json!({ "error": { "message": 5, "type": 7, "code": [] } }),
            "the answer is not an error of the API",
            None,
        ),
        (
            json!({ "error": { "message": "m", "type": "new_error", "code": "new_code" } }),
            "m",
            Some("new_code"),
        ),
        (json!({ "error": { "message": "m", "type": "t", "code": "t" } }), "m", None),
        (json!([1]), "the answer is not an error of the API: JSON of 3 bytes", None),
    ];
    for (body, message, code) in rows {
        let error = error_of(Answer::json(&body).status(404)).await;
        assert_eq!(error.kind(), ErrorKind::NotFound, "{body}");
        assert!(error.message().starts_with(message), "{body}: {}", error.message());
        assert_eq!(error.code(), code, "{body}");
    }
    let error = error_of(Answer::bytes("").status(503)).await;
    assert_eq!(error.message(), "the answer has no body");
}

#[tokio::test(start_paused = true)]
async fn an_excerpt_of_a_long_page_is_short_and_cut_between_characters() {
    let error = error_of(Answer::bytes("ä".repeat(100_000)).status(500)).await;
    assert!(error.message().ends_with("ää…"));
    assert!(error.message().chars().count() < 220);
    assert_eq!(error.body().len(), 64 << 10, "of the body itself the beginning is kept");
}

#[tokio::test(start_paused = true)]
async fn a_conflict_tells_what_was_expected_and_what_is() {
    let error = error_of(Answer::branch_conflict("br_1", 18, "evt_18")).await;
    let conflict = error.branch_conflict().unwrap();
    let head = |id: &str| Some(id.parse::<EventId>().unwrap());
    assert_eq!(conflict.expected, BranchPosition::new(17, head("evt_17")));
    assert_eq!(conflict.current, Some(BranchPosition::new(18, head("evt_18"))));
    assert_eq!(conflict.to_string(), "expected version 17 (evt_17), is at version 18 (evt_18)");

    let error = error_of(Answer::error(409, "invalid_request_error", "branch_version_conflict")).await;
    assert_eq!(error.branch_conflict().unwrap().current, None, "a server need not say");
}

#[tokio::test(start_paused = true)]
async fn a_success_that_does_not_decode_keeps_its_bytes_and_the_place() {
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code)]
    struct Item {
        count: u64,
    }
    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code)]
    struct Page {
        data: Vec<Item>,
    }
    let fake = FakeTransport::new();
    let body = json!({ "data": [{ "count": 1 }, { "count": "canary" }] });
    fake.answer(Answer::json(&body).header("agent-trace-id", "trc_1"));
    let error = fake.client().request(Method::GET, "/v2/pages").send_as::<Page>().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Decode, Outcome::Ambiguous));
    assert_eq!(error.decode_path(), Some("data[1].count"));
    assert_eq!(error.body().as_ref(), body.to_string().as_bytes());
    insta::assert_snapshot!(
        error,
        @r#"GET /v2/pages: 200: the answer is not what the contract says at `data[1].count`: invalid type: string "…", expected u64 at line 1 column 38 (trace trc_1, 1 attempt)"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_success_with_garbage_behind_it_or_nothing_in_it_does_not_decode() {
    let bodies: [(&[u8], &str); 5] = [
        (b"", "."),
        (b"{} {}", "."),
        (b"<html>", "."),
        (b"{\"data\":", "data"),
        (b"{\"data\": 1, \"text\": \"no UTF-8: \xff\"}", "text"),
    ];
    for (body, path) in bodies {
        let fake = FakeTransport::new();
        fake.answer(Answer::bytes(body));
        let client = fake.client();
        let call = client.request(Method::GET, "/v2/pages");
        let error = call.send_as::<BTreeMap<String, u8>>().await.unwrap_err();
        assert_eq!((error.kind(), error.decode_path()), (ErrorKind::Decode, Some(path)), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_cause_can_be_downcast_and_is_not_said_twice() {
    let error = error_of(Answer::reset()).await;
    let cause = error.cause().unwrap().downcast_ref::<TransportError>().unwrap();
    assert!(cause.may_have_been_sent());
    assert!(std::error::Error::source(&error).is_none());
}

#[tokio::test(start_paused = true)]
async fn an_error_answer_that_is_json_of_another_kind_does_not_repeat_the_request() {
    let body = json!({ "detail": [{ "loc": ["body", "input"], "input": "hush-hush" }] });
    for body in [body.to_string(), format!("\u{feff}\n {body}"), "\"hush-hush\"".to_owned()] {
        let error = error_of(Answer::bytes(body.clone()).status(422)).await;
        let printed = format!("{error} {error:?}");
        assert!(!printed.contains("hush"), "{printed}");
        assert_eq!(error.body().as_ref(), body.as_bytes(), "whoever wants it has it");
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_answer_whose_body_stalls_keeps_its_status() {
    let begun = tokio::time::Instant::now();
    let half = StreamPart::bytes(r#"{"error":{"#);
    let error = error_of(Answer::stream([half, StreamPart::hang()]).status(401)).await;
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Authentication, Outcome::Rejected), "{error}");
    assert_eq!(error.body().as_ref(), br#"{"error":{"#, "what came is kept");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn an_error_answer_whose_body_stalls_is_not_repeated_as_a_lost_one() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::stream([StreamPart::bytes("{"), StreamPart::hang()]).status(401));
    let error = fake.client().call(Append).attempt_timeout(Duration::from_secs(1)).await.unwrap_err();
    assert!(error.is_authentication(), "{error}");
    assert_eq!(fake.requests().len(), 1);

    let limited = Answer::stream([StreamPart::hang()]).status(429).header("retry-after", "600");
    fake.fallback(move |_| limited.clone());
    let error = fake.client().call(Append).attempt_timeout(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!((error.kind(), error.retry_after()), (ErrorKind::RateLimited, Some(Duration::from_secs(600))));
}

#[tokio::test(start_paused = true)]
async fn of_an_error_answer_without_end_the_beginning_is_kept() {
    let parts = || std::iter::repeat_n(StreamPart::bytes("x".repeat(10_000)), 1000).collect::<Vec<_>>();
    let error = error_of(Answer::stream(parts()).status(500)).await;
    assert_eq!((error.kind(), error.body().len()), (ErrorKind::Server, 64 << 10));
}

#[tokio::test(start_paused = true)]
async fn an_answer_over_the_limit_is_an_error_before_it_is_all_there() {
    let fake = FakeTransport::new();
    let parts = [StreamPart::bytes("x".repeat(600)), StreamPart::bytes("x".repeat(600)), StreamPart::hang()];
    fake.answer(Answer::stream(parts))
        .answer(Answer::bytes("x".repeat(1001)))
        .answer(Answer::bytes("x".repeat(1000)));
    let client = fake.client();
    for _ in 0..2 {
        let error = client.request(Method::GET, "/v2/pages").max_body_bytes(1000).send().await.unwrap_err();
        assert_eq!((error.kind(), error.outcome()), (ErrorKind::Decode, Outcome::Ambiguous));
        assert_eq!(error.message(), "the answer is longer than 1000 bytes");
        assert!(error.body().len() <= 1000);
    }
    assert_eq!(fake.open_streams(), 0);
    let whole = client.request(Method::GET, "/v2/pages").max_body_bytes(1000).send().await.unwrap();
    assert_eq!(whole.len(), 1000);
    assert_eq!(fake.requests().len(), 3, "none of them is repeated");
}

#[tokio::test(start_paused = true)]
async fn an_error_and_an_answer_tell_the_key_that_the_client_made() {
    let fake = FakeTransport::new();
    fake.answer(Answer::reset()).answer(Answer::error(500, "api_error", "internal_error")).answer(done());
    fake.answer(done()).answer(Answer::refused());
    let client = fake.client();
    let call = || client.call(Create).max_retries(0);
    let lost = call().await.unwrap_err();
    assert_eq!((lost.kind(), lost.idempotency_key()), (ErrorKind::Interrupted, Some("key-1")));
    assert_eq!(call().await.unwrap_err().idempotency_key(), Some("key-2"));
    assert_eq!(call().send().await.unwrap().meta().idempotency_key(), Some("key-3"));
    assert_eq!(client.call(List).send().await.unwrap().meta().idempotency_key(), None, "a GET has none");
    assert_eq!(call().idempotency_key("mine").await.unwrap_err().idempotency_key(), Some("mine"));
}
