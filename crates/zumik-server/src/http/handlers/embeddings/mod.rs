//! Embeddings (contract `v1.md`, "Embeddings"): of a provider, or without any, a local vector (`vector`).

mod vector;

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};
use tokio::time::Instant;
use zumik_types::{EmbeddingEncoding, ResponseId};

use super::generations::{Kept, attached, headers, keep_answer, privacy_mode, session_ref};
use super::hints::{self, Wishes};
use crate::app::App;
use crate::blocking::blocking;
use crate::engine::members::json;
use crate::engine::{
    Api, Asked, Compiled, Failure, Held, ModelAnswer, ModelBody, ModelCall, ProviderError, Reservation,
    Route, Sent, Surface, Usage, Wanted, count_tokens,
};
use crate::http::call::Call;
use crate::http::input::Fields;
use crate::http::{ApiError, Reply};
use crate::store::Answer;

/// Most texts of one request.
const MOST: usize = 2_048;

/// Entries of a local vector when nothing is said.
const DIMENSIONS: u64 = 256;

/// Most entries of all local vectors of a request together: about 13 MB of JSON.
const MOST_ENTRIES: u64 = 1 << 20;

/// What this server must know of a request.
struct Request {
    model: String,
    /// The texts; nothing when the input is tokens, which only a provider can read.
    texts: Option<Arc<[String]>>,
    encoding: EmbeddingEncoding,
    dimensions: Option<u64>,
}

type Headers = Vec<(Cow<'static, str>, String)>;

/// `POST /v1/embeddings`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let started = Instant::now();
    let request = Request::read(&call.json()?, call.app.engine.is_live())?;
    let session = session_ref(call)?;
    privacy_mode(call)?;
    let Wishes { qos, routing } = hints::wanted(call, None).await?;
    let held = match Held::reserve(&call.app, &call.ctx, call.key.take()).await? {
        Reservation::Held(held) => held,
        Reservation::Replayed(answer) => return Ok(Reply::replayed(answer)),
    };
    let session = match &session {
        Some(session) => Some(attached(call, session).await?),
        None => None,
    };
    let (session_id, branch_id) = session.map(|session| (session.id, session.default_branch_id)).unzip();
    let asked = Asked {
        ctx: call.ctx.clone(),
        surface: Surface::V1Embeddings,
        object_id: ResponseId::with_suffix(&call.app.mint.suffix(call.ctx.now)).to_string(),
        session_id,
        branch_id,
        qos,
        started,
        past: call.app.reuse.past(&call.ctx.project).await,
        comes_again: false,
    };
    let wanted = Wanted { asked: &asked, model: &request.model, prompt: "", routing: &routing };
    let route = call.app.engine.resolve(&wanted).await.map_err(|failure| match failure {
        Failure::UnknownModel(model) => ApiError::no_such_model(&model),
        other => other.into(),
    })?;
    call.app.limits.generation(&call.ctx.key)?;
    let (body, headers) = if route.is_placeholder() {
        fill(&call.app, asked, &route, request).await?
    } else {
        forward(&call.app, asked, route, request, call.body.clone()).await?
    };
    let answer = Answer { status: 200, trace: call.ctx.trace.clone(), headers, body };
    keep_answer(call, held, Kept::default(), answer).await
}

/// Embeddings of a provider.
async fn forward(
    app: &App,
    asked: Asked,
    route: Route,
    request: Request,
    body: Bytes,
) -> Result<(Bytes, Headers), ApiError> {
    let sent = Sent { api: Api::Embeddings, body, compiled: Compiled::default() };
    let call = ModelCall { asked, route, sent, as_chat: None, stream: false };
    let answer = app.engine.call(call).await?;
    let ModelAnswer { target, body: ModelBody::Whole(answer), mut meter, .. } = answer else {
        return Err(ProviderError::Malformed("it is a stream").into());
    };
    let members = answer.members();
    if let Some(usage) = Usage::of(&members) {
        meter.usage(usage);
    }
    let body = members.edit().set("model", json(&request.model)).finish();
    let qos = meter.complete();
    Ok((body.into(), headers(&target, &qos)))
}

/// Local vectors.
async fn fill(
    app: &App,
    asked: Asked,
    route: &Route,
    request: Request,
) -> Result<(Bytes, Headers), ApiError> {
    let texts = request.texts.unwrap_or_default();
    let mut meter = app.engine.meter(asked, route);
    meter.answered(&route.first, false);
    let tokens = count_tokens(Arc::clone(&texts), String::as_str).await?;
    let input = tokens.iter().sum();
    meter.usage(Usage { input, output: 0, cached: None });
    let dimensions = request.dimensions.unwrap_or(DIMENSIONS);
    let (model, encoding) = (request.model, request.encoding);
    // Vectors can be many and long.
    let body = blocking(move || answer(&texts, dimensions, &encoding, &model, input))
        .await?
        .map_err(ApiError::internal)?;
    let qos = meter.complete();
    Ok((body.into(), headers(&route.first, &qos)))
}

fn answer(
    texts: &[String],
    dimensions: u64,
    encoding: &EmbeddingEncoding,
    model: &str,
    tokens: u64,
) -> serde_json::Result<Vec<u8>> {
    #[derive(Serialize)]
    struct Embeddings<'a> {
        object: &'static str,
        data: Each<'a>,
        model: &'a str,
        usage: Tokens,
    }
    #[derive(Serialize)]
    struct Embedding {
        object: &'static str,
        index: usize,
        embedding: Vector,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Vector {
        Floats(Vec<f32>),
        Base64(String),
    }
    /// One vector after the other, so that no more than one is there.
    struct Each<'a> {
        texts: &'a [String],
        dimensions: usize,
        encoding: &'a EmbeddingEncoding,
    }
    impl Serialize for Each<'_> {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serializer.collect_seq(self.texts.iter().enumerate().map(|(index, text)| {
                let vector = vector::of(text, self.dimensions);
                let embedding = match self.encoding {
                    EmbeddingEncoding::Base64 => Vector::Base64(vector::base64(&vector)),
                    _ => Vector::Floats(vector),
                };
                Embedding { object: "embedding", index, embedding }
            }))
        }
    }
    #[derive(Serialize)]
    struct Tokens {
        prompt_tokens: u64,
        total_tokens: u64,
    }
    let dimensions = usize::try_from(dimensions).unwrap_or(usize::MAX);
    serde_json::to_vec(&Embeddings {
        object: "list",
        data: Each { texts, dimensions, encoding },
        model,
        usage: Tokens { prompt_tokens: tokens, total_tokens: tokens },
    })
}

impl Request {
    /// Checks a body, in the order of the contract's table.
    fn read(body: &Map<String, Value>, live: bool) -> Result<Self, ApiError> {
        let fields = Fields::of(body);
        let model = fields.model()?.to_owned();
        let texts = texts(&fields, live)?;
        let encoding = fields.optional_one_of("encoding_format", EmbeddingEncoding::KNOWN)?;
        let dimensions = fields.optional_count("dimensions", 1..=4_096)?;
        if !live {
            within_bounds(&fields, texts.as_deref().unwrap_or_default(), dimensions)?;
        }
        fields.optional_text("user")?;
        Ok(Self { model, texts, encoding: encoding.unwrap_or(EmbeddingEncoding::Float), dimensions })
    }
}

/// Local vectors are made and sent as one answer.
fn within_bounds(fields: &Fields<'_, '_>, texts: &[String], dimensions: Option<u64>) -> Result<(), ApiError> {
    let (texts, dimensions) = (texts.len() as u64, dimensions.unwrap_or(DIMENSIONS));
    if texts * dimensions <= MOST_ENTRIES {
        return Ok(());
    }
    let most = MOST_ENTRIES / texts;
    let problem = format_args!(
        "can be {most} at most for {texts} texts, because without a provider an answer has {MOST_ENTRIES} numbers at \
         most; ask for fewer dimensions or in several requests"
    );
    Err(fields.invalid("dimensions", problem))
}

fn texts(fields: &Fields<'_, '_>, live: bool) -> Result<Option<Arc<[String]>>, ApiError> {
    match fields.value("input") {
        None => Err(fields.invalid("input", "is required")),
        Some(Value::String(_)) => Ok(Some([fields.filled_text("input")?.to_owned()].into())),
        // Tokens, or arrays of them.
        Some(Value::Array(items))
            if live && matches!(items.first(), Some(Value::Number(_) | Value::Array(_))) =>
        {
            Ok(None)
        }
        Some(Value::Array(_)) => {
            let texts =
                fields.filled_items("input", MOST)?.map(|item| item.filled_text().map(str::to_owned))?;
            Ok(Some(texts.into()))
        }
        Some(_) => Err(fields.invalid("input", "must be a string or an array of strings")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: Value, live: bool) -> Result<Request, ApiError> {
        Request::read(body.as_object().unwrap(), live)
    }

    #[test]
    fn what_breaks_the_table_is_refused_by_its_path() {
        let many = vec!["a"; MOST + 1];
        for (body, param) in [
            (json!({}), "model"),
            (json!({ "model": "auto" }), "input"),
            (json!({ "model": "auto", "input": "" }), "input"),
            (json!({ "model": "auto", "input": [] }), "input"),
            (json!({ "model": "auto", "input": many }), "input"),
            (json!({ "model": "auto", "input": ["a", ""] }), "input[1]"),
            (json!({ "model": "auto", "input": [1, 2] }), "input[0]"),
            (json!({ "model": "auto", "input": 7 }), "input"),
            (json!({ "model": "auto", "input": "a", "encoding_format": "int8" }), "encoding_format"),
            (json!({ "model": "auto", "input": "a", "dimensions": 0 }), "dimensions"),
            (json!({ "model": "auto", "input": "a", "dimensions": 4_097 }), "dimensions"),
        ] {
            assert_eq!(read(body.clone(), false).err().unwrap().param(), Some(param), "{body}");
        }
    }

    #[test]
    fn local_vectors_are_no_more_than_one_answer_holds() {
        for (texts, dimensions, taken) in [
            (2_048, json!(512), true),
            (2_048, json!(513), false),
            (256, json!(4_096), true),
            (257, json!(4_096), false),
            (2_048, Value::Null, true),
        ] {
            let body = json!({ "model": "auto", "input": vec!["a"; texts], "dimensions": dimensions });
            let refused = read(body.clone(), false).err().map(|error| error.param().map(str::to_owned));
            assert_eq!(refused.is_none(), taken, "{texts} texts, {dimensions} dimensions");
            assert!(refused.is_none_or(|param| param.as_deref() == Some("dimensions")));
            assert!(read(body, true).is_ok(), "what a provider takes is for the provider to say");
        }
    }

    #[test]
    fn tokens_are_for_a_provider() {
        for input in [json!([1, 2]), json!([[1], [2]])] {
            let body = json!({ "model": "auto", "input": input });
            assert!(read(body, true).unwrap().texts.is_none());
        }
    }
}
