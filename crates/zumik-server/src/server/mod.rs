//! A server as a whole: putting it together (`builder`, `first_key`, `start_error`) over what it keeps (`keep`), running it
//! (`running`), its sockets (`listener`, `socket`, `metrics`), and what it does by itself (`maintenance`, `cancelled`).

mod builder;
mod cancelled;
mod first_key;
mod keep;
mod listener;
mod maintenance;
mod metrics;
mod running;
mod socket;
mod start_error;

pub use builder::Builder;
pub use running::{Drained, RunningServer};
pub use start_error::StartError;

use std::sync::Arc;
use std::time::Duration;

use zumik_types::ProjectId;

use crate::app::App;
use crate::http::Api;

/// A server that is put together and has no socket yet.
pub struct Server {
    app: Arc<App>,
    project: ProjectId,
    api_key: String,
    drain: Duration,
    upkeep: Upkeep,
}

/// What a running server does by itself, and how much.
#[derive(Debug, Clone, Copy)]
struct Upkeep {
    /// Lines of batches that run at a time.
    batch_lines: u32,
    /// How long usage events are kept, in days.
    usage_days: u32,
}

impl Server {
    /// What a server is put together with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The API as a `tower::Service`, for use without a socket. What a server does by itself, such as running the lines
    /// of batches and removing what is past its time, needs [`Builder::start`].
    pub fn api(&self) -> Api {
        Api::new(Arc::clone(&self.app))
    }

    /// The API as an axum router, to be merged into or nested in another one.
    pub fn router(&self) -> axum::Router {
        axum::Router::new().fallback_service(self.api())
    }

    /// An API key of the default project: the one that the builder was given, or one that was made now because there
    /// was none yet. Empty when the data folder has keys already: only their hashes are kept.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The default project.
    pub fn project_id(&self) -> &ProjectId {
        &self.project
    }
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("project", &self.project).finish_non_exhaustive()
    }
}
