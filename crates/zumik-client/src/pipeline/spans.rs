//! One span a call, a child a attempt, with the field names of OpenTelemetry. No body, key, query or full URL.

use http::Method;
use serde::Deserialize;
use serde_json::Value;
use tracing::{Span, debug_span, field, info_span};

use super::answer::Attempt;
use super::prepare::Prepared;
use super::take::Take;
use crate::client::Zumik;
use crate::error::{Error, Result};
use crate::response::Meta;

/// The span of a whole call.
pub(crate) fn call(client: &Zumik, call: &Prepared) -> Span {
    let name = &call.target.name;
    let span = info_span!(
        "zumik.call",
        otel.name = field::Empty,
        otel.kind = "client",
        http.request.method = name.method.as_str(),
        url.template = field::Empty,
        server.address = client.shared().base_url.host(),
        http.response.status_code = field::Empty,
        http.request.resend_count = field::Empty,
        error.r#type = field::Empty,
        zumik.trace_id = field::Empty,
        zumik.time_to_first_event_ms = field::Empty,
        gen_ai.request.model = field::Empty,
        gen_ai.usage.input_tokens = field::Empty,
        gen_ai.usage.output_tokens = field::Empty,
    );
    if span.is_disabled() {
        return span;
    }
    if call.target.known {
        span.record("otel.name", field::display(name));
        span.record("url.template", name.template.as_ref());
    } else {
        span.record("otel.name", name.method.as_str());
    }
    if call.target.generation && name.method == Method::POST {
        let model = serde_json::from_slice(&call.request.body).ok().and_then(|Model { model }| model);
        span.record("gen_ai.request.model", model);
    }
    span
}

/// Writes down how a call ended, or that its body has begun.
pub(crate) fn record<T: Take>(span: &Span, call: &Prepared, result: &Result<(Meta, T::Body)>) {
    if span.is_disabled() {
        return;
    }
    let (meta, attempts) = match result {
        Ok((meta, body)) => {
            if call.target.generation
                && let Some(usage) = T::usage(body)
            {
                record_usage(span, &usage);
            }
            (Some(meta), meta.attempts())
        }
        Err(error) => {
            record_end(span, error);
            (error.meta(), error.attempts())
        }
    };
    if let Some(meta) = meta {
        span.record("http.response.status_code", meta.status().as_u16());
        span.record("zumik.trace_id", meta.trace_id().map(|id| id.to_string()));
    }
    if attempts > 1 {
        span.record("http.request.resend_count", attempts - 1);
    }
}

/// Writes down what a call failed with.
pub(crate) fn record_end(span: &Span, error: &Error) {
    span.record("error.type", error_type(error));
}

/// The code of the API where there is one: a small, stable set of values.
fn error_type(error: &Error) -> &str {
    error.code().unwrap_or(error.kind().as_str())
}

/// Writes down the member `usage` of an answer, with the names of either surface.
pub(crate) fn record_usage(span: &Span, usage: &Value) {
    let tokens = |names: [&str; 2]| names.iter().find_map(|name| usage.get(name)?.as_u64());
    span.record("gen_ai.usage.input_tokens", tokens(["input_tokens", "prompt_tokens"]));
    span.record("gen_ai.usage.output_tokens", tokens(["output_tokens", "completion_tokens"]));
}

#[derive(Deserialize)]
struct Model {
    model: Option<String>,
}

/// The span of one attempt.
pub(crate) fn attempt(call: &Prepared, number: u32) -> Span {
    debug_span!(
        "zumik.attempt",
        http.request.resend_count = (number > 1).then(|| number - 1),
        http.request.body.size = call.request.body.len(),
        http.response.status_code = field::Empty,
        http.response.body.size = field::Empty,
        error.r#type = field::Empty,
    )
}

/// Writes down how an attempt ended.
pub(crate) fn record_attempt<T: Take>(span: &Span, attempt: &Attempt<T::Body>) {
    if span.is_disabled() {
        return;
    }
    let (meta, size) = match attempt {
        Ok((meta, body)) => (Some(meta), T::size(body)),
        Err(failure) => {
            span.record("error.type", failure.seen().label());
            (failure.meta(), failure.body_size())
        }
    };
    span.record("http.response.status_code", meta.map(|meta| meta.status().as_u16()));
    span.record("http.response.body.size", size);
}
