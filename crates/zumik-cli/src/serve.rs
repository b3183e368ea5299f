//! `zumik serve`: the server of one data folder, until it is told to stop.

use std::env;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use serde::Serialize;
use zumik_server::config::{self, Settings, StoreUrl};
use zumik_server::{Drained, RunningServer, Server, StartError};

use crate::args::{LogFormat, ServeArgs};
use crate::data;
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::signals::Signals;
use crate::term::{self, FAINT, STRONG, Screen, styled};

/// Where a server listens when nothing is said.
const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8787);

/// What a program reads: the first line of standard output with `--json`.
#[derive(Serialize)]
struct Ready<'a> {
    url: &'a str,
    /// Nothing when the folder had a key and none was given: it keeps only hashes.
    api_key: Option<&'a str>,
    project_id: &'a str,
    data: &'a Path,
    /// The database, without its password, when everything is kept there.
    #[serde(skip_serializing_if = "Option::is_none")]
    store: Option<String>,
    /// Address of the metrics, when they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<String>,
}

pub(crate) async fn run(args: ServeArgs, log: Log) -> Result<(), Failure> {
    let folder = data::folder(&args.data)?;
    let settings = settings(&args, &folder)?;
    logging::start(with_settings(log, &settings), "info", None)?;
    let mut signals = Signals::listen()?;

    let mut builder = Server::builder().listen(LISTEN).settings(&settings).data(&folder);
    if let Some(key) = args.api_key {
        builder = builder.api_key(key);
    }
    if let Some(key) = data::master_key()? {
        builder = builder.master_key(key);
    }
    if let Some(token) = metrics_token()? {
        builder = builder.metrics_token(&token);
    }
    // It may wait for a database, or for another server that migrates it.
    let server = tokio::select! {
        biased;
        () = signals.stop() => return Err(Failure::Interrupted),
        started = builder.start() => started.map_err(|error| refusal(error, &folder, &settings))?,
    };
    match announce(&server, &folder, &settings, args.json) {
        // A script may read the first line and close the pipe: the server is what it wanted.
        Ok(()) | Err(Failure::NobodyReads) => {}
        Err(failure) => return Err(failure),
    }
    if !server.address().ip().is_loopback() {
        tracing::warn!(address = %server.address(), "other machines can reach this server, and it speaks plain HTTP");
    }

    signals.stop().await;
    tracing::info!("stopping: running requests finish; asked once more, the server ends at once");
    tokio::select! {
        biased;
        () = signals.stop() => Err(Failure::Interrupted),
        drained = server.shutdown() => {
            if drained == Drained::Partly {
                tracing::warn!("some requests took too long and were broken off");
            }
            tracing::info!("stopped");
            Ok(())
        }
    }
}

/// Options first, then the environment, then `zumik.toml`.
fn settings(args: &ServeArgs, folder: &Path) -> Result<Settings, Failure> {
    let mut settings = Settings::default();
    settings.listen = args.listen.clone();
    settings.metrics = args.metrics.clone();
    settings.upstream.url = args.upstream.clone();
    settings.upstream.key_env = args.upstream_key_env.clone();
    settings.upstream.models = args.upstream_models.clone();
    settings.store = args.store.url.as_deref().map(StoreUrl::new);
    data::complete(settings, folder)
}

/// The token of `METRICS_TOKEN`, if it is set.
fn metrics_token() -> Result<Option<String>, Failure> {
    match env::var("METRICS_TOKEN") {
        Ok(token) => Ok(Some(token).filter(|token| !token.is_empty())),
        Err(env::VarError::NotPresent) => Ok(None),
        Err(env::VarError::NotUnicode(_)) => Err(Failure::usage("METRICS_TOKEN is not UTF-8 text")),
    }
}

fn with_settings(log: Log, settings: &Settings) -> Log {
    let format = settings.log.format.map(|format| match format {
        config::LogFormat::Text => LogFormat::Text,
        config::LogFormat::Json => LogFormat::Json,
    });
    Log { level: log.level.or_else(|| settings.log.level.clone()), format: log.format.or(format) }
}

fn announce(server: &RunningServer, folder: &Path, settings: &Settings, json: bool) -> Result<(), Failure> {
    let key = Some(server.api_key()).filter(|key| !key.is_empty());
    let store = store(settings);
    let metrics = server.metrics_address().map(|address| format!("http://{address}/metrics"));
    if json {
        let project_id = server.project_id().as_str();
        return term::print_json(&Ready {
            url: server.url(),
            api_key: key,
            project_id,
            data: folder,
            store,
            metrics,
        });
    }
    let mut screen = Screen::new(false);
    screen.line(format_args!("{} at {}", styled(STRONG, "Zumik is ready"), server.url()))?;
    screen.item("data", term::printable(&folder.display().to_string()))?;
    if let Some(store) = &store {
        screen.item("store", term::printable(store))?;
    }
    screen.item("project", server.project_id())?;
    if let Some(metrics) = metrics {
        screen.item("metrics", metrics)?;
    }
    screen.item("models", models(settings))?;
    screen.line("")?;
    match key {
        Some(key) => {
            screen.line("In another shell (the key is shown this once; the folder keeps only its hash):")?;
            screen.line(format_args!("export ZUMIK_BASE_URL={}", server.url()))?;
            screen.line(format_args!("export ZUMIK_API_KEY={key}"))
        }
        None => {
            screen
                .line("In another shell, with the key of the first start, or one of `zumik keys create`:")?;
            screen.line(format_args!("export ZUMIK_BASE_URL={}", server.url()))?;
            screen.line(format_args!("export ZUMIK_API_KEY={}", styled(FAINT, "zk_live_…")))
        }
    }
}

/// The database, without its password, when everything is kept in one.
fn store(settings: &Settings) -> Option<String> {
    Some(settings.store.as_ref()?.address().ok()?.to_string())
}

/// Whose models answer.
fn models(settings: &Settings) -> String {
    let names: Vec<_> = settings.upstreams.keys().map(String::as_str).collect();
    if names.is_empty() {
        "none: answers are placeholders".to_owned()
    } else {
        format!("of {}", names.join(", "))
    }
}

/// Why the server did not start, and the way out.
fn refusal(error: StartError, folder: &Path, settings: &Settings) -> Failure {
    match error {
        StartError::Listen { address, source } => {
            let option = if settings.metrics.as_ref() == Some(&address) { "--metrics" } else { "--listen" };
            let why = match source.kind() {
                io::ErrorKind::AddrInUse => "another program uses the port".to_owned(),
                io::ErrorKind::AddrNotAvailable => "this machine does not have the address".to_owned(),
                _ => source.to_string(),
            };
            Failure::failed(format_args!(
                "cannot listen on {address}: {why}; choose another with {option} HOST:PORT, where port 0 takes a free one"
            ))
        }
        StartError::ApiKey => Failure::usage(format_args!("--api-key: {error}")),
        StartError::ApiKeyTaken | StartError::ApiKeyRevoked(_) => {
            Failure::failed(format_args!("--api-key: {error}"))
        }
        StartError::Open(error) => data::refusal(&error, folder),
        StartError::Address(error) => Failure::usage(format_args!("the store cannot be used: {error}")),
        StartError::StoreConnections => Failure::usage(format_args!(
            "ZUMIK_STORE_CONNECTIONS, or store_connections in zumik.toml: {error}"
        )),
        StartError::Upstream(error) => Failure::misuse("the upstreams cannot be used", &error),
        other => Failure::because("cannot start the server", &other),
    }
}
