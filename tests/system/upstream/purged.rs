//! What the receipt of a purge says of the provider that had the content.

use zumik_client::types::{
    ArtifactType, BundleItem, ExecutionMode, Guarantee, ProcessorStatus, PurgeReceipt,
};
use zumik_tests::server::configured;
use zumik_tests::upstream::Upstream;

use super::provider;

/// Answers a question over an artifact through a provider with these settings, purges the artifact and verifies the receipt.
async fn purged_after_an_answer(settings: &str) -> PurgeReceipt {
    let upstream = Upstream::start().await;
    let server = configured(&format!("{}{settings}", provider("test", &upstream))).await;
    let zk = server.client();
    let text = "The build runs on Tuesdays.";
    let note = zk.artifacts().create(ArtifactType::Document, text).await.expect("an artifact");
    let bundle = zk.bundles().create([BundleItem::new(&note.id, "context")]).await.expect("a bundle");
    let session = zk.sessions().create().base_bundle_ids([&bundle.id]).await.expect("a session");
    let answer =
        zk.responses().create("gpt-test", "When?").session(&session.id).send().await.expect("an answer");
    assert_eq!(answer.meta().execution_mode(), Some(ExecutionMode::Live));
    let asked = upstream.requests();
    let has_it = asked.iter().any(|request| String::from_utf8_lossy(&request.body).contains(text));
    assert!(has_it, "the provider has it: {asked:?}");

    let proof = zk.purge_jobs().purge([&note.id]).await.expect("a proof");
    let keys = zk.receipt_keys().list().await.expect("the keys");
    proof.verify(&keys).expect("it verifies").into_inner()
}

/// Seconds from the purge until nothing of it is left anywhere.
fn window(receipt: &PurgeReceipt) -> Option<i64> {
    Some((receipt.expires_at()? - receipt.completed_at).num_seconds())
}

#[tokio::test]
async fn a_receipt_names_the_provider_and_when_its_cache_has_expired() {
    let receipt = purged_after_an_answer("cache_seconds = 600\ntotal_seconds = 30\n").await;
    assert_eq!(receipt.guarantee, Guarantee::ExpiryBound);
    let cache = receipt.processors.last().expect("a processor");
    assert_eq!(
        (&*cache.processor, &*cache.action, &cache.status, &cache.guarantee, cache.completed_at),
        ("test", "await_cache_expiry", &ProcessorStatus::PendingExpiry, &Guarantee::ExpiryBound, None)
    );
    assert_eq!(window(&receipt), Some(600 + 4 * 30 + 60), "after the last attempt that may still run");
    assert_eq!(receipt.expires_at(), cache.expires_at);
    assert_eq!(receipt.processors.len(), 5, "each once: {receipt:?}");
}

#[tokio::test]
async fn a_provider_is_taken_to_keep_prompts_for_a_day_unless_its_settings_say_otherwise() {
    let receipt = purged_after_an_answer("").await;
    assert!(window(&receipt) >= Some(24 * 3_600), "{receipt:?}");
    assert_eq!(receipt.guarantee, Guarantee::ExpiryBound);
}

#[tokio::test]
async fn a_provider_that_keeps_nothing_is_in_no_receipt() {
    let receipt = purged_after_an_answer("cache_seconds = 0\n").await;
    assert_eq!(receipt.guarantee, Guarantee::VerifiedNamespaceInvalidation);
    assert_eq!((receipt.processors.len(), receipt.expires_at()), (4, None));
}
