//! Responses that were answered early and are still being worked on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use zumik_types::V1ResponseId;

/// How to stop each response that is being worked on in this process. All of them are in the store, too.
#[derive(Clone, Default)]
pub(crate) struct Background(Arc<Mutex<HashMap<V1ResponseId, CancellationToken>>>);

/// Work on one response; it is listed until this is dropped.
pub(crate) struct Work {
    id: V1ResponseId,
    stop: CancellationToken,
    background: Background,
}

impl Background {
    /// Lists the work on a response that has been kept as it begins.
    pub(crate) fn begin(&self, id: V1ResponseId) -> Work {
        let stop = CancellationToken::new();
        self.0.lock().insert(id.clone(), stop.clone());
        Work { id, stop, background: self.clone() }
    }

    /// The responses that are being worked on.
    pub(crate) fn ids(&self) -> Vec<V1ResponseId> {
        self.0.lock().keys().cloned().collect()
    }

    /// Stops the work on a response, if there is any.
    pub(crate) fn cancel(&self, id: &V1ResponseId) {
        if let Some(stop) = self.0.lock().get(id) {
            stop.cancel();
        }
    }
}

impl Work {
    /// Runs a future until it ends or the work is stopped; then there is no output.
    pub(crate) async fn run<F: Future>(&self, future: F) -> Option<F::Output> {
        self.stop.run_until_cancelled(future).await
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.background.0.lock().remove(&self.id);
    }
}
