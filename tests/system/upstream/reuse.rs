//! What of a prompt could be cached: the same with a model behind the server as without.

use serde_json::{Value, json};
use zumik_tests::http::{Http, answer};
use zumik_tests::server::{TestServer, configured, durable};
use zumik_tests::upstream::{Behaviour, Upstream};

use super::usage::event;
use super::{CHAT, NATIVE, RESPONSES, header, input, post, provider, question, served};

/// Stable blocks of a session, then its events.
type State<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)]);

/// Nothing but what belongs to the latest turn.
const DYNAMIC: State<'_> = (
    &[],
    &[
        ("retrieval_result", "The index says that the loop ends one early."),
        ("tool_result", "Three of five tests failed."),
    ],
);

/// Something of every block, in an order that hides what is what.
const MIXED: State<'_> = (
    &["Be terse.", "Tools: search, run."],
    &[
        ("checkpoint", "The parser was rewritten on Monday."),
        ("tool_result", "All tests passed."),
        ("retrieval_result", "The index says that the loop ends one early."),
        ("user_message", "[tool_result]\nThis is what the user says."),
        ("assistant_message", "I see."),
        ("note", "The user is in a hurry."),
        ("tool_result", "Three of five tests failed."),
    ],
);

/// A server with a model that reports no usage, so that prompts are counted as without one.
async fn uncounted(upstream: &Upstream, more: &str) -> TestServer {
    upstream.always(Behaviour { without_usage: true, ..Behaviour::default() });
    configured(&format!("{}{more}", provider("test", upstream))).await
}

async fn session(http: &Http, (stable, events): State<'_>) -> Value {
    let artifact = async |content: &str| {
        let body = json!({ "artifact_type": "document", "content": content });
        http.post("/v2/artifacts", body).await["id"].clone()
    };
    let mut items = Vec::new();
    for text in stable {
        items.push(json!({ "artifact_id": artifact(text).await, "role": "context" }));
    }
    let bundles = match items.is_empty() {
        true => Vec::new(),
        false => vec![http.post("/v2/bundles", json!({ "items": items })).await["id"].clone()],
    };
    let session = http.post("/v2/sessions", json!({ "base_bundle_ids": bundles })).await;
    let (id, branch) = (session["id"].as_str().unwrap(), session["default_branch_id"].as_str().unwrap());
    for (version, (kind, text)) in events.iter().enumerate() {
        let event = json!({ "event_type": kind, "payload_ref": artifact(text).await });
        let append = json!({ "expected_version": version, "event": event });
        http.post(&format!("/v2/sessions/{id}/branches/{branch}/events"), append).await;
    }
    session["id"].clone()
}

/// The usage event of the second of two requests that are the same.
async fn second(http: &Http, path: &str, body: &Value, session: &Value) -> Value {
    let id = session.as_str().unwrap();
    let mut last = Value::Null;
    for _ in 0..2 {
        let answered = match path {
            NATIVE => {
                let mut body = body.clone();
                body["session_id"] = session.clone();
                answer(post(http, path, &body)).await
            }
            _ => answer(post(http, path, body).header("Agent-Session-Ref", id)).await,
        };
        assert_eq!(answered.status, 200, "{path}: {answered:?}");
        last = event(http, header(&answered, "agent-trace-id")).await;
    }
    last
}

/// Tokens of the prompt, and those of them that could be cached and that an earlier prompt had.
fn tokens(event: &Value) -> [u64; 3] {
    ["input_tokens", "eligible_reuse_tokens", "candidate_reuse_tokens"]
        .map(|name| event[name].as_u64().unwrap_or_else(|| panic!("no {name}: {event}")))
}

#[tokio::test]
async fn the_same_session_has_the_same_eligible_share_with_a_model_as_without() {
    let upstream = Upstream::start().await;
    let alone = durable().await;
    let guided = json!({ "model": "gpt-test", "instructions": "Lint.", "input": "Is this off by one?" });
    for (state, path, more, body) in [
        (DYNAMIC, NATIVE, "", input("gpt-test")),
        (MIXED, NATIVE, "", input("gpt-test")),
        (MIXED, CHAT, "", question("gpt-test")),
        (MIXED, RESPONSES, "", input("gpt-test")),
        (MIXED, RESPONSES, "responses = false\n", guided),
    ] {
        let live = uncounted(&upstream, more).await;
        let (with, without) = (live.http(), alone.http());
        let with_model = second(&with, path, &body, &session(&with, state).await).await;
        assert_eq!(with_model["execution_mode"], "live");
        let mut body = body;
        body["model"] = "code.fast".into();
        let placeholder = second(&without, path, &body, &session(&without, state).await).await;
        assert_eq!(placeholder["execution_mode"], "placeholder");
        let [input, eligible, candidate] = tokens(&with_model);
        assert_eq!([input, eligible, candidate], tokens(&placeholder), "{path} {more}");
        assert_eq!(candidate, eligible, "{path} {more}");
        assert_eq!(eligible == 0, state == DYNAMIC, "{path} {more}");
        assert!(eligible < input, "{path} {more}");
    }
}

#[tokio::test]
async fn a_family_is_of_the_stable_blocks_of_a_session_and_of_nothing_else() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    for (path, body) in
        [(NATIVE, input("gpt-test")), (CHAT, question("gpt-test")), (RESPONSES, input("gpt-test"))]
    {
        let family = async |state| {
            let session = session(&http, state).await;
            second(&http, path, &body, &session).await["prefix_family_id"].clone()
        };
        assert_eq!(family(DYNAMIC).await, Value::Null, "{path}");
        let mixed = family(MIXED).await;
        assert!(mixed.as_str().is_some_and(|id| id.starts_with("pf_")), "{path}: {mixed}");
        assert_eq!(family((MIXED.0, &[])).await, mixed, "{path}");
        assert_ne!(family((&MIXED.0[..1], MIXED.1)).await, mixed, "{path}");
    }
}
