//! `schemathesis`: requests that it makes up from our OpenAPI document, and answers that must be the document's.

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use zumik_tests::http::Http;
use zumik_tests::operations::World;

use super::{Served, passed, program, suite};

/// Requests made up at random for each operation, besides those for the edges of its schemas.
const EXAMPLES: &str = "3";

/// The edges of what these two operations do not take are 2,500 requests: they wait for a long run.
const SHORT: &str = r#"
[[operations]]
include-operation-id = ["createChatCompletion", "createV1Response"]
phases.coverage.generation.mode = "positive"
"#;

/// `ZUMIK_EXAMPLES=N` makes a long run of it, with so many requests made up for each operation.
#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn every_answer_is_as_the_openapi_document_says() {
    let Some(schemathesis) = program("schemathesis") else { return };
    let served = Served::alone();
    let key = served.key(&["--scopes", "inference,admin"]);
    let world = World::create(&Http::new(&served.server.url, &key)).await;
    let ours = suite("schemathesis");
    let long = env::var("ZUMIK_EXAMPLES").ok();
    let mut settings = fs::read_to_string(ours.join("schemathesis.toml")).expect("the settings of the suite");
    settings += &parameters(&world);
    settings += if long.is_none() { SHORT } else { "" };
    let file = served.data.path().join("schemathesis.toml");
    fs::write(&file, settings).expect("a file in a temporary folder");
    let mut command = Command::new(schemathesis);
    command.arg("--config-file").arg(file).arg("run");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../openapi/zumik.yaml"));
    command.args(["--url", &served.server.url, "--header", &format!("Authorization: Bearer {key}")]);
    command.args(["--max-examples", long.as_deref().unwrap_or(EXAMPLES)]);
    command.arg("--no-color").env("SCHEMATHESIS_HOOKS", ours.join("events.py"));
    command.current_dir(served.data.path());
    passed(command);
}

/// Ids that exist, for every operation but those that would take them away from the others.
fn parameters(world: &World) -> String {
    let mut settings = String::new();
    for (paths, native) in [("^/v1/", false), ("^/v2/", true)] {
        let table = world.parameters(native);
        let ids: Vec<String> = table.iter().map(|(name, id)| format!("\"path.{name}\" = \"{id}\"")).collect();
        let ids = ids.join(", ");
        let _ = writeln!(
            settings,
            "\n[[operations]]\ninclude-path-regex = \"{paths}\"\nexclude-method = \"DELETE\"\nparameters = {{ {ids} }}",
        );
    }
    settings
}
