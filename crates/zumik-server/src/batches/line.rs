//! One line, from the claim to what is kept of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use zumik_types::TraceId;

use super::retry::{ATTEMPTS, pause};
use super::worker::Shop;
use crate::store::{ClaimedLine, LineOutcome, ProjectCtx, StoreError};

/// How often it is tried to keep a result while the store cannot be written.
const KEEP_ATTEMPTS: u32 = 30;

/// The pause between two tries.
const KEEP_PAUSE: Duration = Duration::from_secs(1);

/// What came of a claimed line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// It is settled; whether its batch has no line left to run.
    Settled { last: bool },
    /// It waits for its next attempt, at this time.
    Waits(DateTime<Utc>),
    /// Its lease was lost, or its result could not be kept.
    Lost,
}

/// Runs a line and keeps what it came to.
pub(super) async fn run(shop: Arc<Shop>, line: ClaimedLine) -> Ended {
    let outcome = outcome(&shop, &line).await;
    for _ in 0..KEEP_ATTEMPTS {
        let again = if let LineOutcome::Again(at) = &outcome { Some(*at) } else { None };
        match shop.store.settle_batch_line(&line, outcome.clone(), shop.clock.now()).await {
            Ok(last) => return again.map_or(Ended::Settled { last }, Ended::Waits),
            Err(StoreError::LeaseLost) => {
                tracing::warn!(batch = %line.batch, "a line of a batch was taken over by another server");
                return Ended::Lost;
            }
            Err(error @ StoreError::Unavailable(_)) => {
                tracing::warn!(batch = %line.batch, %error, "the result of a line waits for the store");
                tokio::time::sleep(KEEP_PAUSE).await;
            }
            Err(error) => {
                tracing::error!(batch = %line.batch, %error, "the result of a line could not be kept");
                return Ended::Lost;
            }
        }
    }
    Ended::Lost
}

async fn outcome(shop: &Shop, line: &ClaimedLine) -> LineOutcome {
    if line.attempt > ATTEMPTS {
        let message = format!("The line got no answer in {ATTEMPTS} attempts.");
        return LineOutcome::Failed { message };
    }
    let now = shop.clock.now();
    let ctx = ProjectCtx {
        project: line.project.clone(),
        key: line.key.clone(),
        scopes: line.scopes,
        trace: TraceId::with_suffix(&shop.mint.suffix(now)),
        now,
    };
    let answer = shop.runner.run(&ctx, line.body.clone()).await;
    match pause(answer.status, &answer.body, line.attempt, shop.chance()) {
        Some(pause) => {
            tracing::debug!(
                trace = %answer.trace, batch = %line.batch, status = answer.status, attempt = line.attempt,
                "a line of a batch is tried again"
            );
            LineOutcome::Again(shop.clock.now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::zero()))
        }
        None => LineOutcome::Answered { status: answer.status, request_id: answer.trace, body: answer.body },
    }
}
