//! What the client adds to a call: the same request, with the same limit of time, by `zumik-client`, by bare reqwest with
//! typed serde and by `async-openai`, one after the other on one connection each, against the same server.
//!
//! Client and server share one processor. On several, whether the scheduler puts the two ends of a connection on the same one
//! decides more than what either does.

use std::time::{Duration, Instant};

use async_openai::config::OpenAIConfig;
use async_openai::types::chat::CreateChatCompletionRequest;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use serde_json::json;
use zumik_client::Zumik;
use zumik_client::types::{Artifact, ArtifactType, ChatCompletion, ChatMessage, TokenCount};
use zumik_tests::process::ServeProcess;
use zumik_tests::upstream::Upstream;

use crate::report::{Report, Row, median, micros, ratio};
use crate::{Plan, Result};

/// Calls of one side before the other has its turn: short enough that both meet the same machine.
const TURN: usize = 50;

/// The client gives each POST a key, under which it is repeated; the same call by bare reqwest has one too.
const KEY: &str = "agent-idempotency-key";

/// What the client gives a call by itself.
const LIMIT: Duration = Duration::from_secs(600);

/// Keeps this thread, and what it starts, on one processor until it is dropped.
struct OneProcessor(CpuSet);

impl OneProcessor {
    fn take() -> Result<Self> {
        let all = sched_getaffinity(None)?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| all.is_set(*cpu)).ok_or("there is no processor")?;
        let mut one = CpuSet::new();
        one.set(last);
        sched_setaffinity(None, &one)?;
        Ok(Self(all))
    }
}

impl Drop for OneProcessor {
    fn drop(&mut self) {
        let _ = sched_setaffinity(None, &self.0);
    }
}

/// Measures a GET and a POST.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let _one = OneProcessor::take()?;
    let folder = plan.folder()?;
    let server = ServeProcess::start(&plan.zumik, folder.path());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(compare(plan, report, &server))?;
    // What a chat costs is the client's affair alone where the provider answers at once.
    let provider = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let upstream = provider.block_on(Upstream::forgetful());
    runtime.block_on(chats(plan, report, &upstream))
}

async fn compare(plan: &Plan, report: &mut Report, server: &ServeProcess) -> Result {
    let turns = plan.pick(100, 10);
    let zk = Zumik::builder().base_url(&server.url).api_key(server.api_key.as_str()).build()?;
    let bare = zumik_tests::http::bare_within(LIMIT)?;
    let artifact = zk.artifacts().create(ArtifactType::Policy, "Run the linter before every commit.").await?;
    let retrieve = format!("{}/v2/artifacts/{}", server.url, artifact.id);
    let count = format!("{}/v2/token-counts", server.url);
    let key = &server.api_key;

    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..turns {
        for _ in 0..TURN {
            let start = Instant::now();
            zk.artifacts().retrieve(&artifact.id).await?;
            ours.push(start.elapsed());
        }
        for _ in 0..TURN {
            let start = Instant::now();
            let _: Artifact =
                bare.get(&retrieve).bearer_auth(key).send().await?.error_for_status()?.json().await?;
            theirs.push(start.elapsed());
        }
    }
    add(report, "GET, retrieve an artifact", &ours, &theirs);

    let input = "Summarize the diff in three bullets.";
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for turn in 0..turns {
        for _ in 0..TURN {
            let start = Instant::now();
            zk.token_counts().create(input).await?;
            ours.push(start.elapsed());
        }
        for call in 0..TURN {
            let body = json!({ "input": input });
            let start = Instant::now();
            let post = bare.post(&count).bearer_auth(key).header(KEY, fresh_key(turn, call));
            let _: TokenCount = post.json(&body).send().await?.error_for_status()?.json().await?;
            theirs.push(start.elapsed());
        }
    }
    add(report, "POST, count tokens", &ours, &theirs);
    Ok(())
}

async fn chats(plan: &Plan, report: &mut Report, upstream: &Upstream) -> Result {
    let base = upstream.url();
    let root = base.trim_end_matches("/v1");
    let zk = Zumik::builder().base_url(root).api_key("none").build()?;
    let config = OpenAIConfig::new().with_api_base(&base).with_api_key("none");
    let rival = async_openai::Client::build(zumik_tests::http::bare_within(LIMIT)?, config);
    let bare = zumik_tests::http::bare_within(LIMIT)?;
    let url = format!("{base}/chat/completions");
    let question = "Is this loop off by one?";
    let body = json!({ "model": "gpt-test", "messages": [{ "role": "user", "content": question }] });
    let typed: CreateChatCompletionRequest = serde_json::from_value(body.clone())?;

    let (mut ours, mut theirs, mut plain) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..plan.pick(100, 10) {
        for _ in 0..TURN {
            let start = Instant::now();
            zk.v1().chat().completions().create("gpt-test", [ChatMessage::user(question)]).await?;
            ours.push(start.elapsed());
        }
        for _ in 0..TURN {
            let request = typed.clone();
            let start = Instant::now();
            rival.chat().create(request).await?;
            theirs.push(start.elapsed());
        }
        for call in 0..TURN {
            let start = Instant::now();
            let post = bare.post(&url).bearer_auth("none").header(KEY, fresh_key(turn, call)).json(&body);
            let _: ChatCompletion = post.send().await?.error_for_status()?.json().await?;
            plain.push(start.elapsed());
        }
    }
    add(report, "POST, a chat completion", &ours, &plain);
    against(report, "POST, a chat completion", &ours, "async-openai, the same limit of time", &theirs);
    Ok(())
}

fn fresh_key(turn: usize, call: usize) -> String {
    format!("{turn}-{call}")
}

fn add(report: &mut Report, what: &str, ours: &[Duration], theirs: &[Duration]) {
    against(report, what, ours, "bare reqwest with typed serde, the same limit of time", theirs);
}

fn against(report: &mut Report, what: &str, ours: &[Duration], rival: &str, theirs: &[Duration]) {
    let (ours, theirs) = (median(ours), median(theirs));
    report.add(Row {
        what: format!("Client call, both ends on one processor: {what}"),
        value: micros(ours),
        baseline: format!("{rival}: {}", micros(theirs)),
        ratio: ratio(ours, theirs),
    });
}
