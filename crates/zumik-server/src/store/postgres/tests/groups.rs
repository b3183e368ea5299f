//! Appends that share a statement.

use std::time::Duration;

use futures_util::future::join_all;
use zumik_types::{CreatePurgeJobRequest, Session};

use super::*;

/// Sessions to append to, and a connection beside the store.
async fn world(sessions: usize) -> Option<(World, Vec<Session>, Object)> {
    let Replicas { one, stores, .. } = Replicas::start().await?;
    let mut made = Vec::new();
    for _ in 0..sessions {
        made.push(one.session().await);
    }
    Some((one, made, stores[1].connection().await.unwrap()))
}

async fn append_to(
    world: &World,
    session: &Session,
    request: AppendEventRequest,
    key: Option<Idempotency>,
) -> Result<u64> {
    let (id, root) = (&session.id, &session.default_branch_id);
    let written = world.store.append_event(&world.ctx(), id, root, request, key).await?;
    Ok(serde_json::from_slice::<serde_json::Value>(&written.answer().body).unwrap()["sequence"]
        .as_u64()
        .unwrap())
}

#[tokio::test]
async fn appends_that_come_in_together_share_transactions() {
    let Some((one, sessions, connection)) = world(64).await else { return };
    for version in 0..4 {
        let appends = sessions.iter().map(|session| append_to(&one, session, append(version), None));
        assert!(join_all(appends).await.into_iter().all(|appended| appended.unwrap() == version + 1));
    }
    let sql = "SELECT count(*), count(DISTINCT xmin::text) FROM events";
    let row = connection.query_one(sql, &[]).await.unwrap();
    let (events, transactions): (i64, i64) = (row.get(0), row.get(1));
    assert_eq!(events, 256);
    assert!(transactions <= 32, "{transactions} transactions");
}

#[tokio::test]
async fn an_append_that_cannot_be_made_takes_no_other_of_its_group_with_it() {
    let Some((one, sessions, _)) = world(40).await else { return };
    let artifact = async || {
        let request = CreateArtifactRequest::new(ArtifactType::Document, "text");
        fresh(one.store.create_artifact(&one.ctx(), request, None).await).id
    };
    let (live, purged) = (artifact().await, artifact().await);
    fresh(one.store.create_purge_job(&one.ctx(), CreatePurgeJobRequest::new([&purged]), None).await);
    let used = |session: usize| key(&format!("/{session}"), "used");
    let keyed = append_to(&one, &sessions[4], append(0), used(4)).await.unwrap();
    assert_eq!(keyed, 1);
    let naming = |id: &str| {
        let mut event = NewEvent::new(EventType::Note);
        event.payload_ref = Some(id.to_owned());
        AppendEventRequest::new(0, event)
    };
    // In turns: fine, fine with an artifact, stale, an artifact that is gone, the answer of before, a key of another request.
    let appends = sessions.iter().enumerate().map(|(at, session)| {
        let reused = || Some(Idempotency { fingerprint: key_hash(b"another body"), ..used(4).unwrap() });
        let (request, key) = match at {
            4 => (append(0), used(4)),
            5 => (append(0), reused()),
            _ => match at % 4 {
                0 => (append(0), key(&format!("/{at}"), "k")),
                1 => (naming(live.as_str()), None),
                2 => (append(7), None),
                _ => (naming(purged.as_str()), key(&format!("/{at}"), "k")),
            },
        };
        append_to(&one, session, request, key)
    });
    for (at, appended) in join_all(appends).await.into_iter().enumerate() {
        match at {
            4 => assert_eq!(appended.unwrap(), 1),
            5 => assert!(matches!(appended, Err(StoreError::KeyReused)), "{appended:?}"),
            _ => match at % 4 {
                0 | 1 => assert_eq!(appended.unwrap(), 1, "{at}"),
                2 => assert!(matches!(appended, Err(StoreError::Conflict { .. })), "{at}: {appended:?}"),
                _ => assert!(matches!(appended, Err(StoreError::Reference { .. })), "{at}: {appended:?}"),
            },
        }
    }
}

#[tokio::test]
async fn a_branch_that_another_server_holds_keeps_no_other_waiting() {
    let Some((one, sessions, mut connection)) = world(8).await else { return };
    let held = connection.transaction().await.unwrap();
    let row: i64 = held.query_one("SELECT min(id) FROM branches", &[]).await.unwrap().get(0);
    held.execute("UPDATE branches SET label = NULL WHERE id = $1", &[&row]).await.unwrap();
    let waiting = append_to(&one, &sessions[0], append(0), None);
    let others = async {
        let appends = sessions[1..].iter().map(|session| append_to(&one, session, append(0), None));
        assert!(join_all(appends).await.into_iter().all(|appended| appended.unwrap() == 1));
        // They are done, and the first one may go on.
        held.commit().await.unwrap();
    };
    let both = async { tokio::join!(waiting, others) };
    let (appended, ()) = tokio::time::timeout(Duration::from_secs(9), both)
        .await
        .expect("nobody waits for a lock to be given up");
    assert_eq!(appended.unwrap(), 1);
}
