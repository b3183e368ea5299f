//! Who may do what, for every operation of the table.

use zumik_client::types::{Scope, operations};
use zumik_tests::http::Http;
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
    }
}

#[tokio::test]
async fn a_key_with_the_scope_read_reads_and_does_nothing_else() {
    let server = server::durable().await;
    let world = World::create(&server.http()).await;
    let reader = Http::new(server.url(), &server.key("default", &["read"]));
    for operation in operations::ALL {
        let answer = reader.send(&world.request(operation)).await;
        if matches!(operation.scope, Scope::Read | Scope::None) {
            assert_eq!(answer.status, 200, "{}: {answer:?}", operation.id);
        } else {
            assert_eq!(answer.status, 403, "{}: {answer:?}", operation.id);
            assert_eq!(answer.error()["code"], "insufficient_scope");
        }
    }
}

#[tokio::test]
async fn without_a_key_only_the_probe_answers() {
    let server = server::durable().await;
    let world = World::create(&server.http()).await;
    let nobody = server.http().without_key();
    for operation in operations::ALL {
        let answer = nobody.send(&world.request(operation)).await;
        if matches!(operation.scope, Scope::None) {
            assert_eq!(answer.status, 200, "{}", operation.id);
        } else {
            assert_eq!(answer.status, 401, "{}: {answer:?}", operation.id);
            assert_eq!(answer.error()["code"], "invalid_api_key");
            assert_eq!(answer.headers["www-authenticate"], "Bearer");
        }
    }
}
