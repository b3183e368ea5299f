//! The embedded server, in the process of the test.

use std::fs;
use std::path::Path;

use tempfile::TempDir;
use zumik_client::Zumik;
use zumik_server::clock::{Clock, SystemClock};
use zumik_server::config::{FILE_NAME, Settings};
use zumik_server::domain::{Scopes, key_hash, masked_key, mint_key};
use zumik_server::mint::RandomMint;
use zumik_server::store::NewKey;
use zumik_server::store::sqlite::Registry;
use zumik_server::{RunningServer, Server};

use crate::http::Http;

/// A durable server on a folder that goes with it. Its settings are those of `zumik.toml` in the folder.
#[derive(Debug)]
pub struct TestServer {
    running: RunningServer,
    api_key: String,
    data: TempDir,
}

/// Starts a durable server on a fresh folder.
///
/// # Panics
/// When it does not start.
pub async fn durable() -> TestServer {
    configured("").await
}

/// Starts a durable server on a fresh folder with these settings, in the form of `zumik.toml`.
///
/// # Panics
/// When it does not start.
pub async fn configured(settings: &str) -> TestServer {
    let data = tempfile::tempdir().expect("a temporary folder");
    fs::write(data.path().join(FILE_NAME), settings).expect("a file in a temporary folder");
    let running = start(data.path()).await;
    let mut server = TestServer { running, api_key: String::new(), data };
    server.api_key = server.key("default", &["inference", "admin"]);
    server
}

async fn start(data: &Path) -> RunningServer {
    let settings = Settings::default().complete(data).expect("settings that can be used");
    Server::builder().settings(&settings).data(data).start().await.expect("the server starts")
}

impl TestServer {
    /// Its base URL.
    pub fn url(&self) -> &str {
        self.running.url()
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        self.data.path()
    }

    /// A key of the default project that may call every operation.
    pub fn api_key(&self) -> &str {
        &self.api_key
    }

    /// The client, with its key.
    ///
    /// # Panics
    /// When the client cannot be set up.
    pub fn client(&self) -> Zumik {
        Zumik::builder().base_url(self.url()).api_key(self.api_key.as_str()).build().expect("a client")
    }

    /// Plain HTTP, with its key.
    pub fn http(&self) -> Http {
        Http::new(self.url(), &self.api_key)
    }

    /// Stops in order, and starts again on the same folder. The port is another one.
    ///
    /// # Panics
    /// When it does not start again.
    #[must_use]
    pub async fn restart(self) -> Self {
        let Self { running, api_key, data } = self;
        running.shutdown().await;
        let running = start(data.path()).await;
        Self { running, api_key, data }
    }

    /// A new key with some scopes, for a project that is made when it is not there.
    ///
    /// # Panics
    /// When a scope is unknown, or the key cannot be registered.
    pub fn key(&self, project: &str, scopes: &[&str]) -> String {
        let secret = mint_key(&RandomMint::default());
        let key = NewKey {
            name: "test".to_owned(),
            scopes: Scopes::from_names(scopes.iter().copied()).expect("scopes that there are"),
            hash: key_hash(secret.as_bytes()),
            masked: masked_key(&secret),
        };
        let now = SystemClock.now();
        let mut registry = Registry::open(self.data.path()).expect("the registry opens beside the server");
        let project = registry.ensure_project(project, now).expect("a project");
        registry.create_key(&project.id, &key, now).expect("a key");
        secret
    }
}
