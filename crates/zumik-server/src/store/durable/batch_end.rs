//! How a batch ends: what its end depends on, and the files that it leaves.

use chrono::{DateTime, Utc};
use zumik_types::BatchId;

use super::batches::{line_id, line_state, status};
use crate::domain::InputLine;
use crate::store::batch_results::Unanswered;
use crate::store::batch_rules::{OUTPUT_PURPOSE, error_file_name, output_file_name};
use crate::store::{NewFile, OUTPUT_LIFETIME, Result};

/// What the files of a batch are made of. They are written only if it is still so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) struct State {
    pub(in crate::store) status: i64,
    pub(in crate::store) completed: u64,
    pub(in crate::store) failed: u64,
}

impl State {
    /// The status that the batch ends with, and why lines of it have no answer then. Nothing when it does not end.
    pub(in crate::store) fn end(self) -> Option<(i64, Unanswered)> {
        match self.status {
            // It has no lines: its input has faults.
            status::VALIDATING => Some((status::FAILED, Unanswered::Cancelled)),
            status::FINALIZING => Some((status::COMPLETED, Unanswered::Cancelled)),
            status::CANCELLING => Some((status::CANCELLED, Unanswered::Cancelled)),
            status::IN_PROGRESS => Some((status::EXPIRED, Unanswered::Expired)),
            _ => None,
        }
    }
}

/// The texts of the files of a batch. Lines are added in the order of the input.
pub(in crate::store) struct Texts {
    why: Unanswered,
    output: Vec<u8>,
    errors: Vec<u8>,
    unanswered: Vec<u8>,
}

impl Texts {
    /// No lines yet. This is why some will have no answer.
    pub(in crate::store) fn new(why: Unanswered) -> Self {
        Self { why, output: Vec::new(), errors: Vec::new(), unanswered: Vec::new() }
    }

    /// Adds what a line came to.
    pub(in crate::store) fn add_result(&mut self, state: i64, text: &[u8]) {
        let file = if state == line_state::COMPLETED { &mut self.output } else { &mut self.errors };
        file.extend_from_slice(text);
    }

    /// Adds a line that never ran.
    pub(in crate::store) fn add_unanswered(&mut self, key: [u8; 16], line: &InputLine<'_>) -> Result<()> {
        self.unanswered.extend(self.why.text(&line_id(key), &line.custom_id)?);
        Ok(())
    }

    /// The files. The lines that never ran come last.
    pub(in crate::store) fn files(mut self, id: &BatchId, now: DateTime<Utc>) -> Files<NewFile> {
        self.errors.append(&mut self.unanswered);
        let file = |filename, content: Vec<u8>| {
            (!content.is_empty()).then(|| NewFile {
                filename,
                purpose: OUTPUT_PURPOSE.to_owned(),
                content: content.into(),
                expires_at: Some(now + OUTPUT_LIFETIME),
            })
        };
        Files {
            output: file(output_file_name(id), self.output),
            errors: file(error_file_name(id), self.errors),
        }
    }
}

/// The files of a batch: none that would be empty.
pub(in crate::store) struct Files<F> {
    pub(in crate::store) output: Option<F>,
    pub(in crate::store) errors: Option<F>,
}

impl<F> Files<F> {
    /// Seals one after the other, and lets go of each as soon as it is sealed: together they may be large.
    pub(in crate::store) fn seal<S>(self, seal: impl Fn(F) -> Result<S>) -> Result<Files<S>> {
        Ok(Files { output: self.output.map(&seal).transpose()?, errors: self.errors.map(&seal).transpose()? })
    }
}
