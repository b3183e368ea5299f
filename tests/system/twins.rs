//! Sixty-four twins of every request that takes an idempotency key: one effect, and the same bytes for all.

use std::collections::BTreeMap;

use tokio::task::JoinSet;
use zumik_client::types::operations;
use zumik_tests::http::{Answer, Http};
use zumik_tests::operations::{Request, World};
use zumik_tests::server;

const TWINS: usize = 64;
const KEY: &str = "Agent-Idempotency-Key";

/// How many objects there are of each kind that can be listed, without the files that a batch writes when it ends.
async fn counts(http: &Http, world: &World) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for operation in operations::ALL.iter().filter(|operation| operation.id.starts_with("list")) {
        let list = http.send(&world.request(operation)).await.json();
        let made = |object: &&serde_json::Value| object["purpose"] != "batch_output";
        counts
            .insert(operation.id, list["data"].as_array().map_or(0, |data| data.iter().filter(made).count()));
    }
    counts
}

/// Sends until the key is no longer in flight.
async fn settled(http: &Http, request: &Request, key: &str) -> Answer {
    loop {
        let answer = http.send_with(request, |builder| builder.header(KEY, key)).await;
        if answer.status != 409 {
            return answer;
        }
        assert_eq!(answer.error()["type"], "idempotency_conflict");
        assert!(answer.headers.contains_key("retry-after"));
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twins_have_one_effect_and_get_the_same_bytes() {
    let server = server::durable().await;
    let http = server.http();
    for operation in operations::ALL.iter().filter(|operation| operation.accepts_key) {
        let world = World::create(&http).await;
        let request = world.request(operation);
        let before = counts(&http, &world).await;
        let key = format!("twins-of-{}", operation.id);
        let mut twins = JoinSet::new();
        for _ in 0..TWINS {
            let (http, request, key) = (http.clone(), request.clone(), key.clone());
            twins.spawn(async move { settled(&http, &request, &key).await });
        }
        let answers = twins.join_all().await;
        let first = &answers[0];
        assert_eq!(first.status, 200, "{}: {first:?}", operation.id);
        let mut ran = 0;
        for answer in &answers {
            assert_eq!((answer.status, &answer.body), (first.status, &first.body), "{}", operation.id);
            assert_eq!(answer.headers["agent-trace-id"], first.headers["agent-trace-id"], "{}", operation.id);
            ran += usize::from(answer.headers["agent-idempotent-replay"] == "false");
        }
        assert_eq!(ran, 1, "{} ran more than once", operation.id);
        let grown: usize =
            counts(&http, &world).await.values().sum::<usize>().abs_diff(before.values().sum());
        assert!(grown <= 1, "{} left {grown} objects", operation.id);
    }
}
