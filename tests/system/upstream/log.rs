//! What the log tells of a provider that fails: which one it was, and why.

use std::fs::{self, File};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use zumik_client::{FilePart, Zumik};
use zumik_tests::http::Http;
use zumik_tests::process::{ServeProcess, zumik};
use zumik_tests::upstream::{Behaviour, Fault, Upstream};
use zumik_tests::within;

use super::{CHAT, NATIVE, RESPONSES, ask, input, provider, question, streamed};

/// A server over a provider that is called `test`, as a process of its own, and its log.
struct Logging {
    server: ServeProcess,
    log: PathBuf,
    _folder: TempDir,
}

impl Logging {
    fn over(upstream: &Upstream) -> Self {
        Self::with(&provider("test", upstream))
    }

    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        fs::write(folder.path().join("zumik.toml"), settings).expect("a file");
        let log = folder.path().join("log");
        let server =
            ServeProcess::start_logging(&zumik(), folder.path(), File::create(&log).expect("a log file"));
        Self { server, log, _folder: folder }
    }

    fn http(&self) -> Http {
        Http::new(&self.server.url, &self.server.api_key)
    }

    /// Waits for so many lines with these words, and gives them.
    async fn lines(&self, words: &str, count: usize) -> Vec<String> {
        let written = async {
            loop {
                let log = fs::read_to_string(&self.log).expect("the log");
                let lines: Vec<_> =
                    log.lines().filter(|line| line.contains(words)).map(str::to_owned).collect();
                if lines.len() >= count {
                    return lines;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        within(&format!("{count} lines with '{words}'"), written).await
    }
}

/// The log of a test that failed is shown.
impl Drop for Logging {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(&self.log).unwrap_or_default());
        }
    }
}

#[tokio::test]
async fn a_request_that_failed_is_logged_with_the_provider_and_the_reason() {
    let upstream = Upstream::start().await;
    let logging = Logging::over(&upstream);
    drop(upstream);
    let http = logging.http();
    let bodies = [(CHAT, question("gpt-test")), (RESPONSES, input("gpt-test")), (NATIVE, input("gpt-test"))];
    for (path, body) in &bodies {
        assert_eq!(ask(&http, path, body).await.status, 502);
    }
    for line in logging.lines("request failed", bodies.len()).await {
        assert!(line.contains("provider=\"test\"") && line.contains("the connection was refused"), "{line}");
    }
    let [opened, ..] = &logging.lines("is left alone for a while", 1).await[..] else { panic!("one line") };
    assert!(opened.contains("cannot be reached: the connection was refused"), "{opened}");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_told_before_anyone_asks() {
    let upstream = Upstream::start().await;
    let settings = provider("test", &upstream);
    drop(upstream);
    // Its task ends now, and its port is closed.
    tokio::task::yield_now().await;
    let logging = Logging::with(&settings);
    let line = logging.lines("a provider cannot be used now", 1).await.remove(0);
    assert!(line.contains("provider=\"test\"") && line.contains("the connection was refused"), "{line}");
}

#[tokio::test]
async fn a_line_of_a_batch_that_waits_is_not_said_to_be_tried() {
    let upstream = Upstream::start().await;
    let settings = format!("[upstreams.test]\nurl = \"{}\"\n", upstream.url());
    drop(upstream);
    let logging = Logging::with(&settings);
    let zk = Zumik::builder().base_url(&logging.server.url).api_key(logging.server.api_key.as_str());
    let zk = zk.build().expect("a client");
    let body = question("auto");
    let line = json!({ "custom_id": "1", "method": "POST", "url": CHAT, "body": body }).to_string();
    let file =
        zk.v1().files().upload(FilePart::bytes("batch.jsonl", line)).purpose("batch").await.expect("a file");
    zk.v1().batches().create(&file.id, CHAT).await.expect("a batch");
    logging.lines("a line of a batch waits until a model can be asked", 1).await;
    let line = logging.lines("no model was asked for a line of a batch", 1).await.remove(0);
    assert!(
        line.contains("are not known: the provider cannot be reached: the connection was refused"),
        "{line}"
    );
    assert_eq!(logging.lines("is tried again", 0).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_of_rubbish_is_logged_with_the_provider_and_the_reason() {
    let upstream = Upstream::start().await;
    upstream.always(Behaviour::fault(Fault::Rubbish(3)));
    let logging = Logging::over(&upstream);
    let http = logging.http();
    let mut response = input("gpt-test");
    response["stream"] = true.into();
    ask(&http, RESPONSES, &response).await;
    let line = logging.lines("the stream of a provider ended as failed", 1).await.remove(0);
    assert!(line.contains("provider=\"test\"") && line.contains("an event is none of a response"), "{line}");
    ask(&http, CHAT, &streamed("gpt-test")).await;
    let line = logging.lines("the stream of a provider broke off", 1).await.remove(0);
    assert!(line.contains("provider=\"test\"") && line.contains("an event is no JSON object"), "{line}");
}
