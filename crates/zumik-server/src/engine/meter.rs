//! Keeping account of one generation, however it ends.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use zumik_types::{Extra, QosAdmission, QosCompletion, QosOutcome};

use super::accounts::{Accounts, Settled};
use super::call::{Asked, Sent};
use super::event::Measured;
use super::target::{Route, Target};
use super::usage::Usage;
use super::{Failure, ProviderError, ProviderFailure};

/// The account of one generation. It is closed once: by what it is told last, or as cancelled when it is dropped.
pub(crate) struct Meter {
    accounts: Arc<Accounts>,
    open: Option<Box<Account>>,
}

/// What an account says.
pub(crate) struct Account {
    pub(crate) asked: Asked,
    /// The model as the caller named it.
    pub(crate) requested: Arc<str>,
    /// Who is asked; nothing when that could not be found out.
    pub(crate) target: Option<Target>,
    pub(crate) fallback_used: bool,
    /// What was answered: what reuse is measured by.
    pub(crate) sent: Option<Sent>,
    pub(crate) usage: Option<Usage>,
    /// What was measured by whoever answered.
    pub(crate) measured: Option<Measured>,
    /// What has been delivered, as far as it is needed to count it: see [`Meter::delivered`].
    pub(crate) delivered: String,
    /// Whether the provider began to answer.
    pub(crate) answered: bool,
    pub(crate) ttft: Option<Duration>,
    pub(crate) latency: Option<Duration>,
    pub(crate) end: End,
    /// When it ended; until then, when it was asked for.
    pub(crate) ended_at: DateTime<Utc>,
}

/// How a generation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// With an answer.
    Completed,
    /// With an error, for a reason of the list in `concepts.md`, "QoS".
    Failed(Option<&'static str>),
    /// The caller went away.
    Cancelled,
    /// At the caller's deadline.
    Expired,
    /// At the caller's deadline, before anyone was asked.
    Unstarted,
    /// It was refused before anything was asked of a provider.
    Rejected(&'static str),
}

/// Most bytes of an answer that are kept to be counted.
const MOST_DELIVERED: usize = 256 * 1024;

impl Meter {
    /// Opens an account.
    pub(crate) fn open(accounts: Arc<Accounts>, asked: Asked, route: &Route) -> Self {
        Self::begin(accounts, asked, Arc::clone(&route.requested), Some(route.first.clone()))
    }

    /// Opens an account of a call that leads nowhere.
    pub(crate) fn lost(accounts: Arc<Accounts>, asked: Asked, requested: Arc<str>) -> Self {
        Self::begin(accounts, asked, requested, None)
    }

    fn begin(accounts: Arc<Accounts>, asked: Asked, requested: Arc<str>, target: Option<Target>) -> Self {
        let account = Account {
            ended_at: asked.ctx.now,
            asked,
            requested,
            target,
            fallback_used: false,
            sent: None,
            usage: None,
            measured: None,
            delivered: String::new(),
            answered: false,
            ttft: None,
            latency: None,
            end: End::Cancelled,
        };
        Self { accounts, open: Some(Box::new(account)) }
    }

    /// The target began to answer: this is the first token.
    pub(crate) fn answered(&mut self, target: &Target, fallback_used: bool) {
        if let Some(account) = &mut self.open {
            account.target = Some(target.clone());
            account.fallback_used = fallback_used;
            account.answered = true;
            account.ttft = Some(account.asked.started.elapsed());
        }
    }

    /// This is what the target began to answer.
    pub(crate) fn sent(&mut self, sent: Sent) {
        if let Some(account) = &mut self.open {
            account.sent = Some(sent);
        }
    }

    /// The provider reported its usage; the last report counts.
    pub(crate) fn usage(&mut self, usage: Usage) {
        if let Some(account) = &mut self.open {
            account.usage = Some(usage);
        }
    }

    /// Whoever answered knows what it took.
    pub(crate) fn measured(&mut self, measured: Measured) {
        if let Some(account) = &mut self.open {
            let reuse = measured.reuse;
            account.usage =
                Some(Usage { input: reuse.input(), output: measured.output_tokens, cached: None });
            account.measured = Some(measured);
        }
    }

    /// So much of the answer went out. It is counted when the provider reports no usage, as when a stream is cancelled.
    pub(crate) fn delivered(&mut self, text: &str) {
        if let Some(account) = &mut self.open
            && account.delivered.len() + text.len() <= MOST_DELIVERED
        {
            account.delivered.push_str(text);
        }
    }

    /// The outcome so far: what can be told before the answer is complete.
    pub(crate) fn outcome(&self) -> QosOutcome {
        match &self.open {
            Some(account) => account.outcome(),
            None => super::qos::queued(),
        }
    }

    /// The answer is complete. Its account is settled after it has gone out.
    pub(crate) fn complete(mut self) -> QosOutcome {
        let Some(account) = self.close(End::Completed) else { return super::qos::queued() };
        let outcome = account.outcome();
        self.accounts.settle_later(account);
        outcome
    }

    /// The answer is complete, and what it took is part of it.
    ///
    /// # Errors
    /// The tokens could not be counted.
    pub(crate) async fn complete_and_settle(mut self) -> Result<Settled, Failure> {
        let closed = || Failure::Internal("an account was closed twice".into());
        let account = self.open.as_mut().ok_or_else(closed)?;
        account.close(End::Completed, self.accounts.now());
        // A client that goes away now leaves it to be settled later.
        let generation = self.accounts.generation(account).await;
        let account = self.open.take().ok_or_else(closed)?;
        self.accounts.settle(account, generation).await
    }

    /// There is no answer, or not all of it. A request that nobody could be asked is no generation.
    pub(crate) fn fail(mut self, failure: &Failure) {
        if matches!(failure, Failure::Untranslatable { .. }) {
            self.open = None;
            return;
        }
        let asked = self.open.as_ref().is_some_and(|account| account.target.is_some());
        let end = match failure {
            Failure::Deadline(_) if asked => End::Expired,
            Failure::Deadline(_) => End::Unstarted,
            Failure::Region(_) => End::Rejected("region_not_allowed"),
            Failure::Provider(ProviderFailure { error, .. }) => match error {
                ProviderError::NoTarget => End::Rejected("provider_unavailable"),
                unasked if unasked.is_unasked() => End::Rejected("provider_unavailable"),
                ProviderError::Refused(_) => End::Failed(None),
                _ => End::Failed(Some("provider_unavailable")),
            },
            _ => End::Failed(None),
        };
        let unasked = matches!(failure, Failure::Provider(failed) if failed.error.is_unasked());
        if let Some(account) = self.close(end).filter(|account| !(unasked && account.asked.comes_again)) {
            self.accounts.settle_later(account);
        }
    }

    fn close(&mut self, end: End) -> Option<Box<Account>> {
        let mut account = self.open.take()?;
        account.close(end, self.accounts.now());
        Some(account)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        if let Some(account) = self.close(End::Cancelled) {
            self.accounts.settle_later(account);
        }
    }
}

impl Account {
    /// The generation has ended. What is told first counts.
    fn close(&mut self, end: End, now: DateTime<Utc>) {
        if self.latency.is_none() {
            self.end = end;
            self.ended_at = now;
            self.latency = Some(self.asked.started.elapsed());
        }
    }

    /// How the call went, or has gone so far.
    pub(crate) fn outcome(&self) -> QosOutcome {
        let ended = self.latency.is_some();
        let wanted = &self.asked.qos;
        let (ttft, latency) = (self.ttft.map(millis), self.latency.map(millis));
        let target_met = match (wanted.target_ttft_ms, ttft) {
            (Some(target), Some(ttft)) => Some(ttft <= target),
            _ => None,
        };
        let (admission, completion, reason) = match self.end {
            _ if !ended => (QosAdmission::Admitted, None, None),
            End::Completed => (QosAdmission::Admitted, Some(QosCompletion::Completed), None),
            End::Failed(reason) => (QosAdmission::Admitted, Some(QosCompletion::Failed), reason),
            End::Cancelled => {
                (QosAdmission::Admitted, Some(QosCompletion::Cancelled), Some("cancelled_by_client"))
            }
            End::Expired => (
                QosAdmission::Admitted,
                Some(QosCompletion::ExpiredDuringExecution),
                Some("deadline_exceeded"),
            ),
            End::Unstarted => (QosAdmission::ExpiredBeforeStart, None, Some("customer_deadline_too_short")),
            End::Rejected(reason) => (QosAdmission::Rejected, None, Some(reason)),
        };
        let missed = (target_met == Some(false)).then_some("target_ttft_missed");
        let fallback = self.fallback_used.then_some("provider_unavailable");
        let started = !matches!(self.end, End::Unstarted | End::Rejected(_));
        QosOutcome {
            admission,
            completion,
            target_met,
            ttft_ms: ttft,
            latency_ms: latency.filter(|_| started),
            deadline_met: match (wanted.deadline_ms, latency) {
                (Some(_), _) if ended && matches!(self.end, End::Unstarted | End::Expired) => Some(false),
                (Some(deadline), Some(latency)) if self.end == End::Completed => Some(latency <= deadline),
                _ => None,
            },
            degraded: self.fallback_used,
            fallback_used: self.fallback_used,
            reason_code: reason.or(fallback).or(missed).map(str::to_owned),
            extra: Extra::new(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use chrono::TimeDelta;
    use serde_json::json;
    use tokio::time::Instant;
    use ulid::Ulid;
    use zumik_types::{Qos, UsageEvent, UsageEventId, UsageStatus};

    use super::super::{Api, Compiled, Routing, Surface, Wanted};
    use super::*;
    use crate::app::App;
    use crate::clock::{Clock as _, FixedClock};
    use crate::fixtures;
    use crate::store::{ProjectCtx, UsageQuery};

    async fn asked(app: &App, ctx: &ProjectCtx) -> Asked {
        Asked {
            ctx: ctx.clone(),
            surface: Surface::V2Responses,
            object_id: "rsp_1".to_owned(),
            session_id: None,
            branch_id: None,
            qos: Qos::default(),
            started: Instant::now(),
            past: app.reuse.past(&ctx.project).await,
            comes_again: false,
        }
    }

    async fn open(app: &App, ctx: &ProjectCtx) -> Meter {
        let first = Target::placeholder(None);
        let route = Route { requested: "auto".into(), first, others: Vec::new() };
        Meter::open(Arc::clone(&app.engine.accounts), asked(app, ctx).await, &route)
    }

    /// All usage events from a time on.
    async fn since(app: &App, ctx: &ProjectCtx, start: DateTime<Utc>) -> Vec<UsageEvent> {
        app.engine.settle().await;
        app.usage.flush().await.unwrap();
        let period = UsageQuery::between(start, start + TimeDelta::days(2));
        app.store.usage(ctx, period).await.unwrap().data
    }

    #[tokio::test]
    async fn a_client_that_goes_away_while_its_generation_is_settled_is_counted() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        // So long that it is counted on a thread of its own.
        let text = "Why did CI fail? ".repeat(2_000);
        let prompt = json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
        let prompt = Bytes::from(prompt);
        for polls in 1..6 {
            let mut meter = open(&app, &ctx).await;
            meter.answered(&Target::placeholder(None), false);
            let (api, body) = (Api::ChatCompletions, prompt.clone());
            meter.sent(Sent { api, body, compiled: Compiled::default() });
            fixtures::leave(meter.complete_and_settle(), polls).await;
        }
        // What has begun to be counted is so before long.
        let counted = async {
            loop {
                let events = since(&app, &ctx, ctx.now - TimeDelta::days(1)).await;
                if events.len() == 5 {
                    return events;
                }
                tokio::task::yield_now().await;
            }
        };
        let events = tokio::time::timeout(Duration::from_secs(10), counted).await.expect("all are counted");
        assert!(events.iter().all(|event| event.status == UsageStatus::Completed), "{events:?}");
    }

    #[tokio::test]
    async fn an_event_is_of_the_time_at_which_its_generation_ended() {
        let clock = Arc::new(FixedClock::at("2026-06-15T16:04:10Z".parse().unwrap()));
        let (app, ctx) = fixtures::app_at(fixtures::memory(), clock.clone()).await;
        let (left, completed) = (open(&app, &ctx).await, open(&app, &ctx).await);
        clock.advance(TimeDelta::seconds(2));
        let since_then = clock.now();
        clock.advance(TimeDelta::seconds(2));
        drop(left);
        completed.complete();
        clock.advance(TimeDelta::seconds(2));
        let events = since(&app, &ctx, since_then).await;
        assert_eq!(events.len(), 2, "{events:?}");
        let millis = u64::try_from(since_then.timestamp_millis()).unwrap();
        let earlier = Ulid::from_parts(millis, 0).to_string().to_ascii_lowercase();
        for event in events {
            assert_eq!(event.created_at, since_then + TimeDelta::seconds(2));
            assert!(event.id > UsageEventId::with_suffix(&earlier), "{}", event.id);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_passes_before_anyone_is_asked_leaves_a_call_that_never_began() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        let mut asked = asked(&app, &ctx).await;
        asked.qos.deadline_ms = Some(100);
        tokio::time::advance(Duration::from_millis(100)).await;
        let wanted = Wanted { asked: &asked, model: "auto", prompt: "", routing: &Routing::default() };
        let failure = app.engine.resolve(&wanted).await.unwrap_err();
        assert!(matches!(failure, Failure::Deadline(100)), "{failure:?}");
        let events = since(&app, &ctx, ctx.now - TimeDelta::days(1)).await;
        let [UsageEvent { status: UsageStatus::Expired, provider: None, qos_outcome, .. }] = &events[..]
        else {
            panic!("{events:?}")
        };
        let expected = QosOutcome {
            admission: QosAdmission::ExpiredBeforeStart,
            deadline_met: Some(false),
            reason_code: Some("customer_deadline_too_short".to_owned()),
            ..crate::engine::qos::queued()
        };
        assert_eq!(*qos_outcome, expected);
    }
}
