//! Connections to the database: the pool, their settings, TLS.

use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::ClientConfig;
use rustls::crypto::CryptoProvider;
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::NoTls;
use tokio_postgres_rustls::MakeRustlsConnect;

use super::OpenError;
use super::address::Address;

/// How long an operation waits for a connection that is free, or for a new one.
const WAIT: Duration = Duration::from_secs(5);

/// Settings of every connection.
///
/// A commit waits until it is on disk, also where the server is set to be careless; where it waits for standbys that
/// stays. A replica that stops in the middle of a transaction, paused or cut off, holds its locks for 10 seconds. All
/// queries are walks along indexes, made for that: the planner, who cannot know the length of a walk, is kept from
/// reading whole tables.
const SETTINGS: &str = "
    SET lock_timeout = '10s';
    SET statement_timeout = '60s';
    SET idle_in_transaction_session_timeout = '10s';
    SET jit = off;
    SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off;
    SET enable_hashjoin = off;
    SET enable_mergejoin = off;
    SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') IN ('off', 'local');
    SELECT set_config('default_transaction_isolation', 'read committed', false)";

/// Makes the pool. No connection is opened yet.
pub(super) fn pool(address: &Address, schema: &str, connections: usize) -> Result<Pool, OpenError> {
    let mut config = address.config();
    if config.get_application_name().is_none() {
        config.application_name("zumik");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(WAIT);
    }
    config.keepalives_idle(Duration::from_secs(15));
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if address.is_encrypted() {
        Manager::from_config(config, MakeRustlsConnect::new(tls()?), recycling)
    } else {
        Manager::from_config(config, NoTls, recycling)
    };
    let settings: Arc<str> = format!("SET search_path = {schema}; {SETTINGS}").into();
    Pool::builder(manager)
        .max_size(connections)
        .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(move |client, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move { client.batch_execute(&settings).await.map_err(HookError::Backend) })
        }))
        .build()
        .map_err(|error| OpenError::Setup(error.into()))
}

/// TLS with the certificates of the system, by the provider that the process has installed, else by ring.
fn tls() -> Result<ClientConfig, OpenError> {
    let provider = CryptoProvider::get_default()
        .map_or_else(|| Arc::new(rustls::crypto::ring::default_provider()), Arc::clone);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_platform_verifier());
    match builder {
        Ok(builder) => Ok(builder.with_no_client_auth()),
        Err(error) => Err(OpenError::Setup(error.into())),
    }
}
