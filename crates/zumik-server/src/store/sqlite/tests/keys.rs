//! Idempotency keys over days and restarts.

use chrono::TimeDelta;

use super::*;
use crate::store::{Answer, ProjectCtx};

/// Keys that wait at most, where few shall be enough.
const FEW: usize = 8;

fn key(at: u64) -> Idempotency {
    Idempotency { path: "/p".to_owned(), key: at.to_string(), fingerprint: [0; 32] }
}

/// Keeps an answer under each of these keys, in one transaction.
async fn keep(opened: &Opened, keys: std::ops::Range<u64>) {
    let ctx = opened.world.ctx();
    let answer = Answer::json(&ctx.trace, &()).unwrap();
    let keep = move |db: &Db<'_>| {
        for at in keys.clone() {
            let answers::Found::Free(free) = db.find_answer(&ctx, &key(at))? else { unreachable!() };
            db.keep_answer(&ctx, &free, &answer, &[])?;
        }
        Ok(())
    };
    opened.store.writer.write(keep).await.unwrap();
}

fn is_answered(opened: &Opened, ctx: &ProjectCtx, at: u64) -> bool {
    let found = opened.store.readers.now(|db| db.find_answer(ctx, &key(at))).unwrap();
    matches!(found, answers::Found::Answered(_))
}

fn number(opened: &Opened, sql: &str) -> i64 {
    opened.store.readers.now(|db| db.value(sql, [])).unwrap()
}

/// A store with few keys in memory, and so many in its index that the numbers of their rows are remembered.
async fn indexed(keys: u64) -> Opened {
    let opened = Opened::at(Arc::new(tempfile::tempdir().unwrap()), clock(), FEW).await;
    for at in 0..keys {
        keep(&opened, at..at + 1).await;
    }
    assert!(number(&opened, "SELECT answers_indexed FROM server") > 3);
    opened
}

impl Opened {
    /// Opened again with the same clock.
    async fn restarted(self) -> Self {
        self.store.close().await;
        Self::at(self.folder, self.world.clock, FEW).await
    }
}

#[tokio::test]
async fn a_key_is_found_after_a_quiet_day_and_a_restart() {
    let opened = indexed(60).await;
    opened.world.advance(TimeDelta::hours(25));
    assert_eq!(opened.world.store.sweep(opened.world.ctx().now).await.unwrap().answers, 60);
    keep(&opened, 100..103).await;
    let opened = opened.restarted().await;
    let ctx = opened.world.ctx();
    for at in 100..103 {
        assert!(is_answered(&opened, &ctx, at), "{at}");
    }
}

#[tokio::test]
async fn a_key_is_found_after_the_newest_were_dropped_and_a_restart() {
    let opened = indexed(60).await;
    opened.store.writer.write(|db| (4..61).try_for_each(|row| db.erase_answer(row))).await.unwrap();
    let opened = opened.restarted().await;
    keep(&opened, 100..103).await;
    let opened = opened.restarted().await;
    let ctx = opened.world.ctx();
    for at in (0..3).chain(100..103) {
        assert!(is_answered(&opened, &ctx, at), "{at}");
    }
}

#[tokio::test]
async fn keys_that_an_older_server_would_have_lost_are_found() {
    let opened = Opened::new().await;
    keep(&opened, 0..20).await;
    opened.store.close().await;
    let conn = Connection::open(opened.folder.path().join("zumik.db")).unwrap();
    // Half of them in the index, one of these filed on the day before.
    conn.execute_batch(
        "UPDATE server SET answers_indexed = 100;
         INSERT INTO answer_index SELECT expires_at / 86400000 - (id = 3), lookup, id FROM answers WHERE id < 11;
         PRAGMA user_version = 3",
    )
    .unwrap();
    drop(conn);
    let opened = opened.restarted().await;
    let ctx = opened.world.ctx();
    for at in 0..20 {
        assert!(is_answered(&opened, &ctx, at), "{at}");
    }
    assert_eq!(number(&opened, "SELECT count(*) FROM answer_index"), 20, "none is filed twice");
    keep(&opened, 20..21).await;
    assert!(number(&opened, "SELECT max(id) FROM answers") > 100);
}

#[tokio::test]
async fn a_purge_that_waited_for_more_than_a_day_answers_no_other_key() {
    let opened = Opened::new().await;
    let artifact = opened.world.document("text").await;
    let (ctx, request) = (opened.world.ctx(), CreatePurgeJobRequest::new([&artifact]));
    let begin = {
        let (ctx, request) = (ctx.clone(), request.clone());
        move |db: &Db<'_>| db.begin_purge(&ctx, &request, Some(&key(0)))
    };
    let Begun::Running(row) = opened.store.writer.write(begin).await.unwrap() else { unreachable!() };
    opened.world.advance(TimeDelta::hours(25));
    let later = opened.world.ctx();
    let now = later.now;
    assert_eq!(opened.store.writer.write(move |db| db.sweep_answers(now)).await.unwrap(), 1);
    // As after a restart: the database says nothing of the number of the row.
    *opened.store.env.lookups.lock() =
        opened.store.readers.now(|db| lookups::Lookups::load(db.conn, FEW)).unwrap();
    keep(&opened, 1..2).await;
    let answered = |ctx: &ProjectCtx| opened.store.readers.now(|db| db.find_answer(ctx, &key(1))).unwrap();
    let answers::Found::Answered(before) = answered(&later) else { unreachable!() };
    opened.store.writer.write(move |db| db.finish_purges(row)).await.unwrap();
    let answers::Found::Answered(after) = answered(&later) else { unreachable!() };
    assert_eq!(after.body, before.body);
}

#[tokio::test]
async fn idempotency_keys_are_found_in_memory_in_the_index_and_after_a_restart() {
    const KEYS: u64 = 40_000;
    let opened = Opened::new().await;
    for first in (0..KEYS).step_by(1000) {
        keep(&opened, first..first + 1000).await;
    }
    // Writes between which the keys that wait are indexed, slice by slice.
    for _ in 0..60 {
        opened.store.writer.write(|_| Ok(())).await.unwrap();
    }
    let indexed = |opened: &Opened| number(opened, "SELECT count(*) FROM answer_index").unsigned_abs();
    assert!(indexed(&opened) > KEYS / 4 && indexed(&opened) < KEYS, "{}", indexed(&opened));
    let check = async |opened: &Opened| {
        let ctx = opened.world.ctx();
        for at in (0..KEYS).step_by(7) {
            assert!(is_answered(opened, &ctx, at), "{at}");
        }
        assert!(!is_answered(opened, &ctx, KEYS));
    };
    check(&opened).await;
    let opened = opened.reopened().await;
    check(&opened).await;

    opened.world.advance(TimeDelta::days(3));
    assert_eq!(opened.world.store.sweep(opened.world.ctx().now).await.unwrap().answers, KEYS);
    assert_eq!(indexed(&opened), 0);
}
