//! Commands that call a server's `/v1`: chat, batches, models.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What the help of a command ends with: its examples, and the variables that name the server.
fn with_environment(examples: &str) -> String {
    let environment = "\
Environment:
  ZUMIK_API_KEY    the key; zumik serve shows one, zumik keys create makes one
  ZUMIK_BASE_URL   the server";
    match examples {
        "" => environment.to_owned(),
        examples => format!("{examples}\n\n{environment}"),
    }
}

/// Which server. The key is in the environment only: other users of a machine can see the arguments of a command.
#[derive(Debug, Args)]
pub(crate) struct ClientArgs {
    /// The server, without /v1 [default: the hosted one, api.zumik.ai]
    #[arg(long, value_name = "URL", env = "ZUMIK_BASE_URL")]
    pub base_url: Option<String>,
}

/// Talk to a model
///
/// On a terminal this is a conversation: answers are shown as they come, Ctrl-C ends an answer, Ctrl-D the program.
/// With a PROMPT, or a text piped in, there is one answer, and it is all that standard output gets. A pipe is read to its
/// end: in a loop over lines, say </dev/null.
#[derive(Debug, Args)]
#[command(after_help = with_environment("\
Examples:
  zumik chat
  zumik chat --model code.fast --system 'Be terse.'
  zumik chat 'What is a monad?'
  git diff | zumik chat 'Review this patch.' > review.md

What ran (model, tokens, time) is told on standard error."))]
pub(crate) struct ChatArgs {
    /// Ask this and end; a text piped in follows it
    #[arg(value_name = "PROMPT")]
    pub prompt: Option<String>,

    /// Model or alias; zumik models lists them
    #[arg(long, short, value_name = "MODEL", default_value = "auto")]
    pub model: String,

    /// What the model is told before everything else
    #[arg(long, short, value_name = "TEXT")]
    pub system: Option<String>,

    /// Put what this session holds before the messages, `ses_…`
    ///
    /// That is its base bundles, then the events of its default branch. Nothing is added to it.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,

    #[command(flatten)]
    pub client: ClientArgs,

    /// Print the whole completion as JSON, at the end; for one answer
    #[arg(long)]
    pub json: bool,
}

/// List the models and aliases of a server
#[derive(Debug, Args)]
#[command(after_help = with_environment("\
Examples:
  zumik models
  zumik models --json | jq -r '.data[].id'"))]
pub(crate) struct ModelsArgs {
    #[command(flatten)]
    pub client: ClientArgs,

    /// Print the list as the server answers it
    #[arg(long)]
    pub json: bool,
}

/// Run many requests as one batch
#[derive(Debug, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct BatchArgs {
    #[command(subcommand)]
    pub command: BatchCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    Run(RunBatchArgs),
    Resume(ResumeBatchArgs),
    /// Show how far a batch is
    Status(BatchIdArgs),
    /// Stop a batch; what was answered by then is kept, and zumik batch resume fetches it
    Cancel(BatchIdArgs),
}

/// Upload a file of requests, run it as a batch, and write the results
///
/// The id of the batch is told as soon as it exists. The batch runs on the server: when this command is interrupted,
/// `zumik batch resume ID` fetches its results later.
///
/// Exit code 0 when every request was answered, 1 when one was not, or the batch failed.
#[derive(Debug, Args)]
#[command(after_help = with_environment("\
FILE has one JSON object a line: a chat request as POST /v1/chat/completions
takes it, which is named by its line (line-1, line-2, ...), or a whole batch
line with custom_id, method, url and body.

Examples:
  zumik batch run questions.jsonl
  zumik batch run questions.jsonl --out answers.jsonl --errors failed.jsonl
  zumik batch run questions.jsonl --out - | jq -r .response.body.choices[0].message.content"))]
pub(crate) struct RunBatchArgs {
    /// File of requests; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Model for requests that name none
    #[arg(long, short, value_name = "MODEL", default_value = "auto")]
    pub model: String,

    #[command(flatten)]
    pub results: ResultArgs,
}

/// Wait for a batch that was begun before, and write its results
#[derive(Debug, Args)]
#[command(after_help = with_environment("\
Example:
  zumik batch resume batch_01jy7n0b5d9n3v7w0r4xsyz8ce --out answers.jsonl"))]
// It has no FILE.
#[command(mut_arg("out", |out| out.help("File for the answers; - is standard output [default: ID.output.jsonl]")))]
pub(crate) struct ResumeBatchArgs {
    /// Id of the batch, `batch_…`
    #[arg(value_name = "ID")]
    pub id: String,

    #[command(flatten)]
    pub results: ResultArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResultArgs {
    /// File for the answers; - is standard output [default: FILE with the ending .output.jsonl]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// File for the requests that were not answered [default: like --out, with errors for output]
    ///
    /// With --out - and without this option they follow the answers.
    #[arg(long, value_name = "FILE")]
    pub errors: Option<PathBuf>,

    /// Replace result files that exist; never the file of requests. Pipes and devices are written to as they are
    #[arg(long)]
    pub force: bool,

    #[command(flatten)]
    pub client: ClientArgs,

    /// Print a JSON object at the end: batch_id, status, answered, failed, output, errors
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = with_environment(""))]
pub(crate) struct BatchIdArgs {
    /// Id of the batch, `batch_…`
    #[arg(value_name = "ID")]
    pub id: String,

    #[command(flatten)]
    pub client: ClientArgs,

    /// Print the batch as the server answers it
    #[arg(long)]
    pub json: bool,
}
