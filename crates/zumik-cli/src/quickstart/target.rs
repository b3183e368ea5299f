//! The server of the tour: one of its own on a temporary folder, with a model behind it if one was named, or the server
//! that the environment names.

use std::env;

use tempfile::TempDir;
use zumik_client::Zumik;
use zumik_server::config::UpstreamSettings;
use zumik_server::{RunningServer, Server, StartError};

use super::made::Made;
use crate::failure::Failure;

/// Text that one prompt of a real model should hold at most; about 64,000 tokens, which are paid for.
const PAID_PROMPT: usize = 256 * 1024;

/// Text of all documents on a server of our own, where no model is paid.
const FREE_PROMPT: usize = 8 * 1024 * 1024;

pub(crate) struct Target {
    pub zk: Zumik,
    embedded: Option<Embedded>,
    /// Whether a provider that was named for the tour answers.
    has_upstream: bool,
}

struct Embedded {
    server: RunningServer,
    folder: TempDir,
}

impl Target {
    /// A fresh server with this provider; without one, the server that `ZUMIK_BASE_URL` and `ZUMIK_API_KEY` name when
    /// both are set, or else a fresh one that answers with placeholders.
    pub(crate) async fn open(upstream: Option<UpstreamSettings>) -> Result<Self, Failure> {
        if upstream.is_some() {
            return Self::embed(upstream).await;
        }
        match (variable("ZUMIK_BASE_URL"), variable("ZUMIK_API_KEY")) {
            (Some(url), Some(key)) => {
                let zk = client(&url, key)?;
                Ok(Self { zk, embedded: None, has_upstream: false })
            }
            (Some(_), None) => Err(Failure::usage(
                "ZUMIK_BASE_URL is set but ZUMIK_API_KEY is not; set both, or neither for an embedded server",
            )),
            (None, _) => Self::embed(None).await,
        }
    }

    async fn embed(upstream: Option<UpstreamSettings>) -> Result<Self, Failure> {
        let folder = tempfile::Builder::new()
            .prefix("zumik-quickstart-")
            .tempdir()
            .map_err(|e| Failure::because("cannot make a temporary folder", &e))?;
        let has_upstream = upstream.is_some();
        let mut builder = Server::builder().data(folder.path());
        if let Some(upstream) = upstream {
            builder = builder.upstream("upstream", upstream);
        }
        let server = builder.start().await.map_err(|error| match error {
            StartError::Upstream(error) => Failure::misuse("--upstream", &error),
            other => Failure::because("cannot start the embedded server", &other),
        })?;
        let zk = client(server.url(), server.api_key())?;
        Ok(Self { zk, embedded: Some(Embedded { server, folder }), has_upstream })
    }

    /// What it is, for people.
    pub(crate) fn description(&self) -> &'static str {
        match (self.is_embedded(), self.has_upstream) {
            (true, true) => "an embedded server on a temporary folder, with the model of --upstream",
            (true, false) => "an embedded server on a temporary folder",
            (false, _) => "the server of ZUMIK_BASE_URL",
        }
    }

    pub(crate) fn is_embedded(&self) -> bool {
        self.embedded.is_some()
    }

    /// How much text the documents may have together: they make one prompt.
    pub(crate) fn prompt_room(&self) -> usize {
        if self.is_embedded() && !self.has_upstream { FREE_PROMPT } else { PAID_PROMPT }
    }

    /// Leaves nothing behind: a server of our own goes with its folder, another one is relieved of what the tour made.
    /// Gives how many objects were deleted there.
    pub(crate) async fn close(self, made: &Made) -> Result<usize, Failure> {
        let Some(Embedded { server, folder }) = self.embedded else { return made.delete(&self.zk).await };
        server.shutdown().await;
        folder.close().map_err(|e| Failure::because("cannot remove the temporary folder", &e))?;
        Ok(0)
    }
}

/// The tour shows placeholders for what they are, so the client must not refuse them.
fn client(url: &str, key: impl Into<String>) -> Result<Zumik, Failure> {
    Zumik::builder()
        .base_url(url)
        .api_key(key.into())
        .reject_placeholder(false)
        .build()
        .map_err(Failure::call)
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}
