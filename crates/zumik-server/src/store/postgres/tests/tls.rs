//! TLS to a real server, with authorities that the test makes.

use std::fs;

use tempfile::TempDir;
use zumik_test_postgres::Authority;

use super::*;
use crate::chain::chain;

/// A server whose certificate is for `localhost` alone, and a folder with two files: `ours.pem` is the authority that
/// signed it, `other.pem` another one.
struct Encrypted {
    server: Postgres,
    folder: TempDir,
}

impl Encrypted {
    fn start() -> Option<Self> {
        let (ours, other) = (Authority::new("ours").unwrap(), Authority::new("other").unwrap());
        let server = Postgres::encrypted(&ours.sign().unwrap())?;
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ours.pem"), ours.pem().unwrap()).unwrap();
        fs::write(folder.path().join("other.pem"), other.pem().unwrap()).unwrap();
        fs::write(folder.path().join("empty.pem"), "no certificate").unwrap();
        Some(Self { server, folder })
    }

    /// Opens a store; gives whether its connections are encrypted, as the database sees it.
    async fn open(&self, host: &str, parameters: &str) -> Result<bool, OpenError> {
        let url = format!("postgres://postgres@{host}:{}/postgres?{parameters}", self.server.port());
        let options = Options::new(url.parse().unwrap())
            .schema(self.server.name("tls"))
            .connections(2)
            .master_key(MasterKey::parse(&"7".repeat(64)).unwrap());
        let store = PostgresStore::open(options).await?;
        store.check_ready().await.unwrap();
        let connection = store.connection().await.unwrap();
        let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
        Ok(connection.query_one(sql, &[]).await.unwrap().get(0))
    }

    fn file(&self, name: &str) -> String {
        format!("sslrootcert={}", self.folder.path().join(name).display())
    }
}

#[tokio::test]
async fn each_mode_encrypts_and_checks_as_it_is_documented() {
    let Some(encrypted) = Encrypted::start() else { return };
    let ours = encrypted.file("ours.pem");
    for mode in ["require", "verify-ca", "verify-full"] {
        let parameters = format!("sslmode={mode}&{ours}");
        assert!(encrypted.open("localhost", &parameters).await.unwrap(), "{mode} is encrypted");
        // The certificate is for another name.
        let refused = encrypted.open("127.0.0.1", &parameters).await.unwrap_err();
        assert!(matches!(refused, OpenError::Certificate(_)), "{mode}: {refused:?}");
    }
    for parameters in ["sslmode=disable", "sslmode=prefer", "application_name=test"] {
        assert!(
            !encrypted.open("localhost", parameters).await.unwrap(),
            "{parameters}: this is the same machine"
        );
    }
}

#[tokio::test]
async fn a_certificate_of_another_authority_is_refused_with_the_way_out() {
    let Some(encrypted) = Encrypted::start() else { return };
    // Neither another authority nor those of the system have signed it.
    for authorities in [encrypted.file("other.pem"), "sslrootcert=system".to_owned()] {
        let refused =
            encrypted.open("localhost", &format!("sslmode=require&{authorities}")).await.unwrap_err();
        assert!(matches!(refused, OpenError::Certificate(_)), "{authorities}: {refused:?}");
        let said = chain(&refused);
        assert!(said.contains("sslrootcert=FILE") && said.contains("UnknownIssuer"), "{said}");
    }
    for name in ["empty.pem", "missing.pem"] {
        let file = encrypted.file(name);
        let refused = encrypted.open("localhost", &format!("sslmode=require&{file}")).await.unwrap_err();
        assert!(matches!(&refused, OpenError::Authorities(file, _) if file.ends_with(name)), "{refused:?}");
        assert!(chain(&refused).contains(name), "{}", chain(&refused));
    }
}

#[tokio::test]
async fn a_database_without_tls_is_refused_where_tls_is_asked_for() {
    let Some(server) = Postgres::shared() else { return };
    // By its socket, as the tests reach it, it speaks no TLS.
    let url = format!("{}?sslmode=require", server.url("postgres"));
    let options = Options::new(url.parse().unwrap()).master_key(MasterKey::parse(&"7".repeat(64)).unwrap());
    let refused = PostgresStore::open(options).await.err().unwrap();
    assert!(matches!(refused, OpenError::Connect(_)), "{refused:?}");
    assert!(chain(&refused).contains("TLS"), "{}", chain(&refused));
}
