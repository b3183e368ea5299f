use std::sync::LazyLock;

use http::Method;
use percent_encoding::percent_decode;
use zumik_client::types::{Operation, operations};

use crate::server;

/// The operations whose path has a place for an id, in the order of their names.
static WITH_ID: LazyLock<Vec<&'static Operation>> = LazyLock::new(|| {
    let is_safe = |operation: &&Operation| matches!(operation.method.as_str(), "GET" | "DELETE");
    let with_id = operations::ALL.iter().filter(is_safe).filter(|operation| operation.path.contains('{'));
    let mut all: Vec<_> = with_id.collect();
    all.sort_by_key(|operation| operation.id);
    all
});

/// Any text in the place of an id is answered, and only what is an id of the project finds anything.
///
/// The first byte says which operation, the rest stands in the path as it is, in all places for ids.
pub fn path(input: &[u8]) {
    let Some((number, text)) = input.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let operation = WITH_ID[usize::from(*number) % WITH_ID.len()];
    let segments =
        operation.path.split('/').map(|segment| if segment.starts_with('{') { text } else { segment });
    let path = segments.collect::<Vec<_>>().join("/");
    let method: Method = operation.method.as_str().parse().expect("a method of HTTP");
    server::with(|rig| {
        let Some(answer) = rig.call(&method, &path, &[], b"") else { return };
        // A text with a slash, a query or a fragment makes another path.
        if !answer.status.is_success() || text.contains(['/', '?', '#']) {
            return;
        }
        let id = percent_decode(text.as_bytes()).decode_utf8_lossy();
        // Aliases and models are names, and any name can be one.
        let is_name = operation.path.contains("{alias}") || operation.path.contains("{model_id}");
        assert!(is_name || rig.world.all_ids().any(|known| *known == id), "{method} {path}: found {id:?}");
    });
}
