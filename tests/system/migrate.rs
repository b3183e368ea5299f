//! A server's state moved to PostgreSQL and back by the real command: clients notice nothing.

use std::fs;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use zumik_client::types::operations;
use zumik_test_postgres::Postgres;
use zumik_tests::http::Http;
use zumik_tests::operations::{Request, World};
use zumik_tests::process::{ServeProcess, run, zumik};

#[tokio::test]
async fn clients_find_everything_where_a_server_was_moved_to() {
    let Some(postgres) = Postgres::shared() else { return };
    let (zumik, url) = (zumik(), postgres.database());
    let root = tempfile::tempdir().expect("a temporary folder");
    let [first, second, third] = ["first", "second", "third"].map(|name| root.path().join(name));
    let server = ServeProcess::start(&zumik, &first);
    let made = run(
        &zumik,
        ["keys", "create", "--scopes", "inference,admin", "--json", "--data"]
            .map(AsRef::as_ref)
            .into_iter()
            .chain([first.as_os_str()]),
    );
    let key = made["key"].as_str().expect("a key").to_owned();
    let before = Before::make(&Http::new(&server.url, &key)).await;
    server.kill();
    // What the kill interrupted is completed by the next start; only then is it moved.
    ServeProcess::start(&zumik, &first).kill();

    let moved = run(
        &zumik,
        [
            "migrate".as_ref(),
            "--from".as_ref(),
            first.as_os_str(),
            "--to".as_ref(),
            url.as_ref(),
            "--json".as_ref(),
        ],
    );
    for table in moved["tables"].as_array().expect("tables") {
        let name = table["table"].as_str().expect("a name");
        assert!(table["rows"].as_u64() > Some(0), "no row of {name} was moved");
    }
    fs::create_dir(&second).expect("a folder");
    fs::copy(first.join("master.key"), second.join("master.key")).expect("the master key");
    let server = ServeProcess::start_on(&zumik, &second, &url);
    before.check(&Http::new(&server.url, &key)).await;
    server.kill();

    let key_file = first.join("master.key");
    run(
        &zumik,
        [
            "migrate".as_ref(),
            "--from".as_ref(),
            url.as_ref(),
            "--to".as_ref(),
            third.as_os_str(),
            "--master-key-file".as_ref(),
            key_file.as_os_str(),
            "--json".as_ref(),
        ],
    );
    let server = ServeProcess::start(&zumik, &third);
    before.check(&Http::new(&server.url, &key)).await;
}

/// What clients had and were told before the move.
struct Before {
    world: World,
    read: Vec<(&'static str, Value)>,
    /// Writes under keys, each with its answer.
    written: Vec<(Request, Vec<u8>)>,
    finished: String,
}

impl Before {
    async fn make(http: &Http) -> Self {
        let world = World::create(http).await;
        let mut written = Vec::new();
        for operation in operations::ALL.iter().filter(|operation| operation.accepts_key) {
            // A world each: some operations end what they name.
            let request = World::create(http).await.request(operation);
            let answer = http.send_with(&request, keyed).await;
            assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
            written.push((request, answer.body.to_vec()));
        }
        let conversation = world.parameters(false).into_iter().find(|(name, _)| *name == "conversation_id");
        let (_, conversation) = conversation.expect("a conversation");
        http.post(
            "/v1/responses",
            json!({"model": "code.fast", "input": "Go on.", "conversation": conversation}),
        )
        .await;
        let finished = finished_batch(http).await;
        let read = read(http, &world).await;
        Self { world, read, written, finished }
    }

    async fn check(&self, http: &Http) {
        for ((operation, found), (_, expected)) in read(http, &self.world).await.iter().zip(&self.read) {
            assert_eq!(found, expected, "{operation}");
        }
        for (request, answer) in &self.written {
            let again = http.send_with(request, keyed).await;
            assert_eq!(again.status, 200, "{}: {again:?}", request.operation.id);
            assert_eq!(again.body, answer, "{}", request.operation.id);
            assert_eq!(again.headers["agent-idempotent-replay"], "true", "{}", request.operation.id);
        }
        // What is new takes its place after what is there.
        World::create(http).await;
        let output = http.get(&format!("/v1/files/{}/content", self.finished)).await;
        assert!(String::from_utf8_lossy(&output.body).contains("r1"), "{output:?}");
    }
}

fn keyed(request: RequestBuilder) -> RequestBuilder {
    request.header("Agent-Idempotency-Key", "once")
}

/// Every answer that reads something, without what new writes change.
async fn read(http: &Http, world: &World) -> Vec<(&'static str, Value)> {
    let mut answers = Vec::new();
    let reads = operations::ALL.iter().filter(|operation| operation.method.as_str() == "GET");
    for operation in reads {
        let lists = ["listArtifacts", "listFiles", "listBatches", "retrieveUsage"];
        let answer = http.send(&world.request(operation)).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
        if !lists.contains(&operation.id) {
            answers.push((
                operation.id,
                match answer.json() {
                    Value::Null => Value::from(answer.body.to_vec()),
                    json => json,
                },
            ));
        }
    }
    answers
}

/// Runs a batch to its end; gives its output file.
async fn finished_batch(http: &Http) -> String {
    let file = http.upload().await;
    let request =
        json!({"input_file_id": file["id"], "endpoint": "/v1/chat/completions", "completion_window": "24h"});
    let batch = http.post("/v1/batches", request).await;
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));
    let batch = http.ended_batch(&path).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    batch["output_file_id"].as_str().expect("a file").to_owned()
}
