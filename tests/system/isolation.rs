//! A project is a wall: for every operation of the table, what belongs to others answers as what never existed.

use std::collections::BTreeMap;

use zumik_client::types::operations;
use zumik_tests::http::{Answer, Http};
use zumik_tests::operations::World;
use zumik_tests::server;

/// Every answer that reads something of a world, to see that nothing changed.
async fn reading(http: &Http, world: &World) -> Vec<String> {
    let mut bodies = Vec::new();
    // Usage is written a little later than what it tells of.
    let reads = operations::ALL.iter().filter(|operation| operation.method.as_str() == "GET");
    for operation in reads.filter(|operation| operation.id != "retrieveUsage") {
        let answer = http.send(&world.request(operation)).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
        bodies.push(format!("{}: {}", operation.id, String::from_utf8_lossy(&answer.body)));
    }
    bodies
}

/// Status, headers and body, without what differs from call to call, and with the ids of the world masked.
fn shape(answer: &Answer, world: &World) -> (u16, BTreeMap<String, String>, String) {
    let mask = |text: &str| world.all_ids().fold(text.to_owned(), |text, id| text.replace(id.as_str(), "ID"));
    let varies = ["agent-trace-id", "x-request-id", "date", "content-length"];
    let headers = answer.headers.iter().filter(|(name, _)| !varies.contains(&name.as_str()));
    let headers =
        headers.map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()));
    (answer.status.as_u16(), headers.collect(), mask(&String::from_utf8_lossy(&answer.body)))
}

#[tokio::test]
async fn ids_of_another_project_answer_as_ids_that_never_were() {
    let server = server::durable().await;
    let owner = server.http();
    let stranger = Http::new(server.url(), &server.key("stranger", &["inference"]));
    let world = World::create(&owner).await;
    let missing = world.missing();
    let before = reading(&owner, &world).await;
    let mut refused = 0;
    for operation in operations::ALL {
        let theirs = world.request(operation);
        let nobodys = missing.request(operation);
        let names_something = theirs.path != nobodys.path
            || matches!((&theirs.body, &nobodys.body), (zumik_tests::operations::Body::Json(a), zumik_tests::operations::Body::Json(b)) if a != b);
        if !names_something {
            continue;
        }
        let answer = stranger.send(&theirs).await;
        let expected = if theirs.path == nobodys.path { 400 } else { 404 };
        assert_eq!(answer.status, expected, "{}: {answer:?}", operation.id);
        answer.error();
        let never = stranger.send(&nobodys).await;
        assert_eq!(shape(&answer, &world), shape(&never, &missing), "{} tells them apart", operation.id);
        refused += 1;
    }
    assert!(refused > 20, "most operations name something");
    assert_eq!(reading(&owner, &world).await, before, "nothing changed for the owner");
}

#[tokio::test]
async fn lists_hold_nothing_of_another_project() {
    let server = server::durable().await;
    let world = World::create(&server.http()).await;
    let stranger = Http::new(server.url(), &server.key("stranger", &["inference"]));
    for path in ["/v2/artifacts", "/v1/files", "/v1/batches", "/v2/usage"] {
        let list = stranger.get(path).await;
        assert_eq!(list.json()["data"].as_array().map(Vec::len), Some(0), "{path}");
    }
    let body = String::from_utf8_lossy(&stranger.get("/v2/artifacts").await.body).into_owned();
    assert!(world.all_ids().all(|id| !body.contains(id.as_str())));
}
