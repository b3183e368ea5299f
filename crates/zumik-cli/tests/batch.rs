//! `zumik batch`, against a server.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use support::{Serving, json, output, refused, stderr, stdout, zumik};

/// `zumik batch` with these arguments, for a server, in a folder.
fn batch<'a>(server: &Serving, folder: &Path, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = zumik(["batch"].into_iter().chain(arguments));
    command.env("ZUMIK_BASE_URL", server.url()).env("ZUMIK_API_KEY", server.key()).current_dir(folder);
    command
}

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect()
}

const QUESTIONS: &str = r#"{"messages":[{"role":"user","content":"one"}]}

{"model":"code.fast","messages":[{"role":"user","content":"two"}]}
{"custom_id":"mine","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"three"}]}}
"#;

#[test]
fn a_file_of_requests_becomes_a_file_of_answers() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    fs::write(work.path().join("questions.jsonl"), QUESTIONS).unwrap();
    let told = json(&mut batch(&server, work.path(), ["run", "questions.jsonl", "--json"]));
    assert_eq!((told["status"].as_str(), told["answered"].as_u64()), (Some("completed"), Some(3)), "{told}");
    assert_eq!((told["failed"].as_u64(), told["errors"].is_null()), (Some(0), true), "{told}");
    let answers = lines(&work.path().join("questions.output.jsonl"));
    assert_eq!(ids(&answers), ["line-1", "line-3", "mine"]);
    assert_eq!(answers[0]["response"]["body"]["object"], "chat.completion");
    assert_eq!(fs::read_dir(work.path()).unwrap().count(), 2, "nothing else is left");

    let again = output(&mut batch(&server, work.path(), ["run", "questions.jsonl"]));
    let said = refused(&again, 1);
    assert!(said.contains("questions.output.jsonl exists") && said.contains("--force"), "{said}");

    let id = told["batch_id"].as_str().unwrap();
    let fetched = output(&mut batch(&server, work.path(), ["resume", id, "--out", "-"]));
    assert!(fetched.status.success(), "{}", stderr(&fetched));
    assert_eq!(stdout(&fetched), fs::read_to_string(work.path().join("questions.output.jsonl")).unwrap());
    let shown = stdout(&output(&mut batch(&server, work.path(), ["status", id])));
    assert!(shown.contains("completed") && shown.contains("3 answered"), "{shown}");
}

#[test]
fn requests_that_are_not_answered_have_a_file_of_their_own() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    let bad = r#"{"model":"no.such.model","messages":[{"role":"user","content":"x"}]}"#;
    fs::write(work.path().join("q.jsonl"), format!("{QUESTIONS}{bad}\n")).unwrap();
    let ended = output(&mut batch(&server, work.path(), ["run", "q.jsonl", "--out", "a.jsonl"]));
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    assert!(stderr(&ended).contains("1 not answered: a.errors.jsonl"), "{}", stderr(&ended));
    assert_eq!(ids(&lines(&work.path().join("a.jsonl"))), ["line-1", "line-3", "mine"]);
    let errors = lines(&work.path().join("a.errors.jsonl"));
    assert_eq!(ids(&errors), ["line-5"]);
}

#[test]
fn the_requests_are_never_replaced_by_their_results() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    let questions = work.path().join("q.jsonl");
    fs::write(&questions, QUESTIONS).unwrap();
    std::os::unix::fs::symlink(&questions, work.path().join("link.jsonl")).unwrap();
    for (option, name) in [("--out", "q.jsonl"), ("--errors", "./q.jsonl"), ("--out", "link.jsonl")] {
        let mut run = batch(&server, work.path(), ["run", "q.jsonl", option, name, "--force"]);
        let said = refused(&output(&mut run), 2);
        assert!(said.contains(name) && said.contains("holds the requests"), "{said}");
        assert_eq!(fs::read_to_string(&questions).unwrap(), QUESTIONS);
    }
}

#[test]
fn a_pipe_with_a_name_gets_the_results_and_stays_one() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    fs::write(work.path().join("q.jsonl"), QUESTIONS).unwrap();
    for options in [["--json"].as_slice(), &["--json", "--force"]] {
        let pipe = work.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let reader = thread::spawn({
            let pipe = pipe.clone();
            move || lines(&pipe)
        });
        let run = ["run", "q.jsonl", "--out", "pipe"].into_iter().chain(options.iter().copied());
        let told = json(&mut batch(&server, work.path(), run));
        assert_eq!(told["output"], "pipe");
        assert!(fs::metadata(&pipe).unwrap().file_type().is_fifo(), "it was replaced");
        assert_eq!(ids(&reader.join().unwrap()), ["line-1", "line-3", "mine"]);
        fs::remove_file(pipe).unwrap();
    }
}

/// Runs a batch and interrupts the command as soon as the batch has an id, which it gives.
fn interrupted(server: &Serving, folder: &Path) -> String {
    interrupt(batch(server, folder, ["run", "q.jsonl"]), folder, " --out q.output.jsonl").0
}

/// The same with a command of its own; gives the id and what was said then.
fn interrupt(mut run: Command, folder: &Path, options: &str) -> (String, String) {
    fs::write(folder.join("q.jsonl"), QUESTIONS).unwrap();
    let mut child = run.stderr(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap());
    let mut first = String::new();
    told.read_line(&mut first).unwrap();
    let id = first.split_whitespace().next().unwrap().to_owned();
    assert!(id.starts_with("batch_"), "{first}");
    assert!(first.ends_with(&format!("zumik batch resume {id}{options}\n")), "{first}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut rest = String::new();
    told.read_to_string(&mut rest).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(fs::read_dir(folder).unwrap().count(), 1, "no result files");
    (id, rest)
}

#[test]
fn the_way_back_names_the_server_and_the_files_of_the_command() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::slow(data.path(), 600_000);
    let arguments = ["run", "q.jsonl", "--out", "a.jsonl", "--errors", "b.jsonl", "--base-url", server.url()];
    let mut run = batch(&server, work.path(), arguments);
    run.env_remove("ZUMIK_BASE_URL");
    let there = format!(" --base-url {}", server.url());
    let (id, said) = interrupt(run, work.path(), &format!("{there} --out a.jsonl --errors b.jsonl"));
    assert!(said.contains(&format!("{id} goes on; zumik batch cancel {id}{there} stops it")), "{said}");
}

/// A server in front of another one: it holds back the answer to the creation of a batch until it is told to go on. Gives
/// its URL, a sign that the batch is made, and the way to tell it.
fn holding(server: &Serving) -> (String, Receiver<()>, Sender<()>) {
    let there = server.url().strip_prefix("http://").unwrap().to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let ((made, is_made), (go_on, goes_on)) = (channel(), channel());
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            let request = whole_request(&client);
            let mut server = TcpStream::connect(&there).unwrap();
            server.write_all(&request).unwrap();
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).unwrap();
            if request.starts_with(b"POST /v1/batches ") {
                made.send(()).unwrap();
                // When the test is over, nobody waits for the answer.
                let _ = goes_on.recv();
            }
            let _ = client.write_all(&answer);
        }
    });
    (url, is_made, go_on)
}

/// A request that asks for the connection to be closed after it.
fn whole_request(stream: &TcpStream) -> Vec<u8> {
    let mut reader = BufReader::new(stream);
    let mut request = Vec::new();
    let mut length = 0;
    loop {
        let begin = request.len();
        reader.read_until(b'\n', &mut request).unwrap();
        let line = String::from_utf8_lossy(&request[begin..]).to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
        if begin == 0 {
            request.extend_from_slice(b"Connection: close\r\n");
        }
    }
    let begin = request.len();
    request.resize(begin + length, 0);
    reader.read_exact(&mut request[begin..]).unwrap();
    request
}

#[test]
fn a_run_that_is_interrupted_while_its_batch_is_made_tells_the_id() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::slow(data.path(), 600_000);
    let (url, made, go_on) = holding(&server);
    fs::write(work.path().join("q.jsonl"), QUESTIONS).unwrap();
    let mut run = batch(&server, work.path(), ["run", "q.jsonl"]);
    run.env("ZUMIK_BASE_URL", url).stderr(Stdio::piped());

    let mut child = run.spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    made.recv().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let waiting = told.next().unwrap().unwrap();
    assert!(waiting.contains("waiting for its id"), "{waiting}");
    go_on.send(()).unwrap();
    let way_back = told.next().unwrap().unwrap();
    let id = way_back.split_whitespace().next().unwrap();
    assert!(way_back.contains(&format!("zumik batch resume {id}")), "{way_back}");
    let way_on = told.next().unwrap().unwrap();
    assert!(way_on.contains(&format!("zumik batch cancel {id}")), "{way_on}");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(json(&mut batch(&server, work.path(), ["status", id, "--json"]))["id"], id);

    let mut child = run.spawn().unwrap();
    let mut told = BufReader::new(child.stderr.take().unwrap()).lines();
    made.recv().unwrap();
    for said in ["waiting for its id", ""] {
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        let line = told.next().map(Result::unwrap).unwrap_or_default();
        assert!(line.contains(said), "{line}");
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn an_interrupted_run_goes_on_and_is_resumed_by_its_id() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::slow(data.path(), 1_500);
    let id = interrupted(&server, work.path());
    let status = json(&mut batch(&server, work.path(), ["status", &id, "--json"]));
    assert_eq!((status["id"].as_str(), status["completed_at"].is_null()), (Some(&*id), true), "{status}");
    let ended = output(&mut batch(&server, work.path(), ["resume", &id]));
    assert!(ended.status.success(), "{}", stderr(&ended));
    assert_eq!(ids(&lines(&work.path().join(format!("{id}.output.jsonl")))), ["line-1", "line-3", "mine"]);
}

#[test]
fn a_batch_is_cancelled_by_its_id() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::slow(data.path(), 600_000);
    let id = interrupted(&server, work.path());
    let cancelled = json(&mut batch(&server, work.path(), ["cancel", &id, "--json"]));
    assert!(cancelled["status"].as_str().unwrap().starts_with("cancell"), "{cancelled}");
}

#[test]
fn requests_that_a_cancelled_batch_did_not_run_count_as_not_answered() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::slow(data.path(), 300);
    let question = r#"{"messages":[{"role":"user","content":"x"}]}"#;
    fs::write(work.path().join("q.jsonl"), format!("{question}\n").repeat(40)).unwrap();
    let mut run = batch(&server, work.path(), ["run", "q.jsonl"]);
    let mut child = run.stderr(Stdio::piped()).spawn().unwrap();
    let first = BufReader::new(child.stderr.take().unwrap()).lines().next().unwrap().unwrap();
    let id = first.split_whitespace().next().unwrap();
    let cancelled = json(&mut batch(&server, work.path(), ["cancel", id, "--json"]));
    assert_eq!(cancelled["status"], "cancelling", "{cancelled}");
    assert_eq!(child.wait().unwrap().code(), Some(1));

    let ended = output(&mut batch(&server, work.path(), ["resume", id, "--json"]));
    assert_eq!(ended.status.code(), Some(1), "{}", stderr(&ended));
    let told: Value = serde_json::from_str(&stdout(&ended)).unwrap();
    assert_eq!(told["status"], "cancelled");
    let count = |name: &str| usize::try_from(told[name].as_u64().unwrap()).unwrap();
    let errors = lines(&work.path().join(format!("{id}.errors.jsonl")));
    assert!(!errors.is_empty());
    assert_eq!((count("failed"), count("answered")), (errors.len(), 40 - errors.len()), "{told}");
    let shown = stdout(&output(&mut batch(&server, work.path(), ["status", id])));
    assert!(shown.contains(&format!("{} not answered", errors.len())), "{shown}");
}

#[test]
fn a_wrong_file_is_refused_before_anything_is_sent() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    for (text, expected) in [("{\"messages\":[]}\nnonsense\n", "line 2"), ("", "no request")] {
        fs::write(work.path().join("q.jsonl"), text).unwrap();
        let said = refused(&output(&mut batch(&server, work.path(), ["run", "q.jsonl"])), 1);
        assert!(said.contains("q.jsonl") && said.contains(expected), "{said}");
    }
    let said = refused(&output(&mut batch(&server, work.path(), ["run", "missing.jsonl"])), 1);
    assert!(said.contains("missing.jsonl"), "{said}");
    let said = refused(&output(&mut batch(&server, work.path(), ["run", "-"])), 2);
    assert!(said.contains("--out"), "{said}");
    let said = refused(&output(&mut batch(&server, work.path(), ["status", "batch_unknown"])), 1);
    assert!(said.contains("404"), "{said}");
}

#[test]
fn answers_and_errors_cannot_be_one_file_whatever_it_is_called() {
    let (data, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Serving::start(data.path());
    fs::write(work.path().join("q.jsonl"), QUESTIONS).unwrap();
    fs::create_dir(work.path().join("folder")).unwrap();
    std::os::unix::fs::symlink("folder", work.path().join("link")).unwrap();
    for (out, errors) in [
        ("a", "a"),
        ("a", "./a"),
        ("./a", work.path().join("a").to_str().unwrap()),
        ("folder/../a", "a"),
        ("folder/a", "link/a"),
    ] {
        let arguments = ["run", "q.jsonl", "--out", out, "--errors", errors];
        let said = refused(&output(&mut batch(&server, work.path(), arguments)), 2);
        assert!(said.contains("the same file"), "{out} {errors}: {said}");
    }
}
