//! What was written is there after a restart, byte for byte.

use zumik_client::types::operations;
use zumik_tests::http::Http;
use zumik_tests::operations::World;
use zumik_tests::server;

/// The answer of every operation that reads, by its id.
async fn all_readings(http: &Http, world: &World) -> Vec<(&'static str, Vec<u8>)> {
    let mut readings = Vec::new();
    for operation in operations::ALL.iter().filter(|operation| operation.method.as_str() == "GET") {
        let answer = http.send(&world.request(operation)).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
        readings.push((operation.id, answer.body.to_vec()));
    }
    readings
}

#[tokio::test]
async fn everything_reads_the_same_after_a_restart() {
    let server = server::durable().await;
    let world = World::create(&server.http()).await;
    let before = all_readings(&server.http(), &world).await;
    let server = server.restart().await;
    assert_eq!(all_readings(&server.http(), &world).await, before);
}

#[tokio::test]
async fn a_key_is_replayed_after_a_restart() {
    let server = server::durable().await;
    let keyed = |builder: reqwest::RequestBuilder| builder.header("Agent-Idempotency-Key", "once");
    let mut made = Vec::new();
    for operation in operations::ALL.iter().filter(|operation| operation.accepts_key) {
        // A world each: some operations end what they name.
        let request = World::create(&server.http()).await.request(operation);
        let first = server.http().send_with(&request, keyed).await;
        assert_eq!(first.status, 200, "{}: {first:?}", operation.id);
        made.push((request, first));
    }
    let server = server.restart().await;
    for (request, first) in made {
        let again = server.http().send_with(&request, keyed).await;
        assert_eq!((again.status, &again.body), (first.status, &first.body), "{}", request.operation.id);
        assert_eq!(again.headers["agent-idempotent-replay"], "true", "{}", request.operation.id);
    }
}
