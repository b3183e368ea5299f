//! What a user may type: the command line as types, with its help.

mod backup;
mod generate;
mod keys;
mod migrate;
mod tools;

use std::env;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand, ValueEnum};
use zumik_server::config::ListenAddress;

pub(crate) use self::backup::{BackupArgs, RestoreArgs};
pub(crate) use self::generate::{
    BatchArgs, BatchCommand, BatchIdArgs, ChatArgs, ClientArgs, ModelsArgs, ResultArgs, ResumeBatchArgs,
    RunBatchArgs,
};
pub(crate) use self::keys::{
    CreateKeyArgs, KeysArgs, KeysCommand, ListKeysArgs, ListReceiptKeysArgs, ReceiptKeysArgs,
    ReceiptKeysCommand, RevokeKeyArgs, RotateReceiptKeyArgs, Scope,
};
pub(crate) use self::migrate::MigrateArgs;
pub(crate) use self::tools::{DiagnoseArgs, LintArgs, QuickstartArgs};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Zumik on this machine: a server for the state of agents, its keys, and a guided tour.
///
/// Zumik keeps what an agent's prompt is made of (policies, tools, documents, history) as addressable state,
/// so that the same large prefix need not be sent and paid for on every call. This command runs a complete,
/// durable Zumik from one folder: no account, no network, no other service.
#[derive(Debug, Parser)]
#[command(
    name = "zumik",
    version,
    styles = STYLES,
    arg_required_else_help = true,
    max_term_width = 100,
    after_help = "\
Examples:
  zumik quickstart             the tour, every call for real, over your files
  zumik serve                  a server on http://127.0.0.1:8787
  zumik serve --data ./zumik   the same, with its data in ./zumik
  zumik keys create --project ci --scopes read
  zumik chat                   talk to a model of the server in ZUMIK_BASE_URL
  zumik backup ./copy          a checked copy of the data, while it is served

Results go to standard output, logs and errors to standard error.
Exit codes: 0 done, 1 failed (one line says why), 2 wrong usage, 130 interrupted.
Colours are for terminals only; NO_COLOR=1 turns them off there too."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub command: Command,

    #[command(flatten)]
    pub log: LogArgs,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(ServeArgs),
    Keys(KeysArgs),
    Chat(ChatArgs),
    Batch(BatchArgs),
    Models(ModelsArgs),
    ReceiptKeys(ReceiptKeysArgs),
    Backup(BackupArgs),
    Restore(RestoreArgs),
    Migrate(MigrateArgs),
    Quickstart(QuickstartArgs),
    Diagnose(DiagnoseArgs),
    Lint(LintArgs),
}

/// Where the log goes is fixed (standard error); how much of it and in which form is not.
#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// How much to log: off, error, warn, info, debug, trace, or a filter such as zumik_server=debug,warn
    ///
    /// Default: info for `serve`, error for the other commands. Logs never contain prompts, answers, contents or keys,
    /// at any level.
    #[arg(
        long,
        global = true,
        value_name = "LEVEL",
        env = "ZUMIK_LOG",
        hide_short_help = true,
        help_heading = "Logging"
    )]
    pub log_level: Option<String>,

    /// One line of text (the default) or one JSON object per log record
    #[arg(
        long,
        global = true,
        value_name = "FORMAT",
        value_enum,
        env = "ZUMIK_LOG_FORMAT",
        hide_short_help = true,
        help_heading = "Logging"
    )]
    pub log_format: Option<LogFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// Run a Zumik server
///
/// On a fresh folder it makes a project and an API key and prints the key, once: the folder keeps only its hash.
/// A request is answered only after its effect is on disk. Ctrl-C or SIGTERM stops taking requests and lets
/// running ones finish; a second Ctrl-C ends at once.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik serve
  zumik serve --data ./zumik --listen 127.0.0.1:0 --json
  zumik serve --api-key zk_live_0123456789abcdef0123456789abcdef
  zumik serve --upstream https://api.openai.com/v1 --upstream-key-env OPENAI_API_KEY
  zumik serve --upstream http://127.0.0.1:11434/v1 --upstream-models qwen3
  ZUMIK_STORE=postgres://zumik:…@db.example.com/zumik zumik serve

More settings in the environment:
  ZUMIK_MASTER_KEY             seals all contents: 64 hexadecimal digits; without
                               it the folder holds one, made at the first start
  ZUMIK_REQUESTS_PER_MINUTE    limit of each API key [default: none]
  ZUMIK_TOKENS_PER_MINUTE      limit of each API key [default: none]
  ZUMIK_CONCURRENT_STREAMS     limit of each API key [default: none]
  ZUMIK_PURGE_JOBS_PER_MINUTE  limit of each project [default: none]
  METRICS_TOKEN                asks for this token at --metrics, as in
                               Authorization: Bearer TOKEN
  ZUMIK_CONNECTIONS            most connections of clients [default: 4096]
  ZUMIK_STORE_CONNECTIONS      most connections to the database, at least 2 [default: 20]
  ZUMIK_DRAIN_SECONDS          most time a stop waits for requests [default: 30]
  ZUMIK_UPSTREAM_REGION        where the provider runs, such as us [default: unknown]
  ZUMIK_UPSTREAM_CACHE_SECONDS how long the provider may keep a prompt, for receipts of
                               purges; 0: not at all [default: 86400]
  ZUMIK_BATCH_LINES            lines of batches that run at a time [default: 8]
  ZUMIK_USAGE_DAYS             days that usage events are kept [default: 400]
  ZUMIK_PLACEHOLDER_DELAY_MS   time an answer without a model takes [default: 0]

What is set neither here nor there is read from zumik.toml in the data folder.")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one [env: ZUMIK_LISTEN] [default: 127.0.0.1:8787]
    #[arg(long, value_name = "HOST:PORT")]
    pub listen: Option<ListenAddress>,

    #[command(flatten)]
    pub data: DataArgs,

    #[command(flatten)]
    pub store: StoreArgs,

    /// Accept this API key; it is installed when the folder does not know it
    ///
    /// `zk_live_` or `zk_test_`, then 16 to 128 of the characters A-Z a-z 0-9 - _. Other users of this machine can
    /// see the arguments of a command: without this option a key is made and shown to you alone.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,

    /// Serve Prometheus metrics at http://HOST:PORT/metrics [env: ZUMIK_METRICS]
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics: Option<ListenAddress>,

    /// Answer with the models of this provider instead of placeholders: its base URL, with the version [env: ZUMIK_UPSTREAM]
    ///
    /// Any server that speaks OpenAI's API. Several providers, and what aliases mean among them, stand in zumik.toml.
    /// Where the environment names another one, nothing that it says of that one holds for this.
    #[arg(long, value_name = "URL", help_heading = "Models")]
    pub upstream: Option<String>,

    /// Environment variable that holds the provider's API key [env: ZUMIK_UPSTREAM_KEY_ENV]
    ///
    /// The name of the variable, such as OPENAI_API_KEY: the key itself never stands on a command line.
    #[arg(long, value_name = "NAME", help_heading = "Models")]
    pub upstream_key_env: Option<String>,

    /// The provider's models, comma-separated; aliases mean the first one [env: ZUMIK_UPSTREAM_MODELS] [default: the provider is asked]
    #[arg(long, value_name = "LIST", value_delimiter = ',', help_heading = "Models")]
    pub upstream_models: Option<Vec<String>>,

    /// Print one JSON object when ready: url, api_key, project_id, data
    ///
    /// `api_key` is null when the folder had a key already and none was given. With --metrics also: metrics. With --store also: store.
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct StoreArgs {
    /// Keep everything in a PostgreSQL database, postgres://USER:PASSWORD@HOST:PORT/DATABASE [env: ZUMIK_STORE]
    ///
    /// Any number of servers may share it. They need the same master key: set ZUMIK_MASTER_KEY, or copy master.key from
    /// the data folder of the first one; nothing else is kept in the folder then. Connections use TLS, and check the
    /// certificate by those of the system, except to this machine or with ?sslmode=disable. Other users of this machine
    /// can see the arguments of a command: better set the URL in the environment.
    #[arg(long = "store", value_name = "URL")]
    pub url: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder with everything that a server keeps [default: zumik in your data folder]
    ///
    /// Your data folder is $XDG_DATA_HOME or ~/.local/share on Linux, ~/Library/Application Support on macOS,
    /// %APPDATA% on Windows. `serve` makes the folder when it does not exist.
    #[arg(long, value_name = "DIR", env = "ZUMIK_DATA")]
    pub data: Option<PathBuf>,
}

/// The command line of this process. A variable that is empty counts as one that is not set.
pub(crate) fn parse() -> Cli {
    let matches = without_empty_variables(Cli::command()).get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

fn without_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |name: &OsStr| env::var_os(name).is_some_and(|value| value.is_empty());
    command
        .mut_args(|arg| if arg.get_env().is_some_and(is_empty) { arg.env(None::<&str>) } else { arg })
        .mut_subcommands(without_empty_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_of_a_command_speaks_of_its_own_arguments() {
        let help = |name: &str| {
            let mut cli = Cli::command();
            let batch = cli.find_subcommand_mut("batch").unwrap();
            batch.find_subcommand_mut(name).unwrap().render_long_help().to_string()
        };
        for name in ["run", "resume", "status", "cancel"] {
            assert_eq!(help(name).matches("Environment:").count(), 1, "{name}");
        }
        assert!(help("run").contains("[default: FILE with the ending .output.jsonl]"));
        let resume = help("resume");
        assert!(resume.contains("[default: ID.output.jsonl]") && !resume.contains("FILE with"), "{resume}");
    }
}
