//! The `async-openai` crate as its users have it: only base URL and key are ours.
//!
//! Requests are read from JSON into its types: shorter than its builders, and the same bytes on the wire.

use async_openai::Client;
use async_openai::config::OpenAIConfig;
use async_openai::error::OpenAIError;
use async_openai::types::InputSource;
use async_openai::types::batches::{BatchCompletionWindow, BatchEndpoint, BatchRequest, BatchStatus};
use async_openai::types::files::{CreateFileRequest, FileInput, FilePurpose};
use async_openai::types::responses::ResponseStreamEvent;
use futures_util::TryStreamExt as _;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use zumik_tests::http::bare;
use zumik_tests::server::{TestServer, configured};
use zumik_tests::upstream::Upstream;
use zumik_tests::within;

type Error = Box<dyn std::error::Error>;

async fn served() -> (Upstream, TestServer, Client<OpenAIConfig>) {
    let upstream = Upstream::start().await;
    let settings = format!("[upstreams.test]\nurl = \"{}\"\nmodels = [\"gpt-test\"]\n", upstream.url());
    let server = configured(&settings).await;
    let config =
        OpenAIConfig::new().with_api_base(format!("{}/v1", server.url())).with_api_key(server.api_key());
    let client = Client::build(bare(), config);
    (upstream, server, client)
}

/// A request in the crate's types.
fn request<T: DeserializeOwned>(body: Value) -> T {
    serde_json::from_value(body).expect("a request that its types can hold")
}

fn question() -> Value {
    json!({ "model": "gpt-test", "messages": [{ "role": "user", "content": "Is this off by one?" }] })
}

#[tokio::test]
async fn chats_are_answered_and_streamed() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let completion = client.chat().create(request(question())).await?;
    let content = completion.choices[0].message.content.clone();
    assert_eq!(content.as_deref(), Some("You said: Is this off by one?"));

    let chunks: Vec<_> = client.chat().create_stream(request(question())).await?.try_collect().await?;
    let deltas = chunks.iter().filter_map(|chunk| chunk.choices.first()?.delta.content.as_deref());
    assert_eq!(deltas.collect::<String>(), "You said: Is this off by one?");
    Ok(())
}

#[tokio::test]
async fn tools_are_called() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let mut body = question();
    body["tools"] = json!([{ "type": "function", "function": { "name": "run_tests", "parameters": {} } }]);
    let completion = client.chat().create(request(body)).await?;
    let message = serde_json::to_value(&completion.choices[0].message)?;
    assert_eq!(message["tool_calls"][0]["function"]["name"], "run_tests");
    Ok(())
}

#[tokio::test]
async fn embeddings_are_the_same_in_both_forms() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let body = json!({ "model": "gpt-test", "input": ["first chunk", "second chunk"] });
    let plain = client.embeddings().create(request(body.clone())).await?;
    let mut encoded_body = body;
    encoded_body["encoding_format"] = "base64".into();
    let encoded = client.embeddings().create_base64(request(encoded_body)).await?;
    assert_eq!((plain.data.len(), encoded.data.len()), (2, 2));
    assert_ne!(plain.data[0].embedding, plain.data[1].embedding, "each text has its own");
    for (plain, encoded) in plain.data.iter().zip(encoded.data) {
        assert_eq!(plain.embedding, Vec::<f32>::from(encoded.embedding));
    }
    Ok(())
}

#[tokio::test]
async fn responses_are_streamed_stored_and_deleted() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let body = json!({ "model": "gpt-test", "input": "Review the patch." });
    let events: Vec<_> = client.responses().create_stream(request(body)).await?.try_collect().await?;
    let Some(ResponseStreamEvent::ResponseCompleted(last)) = events.last() else {
        panic!("the last event is {:?}", events.last());
    };
    assert_eq!(last.response.output_text().as_deref(), Some("You said: Review the patch."));
    let id = &last.response.id;
    assert_eq!(client.responses().retrieve(id).await?.id, *id);
    assert!(client.responses().delete(id).await?.deleted);
    assert!(client.responses().retrieve(id).await.is_err());
    Ok(())
}

#[tokio::test]
async fn models_and_conversations_are_there() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let models = client.models().list().await?;
    assert!(models.data.iter().any(|model| model.id == "gpt-test"));
    assert_eq!(client.models().retrieve("gpt-test").await?.id, "gpt-test");
    let made = client.conversations().create(request(json!({ "metadata": { "topic": "patch" } }))).await?;
    assert_eq!(client.conversations().retrieve(&made.id).await?.id, made.id);
    client.conversations().delete(&made.id).await?;
    assert!(client.conversations().retrieve(&made.id).await.is_err());
    Ok(())
}

fn upload(content: String) -> CreateFileRequest {
    let source = InputSource::Bytes { filename: "requests.jsonl".to_owned(), bytes: content.into() };
    CreateFileRequest { file: FileInput { source }, purpose: FilePurpose::Batch, expires_after: None }
}

#[tokio::test]
async fn files_are_kept_listed_and_deleted() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let file = client.files().create(upload("{}".to_owned())).await?;
    assert_eq!((file.filename.as_str(), file.bytes), ("requests.jsonl", Some(2)));
    assert_eq!(client.files().retrieve(&file.id).await?.id, file.id);
    assert_eq!(client.files().list().await?.data.len(), 1);
    assert_eq!(client.files().content(&file.id).await?.as_ref(), b"{}");
    assert!(client.files().delete(&file.id).await?.deleted);
    assert!(client.files().retrieve(&file.id).await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_batch_runs_to_its_end() -> Result<(), Error> {
    let (_upstream, _server, client) = served().await;
    let line =
        json!({ "custom_id": "r1", "method": "POST", "url": "/v1/chat/completions", "body": question() });
    let file = client.files().create(upload(line.to_string())).await?;
    let batch = BatchRequest {
        input_file_id: file.id,
        endpoint: BatchEndpoint::V1ChatCompletions,
        completion_window: BatchCompletionWindow::W24H,
        ..BatchRequest::default()
    };
    let mut batch = client.batches().create(batch).await?;
    let ended = async {
        while batch.status != BatchStatus::Completed {
            assert_ne!(batch.status, BatchStatus::Failed);
            tokio::task::yield_now().await;
            batch = client.batches().retrieve(&batch.id).await?;
        }
        Ok::<_, OpenAIError>(batch.output_file_id)
    };
    let output = within("the end of the batch", ended).await?.expect("an output file");
    let output: Value = serde_json::from_slice(&client.files().content(&output).await?)?;
    assert_eq!((&output["custom_id"], &output["response"]["status_code"]), (&json!("r1"), &json!(200)));
    Ok(())
}

#[tokio::test]
async fn a_refusal_is_an_error_of_the_api() {
    let (_upstream, _server, client) = served().await;
    let mut body = question();
    body["temperature"] = 9.into();
    match client.chat().create(request(body)).await {
        Err(OpenAIError::ApiError(error)) => {
            assert_eq!(error.status_code, 400);
            assert_eq!(error.api_error.param.as_deref(), Some("temperature"));
        }
        other => panic!("{other:?}"),
    }
}
