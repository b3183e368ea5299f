//! Diagnostics (contract `v2.md`, "Diagnostics").

use zumik_types::{
    DiagnosticTrace, Extra, PrivacyMode, ReceiptKeyId, Signature, TraceObservation, TraceSchedule,
};

use crate::http::call::Call;
use crate::http::input::{Fields, Item};
use crate::http::{ApiError, Reply};
use crate::store::Kind;

/// Most traces of one run.
const MOST_TRACES: usize = 5_000;

/// Members that would carry prompt text, which a diagnostic does not accept.
const PROMPT_TEXT: [&str; 4] = ["messages", "prompt", "input", "content"];

/// `POST /v2/diagnostics`
pub(crate) async fn create(call: &mut Call) -> Result<Reply, ApiError> {
    let traces = Fields::of(&call.json()?).filled_items("traces", MOST_TRACES)?.map(trace)?;
    let report = zumik_insight::diagnose(&traces).map_err(|invalid| {
        ApiError::invalid(invalid.param.clone(), format!("'{}' {}.", invalid.param, invalid.problem))
    })?;
    // The store signs with the key that it holds.
    let unsigned = Signature {
        algorithm: String::new(),
        key_id: ReceiptKeyId::with_suffix(""),
        value: String::new(),
        extra: Extra::new(),
    };
    let report = report.into_signed("", unsigned);
    Ok(call.app.store.create_diagnostic(&call.ctx, report, call.key.take()).await?.into())
}

/// `GET /v2/diagnostics/{diagnostic_id}`
pub(crate) async fn retrieve(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Diagnostic)?;
    let diagnostic = call.app.store.retrieve_diagnostic(&call.ctx, &id).await?;
    call.reply(&diagnostic)
}

/// `GET /v2/diagnostics/{diagnostic_id}/report`
pub(crate) async fn report(call: &mut Call) -> Result<Reply, ApiError> {
    let id = call.path_id(0, Kind::Diagnostic)?;
    let diagnostic = call.app.store.retrieve_diagnostic(&call.ctx, &id).await?;
    call.reply(&diagnostic.report)
}

fn trace(item: Item<'_, '_>) -> Result<DiagnosticTrace, ApiError> {
    let fields = item.object()?;
    let trace_id = fields.text("trace_id")?;
    let privacy_mode = fields.one_of("privacy_mode", PrivacyMode::KNOWN)?;
    let prefix_family_id = fields.optional_text("prefix_family_id")?.map(str::to_owned);
    let schedule = fields.optional_object("schedule")?.map(|fields| schedule(&fields)).transpose()?;
    let observed = observation(&fields.object("observed")?)?;
    if let Some(member) = PROMPT_TEXT.into_iter().find(|member| fields.has(member)) {
        return Err(fields.invalid(member, "must be absent: a diagnostic takes no prompt text"));
    }
    let mut trace = DiagnosticTrace::new(trace_id, privacy_mode, observed);
    trace.prefix_family_id = prefix_family_id;
    trace.schedule = schedule;
    Ok(trace)
}

fn schedule(fields: &Fields<'_, '_>) -> Result<TraceSchedule, ApiError> {
    let mut schedule = TraceSchedule::new();
    schedule.arrival_offset_ms = fields.optional_integer("arrival_offset_ms")?;
    schedule.session_id = fields.optional_text("session_id")?.map(str::to_owned);
    schedule.branch_id = fields.optional_text("branch_id")?.map(str::to_owned);
    schedule.concurrency_group = fields.optional_text("concurrency_group")?.map(str::to_owned);
    Ok(schedule)
}

fn observation(fields: &Fields<'_, '_>) -> Result<TraceObservation, ApiError> {
    let resolved_target = fields.filled_text("resolved_target")?;
    let ttft_ms = fields.count("ttft_ms")?;
    let latency_ms = fields.count("latency_ms")?;
    let input = fields.count("input_tokens")?;
    let of_input = |name| match fields.count(name)? {
        tokens if tokens > input => {
            Err(fields.invalid(name, format_args!("must be at most 'input_tokens', {input}, not {tokens}")))
        }
        tokens => Ok(tokens),
    };
    let candidate = of_input("candidate_reuse_tokens")?;
    let realized = of_input("realized_reused_tokens")?;
    let output = fields.count("output_tokens")?;
    let attempts = fields.optional_count("attempt_count", 1..=u64::MAX)?;
    let mut observed =
        TraceObservation::new(resolved_target, ttft_ms, latency_ms, input, candidate, realized, output);
    observed.attempt_count = attempts;
    Ok(observed)
}
