//! `zumik migrate`.

use std::path::PathBuf;

use clap::Args;

/// Move everything from a data folder to a PostgreSQL database, or back
///
/// Projects, keys and all state, the answers kept for retries too: clients go on as if nothing had happened, with the same
/// keys and ids. Nothing is decrypted, so both sides have the same master key. What was copied is read again and compared,
/// row by row; before that the target is no store, and it is left empty when anything fails or Ctrl-C ends it.
///
/// No server may be running on either side. The source stays as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik migrate --from ./zumik --to postgres://zumik@db.example.com/zumik
  zumik migrate --from postgres://zumik@localhost/zumik --to ./zumik --master-key-file key
  zumik migrate --from ./zumik --to ./other --json | jq '.tables[] | .rows'

Environment:
  ZUMIK_MASTER_KEY   the key that seals the contents; a new folder does not hold it
                     then, so the server must be given it too")]
pub(crate) struct MigrateArgs {
    /// Data folder, or postgres://USER:PASSWORD@HOST:PORT/DATABASE, to move from
    ///
    /// Other users of this machine can see the arguments of a command: better set a URL with a password in the environment.
    #[arg(long, value_name = "URL", env = "ZUMIK_MIGRATE_FROM", hide_env_values = true)]
    pub from: String,

    /// The same, to move to: a folder that is new or empty, or a database without the schema zumik
    #[arg(long, value_name = "URL", env = "ZUMIK_MIGRATE_TO", hide_env_values = true)]
    pub to: String,

    /// File with the master key, when it does not lie in the folder that is moved; a new folder gets it
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// Print the rows and the digest of every table as JSON
    #[arg(long)]
    pub json: bool,
}
