//! `zumik keys` and `zumik receipt-keys`.

use clap::{Args, Subcommand, ValueEnum};
use zumik_server::domain::{InvalidName, check_name};

use super::{DataArgs, StoreArgs};

/// Create, list and revoke API keys
///
/// These commands work on the data folder itself, also while a server is running on it: a new key works at once,
/// a revoked one is refused at once. With a PostgreSQL database, servers that run refuse it within a second. Folder or
/// database must be one that a server of this version has been started on.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    pub command: KeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    Create(CreateKeyArgs),
    List(ListKeysArgs),
    Revoke(RevokeKeyArgs),
}

/// Make a key and print it, once
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik keys create
  zumik keys create --project ci --scopes read
  export ZUMIK_API_KEY=$(zumik keys create --json | jq -r .key)")]
pub(crate) struct CreateKeyArgs {
    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub store: StoreArgs,

    /// Project that the key opens, by its name; one that does not exist yet is made
    ///
    /// A key sees its own project only. `default` is the project that the first start made.
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = name)]
    pub project: String,

    /// A name for the key itself, to know it by in `zumik keys list`
    #[arg(long, value_name = "NAME", default_value = "cli", value_parser = name)]
    pub name: String,

    /// What the key may do, comma-separated
    ///
    /// inference: generate and manage state, includes read. read: only look. admin: install model aliases,
    /// includes read.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        value_enum,
        default_values_t = [Scope::Inference]
    )]
    pub scopes: Vec<Scope>,

    /// Print a JSON object: key, id, project_id and the rest of the key's record
    #[arg(long)]
    pub json: bool,
}

/// What a key may do (contract: `common.md`, "Scopes").
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scope {
    Inference,
    Read,
    Admin,
}

impl Scope {
    /// Its name on the wire.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Inference => "inference",
            Self::Read => "read",
            Self::Admin => "admin",
        }
    }
}

/// A name of a project or a key.
fn name(text: &str) -> Result<String, InvalidName> {
    check_name(text).map(|()| text.to_owned())
}

/// Show every key of every project, revoked ones too; never the keys themselves
#[derive(Debug, Args)]
pub(crate) struct ListKeysArgs {
    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub store: StoreArgs,

    /// Print a JSON list
    #[arg(long)]
    pub json: bool,
}

/// Refuse a key from now on
///
/// It stays refused: a server that is started with it as --api-key says so and ends. A start makes no key in place of
/// revoked ones; zumik keys create does.
#[derive(Debug, Args)]
pub(crate) struct RevokeKeyArgs {
    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub store: StoreArgs,

    /// Id of the key, `key_…`, as `zumik keys list` shows it
    #[arg(value_name = "ID")]
    pub id: String,

    /// Print the key's record as JSON
    #[arg(long)]
    pub json: bool,
}

/// Show or replace the key that signs receipts and reports
///
/// Purge receipts and diagnostic reports are signed with an Ed25519 key that each data folder makes for itself. These
/// commands work on the folder, also while a server is running on it.
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ReceiptKeysArgs {
    #[command(subcommand)]
    pub command: ReceiptKeysCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ReceiptKeysCommand {
    List(ListReceiptKeysArgs),
    Rotate(RotateReceiptKeyArgs),
}

/// Show the public halves: the one that signs, and those that no longer do
#[derive(Debug, Args)]
pub(crate) struct ListReceiptKeysArgs {
    #[command(flatten)]
    pub data: DataArgs,

    /// Print the key set as GET /v2/receipt-keys answers it
    #[arg(long)]
    pub json: bool,
}

/// Make a new key, which signs from now on, and erase the secret half of the one before
///
/// What the old key signed still verifies: its public half stays listed. Whoever keeps receipts for offline
/// verification should fetch the key set again.
#[derive(Debug, Args)]
#[command(after_help = "\
Environment:
  ZUMIK_MASTER_KEY   the key that seals the folder, when the folder does not hold it")]
pub(crate) struct RotateReceiptKeyArgs {
    #[command(flatten)]
    pub data: DataArgs,

    /// Print the new public key as JSON
    #[arg(long)]
    pub json: bool,
}
