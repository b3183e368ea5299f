use proptest::prelude::*;

use super::super::fixtures::{draft, events};
use super::*;

#[test]
fn one_text_answer_has_the_documented_events() {
    let mut draft = draft();
    let mut out = Vec::new();
    draft.begin(&mut out);
    draft.text("The patch looks correct; ", &mut out);
    draft.text("add a test for the empty case.", &mut out);
    let response = draft.finish(Ending::Completed, Value::Null, &mut out);
    let events = events(&out);
    let kinds: Vec<_> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let id = &events[2]["item"]["id"];
    assert!(id.as_str().unwrap().starts_with("msg_"));
    let text = "The patch looks correct; add a test for the empty case.";
    let part = json!({ "type": "output_text", "text": text, "annotations": [] });
    let item = |status, content| json!({ "type": "message", "id": id, "status": status, "role": "assistant", "content": content });
    assert_eq!(events[2]["item"], item("in_progress", json!([])));
    assert_eq!(
        events[4],
        json!({
            "type": "response.output_text.delta", "sequence_number": 4, "item_id": id, "output_index": 0,
            "content_index": 0, "delta": "The patch looks correct; ",
        })
    );
    assert_eq!((&events[6]["text"], &events[7]["part"]), (&json!(text), &part));
    assert_eq!(events[8]["item"], item("completed", json!([part])));
    assert_eq!(events[9]["response"], json!(response));
    assert_eq!(response.output(), [item("completed", json!([part]))]);
    assert!(String::from_utf8_lossy(&out).starts_with(
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,\"response\":{\"id\":"
    ));
}

#[test]
fn a_response_that_fails_or_is_given_up_keeps_what_was_complete() {
    for cancels in [false, true] {
        let mut draft = draft();
        let mut out = Vec::new();
        draft.reasoning("hm", &mut out);
        draft.text("half a", &mut out);
        let response = if cancels {
            draft.cancel("cancelled", "The response was cancelled.", &mut out)
        } else {
            draft.fail("server_error", "the provider went away", &mut out)
        };
        assert_eq!(response.output().len(), 1);
        assert_eq!(response.output()[0]["type"], "reasoning");
        let last = events(&out).pop().unwrap();
        assert_eq!(last["type"], if cancels { "error" } else { "response.failed" });
    }
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    Refusal(String),
    Reasoning(String),
    Call,
    Arguments(usize, String),
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        4 => ".{0,8}".prop_map(Piece::Text),
        1 => ".{0,8}".prop_map(Piece::Refusal),
        2 => ".{0,8}".prop_map(Piece::Reasoning),
        1 => Just(Piece::Call),
        3 => (0..4_usize, ".{0,8}").prop_map(|(at, text)| Piece::Arguments(at, text)),
    ]
}

proptest! {
    /// Whatever the pieces are: numbers rise by one, every item that is added is done, the deltas of a part make its
    /// text, and the last event holds the items as they were done.
    #[test]
    fn events_tell_the_same_as_the_response(pieces in prop::collection::vec(piece(), 0..24), cut: bool) {
        let mut draft = draft();
        let mut out = Vec::new();
        draft.begin(&mut out);
        let mut calls = Vec::new();
        for piece in &pieces {
            match piece {
                Piece::Text(text) => draft.text(text, &mut out),
                Piece::Refusal(text) => draft.refusal(text, &mut out),
                Piece::Reasoning(text) => draft.reasoning(text, &mut out),
                Piece::Call => calls.push(draft.call("call_1", "f", &mut out)),
                Piece::Arguments(at, text) => {
                    if let Some(at) = calls.get(*at) {
                        draft.arguments(*at, text, &mut out);
                    }
                }
            }
        }
        let ending = if cut { Ending::Incomplete("max_output_tokens") } else { Ending::Completed };
        let response = draft.finish(ending, Value::Null, &mut out);
        let events = events(&out);

        let numbers: Vec<_> = events.iter().map(|event| event["sequence_number"].as_u64().unwrap()).collect();
        prop_assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
        let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).cloned().collect::<Vec<_>>();
        let mut done = of("response.output_item.done");
        prop_assert_eq!(of("response.output_item.added").len(), done.len());
        done.sort_by_key(|event| event["output_index"].as_u64());
        let done: Vec<_> = done.into_iter().map(|event| event["item"].clone()).collect();
        prop_assert_eq!(&done[..], response.output());
        prop_assert_eq!(&events.last().unwrap()["response"], &json!(response));

        for (kind, member) in [
            ("response.output_text", "text"),
            ("response.refusal", "refusal"),
            ("response.reasoning_text", "text"),
            ("response.function_call_arguments", "arguments"),
        ] {
            for end in of(&format!("{kind}.done")) {
                let same = |event: &&Value| {
                    ["item_id", "output_index", "content_index"].iter().all(|name| event[name] == end[name])
                };
                let deltas = of(&format!("{kind}.delta"));
                let whole: String =
                    deltas.iter().filter(same).map(|event| event["delta"].as_str().unwrap()).collect();
                prop_assert_eq!(&end[member], &json!(whole));
            }
        }
        let said = |wanted: fn(&Piece) -> Option<&String>| pieces.iter().filter_map(wanted).cloned().collect::<String>();
        let texts: String = response
            .output()
            .iter()
            .filter_map(|item| item["content"].as_array())
            .flatten()
            .filter(|part| part["type"] == "output_text")
            .map(|part| part["text"].as_str().unwrap())
            .collect();
        prop_assert_eq!(texts, said(|piece| match piece { Piece::Text(text) => Some(text), _ => None }));
    }
}
