//! One agent's life, from its first artifact to the receipt: what each step leaves is what the next one finds.

use zumik_client::types::{
    ArtifactType, BundleItem, Event, EventType, ExecutionMode, Guarantee, Qos, QosClass, SessionStatus,
};
use zumik_client::{ErrorKind, Zumik};
use zumik_tests::log;
use zumik_tests::server;

/// Stores a text as the payload of an event.
async fn text(zk: &Zumik, content: &str) -> zumik_client::types::Artifact {
    zk.artifacts().create(ArtifactType::TextContext, content).await.expect("an artifact")
}

#[tokio::test]
async fn a_workflow_runs_from_its_first_artifact_to_the_receipt() -> Result<(), Box<dyn std::error::Error>> {
    let server = server::durable().await;
    let zk = server.client();

    // What is stable is stored once.
    let policy = zk.artifacts().create(ArtifactType::Policy, "Run the linter before every commit.").await?;
    let secret =
        zk.artifacts().create(ArtifactType::Document, "The orchard keeps its ledger in the cellar.").await?;
    let items = [BundleItem::new(&policy.id, "system"), BundleItem::new(&secret.id, "context")];
    let bundle = zk.bundles().create(items).await?;
    let session = zk.sessions().create().base_bundle_ids([&bundle.id]).await?;
    let root = &session.default_branch_id;

    // Turns grow the branch, and with it the prompt.
    let mut branch = zk.branch(&session.id, root).at_head().await?;
    let mut tokens = Vec::new();
    for question in ["Why did CI fail?", "And how do I mend it?"] {
        branch.append(Event::user_message(&text(&zk, question).await.id)).await?;
        let qos = Qos::new().class(QosClass::Interactive).deadline_ms(60_000u64);
        let call = zk.responses().create("code.fast", question).session(&session.id).qos(qos);
        let answer = call.reject_placeholder(false).send().await?;
        assert_eq!(answer.meta().execution_mode(), Some(ExecutionMode::Placeholder));
        assert_eq!(
            zk.responses().retrieve(&answer.id).await?,
            *answer,
            "the stored response is the answered one"
        );
        tokens.push(answer.usage.input_tokens);
        let said = answer.output_text.clone().expect("a completed response has text");
        branch.append(Event::assistant_message(&text(&zk, &said).await.id)).await?;
    }
    assert!(tokens[1] > tokens[0], "the second prompt holds the first turn");

    // Two ideas at once: a fork, its own events, and both ways back.
    let mut attempt = branch.fork_as("alternative").await?;
    let idea = attempt.append(Event::note(&text(&zk, "Pin the fixture path.").await.id)).await?;
    let merge = branch.merge_rebase(attempt.branch_id()).await?;
    let copied = merge.appended[0].merged_from.as_ref().expect("a merged event names its source");
    assert_eq!((&copied.branch_id, &copied.event_id), (attempt.branch_id(), &idea.id));
    let history = log::read(&zk, &session.id, root).await?;
    assert_eq!(history.len() as u64, branch.version());
    assert!(
        log::check(&history, &history.iter().map(|e| (e.sequence, e.id.clone())).collect::<Vec<_>>())
            .is_empty()
    );
    assert_eq!(history[4].event_type, EventType::Note);

    // A pin of that state, which later turns do not move.
    let manifest = [secret.id.as_str(), history[0].id.as_str()];
    let snapshot = zk.snapshots().create(&session.id, root).ordered_block_manifest(manifest).await?;
    assert_eq!(snapshot.branch_version, 5);
    assert_eq!(zk.snapshots().list(&session.id, root).await?.data, std::slice::from_ref(&snapshot));

    // Forgetting one document, with all that depends on it, and the proof.
    let proof = zk.purge_jobs().purge([&secret.id]).await?;
    proof.verify(&zk.receipt_keys().list().await?)?.require(Guarantee::VerifiedNamespaceInvalidation)?;
    for error in [
        zk.artifacts().retrieve(&secret.id).await.unwrap_err(),
        zk.bundles().retrieve(&bundle.id).await.unwrap_err(),
        zk.snapshots().retrieve(&session.id, root, &snapshot.id).await.unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    }
    assert_eq!(zk.sessions().retrieve(&session.id).await?.status, SessionStatus::Tombstoned);
    let error = attempt.append(Event::note(&policy.id)).await.unwrap_err();
    assert_eq!(error.code(), Some("session_not_active"));
    assert_eq!(log::read(&zk, &session.id, root).await?, history, "the history stays readable");
    assert_eq!(zk.artifacts().retrieve(&policy.id).await?, policy, "what was not purged stays");
    Ok(())
}
