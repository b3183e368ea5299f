//! One line, from the claim to what is kept of it.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use zumik_types::TraceId;

use super::retry::{ATTEMPTS, Verdict, verdict};
use super::worker::Shop;
use crate::insist::insist;
use crate::store::{ClaimedLine, LineOutcome, ProjectCtx, StoreError};

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
    let outcome = attempt(&shop, &line).await;
    let settled = insist(|| shop.store.settle_batch_line(&line, outcome.clone(), shop.clock.now())).await;
    match settled {
        Ok(last) => outcome.again().map_or(Ended::Settled { last }, Ended::Waits),
        Err(StoreError::LeaseLost) => {
            tracing::warn!(batch = %line.batch, "a line of a batch was taken over by another server");
            Ended::Lost
        }
        Err(error) => {
            tracing::error!(batch = %line.batch, %error, "the result of a line could not be kept");
            Ended::Lost
        }
    }
}

async fn attempt(shop: &Shop, line: &ClaimedLine) -> LineOutcome {
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
    let after = |pause: Duration, what: &str| {
        tracing::debug!(
            trace = %answer.trace, batch = %line.batch, status = answer.status, attempt = line.attempt,
            pause_s = pause.as_secs(), "a line of a batch {what}"
        );
        shop.clock.now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::zero())
    };
    match verdict(&answer, line.attempt, shop.chance()) {
        Verdict::Rests(pause) => LineOutcome::Rests(after(pause, "waits until a model can be asked")),
        Verdict::Again(pause) => LineOutcome::Again(after(pause, "is tried again")),
        Verdict::Stands => {
            LineOutcome::Answered { status: answer.status, request_id: answer.trace, body: answer.body }
        }
    }
}
