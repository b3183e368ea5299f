//! A server as a whole: putting it together (`builder`), running it (`running`), and its sockets (`listener`).

mod builder;
mod listener;
mod maintenance;
mod metrics;
mod running;

pub use builder::{Builder, StartError};
pub use running::{Drained, RunningServer};

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
}

impl Server {
    /// What a server is put together with.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The API as a `tower::Service`, for use without a socket.
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
