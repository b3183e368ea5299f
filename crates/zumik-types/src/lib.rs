//! The Zumik API as types.
//!
//! For everyone who reads or writes its JSON: no I/O, no clock, and it builds for `wasm32-unknown-unknown`. Most of it
//! is generated from the OpenAPI document of the API; this page is the table of contents.
//!
//! # Objects
//!
//! Names are the API's words: [`Artifact`], [`Session`], [`Event`]. What a program sends has a constructor with what is
//! required and setters for the rest:
//!
//! ```
//! use zumik_types::{ArtifactType, CreateArtifactRequest};
//!
//! let request = CreateArtifactRequest::new(ArtifactType::Policy, "Run the linter before every commit.")
//!     .content_media_type("text/markdown");
//! assert_eq!(serde_json::to_value(&request)?["artifact_type"], "policy");
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Objects are read leniently and lose nothing: members that this version does not know are kept in `extra` and written
//! back. `Debug` prints the size of prompts, contents and answers, never their text.
//!
//! | Group | Types |
//! | --- | --- |
//! | Artifacts | [`Artifact`], [`CreateArtifactRequest`], [`DeletedArtifact`] |
//! | Bundles | [`Bundle`], [`BundleItem`], [`CreateBundleRequest`], [`DeletedBundle`] |
//! | Sessions | [`Session`], [`CreateSessionRequest`], [`UpdateSessionRequest`], [`DeletedSession`] |
//! | Branches | [`SessionBranch`], [`ForkBranchRequest`] |
//! | Events | [`Event`], [`NewEvent`], [`AppendEventRequest`] |
//! | Merges | [`BranchMerge`], [`MergeBranchRequest`] |
//! | Snapshots | [`Snapshot`], [`CreateSnapshotRequest`] |
//! | Responses | [`NativeResponse`], [`CreateResponseRequest`], [`Qos`], [`QosOutcome`], [`AgentHints`] |
//! | Diagnostics | [`Diagnostic`], [`DiagnosticReport`], [`CreateDiagnosticRequest`], [`DiagnosticTrace`] |
//! | Purge | [`PurgeJob`], [`PurgeReceipt`], [`CreatePurgeJobRequest`], [`ReceiptKeySet`] |
//! | Token counts | [`TokenCount`], [`CountTokensRequest`] |
//! | Usage | [`UsageReport`], [`UsageEvent`], [`UsageMetrics`] |
//! | Model aliases | [`ModelAliasRelease`], [`ModelTarget`], [`CreateModelAliasRequest`] |
//! | Agent hints | [`AgentHints`], [`StoredAgentHints`] |
//! | Chat completions | [`CreateChatCompletionRequest`], [`ChatMessage`], [`ChatCompletion`], [`ChatCompletionChunk`] |
//! | `/v1` responses | [`V1Response`], [`CreateV1ResponseRequest`], [`V1OutputItem`] |
//! | Conversations | [`Conversation`], [`DeletedConversation`] |
//! | Embeddings | [`CreateEmbeddingsRequest`], [`Embeddings`], [`EmbeddingVector`] |
//! | Models | [`Model`] |
//! | `/v1` files | [`File`], [`DeletedFile`] |
//! | Batches | [`Batch`], [`CreateBatchRequest`], [`BatchRequest`], [`BatchResult`] |
//! | Errors | [`ErrorEnvelope`], [`ErrorBody`] |
//!
//! # Ids, enums, unions
//!
//! Each kind of id is a type: a [`BranchId`] cannot stand where a [`SessionId`] is wanted.
//!
//! ```compile_fail,E0277
//! # use zumik_types::{BranchId, SessionId};
//! # let branch: BranchId = "br_01jy7n7w30ardv8b6r3jk9btln".parse()?;
//! let session: SessionId = branch.into();
//! # Ok::<(), zumik_types::InvalidId>(())
//! ```
//!
//! Enums are open: a value that this version does not know is `Unrecognized` and keeps its text. So are unions: an
//! object of an unknown type is `Unrecognized` and keeps its JSON as a [`RawMember`].
//!
//! # Operations
//!
//! [`operations`] is the table of every operation: method, path, scope, and what may be done with it.
//!
//! # Documented and inferred
//!
//! The hosted service's documentation does not say everything. What is marked *inferred* it does not say, or not in
//! this form: there the workspace of this crate has decided, and an answer is read without it too. `common.md`, `v1.md`,
//! `v2.md` and `concepts.md` are the pages of the reference that the API is described in.
//!
//! # Features
//!
//! - `exhaustive`: objects that the API sends can be built with struct literals, and matched whole. For servers and tests
//!   of servers; code that does so breaks with every new member. Cargo unites features: it is on as well for whoever
//!   depends on `zumik-insight`, `zumik-server`, or `zumik-receipt` with `sign`, which build such objects. Do not build on
//!   it without asking for it.
//! - `proptest`: `proptest::arbitrary::Arbitrary` for every type.
#![deny(missing_docs)]

#[cfg(any(test, feature = "proptest"))]
mod arbitrary;
mod chat;
mod embedding;
mod event;
mod extra;
mod generated;
mod guarantee;
mod hints;
mod id;
mod json_object;
#[cfg(test)]
mod laws;
mod lenient;
mod list;
mod open_enum;
mod operation;
mod patch;
mod receipt;
mod redact;
mod text;
mod time;
mod union;
mod v1;

pub use chat::ChatAccumulator;
pub use embedding::{EmbeddingError, EmbeddingVector};
pub use extra::Extra;
pub use generated::*;
pub use hints::HintsError;
pub use id::InvalidId;
pub use list::List;
pub use operation::{Evidence, Idempotency, Method, Operation, Scope};
pub use patch::Patch;
pub use union::RawMember;
pub use v1::V1ResponseAccumulator;

#[doc(hidden)]
pub use serde_json::{Value as __Value, json as __json};

/// A JSON object with free member names. [`json_object!`] writes one down.
pub type JsonObject = serde_json::Map<String, serde_json::Value>;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
