//! Holding an idempotency key while a model is being called.

use std::sync::Arc;

use tokio::task::AbortHandle;

use crate::app::App;
use crate::store::{Answer, Idempotency, LEASE, Lease, ProjectCtx, Reserved, Store, StoreError};

/// The right to give the answer of a key. It is renewed while it is held, and freed when it is dropped without an
/// answer: after an error, or when the client went away.
pub(crate) struct Held {
    store: Arc<dyn Store>,
    lease: Option<Lease>,
    renewal: Option<AbortHandle>,
}

/// What asking for a key came to.
pub(crate) enum Reservation {
    /// Run, and give the answer.
    Held(Held),
    /// This is the answer of the first call.
    Replayed(Answer),
}

impl Held {
    /// Reserves the key of a request; a request without a key holds nothing and runs.
    pub(crate) async fn reserve(
        app: &Arc<App>,
        ctx: &ProjectCtx,
        key: Option<Idempotency>,
    ) -> Result<Reservation, StoreError> {
        let Some(key) = key else {
            return Ok(Reservation::Held(Self::nothing(Arc::clone(&app.store))));
        };
        let (reserving, ctx) = (Arc::clone(app), ctx.clone());
        // A client that goes away now must not leave a reservation that nobody knows of: it is dropped, and so freed, with
        // what this task gives.
        let reserved = app.running.spawn(async move {
            let reserved = reserving.store.reserve(&ctx, &key).await?;
            Ok(match reserved {
                Reserved::Replayed(answer) => Reservation::Replayed(answer),
                Reserved::Held(lease) => Reservation::Held(Self::renewed(reserving, lease)),
            })
        });
        reserved.await.unwrap_or_else(|error| Err(StoreError::internal(error)))
    }

    fn renewed(app: Arc<App>, lease: Lease) -> Self {
        let store = Arc::clone(&app.store);
        let renewal = tokio::spawn(renew(app, lease.clone())).abort_handle();
        Self { store, lease: Some(lease), renewal: Some(renewal) }
    }

    /// Holds no key: for what is kept without one.
    pub(crate) fn nothing(store: Arc<dyn Store>) -> Self {
        Self { store, lease: None, renewal: None }
    }

    /// The lease, to be committed together with the answer.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.lease.as_ref()
    }

    /// The answer was kept: there is nothing to free any more.
    pub(crate) fn settle(mut self) {
        self.lease = None;
    }
}

async fn renew(app: Arc<App>, lease: Lease) {
    let pause = (LEASE / 3).to_std().unwrap_or_default();
    loop {
        tokio::time::sleep(pause).await;
        match app.store.renew(&lease, app.clock.now()).await {
            Ok(()) => {}
            Err(StoreError::LeaseLost) => return,
            // The lease holds for two more pauses: there is time to try again.
            Err(error) => tracing::warn!(%error, "a lease could not be renewed"),
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(renewal) = self.renewal.take() {
            renewal.abort();
        }
        let Some(lease) = self.lease.take() else { return };
        let store = Arc::clone(&self.store);
        // Without a runtime the lease runs out by itself.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Err(error) = store.release(lease).await {
                    tracing::warn!(%error, "a lease could not be released; it runs out within a minute");
                }
            });
        }
    }
}
