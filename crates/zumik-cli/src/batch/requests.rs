//! The file of requests, checked before anything is sent.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;
use zumik_client::types::operations::CREATE_CHAT_COMPLETION;

use crate::failure::Failure;
use crate::input;
use crate::term;

/// What chat requests are sent to.
const CHAT: &str = CREATE_CHAT_COMPLETION.path;

/// Bytes of one upload (contract: `v1.md`, "Files"), less room for the form around the file.
const LARGEST: usize = 2 * 1024 * 1024 - 4 * 1024;

/// The input of a batch.
#[derive(Debug)]
pub(super) struct Requests {
    /// Batch lines.
    pub jsonl: String,
    /// What all of them are sent to.
    pub endpoint: String,
}

/// What a line is told by. All else in it is the server's business.
#[derive(Deserialize)]
struct Line<'a> {
    custom_id: Option<Value>,
    method: Option<Value>,
    url: Option<Value>,
    body: Option<Body>,
    messages: Option<Value>,
    #[serde(borrow, default, deserialize_with = "given")]
    model: Option<&'a RawValue>,
    stream: Option<bool>,
}

#[derive(Deserialize)]
struct Body {
    stream: Option<bool>,
}

/// Reads the requests of a file, one a line; empty lines are passed over.
pub(super) fn read(path: &Path, model: &str) -> Result<Requests, Failure> {
    let name = input::name(path);
    let text =
        input::read(path).map_err(|error| Failure::failed(format_args!("cannot read {name}: {error}")))?;
    requests(&text, model).map_err(|error| error.about(&name))
}

fn requests(text: &str, model: &str) -> Result<Requests, Failure> {
    let mut jsonl = String::with_capacity(text.len());
    let mut names: HashMap<String, usize> = HashMap::new();
    let mut endpoint: Option<String> = None;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    for (at, line) in lines {
        let number = at + 1;
        let refuse = |why: &str| Failure::failed(format_args!("line {number}: {why}"));
        let parsed: Line<'_> = serde_json::from_str(line).map_err(|error| refuse(&unreadable(&error)))?;
        if parsed.stream == Some(true) || parsed.body.as_ref().and_then(|body| body.stream) == Some(true) {
            return Err(refuse("it asks for a stream, which a batch cannot give; take \"stream\" out"));
        }
        let (custom_id, url) = match (&parsed.custom_id, &parsed.messages) {
            (Some(Value::String(id)), _) if !id.is_empty() => {
                let Some(Value::String(url)) = &parsed.url else {
                    return Err(refuse("a line with a custom_id needs method, url and body"));
                };
                if parsed.method.as_ref().and_then(Value::as_str) != Some("POST") {
                    return Err(refuse("method must be \"POST\""));
                }
                jsonl.push_str(line);
                (id.clone(), url.clone())
            }
            (Some(_), _) => return Err(refuse("custom_id must be a text that is not empty")),
            (None, Some(_)) => {
                let id = format!("line-{number}");
                push_chat(&mut jsonl, &id, line, parsed.model, model);
                (id, CHAT.to_owned())
            }
            (None, None) => {
                return Err(refuse(
                    "it is neither a chat request (with messages) nor a batch line (with custom_id, method, url, body)",
                ));
            }
        };
        jsonl.push('\n');
        if let Some(first) = names.insert(custom_id, number) {
            return Err(refuse(&format!("line {first} has the same custom_id")));
        }
        let endpoint = endpoint.get_or_insert_with(|| url.clone());
        if *endpoint != url {
            return Err(refuse(&format!(
                "all lines of a batch go to one url, and those before go to {endpoint}"
            )));
        }
        if jsonl.len() > LARGEST {
            return Err(refuse(&format!(
                "a batch holds at most {}; split the file",
                term::bytes(LARGEST as u64)
            )));
        }
    }
    match endpoint {
        Some(endpoint) => Ok(Requests { jsonl, endpoint }),
        None => Err(Failure::failed("there is no request in it")),
    }
}

/// Why a line cannot be read, without what stands in it.
fn unreadable(error: &serde_json::Error) -> String {
    format!("it is no JSON object that a request could be (column {})", error.column())
}

/// A member that is there, `null` or not.
fn given<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Makes a batch line of a chat request, which stays as it was written but for the model, if it names none.
fn push_chat(jsonl: &mut String, id: &str, request: &str, named: Option<&RawValue>, model: &str) {
    let begin = format!(r#"{{"custom_id":"{id}","method":"POST","url":"{CHAT}","body":"#);
    jsonl.push_str(&begin);
    let model = Value::from(model);
    match (named.map(RawValue::get), request.strip_prefix('{')) {
        (None, Some(rest)) => jsonl.push_str(&format!(r#"{{"model":{model},{rest}"#)),
        (Some(named @ "null"), _) => {
            // It is a part of the request.
            let at = named.as_ptr() as usize - request.as_ptr() as usize;
            jsonl.push_str(&format!("{}{model}{}", &request[..at], &request[at + named.len()..]));
        }
        _ => jsonl.push_str(request),
    }
    jsonl.push('}');
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(requests: &Requests) -> Vec<Value> {
        requests.jsonl.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn chat_requests_are_named_by_their_line_and_kept_as_they_are() {
        let text = "\n{\"messages\": [{\"role\":\"user\",\"content\":\"a\"}], \"x\": 1e3}\r\n{\"model\":\"m\",\"messages\":[]}";
        let requests = requests(text, "quo\"ted").unwrap();
        assert_eq!(requests.endpoint, CHAT);
        let lines = lines(&requests);
        assert_eq!(lines[0]["custom_id"], "line-2");
        assert_eq!(lines[0]["body"]["model"], "quo\"ted");
        assert_eq!(lines[0]["body"]["messages"][0]["content"], "a");
        assert!(requests.jsonl.contains("\"x\": 1e3"), "{}", requests.jsonl);
        let second =
            json!({"custom_id":"line-3","method":"POST","url":CHAT,"body":{"model":"m","messages":[]}});
        assert_eq!(lines[1], second);
    }

    #[test]
    fn a_request_that_names_no_model_gets_one_and_no_second() {
        for line in [
            r#"{"messages":[]}"#,
            r#"{"model":null,"messages":[]}"#,
            r#"{"messages":[],"model" : null , "x":{"model":null}}"#,
        ] {
            let requests = requests(line, "auto").unwrap();
            assert_eq!(lines(&requests)[0]["body"]["model"], "auto", "{line}");
            assert_eq!(requests.jsonl.matches("\"auto\"").count(), 1, "{line}");
            let members = line.matches("\"model\"").count().max(1);
            assert_eq!(requests.jsonl.matches("\"model\"").count(), members, "{}", requests.jsonl);
        }
    }

    #[test]
    fn batch_lines_go_through_byte_for_byte() {
        let line = r#"{"custom_id":"a", "method":"POST", "url":"/v1/embeddings", "body":{"input":"x"}}"#;
        let requests = requests(line, "auto").unwrap();
        assert_eq!((requests.jsonl.trim_end(), requests.endpoint.as_str()), (line, "/v1/embeddings"));
    }

    #[test]
    fn a_mistake_is_told_with_its_line() {
        let chat = r#"{"messages":[]}"#;
        let line = |id: &str, url: &str| {
            format!(r#"{{"custom_id":"{id}","method":"POST","url":"{url}","body":{{}}}}"#)
        };
        for (text, said) in [
            (format!("{chat}\nnot json"), "line 2: it is no JSON object that a request could be (column 2)"),
            (format!("{chat}\n\n[1]"), "line 3: "),
            ("{\"prompt\":1}".to_owned(), "neither a chat request"),
            ("{\"custom_id\":\"a\"}".to_owned(), "needs method, url and body"),
            (line("a", CHAT).replace("POST", "GET"), "line 1: method must be"),
            ("{\"custom_id\":7,\"messages\":[]}".to_owned(), "custom_id must be a text"),
            ("{\"messages\":[],\"stream\":true}".to_owned(), "asks for a stream"),
            (format!("{}\n{}", line("a", CHAT), line("a", CHAT)), "line 2: line 1 has the same custom_id"),
            (format!("{}\n{}", line("line-2", CHAT), chat), "the same custom_id"),
            (format!("{chat}\n{}", line("a", "/v1/embeddings")), "go to /v1/chat/completions"),
            (format!("{{\"messages\":[\"{}\"]}}", "x".repeat(LARGEST)), "split the file"),
            ("\n \n".to_owned(), "no request"),
        ] {
            let error = requests(&text, "auto").unwrap_err().to_string();
            assert!(error.contains(said), "{said}: {error}");
        }
    }
}
