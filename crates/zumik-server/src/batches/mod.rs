//! Running batches: the worker that claims lines and settles them (`worker`), what one line comes to (`line`), and
//! which answers are asked for again (`retry`).

mod line;
mod retry;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;

pub(crate) use worker::{Shop, Worker};

use crate::app::App;
use crate::http::handlers::chat::{self, LineAnswer};
use crate::store::ProjectCtx;

/// What answers the lines of batches.
///
/// Dropping the future of [`run`](Self::run) cancels the call.
#[async_trait]
pub(crate) trait Runner: Send + Sync + 'static {
    /// Answers one request body as `POST /v1/chat/completions` would.
    async fn run(&self, ctx: &ProjectCtx, body: Bytes) -> LineAnswer;
}

/// Runs lines as the operation itself does.
pub(crate) struct ChatLines(pub(crate) Arc<App>);

#[async_trait]
impl Runner for ChatLines {
    async fn run(&self, ctx: &ProjectCtx, body: Bytes) -> LineAnswer {
        chat::line(&self.0, ctx, body).await
    }
}

/// Tells the worker that there may be something to do. Clones are one bell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the worker, now or as soon as it waits again.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }

    /// Waits until it is rung; it may have been since the last wait.
    pub(crate) async fn rung(&self) {
        self.0.notified().await;
    }
}
