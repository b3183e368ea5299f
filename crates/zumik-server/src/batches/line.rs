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
    /// No model was asked for it. It is still held, and nothing of it is kept: it is due again at this time.
    Rests(DateTime<Utc>),
    /// Its lease was lost, or its result could not be kept.
    Lost,
}

/// What an attempt came to.
enum Attempt {
    /// To be kept.
    Came(LineOutcome),
    /// No model was asked, and none should be before this time.
    Rests(DateTime<Utc>),
}

/// Runs a line and keeps what it came to.
pub(super) async fn run(shop: Arc<Shop>, line: ClaimedLine) -> Ended {
    let outcome = match attempt(&shop, &line).await {
        Attempt::Came(outcome) => outcome,
        Attempt::Rests(until) => return Ended::Rests(until),
    };
    let again = if let LineOutcome::Again(at) = &outcome { Some(*at) } else { None };
    let settled = insist(|| shop.store.settle_batch_line(&line, outcome.clone(), shop.clock.now())).await;
    match settled {
        Ok(last) => again.map_or(Ended::Settled { last }, Ended::Waits),
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

async fn attempt(shop: &Shop, line: &ClaimedLine) -> Attempt {
    if line.attempt > ATTEMPTS {
        let message = format!("The line got no answer in {ATTEMPTS} attempts.");
        return Attempt::Came(LineOutcome::Failed { message });
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
    let after = |pause: Duration| {
        tracing::debug!(
            trace = %answer.trace, batch = %line.batch, status = answer.status, attempt = line.attempt,
            "a line of a batch is tried again"
        );
        shop.clock.now() + TimeDelta::from_std(pause).unwrap_or(TimeDelta::zero())
    };
    match verdict(&answer, line.attempt, shop.chance()) {
        Verdict::Rests(pause) => Attempt::Rests(after(pause)),
        Verdict::Again(pause) => Attempt::Came(LineOutcome::Again(after(pause))),
        Verdict::Stands => Attempt::Came(LineOutcome::Answered {
            status: answer.status,
            request_id: answer.trace,
            body: answer.body,
        }),
    }
}
