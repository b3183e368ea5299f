//! One word as key, content, prompt and metadata through every operation of the client, answered by a server and the model
//! behind it: no `Debug` of a request, an answer, a stream or an error shows it, no error says it, no log line holds it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::io;
use std::sync::{Arc, Mutex, OnceLock};

use serde_json::{Value, json};
use tracing::Dispatch;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;
use zumik_client::endpoint::{Body, Endpoint};
use zumik_client::stream::StreamEndpoint;
use zumik_client::types::{
    AgentHints, AgentHintsId, ArtifactType, BundleItem, ChatContentPart, ChatMessage, ChatPrediction,
    ChatResponseFormat, ChatTool, CreateChatCompletionRequest, DiagnosticTrace, Event, JsonObject,
    MergeStrategy, NewModelTarget, PrivacyMode, SessionStatus, TraceObservation, V1InputItem, V1TextConfig,
    V1Tool, json_object, operations,
};
use zumik_client::{Call, Error, FilePart, Method, Response, Result, Zumik};
use zumik_tests::upstream::Upstream;

use crate::upstream::served;

/// In everything that is nobody else's business.
const WORD: &str = "canary7word7canary";

const MODEL: &str = "gpt-test";

/// Everything that was printed and logged.
#[derive(Clone, Default)]
struct Output(Arc<Mutex<Vec<u8>>>);

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Output {
    fn print(&self, value: &dyn Debug) {
        let mut bytes = self.0.lock().expect("nobody panics with it");
        bytes.extend_from_slice(format!("{value:?}\n{value:#?}\n").as_bytes());
    }

    fn error(&self, error: &Error) {
        self.print(error);
        self.print(&error.to_string());
        self.print(&error.cause());
    }

    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("nobody panics with it").clone()).expect("text")
    }

    /// Takes everything that this thread logs, of the client and of the server beside it.
    fn watch(&self) -> DefaultGuard {
        // While one subscriber is alone in a process, the first thread that comes by a span says for all others whether
        // anyone wants it. So there is always another one.
        static ANOTHER: OnceLock<Dispatch> = OnceLock::new();
        ANOTHER.get_or_init(|| Dispatch::new(tracing_subscriber::registry()));
        let writer = self.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_max_level(LevelFilter::TRACE)
            .with_span_events(FmtSpan::FULL)
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        tracing::subscriber::set_default(subscriber)
    }
}

/// Sends calls, and prints all that can be printed of them.
struct Walk {
    output: Output,
    zk: Zumik,
    /// The same server, which does not know the key.
    stranger: Zumik,
    /// A server that is not there.
    nowhere: Zumik,
    seen: BTreeSet<&'static str>,
}

impl Walk {
    async fn send<E>(&mut self, call: Call<'_, E>) -> Result<E::Output>
    where
        E: Endpoint + Debug,
        E::Output: Debug,
    {
        self.seen.insert(E::OPERATION.id);
        let call = call.header("x-secret", WORD).query("secret", WORD);
        self.output.print(&call);
        let endpoint = call.endpoint().clone();
        let parts = endpoint.parts().expect("a request that can be made");
        self.output.print(&parts);
        for client in [&self.stranger, &self.nowhere] {
            if let Err(error) = client.call(endpoint.clone()).header("x-secret", WORD).send().await {
                self.output.error(&error);
            }
        }
        let answer = call.send().await;
        match &answer {
            Ok(answer) => self.output.print(answer),
            Err(error) => self.output.error(error),
        }
        if let Body::Json(body) = &parts.body {
            self.send_rubbish(&endpoint, body).await;
        }
        answer.map(Response::into_inner)
    }

    /// Puts something of another type into each member of the body, and a member that nobody knows beside them.
    async fn send_rubbish<E>(&self, endpoint: &E, body: &[u8])
    where
        E: Endpoint + Debug,
        E::Output: Debug,
    {
        let body: JsonObject = serde_json::from_slice(body).expect("an object");
        for name in body.keys().map(String::as_str).chain(["new_member"]) {
            let call = self.zk.call(endpoint.clone()).body_field(name, json!({ "member": [WORD] }));
            self.output.print(&call);
            match call.send().await {
                Ok(answer) => self.output.print(&answer),
                Err(error) => self.output.error(&error),
            }
        }
    }

    /// Reads a stream to its end.
    async fn stream<E>(&self, call: Call<'_, E>) -> Result<()>
    where
        E: StreamEndpoint + Debug,
        E::Event: Debug,
    {
        let mut stream = call.stream().await?;
        self.output.print(&stream);
        self.output.print(stream.meta());
        while let Some(event) = stream.next().await {
            self.output.print(&event?);
            self.output.print(&stream);
        }
        Ok(())
    }
}

fn secret() -> JsonObject {
    json_object!({ WORD: WORD, "note": [WORD] })
}

#[tokio::test]
async fn nothing_that_the_client_sends_or_gets_is_printed_logged_or_said_by_an_error() -> Result<()> {
    let output = Output::default();
    let _guard = output.watch();
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let client = |url: &str, key: &str| {
        let builder = Zumik::builder().base_url(url).api_key(key).header("x-always", WORD).max_retries(0);
        output.print(&builder);
        let client = builder.build().expect("a client");
        output.print(&client);
        client
    };
    let mut walk = Walk {
        output: output.clone(),
        zk: client(server.url(), server.api_key()),
        stranger: client(server.url(), &format!("zk_live_{WORD}")),
        nowhere: client("http://127.0.0.1:1", WORD),
        seen: BTreeSet::new(),
    };
    let zk = walk.zk.clone();

    state(&mut walk, &zk).await?;
    native(&mut walk, &zk).await?;
    openai(&mut walk, &zk).await?;
    files_and_batches(&mut walk, &zk).await?;

    let missing: Vec<_> =
        operations::ALL.iter().map(|operation| operation.id).filter(|id| !walk.seen.contains(id)).collect();
    assert_eq!(missing, [""; 0], "operations that were not called");
    let text = output.text();
    assert!(text.contains("zumik.call") && text.contains("zumik.attempt"), "no spans were seen");
    for secret in [WORD, server.api_key()] {
        let line = text.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret:?} is shown");
    }
    let heard =
        upstream.requests().iter().any(|request| String::from_utf8_lossy(&request.body).contains(WORD));
    assert!(heard, "the model was never told the word");
    Ok(())
}

/// Artifacts, bundles, sessions and what is in them.
async fn state(walk: &mut Walk, zk: &Zumik) -> Result<()> {
    let artifact = walk.send(zk.artifacts().create(ArtifactType::Policy, WORD).metadata(secret())).await?.id;
    walk.send(zk.artifacts().list()).await?;
    walk.send(zk.artifacts().retrieve(&artifact)).await?;
    let bundle = walk.send(zk.bundles().create([BundleItem::new(&artifact, "system")])).await?.id;
    walk.send(zk.bundles().retrieve(&bundle)).await?;
    let session = walk.send(zk.sessions().create().base_bundle_ids([&bundle])).await?;
    let (session, branch) = (session.id, session.default_branch_id);
    walk.send(zk.sessions().retrieve(&session)).await?;
    let fork = walk.send(zk.branches().fork(&session, &branch)).await?.id;
    walk.send(zk.branches().list(&session)).await?;
    walk.send(zk.branches().retrieve(&session, &branch)).await?;
    walk.send(zk.events().append(&session, &fork, 0, Event::note(&artifact))).await?;
    walk.send(zk.events().list(&session, &fork)).await?;
    let mut cursor = zk.branch(&session, &branch).at_head().await?;
    walk.output.print(&cursor.append(Event::user_message(&artifact)).await?);
    walk.output.print(&cursor);
    let merge = zk.merges().create(&session, &branch, &fork, MergeStrategy::Rebase, 1);
    walk.send(merge.expected_head_event_id(cursor.head().cloned())).await?;
    let snapshot = walk.send(zk.snapshots().create(&session, &branch)).await?.id;
    walk.send(zk.snapshots().list(&session, &branch)).await?;
    walk.send(zk.snapshots().retrieve(&session, &branch, &snapshot)).await?;
    walk.send(zk.sessions().update(&session, SessionStatus::Archived)).await?;
    walk.send(zk.sessions().delete(&session)).await?;

    let purged = walk.send(zk.artifacts().create(ArtifactType::Document, WORD)).await?.id;
    let job = walk.send(zk.purge_jobs().create([&purged])).await?.id;
    walk.send(zk.purge_jobs().retrieve(&job)).await?;
    walk.send(zk.purge_jobs().receipt(&job)).await?;
    walk.send(zk.receipt_keys().list()).await?;
    let purged = walk.send(zk.artifacts().create(ArtifactType::Document, WORD)).await?.id;
    walk.output.print(&zk.purge_jobs().purge([&purged]).await?);
    let _either = walk.send(zk.artifacts().delete(&artifact)).await;
    let _either = walk.send(zk.bundles().delete(&bundle)).await;
    Ok(())
}

/// Native responses, what they need, and what they cost.
async fn native(walk: &mut Walk, zk: &Zumik) -> Result<()> {
    let hints = AgentHints::new().version("2026-06-01");
    let response = walk.send(zk.responses().create(MODEL, WORD).agent_hints(hints)).await?.id;
    walk.send(zk.responses().retrieve(&response)).await?;
    let _either = walk.send(zk.responses().cancel(&response)).await;
    walk.send(zk.token_counts().create(WORD)).await?;
    let observed = TraceObservation::new("openai/gpt-4o", 400, 2000, 1000, 800, 600, 50);
    let trace = DiagnosticTrace::new("trace-1", PrivacyMode::Metadata, observed);
    let diagnostic = walk.send(zk.diagnostics().create([trace])).await?.id;
    walk.send(zk.diagnostics().retrieve(&diagnostic)).await?;
    walk.send(zk.diagnostics().report(&diagnostic)).await?;
    let hints: AgentHintsId = walk.send(zk.agent_hints().create()).await?.id;
    walk.send(zk.agent_hints().retrieve(&hints)).await?;
    walk.send(zk.agent_hints().delete(&hints)).await?;
    walk.send(zk.model_aliases().create("fast", [NewModelTarget::new("test", MODEL).weight(100)])).await?;
    walk.send(zk.model_aliases().list()).await?;
    walk.send(zk.model_aliases().retrieve("fast")).await?;
    walk.send(zk.usage().retrieve()).await?;
    walk.send(zk.health().check()).await?;
    walk.output.print(&zk.request(Method::POST, "/v2/token-counts").json(&json!({ "input": WORD })));
    let answer = zk.request(Method::POST, "/v2/token-counts").json(&json!({ "input": { WORD: WORD } }));
    walk.output.error(&answer.send_as::<Value>().await.expect_err("no input"));
    Ok(())
}

/// Chat, responses, conversations, embeddings, models.
async fn openai(walk: &mut Walk, zk: &Zumik) -> Result<()> {
    let v1 = zk.v1();
    let schema = json_object!({ "type": "object", "properties": { WORD: { "type": "string" } } });
    let messages = || {
        let parts = [ChatContentPart::text(WORD), ChatContentPart::file("words.pdf", WORD)];
        [ChatMessage::system(WORD), ChatMessage::user(parts), ChatMessage::user(WORD)]
    };
    let chat = v1.chat().completions().create(MODEL, messages()).metadata(secret()).stop([WORD]);
    let chat = chat.prediction(ChatPrediction::new(WORD)).hints(&AgentHints::new().version("2026-06-01"));
    let chat = chat.response_format(ChatResponseFormat::json_schema("form", schema.clone()));
    walk.send(chat.clone()).await?;
    walk.stream(chat.clone()).await?;
    let completion = chat.clone().stream().await?.collect().await?;
    walk.output.print(&completion);
    let tool = ChatTool::function("run").description(WORD).parameters(schema.clone());
    walk.send(chat.clone().tools([tool.clone()])).await?;
    walk.stream(chat.tools([tool])).await?;

    let items = [V1InputItem::system(WORD), V1InputItem::user(WORD)];
    let respond = v1.responses().create(MODEL, items).instructions(WORD).metadata(secret());
    let respond = respond.text(V1TextConfig::json_schema("form", schema.clone()));
    let response = walk.send(respond.clone()).await?.id;
    walk.stream(respond.clone()).await?;
    let tool = V1Tool::function("run").description(WORD).parameters(schema);
    walk.send(respond.clone().tools([tool])).await?;
    walk.send(v1.responses().retrieve(&response)).await?;
    walk.send(v1.responses().input_items(&response)).await?;
    let _either = walk.send(v1.responses().cancel(&response)).await;
    walk.send(v1.responses().input_tokens(WORD).model(MODEL)).await?;
    walk.send(v1.responses().compact(MODEL).input([V1InputItem::user(WORD)])).await?;
    let conversation = walk.send(v1.conversations().create().metadata(secret())).await?.id;
    walk.send(respond.conversation(conversation.clone())).await?;
    walk.send(v1.conversations().retrieve(&conversation)).await?;
    walk.send(v1.conversations().delete(&conversation)).await?;
    walk.send(v1.responses().delete(&response)).await?;

    walk.send(v1.embeddings().create(MODEL, [WORD])).await?;
    walk.send(v1.models().list()).await?;
    walk.send(v1.models().retrieve(MODEL)).await?;
    Ok(())
}

/// Files, and many requests in one.
async fn files_and_batches(walk: &mut Walk, zk: &Zumik) -> Result<()> {
    let (files, batches) = (zk.v1().files(), zk.v1().batches());
    let file = walk.send(files.upload(FilePart::bytes("words.jsonl", WORD)).purpose("notes")).await?.id;
    walk.send(files.list()).await?;
    walk.send(files.retrieve(&file)).await?;
    walk.send(files.content(&file)).await?;
    walk.send(files.delete(&file)).await?;

    let request = |model: &str| CreateChatCompletionRequest::new(model, [WORD]);
    let run = batches.run([("good", request(MODEL)), ("bad", request("gpt-test?status=400"))]);
    let run = run.metadata(secret());
    walk.output.print(&run);
    let mut results = run.await?;
    walk.output.print(&results);
    while let Some(line) = results.next().await {
        walk.output.print(&line?);
    }
    let batch = results.batch().clone();
    walk.output.print(&batches.wait(&batch.id));
    let create = batches.create(&batch.input_file_id, "/v1/chat/completions").metadata(secret());
    walk.send(create).await?;
    walk.send(batches.list()).await?;
    walk.send(batches.retrieve(&batch.id)).await?;
    let _either = walk.send(batches.cancel(&batch.id)).await;
    Ok(())
}
