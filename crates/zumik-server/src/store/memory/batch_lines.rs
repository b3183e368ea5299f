//! Lines of batches of the model: claimed, held, settled, given back.

use chrono::{DateTime, Utc};
use zumik_types::{BatchId, BatchStatus};

use super::batches::{BatchEntry, LineState};
use super::state::State;
use crate::store::batch_results::LineResult;
use crate::store::rules::whole_seconds;
use crate::store::{ClaimedLine, LINE_LEASE, LineLease, LineOutcome, Result, StoreError};

impl State {
    pub(super) fn claim_batch_lines(&mut self, now: DateTime<Utc>, most: usize) -> Vec<ClaimedLine> {
        let millis = now.timestamp_millis();
        let mut turn: Vec<_> = self
            .batches
            .iter_mut()
            .filter(|(_, entry)| entry.has_status(BatchStatus::InProgress) && entry.expires_at() > now)
            .filter(|(_, entry)| entry.lines.iter().any(|line| line.is_due(millis)))
            .filter(|(_, entry)| entry.held_up_until(millis).is_none())
            .collect();
        turn.sort_by_key(|(_, entry)| entry.served_at);
        turn.truncate(most);
        let share = most.div_ceil(turn.len().max(1));
        let mut claimed = Vec::new();
        for (id, entry) in turn {
            let room = share.min(most - claimed.len());
            let mut due: Vec<_> = entry.lines.iter_mut().filter(|line| line.is_due(millis)).collect();
            due.sort_by_key(|line| line.due);
            for line in due.into_iter().take(room) {
                line.state = LineState::Running;
                line.due = (now + LINE_LEASE).timestamp_millis();
                line.epoch += 1;
                line.attempts += 1;
                entry.served_at = millis;
                claimed.push(ClaimedLine {
                    lease: LineLease { line: line.row, epoch: line.epoch },
                    batch: id.clone(),
                    project: entry.project.clone(),
                    key: entry.key.clone(),
                    scopes: entry.scopes,
                    attempt: line.attempts,
                    body: line.body.clone(),
                    id: line.id.clone(),
                    custom_id: line.custom_id.clone(),
                });
            }
        }
        claimed
    }

    /// The batch and the place of a line that is held by this lease.
    fn held_line(&self, lease: &LineLease) -> Result<(BatchId, usize)> {
        let lines = self
            .batches
            .iter()
            .flat_map(|(id, entry)| entry.lines.iter().enumerate().map(move |(at, line)| (id, at, line)));
        lines
            .into_iter()
            .find(|(_, _, line)| line.row == lease.line && line.is_running() && line.epoch == lease.epoch)
            .map(|(id, at, _)| (id.clone(), at))
            .ok_or(StoreError::LeaseLost)
    }

    pub(super) fn renew_batch_line(&mut self, lease: &LineLease, now: DateTime<Utc>) -> Result<()> {
        let (id, at) = self.held_line(lease)?;
        self.batches[&id].lines[at].due = (now + LINE_LEASE).timestamp_millis();
        Ok(())
    }

    pub(super) fn release_batch_line(&mut self, lease: &LineLease) -> Result<()> {
        let (id, at) = self.held_line(lease)?;
        let line = &mut self.batches[&id].lines[at];
        line.state = LineState::Waiting;
        line.attempts -= 1;
        line.due = 0;
        Ok(())
    }

    pub(super) fn settle_batch_line(
        &mut self,
        claimed: &ClaimedLine,
        outcome: &LineOutcome,
        now: DateTime<Utc>,
    ) -> Result<bool> {
        let (id, at) = self.held_line(&claimed.lease)?;
        let entry = &mut self.batches[&id];
        let line = &mut entry.lines[at];
        match LineResult::of(&claimed.id, &claimed.custom_id, outcome)? {
            None => {
                line.state = LineState::Waiting;
                line.due = outcome.again().map_or(0, |at| at.timestamp_millis());
                line.attempts -= u32::from(matches!(outcome, LineOutcome::Rests(_)));
            }
            Some(result) => {
                let instead = result.instead(entry.result_bytes, &claimed.id, &claimed.custom_id)?;
                let result = instead.unwrap_or(result);
                entry.result_bytes += result.text.len() as u64;
                let counts = &mut entry.batch.request_counts;
                *(if result.completed { &mut counts.completed } else { &mut counts.failed }) += 1;
                line.state = LineState::Settled(result);
                if counts.completed + counts.failed == counts.total
                    && entry.has_status(BatchStatus::InProgress)
                {
                    entry.batch.status = BatchStatus::Finalizing;
                    entry.batch.finalizing_at = Some(whole_seconds(now));
                }
            }
        }
        Ok(entry.end(now).is_some())
    }

    pub(super) fn next_batch_work(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let now = now.timestamp_millis();
        let next = |entry: &BatchEntry| {
            let expires_at = entry.expires_at().timestamp_millis();
            let open = entry.lines.iter().filter(|line| line.is_open());
            match entry.batch.status {
                BatchStatus::Validating | BatchStatus::Finalizing => Some(0),
                BatchStatus::InProgress => {
                    let due = entry.held_up_until(now).or(open.map(|line| line.due).min());
                    due.into_iter().chain([expires_at]).min()
                }
                BatchStatus::Cancelling => {
                    open.filter(|line| line.is_running()).map(|line| line.due).chain([expires_at]).min()
                }
                _ => None,
            }
        };
        self.batches.values().filter_map(next).min().and_then(DateTime::from_timestamp_millis)
    }
}
