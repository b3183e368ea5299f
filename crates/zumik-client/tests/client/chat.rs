//! Chat completions as users write them.

use serde_json::{Value, json};
use zumik_client::api::v1::chat::completions::CreateChatCompletion;
use zumik_client::testing::{Answer, FakeTransport, StreamPart};
use zumik_client::types::{
    AgentHints, AgentHintsId, ChatAccumulator, ChatMessage, ChatStreamOptions, ChatTool,
    CreateChatCompletionRequest, PrivacyMode, SessionId, json_object,
};
use zumik_client::{ErrorKind, Outcome};

/// The stream of the contract's sample: role, text, finish, usage.
fn chunks() -> Vec<String> {
    let chunk = |choices: Value| {
        json!({
            "id": "chatcmpl-rsp_1", "object": "chat.completion.chunk", "created": 7, "model": "code.fast",
            "choices": choices,
        })
    };
    let choice =
        |delta: Value, reason: Value| json!([{ "index": 0, "delta": delta, "finish_reason": reason }]);
    let mut usage = chunk(json!([]));
    usage["usage"] = json!({
        "prompt_tokens": 1840, "completion_tokens": 5, "total_tokens": 1845,
        "prompt_tokens_details": { "cached_tokens": 1536 },
    });
    vec![
        chunk(choice(json!({ "role": "assistant" }), Value::Null)).to_string(),
        chunk(choice(json!({ "content": "The patch " }), Value::Null)).to_string(),
        chunk(choice(json!({ "content": "looks correct." }), Value::Null)).to_string(),
        chunk(choice(json!({}), json!("stop"))).to_string(),
        usage.to_string(),
        "[DONE]".to_owned(),
    ]
}

#[tokio::test]
async fn a_stream_is_collected_into_the_whole_completion() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(chunks()));
    let client = fake.client();
    let call = client
        .v1()
        .chat()
        .completions()
        .create("code.fast", [ChatMessage::system("Be terse."), ChatMessage::user("Review the patch.")])
        .stream_options(ChatStreamOptions::new().include_usage(true));
    let completion = call.stream().await.unwrap().collect().await.unwrap();
    assert_eq!(completion.text(), Some("The patch looks correct."));
    assert_eq!(completion.choices[0].finish_reason.as_ref().unwrap().as_str(), "stop");
    assert_eq!(completion.usage.unwrap().total_tokens, 1845);
    assert_eq!(
        fake.requests()[0].json(),
        json!({
            "model": "code.fast", "stream": true, "stream_options": { "include_usage": true },
            "messages": [
                { "role": "system", "content": "Be terse." },
                { "role": "user", "content": "Review the patch." },
            ],
        })
    );
}

#[tokio::test]
async fn events_that_are_kept_have_the_limit_of_an_answer_that_is_taken_whole() {
    let chunks = chunks();
    let bytes: usize = chunks.iter().map(String::len).sum();
    let three: usize = chunks[..3].iter().map(String::len).sum();
    let (fake, events) = (FakeTransport::new(), Answer::events(chunks));
    let client = fake.client();
    let completions = client.v1();
    let stream = |limit: usize| {
        fake.answer(events.clone());
        let call = completions.chat().completions().create("code.fast", ["Review the patch."]);
        call.max_body_bytes(limit).stream()
    };
    stream(bytes).await.unwrap().collect().await.unwrap();
    let error = stream(bytes - 20).await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.message().contains(&format!("longer than {} bytes", bytes - 20)), "{error}");

    let mut deltas = stream(three - 1).await.unwrap().text_deltas();
    assert_eq!(deltas.next().await.unwrap().unwrap(), "The patch ");
    assert_eq!(deltas.next().await.unwrap().unwrap_err().kind(), ErrorKind::Decode);
    let mut events = stream(20).await.unwrap();
    while let Some(event) = events.next().await {
        event.unwrap();
    }
}

#[tokio::test]
async fn text_is_shown_as_it_comes_and_the_whole_is_there_at_the_end() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(chunks()));
    let client = fake.client();
    let stream =
        client.v1().chat().completions().create("code.fast", ["Review the patch."]).stream().await.unwrap();
    let mut deltas = stream.text_deltas();
    assert_eq!(deltas.next().await.unwrap().unwrap(), "The patch ");
    assert_eq!(deltas.next().await.unwrap().unwrap(), "looks correct.");
    assert!(deltas.next().await.is_none());
    let completion = deltas.whole().await.unwrap();
    assert_eq!(completion.text(), Some("The patch looks correct."));
    assert_eq!(completion.usage.unwrap().completion_tokens, 5);
}

#[tokio::test]
async fn chunks_are_folded_step_by_step() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(chunks()));
    let client = fake.client();
    let mut stream =
        client.v1().chat().completions().create("code.fast", ["Review the patch."]).stream().await.unwrap();
    let mut whole = ChatAccumulator::new();
    while let Some(chunk) = stream.next().await {
        whole.push(&chunk.unwrap());
    }
    assert_eq!(whole.text(), "The patch looks correct.");
}

#[tokio::test]
async fn half_an_answer_is_never_given_as_a_whole_one() {
    let half = || chunks().into_iter().take(3);
    let fake = FakeTransport::new();
    fake.answer(Answer::events(half())).answer(Answer::events(half())).answer(Answer::events(["[DONE]"]));
    let client = fake.client();
    let call = client.v1().chat().completions().create("code.fast", ["Review the patch."]);

    let error = call.clone().stream().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamTruncated);

    let mut deltas = call.clone().stream().await.unwrap().text_deltas();
    let mut texts = Vec::new();
    while let Some(text) = deltas.next().await {
        texts.push(text.map_err(|error| error.kind()));
    }
    assert_eq!(texts.last(), Some(&Err(ErrorKind::StreamTruncated)));
    assert_eq!(deltas.whole().await.unwrap_err().kind(), ErrorKind::StreamTruncated);

    let error = call.stream().await.unwrap().collect().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "POST /v1/chat/completions: 200: the stream ended without a single chunk (1 attempt)"
    );
}

#[tokio::test]
async fn what_is_left_of_a_stream_is_never_given_as_a_whole_answer() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::events(chunks()));
    let client = fake.client();
    let begun = async || {
        let call = client.v1().chat().completions().create("code.fast", ["Review the patch."]);
        let mut stream = call.stream().await.unwrap();
        stream.next().await.unwrap().unwrap();
        stream.next().await.unwrap().unwrap();
        stream
    };

    let error = begun().await.collect().await.unwrap_err();
    assert_eq!((error.kind(), error.outcome()), (ErrorKind::StreamTruncated, Outcome::Ambiguous));
    assert!(error.message().contains("`ChatAccumulator`"), "{error}");
    assert_eq!(fake.open_streams(), 0);

    let mut deltas = begun().await.text_deltas();
    assert_eq!(deltas.next().await.unwrap().unwrap(), "looks correct.", "the rest of the text is one");
    assert_eq!(deltas.whole().await.unwrap_err().kind(), ErrorKind::StreamTruncated);

    let mut stream = begun().await;
    while let Some(chunk) = stream.next().await {
        chunk.unwrap();
    }
    assert_eq!(stream.collect().await.unwrap_err().kind(), ErrorKind::StreamTruncated);
}

#[tokio::test]
async fn the_last_event_of_a_response_has_all_of_it_whatever_was_taken_before() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(response_events("completed", Value::Null)));
    let client = fake.client();
    let call = client.v1().responses().create("code.fast", "Review the patch.");
    let mut stream = call.stream().await.unwrap();
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    let response = stream.collect().await.unwrap();
    assert_eq!((response.status.as_str(), response.usage.unwrap().total_tokens), ("completed", 17));
}

#[tokio::test]
async fn an_error_in_the_middle_ends_collecting() {
    let failure =
        json!({ "error": { "message": "upstream gone", "type": "api_error", "code": "provider_error" } });
    let parts = chunks().into_iter().take(2).chain([failure.to_string()]).map(StreamPart::event);
    let fake = FakeTransport::new();
    fake.answer(Answer::stream(parts));
    let client = fake.client();
    let call = client.v1().chat().completions().create("code.fast", ["x"]);
    let error = call.stream().await.unwrap().collect().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("provider_error")));
}

#[tokio::test]
async fn a_tool_is_called_and_its_result_sent_back() {
    let call = json!({ "id": "call_1", "type": "function", "function": { "name": "run", "arguments": "{\"path\":\"t\"}" } });
    let completion = |message: Value| {
        Answer::json(json!({
            "id": "chatcmpl-rsp_1", "object": "chat.completion", "created": 7, "model": "code.fast",
            "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }],
        }))
    };
    let fake = FakeTransport::new();
    fake.answer(completion(json!({ "role": "assistant", "content": null, "tool_calls": [call] })));
    fake.answer(completion(json!({ "role": "assistant", "content": "All green." })));
    let client = fake.client();
    let chat = client.v1().chat().completions();
    let run = || ChatTool::function("run").parameters(json_object!({ "type": "object" }));

    let mut history = vec![ChatMessage::user("Is main green?")];
    let first = chat.create("code.fast", &history).tools([run()]).await.unwrap();
    history.push((&first.choices[0].message).into());
    for call in first.function_calls() {
        let arguments: Value = call.function.parse_arguments().unwrap();
        assert_eq!(arguments["path"], "t");
        history.push(ChatMessage::tool(&call.id, "12 passed"));
    }
    let second = chat.create("code.fast", &history).tools([run()]).await.unwrap();
    assert_eq!(second.text(), Some("All green."));
    assert_eq!(
        fake.requests()[1].json()["messages"],
        json!([
            { "role": "user", "content": "Is main green?" },
            { "role": "assistant", "content": null, "tool_calls": [call] },
            { "role": "tool", "tool_call_id": "call_1", "content": "12 passed" },
        ])
    );
}

#[tokio::test]
async fn every_generation_takes_hints_trace_mode_and_session() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::error(400, "invalid_request_error", ""));
    let client = fake.client();
    let session: SessionId = "ses_1".parse().unwrap();
    let stored: AgentHintsId = "ah_1".parse().unwrap();
    let hints = AgentHints::new();
    macro_rules! signal {
        ($call:expr) => {
            $call.hints(&hints).hints_ref(&stored).trace_mode(PrivacyMode::Tokenized).session_ref(&session)
        };
    }
    let v1 = client.v1();
    let chat = || signal!(v1.chat().completions().create("m", ["x"]));
    let response = || signal!(v1.responses().create("m", "x"));
    chat().await.unwrap_err();
    chat().stream().await.unwrap_err();
    response().await.unwrap_err();
    response().stream().await.unwrap_err();
    signal!(v1.embeddings().create("m", "x")).await.unwrap_err();

    let requests = fake.requests();
    assert_eq!(requests.len(), 5);
    for request in requests {
        let header = |name| request.header(name).unwrap_or_else(|| panic!("{} has no {name}", request.path));
        assert_eq!(AgentHints::from_header_value(header("agent-hints")).unwrap(), hints);
        assert_eq!(header("agent-hints-ref"), "ah_1");
        assert_eq!(header("agent-trace-mode"), "tokenized");
        assert_eq!(header("agent-session-ref"), "ses_1");
    }
}

/// The events of a response that ends with `last`.
fn response_events(last: &str, error: Value) -> Vec<String> {
    let response = |status: &str| {
        json!({
            "id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "code.fast",
            "error": error, "output": [], "tool_choice": "auto",
            "usage": { "input_tokens": 6, "output_tokens": 11, "total_tokens": 17 },
        })
    };
    let delta = |text: &str| {
        json!({
            "type": "response.output_text.delta", "sequence_number": 1, "item_id": "msg_1", "output_index": 0,
            "content_index": 0, "delta": text,
        })
    };
    let created =
        json!({ "type": "response.created", "sequence_number": 0, "response": response("in_progress") });
    let unknown = json!({ "type": "response.dreaming", "sequence_number": 3 });
    let end = json!({ "type": format!("response.{last}"), "sequence_number": 4, "response": response(last) });
    [created, delta("The patch "), delta("looks correct."), unknown, end]
        .iter()
        .map(Value::to_string)
        .collect()
}

#[tokio::test]
async fn the_stream_of_a_response_gives_its_text_and_then_the_response() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(response_events("completed", Value::Null)));
    let client = fake.client();
    let stream = client.v1().responses().create("code.fast", "Review the patch.").stream().await.unwrap();
    let mut deltas = stream.text_deltas();
    let mut text = String::new();
    while let Some(piece) = deltas.next().await {
        text.push_str(&piece.unwrap());
    }
    assert_eq!(text, "The patch looks correct.");
    let response = deltas.whole().await.unwrap();
    assert_eq!((response.id.as_str(), response.status.as_str()), ("resp_1", "completed"));
    assert_eq!(response.usage.unwrap().total_tokens, 17);
    assert_eq!(fake.requests()[0].json()["stream"], true);
}

#[tokio::test]
async fn a_response_that_is_incomplete_is_an_answer_and_one_that_failed_an_error() {
    let fake = FakeTransport::new();
    fake.answer(Answer::events(response_events("incomplete", Value::Null)));
    let error = json!({ "code": "server_error", "message": "upstream gone" });
    fake.answer(Answer::events(response_events("failed", error)));
    let mut cut = response_events("completed", Value::Null);
    cut.pop();
    cut.push("[DONE]".to_owned());
    fake.answer(Answer::events(cut));
    let client = fake.client();
    let call = client.v1().responses().create("code.fast", "Review the patch.");

    let response = call.clone().stream().await.unwrap().collect().await.unwrap();
    assert_eq!(response.status.as_str(), "incomplete");
    let error = call.clone().stream().await.unwrap().collect().await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Server, Some("server_error")));
    assert_eq!(error.message(), "the response resp_1 failed: upstream gone");
    let error = call.stream().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::StreamTruncated);
}

#[tokio::test]
async fn a_response_that_failed_says_of_what_kind_and_keeps_what_came() {
    let fake = FakeTransport::new();
    let client = fake.client();
    for (code, kind) in [
        ("server_error", ErrorKind::Server),
        ("rate_limit_exceeded", ErrorKind::RateLimited),
        ("quota_exceeded", ErrorKind::QuotaExceeded),
        ("deadline_exceeded", ErrorKind::DeadlineExceeded),
        ("invalid_prompt", ErrorKind::BadRequest),
        ("bio_policy", ErrorKind::BadRequest),
        ("image_too_large", ErrorKind::BadRequest),
        ("novel", ErrorKind::Server),
    ] {
        fake.answer(Answer::events(response_events("failed", json!({ "code": code, "message": "no" }))));
        let call = client.v1().responses().create("code.fast", "Review the patch.");
        let error = call.stream().await.unwrap().collect().await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (kind, Some(code)));
        let response: Value = serde_json::from_slice(error.body()).unwrap();
        assert_eq!((&response["id"], &response["status"]), (&json!("resp_1"), &json!("failed")));
        assert_eq!(response["usage"]["total_tokens"], 17);
        assert!(!format!("{error} {error:?}").contains("The patch"));
    }
}

#[tokio::test]
async fn a_request_that_asks_for_a_stream_is_sent_for_a_whole_answer() {
    let fake = FakeTransport::new();
    let whole =
        json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 7, "model": "m", "choices": [] });
    fake.answer(Answer::json(whole)).answer(Answer::events(chunks()));
    let client = fake.client();
    let request = CreateChatCompletionRequest::new("code.fast", ["Review the patch."])
        .stream(true)
        .stream_options(ChatStreamOptions::new().include_usage(true));
    let endpoint = CreateChatCompletion::from(request);
    client.call(endpoint.clone()).await.unwrap();
    let sent = fake.requests()[0].json();
    assert_eq!((sent.get("stream"), sent.get("stream_options")), (None, None));
    client.call(endpoint).stream().await.unwrap().collect().await.unwrap();
    assert_eq!(fake.requests()[1].json()["stream"], true);
}

#[tokio::test]
async fn a_stream_asks_for_the_usage_unless_the_caller_says_what_it_contains() {
    let fake = FakeTransport::new();
    fake.fallback(|_| Answer::events(chunks()));
    let client = fake.client();
    let call = client.v1().chat().completions().create("code.fast", ["Review the patch."]);
    drop(call.clone().stream().await.unwrap());
    drop(call.stream_options(ChatStreamOptions::new()).stream().await.unwrap());
    let asked: Vec<_> =
        fake.requests().iter().map(|request| request.json()["stream_options"].clone()).collect();
    assert_eq!(asked, [json!({ "include_usage": true }), json!({})]);
}
