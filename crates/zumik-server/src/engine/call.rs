//! One call of a model's API: what it is asked with and what comes of it. This is all that the handlers of generations
//! know of upstreams.

use bytes::Bytes;
use tokio::time::Instant;
use zumik_types::{BranchId, Qos, SessionId};

use super::Failure;
use super::layout::Compiled;
use super::members::Object;
use super::meter::Meter;
use super::reuse::Past;
use super::target::{Route, Target};
use super::upstream::ModelStream;
use crate::store::ProjectCtx;

/// Which API of a provider is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Api {
    /// `POST {base}/chat/completions`
    ChatCompletions,
    /// `POST {base}/responses`
    Responses,
    /// `POST {base}/embeddings`
    Embeddings,
}

/// Which operation of ours a generation came in through: `api_surface` of its usage event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Surface {
    /// `POST /v1/chat/completions`
    V1ChatCompletions,
    /// `POST /v1/responses`
    V1Responses,
    /// `POST /v1/embeddings`
    V1Embeddings,
    /// `POST /v2/responses`
    V2Responses,
}

/// Who asks for a generation, and how it shall be kept account of.
#[derive(Clone)]
pub(crate) struct Asked {
    /// Who asks, when, under which trace.
    pub(crate) ctx: ProjectCtx,
    /// Through which operation.
    pub(crate) surface: Surface,
    /// Id of the object that is generated.
    pub(crate) object_id: String,
    /// The session that comes before the request's own part.
    pub(crate) session_id: Option<SessionId>,
    /// Its branch.
    pub(crate) branch_id: Option<BranchId>,
    /// What the caller wants of the call.
    pub(crate) qos: Qos,
    /// When the request came in: deadlines and latencies count from here.
    pub(crate) started: Instant,
    /// The project's past at that moment.
    pub(crate) past: Past,
    /// Whether it is made again by itself when no model can be asked, and is accounted for then: a line of a batch.
    pub(crate) comes_again: bool,
}

/// The same question as a chat completion; [`Failure::Untranslatable`] where none can express it.
pub(crate) type AsChat<'a> = &'a (dyn Fn() -> Result<Sent, Failure> + Sync);

/// What a target is sent but for its model.
#[derive(Clone)]
pub(crate) struct Sent {
    /// Which of its APIs is called.
    pub(crate) api: Api,
    /// The body, a JSON object.
    pub(crate) body: Bytes,
    /// Which of its messages are not the caller's own.
    pub(crate) compiled: Compiled,
}

/// A call of a model's API over an upstream.
pub(crate) struct ModelCall<'a> {
    /// Who asks.
    pub(crate) asked: Asked,
    /// Where it goes, from [`Engine::resolve`](super::Engine::resolve). It is no placeholder.
    pub(crate) route: Route,
    /// What is sent. The `model` of its body is replaced by that of the target; all else is sent as it stands, so what a
    /// caller sent and nobody here knows reaches the provider. With `stream` it must hold `"stream":true`.
    pub(crate) sent: Sent,
    /// What a target is sent that has no Responses API, when that is called.
    pub(crate) as_chat: Option<AsChat<'a>>,
    /// Whether the answer is read as server-sent events.
    pub(crate) stream: bool,
}

/// What a provider answered, with a status of success.
pub(crate) struct ModelAnswer {
    /// Who answered.
    pub(crate) target: Target,
    /// In which API.
    pub(crate) api: Api,
    /// The answer.
    pub(crate) body: ModelBody,
    /// Keeps account of it. Whoever holds it says how the generation ended; dropped without a word, the generation was
    /// cancelled.
    pub(crate) meter: Meter,
}

/// The two forms of an answer.
pub(crate) enum ModelBody {
    /// A JSON object, whole, as the provider sent it, with what an answer of its API is about: the array `choices`, `output`
    /// or `data`.
    Whole(Object),
    /// Server-sent events, of which at least one has come.
    Stream(Box<ModelStream>),
}
