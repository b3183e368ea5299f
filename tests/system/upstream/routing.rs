//! Which model answers: aliases, their weights, and what takes over when one fails.

use std::cell::Cell;
use std::collections::BTreeMap;

use reqwest::RequestBuilder;
use serde_json::{Value, json};
use zumik_client::types::{AgentHints, HintRouting};
use zumik_tests::http::{Answer, Http, answer};
use zumik_tests::server::{TestServer, configured};
use zumik_tests::upstream::{Behaviour, Fault, Upstream};

use super::usage::event;
use super::{
    CHAT, NATIVE, RESPONSES, ask, header, input, post, provider, question, served, streamed, with_qos,
};

/// A server whose alias `code.fast` has two targets of one provider, by weight.
async fn weighted(upstream: &Upstream) -> TestServer {
    let alias = "[aliases.\"code.fast\"]\ntargets = [\n\
         { upstream = \"test\", model = \"gpt-heavy\", weight = 75 },\n\
         { upstream = \"test\", model = \"gpt-light\", weight = 25 },\n]\n";
    configured(&format!("{}{alias}", provider("test", upstream))).await
}

#[tokio::test]
async fn an_alias_is_drawn_by_weight_and_the_draw_is_on_the_answer() {
    let upstream = Upstream::start().await;
    let server = weighted(&upstream).await;
    let http = server.http();
    let mut drawn: BTreeMap<String, usize> = BTreeMap::new();
    let mut releases = Vec::new();
    for _ in 0..200 {
        let answer = ask(&http, CHAT, &question("code.fast")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["model"]), (200, &json!("code.fast")));
        let asked = upstream.requests().pop().unwrap().json()["model"].as_str().unwrap().to_owned();
        assert!(header(&answer, "agent-resolved-model").starts_with(&asked));
        releases.push(header(&answer, "agent-alias-release").to_owned());
        *drawn.entry(asked).or_default() += 1;
    }
    releases.dedup();
    assert!(matches!(&releases[..], [release] if release.starts_with("alr_")), "{releases:?}");
    // Six standard deviations to either side of 150.
    assert!((114..186).contains(&drawn["gpt-heavy"]), "{drawn:?}");
}

#[tokio::test]
async fn a_session_stays_with_one_target() {
    let upstream = Upstream::start().await;
    let server = weighted(&upstream).await;
    let http = server.http();
    let mut seen = BTreeMap::new();
    for _ in 0..8 {
        let session = http.post("/v2/sessions", json!({})).await;
        let session = session["id"].as_str().unwrap().to_owned();
        for _ in 0..6 {
            let request = post(&http, CHAT, &question("code.fast")).header("Agent-Session-Ref", &session);
            assert_eq!(answer(request).await.status, 200);
            let model = upstream.requests().pop().unwrap().json()["model"].clone();
            assert_eq!(seen.entry(session.clone()).or_insert_with(|| model.clone()), &model);
        }
    }
}

/// A server whose alias goes to a provider that fails and, by a hair, to one that does not.
async fn one_that_fails(failing: &Upstream, good: &Upstream) -> TestServer {
    configured_pair(&provider("failing", failing), &provider("good", good)).await
}

/// The same, over the settings of both.
async fn configured_pair(failing: &str, good: &str) -> TestServer {
    let alias = "[aliases.\"code.fast\"]\ntargets = [\n\
         { upstream = \"failing\", model = \"gpt-test\", weight = 99 },\n\
         { upstream = \"good\", model = \"gpt-test\", weight = 1 },\n]\n";
    configured(&format!("{failing}{good}{alias}")).await
}

/// Asks until the draw falls on the failing provider, as it does in 99 of 100 times.
async fn ask_failing(failing: &Upstream, http: &Http, path: &str, body: &Value) -> Answer {
    until_drawn(failing, || post(http, path, body)).await
}

/// The same with any request.
async fn until_drawn(failing: &Upstream, request: impl Fn() -> RequestBuilder) -> Answer {
    for _ in 0..20 {
        let before = failing.requests().len();
        let answer = answer(request()).await;
        if failing.requests().len() > before {
            return answer;
        }
    }
    panic!("the failing provider is not asked");
}

#[tokio::test]
async fn another_target_takes_over_where_that_is_allowed() {
    for behaviour in [Behaviour::status(500), Behaviour::fault(Fault::HangUp), Behaviour::status(401)] {
        let (failing, good) = (Upstream::start().await, Upstream::start().await);
        failing.always(behaviour.clone());
        let server = one_that_fails(&failing, &good).await;
        let http = server.http();
        for body in [question("code.fast"), streamed("code.fast")] {
            let answer = ask_failing(&failing, &http, CHAT, &body).await;
            assert_eq!(answer.status, 200, "{behaviour:?}: {answer:?}");
            assert_eq!(header(&answer, "agent-resolved-provider"), "good");
            assert_eq!(header(&answer, "agent-qos-degraded"), "true");
        }
        let native = ask_failing(&failing, &http, NATIVE, &input("code.fast")).await.json();
        assert_eq!(native["qos_outcome"]["fallback_used"], true, "{native}");
    }
}

#[tokio::test]
async fn another_target_takes_over_from_one_whose_success_is_an_error() {
    let error =
        r#"{"error":{"message":"Overloaded.","type":"server_error","param":null,"code":"overloaded"}}"#;
    let behaviour = Behaviour { body: Some(error.to_owned()), ..Behaviour::default() };
    let embedding = json!({ "model": "code.fast", "input": "Is this off by one?" });
    for (path, body) in [
        (CHAT, question("code.fast")),
        (CHAT, streamed("code.fast")),
        (RESPONSES, input("code.fast")),
        ("/v1/embeddings", embedding),
    ] {
        let (failing, good) = (Upstream::start().await, Upstream::start().await);
        failing.always(behaviour.clone());
        let server = one_that_fails(&failing, &good).await;
        let http = server.http();
        let answer = ask_failing(&failing, &http, path, &body).await;
        assert_eq!(
            (answer.status.as_u16(), header(&answer, "agent-resolved-provider")),
            (200, "good"),
            "{path}"
        );
        assert_eq!(header(&answer, "agent-qos-degraded"), "true", "{path}");
        good.always(behaviour.clone());
        let answer = ask_failing(&failing, &http, path, &body).await;
        assert_eq!((answer.status.as_u16(), &answer.error()["code"]), (502, &json!("overloaded")), "{path}");
        assert_eq!(answer.error()["message"], "Overloaded.", "{path}");
    }
}

/// The settings of a provider that speaks chat completions only.
fn chat_only(name: &str, upstream: &Upstream) -> String {
    format!("{}responses = false\n", provider(name, upstream))
}

/// What a server answers that has no such path.
fn no_such_path() -> Behaviour {
    Behaviour { body: Some(r#"{"detail":"Not Found"}"#.to_owned()), ..Behaviour::status(404) }
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.requests().into_iter().map(|request| request.path).collect()
}

#[tokio::test]
async fn a_response_falls_over_to_a_target_that_speaks_chat_completions_only() {
    let (failing, good) = (Upstream::start().await, Upstream::start().await);
    failing.always(Behaviour::status(503));
    let server = configured_pair(&provider("failing", &failing), &chat_only("good", &good)).await;
    let http = server.http();
    let mut stream = input("code.fast");
    stream["stream"] = true.into();
    for body in [input("code.fast"), stream] {
        let answer = ask_failing(&failing, &http, RESPONSES, &body).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(header(&answer, "agent-resolved-provider"), "good");
        assert_eq!(header(&answer, "agent-qos-degraded"), "true");
    }
    assert!(paths(&good).iter().all(|path| path == CHAT));
}

#[tokio::test]
async fn what_a_target_says_of_its_apis_is_learned_of_that_one() {
    let (failing, good) = (Upstream::start().await, Upstream::start().await);
    failing.next(Behaviour::status(503));
    good.next(no_such_path());
    let server = one_that_fails(&failing, &good).await;
    let http = server.http();
    let answer = ask_failing(&failing, &http, RESPONSES, &input("code.fast")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "agent-resolved-provider")), (200, "good"));
    assert_eq!(paths(&good)[..2], [RESPONSES, CHAT]);
    let answer = ask_failing(&failing, &http, RESPONSES, &input("code.fast")).await;
    assert_eq!((answer.status.as_u16(), header(&answer, "agent-resolved-provider")), (200, "failing"));
    assert!(paths(&failing).iter().all(|path| path == RESPONSES));
}

#[tokio::test]
async fn what_a_chat_completion_cannot_say_goes_to_a_target_that_can_take_it() {
    let (first, other) = (Upstream::start().await, Upstream::start().await);
    let mut body = input("code.fast");
    body["truncation"] = "auto".into();
    let server = configured_pair(&chat_only("failing", &first), &provider("good", &other)).await;
    for _ in 0..3 {
        let answer = ask(&server.http(), RESPONSES, &body).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "agent-resolved-provider")), (200, "good"));
    }
    assert!(first.requests().is_empty());

    let server = configured_pair(&provider("failing", &first), &chat_only("good", &other)).await;
    first.always(Behaviour::status(503));
    let answer = ask_failing(&first, &server.http(), RESPONSES, &body).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["code"]), (502, &json!("provider_error")));
    assert_eq!(other.requests().len(), 3, "the other cannot be asked");
}

#[tokio::test]
async fn no_other_target_takes_over_where_it_is_forbidden() {
    let (failing, good) = (Upstream::start().await, Upstream::start().await);
    failing.always(Behaviour::status(500));
    let server = one_that_fails(&failing, &good).await;
    let http = server.http();
    let sent = Cell::new(0);
    let forbidding = || {
        sent.set(sent.get() + 1);
        with_qos(post(&http, CHAT, &question("code.fast")), &json!({ "degrade_policy": "forbid" }))
    };
    let answer = until_drawn(&failing, forbidding).await;
    assert_eq!((answer.status.as_u16(), &answer.error()["code"]), (502, &json!("provider_error")));
    assert_eq!(good.requests().len(), sent.get() - 1, "the good one is asked only where it is drawn");
}

#[tokio::test]
async fn a_request_that_the_model_refuses_is_refused_and_not_tried_elsewhere() {
    let (failing, good) = (Upstream::start().await, Upstream::start().await);
    let server = one_that_fails(&failing, &good).await;
    failing.always(Behaviour::status(400));
    good.always(Behaviour::status(400));
    assert_eq!(ask(&server.http(), CHAT, &question("code.fast")).await.status, 400);
    assert_eq!(failing.requests().len() + good.requests().len(), 1);
}

#[tokio::test]
async fn a_name_that_is_no_alias_goes_through_with_its_slashes() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let model = "accounts/fireworks/models/llama-v4-maverick";
    let answer = ask(&server.http(), CHAT, &question(model)).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["model"]), (200, &json!(model)));
    assert_eq!(upstream.requests()[0].json()["model"], model);
}

#[tokio::test]
async fn a_name_that_is_too_long_for_a_model_is_refused_on_every_surface() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let name = "m".repeat(257);
    let embedding = json!({ "model": name, "input": "Hi" });
    for (path, body) in [
        (CHAT, question(&name)),
        (RESPONSES, input(&name)),
        ("/v1/responses/compact", input(&name)),
        (NATIVE, input(&name)),
        ("/v1/embeddings", embedding),
    ] {
        let answer = ask(&server.http(), path, &body).await;
        assert_eq!((answer.status.as_u16(), &answer.error()["param"]), (400, &json!("model")), "{path}");
    }
    assert!(upstream.requests().is_empty());
    assert_eq!(ask(&server.http(), CHAT, &question(&name[1..])).await.status, 200);
}

/// Hints that allow one region, as they are sent in a header.
fn only_in(request: RequestBuilder, region_policy: &str) -> RequestBuilder {
    let hints = AgentHints::new().routing(HintRouting::new().region_policy(region_policy));
    request.header("Agent-Hints", hints.to_header_value().unwrap())
}

#[tokio::test]
async fn a_generation_that_is_refused_for_its_region_leaves_a_usage_event() {
    let upstream = Upstream::start().await;
    let server = served(&upstream).await;
    let http = server.http();
    let embedding = json!({ "model": "gpt-test", "input": "Is this off by one?" });
    for (path, body) in [
        (CHAT, question("gpt-test")),
        (RESPONSES, input("gpt-test")),
        (NATIVE, input("gpt-test")),
        ("/v1/embeddings", embedding),
    ] {
        let refused = answer(only_in(post(&http, path, &body), "ap_only")).await;
        assert_eq!(
            (refused.status.as_u16(), &refused.error()["code"]),
            (403, &json!("region_not_allowed")),
            "{path}"
        );
        let event = event(&http, header(&refused, "agent-trace-id")).await;
        assert_eq!((&event["status"], &event["provider"]), (&json!("failed"), &Value::Null), "{path}");
        let outcome = &event["qos_outcome"];
        assert_eq!(
            (&outcome["admission"], &outcome["reason_code"]),
            (&json!("rejected"), &json!("region_not_allowed")),
            "{path}"
        );
        assert_eq!((&outcome["completion"], &outcome["latency_ms"]), (&Value::Null, &Value::Null), "{path}");
    }
    assert!(upstream.requests().is_empty());
}

#[tokio::test]
async fn hints_narrow_the_targets_to_their_region_and_nothing_is_asked_elsewhere() {
    let (us, eu) = (Upstream::start().await, Upstream::start().await);
    let at = |name, upstream, region: &str| {
        provider(name, upstream).replace("region = \"eu\"", &format!("region = \"{region}\""))
    };
    let alias = "[aliases.\"code.fast\"]\ntargets = [\n\
         { upstream = \"a\", model = \"gpt-test\", weight = 99 },\n\
         { upstream = \"b\", model = \"gpt-test\", weight = 1 },\n]\n";
    let server = configured(&format!("{}{}{alias}", at("a", &us, "us"), at("b", &eu, "eu"))).await;
    let http = server.http();
    for (path, body) in
        [(CHAT, question("code.fast")), (RESPONSES, input("gpt-test")), (NATIVE, input("auto"))]
    {
        let allowed = if body["model"] == "auto" { "us" } else { "eu" };
        let answer = answer(only_in(post(&http, path, &body), &format!("{allowed}_only"))).await;
        assert_eq!((answer.status.as_u16(), header(&answer, "agent-region")), (200, allowed), "{path}");
        let refused = zumik_tests::http::answer(only_in(post(&http, path, &body), "ap_only")).await;
        assert_eq!((refused.status.as_u16(), &refused.error()["code"]), (403, &json!("region_not_allowed")));
    }
    assert_eq!((us.requests().len(), eu.requests().len()), (1, 2));

    let mut body = input("code.fast");
    body["agent_hints"] = json!({ "routing": { "execution_profiles": ["byok"] } });
    let refused = ask(&http, NATIVE, &body).await;
    assert_eq!((refused.status.as_u16(), &refused.error()["code"]), (502, &json!("provider_error")));
    let hints = http.post("/v2/agent-hints", json!({ "routing": { "region_policy": "eu_only" } })).await;
    let stored =
        post(&http, CHAT, &question("code.fast")).header("Agent-Hints-Ref", hints["id"].as_str().unwrap());
    assert_eq!(header(&answer(stored).await, "agent-region"), "eu");
}
