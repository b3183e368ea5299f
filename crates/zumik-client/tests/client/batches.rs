//! Batches: from typed requests to typed results.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use zumik_client::testing::{Answer, FakeTransport, RecordedRequest, StreamPart};
use zumik_client::types::{BatchId, CreateChatCompletionRequest, json_object};
use zumik_client::{ErrorKind, Outcome};

fn request(question: &str) -> CreateChatCompletionRequest {
    CreateChatCompletionRequest::new("code.fast", [question])
}

fn batch(status: &str, more: Value) -> Value {
    let mut batch = json!({
        "id": "batch_1", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "file-in",
        "completion_window": "24h", "status": status, "created_at": 1, "metadata": {},
        "request_counts": { "total": 3, "completed": 0, "failed": 0 },
    });
    batch.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    batch
}

fn completed() -> Value {
    batch(
        "completed",
        json!({
            "output_file_id": "file-out", "error_file_id": "file-err",
            "request_counts": { "total": 3, "completed": 1, "failed": 2 },
        }),
    )
}

fn answered(custom_id: &str, status: u16, body: Value) -> String {
    let response = json!({ "status_code": status, "request_id": format!("trc_{custom_id}"), "body": body });
    json!({ "id": "batch_req_1", "custom_id": custom_id, "response": response, "error": null }).to_string()
}

fn completion(text: &str) -> Value {
    json!({
        "id": "chatcmpl-rsp_1", "object": "chat.completion", "created": 7, "model": "code.fast",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": text }, "finish_reason": "stop" }],
    })
}

fn broke() -> String {
    let error = json!({ "message": "empty", "type": "invalid_request_error", "code": "credits_required" });
    answered("b", 402, json!({ "error": error }))
}

fn never_ran(code: &str) -> String {
    let error = json!({ "code": code, "message": "The batch was cancelled before this line ran." });
    json!({ "id": "batch_req_3", "custom_id": "c", "response": null, "error": error }).to_string()
}

/// A server with one batch. `states` are what it answers when it is asked for it, the last one for good.
fn server(states: Vec<Value>, output: Vec<StreamPart>) -> FakeTransport {
    let fake = FakeTransport::new();
    let states = Mutex::new(states);
    let errors = format!("{}\n{}", broke(), never_ran("batch_cancelled"));
    fake.fallback(move |request: &RecordedRequest| match request.path.as_str() {
        "/v1/files" => {
            let file = json!({ "id": "file-in", "object": "file", "bytes": 1, "created_at": 1, "filename": "batch.jsonl", "purpose": "batch" });
            Answer::json(file)
        }
        "/v1/batches" => Answer::json(batch("validating", json!({}))),
        "/v1/batches/batch_1" => {
            let mut states = states.lock().unwrap();
            let state = if states.len() > 1 { states.remove(0) } else { states[0].clone() };
            Answer::json(state)
        }
        "/v1/files/file-out/content" => Answer::stream(output.clone()),
        "/v1/files/file-err/content" => Answer::bytes(errors.clone()),
        path => Answer::error(404, "invalid_request_error", "").message(path),
    });
    fake
}

fn output() -> Vec<StreamPart> {
    vec![StreamPart::bytes(answered("a", 200, completion("Hi.")) + "\n")]
}

#[tokio::test(start_paused = true)]
async fn a_batch_runs_from_typed_requests_to_typed_results() {
    let fake =
        server(vec![batch("validating", json!({})), batch("in_progress", json!({})), completed()], output());
    let client = fake.client();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let progress = seen.clone();
    let results = client
        .v1()
        .batches()
        .run([("a", request("hi")), ("b", request("yo")), ("c", request("hm"))])
        .metadata(json_object!({ "run": "nightly" }))
        .on_progress(move |batch| {
            let counts = &batch.request_counts;
            let line = format!(
                "{} {} {}/{}",
                batch.id,
                batch.status,
                counts.completed + counts.failed,
                counts.total
            );
            progress.lock().unwrap().push(line);
        })
        .await
        .unwrap();
    assert_eq!(results.batch().id.as_str(), "batch_1");
    let lines = results.collect().await.unwrap();

    let ids: Vec<_> = lines.iter().map(|line| line.custom_id.as_str()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert_eq!(lines[0].result.as_ref().unwrap().text(), Some("Hi."));
    assert_eq!(lines[0].trace_id.as_ref().unwrap().as_str(), "trc_a");

    let refused = lines[1].result.as_ref().unwrap_err();
    assert!(refused.is_out_of_funds());
    assert_eq!((refused.status().unwrap().as_u16(), refused.outcome()), (402, Outcome::Rejected));
    assert_eq!(
        refused.to_string(),
        "POST /v1/chat/completions: 402 credits_required: empty (trace trc_b, 1 attempt)"
    );
    let never = lines[2].result.as_ref().unwrap_err();
    assert_eq!((never.kind(), never.code()), (ErrorKind::BatchLineNotRun, Some("batch_cancelled")));
    assert!(never.is_retryable());

    assert_eq!(
        *seen.lock().unwrap(),
        [
            "batch_1 validating 0/3",
            "batch_1 validating 0/3",
            "batch_1 in_progress 0/3",
            "batch_1 completed 3/3"
        ]
    );
    let requests = fake.requests();
    let upload = String::from_utf8_lossy(&requests[0].body).into_owned();
    let line = r#"{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{"model":"code.fast","messages":[{"role":"user","content":"yo"}]}}"#;
    assert!(upload.contains(line), "{upload}");
    assert_eq!(requests[1].json()["metadata"], json!({ "run": "nightly" }));
    assert_eq!(requests[1].json()["endpoint"], "/v1/chat/completions");
}

#[tokio::test]
async fn bad_input_is_refused_before_anything_is_sent() {
    let fake = FakeTransport::new();
    let client = fake.client();
    let batches = client.v1().batches();
    let long = "x".repeat(257);
    for (requests, message) in [
        (
            vec![("a".to_owned(), request("1")), ("a".to_owned(), request("2"))],
            "custom_id that another one has",
        ),
        (vec![(String::new(), request("1"))], "1 to 256 characters"),
        (vec![(long, request("1"))], "1 to 256 characters"),
        (vec![("a".to_owned(), request("1").stream(true))], "asks for a stream"),
        (vec![], "at least one request"),
    ] {
        let error = batches.run(requests).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Request);
        assert!(error.message().contains(message), "{error}");
    }
    let text = "y".repeat(1 << 20);
    let error = batches.run((0..3).map(|n| (n.to_string(), request(&text)))).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.message().contains("full after 1 requests"), "{error}");
    assert_eq!(fake.requests().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_the_server_refuses_says_why() {
    let errors = json!({ "object": "list", "data": [
        { "code": "duplicate_custom_id", "line": 2, "message": "used twice", "param": "custom_id" },
        { "code": "url_mismatch", "line": 3, "message": "other url", "param": "url" },
    ] });
    let fake = server(vec![batch("failed", json!({ "errors": errors }))], vec![]);
    let client = fake.client();
    let error = client.v1().batches().run([("a", request("hi"))]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BatchFailed);
    assert_eq!(
        error.message(),
        "the server refused the input of the batch batch_1: line 2: duplicate_custom_id used twice (and 1 more)"
    );
    let body: Value = serde_json::from_slice(error.body()).unwrap();
    assert_eq!(body["errors"]["data"][1]["line"], 3);
}

#[tokio::test(start_paused = true)]
async fn a_wait_asks_ever_more_seldom_and_outlives_a_server_that_is_away() {
    let fake = FakeTransport::new();
    let working = || Answer::json(batch("in_progress", json!({})));
    let away = std::iter::repeat_with(Answer::refused).take(6);
    let script =
        std::iter::repeat_with(working).take(3).chain(away).chain(std::iter::repeat_with(working).take(20));
    for answer in script {
        fake.answer(answer);
    }
    fake.fallback(|_| Answer::json(completed()));
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    let batch = client.v1().batches().wait(&id).await.unwrap();
    assert_eq!(batch.status.as_str(), "completed");
    let requests = fake.requests();
    let asked: Vec<_> = requests.iter().map(|request| request.at).collect();
    assert!(asked[1] <= Duration::from_millis(500));
    let last = asked[asked.len() - 1] - asked[asked.len() - 2];
    assert!(last >= Duration::from_secs(15) && last <= Duration::from_secs(30), "{last:?}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_gives_the_server_the_pause_that_it_asks_for() {
    let fake = FakeTransport::new();
    let limited = || Answer::error(429, "rate_limit_error", "rate_limit_exceeded");
    fake.answer(limited().header("retry-after", "600")).answer(limited().header("retry-after", "9999999"));
    fake.fallback(|_| Answer::json(completed()));
    let client = fake.client();
    client.v1().batches().wait("batch_1".parse::<BatchId>().unwrap()).await.unwrap();
    let asked: Vec<_> = fake.requests().iter().map(|request| request.at.as_secs()).collect();
    assert_eq!(asked, [0, 600, 600 + 3600]);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_in_the_time_that_was_set() {
    let fake = server(vec![batch("in_progress", json!({}))], vec![]);
    let client = fake.client();
    let (batches, hour) = (client.v1().batches(), Duration::from_secs(3600));
    let id: BatchId = "batch_1".parse().unwrap();
    let message = "the batch batch_1 has not ended within 3600 s";

    let begun = Instant::now();
    let waited = timeout(2 * hour, batches.wait(&id).timeout(hour)).await.expect("a limit of the wait");
    let error = waited.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Ambiguous));
    assert_eq!((error.message(), begun.elapsed()), (message, hour));

    let begun = Instant::now();
    let run = batches.run([("a", request("hi"))]).timeout(hour);
    let error = timeout(2 * hour, run).await.expect("a limit of the run").unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Timeout, Outcome::Ambiguous));
    assert_eq!((error.message(), begun.elapsed()), (message, hour));
    let cancels = fake.requests().iter().filter(|request| request.path.ends_with("/cancel")).count();
    assert_eq!(cancels, 0, "the batch goes on");
}

#[tokio::test(start_paused = true)]
async fn a_batch_with_an_unknown_status_has_ended_when_it_says_when() {
    let day = Duration::from_secs(24 * 3600);
    for end in ["completed_at", "failed_at", "expired_at", "cancelled_at"] {
        let ended = json!({ end: 7, "output_file_id": "file-out" });
        let fake = server(vec![batch("archived", ended)], output());
        let client = fake.client();
        let id: BatchId = "batch_1".parse().unwrap();
        let batch = client.v1().batches().wait(&id).timeout(day).await.unwrap();
        assert_eq!(batch.status.as_str(), "archived", "{end}");
        let lines = client.v1().batches().results(&id).await.unwrap().collect().await.unwrap();
        assert_eq!(lines.len(), 1, "{end}");
    }
    let fake = server(vec![batch("paused", json!({ "in_progress_at": 7, "cancelling_at": 8 }))], vec![]);
    let client = fake.client();
    let waited = client.v1().batches().wait("batch_1".parse::<BatchId>().unwrap()).timeout(day).await;
    assert_eq!(waited.unwrap_err().kind(), ErrorKind::Timeout, "it may go on");
}

#[tokio::test]
async fn a_batch_that_is_to_run_prints_neither_its_requests_nor_its_metadata() {
    let client = FakeTransport::new().client();
    let run = client.v1().batches().run([("a", request("hush-hush"))]);
    let printed = format!("{:?}", run.metadata(json_object!({ "note": "hush-hush" })));
    assert!(printed.contains("requests: 1") && !printed.contains("hush"), "{printed}");
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_with_an_error_that_waiting_cannot_change() {
    let fake = FakeTransport::new();
    fake.answer(Answer::error(404, "invalid_request_error", ""));
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    assert!(client.v1().batches().wait(&id).await.unwrap_err().is_not_found());
    fake.fallback(|_| Answer::refused());
    assert!(client.v1().batches().wait(&id).await.unwrap_err().is_connect());
}

#[tokio::test]
async fn results_and_errors_are_found_by_the_id_alone() {
    let fake = server(vec![completed()], output());
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    let results = client.v1().batches().results(&id).await.unwrap().collect().await.unwrap();
    assert_eq!(results.len(), 3);
    let errors = client.v1().batches().errors(&id).await.unwrap().collect().await.unwrap();
    assert_eq!(errors.len(), 2);
    assert!(errors.iter().all(|line| line.result.is_err()));
}

#[tokio::test]
async fn a_batch_that_still_runs_has_no_results() {
    let fake = server(vec![batch("in_progress", json!({}))], vec![]);
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    let error = client.v1().batches().results(&id).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BatchUnfinished);
    assert_eq!(error.message(), "the batch batch_1 is still in_progress");
}

#[tokio::test(start_paused = true)]
async fn results_come_line_by_line_while_the_file_is_still_on_its_way() {
    let (one, two) = (answered("a", 200, completion("1")) + "\r\n\n", answered("b", 200, completion("2")));
    let (begin, end) = two.split_at(20);
    let minute = StreamPart::pause(Duration::from_secs(60));
    let parts = [one.as_str(), begin, end].map(|part| StreamPart::bytes(part.to_owned()));
    let [one, begin, end] = parts;
    let fake = server(
        vec![batch("completed", json!({ "output_file_id": "file-out" }))],
        vec![one, begin, minute, end],
    );
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    let begun = Instant::now();
    let mut results = client.v1().batches().results(&id).await.unwrap();
    assert_eq!(results.next().await.unwrap().unwrap().custom_id, "a");
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(results.next().await.unwrap().unwrap().custom_id, "b");
    assert_eq!(begun.elapsed(), Duration::from_secs(60));
    assert!(results.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_download_that_breaks_is_too_long_or_goes_silent_ends_with_an_error() {
    let line = || StreamPart::bytes(answered("a", 200, completion("1")) + "\n");
    let id: BatchId = "batch_1".parse().unwrap();
    for (parts, kind) in [
        (vec![line(), StreamPart::reset()], ErrorKind::Interrupted),
        (vec![line(), StreamPart::hang()], ErrorKind::StreamIdle),
        (vec![line(), StreamPart::bytes("x".repeat(5000))], ErrorKind::Decode),
        (vec![line(), StreamPart::bytes("<html>\n"), line()], ErrorKind::Decode),
    ] {
        let fake = server(vec![completed()], parts);
        let client = fake.builder().max_event_bytes(1000).build().unwrap();
        let mut results = client.v1().batches().results(&id).await.unwrap();
        assert!(results.next().await.unwrap().is_ok());
        let error = results.next().await.unwrap().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(error.operation().unwrap(), "GET /v1/files/{file_id}/content");
        assert!(results.next().await.is_none(), "nothing comes after an error");
        assert_eq!(fake.open_streams(), 0);
    }
}

#[tokio::test]
async fn a_line_whose_answer_cannot_be_read_is_an_error_of_that_line_alone() {
    let lines = [answered("a", 200, json!({ "id": 7 })), answered("b", 200, completion("2"))].join("\n");
    let fake = server(
        vec![batch("completed", json!({ "output_file_id": "file-out" }))],
        vec![StreamPart::bytes(lines)],
    );
    let client = fake.client();
    let id: BatchId = "batch_1".parse().unwrap();
    let lines = client.v1().batches().results(&id).await.unwrap().collect().await.unwrap();
    let error = lines[0].result.as_ref().unwrap_err();
    assert_eq!((error.kind(), error.decode_path()), (ErrorKind::Decode, Some("id")));
    assert!(lines[1].result.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_wait_outlives_five_minutes_without_a_server_and_no_more() {
    let fake = FakeTransport::new();
    let begun = Instant::now();
    let away = |from: u64, until: u64| {
        move |_: &RecordedRequest| match begun.elapsed().as_secs() {
            now if now < from => Answer::json(batch("in_progress", json!({}))),
            now if now < until => Answer::refused(),
            _ => Answer::json(completed()),
        }
    };
    let id: BatchId = "batch_1".parse().unwrap();
    fake.fallback(away(60, 350));
    let client = fake.client();
    client.v1().batches().wait(&id).await.unwrap();

    let again = Instant::now();
    fake.fallback(|_| Answer::refused());
    assert!(client.v1().batches().wait(&id).await.unwrap_err().is_connect());
    let waited = again.elapsed().as_secs();
    assert!((300..360).contains(&waited), "{waited} s");
}

#[tokio::test(start_paused = true)]
async fn a_batch_whose_creation_was_lost_is_run_again_under_its_key() {
    for (own, key) in [(None, "key-1"), (Some("night-7"), "night-7")] {
        let fake = server(vec![completed()], output());
        let file = json!({ "id": "file-in", "object": "file", "bytes": 1, "created_at": 1, "filename": "f", "purpose": "batch" });
        fake.answer(Answer::json(file)).answer(Answer::reset());
        let client = fake.builder().max_retries(0).build().unwrap();
        let run = || client.v1().batches().run([("a", request("hi"))]);
        let first = match own {
            Some(key) => run().idempotency_key(key),
            None => run(),
        };
        let error = first.await.unwrap_err();
        assert_eq!((error.outcome(), error.idempotency_key()), (Outcome::Ambiguous, Some(key)));
        let key = error.idempotency_key().unwrap().to_owned();
        let results = run().idempotency_key(&key).await.unwrap();
        assert_eq!(results.batch().id.as_str(), "batch_1");
        let requests = fake.requests();
        assert!(requests[..4].iter().all(|request| request.idempotency_key() == Some(&key)));
        assert_eq!((&requests[0].body, &requests[1].body), (&requests[2].body, &requests[3].body));
    }
}

#[tokio::test(start_paused = true)]
async fn an_error_after_the_batch_was_made_has_the_key_of_the_run() {
    for limit in [None, Some(Duration::from_secs(3600))] {
        let fake = FakeTransport::new();
        let file = json!({ "id": "file-in", "object": "file", "bytes": 1, "created_at": 1, "filename": "f", "purpose": "batch" });
        fake.answer(Answer::json(file)).answer(Answer::json(batch("in_progress", json!({}))));
        match limit {
            None => fake.fallback(|_| Answer::refused()),
            Some(_) => fake.fallback(|_| Answer::json(batch("in_progress", json!({})))),
        };
        let client = fake.client();
        let mut run = client.v1().batches().run([("a", request("hi"))]);
        if let Some(limit) = limit {
            run = run.timeout(limit);
        }
        let error = run.await.unwrap_err();
        assert_eq!(
            (error.outcome(), error.idempotency_key()),
            (Outcome::Ambiguous, Some("key-1")),
            "{error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_wait_for_a_server_that_only_asks_for_pauses_ends_after_a_day() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::error(503, "api_error", "overloaded").header("retry-after", "120"));
    let begun = Instant::now();
    let error = fake.client().v1().batches().wait("batch_1".parse::<BatchId>().unwrap()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Server);
    let hours = begun.elapsed().as_secs_f64() / 3600.0;
    assert!((24.0..24.5).contains(&hours), "{hours} h");
}

#[test]
fn requests_behind_one_that_is_refused_are_not_made() {
    let client = FakeTransport::new().client();
    let requests = (0..).inspect(|number| assert!(*number < 2)).map(|_| ("same", request("hi")));
    let run = client.v1().batches().run(requests);
    assert!(format!("{run:?}").contains("broken: Some"));
}

#[tokio::test(start_paused = true)]
async fn results_that_are_kept_have_the_limit_of_an_answer_that_is_taken_whole() {
    let lines = [answered("a", 200, completion("Hi.")), broke(), never_ran("batch_cancelled")];
    let bytes: usize = lines.iter().map(String::len).sum();
    let fake = server(vec![completed()], output());
    let client = fake.client();
    let results = async |limit: usize| {
        let client = client.with(|options| options.max_body_bytes(limit));
        client.v1().batches().results("batch_1".parse::<BatchId>().unwrap()).await.unwrap()
    };
    assert_eq!(results(bytes).await.collect().await.unwrap().len(), 3);

    let error = results(bytes - 1).await.collect().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::Decode, Outcome::Ambiguous));
    assert_eq!(
        error.to_string(),
        format!(
            "GET /v1/files/{{file_id}}/content: 200: the answer is longer than {} bytes (1 attempt)",
            bytes - 1
        )
    );

    let mut one_by_one = results(bytes - 1).await;
    let mut count = 0;
    while let Some(line) = one_by_one.next().await {
        line.unwrap();
        count += 1;
    }
    assert_eq!(count, 3, "what is not kept has no limit");
}
