//! Responses that were answered early and are still being worked on.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use zumik_types::V1ResponseId;

/// Most responses that are worked on at one time after their requests were answered. Nothing else limits them: each holds
/// all of its request until a provider has answered, and no connection.
pub(crate) const MOST: usize = 256;

/// The responses that are being worked on in this process. All of them are in the store, too.
#[derive(Clone)]
pub(crate) struct Background {
    /// How to stop each.
    works: Arc<Mutex<HashMap<V1ResponseId, CancellationToken>>>,
    room: Arc<Semaphore>,
}

/// Room for one response among those that are worked on after their requests were answered, until this is dropped.
pub(crate) struct Slot {
    _permit: OwnedSemaphorePermit,
}

impl Default for Background {
    fn default() -> Self {
        Self { works: Arc::default(), room: Arc::new(Semaphore::new(MOST)) }
    }
}

/// Work on one response; it is listed until this is dropped.
pub(crate) struct Work {
    id: V1ResponseId,
    stop: CancellationToken,
    background: Background,
}

impl Background {
    /// Takes room for a response that shall be answered early; nothing when there is none.
    pub(crate) fn slot(&self) -> Option<Slot> {
        Arc::clone(&self.room).try_acquire_owned().ok().map(|permit| Slot { _permit: permit })
    }

    /// Lists the work on a response that has been kept as it begins.
    pub(crate) fn begin(&self, id: V1ResponseId) -> Work {
        let stop = CancellationToken::new();
        self.works.lock().insert(id.clone(), stop.clone());
        Work { id, stop, background: self.clone() }
    }

    /// The responses that are being worked on.
    pub(crate) fn ids(&self) -> Vec<V1ResponseId> {
        self.works.lock().keys().cloned().collect()
    }

    /// Stops the work on a response, if there is any.
    pub(crate) fn cancel(&self, id: &V1ResponseId) {
        if let Some(stop) = self.works.lock().get(id) {
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
        self.background.works.lock().remove(&self.id);
    }
}
