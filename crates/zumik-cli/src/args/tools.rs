//! The tour, and the tools that look at prompts and traces.

use std::path::PathBuf;

use clap::Args;
use clap::builder::NonEmptyStringValueParser;

/// The tour: an agent's state from artifacts to a purge receipt, over your own files
///
/// Starts a server on a temporary folder and drives it with the Rust client, every call for real: uploads the text
/// files below FOLDER as artifacts, bundles them, opens a session, holds a few turns, lets two writers collide,
/// forks, merges, pins a snapshot, generates with a QoS target, scores the reuse in what just happened, purges one
/// document and verifies the signed receipt offline. Nothing is kept, and nothing leaves this machine, unless a model of
/// yours is to answer: --upstream.
///
/// Hidden files, files that .gitignore or .ignore excludes, symbolic links and the folders target and node_modules
/// are passed over. A file that is not UTF-8 text, is empty or is too large for one request is reported and skipped.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik quickstart
  zumik quickstart ./docs --max-files 20
  zumik quickstart --json | jq .calls
  zumik quickstart --upstream http://127.0.0.1:11434/v1
  zumik quickstart --upstream https://api.openai.com/v1 --upstream-key-env OPENAI_API_KEY

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

    /// Let a model of this provider answer: its base URL, with the version
    ///
    /// Any server that speaks OpenAI's API. The text of the files, at most 256 KiB, goes there with every question.
    #[arg(long, value_name = "URL")]
    pub upstream: Option<String>,

    /// Environment variable that holds the provider's API key
    #[arg(long, value_name = "NAME", requires = "upstream")]
    pub upstream_key_env: Option<String>,

    /// The provider's models, comma-separated; the first one answers [default: the provider is asked]
    #[arg(long, value_name = "LIST", value_delimiter = ',', requires = "upstream")]
    pub upstream_models: Vec<String>,

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
  zumik diagnose zumik-traces.jsonl --json | jq .workload_reuse_score

Exit code 0 when there is a report, whatever it says; 1 when there is none.")]
pub(crate) struct DiagnoseArgs {
    /// File of traces; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Have the report made and signed by a server
    #[arg(long, value_name = "KEY", value_parser = NonEmptyStringValueParser::new())]
    pub api_key: Option<String>,

    /// The server for --api-key [env: ZUMIK_BASE_URL] [default: the hosted one, api.zumik.ai]
    #[arg(long, value_name = "URL", requires = "api_key")]
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
