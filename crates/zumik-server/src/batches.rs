//! Running batches.

use std::sync::Arc;

use tokio::sync::Notify;

/// Tells the worker that there may be something to do. Clones are one bell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Bell(Arc<Notify>);

impl Bell {
    /// Wakes the worker, now or as soon as it waits again.
    pub(crate) fn ring(&self) {
        self.0.notify_one();
    }
}
