//! `zumik diagnose` and `zumik lint`, over the samples of the contract.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::fs;
use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};
use support::{Serving, output, refused, stderr, stdout, zumik};

/// The three traces of `POST /v2/diagnostics` in the contract.
fn traces() -> String {
    let trace = |id: &str, offset: u64, observed: [u64; 7]| {
        let [ttft, latency, input, candidate, realized, output, attempts] = observed;
        json!({
            "trace_id": id,
            "privacy_mode": "metadata",
            "prefix_family_id": "pf_repo_instructions",
            "schedule": { "arrival_offset_ms": offset, "session_id": "ses_abc" },
            "observed": {
                "resolved_target": "openai/gpt-4o", "ttft_ms": ttft, "latency_ms": latency, "input_tokens": input,
                "candidate_reuse_tokens": candidate, "realized_reused_tokens": realized, "output_tokens": output,
                "attempt_count": attempts,
            },
        })
    };
    [
        trace("t1", 0, [410, 2200, 18_240, 17_100, 14_980, 320, 1]),
        trace("t2", 42_000, [395, 2050, 18_910, 18_240, 16_100, 280, 1]),
        trace("t3", 97_000, [940, 3100, 19_480, 18_910, 0, 410, 2]),
    ]
    .map(|trace| trace.to_string())
    .join("\n")
}

#[test]
fn traces_are_scored_here_and_by_a_server_alike() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traces.jsonl");
    fs::write(&file, traces()).unwrap();
    let local =
        support::json(zumik(["diagnose", "--json"]).arg(&file).env("ZUMIK_BASE_URL", "http://127.0.0.1:1"));
    assert_eq!(local["workload_reuse_score"], 85);
    assert_eq!(local["waterfall"]["missed_opportunity_tokens"], 23_170);

    let server = Serving::start(&folder.path().join("data"));
    let mut ask = zumik(["diagnose", "--json", "--api-key", server.key(), "--base-url", server.url()]);
    let signed = support::json(ask.arg(&file));
    let mut report = signed["report"].clone();
    assert!(report["signature"]["value"].is_string());
    report.as_object_mut().unwrap().retain(|member, _| local.get(member).is_some());
    assert_eq!(report, local);

    let shown = stdout(&output(zumik(["diagnose"]).arg(&file)));
    for part in ["candidate", "54,250", "96 %", "85 of 100", "strong_fit", "0.2274"] {
        assert!(shown.contains(part), "{part:?} is missing: {shown}");
    }
}

#[test]
fn traces_that_cannot_be_read_or_scored_are_one_clear_line() {
    let folder = tempfile::tempdir().unwrap();
    let diagnose = |text: &str| {
        let file = folder.path().join("traces.jsonl");
        fs::write(&file, text).unwrap();
        refused(&output(zumik(["diagnose"]).arg(&file)), 1)
    };
    assert!(diagnose("").contains("must not be empty"));
    assert!(diagnose("\n{}\n").contains("line 2"));
    assert!(
        diagnose(&traces().replace("\"candidate_reuse_tokens\":17100", "\"candidate_reuse_tokens\":99999"))
            .contains("traces[0]")
    );
    refused(&output(&mut zumik(["diagnose", "nowhere.jsonl"])), 1);
}

#[test]
fn a_report_of_a_server_is_asked_for_with_a_key_that_can_be_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("traces.jsonl");
    fs::write(&file, traces()).unwrap();
    for (arguments, said) in [
        (&["--api-key", ""][..], "--api-key"),
        (&["--base-url", "http://127.0.0.1:1"], "--api-key"),
        (&["--api-key", "a b"], "the API key has characters that no key has"),
        (&["--api-key", "zk_live_0123456789abcdef", "--base-url", "nowhere"], "the base URL"),
    ] {
        let ended = output(zumik(["diagnose"]).arg(&file).args(arguments));
        assert_eq!(ended.status.code(), Some(2), "{arguments:?}");
        assert!(
            ended.stdout.is_empty() && stderr(&ended).contains(said),
            "{arguments:?}: {}",
            stderr(&ended)
        );
    }
}

#[test]
fn the_linter_tells_its_verdict_by_the_exit_code() {
    let lint = |prompt: Value| {
        let mut child = zumik(["lint", "-", "--json"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(prompt.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    let volatile = lint(json!({ "messages": [
        { "role": "system", "content": "You are a code reviewer. Today is 2026-06-15." },
        { "role": "user", "content": "Review the patch." },
    ] }));
    assert_eq!(volatile.status.code(), Some(1));
    assert!(volatile.stderr.is_empty());
    let report: Value = serde_json::from_slice(&volatile.stdout).unwrap();
    assert_eq!((&report["score"], &report["stable_prefix_tokens"]), (&json!(65), &json!(16)));
    assert_eq!(report["findings"][0]["detail"], "date 2026-06-15");

    let short =
        lint(json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "Hi" }]));
    assert_eq!(short.status.code(), Some(0), "a finding of low severity is no failure");
    assert!(refused(&lint(json!("no prompt")), 2).contains("standard input"));
    refused(&output(&mut zumik(["lint", "nowhere.json"])), 2);
}

#[test]
fn findings_are_lines_for_people() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("prompt.json");
    fs::write(
        &file,
        r#"[{"role":"system","content":"Today is 2026-06-15."},{"role":"user","content":"Hi"}]"#,
    )
    .unwrap();
    let shown = output(zumik(["lint"]).arg(&file));
    assert_eq!(shown.status.code(), Some(1));
    let text = stdout(&shown);
    assert!(text.starts_with("high   block 0: volatile_content_in_stable_prefix date 2026-06-15"), "{text}");
    assert!(text.contains("65 of 100"), "{text}");
}
