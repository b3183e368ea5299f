//! The machine at the other end of a connection vanishes, and with it every sign that it did.

use std::time::Duration;

use zumik_test_postgres::Authority;

use super::*;

#[tokio::test]
async fn the_database_ends_the_session_of_a_server_that_is_silent_for_half_a_minute() {
    let pair = Authority::new("ours").unwrap().sign().unwrap();
    let Some(server) = Postgres::encrypted(&pair) else { return };
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", server.port());
    let options = Options::new(url.parse().unwrap()).master_key(MasterKey::parse(&"7".repeat(64)).unwrap());
    let store = PostgresStore::open(options).await.unwrap();
    let connection = store.connection().await.unwrap();
    // Of a session by TCP these are read from its socket.
    let settings = ["keepalives_idle", "keepalives_interval", "keepalives_count", "user_timeout"]
        .map(|name| format!("current_setting('tcp_{name}')"));
    let row = connection.query_one(&format!("SELECT {}", settings.join(",")), &[]).await.unwrap();
    assert_eq!([0, 1, 2, 3].map(|at| row.get::<_, String>(at)), ["15", "5", "3", "30000"]);
}

#[test]
fn a_server_gives_up_a_database_that_is_silent_for_half_a_minute_unless_its_url_says_otherwise() {
    let config = |url: &str| connect::config(&url.parse().unwrap());
    let usual = config("postgres://zumik@db.example.com/zumik");
    assert_eq!(usual.get_tcp_user_timeout(), Some(&Duration::from_secs(30)));
    let probes = usual.get_keepalives_interval().unwrap() * usual.get_keepalives_retries().unwrap();
    assert_eq!(usual.get_keepalives_idle() + probes, Duration::from_secs(30));
    let patient = config("postgres://zumik@db.example.com/zumik?tcp_user_timeout=90");
    assert_eq!(patient.get_tcp_user_timeout(), Some(&Duration::from_secs(90)));
}
