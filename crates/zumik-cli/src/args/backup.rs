//! `zumik backup` and `zumik restore`.

use std::path::PathBuf;

use clap::Args;

use super::DataArgs;

/// Copy a data folder, also while a server is running on it
///
/// The backup shows one moment: all that was acknowledged before is in it, nothing that came after. Digests, the
/// integrity of the database, the rows of every table and the master key are checked before it counts as one.
///
/// A backup outlives later purges: what is purged after it was made is still in it. Delete the backups from before a
/// purge, or keep them without the master key, which opens them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik backup /backups/zumik-$(date +%F)
  zumik backup ./copy --data ./zumik --with-master-key
  zumik backup ./copy --json | jq -r .created_at

Environment:
  ZUMIK_MASTER_KEY   the key that seals the folder, when the folder does not hold it")]
pub(crate) struct BackupArgs {
    /// Folder to write to: new, or empty
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    #[command(flatten)]
    pub data: DataArgs,

    /// Put the master key into the backup
    ///
    /// With it, the backup is all that a restore needs, and whoever has it reads every content. Without it, contents
    /// stay sealed, and a restore needs the key: keep a copy of master.key apart from the backups.
    #[arg(long)]
    pub with_master_key: bool,

    /// Print what the backup holds as JSON: its manifest, backup.json
    #[arg(long)]
    pub json: bool,
}

/// Make a data folder from a backup
///
/// The backup is checked first, its master key too. The folder is there as a whole, or not at all. It must be new or
/// empty: nothing is ever overwritten.
///
/// What was purged after the backup was made comes back with it, and API keys that were revoked since are valid again: repeat
/// those purges and revoke those keys before anyone uses the folder.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  zumik restore /backups/zumik-2026-11-22 --data ./zumik
  zumik restore ./copy --data ./zumik --master-key-file /safe/master.key
  zumik restore ./copy --check

Environment:
  ZUMIK_MASTER_KEY   the key of the backup; it is not written to the folder, so
                     the server must be given it too")]
pub(crate) struct RestoreArgs {
    /// Folder that `zumik backup` wrote
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,

    #[command(flatten)]
    pub data: DataArgs,

    /// File with the master key of the backup; it becomes that of the folder
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,

    /// Check the backup and write nothing
    #[arg(long, conflicts_with = "data")]
    pub check: bool,

    /// Print what the backup holds as JSON: its manifest
    #[arg(long)]
    pub json: bool,
}
