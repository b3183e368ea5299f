//! From the account of a generation to its usage event: what was reused is measured here, off the way of the answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::{Notify, mpsc, oneshot};
use zumik_insight::ReuseTokens;
use zumik_types::{ProjectId, QosOutcome, ReuseEvidenceLevel, UsageEventId};

use super::Failure;
use super::blocks::{Block, blocks};
use super::event::{Measured, event};
use super::meter::Account;
use super::reuse::ReuseWindow;
use super::tokens::tokens;
use crate::blocking::BrokenOff;
use crate::clock::Clock;
use crate::http::{Inference, Limits, Metrics};
use crate::mint::Mint;
use crate::usage::UsageLog;

/// Most accounts that wait to be settled. One more is settled without measuring what it reused.
const QUEUE: usize = 8_192;

/// Most bytes of prompts and uncounted answers that wait with them.
const QUEUED_BYTES: usize = 64 * 1024 * 1024;

/// Most accounts that are taken from the queue at once.
const BATCH: usize = 256;

/// How long accounts gather. Settling each as it comes would wake a thread for each request, while the answer goes out.
const PAUSE: Duration = Duration::from_millis(5);

/// Where accounts are settled.
pub(crate) struct Accounts {
    reuse: Arc<ReuseWindow>,
    limits: Arc<Limits>,
    metrics: Arc<Metrics>,
    usage: Arc<UsageLog>,
    clock: Arc<dyn Clock>,
    mint: Arc<dyn Mint>,
    queue: mpsc::Sender<Job>,
    /// Bytes of the prompts and answers in the queue.
    waiting: AtomicUsize,
    /// Someone waits for what is queued.
    hurry: Arc<Notify>,
}

enum Job {
    Settle(Box<Account>),
    /// Everything before this has been settled.
    Reach(oneshot::Sender<()>),
}

/// What a generation took, in the numbers that the API tells.
pub(crate) struct Settled {
    /// Tokens of the prompt, and of their reuse.
    pub(crate) reuse: ReuseTokens,
    /// Where the realized number comes from.
    pub(crate) evidence: ReuseEvidenceLevel,
    /// Tokens of the answer.
    pub(crate) output_tokens: u64,
    /// How the call went.
    pub(crate) qos: QosOutcome,
}

impl Accounts {
    /// Begins to settle accounts, until this is dropped.
    pub(crate) fn start(
        reuse: Arc<ReuseWindow>,
        limits: Arc<Limits>,
        metrics: Arc<Metrics>,
        usage: Arc<UsageLog>,
        clock: Arc<dyn Clock>,
        mint: Arc<dyn Mint>,
    ) -> Arc<Self> {
        let (queue, jobs) = mpsc::channel(QUEUE);
        let accounts = Arc::new(Self {
            reuse,
            limits,
            metrics,
            usage,
            clock,
            mint,
            queue,
            waiting: AtomicUsize::new(0),
            hurry: Arc::default(),
        });
        tokio::spawn(work(Arc::downgrade(&accounts), jobs, Arc::clone(&accounts.hurry)));
        accounts
    }

    /// What the clock of the server says.
    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// Settles an account when there is time. Never waits.
    pub(crate) fn settle_later(&self, mut account: Box<Account>) {
        self.enter(&account);
        if account.usage.is_some() {
            // What was reported is not counted.
            account.delivered = String::new();
        }
        let bytes = account.bytes();
        if self.waiting.fetch_add(bytes, Ordering::AcqRel) + bytes > QUEUED_BYTES {
            self.waiting.fetch_sub(bytes, Ordering::AcqRel);
            account.sent = None;
            account.delivered = String::new();
        }
        if let Err(mpsc::error::TrySendError::Full(Job::Settle(account))) =
            self.queue.try_send(Job::Settle(account))
        {
            self.waiting.fetch_sub(account.bytes(), Ordering::AcqRel);
            self.record(&account, &Measured::unmeasured(&account));
        }
    }

    /// The purge generation that [`settle`](Self::settle) needs; nothing for an account that is not compared with earlier ones.
    pub(crate) async fn generation(&self, account: &Account) -> Option<u64> {
        if account.is_compared() { self.reuse.generation(&account.asked.ctx.project).await } else { None }
    }

    /// Settles an account now, for an answer that tells what it took; also when whoever waits for it goes away.
    ///
    /// # Errors
    /// The tokens could not be counted.
    pub(crate) async fn settle(
        self: &Arc<Self>,
        account: Box<Account>,
        generation: Option<u64>,
    ) -> Result<Settled, Failure> {
        self.enter(&account);
        Ok(self.measure(account, generation).await?)
    }

    /// Waits until every account that was closed before is settled.
    pub(crate) async fn reach(&self) {
        let (done, reached) = oneshot::channel();
        if self.queue.send(Job::Reach(done)).await.is_ok() {
            self.hurry.notify_one();
            // Without an answer there is no one left to settle anything.
            let _ = reached.await;
        }
    }

    /// What must be known at once: the tokens that count towards the limit of the key, where the provider reported them,
    /// and the metrics.
    fn enter(&self, account: &Account) {
        if let Some(usage) = account.usage {
            self.limits.spend(&account.asked.ctx.key, usage.total());
        }
        if let Some(target) = account.target.as_ref().filter(|_| account.answered) {
            self.metrics.inference(&Inference {
                provider: target.provider.to_string(),
                profile: target.profile.to_string(),
                region: target.region.to_string(),
            });
        }
    }

    /// Measures an account and records it; `generation` is the purge generation of its project now.
    async fn measure(
        self: &Arc<Self>,
        mut account: Box<Account>,
        generation: Option<u64>,
    ) -> Result<Settled, BrokenOff> {
        account.asked.past = account.asked.past.at(generation);
        let accounts = Arc::clone(self);
        let bytes = account.bytes();
        super::tokens::near(bytes, move || {
            let measured = Measured::of(&account, &accounts.reuse, accounts.now());
            accounts.record(&account, &measured)
        })
        .await
    }

    async fn settle_queued(self: &Arc<Self>, account: Box<Account>, generations: &mut Generations) {
        self.waiting.fetch_sub(account.bytes(), Ordering::AcqRel);
        let project = &account.asked.ctx.project;
        let generation = match generations.get(project) {
            _ if !account.is_compared() => None,
            Some(generation) => *generation,
            None => {
                let generation = self.reuse.generation(project).await;
                generations.insert(project.clone(), generation);
                generation
            }
        };
        if let Err(error) = self.measure(account, generation).await {
            tracing::error!(%error, "a generation could not be measured");
        }
    }

    fn record(&self, account: &Account, measured: &Measured) -> Settled {
        let qos = account.outcome();
        if account.usage.is_none() {
            // Those that were reported are spent already.
            let tokens = measured.reuse.input() + measured.output_tokens;
            self.limits.spend(&account.asked.ctx.key, tokens);
        }
        let id = UsageEventId::with_suffix(&self.mint.suffix(account.ended_at));
        self.usage.record(event(id, account, measured));
        Settled {
            reuse: measured.reuse,
            evidence: measured.evidence.clone(),
            output_tokens: measured.output_tokens,
            qos,
        }
    }
}

/// Purge generations of the projects whose accounts are settled together, each asked for once.
type Generations = HashMap<ProjectId, Option<u64>>;

/// Settles what has gathered, one after the other: an earlier prompt is known when a later one is compared with it.
async fn work(accounts: Weak<Accounts>, mut jobs: mpsc::Receiver<Job>, hurry: Arc<Notify>) {
    let mut batch = Vec::with_capacity(BATCH);
    while jobs.recv_many(&mut batch, BATCH).await > 0 {
        let Some(accounts) = accounts.upgrade() else { return };
        let mut generations = Generations::new();
        for job in batch.drain(..) {
            match job {
                Job::Settle(account) => accounts.settle_queued(account, &mut generations).await,
                // Whoever waited may have gone.
                Job::Reach(done) => _ = done.send(()),
            }
        }
        drop(accounts);
        // Who is in a hurry ends the pause; there is nothing to do about its end.
        let _ = tokio::time::timeout(PAUSE, hurry.notified()).await;
    }
}

impl Account {
    /// Whether its prompt is compared with earlier ones.
    fn is_compared(&self) -> bool {
        self.measured.is_none() && self.answered && self.sent.is_some()
    }

    fn bytes(&self) -> usize {
        self.sent.as_ref().map_or(0, |sent| sent.body.len()) + self.delivered.len()
    }
}

impl Measured {
    /// What the provider reported; what it did not report is counted by the estimator of `POST /v2/token-counts`. A call
    /// that no provider began to answer took nothing.
    fn of(account: &Account, window: &ReuseWindow, now: DateTime<Utc>) -> Self {
        if let Some(measured) = &account.measured {
            return measured.clone();
        }
        let sent = account.sent.as_ref().filter(|_| account.answered);
        let blocks = sent.map_or_else(Vec::new, blocks);
        let asked = &account.asked;
        let target = account.target.as_ref().map(|target| format!("{}/{}", target.provider, target.model));
        let raw = blocks.iter().map(|block| (0, block.raw));
        let observed = window.observe(&asked.past, target.as_deref().unwrap_or_default(), raw, now);
        let candidate = window.tokens(&observed, |range| tokens_of(blocks.get(range).into_iter().flatten()));
        let latest = tokens_of(blocks.iter().filter(|block| !block.eligible));
        let input = match account.usage {
            Some(usage) => usage.input,
            None => candidate + tokens_of(blocks.iter().skip(observed.common)),
        };
        let output_tokens = account.usage.map_or_else(|| tokens(&account.delivered), |usage| usage.output);
        let eligible = if blocks.is_empty() { 0 } else { input.saturating_sub(latest) };
        let stable = blocks.iter().filter(|block| block.stable).map(|block| block.raw);
        let family = window.family(&asked.ctx.project, stable);
        let mut measured = Self::unmeasured(account);
        let realized = measured.reuse.realized();
        measured.reuse = ReuseTokens::of_request(input, eligible, candidate, realized);
        Self { output_tokens, family, ..measured }
    }

    /// What the provider reported, and nothing about the opportunity.
    fn unmeasured(account: &Account) -> Self {
        if let Some(measured) = &account.measured {
            return measured.clone();
        }
        let usage = account.usage.unwrap_or_default();
        let evidence = match usage.cached {
            Some(_) => ReuseEvidenceLevel::ProviderReported,
            None => ReuseEvidenceLevel::Unknown,
        };
        let reuse = ReuseTokens::of_request(usage.input, 0, 0, usage.cached.unwrap_or(0));
        Self { reuse, evidence, output_tokens: usage.output, family: None }
    }
}

fn tokens_of<'a>(blocks: impl Iterator<Item = &'a Block<'a>>) -> u64 {
    blocks.map(|block| tokens(&block.text())).sum()
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;
    use zumik_types::Qos;

    use super::super::meter::Meter;
    use super::super::{Asked, Route, Surface, Target, Usage};
    use super::*;
    use crate::fixtures;

    #[tokio::test]
    async fn the_answers_that_wait_to_be_counted_are_bounded_and_reported_ones_do_not_wait() {
        let (app, ctx) = fixtures::app(fixtures::memory()).await;
        let accounts = &app.engine.accounts;
        let past = app.reuse.past(&ctx.project).await;
        let answer = "x".repeat(256 * 1024);
        for (usage, waits) in [(Some(Usage::default()), false), (None, true)] {
            // More than may wait. Nothing is settled meanwhile, as nothing here waits.
            for _ in 0..=QUEUED_BYTES / answer.len() {
                let asked = Asked {
                    ctx: ctx.clone(),
                    surface: Surface::V1ChatCompletions,
                    object_id: "chatcmpl-1".to_owned(),
                    session_id: None,
                    branch_id: None,
                    qos: Qos::default(),
                    started: Instant::now(),
                    past: past.clone(),
                    comes_again: false,
                };
                let first = Target::placeholder(None);
                let route = Route { requested: "auto".into(), first, others: Vec::new() };
                let mut meter = Meter::open(Arc::clone(accounts), asked, &route);
                meter.delivered(&answer);
                if let Some(usage) = usage {
                    meter.usage(usage);
                }
                meter.complete();
            }
            let waiting = accounts.waiting.load(Ordering::Acquire);
            assert_eq!(waiting, if waits { QUEUED_BYTES } else { 0 });
        }
    }
}
