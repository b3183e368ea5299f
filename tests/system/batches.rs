//! A batch over a real provider, while the server is killed in its midst.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use zumik_tests::http::Http;
use zumik_tests::process::{ServeProcess, zumik};
use zumik_tests::upstream::{Behaviour, Upstream};

const ENDPOINT: &str = "/v1/chat/completions";

/// Lines that run at a time.
const SLOTS: usize = 4;

const LINES: usize = 60;

/// Every tenth line asks for what the provider refuses.
fn fails(line: usize) -> bool {
    line.is_multiple_of(10)
}

fn line(number: usize) -> String {
    let model = if fails(number) { "gpt-test?status=400" } else { "gpt-test" };
    let body =
        json!({ "model": model, "messages": [{ "role": "user", "content": format!("canary {number}") }] });
    json!({ "custom_id": format!("line-{number}"), "method": "POST", "url": ENDPOINT, "body": body })
        .to_string()
}

async fn upload(http: &Http, content: String) -> String {
    let file = Part::text(content).file_name("requests.jsonl");
    let request = http.request(Method::POST, "/v1/files").multipart(Form::new().part("file", file));
    let answer = request.send().await.expect("an answer").json::<Value>().await.expect("JSON");
    answer["id"].as_str().expect("a file").to_owned()
}

/// The `custom_id` of each line of a file.
async fn names(http: &Http, file: &Value) -> Vec<String> {
    let path = format!("/v1/files/{}/content", file.as_str().expect("a file id"));
    let content = String::from_utf8(http.get(&path).await.body.to_vec()).expect("text");
    let lines = content.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.map(|line| line["custom_id"].as_str().expect("a name").to_owned()).collect()
}

/// Whether a text is in a file below a folder.
fn holds(folder: &Path, text: &str) -> bool {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    let files = entries.filter(|path| path.is_file()).map(|path| std::fs::read(path).expect("a file"));
    files.into_iter().any(|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_line_of_a_batch_is_in_one_file_once_though_the_server_is_killed() {
    let upstream = Upstream::start().await;
    upstream.always(Behaviour { delay: Duration::from_millis(60), ..Behaviour::default() });
    let data = tempfile::tempdir().expect("a temporary folder");
    let settings = format!(
        "batch_lines = {SLOTS}\n[upstreams.test]\nurl = \"{}\"\nmodels = [\"gpt-test\"]\n",
        upstream.url()
    );
    std::fs::write(data.path().join("zumik.toml"), settings).expect("the settings are written");
    let zumik = zumik();

    let mut server = ServeProcess::start(&zumik, data.path());
    let key = server.api_key.clone();
    let http = Http::new(&server.url, &key);
    let lines: Vec<_> = (0..LINES).map(line).collect();
    let file = upload(&http, lines.join("\n")).await;
    let request = json!({ "input_file_id": file, "endpoint": ENDPOINT });
    let batch = http.post("/v1/batches", request).await;
    assert_eq!(batch["request_counts"]["total"], LINES);
    let path = format!("/v1/batches/{}", batch["id"].as_str().expect("an id"));

    for asked in [LINES / 4, LINES / 2] {
        upstream.until(|requests| requests.len() >= asked).await;
        server.kill();
        server = ServeProcess::start(&zumik, data.path());
    }
    let http = Http::new(&server.url, &key);
    let ended = http.ended_batch(&path).await;
    assert_eq!(ended["status"], "completed");
    let failing = (0..LINES).filter(|number| fails(*number)).count();
    assert_eq!(
        ended["request_counts"],
        json!({ "total": LINES, "completed": LINES - failing, "failed": failing })
    );

    let (output, errors) =
        (names(&http, &ended["output_file_id"]).await, names(&http, &ended["error_file_id"]).await);
    assert_eq!((output.len(), errors.len()), (LINES - failing, failing));
    let once: BTreeSet<_> = output.iter().chain(&errors).cloned().collect();
    assert_eq!(once, (0..LINES).map(|number| format!("line-{number}")).collect());
    let expected = (0..LINES).filter(|number| !fails(*number)).map(|number| format!("line-{number}"));
    assert!(output.iter().eq(&expected.collect::<Vec<_>>()), "the results are in the order of the lines");
    // What ran when it was killed ran again, and nothing else did.
    let asked = upstream.requests().len();
    assert!((LINES..=LINES + 2 * SLOTS).contains(&asked), "{asked} requests");

    let usage = http.get("/v2/usage?qos_class=batch").await.json();
    let (all, failed) = (&usage["summary"]["requests"], &usage["summary"]["failed_requests"]);
    assert!(all.as_u64() > Some(LINES as u64 / 2) && failed.as_u64() > Some(0), "{}", usage["summary"]);
    assert!(!holds(data.path(), "canary 7"), "a request is readable on the disk");
}
