//! A server that says what a test wants: for answers that a real one would never give.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use serde_json::{Value, json};

/// What it does with a request for a chat completion.
pub(crate) enum Play {
    /// Streams these pieces of text, to the end.
    Say(&'static [&'static str]),
    /// Says nothing until the client goes.
    BeSilent,
}

/// What it tells the test.
#[derive(Debug, PartialEq)]
pub(crate) enum Heard {
    /// The body of a request.
    Asked(Value),
    /// The client went while the server was silent.
    Left,
}

/// Answers one request after the other; gives its URL and what it hears.
pub(crate) fn play(plays: Vec<Play>) -> (String, Receiver<Heard>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let (tell, heard) = channel();
    thread::spawn(move || {
        for play in plays {
            let (stream, _) = listener.accept().expect("a connection");
            let _ = tell.send(Heard::Asked(request(&stream)));
            match play {
                Play::Say(pieces) => say(stream, pieces),
                Play::BeSilent => {
                    let mut stream = stream;
                    let _ = stream.read(&mut [0]);
                    let _ = tell.send(Heard::Left);
                }
            }
        }
    });
    (url, heard)
}

/// Reads a request; gives its body.
fn request(stream: &TcpStream) -> Value {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a header");
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().expect("a length");
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("the body");
    serde_json::from_slice(&body).expect("JSON")
}

fn say(mut stream: TcpStream, pieces: &[&str]) {
    let chunk = |choices: Value, usage: Value| {
        json!({
            "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 7, "model": "m",
            "choices": choices, "usage": usage,
        })
    };
    let mut events = String::new();
    for text in pieces {
        let choice = json!([{ "index": 0, "delta": { "content": text }, "finish_reason": null }]);
        events += &format!("data: {}\n\n", chunk(choice, Value::Null));
    }
    let end = json!([{ "index": 0, "delta": {}, "finish_reason": "stop" }]);
    let usage = json!({
        "prompt_tokens": 1840, "completion_tokens": 5, "total_tokens": 1845,
        "prompt_tokens_details": { "cached_tokens": 1536 },
    });
    events += &format!(
        "data: {}\n\ndata: {}\n\ndata: [DONE]\n\n",
        chunk(end, Value::Null),
        chunk(json!([]), usage)
    );
    let head = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncontent-length: {}\r\nconnection: close\r\n\
         agent-resolved-provider: openai\r\nagent-resolved-model: gpt-4o\r\nagent-execution-mode: live\r\n\r\n",
        events.len()
    );
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(events.as_bytes()));
}
