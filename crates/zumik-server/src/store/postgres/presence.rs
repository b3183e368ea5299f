//! Which replicas are there.
//!
//! A response that was answered early is worked on by one replica. If that one is gone, another must end the response
//! as failed; if it is there, nobody must. So a replica that has such work keeps one connection apart and holds a lock
//! with it, which ends with the connection: whoever gets the lock of a replica knows that it is gone.

use deadpool_postgres::{ClientWrapper, Object, Pool};
use tokio::sync::Mutex;

use super::db::Db;
use super::schema::lock;
use crate::store::Result;

/// This replica, as the others see it.
pub(super) struct Presence {
    number: i64,
    schema: String,
    /// The connection that holds the lock.
    held: Mutex<Option<ClientWrapper>>,
}

impl Presence {
    /// A replica with this number, which no other has had.
    pub(super) fn new(number: i64, schema: String) -> Self {
        Self { number, schema, held: Mutex::default() }
    }

    /// The number of this replica.
    pub(super) const fn number(&self) -> i64 {
        self.number
    }

    /// Takes care that the other replicas see this one, also when the connection that held the lock was lost.
    pub(super) async fn announce(&self, pool: &Pool) -> Result<()> {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|client| !client.is_closed()) {
            return Ok(());
        }
        let client = Object::take(pool.get().await?);
        client.execute("SELECT pg_advisory_lock($1)", &[&self.lock(self.number)]).await?;
        *held = Some(client);
        Ok(())
    }

    /// Lets the others take over.
    pub(super) async fn leave(&self) {
        self.held.lock().await.take();
    }

    /// The lock of the replica with this number.
    pub(super) fn lock(&self, number: i64) -> i64 {
        lock(&self.schema, &format!("replica {number}"))
    }
}

impl Db<'_, '_> {
    /// Whether the replica with this number is gone, and stays so: numbers are given once.
    pub(super) async fn is_gone(&self, number: i64) -> Result<bool> {
        self.value("SELECT pg_try_advisory_xact_lock($1)", &[&self.env.presence.lock(number)]).await
    }
}
