//! The retry table: attempts, delays and keys of every row, under paused time.

use std::time::Duration;

use crate::common::*;
use http::StatusCode;
use serde_json::{Value, json};
use zumik_client::endpoint::Endpoint;
use zumik_client::testing::{Answer, FakeTransport, RecordedRequest};
use zumik_client::{Error, ErrorKind, Outcome, Result, Zumik};

/// What a call did: its result, when each attempt was made (milliseconds), and under which keys.
struct Run {
    result: Result<Value>,
    at: Vec<u64>,
    keys: Vec<Option<String>>,
    requests: Vec<RecordedRequest>,
}

impl Run {
    fn error(&self) -> &Error {
        self.result.as_ref().unwrap_err()
    }
}

async fn run<E: Endpoint<Output = Value>>(endpoint: E, answers: impl IntoIterator<Item = Answer>) -> Run {
    run_with(|client| client, endpoint, answers).await
}

async fn run_with<E: Endpoint<Output = Value>>(
    set_up: impl FnOnce(Zumik) -> Zumik,
    endpoint: E,
    answers: impl IntoIterator<Item = Answer>,
) -> Run {
    let fake = FakeTransport::new();
    for answer in answers {
        fake.answer(answer);
    }
    let result = set_up(fake.client()).call(endpoint).await;
    assert_eq!(fake.answers_left(), 0, "not all answers were asked for");
    let requests = fake.requests();
    Run {
        result,
        at: requests.iter().map(|request| request.at.as_millis() as u64).collect(),
        keys: requests.iter().map(|request| request.idempotency_key().map(str::to_owned)).collect(),
        requests,
    }
}

/// The jitter of the fake is 0.5, 0.25, 0.75…: back-offs of 250 ms (of 500), 250 ms (of 1000), 1500 ms (of 2000).
const BACKED_OFF: [u64; 3] = [0, 250, 500];

#[tokio::test(start_paused = true)]
async fn a_connection_that_cannot_be_opened_is_tried_again_for_every_method() {
    for run in [
        run(List, [Answer::refused(), Answer::refused(), done()]).await,
        run(Delete, [Answer::refused(), Answer::refused(), done()]).await,
        run(Create, [Answer::refused(), Answer::refused(), done()]).await,
        run(Append, [Answer::refused(), Answer::refused(), done()]).await,
    ] {
        assert!(run.result.is_ok());
        assert_eq!(run.at, BACKED_OFF);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_unreachable_is_given_up_as_not_sent() {
    let run = run(Create, [Answer::refused(), Answer::refused(), Answer::refused()]).await;
    let error = run.error();
    assert_eq!((error.kind(), error.outcome(), error.attempts()), (ErrorKind::Connect, Outcome::NotSent, 3));
    assert!(error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn throughput_is_waited_for_as_long_as_the_server_says() {
    let run = run(
        Create,
        [limited().header("retry-after", "2"), limited().header("retry-after-ms", "700"), done()],
    )
    .await;
    assert!(run.result.is_ok());
    assert_eq!(run.at, [0, 2000, 2700]);
    assert_eq!(run.keys, vec![Some("key-1".to_owned()); 3]);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_that_is_a_date_is_measured_against_the_server_s_own_clock() {
    let answer = limited()
        .header("date", "Fri, 31 Dec 1999 23:59:50 GMT")
        .header("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT");
    assert_eq!(run(List, [answer, done()]).await.at, [0, 9000]);
    // The fake's day begins at 16:00:00.
    let answer = limited().header("retry-after", "Mon, 15 Jun 2026 16:00:04 GMT");
    assert_eq!(run(List, [answer, done()]).await.at, [0, 4000]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_of_more_than_a_minute_is_returned_and_not_slept() {
    let run = run(List, [limited().header("retry-after", "61")]).await;
    let error = run.error();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(error.retry_after(), Some(Duration::from_secs(61)));
    assert!(error.is_retryable() && error.is_rate_limited());
}

#[tokio::test(start_paused = true)]
async fn money_is_never_waited_for() {
    let quota = run(Generate, [Answer::error(429, "insufficient_quota", "quota_exceeded")]).await;
    assert_eq!((quota.error().kind(), quota.error().is_retryable()), (ErrorKind::QuotaExceeded, false));
    let credits = run(Generate, [Answer::error(402, "invalid_request_error", "credits_required")]).await;
    assert_eq!(
        (credits.error().kind(), credits.error().is_out_of_funds()),
        (ErrorKind::CreditsRequired, true)
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_server_is_asked_again_with_the_same_key_and_the_same_bytes() {
    for status in [408, 500, 502, 503, 504] {
        let fault = || Answer::error(status, "api_error", "internal_error");
        for run in [
            run(List, [fault(), fault(), done()]).await,
            run(Delete, [fault(), fault(), done()]).await,
            run(Count, [fault(), fault(), done()]).await,
            run(Cancel, [fault(), fault(), done()]).await,
            run(Create, [fault(), fault(), done()]).await,
            run(Append, [fault(), fault(), done()]).await,
        ] {
            assert!(run.result.is_ok(), "{status}");
            assert_eq!(run.at, BACKED_OFF, "{status}");
            assert!(run.keys.iter().all(|key| *key == run.keys[0]));
            assert!(run.requests.iter().all(|request| request.body == run.requests[0].body));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_the_caller_set_for_the_model_is_not_tried_again() {
    let run = run(Generate, [Answer::error(504, "api_error", "deadline_exceeded")]).await;
    let error = run.error();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::DeadlineExceeded, Outcome::Rejected));
    assert!(!error.is_retryable());
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_asked_for_again_under_the_same_key() {
    for run in [
        run(Create, [Answer::reset(), done()]).await,
        run(Append, [Answer::reset(), done()]).await,
        run(Create, [done().breaking_off(), done()]).await,
    ] {
        assert!(run.result.is_ok());
        assert_eq!(run.at, [0, 250]);
        assert_eq!(run.keys, [Some("key-1".to_owned()), Some("key-1".to_owned())]);
        assert_eq!(run.requests[0].body, run.requests[1].body);
    }
    for run in [run(List, [Answer::reset(), done()]).await, run(Delete, [Answer::reset(), done()]).await] {
        assert!(run.result.is_ok());
        assert_eq!(run.keys, [None, None], "only a POST carries a key");
    }
}

#[tokio::test(start_paused = true)]
async fn a_post_that_carries_no_key_is_not_repeated_when_it_may_have_happened() {
    let patch = |answers: Vec<Answer>| async {
        let fake = FakeTransport::new();
        for answer in answers {
            fake.answer(answer);
        }
        let result = fake.client().request(http::Method::PATCH, "/v2/thing").json(&json!({})).send().await;
        (result.map(drop), fake.requests())
    };
    let (result, requests) = patch(vec![Answer::reset()]).await;
    assert_eq!(result.unwrap_err().outcome(), Outcome::Ambiguous);
    assert_eq!((requests.len(), requests[0].idempotency_key()), (1, None));
    let (result, _) = patch(vec![Answer::error(500, "api_error", "internal_error")]).await;
    assert!(!result.unwrap_err().is_retryable());
    // A server that sheds load has not begun.
    let (result, requests) = patch(vec![Answer::error(503, "api_error", "overloaded"), done()]).await;
    assert!(result.is_ok());
    assert_eq!(requests.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_takes_too_long_is_given_up_and_repeated() {
    let limit = Duration::from_secs(5);
    let run = run_with(|zk| zk.with(|o| o.attempt_timeout(limit)), Create, [Answer::hang(), done()]).await;
    assert!(run.result.is_ok());
    assert_eq!(run.at, [0, 5250]);
}

#[tokio::test(start_paused = true)]
async fn without_a_setting_an_attempt_may_take_a_minute_and_a_generation_all_the_time_there_is() {
    let late = || done().after(Duration::from_secs(59));
    assert_eq!(run(List, [late()]).await.at, [0]);
    assert_eq!(run(List, [Answer::hang(), done()]).await.at, [0, 60_250]);
    let run = run(Generate, [done().after(Duration::from_secs(599))]).await;
    assert!(run.result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_the_call_ends_an_attempt_and_every_wait() {
    let limit = Duration::from_secs(3);
    let hanging = run_with(|zk| zk.with(|o| o.timeout(limit)), Create, [Answer::hang()]).await;
    let error = hanging.error();
    assert_eq!(
        (error.kind(), error.outcome(), error.attempts()),
        (ErrorKind::Timeout, Outcome::Ambiguous, 1)
    );
    assert!(error.is_timeout() && error.is_retryable());

    let answer = limited().header("retry-after", "3");
    let waiting = run_with(|zk| zk.with(|o| o.timeout(limit)), Create, [answer]).await;
    assert_eq!(waiting.error().kind(), ErrorKind::RateLimited, "the last answer says more than a timeout");
}

#[tokio::test(start_paused = true)]
async fn a_key_in_flight_is_asked_for_until_the_deadline_however_few_retries_are_left() {
    let mut answers = vec![Answer::hang(), Answer::hang()];
    answers.extend((0..20).map(|_| in_flight()));
    answers.push(done());
    let run = run_with(|zk| zk.with(|o| o.attempt_timeout(Duration::from_secs(2))), Generate, answers).await;
    assert!(run.result.is_ok());
    assert_eq!(run.keys, vec![Some("key-1".to_owned()); 23]);
    assert!(run.at.windows(2).skip(2).all(|pair| pair[1] - pair[0] >= 1000), "Retry-After is a lower bound");
}

#[tokio::test(start_paused = true)]
async fn a_key_that_stays_in_flight_ends_with_the_deadline() {
    let fake = FakeTransport::new();
    fake.fallback(|_| in_flight());
    let error = fake.client().call(Create).timeout(Duration::from_secs(30)).await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::KeyInFlight, Outcome::Ambiguous));
    assert!(error.is_retryable() && error.attempts() > 3);
}

#[tokio::test(start_paused = true)]
async fn other_client_errors_are_returned_at_once() {
    let rows = [
        (400, "invalid_request_error", "", ErrorKind::BadRequest),
        (401, "invalid_request_error", "invalid_api_key", ErrorKind::Authentication),
        (403, "invalid_request_error", "insufficient_scope", ErrorKind::Permission),
        (404, "invalid_request_error", "", ErrorKind::NotFound),
        (405, "invalid_request_error", "method_not_allowed", ErrorKind::Status),
        (409, "invalid_request_error", "branch_version_conflict", ErrorKind::BranchConflict),
        (409, "invalid_request_error", "session_not_active", ErrorKind::Conflict),
        (413, "invalid_request_error", "request_too_large", ErrorKind::TooLarge),
        (422, "idempotency_conflict", "idempotency_key_reused", ErrorKind::KeyReused),
        (501, "api_error", "not_configured", ErrorKind::Server),
    ];
    for (status, error_type, code, kind) in rows {
        let run = run(Append, [Answer::error(status, error_type, code)]).await;
        let error = run.error();
        assert_eq!((error.kind(), error.outcome()), (kind, Outcome::Rejected), "{status}");
        assert_eq!((error.attempts(), error.is_retryable()), (1, false), "{status}");
        assert_eq!(error.status(), Some(StatusCode::from_u16(status).unwrap()));
        assert_eq!(error.code(), Some(code).filter(|code| !code.is_empty()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_redirect_is_an_error_and_is_never_followed() {
    let answer = Answer::bytes("").status(307).header("location", "https://elsewhere.example/");
    let run = run(Create, [answer]).await;
    assert_eq!(run.error().kind(), ErrorKind::Status);
    assert_eq!(run.requests.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_missing_object_counts_as_deleted_after_a_delete_that_may_have_arrived() {
    let missing = || Answer::error(404, "invalid_request_error", "");
    for lost in [Answer::reset(), Answer::error(502, "api_error", "provider_error"), done().breaking_off()] {
        let run = run(Delete, [lost, missing()]).await;
        assert_eq!(run.result.unwrap(), json!({ "id": "art_1", "deleted": true }));
    }
    for rejected in [Answer::refused(), limited()] {
        let run = run(Delete, [rejected, missing()]).await;
        assert_eq!(run.error().kind(), ErrorKind::NotFound, "no delete has arrived");
    }
}

#[tokio::test(start_paused = true)]
async fn the_outcome_of_a_call_is_the_worst_of_its_attempts() {
    let conflict = || Answer::branch_conflict("br_1", 18, "evt_18");
    assert_eq!(run(Append, [conflict()]).await.error().outcome(), Outcome::Rejected);
    assert_eq!(run(Append, [Answer::reset(), conflict()]).await.error().outcome(), Outcome::Ambiguous);
    assert_eq!(run(Append, [Answer::refused(), conflict()]).await.error().outcome(), Outcome::Rejected);
    let run = run(Append, [Answer::reset(), Answer::refused(), Answer::refused()]).await;
    assert_eq!((run.error().kind(), run.error().outcome()), (ErrorKind::Connect, Outcome::Ambiguous));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_retries_can_be_set_for_a_client_and_for_a_call() {
    let none = run_with(|zk| zk.with(|o| o.max_retries(0)), List, [Answer::refused()]).await;
    assert_eq!(none.error().attempts(), 1);
    let polling = run_with(|zk| zk.with(|o| o.max_retries(0)), Create, [in_flight()]).await;
    assert_eq!(polling.error().attempts(), 1, "with 0 nothing is repeated");

    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::refused());
    assert_eq!(fake.client().call(List).max_retries(5).await.unwrap_err().attempts(), 6);
}

#[tokio::test(start_paused = true)]
async fn each_call_has_its_own_key_unless_the_caller_sets_one() {
    let fake = FakeTransport::new();
    fake.fallback(|_| done());
    let client = fake.client();
    let call = client.call(Create);
    call.clone().await.unwrap();
    call.await.unwrap();
    let call = client.call(Create).idempotency_key("mine");
    call.clone().await.unwrap();
    call.await.unwrap();
    let requests = fake.requests();
    let keys: Vec<_> = requests.iter().map(|request| request.idempotency_key().unwrap()).collect();
    assert_eq!(keys, ["key-1", "key-2", "mine", "mine"]);
}

#[tokio::test(start_paused = true)]
async fn an_outage_is_not_multiplied_beyond_the_budget_that_all_clones_share() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::error(503, "api_error", "overloaded"));
    let client = fake.client();
    for _ in 0..100 {
        let variant = client.clone().with(|o| o.timeout(Duration::from_secs(100)));
        variant.call(List).await.unwrap_err();
    }
    assert_eq!(fake.requests().len(), 100 + 50, "one attempt each, and 50 retries in all");

    fake.fallback(|_| done());
    for _ in 0..10 {
        client.call(List).await.unwrap();
    }
    fake.answer(Answer::error(503, "api_error", "overloaded"));
    client.call(List).await.unwrap();
}
