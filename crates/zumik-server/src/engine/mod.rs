//! Inference. Which target a model name means (`models`, `routing`, `draw`, `semantic`, `target`), one call of a model's API (`call`)
//! over the providers that are configured (`upstream`), the engine that is there without any (`placeholder`), one
//! generation of text from state to outcome (`generation`), and keeping account of it (`meter`, `accounts`, `event`,
//! `usage`, `blocks`, `layout`, `reuse`, `tokens`, `qos`).
//!
//! A handler asks [`Engine::resolve`] where a request goes. When no upstream is there, the route is the placeholder, and
//! the handler makes one in the shape of its surface. Else it gives the route to [`Engine::call`].

mod accounts;
mod background;
mod blocks;
mod call;
mod chat;
mod draw;
mod event;
mod generation;
mod layout;
mod lease;
pub(crate) mod members;
mod meter;
mod models;
mod placeholder;
pub(crate) mod qos;
mod reuse;
mod routing;
mod semantic;
mod target;
mod tokens;
pub(crate) mod upstream;
mod usage;

use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

pub(crate) use accounts::{Accounts, Settled};
pub(crate) use background::{Background, MOST as MOST_IN_BACKGROUND, Slot, Work};
pub(crate) use call::{Api, Asked, ModelAnswer, ModelBody, ModelCall, Sent, Surface};
pub(crate) use chat::{Choices, Content, Delta, event as chat_event};
pub(crate) use event::Measured;
pub(crate) use generation::{ChatMessage, Failure, Generation, Outcome, Part, Prepared};
pub(crate) use layout::Compiled;
pub(crate) use lease::{Held, Reservation};
pub(crate) use meter::Meter;
pub(crate) use models::{Models, Release};
pub(crate) use placeholder::Placeholder;
pub(crate) use reuse::ReuseWindow;
pub(crate) use routing::Routing;
pub(crate) use target::{Route, Target};
pub(crate) use tokens::count as count_tokens;
pub(crate) use upstream::{Frame, Gathered, ModelStream, ProviderError, ProviderFailure, Trouble, Upstreams};
pub(crate) use usage::Usage;

use crate::aliases::ProjectAliases;
use crate::domain::Message;
use crate::mint::Mint;
use upstream::{Forward, Forwarded, times};

/// What runs generations.
pub(crate) struct Engine {
    /// Answers when no upstream is configured.
    pub(crate) local: Arc<dyn Local>,
    upstreams: Upstreams,
    models: Models,
    /// What projects have installed for themselves.
    own: Arc<ProjectAliases>,
    accounts: Arc<Accounts>,
    mint: Arc<dyn Mint>,
}

/// The name of a model, and what decides where it leads.
pub(crate) struct Wanted<'a> {
    /// Who asks: a release that the project has installed wins over the server's, and a request that is attached to a
    /// session stays on one target.
    pub(crate) asked: &'a Asked,
    /// The model as the caller named it.
    pub(crate) model: &'a str,
    /// The text of the prompt, as it stands in the body: what `auto.semantic` chooses by.
    pub(crate) prompt: &'a str,
    /// Where the caller lets it go.
    pub(crate) routing: &'a Routing,
}

impl Engine {
    pub(crate) fn new(
        local: Arc<dyn Local>,
        upstreams: Upstreams,
        models: Models,
        own: Arc<ProjectAliases>,
        accounts: Arc<Accounts>,
        mint: Arc<dyn Mint>,
    ) -> Self {
        Self { local, upstreams, models, own, accounts, mint }
    }

    /// Whether there are models to answer. Without any, answers are placeholders.
    pub(crate) fn is_live(&self) -> bool {
        !self.upstreams.is_empty()
    }

    /// Where a request goes: a name that is an alias to a target of its release, any other to an upstream as it is
    /// (contract `v1.md`, "Model resolution"). Upstreams may be asked for their models on the way, within the deadline.
    ///
    /// A request that finds no provider, none that it may go to, or not in time, is a generation that failed, and
    /// accounted for.
    ///
    /// # Errors
    /// [`Failure::UnknownModel`] when there is no upstream and the name is no alias; [`Failure::Provider`] when an alias
    /// leads nowhere, or nowhere that the caller allows; [`Failure::Region`] when that is for the region;
    /// [`Failure::Deadline`].
    pub(crate) async fn resolve(&self, wanted: &Wanted<'_>) -> Result<Route, Failure> {
        let asked = wanted.asked;
        let route = match times::deadline(&asked.qos, asked.started) {
            None => self.route(wanted).await,
            Some((end, deadline)) => match tokio::time::timeout_at(end, self.route(wanted)).await {
                // What is ready at once is not timed.
                Ok(Ok(_)) if Instant::now() >= end => Err(Failure::Deadline(deadline)),
                Ok(route) => route,
                Err(_) => Err(Failure::Deadline(deadline)),
            },
        };
        if let Err(failure @ (Failure::Provider(_) | Failure::Region(_) | Failure::Deadline(_))) = &route {
            Meter::lost(Arc::clone(&self.accounts), asked.clone(), wanted.model.into()).fail(failure);
        }
        route
    }

    async fn route(&self, wanted: &Wanted<'_>) -> Result<Route, Failure> {
        let Wanted { asked, model, prompt, routing } = *wanted;
        let requested: Arc<str> = model.into();
        let (mut alias, mut own) = (model, self.own.release(&asked.ctx, model).await?);
        if own.is_none() && model == "auto.semantic" {
            alias = if semantic::is_about_code(prompt) { "code.fast" } else { "auto" };
            own = self.own.release(&asked.ctx, alias).await?;
        }
        let release = match own {
            Some(own) => Some(models::own(&own, &self.upstreams)),
            None => self.models.release(alias, &self.upstreams).await?,
        };
        if let Some(mut release) = release {
            release.targets = routing.narrow(release.targets)?;
            let chance = asked.session_id.as_ref().map_or_else(|| self.chance(), draw::chance_of);
            let (first, others) = draw::draw(release, chance).ok_or(ProviderError::NoTarget)?;
            return Ok(Route { requested, first, others });
        }
        match self.upstreams.serving(model, routing).await {
            Some(endpoint) => {
                let first = models::live(&endpoint, Arc::clone(&requested));
                routing.permit(&first)?;
                Ok(Route { requested, first, others: Vec::new() })
            }
            None => Err(Failure::UnknownModel(model.to_owned())),
        }
    }

    /// Calls a model's API: the first choice of the route, and others when it fails, nothing was delivered and the caller
    /// allows it. Dropping the future, or the stream that it gives, cancels the call of the provider.
    ///
    /// The generation is accounted for whatever comes of it.
    ///
    /// # Errors
    /// [`Failure::Deadline`], [`Failure::Provider`] with the failure of the last attempt, or [`Failure::Untranslatable`] when
    /// no target could be asked for that reason.
    pub(crate) async fn call(&self, call: ModelCall<'_>) -> Result<ModelAnswer, Failure> {
        let ModelCall { asked, route, sent, as_chat, stream } = call;
        let (qos, started, trace) = (asked.qos.clone(), asked.started, asked.ctx.trace.clone());
        let mut meter = Meter::open(Arc::clone(&self.accounts), asked, &route);
        let forward = Forward { sent, as_chat, stream, qos: &qos, started, trace: &trace };
        match self.upstreams.forward(&forward, &route).await {
            Ok(Forwarded { target, fallback_used, sent, body }) => {
                meter.answered(&target, fallback_used);
                let api = sent.api;
                meter.sent(sent);
                Ok(ModelAnswer { target, api, body, meter })
            }
            Err(failure) => {
                meter.fail(&failure);
                Err(failure)
            }
        }
    }

    /// An account for a generation that no provider runs.
    pub(crate) fn meter(&self, asked: Asked, route: &Route) -> Meter {
        Meter::open(Arc::clone(&self.accounts), asked, route)
    }

    /// The releases of all aliases of the server, sorted by alias. Those that lead nowhere now are left out.
    pub(crate) async fn releases(&self) -> Vec<Release> {
        let mut releases = Vec::new();
        for alias in self.models.names() {
            if let Ok(Some(release)) = self.models.release(alias, &self.upstreams).await {
                releases.push(release);
            }
        }
        releases
    }

    /// The release of one alias of the server.
    ///
    /// # Errors
    /// The alias leads nowhere now.
    pub(crate) async fn release(&self, alias: &str) -> Result<Option<Release>, Failure> {
        self.models.release(alias, &self.upstreams).await
    }

    /// Whether a release may name this provider: it is an upstream of this server. Without any upstream every name will
    /// do, as every target is the placeholder.
    pub(crate) fn has_provider(&self, name: &str) -> bool {
        self.upstreams.is_empty() || self.upstreams.endpoint(name).is_some()
    }

    /// Tells the log of providers that cannot be used.
    pub(crate) async fn look_at_providers(&self) {
        self.upstreams.look().await;
    }

    /// The names of all aliases and of the models that the upstreams list, sorted, each once.
    pub(crate) async fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = self.models.names().into_iter().map(str::to_owned).collect();
        for (_, models) in self.upstreams.models().await {
            names.extend(models.iter().map(ToString::to_string));
        }
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Waits until the accounts that are closed have become usage events: the last thing before a shutdown.
    pub(crate) async fn settle(&self) {
        self.accounts.reach().await;
    }

    fn chance(&self) -> u64 {
        let mut bytes = [0; 8];
        self.mint.fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// What answers prompts within this process.
///
/// Dropping the future of [`generate`](Self::generate) cancels the call: that is how a deadline, a cancel and a client
/// that went away end it.
#[async_trait]
pub(crate) trait Local: Send + Sync + 'static {
    /// Answers a prompt with a text.
    async fn generate(&self, request: &Prompted<'_>) -> Result<Generated, Failure>;
}

/// A prompt for a local engine.
pub(crate) struct Prompted<'a> {
    /// The model as the caller named it.
    pub(crate) model: &'a str,
    /// The messages, in order.
    pub(crate) messages: &'a [Message],
    /// Most tokens of the answer.
    pub(crate) max_output_tokens: Option<u64>,
}

/// What a local engine answered.
pub(crate) struct Generated {
    /// The text.
    pub(crate) text: String,
    /// Whether it ends early, at the most tokens asked for.
    pub(crate) truncated: bool,
}
