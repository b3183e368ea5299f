//! Everything that can be read, held to what was acknowledged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use rusqlite::Connection;
use zumik_client::types::{ArtifactId, BatchStatus, FileId, Guarantee, PurgeJobStatus};
use zumik_client::{ErrorKind, Zumik};

use super::lane::{LINES, Lane};
use crate::log;

/// How long a batch may take to go on after a start: of servers on one database, until the leases of a dead one end.
const PATIENCE: Duration = Duration::from_secs(120);

/// The database as the kill left it, recovered in a copy: sound, and no row refers to one that is missing.
pub(crate) fn integrity(data: &Path) {
    let copy = tempfile::tempdir().expect("a temporary folder");
    for name in ["zumik.db", "zumik.db-wal"] {
        let file = data.join(name);
        if file.exists() {
            fs::copy(file, copy.path().join(name)).expect("a copy");
        }
    }
    let conn = Connection::open(copy.path().join("zumik.db")).expect("the database opens");
    let sound: String = conn.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("a check");
    assert_eq!(sound, "ok");
    let mut dangling = conn.prepare("PRAGMA foreign_key_check").expect("a check");
    assert!(!dangling.exists([]).expect("a check"), "a row refers to one that is missing");
}

/// What the lanes were told is what can be read, no more and no less, and their purges are completed, with receipts that
/// guarantee at least this.
pub(crate) async fn lanes(zk: &Zumik, lanes: &[Lane], guarantee: Guarantee) {
    contents(zk, lanes).await;
    for lane in lanes {
        purges(zk, lane, &guarantee).await;
    }
}

/// What the lanes were told is what can be read, no more and no less.
pub(crate) async fn contents(zk: &Zumik, lanes: &[Lane]) {
    let listed = zk.artifacts().list().await.expect("the artifacts").data;
    let expected: Vec<&ArtifactId> = lanes.iter().flat_map(|lane| lane.artifacts.keys()).collect();
    same("artifacts", listed.iter().map(|artifact| &artifact.id), expected);
    let mut written = Vec::new();
    for lane in lanes {
        written.append(&mut batches(zk, lane).await);
    }
    let listed = zk.v1().files().list().await.expect("the files").data;
    let uploaded = lanes.iter().flat_map(|lane| lane.files.keys().chain(lane.batches.keys()));
    same("files", listed.iter().map(|file| &file.id), uploaded.chain(&written));
    for lane in lanes {
        branches(zk, lane).await;
        files(zk, lane).await;
    }
}

fn same<'i, T: Ord + std::fmt::Debug + 'i>(
    what: &str,
    listed: impl IntoIterator<Item = &'i T>,
    expected: impl IntoIterator<Item = &'i T>,
) {
    let listed: Vec<&T> = listed.into_iter().collect();
    let there: BTreeSet<&T> = listed.iter().copied().collect();
    let expected: BTreeSet<&T> = expected.into_iter().collect();
    assert_eq!(there.len(), listed.len(), "{what}: one is listed twice");
    let lost: Vec<_> = expected.difference(&there).collect();
    assert!(lost.is_empty(), "{what} were acknowledged and are lost: {lost:?}");
    let extra: Vec<_> = there.difference(&expected).collect();
    assert!(extra.is_empty(), "{what} are there that nobody made: {extra:?}");
}

async fn branches(zk: &Zumik, lane: &Lane) {
    let Some(session) = &lane.session else { return };
    let listed = zk.branches().list(&session.id).await.expect("the branches").data;
    same("branches", listed.iter().map(|branch| &branch.id), lane.branches.iter().map(|branch| &branch.id));
    for branch in &lane.branches {
        let history = log::read(zk, &session.id, &branch.id).await.expect("the history");
        log::check(&history, &[]);
        let found: Vec<_> = history.iter().map(|event| &event.id).collect();
        assert_eq!(found, branch.events.iter().collect::<Vec<_>>(), "the history of {}", branch.id);
    }
}

async fn files(zk: &Zumik, lane: &Lane) {
    for (id, text) in &lane.files {
        let content = zk.v1().files().content(id).await.expect("the content of a file");
        assert_eq!(&content[..], text.as_bytes(), "the content of {id}");
    }
}

/// Every batch comes to its end, whatever interrupted it, with one answer to each line. Gives the files that they wrote.
async fn batches(zk: &Zumik, lane: &Lane) -> Vec<FileId> {
    // A question that hangs must not look like a batch that does.
    let zk = &zk.with(|options| options.timeout(Duration::from_secs(20)));
    let mut written = Vec::new();
    for id in lane.batches.values().flatten() {
        let batch = match zk.v1().batches().wait(id).timeout(PATIENCE).await {
            Err(error) if error.is_timeout() => {
                panic!("{error}: {:?}", zk.v1().batches().retrieve(id).await.expect("the batch"))
            }
            ended => ended.expect("the batch"),
        };
        assert_eq!(batch.status, BatchStatus::Completed, "{id}");
        let results = zk.v1().batches().results(id).await.expect("the results").collect().await;
        let results = results.expect("the results");
        let answered: Vec<_> = results.iter().map(|line| line.custom_id.as_str()).collect();
        let asked: Vec<_> = (0..LINES).map(|number| number.to_string()).collect();
        assert_eq!(answered, asked, "the lines of {id}");
        assert_eq!(batch.error_file_id, None, "{id}");
        written.extend(batch.output_file_id);
    }
    written
}

async fn purges(zk: &Zumik, lane: &Lane, guarantee: &Guarantee) {
    let keys = zk.receipt_keys().list().await.expect("the keys that sign");
    for (job, artifact) in &lane.purges {
        let found = zk.purge_jobs().retrieve(job).await.expect("the purge job");
        assert_eq!(
            found.status,
            PurgeJobStatus::Completed,
            "{job}: a start completes what a kill interrupted"
        );
        let receipt = zk.purge_jobs().receipt(job).send().await.expect("the receipt");
        let receipt = zumik_receipt::read(receipt.bytes()).expect("a receipt");
        let receipt = zumik_receipt::verify(&receipt, &keys).expect("a receipt that verifies");
        let receipt = receipt.require(guarantee.clone()).expect("what the server can prove");
        assert_eq!(receipt.scope.artifact_ids, std::slice::from_ref(artifact));
        let gone = zk.artifacts().retrieve(artifact).await.expect_err("a purged artifact");
        assert_eq!(gone.kind(), ErrorKind::NotFound, "{gone}");
    }
}
