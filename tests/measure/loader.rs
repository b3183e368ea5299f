//! A lean HTTP/1.1 client for load: one keep-alive connection, requests as bytes, no allocation per answer. It shares the
//! machine with the server that it measures, so it does as little as it can.

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// One connection to a server.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    host: String,
    api_key: String,
    request: Vec<u8>,
    answer: Vec<u8>,
}

impl Connection {
    /// Connects to a base URL such as `http://127.0.0.1:8787`.
    pub async fn open(base_url: &str, api_key: &str) -> io::Result<Self> {
        let host = base_url.trim_start_matches("http://").trim_end_matches('/').to_owned();
        let stream = TcpStream::connect(&host).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, host, api_key: api_key.to_owned(), request: Vec::new(), answer: Vec::new() })
    }

    /// Posts JSON and gives the body of the answer.
    ///
    /// # Errors
    /// When the connection breaks, and when the status is not 200.
    pub async fn post(&mut self, path: &str, body: &str, idempotency_key: Option<&str>) -> io::Result<&str> {
        use io::Write as _;
        self.request.clear();
        let (host, api_key, length) = (&self.host, &self.api_key, body.len());
        write!(self.request, "POST {path} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {api_key}\r\n")?;
        write!(self.request, "content-type: application/json\r\ncontent-length: {length}\r\n")?;
        if let Some(key) = idempotency_key {
            write!(self.request, "agent-idempotency-key: {key}\r\n")?;
        }
        write!(self.request, "\r\n{body}")?;
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if let Some(start) = body_start(&self.answer)
                && let Some(length) = content_length(&self.answer[..start])
                && self.answer.len() >= start + length
            {
                let text = std::str::from_utf8(&self.answer).map_err(io::Error::other)?;
                if !text.starts_with("HTTP/1.1 200") {
                    return Err(io::Error::other(text.to_owned()));
                }
                return Ok(&text[start..]);
            }
        }
    }
}

/// Where the body begins, once the whole head is there.
fn body_start(answer: &[u8]) -> Option<usize> {
    answer.windows(4).position(|window| window == b"\r\n\r\n").map(|end| end + 4)
}

/// The announced length of the body.
fn content_length(head: &[u8]) -> Option<usize> {
    let head = std::str::from_utf8(head).ok()?;
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let (_, length) = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    length.trim().parse().ok()
}

/// The value of the first member with this name, when it is a string without escapes. Enough for ids.
pub fn text_member<'a>(json: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{name}\":\""))?;
    rest.split('"').next()
}
