//! How an operation is run: a read on a reader, a write on the writer thread, a POST under its key.

use std::sync::Arc;

use serde::Serialize;

use super::answers::Found;
use super::sweep::STEP;
use super::{Db, Env, SqliteStore};
use crate::blocking::blocking;
use crate::store::{Answer, Idempotency, ProjectCtx, Result, Written};

/// What a keyed write came to inside its transaction.
enum Ran<T> {
    Replayed(Answer),
    /// With the answer, when it was kept.
    Now(T, Option<Answer>),
}

impl SqliteStore {
    /// Runs a write under its key, if it has one.
    pub(super) async fn keyed<T: Serialize + Send + 'static>(
        &self,
        ctx: &ProjectCtx,
        key: Option<Idempotency>,
        effect: impl Fn(&Db<'_>, &ProjectCtx) -> Result<T> + Send + 'static,
    ) -> Result<Written<T>> {
        self.keyed_erasable(ctx, key, move |db, ctx| Ok((effect(db, ctx)?, Vec::new()))).await
    }

    /// As [`keyed`](Self::keyed); `effect` names the artifacts whose purge drops the kept answer.
    pub(super) async fn keyed_erasable<T: Serialize + Send + 'static>(
        &self,
        ctx: &ProjectCtx,
        key: Option<Idempotency>,
        effect: impl Fn(&Db<'_>, &ProjectCtx) -> Result<(T, Vec<i64>)> + Send + 'static,
    ) -> Result<Written<T>> {
        let trace = ctx.trace.clone();
        let ctx = ctx.clone();
        let ran = self
            .writer
            .write(move |db| {
                let free = match key.as_ref().map(|key| db.find_answer(&ctx, key)).transpose()? {
                    None => None,
                    Some(Found::Answered(answer)) => return Ok(Ran::Replayed(answer)),
                    Some(Found::Free(free)) => Some(free),
                };
                let (value, artifacts) = effect(db, &ctx)?;
                let Some(free) = free else { return Ok(Ran::Now(value, None)) };
                let answer = Answer::json(&ctx.trace, &value)?;
                db.keep_answer(&ctx, &free, &answer, &artifacts)?;
                Ok(Ran::Now(value, Some(answer)))
            })
            .await?;
        Ok(match ran {
            Ran::Replayed(answer) => Written::Replayed(answer),
            Ran::Now(value, Some(answer)) => Written::Fresh { value, answer },
            Ran::Now(value, None) => {
                let answer = Answer::json(&trace, &value)?;
                Written::Fresh { value, answer }
            }
        })
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        ctx: &ProjectCtx,
        read: impl FnOnce(&Db<'_>, &ProjectCtx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ctx = ctx.clone();
        self.readers.read(move |db| read(db, &ctx)).await
    }

    pub(super) async fn write<T: Send + 'static>(
        &self,
        ctx: &ProjectCtx,
        write: impl Fn(&Db<'_>, &ProjectCtx) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let ctx = ctx.clone();
        self.writer.write(move |db| write(db, &ctx)).await
    }

    /// Repeats a step of the sweep until it finds less than it could remove.
    pub(super) async fn sweep_all(
        &self,
        step: impl Fn(&Db<'_>) -> Result<u64> + Send + Clone + 'static,
    ) -> Result<u64> {
        let mut removed = 0;
        loop {
            let step = step.clone();
            let now = self.writer.write(move |db| step(db)).await?;
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
        let (env, ctx) = (Arc::clone(&self.env), ctx.clone());
        blocking(move || seal(&env, &ctx)).await?
    }
}
