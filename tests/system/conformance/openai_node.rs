//! The `openai` package for Node.

use std::process::Command;

use zumik_tests::upstream::Upstream;

use super::{Served, installed, passed, program, suite};

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn openai_for_node_works_with_a_model() {
    let (Some(node), Some(modules)) = (program("node"), installed("conformance-node/node_modules")) else {
        return;
    };
    let upstream = Upstream::start().await;
    let served = Served::over(&upstream);
    let mut command = Command::new(node);
    command.args(["--test", "--test-reporter=spec"]).arg(suite("openai-node/openai.test.cjs"));
    command.env("NODE_PATH", modules);
    command.env("OPENAI_BASE_URL", served.v1()).env("OPENAI_API_KEY", &served.server.api_key);
    passed(command);
}
