//! Where the database is: a `postgres://` URL that never shows its password.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use percent_encoding::percent_decode_str;
use serde::Deserialize;
use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// The URL of a PostgreSQL database, `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=require`, as libpq knows it.
///
/// It shows as user, host, port and database only, also with `Debug` and in errors.
///
/// | `sslmode` | |
/// | --- | --- |
/// | `verify-full`, `verify-ca`, `require` | TLS, and the server's certificate must be valid for its host |
/// | `disable` | no TLS |
/// | absent, `prefer` | as `require`, but to this machine (loopback, Unix socket) as `disable` |
///
/// Who may sign that certificate: the authorities in the PEM file `sslrootcert`, or else those of the system.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    config: Config,
    authorities: Option<PathBuf>,
}

/// A text that is no URL of a PostgreSQL database. It does not show the text, which may hold a password.
#[derive(Debug, Error)]
#[error(
    "a store is given as postgres://USER:PASSWORD@HOST:PORT/DATABASE; characters such as @ and / in a password are \
     written in percent form"
)]
pub struct AddressError;

impl Address {
    /// The settings of a connection.
    pub(super) fn config(&self) -> Config {
        let mut config = self.config.clone();
        config.ssl_mode(if self.is_encrypted() { SslMode::Require } else { SslMode::Disable });
        config
    }

    /// The file with the authorities that may sign the certificate of the database, when it is not left to the system.
    pub(super) fn authorities(&self) -> Option<&Path> {
        self.authorities.as_deref()
    }

    /// Whether connections use TLS.
    pub fn is_encrypted(&self) -> bool {
        match self.config.get_ssl_mode() {
            SslMode::Disable => false,
            SslMode::Prefer => !self.config.get_hosts().iter().all(is_local),
            _ => true,
        }
    }
}

/// The URL as the library reads it, which knows neither the modes that check a certificate nor the file of its
/// authorities; and that file.
fn split_tls(url: &str) -> Result<(String, Option<PathBuf>), AddressError> {
    // Before the `@` a question mark belongs to the password.
    let host = url.find('@').unwrap_or_default();
    let Some(query) = url[host..].find('?').map(|at| host + at + 1) else {
        return Ok((url.to_owned(), None));
    };
    let (mut kept, mut authorities) = (Vec::new(), None);
    for parameter in url[query..].split('&') {
        match parameter.split_once('=') {
            Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
            Some(("sslrootcert", "system")) => authorities = None,
            Some(("sslrootcert", file)) => {
                let file = percent_decode_str(file).decode_utf8().map_err(|_| AddressError)?;
                authorities = Some(PathBuf::from(&*file));
            }
            _ => kept.push(parameter),
        }
    }
    Ok((format!("{}{}", &url[..query], kept.join("&")), authorities))
}

fn is_local(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if !text.starts_with("postgres://") && !text.starts_with("postgresql://") {
            return Err(AddressError);
        }
        let (text, authorities) = split_tls(text)?;
        let config = Config::from_str(&text).map_err(|_| AddressError)?;
        if config.get_hosts().is_empty() { Err(AddressError) } else { Ok(Self { config, authorities }) }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("postgres://")?;
        if let Some(user) = self.config.get_user() {
            write!(f, "{user}@")?;
        }
        let ports = self.config.get_ports();
        for (at, host) in self.config.get_hosts().iter().enumerate() {
            if at > 0 {
                f.write_str(",")?;
            }
            match host {
                Host::Tcp(name) if name.contains(':') => write!(f, "[{name}]")?,
                Host::Tcp(name) => f.write_str(name)?,
                #[cfg(unix)]
                Host::Unix(path) => write!(f, "{}", path.display())?,
            }
            if let Some(port) = ports.get(at).or(ports.first()) {
                write!(f, ":{port}")?;
            }
        }
        match self.config.get_dbname() {
            Some(name) => write!(f, "/{name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        for text in [
            "postgres://zumik:canary@db.example.com:5433/zumik?sslmode=require&options=-c%20a%3Dcanary",
            "postgresql://zumik@db.example.com:5433/zumik?password=canary",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), "postgres://zumik@db.example.com:5433/zumik");
            assert!(!format!("{address:?}").contains("canary"));
        }
        for text in ["mysql://canary@host/x", "postgres://canary:x:y@[", "canary", "postgres://", ""] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("canary"));
        }
    }

    #[test]
    fn only_this_machine_is_reached_without_tls_unless_it_is_asked_for() {
        let encrypted = |text: &str| text.parse::<Address>().unwrap().is_encrypted();
        for text in ["localhost", "127.0.0.1", "[::1]", "%2Fvar%2Frun%2Fpostgresql"] {
            assert!(!encrypted(&format!("postgres://zumik@{text}/zumik")), "{text}");
            for mode in ["require", "verify-ca", "verify-full", "verify-full&application_name=a"] {
                assert!(encrypted(&format!("postgres://zumik@{text}/zumik?sslmode={mode}")), "{text} {mode}");
            }
        }
        assert!(encrypted("postgres://zumik@db.example.com/zumik"));
        assert!(encrypted("postgres://zumik@localhost,db.example.com/zumik"));
        assert!(!encrypted("postgres://zumik@db.example.com/zumik?sslmode=disable"));
    }

    #[test]
    fn a_file_of_authorities_is_taken_from_the_url() {
        let file = |text: &str| text.parse::<Address>().unwrap().authorities().map(Path::to_owned);
        let url = "postgres://zumik:a?b&sslrootcert=c@db.example.com/zumik";
        assert_eq!(file(url), None);
        assert_eq!(file(&format!("{url}?sslrootcert=system")), None);
        let found = file(&format!("{url}?sslrootcert=%2Fetc%2Fan%20authority.pem&sslmode=verify-full"));
        assert_eq!(found.as_deref(), Some(Path::new("/etc/an authority.pem")));
        assert!("postgres://zumik@db.example.com/zumik?sslmode=verify-nothing".parse::<Address>().is_err());
    }
}
