//! `zumik chat` and `zumik models`: one answer, and a conversation on a terminal.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has failed")]

mod support;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use support::scripted::{Heard, Play, play};
use support::terminal::Terminal;
use support::{Serving, json, output, refused, stderr, stdout, zumik};

const KEY: &str = "zk_test_0123456789abcdef0123456789abcdef";

/// `zumik` with these arguments, for a server.
fn at<'a>(url: &str, key: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = zumik(arguments);
    command.env("ZUMIK_BASE_URL", url).env("ZUMIK_API_KEY", key);
    command
}

/// Runs a command with a text on its standard input.
fn piped(command: &mut Command, text: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[test]
fn one_answer_is_all_that_standard_output_gets() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let answered = output(&mut at(server.url(), server.key(), ["chat", "What is a monad?"]));
    assert!(answered.status.success(), "{}", stderr(&answered));
    let text = stdout(&answered);
    assert!(text.starts_with("[placeholder]") && text.ends_with('\n'), "{text}");
    let told = stderr(&answered);
    assert!(told.contains("tokens in") && told.contains("placeholder: no model answered"), "{told}");
    assert!(!told.contains('\u{1b}'), "no colours in a pipe: {told}");

    let completion = json(&mut at(server.url(), server.key(), ["chat", "What is a monad?", "--json"]));
    assert_eq!(completion["object"], "chat.completion");
    assert_eq!(completion["choices"][0]["message"]["content"], text.trim_end());
}

#[test]
fn what_is_asked_is_the_system_text_the_prompt_and_what_is_piped_in() {
    let (url, heard) = play(vec![Play::Say(&["Fine", "."])]);
    let arguments =
        ["chat", "Review this.", "--system", "Be terse.", "--model", "code.fast", "--session", "ses_1"];
    let answered = piped(&mut at(&url, KEY, arguments), "a patch\n");
    assert_eq!(stdout(&answered), "Fine.\n", "{}", stderr(&answered));
    let told = stderr(&answered);
    assert!(
        told.starts_with("gpt-4o (openai), 1,840 tokens in, 1,536 cached, 5 out, first text after"),
        "{told}"
    );
    assert!(!told.contains("placeholder"), "{told}");
    let Heard::Asked(body) = heard.recv().unwrap() else { panic!("no request") };
    assert_eq!(body["model"], "code.fast");
    assert_eq!(
        body["messages"],
        serde_json::json!([
            { "role": "system", "content": "Be terse." },
            { "role": "user", "content": "Review this.\n\na patch" },
        ])
    );
}

#[test]
fn text_for_a_program_is_exact() {
    let (url, _heard) = play(vec![Play::Say(&["a\u{1b}[31m", "b\r\n"])]);
    let answered = piped(&mut at(&url, KEY, ["chat"]), "hi");
    assert_eq!(stdout(&answered), "a\u{1b}[31mb\r\n");
}

#[test]
fn what_makes_no_sense_is_refused_with_the_way_out() {
    let said = refused(&output(zumik(["chat", "hi"]).env_remove("ZUMIK_API_KEY")), 2);
    assert!(said.contains("ZUMIK_API_KEY") && said.contains("zumik keys create"), "{said}");
    let url = "http://127.0.0.1:9";
    let said = refused(&piped(&mut at(url, KEY, ["chat"]), " \n"), 2);
    assert!(said.contains("the prompt is empty"), "{said}");
    let said = refused(&output(&mut at(url, KEY, ["chat", "hi", "--session", "prj_1"])), 2);
    assert!(said.contains("--session") && said.contains("ses_"), "{said}");
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let said = refused(&output(&mut at(server.url(), KEY, ["chat", "hi"])), 1);
    assert!(said.contains("401"), "{said}");
    let unknown = ["chat", "hi", "--session", "ses_unknown"];
    let said = refused(&output(&mut at(server.url(), server.key(), unknown)), 1);
    assert!(said.contains("400") && said.contains("ses_unknown"), "{said}");
    let said = refused(&output(&mut at(server.url(), server.key(), ["chat", "hi", "--model", "nope"])), 1);
    assert!(said.contains("nope"), "{said}");
}

#[test]
fn ctrl_c_ends_the_answer_and_not_the_conversation() {
    let (url, heard) =
        play(vec![Play::BeSilent, Play::Say(&["Here I am", "."]), Play::Say(&["Still here."])]);
    let line = format!("{} chat --model m", env!("CARGO_BIN_EXE_zumik"));
    let mut terminal = Terminal::run(&line, &at(&url, KEY, []));
    terminal.wait_for("> ");
    terminal.type_keys("are you there?\r");
    let patience = Duration::from_secs(20);
    assert!(matches!(heard.recv_timeout(patience), Ok(Heard::Asked(_))));
    terminal.type_keys("\u{3}");
    assert_eq!(heard.recv_timeout(patience), Ok(Heard::Left), "the server notices");
    terminal.wait_for("cancelled");
    terminal.wait_for("> ");

    terminal.type_keys("and now?\r");
    terminal.wait_for("Here I am.");
    terminal.wait_for("gpt-4o");
    let Ok(Heard::Asked(body)) = heard.recv_timeout(patience) else { panic!("no request") };
    assert_eq!(body["messages"].as_array().unwrap().len(), 1, "the cancelled question is not kept: {body}");
    terminal.wait_for("> ");
    terminal.type_keys("again\r");
    terminal.wait_for("Still here.");
    let Ok(Heard::Asked(body)) = heard.recv_timeout(patience) else { panic!("no request") };
    let said: Vec<_> = body["messages"].as_array().unwrap().iter().map(|m| m["content"].clone()).collect();
    assert_eq!(said, ["and now?", "Here I am.", "again"]);

    terminal.wait_for("> ");
    terminal.type_keys("\u{3}");
    terminal.wait_for("Ctrl-C once more");
    terminal.wait_for("> ");
    terminal.type_keys("\u{4}");
    terminal.wait_for_success();
}

#[test]
fn an_answer_cannot_steer_the_terminal() {
    let (url, _heard) =
        play(vec![Play::Say(&["one\ntwo \u{1b}]0;owned\u{7}", "\u{9b}2J\u{202e}", "\u{1b}[31mred"])]);
    let line = format!("{} chat --model m", env!("CARGO_BIN_EXE_zumik"));
    let mut terminal = Terminal::run(&line, &at(&url, KEY, []));
    terminal.wait_for("> ");
    terminal.type_keys("hi\r");
    terminal.wait_for("one");
    terminal.wait_for("\\u{1b}]0;owned\\u{7}\\u{9b}2J\\u{202e}\\u{1b}[31mred");
    terminal.wait_for("> ");
    terminal.type_keys("\u{4}");
    terminal.wait_for_success();
    for forbidden in ["\u{1b}]0", "\u{9b}", "\u{202e}", "\u{1b}[31m"] {
        assert!(!terminal.shown().contains(forbidden), "{forbidden:?} in {:?}", terminal.shown());
    }
}

#[test]
fn models_are_listed_one_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serving::start(folder.path());
    let listed = stdout(&output(&mut at(server.url(), server.key(), ["models"])));
    assert!(listed.lines().any(|line| line == "code.fast"), "{listed}");
    let list = json(&mut at(server.url(), server.key(), ["models", "--json"]));
    let ids: Vec<_> =
        list["data"].as_array().unwrap().iter().map(|model| model["id"].as_str().unwrap()).collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), ids);
}
