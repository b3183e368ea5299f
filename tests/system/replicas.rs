//! Two servers on one PostgreSQL: the database is killed and comes back, then one of the servers is killed; and what one is
//! told of the other's work.

use std::path::Path;

use reqwest::Method;
use serde_json::json;
use zumik_client::Zumik;
use zumik_test_postgres::Postgres;
use zumik_tests::faults::FaultyProxy;
use zumik_tests::http::{Http, answer};
use zumik_tests::process::{ServeProcess, zumik};
use zumik_tests::seed;
use zumik_tests::upstream::{Behaviour, Fault, Recorded, Upstream};
use zumik_tests::writers::{ALL, Writers};

/// Two servers on one database; the second has the master key of the first.
fn start_both(database: &Postgres, folders: [&Path; 2]) -> [ServeProcess; 2] {
    let (url, zumik) = (database.database(), zumik());
    let one = ServeProcess::start_on(&zumik, folders[0], &url);
    std::fs::copy(folders[0].join("master.key"), folders[1].join("master.key")).expect("a copy of the key");
    let two = ServeProcess::start_on(&zumik, folders[1], &url);
    [one, two]
}

fn client(server: &ServeProcess, key: &str) -> Zumik {
    Zumik::builder().base_url(&server.url).api_key(key).build().expect("a client")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_are_linearizable_though_the_database_and_one_of_two_servers_are_killed() {
    let Some(database) = Postgres::durable() else { return };
    let seed = seed("killed database and server");
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let [one, two] = start_both(&database, [folders[0].path(), folders[1].path()]);
    let key = one.api_key.clone();
    let proxies = [FaultyProxy::start(&one.url, seed).await, FaultyProxy::start(&two.url, !seed).await];
    let urls = [proxies[0].url(), proxies[1].url()];
    let mut writers = Writers::start(&client(&one, &key), &urls, &key, seed).await;

    writers.until(ALL / 4).await;
    database.kill();
    for server in [&one, &two] {
        let http = Http::new(&server.url, &key);
        http.until_ready(503).await;
        assert_eq!(http.get("/healthz").await.status, 200, "the server itself is well");
        let refused = answer(http.request(Method::POST, "/v2/sessions").json(&json!({}))).await;
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(refused.error()["type"], "api_error", "{refused:?}");
        assert!(refused.headers.contains_key("retry-after"), "{refused:?}");
    }
    database.start();
    for server in [&one, &two] {
        Http::new(&server.url, &key).until_ready(200).await;
    }

    writers.until(ALL / 2).await;
    one.kill();
    proxies[0].redirect(&two.url);
    writers.check(&client(&two, &key)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_another_server_cancels_or_deletes_frees_the_model() {
    let Some(database) = Postgres::shared() else { return };
    let upstream = Upstream::start().await;
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a temporary folder"));
    let settings = format!("[upstreams.test]\nurl = \"{}\"\nmodels = [\"gpt-test\"]\n", upstream.url());
    std::fs::write(folders[0].path().join("zumik.toml"), settings).expect("a file in a temporary folder");
    let [one, two] = start_both(database, [folders[0].path(), folders[1].path()]);
    let [here, there] = [&one, &two].map(|server| Http::new(&server.url, &one.api_key));

    upstream.next(Behaviour::fault(Fault::Silence));
    let body = json!({ "model": "gpt-test", "input": "Hi", "background": true });
    let id = here.post("/v1/responses", body).await["id"].as_str().expect("an id").to_owned();
    upstream.until(|requests| requests.len() == 1).await;
    let cancelled = answer(there.request(Method::POST, &format!("/v1/responses/{id}/cancel"))).await;
    assert_eq!(cancelled.json()["status"], "cancelled", "{cancelled:?}");
    upstream.until(|requests| requests[0].cancelled()).await;

    upstream.next(Behaviour::fault(Fault::Stall(6)));
    let body = json!({ "model": "gpt-test", "input": "Hi", "stream": true });
    let mut stream = here.request(Method::POST, "/v1/responses").json(&body).send().await.expect("a stream");
    let first = stream.chunk().await.expect("a stream").expect("an event");
    let first = String::from_utf8_lossy(&first);
    let (_, id) = first.split_once("\"id\":\"").expect("an id");
    let id = id.split('"').next().expect("an id");
    let deleted = answer(there.request(Method::DELETE, &format!("/v1/responses/{id}"))).await;
    assert_eq!(deleted.status, 200, "{deleted:?}");
    upstream.until(|requests| requests.iter().all(Recorded::cancelled)).await;
    let rest = stream.text().await.expect("its end");
    assert!(rest.contains("event: error"), "{rest}");
}
