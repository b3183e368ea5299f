//! What a user may type: the command line as types, with its help.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

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

More settings in the environment:
  ZUMIK_MASTER_KEY             seals all contents: 64 hexadecimal digits; without
                               it the folder holds one, made at the first start
  ZUMIK_REQUESTS_PER_MINUTE    limit of each API key [default: none]
  ZUMIK_TOKENS_PER_MINUTE      limit of each API key [default: none]
  ZUMIK_CONCURRENT_STREAMS     limit of each API key [default: none]
  ZUMIK_PURGE_JOBS_PER_MINUTE  limit of each project [default: none]
  ZUMIK_DRAIN_SECONDS          most time a stop waits for requests [default: 30]
  ZUMIK_UPSTREAM_REGION        where the provider runs, such as us [default: unknown]
  ZUMIK_PLACEHOLDER_DELAY_MS   time an answer without a model takes [default: 0]

What is set neither here nor there is read from zumik.toml in the data folder.")]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8787]
    #[arg(long, value_name = "HOST:PORT", env = "ZUMIK_LISTEN", value_parser = socket_address)]
    pub listen: Option<SocketAddr>,

    #[command(flatten)]
    pub data: DataArgs,

    /// Accept this API key; it is installed when the folder does not know it
    ///
    /// `zk_live_` or `zk_test_`, then 16 to 128 of the characters A-Z a-z 0-9 - _. Other users of this machine can
    /// see the arguments of a command: without this option a key is made and shown to you alone.
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,

    /// Serve Prometheus metrics at http://HOST:PORT/metrics
    #[arg(long, value_name = "HOST:PORT", env = "ZUMIK_METRICS", value_parser = socket_address)]
    pub metrics: Option<SocketAddr>,

    /// Answer with the models of this provider instead of placeholders: its base URL, with the version
    ///
    /// Any server that speaks OpenAI's API. Several providers, and what aliases mean among them, stand in zumik.toml.
    #[arg(long, value_name = "URL", env = "ZUMIK_UPSTREAM", help_heading = "Models")]
    pub upstream: Option<String>,

    /// Environment variable that holds the provider's API key
    ///
    /// The name of the variable, such as OPENAI_API_KEY: the key itself never stands on a command line.
    #[arg(long, value_name = "NAME", env = "ZUMIK_UPSTREAM_KEY_ENV", help_heading = "Models")]
    pub upstream_key_env: Option<String>,

    /// The provider's models, comma-separated; aliases mean the first one [default: the provider is asked]
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        env = "ZUMIK_UPSTREAM_MODELS",
        help_heading = "Models"
    )]
    pub upstream_models: Option<Vec<String>>,

    /// Print one JSON object when ready: url, api_key, project_id, data
    ///
    /// `api_key` is null when the folder had a key already and none was given. With --metrics also: metrics.
    #[arg(long)]
    pub json: bool,
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

/// Create, list and revoke API keys
///
/// These commands work on the data folder itself, also while a server is running on it: a new key works at once,
/// a revoked one is refused at once.
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

    /// Project that the key opens, by its name; one that does not exist yet is made
    ///
    /// A key sees its own project only. `default` is the project that the first start made.
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub project: String,

    /// A name for the key itself, to know it by in `zumik keys list`
    #[arg(long, value_name = "NAME", default_value = "cli")]
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

/// Show every key of every project, revoked ones too; never the keys themselves
#[derive(Debug, Args)]
pub(crate) struct ListKeysArgs {
    #[command(flatten)]
    pub data: DataArgs,

    /// Print a JSON list
    #[arg(long)]
    pub json: bool,
}

/// Refuse a key from now on
#[derive(Debug, Args)]
pub(crate) struct RevokeKeyArgs {
    #[command(flatten)]
    pub data: DataArgs,

    /// Id of the key, `key_…`, as `zumik keys list` shows it
    #[arg(value_name = "ID")]
    pub id: String,

    /// Print the key's record as JSON
    #[arg(long)]
    pub json: bool,
}

/// The tour: an agent's state from artifacts to a purge receipt, over your own files
///
/// Starts a server on a temporary folder and drives it with the Rust client, every call for real: uploads the text
/// files below FOLDER as artifacts, bundles them, opens a session, holds a few turns, lets two writers collide,
/// forks, merges, pins a snapshot, generates with a QoS target, scores the reuse in what just happened, purges one
/// document and verifies the signed receipt offline. Nothing is kept, and nothing leaves this machine.
///
/// Hidden files, files that .gitignore or .ignore excludes, symbolic links and the folders target and node_modules
/// are passed over. A file that is not UTF-8 text, is empty or is too large for one request is reported and skipped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik quickstart
  zumik quickstart ./docs --max-files 20
  zumik quickstart --json | jq .calls

Environment:
  ZUMIK_BASE_URL, ZUMIK_API_KEY   when both are set, the tour uses that server:
                                  the files are uploaded there, and deleted in
                                  the end with all else that the tour made")]
pub(crate) struct QuickstartArgs {
    /// Folder whose text files are the documents
    #[arg(value_name = "FOLDER", default_value = ".")]
    pub folder: PathBuf,

    /// At most this many files, in the order of their paths
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub max_files: u32,

    /// Print one JSON object at the end instead of the tour
    #[arg(long)]
    pub json: bool,
}

/// Score the reuse in captured traces
///
/// The Workload Reuse Score, the waterfall from input to realized tokens, and what to do about it. Computed here: nothing
/// is sent. With --api-key the traces, which hold numbers and no text, go to a server that signs the report.
#[derive(Debug, Args)]
#[command(after_help = "\
FILE has one JSON object a line, each an element of `traces` as
POST /v2/diagnostics takes them.

Examples:
  zumik diagnose zumik-traces.jsonl
  zumik diagnose zumik-traces.jsonl --json | jq .workload_reuse_score")]
pub(crate) struct DiagnoseArgs {
    /// File of traces; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Have the report made and signed by a server
    #[arg(long, value_name = "KEY")]
    pub api_key: Option<String>,

    /// The server for --api-key [default: the hosted one, api.zumik.ai]
    #[arg(long, value_name = "URL", env = "ZUMIK_BASE_URL")]
    pub base_url: Option<String>,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}

/// Check whether the layout of a prompt lets providers cache it
///
/// Providers cache exact prefixes: what is stable must come first and must not change. Nothing is sent.
///
/// Exit code 0 without a finding of medium or high severity, 1 with one, 2 when the file is no prompt.
#[derive(Debug, Args)]
#[command(after_help = "\
FILE is {\"messages\": [...]}, an array of {role, content}, or the same with a
`kind` to each block (tools, response_schema, document, ...).

Examples:
  zumik lint prompt.json
  cat prompt.json | zumik lint - --json")]
pub(crate) struct LintArgs {
    /// File with a prompt as JSON; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Print the findings as JSON
    #[arg(long)]
    pub json: bool,
}

/// Reads `HOST:PORT`; a host name is resolved, its first address taken.
fn socket_address(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let expected = "expected HOST:PORT, for example 127.0.0.1:8787";
    match text.to_socket_addrs() {
        Ok(mut found) => found.next().ok_or_else(|| expected.to_owned()),
        Err(_) => Err(expected.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn an_address_needs_host_and_port() {
        assert_eq!(socket_address("127.0.0.1:0").unwrap().port(), 0);
        assert!(socket_address("[::1]:8787").unwrap().is_ipv6());
        assert!(socket_address("localhost:8787").unwrap().ip().is_loopback());
        for wrong in ["", "8787", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999"] {
            assert!(socket_address(wrong).is_err(), "{wrong} is no address");
        }
    }
}
