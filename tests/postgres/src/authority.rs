//! An authority that signs certificates for a test: by the `openssl` command, which Debian's PostgreSQL brings along.

use std::fs;
use std::io;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// What its certificates may be used for.
const EXTENSIONS: &str = "
[req]
distinguished_name = name
prompt = no
[name]
CN = NAME
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
[server]
basicConstraints = critical, CA:FALSE
subjectAltName = DNS:localhost
";

/// An authority, its key and what it signs, in a folder that goes with it.
#[derive(Debug)]
pub struct Authority {
    folder: TempDir,
}

/// A certificate and its key, in PEM form.
#[derive(Debug)]
pub struct Pair {
    /// The certificate.
    pub certificate: String,
    /// The key.
    pub key: String,
}

impl Authority {
    /// Makes one of this name.
    ///
    /// # Errors
    /// `openssl` cannot be run.
    pub fn new(name: &str) -> io::Result<Self> {
        let authority = Self { folder: tempfile::tempdir()? };
        fs::write(authority.folder.path().join("extensions"), EXTENSIONS.replace("NAME", name))?;
        authority.openssl(
            "req -x509 -config extensions -extensions authority -days 2 -nodes -newkey ec -pkeyopt \
             ec_paramgen_curve:prime256v1 -keyout authority.key -out authority.pem",
        )?;
        Ok(authority)
    }

    /// Its own certificate, in PEM form.
    ///
    /// # Errors
    /// The folder has gone.
    pub fn pem(&self) -> io::Result<String> {
        self.read("authority.pem")
    }

    /// Signs a certificate for `localhost`, and no other name or address.
    ///
    /// # Errors
    /// `openssl` cannot be run.
    pub fn sign(&self) -> io::Result<Pair> {
        self.openssl(
            "req -new -config extensions -nodes -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -keyout server.key \
             -out server.csr",
        )?;
        self.openssl(
            "x509 -req -in server.csr -CA authority.pem -CAkey authority.key -CAcreateserial -days 2 -extfile \
             extensions -extensions server -out server.pem",
        )?;
        Ok(Pair { certificate: self.read("server.pem")?, key: self.read("server.key")? })
    }

    fn openssl(&self, arguments: &str) -> io::Result<()> {
        let mut command = Command::new("openssl");
        command.args(arguments.split_whitespace()).current_dir(&self.folder).stdin(Stdio::null());
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
    }

    fn read(&self, name: &str) -> io::Result<String> {
        fs::read_to_string(self.folder.path().join(name))
    }
}
