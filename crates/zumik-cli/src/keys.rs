//! `zumik keys`: API keys, on the data folder or the database itself.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use zumik_client::types::{KeyId, ProjectId};
use zumik_server::domain::{Scopes, key_hash, masked_key, mint_key};
use zumik_server::mint::RandomMint;
use zumik_server::store::{KeyRecord, NewKey, StoreError};

use crate::args::{CreateKeyArgs, KeysCommand, ListKeysArgs, RevokeKeyArgs, Scope};
use crate::failure::Failure;
use crate::logging::{self, Log};
use crate::registry::Registry;
use crate::term::{self, FAINT, GOOD, STRONG, Screen, styled};

pub(crate) async fn run(command: KeysCommand, log: Log) -> Result<(), Failure> {
    logging::start(log, "error", None)?;
    match command {
        KeysCommand::Create(args) => create(&args).await,
        KeysCommand::List(args) => list(&args).await,
        KeysCommand::Revoke(args) => revoke(&args).await,
    }
}

async fn create(args: &CreateKeyArgs) -> Result<(), Failure> {
    let scopes = Scopes::from_names(args.scopes.iter().map(Scope::name))
        .ok_or_else(|| Failure::usage("a key needs a scope: --scopes inference, read, admin"))?;
    let mut registry = Registry::open(&args.data, &args.store).await?;
    let now = Utc::now();
    let project = registry.ensure_project(&args.project, now).await.map_err(failed)?;
    let secret = mint_key(&RandomMint::default());
    let new = NewKey {
        name: args.name.clone(),
        scopes,
        hash: key_hash(secret.as_bytes()),
        masked: masked_key(&secret),
    };
    let record = registry.create_key(&project.id, new, now).await.map_err(failed)?;
    if args.json {
        return term::print_json(&Key::of(&record, Some(&secret)));
    }
    let mut screen = Screen::new(false);
    screen.item("key", format_args!("{}  (shown this once)", styled(STRONG, &secret)))?;
    screen.item("id", &record.id)?;
    screen.item("project", format_args!("{}  {}", term::printable(&project.name), project.id))?;
    screen.item("scopes", scopes_text(scopes))
}

async fn list(args: &ListKeysArgs) -> Result<(), Failure> {
    let records = Registry::open(&args.data, &args.store).await?.list_keys().await.map_err(failed)?;
    if args.json {
        let data = records.iter().map(|record| Key::of(record, None)).collect();
        return term::print_json(&List { object: "list", data, has_more: false });
    }
    let mut screen = Screen::new(false);
    if records.is_empty() {
        return screen.line("no keys; make one with zumik keys create");
    }
    let rows: Vec<[String; 7]> = records.iter().map(row).collect();
    let heads = ["ID", "STATUS", "NAME", "KEY", "SCOPES", "PROJECT", "CREATED"].map(str::to_owned);
    let widths: [usize; 7] = std::array::from_fn(|column| {
        rows.iter().chain([&heads]).map(|row| row[column].chars().count()).max().unwrap_or(0)
    });
    screen.line(styled(FAINT, cells(&heads, &widths)))?;
    rows.iter().zip(&records).try_for_each(|(row, record)| {
        let style = if record.revoked_at.is_some() { FAINT } else { anstyle::Style::new() };
        screen.line(styled(style, cells(row, &widths)))
    })
}

async fn revoke(args: &RevokeKeyArgs) -> Result<(), Failure> {
    let id: KeyId = args
        .id
        .parse()
        .map_err(|error| Failure::usage(format_args!("{error}; zumik keys list shows the ids")))?;
    let mut registry = Registry::open(&args.data, &args.store).await?;
    let record = registry.revoke_key(&id, Utc::now()).await.map_err(|error| match error {
        StoreError::NotFound { .. } => {
            Failure::failed(format_args!("there is no key {id}; see zumik keys list for those it has"))
        }
        other => failed(other),
    })?;
    if args.json {
        return term::print_json(&Key::of(&record, None));
    }
    Screen::new(false).line(format_args!("{}  {}", styled(GOOD, "revoked"), record.id))
}

fn failed(error: StoreError) -> Failure {
    Failure::because("cannot change the keys", &error)
}

/// A key in the form of the API (contract: `v2.md`, "API keys").
#[derive(Serialize)]
struct Key<'a> {
    id: &'a KeyId,
    object: &'static str,
    project_id: &'a ProjectId,
    name: &'a str,
    masked: &'a str,
    scopes: Vec<&'static str>,
    status: &'static str,
    created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> Key<'a> {
    fn of(record: &'a KeyRecord, secret: Option<&'a str>) -> Self {
        Self {
            id: &record.id,
            object: "api_key",
            project_id: &record.project,
            name: &record.name,
            masked: &record.masked,
            scopes: record.scopes.names().collect(),
            status: status(record),
            created_at: time(record.created_at),
            key: secret,
        }
    }
}

#[derive(Serialize)]
struct List<'a> {
    object: &'static str,
    data: Vec<Key<'a>>,
    has_more: bool,
}

fn row(record: &KeyRecord) -> [String; 7] {
    [
        record.id.to_string(),
        status(record).to_owned(),
        term::shortened(&term::printable(&record.name), 24),
        record.masked.clone(),
        scopes_text(record.scopes),
        record.project.to_string(),
        time(record.created_at),
    ]
}

fn cells(row: &[String; 7], widths: &[usize; 7]) -> String {
    let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
    cells.join("  ").trim_end().to_owned()
}

fn scopes_text(scopes: Scopes) -> String {
    scopes.names().collect::<Vec<_>>().join(",")
}

fn status(record: &KeyRecord) -> &'static str {
    if record.revoked_at.is_some() { "revoked" } else { "active" }
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}
