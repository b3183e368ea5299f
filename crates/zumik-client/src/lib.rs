//! The async Rust client of the Zumik API: an inference control plane that gives long-running agents addressable,
//! causal state, and proof of deletion.
//!
//! ```no_run
//! use zumik_client::Zumik;
//! use zumik_client::types::{ArtifactType, BundleItem, Event};
//!
//! #[tokio::main]
//! async fn main() -> zumik_client::Result<()> {
//!     let zk = Zumik::from_env()?; // ZUMIK_API_KEY, ZUMIK_BASE_URL
//!
//!     let policy = zk.artifacts().create(ArtifactType::Policy, "Run the linter before every commit.").await?;
//!     let bundle = zk.bundles().create([BundleItem::new(&policy.id, "system")]).await?;
//!     let session = zk.sessions().create().base_bundle_ids([&bundle.id]).await?;
//!
//!     let mut branch = zk.branch(&session.id, &session.default_branch_id).at_head().await?;
//!     let note = zk.artifacts().create(ArtifactType::TextContext, "CI is red on main.").await?;
//!     branch.append(Event::user_message(&note.id)).await?;
//!
//!     let answer = zk.responses().create("code.fast", "Why did CI fail?").session(&session.id).send().await?;
//!     println!("{:?} ({:?})", answer.output_text, answer.meta().execution_mode());
//!     Ok(())
//! }
//! ```
//!
//! # Calls
//!
//! What an operation requires is an argument of its method, what is optional is a setter. Nothing happens until the
//! [`Call`] is awaited, which gives the value, or [sent](Call::send), which gives the [`Response`]: the value, the
//! headers of the answer as typed [`Meta`], and its raw bytes.
//!
//! Every call also takes options of its own: [`timeout`](Call::timeout), [`max_retries`](Call::max_retries),
//! [`idempotency_key`](Call::idempotency_key), [`header`](Call::header), [`query`](Call::query),
//! [`body_field`](Call::body_field), [`hints`](Call::hints). What should hold for all calls is set on the
//! [builder](Zumik::builder), or for a variant of a client on [`with`](Zumik::with).
//!
//! An endpoint is a plain value, in [`api`]. It can be built without a client, printed, compared, and sent later:
//!
//! ```
//! # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
//! use zumik_client::api::sessions::CreateSession;
//!
//! let request = CreateSession::new();
//! assert_eq!(request, CreateSession::default());
//! let session = zk.call(request).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Where this version does not know an endpoint yet, [`Zumik::request`] reaches it.
//!
//! # The OpenAI surface
//!
//! [`Zumik::v1`] has chat completions, responses, embeddings, models, files, batches and conversations in OpenAI's shapes.
//! [`Call::stream`] gives an [`EventStream`] of typed events, which folds itself: [`collect`](EventStream::collect) waits
//! for the whole, [`text_deltas`](EventStream::text_deltas) shows the text on the way to it.
//!
//! ```no_run
//! # async fn example(zk: &zumik_client::Zumik) -> zumik_client::Result<()> {
//! use zumik_client::types::ChatMessage;
//!
//! let chat = zk.v1().chat().completions();
//! let messages = [ChatMessage::system("You are terse."), ChatMessage::user("Why did CI fail?")];
//! let mut text = chat.create("code.fast", messages).stream().await?.text_deltas();
//! while let Some(piece) = text.next().await {
//!     print!("{}", piece?);
//! }
//! let completion = text.whole().await?;
//! # Ok(())
//! # }
//! ```
//!
//! `zk.v1().batches().run(requests)` runs [many](RunBatch) of them as one batch, and gives typed
//! [results](BatchResults). The parser below the streams is a library of its own, [`sse`].
//!
//! # Ids
//!
//! Each kind of id is a type, so that they cannot be mixed up:
//!
//! ```compile_fail,E0277
//! # async fn example(zk: &zumik_client::Zumik, session: &zumik_client::types::SessionId) -> zumik_client::Result<()> {
//! zk.artifacts().retrieve(session).await?; // a session is no artifact
//! # Ok(())
//! # }
//! ```
//!
//! Parsing one checks its prefix; whatever it holds, it stays one segment of the path.
//!
//! # Errors
//!
//! There is one [`Error`]. Its text is one line that says everything; its [`kind`](Error::kind) tells what it is, its
//! [`code`](Error::code) what the server called it, and its [`outcome`](Error::outcome) whether anything may have
//! happened. Each method lists the errors of its own; these every operation with a key can answer:
//!
//! | Status | Code | What it means |
//! | --- | --- | --- |
//! | 401 | `invalid_api_key` | The key is missing, malformed, unknown or revoked |
//! | 403 | `insufficient_scope` | The key lacks the scope that the operation needs |
//! | 413 | `request_too_large` | The body is larger than 2 MiB |
//! | 429 | `rate_limit_exceeded` | A throughput limit; the server says when to come back |
//! | 500 | `internal_error` | A fault of the server |
//! | 503 | `overloaded` | The server sheds load, starts, or shuts down |
//!
//! # Documented and inferred
//!
//! The hosted service's documentation does not say everything. What is marked *inferred* it does not say, or not in
//! this form: there the workspace of this crate has decided, and an answer is read without it too. `Source:` names page
//! and section of the reference that the API is described in: `common.md` (what holds for every operation), `v1.md`,
//! `v2.md` and `concepts.md`.
//!
//! # Retries
//!
//! Calls are repeated by themselves where repeating cannot do harm: what was not sent, what the server says it did not
//! begin (429 of throughput, 503), and what may have happened if the operation bears it, or under an idempotency key.
//! Every POST carries one, made once per call; all attempts send the same key and the same bytes. The wait is the
//! larger of what the server asks for and a random back-off; more than a minute is not slept but returned. All clones
//! of a client share a retry budget, so that an outage is not multiplied. Money (402, `quota_exceeded`), a deadline of
//! the caller's own, and a lost compare-and-swap are never repeated; neither is a stream after its first event.
//!
//! # Branches
//!
//! [`Zumik::branch`] puts a [`BranchCursor`] on a branch. Every append is a compare-and-swap; losing one is a typed
//! [`BranchConflict`], and nothing is resolved silently. An append whose answer was lost is found again in the history.
//!
//! # Deletion, proven
//!
//! `zk.purge_jobs().purge(ids)` gives job and signed receipt in one [`PurgeProof`], and `proof(job_id)` does for a purge
//! that was begun before. With the feature `verify` it is checked offline.
//!
//! # Watching it
//!
//! Each call is a [`tracing`] span `zumik.call`, each attempt a `zumik.attempt` below it, with the field names of
//! OpenTelemetry. No level shows a body, a key or a full URL, and `Debug` of everything here prints sizes of prompts and
//! contents, not their text.
//!
//! # Tests of your own
//!
//! The feature `testing` has a fake transport: scripted answers and faults, recorded requests, virtual time.
//!
//! # Features
//!
//! | Feature | What it adds |
//! | --- | --- |
//! | `rustls` (default) | TLS by rustls with ring, and the certificates of the system |
//! | `rustls-no-provider` | TLS by rustls with the provider that your process has installed |
//! | `native-tls` | TLS by the library of the operating system |
//! | `socks` (default) | SOCKS proxies in `ALL_PROXY` and its like |
//! | `verify` | Offline verification of receipts |
//! | `testing` | [`testing`](https://docs.rs/zumik-client/latest/zumik_client/testing) |
//!
//! All are additive. Of several kinds of TLS, `rustls` is used before `native-tls` before `rustls-no-provider`. It needs a
//! tokio runtime with time and I/O enabled.
#![cfg_attr(docsrs, feature(doc_cfg))]
#![deny(missing_docs)]

/// The operations of the API, one module a sub-client: what `zk.artifacts()` and its kin give, and the endpoints as
/// plain values.
pub mod api {
    pub use crate::generated::*;
    pub use crate::upload::UploadFile;
}

mod ambient;
mod base_url;
mod batches;
mod branch;
mod builder;
mod call;
mod client;
mod content;
pub mod endpoint;
mod error;
mod generated;
mod json_path;
mod multipart;
mod options;
mod pipeline;
mod purge;
mod request;
mod response;
pub mod sse;
pub mod stream;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod transport;
mod upload;

pub use batches::{BatchLine, BatchResults, RunBatch, WaitForBatch};
pub use branch::{Appended, BranchCursor, BranchRef, BranchState, Decision, History};
pub use builder::Builder;
pub use bytes::Bytes;
pub use call::{Call, Sending};
pub use client::Zumik;
pub use content::Content;
pub use error::{BranchConflict, BranchPosition, Error, ErrorKind, Outcome, Result};
pub use http::{HeaderMap, Method, StatusCode};
pub use multipart::FilePart;
pub use options::Options;
#[cfg(feature = "verify")]
pub use purge::ProofError;
pub use purge::{Purge, PurgeProof, WaitForProof};
pub use request::RawCall;
pub use response::{Meta, Response};
pub use stream::{EventStream, TextDeltas};
#[cfg(feature = "verify")]
pub use zumik_receipt as receipt;
pub use zumik_types as types;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
