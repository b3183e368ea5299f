//! Which models an upstream has, when its settings do not say: asked at the upstream itself, and kept for a while.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::error::ProviderError;
use super::forward::simple;
use super::times::Times;
use super::{Endpoint, Upstreams};
use crate::engine::Failure;

/// How long a list is kept.
const KEEP: Duration = Duration::from_secs(300);

/// How long a failure is kept, so that an upstream that is down is not asked by every request.
const KEEP_FAILURE: Duration = Duration::from_secs(5);

/// How long the upstream may take.
const TIME: Duration = Duration::from_secs(10);

/// Most models of one upstream that are taken.
const MOST: usize = 10_000;

/// What is known of the models of one upstream. Whoever comes while they are asked for waits for the same answer.
#[derive(Debug, Default)]
pub(super) struct Discovery(Mutex<Option<Known>>);

#[derive(Debug)]
struct Known {
    models: Arc<[Arc<str>]>,
    until: Instant,
    /// Whether the upstream has answered at all.
    answered: bool,
}

/// The answer of `GET {base}/models`; all else in it is passed over.
#[derive(Deserialize)]
struct List {
    data: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
}

impl Upstreams {
    /// The models of every upstream, in the order of the upstreams. Those of one that does not answer are left out.
    pub(crate) async fn models(&self) -> Vec<(Arc<Endpoint>, Arc<[Arc<str>]>)> {
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
        let mut failure = ProviderError::NoTarget.into();
        for (endpoint, discovery) in &self.endpoints {
            match self.models_of(endpoint, discovery).await {
                Ok(models) => {
                    if let Some(model) = models.first() {
                        return Ok((Arc::clone(endpoint), Arc::clone(model)));
                    }
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    async fn models_of(
        &self,
        endpoint: &Endpoint,
        discovery: &Discovery,
    ) -> Result<Arc<[Arc<str>]>, Failure> {
        if !endpoint.models.is_empty() {
            return Ok(endpoint.models.as_slice().into());
        }
        let mut known = discovery.0.lock().await;
        if let Some(known) = &*known
            && known.until > Instant::now()
        {
            return if known.answered {
                Ok(Arc::clone(&known.models))
            } else {
                Err(ProviderError::LeftAlone.into())
            };
        }
        match self.ask_models(endpoint).await {
            Ok(models) => {
                let models: Arc<[Arc<str>]> = models.into();
                let until = Instant::now() + KEEP;
                *known = Some(Known { models: Arc::clone(&models), until, answered: true });
                Ok(models)
            }
            Err(failure) => {
                tracing::warn!(provider = %endpoint.name, error = %failure, "the models of a provider are not known");
                let until = Instant::now() + KEEP_FAILURE;
                // An old list is better than none.
                if let Some(known) = known.as_mut().filter(|known| known.answered) {
                    known.until = until;
                    return Ok(Arc::clone(&known.models));
                }
                *known = Some(Known { models: Arc::default(), until, answered: false });
                Err(failure)
            }
        }
    }

    async fn ask_models(&self, endpoint: &Endpoint) -> Result<Vec<Arc<str>>, Failure> {
        let times = Times::new(None, TIME, TIME);
        let answer = times.within(self.http.request(endpoint.list())).await?;
        let body = simple(answer, times).await?;
        let list: List = serde_json::from_slice(&body)
            .map_err(|_| ProviderError::Malformed("its list of models is none"))?;
        let ids = list.data.into_iter().map(|entry| entry.id).filter(|id| !id.is_empty());
        Ok(ids.take(MOST).map(Arc::from).collect())
    }
}
