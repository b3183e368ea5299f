//! What the tour tells at the end: as lines for people, as one JSON object for programs.

use serde::Serialize;
use zumik_client::types::{QosOutcome, ReuseWaterfall};

use super::files::{Found, Skipped};
use super::meter::Calls;
use crate::failure::Failure;
use crate::term::{self, Screen};

/// The whole tour in ids and numbers; what `--json` prints.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub object: &'static str,
    /// Base URL of the server.
    pub url: String,
    /// Whether that server was started for the tour.
    pub embedded: bool,
    pub folder: String,
    pub files: FilesSummary,
    pub bundle_id: String,
    pub session_id: String,
    pub conflict: ConflictSummary,
    pub merge: MergeSummary,
    pub snapshot_id: String,
    pub generation: GenerationSummary,
    pub diagnostic: DiagnosticSummary,
    pub purge: PurgeSummary,
    pub calls: Calls,
}

#[derive(Debug, Serialize)]
pub(crate) struct FilesSummary {
    pub uploaded: usize,
    pub bytes: u64,
    /// Whether a limit ended the walk.
    pub more: bool,
    pub skipped: Vec<Skipped>,
}

impl FilesSummary {
    pub(crate) fn of(found: &Found) -> Self {
        Self {
            uploaded: found.texts.len(),
            bytes: found.total_bytes(),
            more: found.ended_by.is_some(),
            skipped: found.skipped.clone(),
        }
    }
}

/// The append that lost, and where its event stands in the end.
#[derive(Debug, Serialize)]
pub(crate) struct ConflictSummary {
    pub branch_id: String,
    pub expected_version: u64,
    pub current_version: Option<u64>,
    pub resolved_as_sequence: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct MergeSummary {
    pub strategy: String,
    pub source_branch_id: String,
    pub appended: usize,
    /// Version of the target afterwards.
    pub version: u64,
}

#[derive(Debug, Serialize)]
pub(crate) struct GenerationSummary {
    pub response_id: String,
    pub(crate) model: String,
    /// `live`, `openrouter_fallback` or `placeholder`, as the server says.
    pub execution_mode: Option<String>,
    /// Whether no model answered.
    pub placeholder: bool,
    pub qos_outcome: QosOutcome,
}

#[derive(Debug, Serialize)]
pub(crate) struct DiagnosticSummary {
    pub id: String,
    pub traces: usize,
    pub workload_reuse_score: u64,
    pub band: String,
    pub waterfall: ReuseWaterfall,
}

#[derive(Debug, Serialize)]
pub(crate) struct PurgeSummary {
    pub artifact_id: String,
    pub path: String,
    pub purge_job_id: String,
    pub receipt_id: String,
    pub digest: String,
    pub guarantee: String,
    /// When the caches of providers have expired, if there are any.
    pub expires_at: Option<String>,
    /// Digest, signature and guarantee hold, checked without the server.
    pub verified: bool,
    /// Status of a GET on the document afterwards.
    pub status_after: u16,
}

/// The closing lines: what all of it cost.
pub(crate) fn show(screen: &mut Screen, calls: &Calls) -> Result<(), Failure> {
    screen.item("calls", format_args!("{}, retried {}", calls.calls, term::plural(calls.retries, "time")))?;
    screen.item(
        "bytes",
        format_args!(
            "{} sent, {} received",
            term::bytes(calls.bytes_sent),
            term::bytes(calls.bytes_received)
        ),
    )?;
    screen.item(
        "time",
        format_args!("{} median, {} p99", term::millis(calls.median_ms), term::millis(calls.p99_ms)),
    )
}
