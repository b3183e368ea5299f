//! Which models an upstream has, when its settings do not say: asked at the upstream itself, and kept for a while.
//!
//! Asking is a task of its own. Who needs a list that there is not yet waits for its end, and may leave before: it goes on for
//! the next one. A list that is too old is given all the same, and asked for anew meanwhile. An upstream that gave none the
//! last time is waited for only briefly: one that hangs must not hold up what others answer.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use parking_lot::Mutex;
use serde::Deserialize;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::error::{ProviderError, ProviderFailure};
use super::forward::simple;
use super::times::Times;
use super::{Endpoint, Http, Upstreams};
use crate::chain::chain;
use crate::engine::Failure;

/// How long a list is kept.
const KEEP: Duration = Duration::from_secs(300);

/// How long a failure is kept, so that an upstream that is down is not asked by every request.
const KEEP_FAILURE: Duration = Duration::from_secs(5);

/// How long an upstream that gave no list the last time is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the upstream may take.
const TIME: Duration = Duration::from_secs(10);

/// Most models of one upstream that are taken.
const MOST: usize = 10_000;

/// The models of one upstream, in its order.
pub(super) type List = Arc<[Arc<str>]>;

/// What is known of the models of one upstream.
#[derive(Debug, Default)]
pub(super) struct Discovery(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The latest list that came.
    list: Option<List>,
    /// Why the latest answer was none, where it is known.
    failure: Option<Arc<ProviderError>>,
    /// When to ask again; nothing before the first answer.
    until: Option<Instant>,
    asking: Option<Asking>,
}

/// The upstream is being asked, until this is dropped.
#[derive(Debug)]
struct Asking {
    /// Cancelled when it has ended, in whatever way.
    ended: CancellationToken,
    _task: AbortOnDropHandle<()>,
}

impl Discovery {
    /// The list that is known, else what to wait for until there may be one.
    ///
    /// `ask` is called when there is nothing, or nothing that is recent.
    fn look<F>(&self, ask: impl FnOnce() -> F) -> Result<List, Awaited>
    where
        F: Future<Output = Result<List, ProviderError>> + Send + 'static,
    {
        let mut known = self.0.lock();
        let is_recent = known.until.is_some_and(|until| Instant::now() < until);
        let is_asking = known.asking.as_ref().is_some_and(|asking| !asking.ended.is_cancelled());
        if !is_recent && !is_asking {
            known.asking = Some(self.ask(ask()));
        }
        match (&known.list, &known.asking) {
            (Some(list), _) => Ok(Arc::clone(list)),
            (None, asking) => Err(Awaited {
                ended: asking.as_ref().map(|asking| asking.ended.clone()),
                // It was asked before, and gave none.
                patience: known.until.map(|_| PATIENCE),
                known: Arc::clone(&self.0),
            }),
        }
    }

    fn ask(&self, answer: impl Future<Output = Result<List, ProviderError>> + Send + 'static) -> Asking {
        let (known, ended) = (Arc::downgrade(&self.0), CancellationToken::new());
        // Dropped when the task ends, by a panic as well.
        let guard = ended.clone().drop_guard();
        let task = tokio::spawn(async move {
            let _guard = guard;
            let answer = answer.await;
            let Some(known) = known.upgrade() else { return };
            let mut known = known.lock();
            known.until = Some(Instant::now() + if answer.is_ok() { KEEP } else { KEEP_FAILURE });
            match answer {
                Ok(list) => (known.list, known.failure) = (Some(list), None),
                // An old list is better than none.
                Err(failure) => known.failure = Some(Arc::new(failure)),
            }
        });
        Asking { ended, _task: AbortOnDropHandle::new(task) }
    }
}

/// A list that is being asked for.
pub(super) struct Awaited {
    ended: Option<CancellationToken>,
    /// How long it is worth waiting for; without limit for the first answer, which ends by itself.
    patience: Option<Duration>,
    known: Arc<Mutex<Known>>,
}

impl Awaited {
    /// Waits for the answer.
    ///
    /// # Errors
    /// It was none, or did not come soon enough.
    pub(super) async fn list(self) -> Result<List, ProviderError> {
        match (self.ended, self.patience) {
            (Some(ended), None) => ended.cancelled().await,
            (Some(ended), Some(patience)) => {
                // Whether it came in time is seen by what is known then.
                let _ = tokio::time::timeout(patience, ended.cancelled()).await;
            }
            (None, _) => {}
        }
        let known = self.known.lock();
        known.list.clone().ok_or_else(|| ProviderError::Unlisted(known.failure.clone()))
    }
}

/// The answer of `GET {base}/models`; all else in it is passed over.
#[derive(Deserialize)]
struct Answer {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

impl Upstreams {
    /// Asks every upstream for its models, so that the log tells of one that cannot be used before anyone needs it. The answers
    /// are not kept: who needs a list gets one of that time.
    pub(crate) async fn look(&self) {
        let all = self.endpoints.iter().map(async |(endpoint, _)| {
            let Err(error) = ask(self.http.clone(), Arc::clone(endpoint)).await else { return };
            if error.speaks_of_settings() {
                let (provider, cause) = (&*endpoint.name, chain(&error));
                tracing::warn!(provider, cause, "a provider cannot be used now");
            }
        });
        futures_util::future::join_all(all).await;
    }

    /// The models of every upstream, in the order of the upstreams. Those of one that does not answer are left out.
    pub(crate) async fn models(&self) -> Vec<(Arc<Endpoint>, List)> {
        let all = self.endpoints.iter().map(async |(endpoint, discovery)| {
            let models = self.models_of(endpoint, discovery).await.unwrap_or_default();
            (Arc::clone(endpoint), models)
        });
        futures_util::future::join_all(all).await
    }

    /// The first upstream with its first model: what an alias means that the settings do not mention.
    ///
    /// # Errors
    /// No upstream can be asked, or none has a model.
    pub(crate) async fn first_model(&self) -> Result<(Arc<Endpoint>, Arc<str>), Failure> {
        let mut failure = Failure::from(ProviderError::NoTarget);
        for (endpoint, discovery) in &self.endpoints {
            match self.models_of(endpoint, discovery).await {
                Ok(models) => {
                    if let Some(model) = models.first() {
                        return Ok((Arc::clone(endpoint), Arc::clone(model)));
                    }
                }
                Err(error) => failure = Failure::from(error).of(&endpoint.name),
            }
        }
        Err(failure)
    }

    async fn models_of(
        &self,
        endpoint: &Arc<Endpoint>,
        discovery: &Discovery,
    ) -> Result<List, ProviderError> {
        match self.listed(endpoint, discovery) {
            Ok(list) => Ok(list),
            Err(awaited) => awaited.list().await,
        }
    }

    /// The models of an upstream, by its settings or as far as it is known, else what to wait for.
    pub(super) fn listed(&self, endpoint: &Arc<Endpoint>, discovery: &Discovery) -> Result<List, Awaited> {
        if !endpoint.models.is_empty() {
            return Ok(Arc::clone(&endpoint.models));
        }
        discovery.look(|| {
            let endpoint = Arc::clone(endpoint);
            ask(self.http.clone(), Arc::clone(&endpoint)).map(move |answer| {
                answer.inspect_err(|failure| {
                    let (provider, cause) = (&*endpoint.name, chain(failure));
                    tracing::warn!(provider, cause, "the models of a provider are not known");
                })
            })
        })
    }
}

async fn ask(http: Http, endpoint: Arc<Endpoint>) -> Result<List, ProviderError> {
    let times = Times::new(None, TIME, TIME);
    let body = async { simple(times.within(http.request(endpoint.list())).await?, times).await }.await;
    let body = body.map_err(|failure| match failure {
        Failure::Provider(ProviderFailure { error, .. }) => error,
        // It is asked without a deadline, so nothing else ends it.
        _ => ProviderError::Endless(TIME),
    })?;
    let answer: Answer =
        serde_json::from_slice(&body).map_err(|_| ProviderError::Malformed("its list of models is none"))?;
    let ids = answer.data.into_iter().map(|entry| entry.id).filter(|id| !id.is_empty());
    Ok(ids.take(MOST).map(Arc::from).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::future::{pending, ready};

    use super::*;

    fn list(model: &str) -> Option<List> {
        Some([model.into()].into())
    }

    fn given(model: &str) -> Result<List, ProviderError> {
        Ok([model.into()].into())
    }

    fn none() -> Result<List, ProviderError> {
        Err(ProviderError::Failed(500))
    }

    /// The list that an upstream is known to have, else the one that it gives.
    async fn models<F>(discovery: &Discovery, ask: impl FnOnce() -> F) -> Option<List>
    where
        F: Future<Output = Result<List, ProviderError>> + Send + 'static,
    {
        match discovery.look(ask) {
            Ok(list) => Some(list),
            Err(awaited) => awaited.list().await.ok(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_list_is_given_at_once_while_a_new_one_is_asked_for() {
        let discovery = Discovery::default();
        assert_eq!(models(&discovery, || ready(given("old"))).await, list("old"));
        tokio::time::advance(KEEP).await;
        let (answer, asked) = tokio::sync::oneshot::channel();
        let old = discovery.look(|| asked.map(|answer| answer.unwrap()));
        assert_eq!(old.ok(), list("old"));
        assert_eq!(
            discovery.look(|| -> std::future::Ready<_> { panic!("it is being asked") }).ok(),
            list("old")
        );
        answer.send(given("new")).unwrap();
        tokio::task::yield_now().await;
        assert_eq!(discovery.look(|| -> std::future::Ready<_> { panic!("it is recent") }).ok(), list("new"));
        tokio::time::advance(KEEP).await;
        assert_eq!(
            models(&discovery, || ready(none())).await,
            list("new"),
            "an old list is better than none"
        );
        tokio::task::yield_now().await;
        assert_eq!(models(&discovery, || ready(given("newest"))).await, list("new"), "a failure is kept");
    }

    #[tokio::test(start_paused = true)]
    async fn who_leaves_before_the_answer_takes_nothing_from_who_comes_after() {
        let discovery = Discovery::default();
        let second = Duration::from_secs(1);
        let slow = || tokio::time::sleep(2 * second).map(|()| given("a"));
        assert!(tokio::time::timeout(second, models(&discovery, slow)).await.is_err());
        let begun = Instant::now();
        assert_eq!(models(&discovery, pending).await, list("a"));
        assert_eq!(begun.elapsed(), second);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_fails_or_panics_is_asked_again_a_little_later() {
        let discovery = Discovery::default();
        let asked = Cell::new(0);
        let fails = || {
            asked.set(asked.get() + 1);
            ready(none())
        };
        assert_eq!((models(&discovery, fails).await, models(&discovery, fails).await), (None, None));
        assert_eq!(asked.get(), 1);
        tokio::time::advance(KEEP_FAILURE).await;
        assert_eq!(models(&discovery, || async { panic!("a defect") }).await, None);
        assert_eq!(models(&discovery, || ready(given("a"))).await, list("a"));
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_hangs_after_a_failure_is_waited_for_briefly_and_told_with_the_cause() {
        let discovery = Discovery::default();
        assert_eq!(models(&discovery, || ready(none())).await, None);
        tokio::time::advance(KEEP_FAILURE).await;
        let begun = Instant::now();
        let Err(awaited) = discovery.look(pending) else { panic!("there is no list") };
        let error = awaited.list().await.unwrap_err();
        assert_eq!(begun.elapsed(), PATIENCE);
        assert!(
            matches!(&error, ProviderError::Unlisted(Some(cause)) if matches!(**cause, ProviderError::Failed(500))),
            "{error:?}"
        );
    }
}
