//! Connections to the database: the pool, their settings, TLS.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, RecyclingMethod, Runtime, Timeouts};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio_postgres::{Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::OpenError;
use super::address::Address;
use super::fault::ReadOnly;
use super::schema::lock;
use crate::store::{Result, StoreError};

/// How long an operation waits for a connection that is free, or for a new one; and `/readyz` for an answer.
const WAIT: Duration = Duration::from_secs(5);

/// How long the machine of the database may leave what is sent to it unacknowledged. Left to the system, a machine that
/// vanishes is waited for a quarter of an hour, and what waits is a request or a line of a batch.
const SILENCE: Duration = Duration::from_secs(30);

/// The pause of a connection after which its other end is asked for a sign of life.
const IDLE: Duration = Duration::from_secs(15);

/// The time between such questions. With three of them, silence is as long as [`SILENCE`].
const PROBE: Duration = Duration::from_secs(5);
const PROBES: u32 = 3;

/// Settings of every connection.
///
/// The database asks a server for signs of life as it is asked itself, so that the locks of a machine that vanishes end.
/// A commit waits until it is on disk, also where the server is set to be careless; where it waits for standbys that
/// stays. A replica that stops in the middle of a transaction, paused or cut off, holds its locks for 10 seconds. All
/// queries are walks along indexes, made for that: the planner, who cannot know the length of a walk, is kept from
/// reading whole tables.
const SETTINGS: &str = "
    SET tcp_keepalives_idle = 15;
    SET tcp_keepalives_interval = 5;
    SET tcp_keepalives_count = 3;
    SET tcp_user_timeout = '30s';
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

/// What connections are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// The operations of a store. Refused while the store is being moved.
    Serve,
    /// Moving the store. What that needs is up to the connection.
    Move,
}

/// The number of the advisory lock that every connection of [`Use::Serve`] shares as long as it lives: whoever holds it
/// alone knows that nobody serves.
pub(super) fn serving(schema: &str) -> i64 {
    lock(schema, "serving")
}

/// Makes the pool. No connection is opened yet.
pub(super) fn pool(
    address: &Address,
    schema: &str,
    connections: usize,
    purpose: Use,
) -> Result<Pool, OpenError> {
    let config = config(address);
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let manager = if address.is_encrypted() {
        Manager::from_config(config, MakeRustlsConnect::new(tls(address.authorities())?), recycling)
    } else {
        Manager::from_config(config, NoTls, recycling)
    };
    let share = match purpose {
        // The database notices a moment later that a transfer has ended.
        Use::Serve => format!(
            "DO $$ BEGIN
               SET LOCAL lock_timeout = '2s';
               PERFORM pg_advisory_lock_shared({});
             EXCEPTION WHEN lock_not_available THEN
               RAISE 'zumik migrate is moving what is in this database' USING ERRCODE = 'object_in_use';
             END $$",
            serving(schema)
        ),
        Use::Move => String::new(),
    };
    let settings: Arc<str> = format!("SET search_path = {schema}; {SETTINGS}; {share}").into();
    Pool::builder(manager)
        .max_size(connections)
        .timeouts(Timeouts { wait: Some(WAIT), create: Some(WAIT), recycle: Some(WAIT) })
        .runtime(Runtime::Tokio1)
        .post_create(Hook::async_fn(move |client, _| {
            let settings = Arc::clone(&settings);
            Box::pin(async move {
                // The time limits of the pool do not cover this.
                let prepared = tokio::time::timeout(WAIT, client.batch_execute(&settings)).await;
                let prepared = prepared.map_err(|_| HookError::message("the database does not answer"))?;
                prepared.map_err(HookError::Backend)
            })
        }))
        .build()
        .map_err(|error| OpenError::Setup(error.into()))
}

/// How a connection is made: what the address says, and what it leaves open.
pub(super) fn config(address: &Address) -> Config {
    let mut config = address.config();
    if config.get_application_name().is_none() {
        config.application_name("zumik");
    }
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(WAIT);
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    config.keepalives_idle(IDLE).keepalives_interval(PROBE).keepalives_retries(PROBES);
    config
}

/// Whether the database answers and takes writes.
pub(super) async fn check(pool: &Pool) -> Result<()> {
    // A database that hangs closes no connection.
    tokio::time::timeout(WAIT, ask(pool)).await.map_err(StoreError::unavailable)?
}

async fn ask(pool: &Pool) -> Result<()> {
    let connection = pool.get().await?;
    let sql = "SELECT NOT pg_is_in_recovery() AND current_setting('transaction_read_only') = 'off'
               FROM receipt_keys LIMIT 1";
    let statement = connection.prepare_cached(sql).await?;
    match connection.query_one(&statement, &[]).await?.try_get(0)? {
        true => Ok(()),
        false => Err(StoreError::unavailable(ReadOnly)),
    }
}

/// TLS that trusts the authorities of a file, else those of the system, by the provider that the process has installed,
/// else by ring.
fn tls(authorities: Option<&Path>) -> Result<ClientConfig, OpenError> {
    let provider = CryptoProvider::get_default()
        .map_or_else(|| Arc::new(rustls::crypto::ring::default_provider()), Arc::clone);
    let setup = |error: rustls::Error| OpenError::Setup(error.into());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().map_err(setup)?;
    let builder = match authorities {
        None => builder.with_platform_verifier().map_err(setup)?,
        Some(file) => builder.with_root_certificates(read_authorities(file)?),
    };
    Ok(builder.with_no_client_auth())
}

fn read_authorities(file: &Path) -> Result<RootCertStore, OpenError> {
    let unreadable =
        |error: Box<dyn std::error::Error + Send + Sync>| OpenError::Authorities(file.to_owned(), error);
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file).map_err(|error| unreadable(error.into()))? {
        let certificate = certificate.map_err(|error| unreadable(error.into()))?;
        roots.add(certificate).map_err(|error| unreadable(error.into()))?;
    }
    if roots.is_empty() { Err(unreadable("it holds no certificate in PEM form".into())) } else { Ok(roots) }
}
