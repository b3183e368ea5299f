//! Holding an idempotency key while a model is being called.

use std::sync::Arc;

use tokio_util::task::AbortOnDropHandle;

use crate::app::App;
use crate::store::{Answer, Idempotency, LEASE, Lease, ProjectCtx, Reserved, StoreError};

/// The right to give the answer of a key. It is renewed while it is held, and freed when it is dropped without an
/// answer: after an error, or when the client went away.
pub(crate) struct Held(Option<Renewed>);

/// A lease, renewed until this is dropped.
struct Renewed {
    app: Arc<App>,
    lease: Lease,
    _renewal: AbortOnDropHandle<()>,
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
        let Some(key) = key else { return Ok(Reservation::Held(Self::nothing())) };
        let (reserving, ctx) = (Arc::clone(app), ctx.clone());
        // A client that goes away now must not leave a reservation that nobody knows of: it is dropped, and so freed, with
        // what this gives.
        let reserved = app.running.see_through(async move {
            Ok::<_, StoreError>(match reserving.store.reserve(&ctx, &key).await? {
                Reserved::Replayed(answer) => Reservation::Replayed(answer),
                Reserved::Held(lease) => Reservation::Held(Self::renewed(reserving, lease)),
            })
        });
        reserved.await
    }

    fn renewed(app: Arc<App>, lease: Lease) -> Self {
        let renewal = tokio::spawn(renew(Arc::clone(&app), lease.clone()));
        Self(Some(Renewed { app, lease, _renewal: AbortOnDropHandle::new(renewal) }))
    }

    /// Holds no key: for what is kept without one.
    pub(crate) fn nothing() -> Self {
        Self(None)
    }

    /// The lease, to be committed together with the answer.
    pub(crate) fn lease(&self) -> Option<&Lease> {
        self.0.as_ref().map(|held| &held.lease)
    }

    /// The answer was kept: there is nothing to free any more.
    pub(crate) fn settle(mut self) {
        self.0 = None;
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
        let Some(Renewed { app, lease, .. }) = self.0.take() else { return };
        // Where it cannot begin any more, the lease runs out by itself.
        app.running.clone().begin(async move {
            if let Err(error) = app.store.release(lease).await {
                tracing::warn!(%error, "a lease could not be released; it runs out within a minute");
            }
        });
    }
}
