//! How an operation is run: in a transaction, again when another one was faster, a POST under its key.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Object, Transaction};
use serde::Serialize;
use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::IsolationLevel;

use super::PostgresStore;
use super::answers::Found;
use super::db::{Db, Env};
use super::fault::{self, Race};
use super::sweep::STEP;
use crate::blocking::blocking;
use crate::store::{Answer, Idempotency, ProjectCtx, Result, StoreError, Written};

/// How often an operation that lost a race is run. Whoever was faster has made progress, so a loser seldom loses twice.
const ATTEMPTS: usize = 16;

/// An operation at work.
pub(super) type Work<'t, T> = Pin<Box<dyn Future<Output = Result<T>> + Send + 't>>;

/// What a keyed write came to inside its transaction.
enum Ran<T> {
    Replayed(Answer),
    Now(T, Answer),
}

impl PostgresStore {
    /// A connection of the pool.
    pub(super) async fn connection(&self) -> Result<Object> {
        Ok(self.pool.get().await?)
    }

    /// Runs a write under its key, if it has one.
    pub(super) async fn keyed<'r, T: Serialize + Send + Sync + 'r>(
        &'r self,
        ctx: &'r ProjectCtx,
        key: Option<&'r Idempotency>,
        effect: &'r (impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, T> + Send + Sync),
    ) -> Result<Written<T>> {
        let ran = self
            .write(|db| {
                Box::pin(async move {
                    let free = match key {
                        None => None,
                        Some(key) => match db.find_answer(ctx, key).await? {
                            Found::Answered(answer) => return Ok(Ran::Replayed(answer)),
                            Found::Free(free) => Some(free),
                        },
                    };
                    let value = match (effect(db).await, key) {
                        // A twin that was faster may be why: then its answer counts.
                        (Err(error), Some(key)) if is_refusal(&error) => {
                            return match db.find_answer(ctx, key).await? {
                                Found::Answered(answer) => Ok(Ran::Replayed(answer)),
                                Found::Free(_) => Err(error),
                            };
                        }
                        (ran, _) => ran?,
                    };
                    let answer = Answer::json(&ctx.trace, &value)?;
                    if let Some(free) = free {
                        let artifacts = std::mem::take(&mut *db.materialized.lock());
                        db.keep_answer(ctx, &free, &answer, &artifacts).await?;
                    }
                    Ok(Ran::Now(value, answer))
                })
            })
            .await?;
        Ok(match ran {
            Ran::Replayed(answer) => Written::Replayed(answer),
            Ran::Now(value, answer) => Written::Fresh { value, answer },
        })
    }

    /// Runs a read that sees one moment.
    pub(super) async fn read<'r, T: Send>(
        &'r self,
        read: impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, T> + Send + Sync,
    ) -> Result<T> {
        let mut connection = self.connection().await?;
        let sql = snapshot(&mut connection).await?;
        let value = read(&Db::new(&sql, &self.env)).await?;
        sql.commit().await?;
        Ok(value)
    }

    /// As [`read`](Self::read), for what may be long: beside other reads, and no longer than this time.
    ///
    /// # Errors
    /// [`StoreError::TooLong`] when the time is over.
    pub(super) async fn report<'r, T: Send>(
        &'r self,
        most: Duration,
        read: impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, T> + Send + Sync,
    ) -> Result<T> {
        let report = async {
            let permit = Arc::clone(&self.reports).acquire_owned().await.map_err(StoreError::unavailable)?;
            let mut lent = Lent { connection: Some(self.connection().await?), permit: Some(permit) };
            let connection =
                lent.connection.as_mut().ok_or_else(|| StoreError::unavailable("no connection"))?;
            let sql = snapshot(connection).await?;
            // The database notices that nobody listens when it sends something, which may be at the very end. The time of
            // the report is over before its own, so that it is known why.
            let net = most + Duration::from_secs(1);
            sql.batch_execute(&format!("SET LOCAL statement_timeout = {}", net.as_millis())).await?;
            let value = read(&Db::new(&sql, &self.env)).await?;
            sql.commit().await?;
            lent.connection = None;
            Ok(value)
        };
        tokio::time::timeout(most, report).await.map_err(|_| StoreError::TooLong)?
    }

    /// Runs a write, again when another one was faster.
    pub(super) async fn write<'r, T: Send>(
        &'r self,
        write: impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, T> + Send + Sync,
    ) -> Result<T> {
        let mut lost = Race::lost();
        for _ in 0..ATTEMPTS {
            match self.attempt(&write).await {
                Err(error) if Race::is(&error) => lost = error,
                other => return other,
            }
        }
        Err(lost)
    }

    async fn attempt<'r, T: Send>(
        &'r self,
        write: &(impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, T> + Send + Sync),
    ) -> Result<T> {
        let mut connection = self.connection().await?;
        let sql = connection.transaction().await?;
        // Dropped without a commit, the transaction is rolled back.
        let value = write(&Db::new(&sql, &self.env)).await?;
        sql.commit().await.map_err(fault::of_commit)?;
        Ok(value)
    }

    /// Repeats a step of the sweep until it finds less than it could remove.
    pub(super) async fn sweep_all<'r>(
        &'r self,
        step: impl for<'t> Fn(&'t Db<'t, 'r>) -> Work<'t, u64> + Send + Sync,
    ) -> Result<u64> {
        let mut removed = 0;
        loop {
            let now = self.write(&step).await?;
            removed += now;
            if now < STEP {
                return Ok(removed);
            }
        }
    }

    /// Seals what a request brings, on a thread that may take its time.
    pub(super) async fn sealed<T: Send + 'static>(
        &self,
        ctx: &ProjectCtx,
        seal: impl FnOnce(&Env, &ProjectCtx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ctx = ctx.clone();
        self.opened(move |env| seal(env, &ctx)).await
    }

    /// Opens what was read, on a thread that may take its time.
    pub(super) async fn opened<T: Send + 'static>(
        &self,
        open: impl FnOnce(&Env) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let env = Arc::clone(&self.env);
        blocking(move || open(&env)).await?
    }
}

/// A connection of a report. It goes back to the pool only when it is taken out of here: whatever it was asked and nobody
/// waits for any more would hold up who gets it next. Else it is closed when the database has done with it, and until then
/// its permit is held, so that there are never more at work than permits.
struct Lent {
    connection: Option<Object>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Drop for Lent {
    fn drop(&mut self) {
        let (Some(connection), permit) = (self.connection.take().map(Object::take), self.permit.take())
        else {
            return;
        };
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                // An answer to this comes behind those that nobody waits for. Their time is limited.
                let _ = connection.simple_query("").await;
                drop(permit);
            });
        }
    }
}

/// Begins a read that sees one moment.
async fn snapshot(connection: &mut Object) -> Result<Transaction<'_>> {
    let transaction = connection.build_transaction().isolation_level(IsolationLevel::RepeatableRead);
    Ok(transaction.read_only(true).start().await?)
}

/// Whether an operation was refused by a rule, in a transaction that is sound.
pub(super) fn is_refusal(error: &StoreError) -> bool {
    !matches!(error, StoreError::Unavailable(_) | StoreError::OutcomeUnknown(_) | StoreError::Internal(_))
}
