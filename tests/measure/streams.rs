//! How much memory many streams at once take.

use std::time::Duration;

use futures_util::future::try_join_all;
use reqwest::Response;
use serde_json::json;
use zumik_tests::http::bare;
use zumik_tests::upstream::{Behaviour, Upstream};

use crate::memory::memory_kb;
use crate::report::{Report, Row};
use crate::{Plan, Result};

/// The bound.
const BOUND_KB: u64 = 150_000;

/// Between two chunks of a stream.
const PAUSE: Duration = Duration::from_millis(100);

/// Measures the most that the server held while all streams ran.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let streams = plan.pick(1_000, 100);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let upstream = runtime.block_on(Upstream::forgetful());
    // Longer than it takes to open them all, so that the first still runs when the last begins.
    let chunks = plan.pick(200, 50);
    upstream.always(Behaviour { chunks: Some(chunks), size: Some(20), pause: PAUSE, ..Behaviour::default() });
    let (server, _folder) = plan.serve_over(&upstream)?;
    let client = bare();
    runtime.block_on(async {
        let body =
            json!({ "model": "gpt-test", "messages": [{ "role": "user", "content": "hi" }], "stream": true });
        let url = format!("{}/v1/chat/completions", server.url);
        let open = async || -> Result<Response> {
            let request = client.post(&url).bearer_auth(&server.api_key).json(&body);
            Ok(request.send().await?.error_for_status()?)
        };
        let opened = try_join_all((0..streams).map(|_| open())).await?;
        let ended = try_join_all(opened.into_iter().map(Response::text)).await?;
        match ended.iter().find(|text| !text.ends_with("data: [DONE]\n\n")) {
            Some(text) => Err(format!("a stream ended with {:?}", text.lines().next_back())),
            None => Ok(()),
        }?;
        Result::Ok(())
    })?;
    let memory = memory_kb(server.id(), "VmHWM:")?;
    report.add(Row {
        what: format!("`zumik serve` forwarding {streams} streams at once, resident memory at most"),
        value: format!("{:.1} MB", memory as f64 / 1e3),
        baseline: "bound of 150 MB".to_owned(),
        ratio: Some(memory as f64 / BOUND_KB as f64),
    });
    Ok(())
}
