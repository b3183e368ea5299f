//! A PostgreSQL server for the tests of one program: made at the first use, from the installed binaries, in a temporary
//! folder, reachable through a Unix socket in it. It ends and its folder goes when the program ends, however it ends.
//!
//! Where PostgreSQL is not installed, tests that need it are left out, and say so; with `CI=true` that is an error.
//! `tests/postgres/install` installs Debian's package, and `cargo xtask test` runs it.

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Makes and starts a server, says so, and stops it when standard input ends: that is when the program that it is for
/// has ended. `$1` are the binaries, `$2` the folder, `$3` settings.
const KEEPER: &str = r#"
set -eu
trap '' INT
"$1/initdb" --pgdata="$2/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync >"$2/log" 2>&1
"$1/pg_ctl" start --wait --silent --pgdata="$2/data" --log="$2/log" --options="-k '$2' $3" >>"$2/log" 2>&1 </dev/null
echo ready
cat >/dev/null
"$1/pg_ctl" stop --mode=immediate --silent --pgdata="$2/data" >/dev/null 2>&1 || true
rm -rf "$2"
"#;

/// Settings of the server: no network, many small connections, and nothing that is for machines that lose power.
const SETTINGS: &str = "-c listen_addresses= -c max_connections=400 -c shared_buffers=64MB -c fsync=off \
     -c full_page_writes=off -c autovacuum=off";

/// A running server.
pub struct Postgres {
    folder: PathBuf,
    binaries: PathBuf,
    /// The server ends when this is closed.
    _alive: ChildStdin,
}

impl Postgres {
    /// The server of this program; nothing where PostgreSQL is not installed.
    ///
    /// # Panics
    /// The server does not start, or is not installed where `CI=true`.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(SETTINGS)).as_ref()
    }

    /// A server that keeps what it acknowledged through a loss of power, as in production: for measuring.
    ///
    /// # Panics
    /// As [`shared`](Self::shared).
    pub fn durable() -> Option<Self> {
        Self::start("-c listen_addresses= -c max_connections=200 -c shared_buffers=256MB")
    }

    fn start(settings: &str) -> Option<Self> {
        let Some(binaries) = binaries() else {
            let missing = "PostgreSQL is not installed: tests/postgres/install does that on Debian";
            assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
            eprintln!("left out: {missing}");
            return None;
        };
        match Self::start_with(binaries, settings) {
            Ok(server) => Some(server),
            Err(error) => panic!("PostgreSQL did not start: {error}"),
        }
    }

    fn start_with(binaries: PathBuf, settings: &str) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zumik-pg-").tempdir()?;
        let mut keeper = match unprivileged(folder.path())? {
            None => Command::new("sh"),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh"]);
                command
            }
        };
        keeper.args(["-c", KEEPER, "keeper"]).arg(&binaries).arg(folder.path()).arg(settings);
        let keeper = keeper.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = keeper.spawn()?;
        let (Some(stdin), Some(stdout)) = (keeper.stdin.take(), keeper.stdout.take()) else {
            return Err(io::Error::other("no pipes to the keeper"));
        };
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        if line != "ready\n" {
            let log = fs::read_to_string(folder.path().join("log")).unwrap_or_default();
            return Err(io::Error::other(log));
        }
        // From now on the keeper removes it.
        Ok(Self { folder: folder.keep(), binaries, _alive: stdin })
    }

    /// The URL of a database on the server.
    pub fn url(&self, database: &str) -> String {
        let socket = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}/{database}")
    }

    /// The URL of a database with nothing in it.
    ///
    /// # Panics
    /// The database cannot be made.
    pub fn database(&self) -> String {
        let name = self.name("db");
        let status = Command::new(self.binaries.join("createdb"))
            .args(["--username=postgres", "--template=template0"])
            .arg(format!("--host={}", self.folder.display()))
            .arg(&name)
            .status();
        assert!(status.is_ok_and(|status| status.success()), "the database {name} could not be made");
        self.url(&name)
    }

    /// A name that no other call has given: for a database, or a schema in one.
    pub fn name(&self, kind: &str) -> String {
        static NAMES: AtomicUsize = AtomicUsize::new(0);
        format!("{kind}_{}", NAMES.fetch_add(1, Ordering::Relaxed))
    }
}

/// The newest installed binaries: Debian's, else those on the path.
fn binaries() -> Option<PathBuf> {
    let mut debian: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            Some((entry.file_name().to_str()?.parse().ok()?, entry.path().join("bin")))
        })
        .filter(|(_, folder)| is_complete(folder))
        .collect();
    debian.sort();
    let path = env::var_os("PATH").unwrap_or_default();
    debian
        .pop()
        .map(|(_, folder)| folder)
        .or_else(|| env::split_paths(&path).find(|folder| is_complete(folder)))
}

fn is_complete(folder: &Path) -> bool {
    ["initdb", "pg_ctl", "postgres", "createdb"].iter().all(|name| folder.join(name).is_file())
}

/// The user to run the server as: PostgreSQL refuses to run as root. Gives the folder to it.
fn unprivileged(folder: &Path) -> io::Result<Option<&'static str>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    // The user of Debian's package, else the one that owns nothing.
    for user in ["postgres", "nobody"] {
        if Command::new("chown").arg(user).arg(folder).stderr(Stdio::null()).status()?.success() {
            return Ok(Some(user));
        }
    }
    Err(io::Error::other("there is no user to run it as"))
}
