//! Bodies that nobody should send, to every operation that takes one: the contract's envelope, never a fault, nothing left
//! behind, and a server that lives on.

use serde_json::{Value, json};
use zumik_client::types::operations;
use zumik_tests::http::{Answer, Http};
use zumik_tests::operations::{Body, Request, World};
use zumik_tests::server;

const CAP: usize = 2 * 1024 * 1024;
const JSON: &str = "application/json";

/// Requests with a JSON body, one for each operation that has one, on one world.
fn json_requests(world: &World) -> impl Iterator<Item = (Request, Value)> {
    operations::ALL.iter().map(|operation| world.request(operation)).filter_map(|request| {
        match &request.body {
            Body::Json(body) => Some((request.clone(), body.clone())),
            Body::Empty | Body::File => None,
        }
    })
}

/// Everything of the project that can be listed.
async fn listed(http: &Http, world: &World) -> Vec<Value> {
    let mut lists = Vec::new();
    for operation in operations::ALL.iter().filter(|operation| operation.id.starts_with("list")) {
        lists.push(http.send(&world.request(operation)).await.json());
    }
    lists
}

fn assert_refused(answer: &Answer, status: u16, why: &str) {
    assert_eq!(answer.status, status, "{why}: {answer:?}");
    answer.error();
}

#[tokio::test]
async fn what_is_not_json_is_refused_everywhere() {
    let server = server::durable().await;
    let http = server.http();
    let world = World::create(&http).await;
    let before = listed(&http, &world).await;
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let bodies: [&[u8]; 6] = [b"{", b"[]", b"7", b"\xff\xfe\x00", b"{\"a\":1}{\"b\":2}", deep.as_bytes()];
    for (request, body) in json_requests(&world) {
        let id = request.operation.id;
        for bytes in bodies {
            let answer = http.send_bytes(&request, JSON, bytes.to_vec()).await;
            assert_refused(&answer, 400, id);
        }
        for media_type in
            ["text/plain", "multipart/form-data; boundary=x", "application/x-www-form-urlencoded"]
        {
            let answer = http.send_bytes(&request, media_type, body.to_string()).await;
            assert_refused(&answer, 400, &format!("{id} as {media_type}"));
        }
    }
    assert_eq!(listed(&http, &world).await, before);
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_everywhere() {
    let server = server::durable().await;
    let http = server.http();
    let world = World::create(&http).await;
    let before = listed(&http, &world).await;
    for (request, mut body) in json_requests(&world) {
        body["padding"] = Value::String("x".repeat(CAP));
        let answer = http.send_bytes(&request, JSON, body.to_string()).await;
        assert_refused(&answer, 413, request.operation.id);
        assert_eq!(answer.error()["code"], "request_too_large");
    }
    assert_eq!(listed(&http, &world).await, before);
}

#[tokio::test]
async fn a_member_of_the_wrong_type_or_missing_is_named_and_never_a_fault() {
    let server = server::durable().await;
    let http = server.http();
    let world = World::create(&http).await;
    for (request, body) in json_requests(&world) {
        let mut refused = 0;
        for pointer in pointers(&body) {
            for (how, bent) in bent(&body, &pointer) {
                let answer = http.send_bytes(&request, JSON, bent.to_string()).await;
                let why = format!("{} with {pointer} {how}", request.operation.id);
                assert!(answer.status.as_u16() < 500, "{why}: {answer:?}");
                if answer.status == 400 {
                    let param = answer.error()["param"].clone();
                    let named = param.as_str().unwrap_or_else(|| panic!("{why} names no field: {answer:?}"));
                    assert!(is_in(named, &dotted(&pointer)), "{why} blames {named}");
                    refused += 1;
                }
            }
        }
        assert!(refused > 0, "{} takes whatever it is sent", request.operation.id);
    }
    assert_eq!(http.get("/healthz").await.status, 200);
}

/// A body with wrong values in one place, and without that place where it is the member of an object.
fn bent(body: &Value, pointer: &str) -> Vec<(String, Value)> {
    let wrong =
        [json!(null), json!(true), json!(-1), json!(1.5), json!("\u{0}"), json!([[]]), json!({"a": {}})];
    let with = |value: Value| {
        let (how, mut bent) = (format!("= {value}"), body.clone());
        *bent.pointer_mut(pointer).expect("a place in the body") = value;
        (how, bent)
    };
    let (parent, name) = pointer.rsplit_once('/').expect("a place below the root");
    let mut without = body.clone();
    let members = without.pointer_mut(parent).and_then(Value::as_object_mut);
    let removed = members.and_then(|members| members.remove(name));
    let missing = removed.map(|_| ("missing".to_owned(), without));
    wrong.into_iter().map(with).chain(missing).collect()
}

/// The JSON pointer of every value below the root of a body.
fn pointers(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect()
        }
        _ => Vec::new(),
    };
    let below = |(step, child): (String, &Value)| {
        let deeper = pointers(child).into_iter().map(move |rest| format!("/{step}{rest}"));
        deeper.collect::<Vec<_>>()
    };
    let steps: Vec<String> = children.iter().map(|(step, _)| format!("/{step}")).collect();
    steps.into_iter().chain(children.into_iter().flat_map(below)).collect()
}

/// A pointer as the contract writes fields: `/items/0/role` is `items[0].role`.
fn dotted(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        if step.parse::<usize>().is_ok() {
            path.push_str(&format!("[{step}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(step);
        }
    }
    path
}

/// Whether a field is this place of the body, or lies within it.
fn is_in(field: &str, place: &str) -> bool {
    field.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[tokio::test]
async fn ids_in_the_path_that_are_no_ids_are_not_found() {
    let server = server::durable().await;
    let http = server.http();
    let world = World::create(&http).await;
    let strange = ["x", "art_", "art_%00", "..%2f..", "%F0%9F%92%A9", "a%20b", "art_%22", &"9".repeat(4_000)];
    for operation in operations::ALL.iter().filter(|operation| operation.path.contains('{')) {
        for id in strange {
            let mut request = world.request(operation);
            let mut path = String::new();
            for segment in operation.path.split('/').skip(1) {
                path.push('/');
                path.push_str(if segment.starts_with('{') { id } else { segment });
            }
            request.path = path;
            assert_refused(&http.send(&request).await, 404, &format!("{} of {id}", operation.id));
        }
    }
}
