//! Where a server listens, as options and settings name it.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::str::FromStr;

use serde::Deserialize;
use thiserror::Error;

/// A host and a port to listen on: `127.0.0.1:8787`, `[::1]:8787`, `localhost:8787`. Port 0 takes a free one.
///
/// A name is looked up when the server starts, and its first address taken.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct ListenAddress(Host);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Number(SocketAddr),
    Name { name: String, port: u16 },
}

/// A text that is no [`ListenAddress`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("expected HOST:PORT, such as 127.0.0.1:8787")]
pub struct InvalidListenAddress;

impl ListenAddress {
    /// The address by its numbers.
    pub(crate) async fn resolve(&self) -> io::Result<SocketAddr> {
        match &self.0 {
            Host::Number(address) => Ok(*address),
            Host::Name { name, port } => {
                let mut found = tokio::net::lookup_host((name.as_str(), *port)).await?;
                found.next().ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "the host has no address"))
            }
        }
    }
}

impl From<SocketAddr> for ListenAddress {
    fn from(address: SocketAddr) -> Self {
        Self(Host::Number(address))
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidListenAddress;

    fn from_str(text: &str) -> Result<Self, InvalidListenAddress> {
        if let Ok(address) = text.parse() {
            return Ok(Self(Host::Number(address)));
        }
        let (name, port) = text.rsplit_once(':').ok_or(InvalidListenAddress)?;
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if name.is_empty() || !name.bytes().all(fits) {
            return Err(InvalidListenAddress);
        }
        let port = port.parse().map_err(|_| InvalidListenAddress)?;
        Ok(Self(Host::Name { name: name.to_owned(), port }))
    }
}

impl TryFrom<String> for ListenAddress {
    type Error = InvalidListenAddress;

    fn try_from(text: String) -> Result<Self, InvalidListenAddress> {
        text.parse()
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Host::Number(address) => address.fmt(f),
            Host::Name { name, port } => write!(f, "{name}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_host_is_a_number_or_a_name() {
        for (text, port) in [("127.0.0.1:0", 0), ("[::1]:8787", 8787), ("localhost:8787", 8787)] {
            let address: ListenAddress = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            let found = address.resolve().await.unwrap();
            assert!(found.ip().is_loopback() && found.port() == port, "{text}: {found}");
        }
    }

    #[test]
    fn an_address_needs_host_and_port() {
        for wrong in ["", "8787", ":8787", "127.0.0.1", "127.0.0.1:", "127.0.0.1:99999", "::1:x", "a b:1"] {
            assert_eq!(wrong.parse::<ListenAddress>(), Err(InvalidListenAddress), "{wrong}");
        }
    }
}
