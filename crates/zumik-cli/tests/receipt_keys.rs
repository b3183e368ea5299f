//! `zumik receipt-keys`, beside a running server.
#![cfg(unix)]

mod support;

use support::{Serving, json, output, refused, stdout, zumik};
use zumik_client::types::{ArtifactType, Guarantee};

#[tokio::test]
async fn a_new_key_signs_at_once_and_what_the_old_one_signed_still_verifies() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let client = server.client(server.key());
    let purge = async || {
        let doomed = client.artifacts().create(ArtifactType::Document, "To be forgotten.").await.unwrap();
        client.purge_jobs().purge([&doomed.id]).await.unwrap()
    };
    let before = purge().await;
    let rotated = json(zumik(["receipt-keys", "rotate", "--json", "--data"]).arg(folder.path()));
    let after = purge().await;
    let (old, new) = (&before.receipt.signature.key_id, &after.receipt.signature.key_id);
    assert_ne!(old, new);
    assert_eq!(rotated["kid"], new.as_str());

    let keys = client.receipt_keys().list().await.unwrap();
    for proof in [&before, &after] {
        proof.verify(&keys).unwrap().require(Guarantee::VerifiedNamespaceInvalidation).unwrap();
    }
    let listed = json(zumik(["receipt-keys", "list", "--json", "--data"]).arg(folder.path()));
    assert_eq!(listed, serde_json::to_value(&keys).unwrap());
    let table = stdout(&output(zumik(["receipt-keys", "list", "--data"]).arg(folder.path())));
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].contains(new.as_str()) && lines[0].contains("signs"), "{table}");
    assert!(lines[1].contains(old.as_str()) && lines[1].contains("retired"), "{table}");
}

#[test]
fn a_new_key_is_not_made_with_the_wrong_master_key() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Serving::start(folder.path());
    let mut rotate = zumik(["receipt-keys", "rotate", "--data"]);
    let wrong = "ab".repeat(32);
    let said = refused(&output(rotate.arg(folder.path()).env("ZUMIK_MASTER_KEY", &wrong)), 1);
    assert!(said.contains("ZUMIK_MASTER_KEY") && !said.contains(&wrong), "{said}");
    let listed = json(zumik(["receipt-keys", "list", "--json", "--data"]).arg(folder.path()));
    assert_eq!(listed["keys"].as_array().unwrap().len(), 1);
}
