//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio_util::task::TaskTracker;
use zumik_types::TraceId;

use crate::clock::Clock;
use crate::config::LimitSettings;
use crate::engine::{Background, Engine, Models, ReuseWindow};
use crate::http::{Limits, Metrics, Routes};
use crate::mint::Mint;
use crate::store::Store;

/// One server: its store, its engine, and the little that it keeps in memory.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Arc<dyn Engine>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Arc<dyn Mint>,
    pub(crate) routes: Routes,
    pub(crate) models: Models,
    pub(crate) reuse: ReuseWindow,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    /// Responses that were answered early and are still being worked on.
    pub(crate) background: Background,
    /// Requests and background work that a shutdown waits for.
    pub(crate) running: TaskTracker,
    draining: AtomicBool,
}

impl App {
    /// A server over a store and an engine.
    ///
    /// # Errors
    /// Two operations of the API cannot be told apart.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        engine: Arc<dyn Engine>,
        clock: Arc<dyn Clock>,
        mint: Arc<dyn Mint>,
        limits: &LimitSettings,
    ) -> Result<Self, matchit::InsertError> {
        let mut secret = [0; 64];
        mint.fill(&mut secret);
        Ok(Self {
            store,
            engine,
            clock,
            mint,
            routes: Routes::new()?,
            models: Models::seeded(),
            reuse: ReuseWindow::new(secret),
            limits: Limits::new(limits),
            metrics: Metrics::new(),
            background: Background::default(),
            running: TaskTracker::new(),
            draining: AtomicBool::new(false),
        })
    }

    /// A trace id for a request that just came in.
    pub(crate) fn mint_trace(&self) -> TraceId {
        TraceId::with_suffix(&self.mint.suffix(self.clock.now()))
    }

    /// Whether the server takes nothing new any more.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// From now on new requests are refused; those that run go on.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Release);
    }
}
