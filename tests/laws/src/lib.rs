//! Laws that hold for any input: what Zumik's readers do with bytes that a stranger sends.
//!
//! A law takes any bytes and panics when it does not hold. None of them may take longer than in proportion to its input;
//! a fuzzer watches that, see `cargo xtask fuzz`.

mod batch;
mod document;
mod form;
mod headers;
mod path;
mod receipt;
mod request;
mod server;
mod sse;

pub use batch::batch;
pub use document::document;
pub use form::form;
pub use headers::headers;
pub use path::path;
pub use receipt::receipt;
pub use request::request;
pub use sse::sse;

/// A law over any bytes.
pub type Law = fn(&[u8]);

/// Every law by its name: that of its fuzz target and of the folder of its corpus.
pub const LAWS: [(&str, Law); 8] = [
    ("batch", batch),
    ("document", document),
    ("form", form),
    ("headers", headers),
    ("path", path),
    ("receipt", receipt),
    ("request", request),
    ("sse", sse),
];
