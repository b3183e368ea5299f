use std::sync::LazyLock;

use zumik_client::types::{Operation, operations};

use crate::server;

/// The operations that take a body, in the order of their names: that of the table may change.
static WITH_BODY: LazyLock<Vec<&'static Operation>> = LazyLock::new(|| {
    let mut all: Vec<_> =
        operations::ALL.iter().filter(|operation| operation.method.as_str() == "POST").collect();
    all.sort_by_key(|operation| operation.id);
    all
});

/// Any body of any operation is answered, with success or with the error of the contract, and never with a fault.
///
/// The first line names the operation and, behind a space, perhaps a query; the rest is the body.
pub fn request(input: &[u8]) {
    let line = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (head, body) = (&input[..line], input.get(line + 1..).unwrap_or_default());
    let head = String::from_utf8_lossy(head);
    let (name, query) = head.split_once(' ').unwrap_or((&head, ""));
    // An unknown name stands for one of them: the fuzzer shall not have to spell.
    let operation = WITH_BODY.iter().find(|operation| operation.id == name).copied().unwrap_or_else(|| {
        let number: usize = name.bytes().map(usize::from).sum();
        WITH_BODY[number % WITH_BODY.len()]
    });
    server::with(|rig| {
        let path = rig.world.request(operation).path;
        let path = if query.is_empty() { path } else { format!("{path}?{query}") };
        let media_type = if operation.id == "uploadFile" {
            "multipart/form-data; boundary=zumik"
        } else {
            "application/json"
        };
        rig.call(&http::Method::POST, &path, &[("Content-Type", media_type)], body);
    });
}
