//! Every operation of the table, by its owner: the requests that other tests bend are valid ones.

use zumik_client::types::operations;
use zumik_tests::operations::World;
use zumik_tests::server;

#[tokio::test]
async fn every_operation_serves_its_owner() {
    let server = server::durable().await;
    let owner = server.http();
    for operation in operations::ALL {
        // A world each: some operations end what they name.
        let request = World::create(&owner).await.request(operation);
        let answer = owner.send(&request).await;
        assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
        assert!(answer.headers.contains_key("agent-trace-id"), "{}", operation.id);
    }
}
