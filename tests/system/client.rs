//! The client's streams and batches, through the server to a provider and back.

use std::future::IntoFuture as _;

use zumik_client::types::{
    BatchStatus, ChatContentPart, ChatFinishReason, ChatMessage, ChatStreamOptions, ChatTool,
    CreateChatCompletionRequest, ExecutionMode, V1ResponseStatus, json_object,
};
use zumik_client::{ErrorKind, Outcome, Zumik};
use zumik_server::config::UpstreamSettings;
use zumik_server::{RunningServer, Server};
use zumik_tests::server;
use zumik_tests::upstream::{Behaviour, Fault, Upstream};
use zumik_tests::within;

/// A server over a provider, and a client of it.
async fn served(upstream: &Upstream) -> (RunningServer, Zumik) {
    let mut settings = UpstreamSettings::new(upstream.url());
    settings.models = vec!["gpt-test".to_owned()];
    let server = Server::builder().upstream("test", settings).start().await.expect("the server starts");
    let zk = Zumik::builder().base_url(server.url()).api_key(server.api_key()).build().expect("a client");
    (server, zk)
}

/// A question with an answer of several chunks.
fn question() -> [ChatMessage; 2] {
    let parts =
        [ChatContentPart::text("Is this loop off by one?"), ChatContentPart::text("It ends at the length.")];
    [ChatMessage::system("You are a terse reviewer."), ChatMessage::user(parts)]
}

#[tokio::test]
async fn a_collected_stream_says_what_the_plain_answer_says() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    let call = zk.v1().chat().completions().create("gpt-test", question());
    for pieces_of in [None, Some(1), Some(7)] {
        let plain = call.clone().await.expect("an answer");
        upstream.next(Behaviour { pieces_of, cached_tokens: 3, ..Behaviour::default() });
        let options = ChatStreamOptions::new().include_usage(true);
        let stream = call.clone().stream_options(options).stream().await.expect("a stream");
        assert_eq!(stream.meta().resolved_provider(), Some("test"));
        let collected = stream.collect().await.expect("the whole answer");
        assert_eq!(collected.text(), plain.text());
        assert!(collected.text().is_some_and(|text| !text.is_empty()));
        assert_eq!(collected.choices[0].finish_reason, plain.choices[0].finish_reason);
        assert_eq!(collected.model, plain.model);
        let (usage, expected) = (collected.usage.expect("usage"), plain.usage.expect("usage"));
        assert_eq!(usage.total_tokens, expected.total_tokens);
        assert_eq!(usage.prompt_tokens_details.and_then(|details| details.cached_tokens), Some(3));
    }
}

#[tokio::test]
async fn a_tool_call_comes_whole_out_of_a_stream() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    let run = ChatTool::function("run_tests").parameters(json_object!({
        "type": "object", "properties": { "path": { "type": "string" } }, "required": ["path"],
    }));
    let call = zk.v1().chat().completions().create("gpt-test", question()).tools([run]);
    let plain = call.clone().await.expect("an answer");
    let collected = call.stream().await.expect("a stream").collect().await.expect("the whole answer");
    assert_eq!(collected.choices[0].finish_reason, Some(ChatFinishReason::ToolCalls));
    assert_eq!(collected.tool_calls(), plain.tool_calls());
    let called = collected.function_calls().next().expect("a call");
    assert_eq!(called.function.name, "run_tests");
    called.function.parse_arguments::<serde_json::Value>().expect("arguments in JSON");
}

#[tokio::test]
async fn a_provider_that_breaks_off_never_gives_a_whole_answer() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    for fault in [Fault::Cut(2), Fault::End(2), Fault::Error(2), Fault::Rubbish(2)] {
        upstream.next(Behaviour::fault(fault));
        let call = zk.v1().chat().completions().create("gpt-test", question());
        let mut deltas = call.stream().await.expect("a stream").text_deltas();
        let mut last = None;
        while let Some(piece) = deltas.next().await {
            last = Some(piece);
        }
        let error = last.expect("at least one piece").expect_err("an answer that broke off");
        assert_eq!(error.outcome(), Outcome::Ambiguous, "{fault:?}: {error}");
        assert!(deltas.whole().await.is_err(), "{fault:?}");
    }
}

#[tokio::test]
async fn a_dropped_stream_stops_the_provider() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    upstream.next(Behaviour::fault(Fault::Stall(3)));
    let mut stream =
        zk.v1().chat().completions().create("gpt-test", question()).stream().await.expect("a stream");
    stream.next().await.expect("an event").expect("a chunk");
    assert!(upstream.requests()[0].ended.is_none());
    drop(stream);
    upstream.until(|requests| requests[0].cancelled()).await;
}

#[tokio::test]
async fn an_error_before_the_stream_is_an_error_of_the_call() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    upstream.always(Behaviour::status(400));
    let call = zk.v1().chat().completions().create("gpt-test", question());
    let error = call.stream().await.expect_err("a refusal");
    assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
}

#[tokio::test]
async fn the_stream_of_a_response_ends_with_the_stored_response() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    let call = zk.v1().responses().create("gpt-test", "Is this loop off by one?");
    let mut deltas = call.stream().await.expect("a stream").text_deltas();
    let mut text = String::new();
    while let Some(piece) = deltas.next().await {
        text.push_str(&piece.expect("a piece"));
    }
    let response = deltas.whole().await.expect("the whole response");
    assert!(!text.is_empty());
    assert_eq!(response.output_text(), text);
    let stored = zk.v1().responses().retrieve(&response.id).await.expect("it is stored");
    assert_eq!(stored.output_text(), text);
}

#[tokio::test]
async fn a_batch_gives_every_request_its_result() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    let request = |model: &str, text: &str| CreateChatCompletionRequest::new(model, [text]);
    let requests = [
        ("one", request("gpt-test", "1")),
        ("two", request("gpt-test", "2")),
        ("bad", request("gpt-test?status=400", "3")),
    ];
    let mut seen = Vec::new();
    let batches = zk.v1().batches();
    let results =
        batches.run(requests).on_progress(|batch| seen.push(batch.id.clone())).await.expect("it ran");
    assert_eq!(results.batch().status, BatchStatus::Completed);
    let mut lines = results.collect().await.expect("its results");
    lines.sort_by(|a, b| a.custom_id.cmp(&b.custom_id));
    let ids: Vec<_> = lines.iter().map(|line| line.custom_id.as_str()).collect();
    assert_eq!(ids, ["bad", "one", "two"]);
    let error = lines[0].result.as_ref().expect_err("the provider refused it");
    assert_eq!(error.kind(), ErrorKind::BadRequest, "{error}");
    assert!(error.trace_id().is_some());
    for line in &lines[1..] {
        assert!(line.result.as_ref().is_ok_and(|completion| completion.text().is_some()), "{line:?}");
    }
    let again = batches.wait(&seen[0]).await.expect("it has ended");
    let counts = &again.request_counts;
    assert_eq!((counts.total, counts.completed, counts.failed), (3, 2, 1));
    assert_eq!(
        batches.errors(&again.id).await.expect("it ran").collect().await.expect("its errors").len(),
        1
    );
}

#[tokio::test]
async fn a_batch_that_is_cancelled_tells_which_requests_did_not_run() {
    let upstream = Upstream::start().await;
    upstream.always(Behaviour { delay: std::time::Duration::from_millis(200), ..Behaviour::default() });
    let (_server, zk) = served(&upstream).await;
    let requests = (0..40).map(|n| (format!("r{n}"), CreateChatCompletionRequest::new("gpt-test", ["hi"])));
    let batches = zk.v1().batches();
    let (sender, created) = tokio::sync::watch::channel(None);
    let run =
        batches.run(requests).on_progress(move |batch| drop(sender.send_replace(Some(batch.id.clone()))));
    let cancel = async {
        let mut created = created.clone();
        let id = created.wait_for(Option::is_some).await.expect("it is created").clone().expect("an id");
        batches.cancel(&id).await.expect("it is cancelled")
    };
    let (results, _) = tokio::join!(run.into_future(), cancel);
    let results = results.expect("it ended");
    assert_eq!(results.batch().status, BatchStatus::Cancelled);
    let lines = results.collect().await.expect("its results");
    assert_eq!(lines.len(), 40);
    let never = lines.iter().filter_map(|line| line.result.as_ref().err());
    assert!(never.clone().count() > 0);
    for error in never {
        assert_eq!((error.kind(), error.code()), (ErrorKind::BatchLineNotRun, Some("batch_cancelled")));
    }
}

#[tokio::test]
async fn a_placeholder_made_in_the_background_is_refused_when_it_is_retrieved() {
    let server = server::durable().await;
    let zk = server.client();
    let call = zk.v1().responses().create("code.fast", "Why did CI fail?").background(true);
    let begun = call.reject_placeholder(false).send().await.expect("a response that has begun");
    let refused = async |zk: &Zumik| {
        let call = zk.v1().responses().retrieve(&begun.id).reject_placeholder(true);
        call.await.expect_err("no model made it").kind()
    };
    assert_eq!(refused(&zk).await, ErrorKind::Placeholder);
    let completed = async {
        loop {
            let call = zk.v1().responses().retrieve(&begun.id).reject_placeholder(false);
            let response = call.send().await.expect("the response is kept");
            if response.status == V1ResponseStatus::Completed {
                return response;
            }
        }
    };
    let ended = within("the end of the response", completed).await;
    assert_eq!(ended.meta().execution_mode(), Some(ExecutionMode::Placeholder));
    assert_eq!(ended.meta().resolved_model(), begun.meta().resolved_model());
    assert_eq!(refused(&zk).await, ErrorKind::Placeholder);

    let server = server.restart().await;
    assert_eq!(refused(&server.client()).await, ErrorKind::Placeholder);
}

#[tokio::test]
async fn a_response_that_is_retrieved_says_who_made_it() {
    let upstream = Upstream::start().await;
    let (_server, zk) = served(&upstream).await;
    let call = zk.v1().responses().create("gpt-test", "Hi");
    let whole = call.clone().send().await.expect("an answer");
    let stream = call.stream().await.expect("a stream");
    let told = stream.meta().clone();
    let streamed = stream.collect().await.expect("the whole response");
    for (id, told) in [(&whole.id, whole.meta()), (&streamed.id, &told)] {
        let kept = zk.v1().responses().retrieve(id).send().await.expect("the response is kept");
        assert_eq!(kept.meta().execution_mode(), Some(ExecutionMode::Live));
        for name in ["agent-resolved-provider", "agent-resolved-model", "agent-region", "agent-qos-admission"]
        {
            assert!(told.headers().contains_key(name), "{name}");
            assert_eq!(kept.meta().headers().get(name), told.headers().get(name), "{name}");
        }
        assert_eq!(kept.meta().headers()["content-type"], "application/json");
    }
}
