//! A PostgreSQL server for the tests of one program: made at the first use, from the installed binaries, in a temporary
//! folder, reachable through a Unix socket in it. It ends and its folder goes when the program ends, however it ends.
//!
//! Where PostgreSQL is not installed, tests that need it are left out, and say so; with `CI=true` that is an error.
//! `tests/postgres/install` installs Debian's package, and `cargo xtask test` runs it.

mod authority;

use std::env;
use std::fs;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};

pub use authority::{Authority, Pair};

/// Makes and starts a server and says so; kills and starts it when it is told to; stops it when standard input ends: that
/// is when the program that it is for has ended. `$1` are the binaries, `$2` the folder, `$3` the port, `$4` settings.
const KEEPER: &str = r#"
set -eu
trap '' INT
binaries=$1 folder=$2 port=$3 settings=$4
start() {
  # Without quotes: the settings are words.
  "$binaries/postgres" -D "$folder/data" -k "$folder" -p "$port" $settings >>"$folder/log" 2>&1 </dev/null &
  server=$!
  until "$binaries/pg_isready" --quiet --host="$folder" --port="$port"; do
    kill -0 "$server" 2>/dev/null || exit 1
    sleep 0.02
  done
  echo "$server"
}
"$binaries/initdb" --pgdata="$folder/data" --username=postgres --auth=trust --encoding=UTF8 --locale=C --no-sync \
  >"$folder/log" 2>&1
start
while read -r what; do
  case $what in
    kill)
      # Stopped, it starts no other process while its children are counted.
      kill -STOP "$server"
      processes="$server $(cat "/proc/$server/task/$server/children")"
      kill -KILL $processes 2>/dev/null || true
      wait "$server" 2>/dev/null || true
      # The last one to go may still be writing; as long as it is there, the folder cannot be opened again.
      for process in $processes; do
        while [ -e "/proc/$process/exe" ]; do sleep 0.01; done
      done
      echo killed ;;
    start) start ;;
  esac
done
kill -QUIT "$server" 2>/dev/null || true
wait "$server" 2>/dev/null || true
rm -rf "$folder"
"#;

/// Settings of the server: no network, many small connections, and nothing that is for machines that lose power.
const SETTINGS: &str = "-c listen_addresses= -c max_connections=400 -c shared_buffers=64MB -c fsync=off \
     -c full_page_writes=off -c autovacuum=off";

/// Settings as in production, where they matter for what is kept and how fast.
const DURABLE: &str = "-c listen_addresses= -c max_connections=200 -c shared_buffers=256MB";

/// The port of a server that no network reaches: it names the socket.
const SOCKET: u16 = 5432;

/// How often another port is taken, when a program was faster to use a free one.
const PORTS: usize = 5;

/// A running server.
pub struct Postgres {
    folder: PathBuf,
    binaries: PathBuf,
    port: u16,
    keeper: Mutex<Keeper>,
}

/// Who started the server, and ends it when `orders` is closed.
struct Keeper {
    orders: ChildStdin,
    said: BufReader<ChildStdout>,
    /// The process id of the server.
    server: u32,
}

impl Postgres {
    /// The server of this program; nothing where PostgreSQL is not installed.
    ///
    /// # Panics
    /// The server does not start, or is not installed where `CI=true`.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Postgres>> = OnceLock::new();
        let start = |binaries| Self::start_in(binaries, &env::temp_dir(), SOCKET, SETTINGS, None);
        SHARED.get_or_init(|| installed(start)).as_ref()
    }

    /// A server that keeps what it acknowledged through a loss of power, as in production, and that can be killed. It is
    /// on a disk: where temporary files are in memory, commits would cost nothing.
    ///
    /// # Panics
    /// As [`shared`](Self::shared).
    pub fn durable() -> Option<Self> {
        installed(|binaries| Self::start_in(binaries, Path::new("/var/tmp"), SOCKET, DURABLE, None))
    }

    /// A server at a port of this machine with this certificate; it takes connections with TLS and without.
    ///
    /// # Panics
    /// As [`shared`](Self::shared).
    pub fn encrypted(pair: &Pair) -> Option<Self> {
        installed(|binaries| {
            let mut last = io::Error::other("no port is free");
            for _ in 0..PORTS {
                let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
                let settings = SETTINGS.replace("listen_addresses=", "listen_addresses=127.0.0.1");
                match Self::start_in(binaries.clone(), &env::temp_dir(), port, &settings, Some(pair)) {
                    Ok(server) => return Ok(server),
                    Err(error) => last = error,
                }
            }
            Err(last)
        })
    }

    fn start_in(
        binaries: PathBuf,
        place: &Path,
        port: u16,
        settings: &str,
        pair: Option<&Pair>,
    ) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("zumik-pg-").tempdir_in(place)?;
        let mut settings = settings.to_owned();
        if let Some(Pair { certificate, key }) = pair {
            let (at, key_at) = (folder.path().join("server.crt"), folder.path().join("server.key"));
            fs::write(&at, certificate)?;
            fs::write(&key_at, key)?;
            fs::set_permissions(&key_at, fs::Permissions::from_mode(0o600))?;
            let (at, key_at) = (at.display(), key_at.display());
            settings.push_str(&format!(" -c ssl=on -c ssl_cert_file={at} -c ssl_key_file={key_at}"));
        }
        let mut command = match unprivileged(folder.path())? {
            None => Command::new("sh"),
            Some(user) => {
                let mut command = Command::new("runuser");
                command.args(["-u", user, "--", "sh"]);
                command
            }
        };
        command.args(["-c", KEEPER, "keeper"]).arg(&binaries).arg(folder.path());
        command.arg(port.to_string()).arg(settings);
        let command = command.current_dir(folder.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut keeper = command.spawn()?;
        let (Some(orders), Some(said)) = (keeper.stdin.take(), keeper.stdout.take()) else {
            return Err(io::Error::other("no pipes to the keeper"));
        };
        let mut keeper = Keeper { orders, said: BufReader::new(said), server: 0 };
        match keeper.listen()?.parse() {
            Ok(server) => keeper.server = server,
            Err(_) => {
                return Err(io::Error::other(
                    fs::read_to_string(folder.path().join("log")).unwrap_or_default(),
                ));
            }
        }
        // From now on the keeper removes it.
        Ok(Self { folder: folder.keep(), binaries, port, keeper: Mutex::new(keeper) })
    }

    /// The URL of a database on the server, by its socket.
    pub fn url(&self, database: &str) -> String {
        let socket = self.folder.display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{socket}:{}/{database}", self.port)
    }

    /// The socket that it listens on.
    pub fn socket(&self) -> PathBuf {
        self.folder.join(format!(".s.PGSQL.{}", self.port))
    }

    /// The port of a server that has one.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process id of the server; its other processes are children of it.
    pub fn id(&self) -> u32 {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).server
    }

    /// Ends all of its processes as a crash does (SIGKILL), and waits until the server is gone.
    ///
    /// # Panics
    /// It cannot be killed.
    pub fn kill(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        let said = keeper.order("kill");
        assert!(said.as_ref().is_ok_and(|said| said == "killed"), "the server was not killed: {said:?}");
    }

    /// Starts it again, and waits until it has recovered.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(&self) {
        let mut keeper = self.keeper.lock().unwrap_or_else(PoisonError::into_inner);
        match keeper.order("start").map(|said| said.parse()) {
            Ok(Ok(server)) => keeper.server = server,
            other => panic!("the server did not start again: {other:?}"),
        }
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
            .arg(format!("--port={}", self.port))
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

impl Keeper {
    fn order(&mut self, what: &str) -> io::Result<String> {
        writeln!(self.orders, "{what}")?;
        self.listen()
    }

    fn listen(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.said.read_line(&mut line)?;
        Ok(line.trim_end().to_owned())
    }
}

/// What is started with the installed binaries.
fn installed(start: impl FnOnce(PathBuf) -> io::Result<Postgres>) -> Option<Postgres> {
    let Some(binaries) = binaries() else {
        let missing = "PostgreSQL is not installed: tests/postgres/install does that on Debian";
        assert!(env::var("CI").as_deref() != Ok("true"), "{missing}");
        eprintln!("left out: {missing}");
        return None;
    };
    match start(binaries) {
        Ok(server) => Some(server),
        Err(error) => panic!("PostgreSQL did not start: {error}"),
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
    ["initdb", "postgres", "createdb", "pg_isready"].iter().all(|name| folder.join(name).is_file())
}

/// The user to run the server as: PostgreSQL refuses to run as root. Gives the folder to it, with what is in it.
fn unprivileged(folder: &Path) -> io::Result<Option<&'static str>> {
    if fs::metadata(folder)?.uid() != 0 {
        return Ok(None);
    }
    // The user of Debian's package, else the one that owns nothing.
    for user in ["postgres", "nobody"] {
        if Command::new("chown").args(["-R", user]).arg(folder).stderr(Stdio::null()).status()?.success() {
            return Ok(Some(user));
        }
    }
    Err(io::Error::other("there is no user to run it as"))
}
