//! Where the database is: a `postgres://` URL that never shows its password.

use std::fmt;
use std::str::FromStr;

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
/// | `require` | TLS, and the server's certificate must be valid for its host by the system's certificates |
/// | `disable` | no TLS |
/// | absent, `prefer` | as `require`, but to this machine (loopback, Unix socket) as `disable` |
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Address {
    config: Config,
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

    /// Whether connections use TLS.
    pub fn is_encrypted(&self) -> bool {
        match self.config.get_ssl_mode() {
            SslMode::Disable => false,
            SslMode::Prefer => !self.config.get_hosts().iter().all(is_local),
            _ => true,
        }
    }
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
        let config = Config::from_str(text).map_err(|_| AddressError)?;
        if config.get_hosts().is_empty() { Err(AddressError) } else { Ok(Self { config }) }
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
            assert!(encrypted(&format!("postgres://zumik@{text}/zumik?sslmode=require")), "{text}");
        }
        assert!(encrypted("postgres://zumik@db.example.com/zumik"));
        assert!(encrypted("postgres://zumik@localhost,db.example.com/zumik"));
        assert!(!encrypted("postgres://zumik@db.example.com/zumik?sslmode=disable"));
    }
}
