//! What all requests share.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use zumik_types::TraceId;

use crate::aliases::ProjectAliases;
use crate::batches::Bell;
use crate::clock::Clock;
use crate::config::LimitSettings;
use crate::engine::{Accounts, Background, Engine, Local, Models, ReuseWindow, Upstreams};
use crate::http::{Limits, Metrics, Room, Routes};
use crate::mint::Mint;
use crate::running::Running;
use crate::store::Store;
use crate::usage::UsageLog;

/// One server: its store, its engine, and the little that it keeps in memory.
pub(crate) struct App {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) engine: Engine,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) mint: Arc<dyn Mint>,
    pub(crate) routes: Routes,
    pub(crate) reuse: Arc<ReuseWindow>,
    pub(crate) limits: Arc<Limits>,
    /// Request bodies on their way.
    pub(crate) bodies: Room,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) usage: Arc<UsageLog>,
    pub(crate) aliases: Arc<ProjectAliases>,
    /// Wakes the worker that runs lines of batches.
    pub(crate) batches: Bell,
    /// Responses that were answered early and are still being worked on.
    pub(crate) background: Background,
    /// What a shutdown waits for.
    pub(crate) running: Running,
    draining: AtomicBool,
}

/// What answers generations.
pub(crate) struct Inference {
    pub(crate) local: Arc<dyn Local>,
    pub(crate) upstreams: Upstreams,
    pub(crate) models: Models,
}

impl App {
    /// A server over a store, with its models. It works in the background as long as it exists, so a runtime must run.
    ///
    /// # Errors
    /// Two operations of the API cannot be told apart.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        inference: Inference,
        clock: Arc<dyn Clock>,
        mint: Arc<dyn Mint>,
        limits: &LimitSettings,
    ) -> Result<Self, matchit::InsertError> {
        let mut secret = [0; 64];
        mint.fill(&mut secret);
        let reuse = Arc::new(ReuseWindow::new(secret, Arc::clone(&store)));
        let limits = Arc::new(Limits::new(limits));
        let metrics = Arc::new(Metrics::new());
        let usage = Arc::new(UsageLog::new(Arc::clone(&store), metrics.usage_dropped()));
        let aliases = Arc::new(ProjectAliases::new(Arc::clone(&store)));
        let accounts = Accounts::start(
            Arc::clone(&reuse),
            Arc::clone(&limits),
            Arc::clone(&metrics),
            Arc::clone(&usage),
            Arc::clone(&clock),
            Arc::clone(&mint),
        );
        let Inference { local, upstreams, models } = inference;
        let engine = Engine::new(local, upstreams, models, Arc::clone(&aliases), accounts, Arc::clone(&mint));
        Ok(Self {
            store,
            engine,
            clock,
            mint,
            routes: Routes::new()?,
            reuse,
            limits,
            bodies: Room::default(),
            metrics,
            usage,
            aliases,
            batches: Bell::default(),
            background: Background::default(),
            running: Running::default(),
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
