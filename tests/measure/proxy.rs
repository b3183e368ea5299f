//! Our way to a provider against that of LiteLLM, the proxy that people know: the same requests through both, in turns.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use zumik_tests::http::bare;
use zumik_tests::upstream::Upstream;

use crate::chat::{BODY, open_all};
use crate::loader::Connection;
use crate::report::{Report, Row, median, millis, ratio};
use crate::{Plan, Result};

/// The version that is installed.
const LITELLM: &str = include_str!("requirements.txt");

/// Its own; it does not start without one.
const KEY: &str = "sk-the-key-of-this-measurement-alone";

/// It imports for long.
const PATIENCE: Duration = Duration::from_secs(120);

/// Measures one request at a time, and as many as come through on all connections.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let Some(program) = &plan.litellm else { return Ok(()) };
    let provider = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let upstream = provider.block_on(Upstream::forgetful());
    let (server, _folder) = plan.serve_over(&upstream)?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rival = Litellm::start(program, &upstream, &load)?;
    let sides = [(server.url.as_str(), server.api_key.as_str()), (rival.url.as_str(), KEY)];

    let time = plan.pick(Duration::from_secs(3), Duration::from_millis(500));
    let (mut alone, mut together) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    // The first round warms up.
    for round in 0..=plan.pick(5, 1) {
        for (side, (url, key)) in sides.into_iter().enumerate() {
            // LiteLLM closes a connection that is idle while the other side has its turn.
            let mut connections = open_all(&load, url, key)?;
            let times = load.block_on(post(&mut connections[0], time))?;
            let posts = connections.iter_mut().map(|connection| post(connection, time));
            let all = load.block_on(futures_util::future::try_join_all(posts))?.concat();
            if round > 0 {
                alone[side].extend(times);
                together[side].push(all.len() as f64 / time.as_secs_f64());
            }
        }
    }
    let [ours, theirs] = alone.map(|times| median(&times));
    let name = LITELLM.trim().replace("[proxy]==", " ");
    report.add(Row {
        what: "Chat completion through `zumik serve`, one at a time".to_owned(),
        value: millis(ours),
        baseline: format!("through {name}: {}", millis(theirs)),
        ratio: ratio(ours, theirs),
    });
    let [ours, theirs] = together.map(|rates| median(&rates));
    report.add(Row {
        what: "Chat completions through `zumik serve`, all connections".to_owned(),
        value: format!("{ours:.0}/s"),
        baseline: format!("through {name}: {theirs:.0}/s"),
        ratio: Some(ours / theirs),
    });
    Ok(())
}

/// Posts one request after the other for so long; how long each took.
async fn post(connection: &mut Connection, time: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + time;
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        connection.post("/v1/chat/completions", BODY, None).await?;
        times.push(begun.elapsed());
    }
    Ok(times)
}

/// A running proxy, killed when dropped.
struct Litellm {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Litellm {
    fn start(program: &Path, upstream: &Upstream, load: &Runtime) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let config = folder.path().join("config.yaml");
        let target = format!("{{ model: openai/gpt-test, api_base: '{}', api_key: none }}", upstream.url());
        std::fs::write(
            &config,
            format!("model_list:\n  - model_name: gpt-test\n    litellm_params: {target}\n"),
        )?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new(program)
            .arg("--config")
            .arg(config)
            .args(["--host", "127.0.0.1", "--telemetry", "False", "--port", &port.to_string()])
            .env("LITELLM_MASTER_KEY", KEY)
            // Its table of prices comes with it; it would fetch a newer one.
            .env("LITELLM_LOCAL_MODEL_COST_MAP", "True")
            .env("LITELLM_LOG", "ERROR")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let proxy = Self { child, url: format!("http://127.0.0.1:{port}"), _folder: folder };
        load.block_on(proxy.ready())?;
        Ok(proxy)
    }

    async fn ready(&self) -> Result {
        let client = bare();
        let alive = format!("{}/health/liveliness", self.url);
        let wait = async {
            while !client.get(&alive).send().await.is_ok_and(|answer| answer.status().is_success()) {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        tokio::time::timeout(PATIENCE, wait).await.map_err(|_| "litellm did not start".into())
    }
}

impl Drop for Litellm {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
