//! Generations: asked with a QoS target, and remembered as traces for the diagnostic.

use std::time::Instant;

use zumik_client::Response;
use zumik_client::types::{
    BranchId, DegradePolicy, DiagnosticTrace, ExecutionMode, NativeResponse, PrivacyMode, Qos, QosClass,
    SessionId, Snapshot, SnapshotId, TraceObservation, TraceSchedule,
};

use super::turns::Conversation;
use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::report::GenerationSummary;
use crate::term::{self, GOOD, WARN, styled};

/// The alias that the tour asks for.
pub(crate) const MODEL: &str = "code.fast";

/// Time to the first token that an interactive user should see. Missing it is reported, nothing more.
pub(crate) const TARGET_TTFT_MS: u64 = 500;

/// When a call is given up: far beyond the target.
const DEADLINE_MS: u64 = 60_000;

/// What to ask, and over which state.
pub(crate) struct Question<'a> {
    input: &'a str,
    session: &'a SessionId,
    branch: Option<&'a BranchId>,
    snapshot: Option<&'a SnapshotId>,
}

impl<'a> Question<'a> {
    pub(crate) fn new(input: &'a str, session: &'a SessionId) -> Self {
        Self { input, session, branch: None, snapshot: None }
    }

    pub(crate) fn on_branch(mut self, branch: &'a BranchId) -> Self {
        self.branch = Some(branch);
        self
    }

    pub(crate) fn on_snapshot(mut self, snapshot: &'a SnapshotId) -> Self {
        self.snapshot = Some(snapshot);
        self
    }
}

/// Traces of the generations so far, in the form that `POST /v2/diagnostics` takes: numbers, no text.
pub(crate) struct Traces {
    began: Instant,
    pub collected: Vec<DiagnosticTrace>,
}

impl Traces {
    pub(crate) fn new() -> Self {
        Self { began: Instant::now(), collected: Vec::new() }
    }
}

/// Generates, and keeps a trace of it.
pub(crate) async fn ask(
    tour: &mut Tour<'_>,
    question: Question<'_>,
) -> Result<Response<NativeResponse>, Failure> {
    let qos = Qos::new()
        .class(QosClass::Interactive)
        .target_ttft_ms(TARGET_TTFT_MS)
        .deadline_ms(DEADLINE_MS)
        .degrade_policy(DegradePolicy::AllowCompatibleFallback);
    let mut call = tour.zk.responses().create(MODEL, question.input).session(question.session).qos(qos);
    if let Some(branch) = question.branch {
        call = call.branch(branch);
    }
    if let Some(snapshot) = question.snapshot {
        call = call.snapshot(snapshot);
    }
    let arrived = tour.traces.began.elapsed();
    let began = Instant::now();
    let answer = call.send().await.map_err(Failure::call)?;
    let wall_ms = millis(began.elapsed());
    tour.traces.collected.push(trace(&answer, question.session, millis(arrived), wall_ms));
    Ok(answer)
}

/// What a diagnostic needs to know of one answer. All prompts of a session begin with the same bundle: they are one
/// prefix family.
fn trace(
    answer: &Response<NativeResponse>,
    session: &SessionId,
    arrived_ms: u64,
    wall_ms: u64,
) -> DiagnosticTrace {
    let usage = &answer.usage;
    let qos = &answer.qos_outcome;
    let latency_ms = qos.latency_ms.unwrap_or(wall_ms);
    let observed = TraceObservation::new(
        resolved_target(answer),
        qos.ttft_ms.unwrap_or(latency_ms),
        latency_ms,
        usage.input_tokens,
        usage.candidate_reuse_tokens,
        usage.realized_reused_tokens,
        usage.output_tokens,
    );
    let schedule = TraceSchedule::new()
        .arrival_offset_ms(i64::try_from(arrived_ms).unwrap_or(i64::MAX))
        .session_id(session.as_str());
    DiagnosticTrace::new(answer.trace_id.as_str(), PrivacyMode::Metadata, observed)
        .prefix_family_id(format!("pf_{session}"))
        .schedule(schedule)
}

/// `provider/model`, from the headers of the answer.
fn resolved_target(answer: &Response<NativeResponse>) -> String {
    let meta = answer.meta();
    let model = meta.resolved_model().unwrap_or(answer.model.as_str());
    match meta.resolved_provider() {
        Some(provider) => format!("{provider}/{model}"),
        None => model.to_owned(),
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The generation that the tour is about: over the pinned state, with a target, and honest about who answered.
pub(crate) async fn over_snapshot(
    tour: &mut Tour<'_>,
    talk: &Conversation,
    snapshot: &Snapshot,
) -> Result<GenerationSummary, Failure> {
    tour.title("Generation with a QoS target", "zk.responses().create(model, input).qos(qos).send()")?;
    let question = Question::new("Summarize this folder in three sentences.", &talk.session.id);
    let answer = ask(tour, question.on_snapshot(&snapshot.id)).await?;
    let mode = answer.meta().execution_mode();
    let placeholder = mode == Some(ExecutionMode::Placeholder);

    let text = term::printable(answer.output_text.as_deref().unwrap_or_default());
    tour.screen.item("asked", format_args!("{MODEL}, first token within {TARGET_TTFT_MS} ms"))?;
    tour.screen.item("answer", term::shortened(&text, 3 * term::width()))?;
    show_outcome(tour, &answer)?;
    if placeholder {
        tour.screen.item(
            "",
            styled(
                WARN,
                "No model answered: this is a placeholder, and the header Agent-Execution-Mode says so.",
            ),
        )?;
        tour.screen.item(
            "",
            "For a model's answer: zumik quickstart --upstream URL (any server that speaks OpenAI's API), or set",
        )?;
        tour.screen.item("", "ZUMIK_BASE_URL (for example https://api.zumik.ai) and ZUMIK_API_KEY.")?;
    }
    Ok(GenerationSummary {
        response_id: answer.id.to_string(),
        model: answer.model.clone(),
        execution_mode: mode.map(|mode| mode.to_string()),
        placeholder,
        qos_outcome: answer.qos_outcome.clone(),
    })
}

fn show_outcome(tour: &mut Tour<'_>, answer: &NativeResponse) -> Result<(), Failure> {
    let qos = &answer.qos_outcome;
    let met = match qos.target_met {
        Some(true) => styled(GOOD, "target met").to_string(),
        Some(false) => styled(WARN, "target missed").to_string(),
        None => "no target".to_owned(),
    };
    let time = |ms: Option<u64>| ms.map_or_else(|| "not measured".to_owned(), |ms| format!("{ms} ms"));
    let (first, whole) = (time(qos.ttft_ms), time(qos.latency_ms));
    tour.screen
        .item("qos", format_args!("{}, {met}: first token {first}, whole answer {whole}", qos.admission))?;
    let usage = &answer.usage;
    tour.screen.item(
        "tokens",
        format_args!(
            "{} in, of which {} were in an earlier prompt; reuse evidence: {}",
            term::count(usage.input_tokens),
            term::count(usage.candidate_reuse_tokens),
            usage.reuse_evidence_level
        ),
    )
}
