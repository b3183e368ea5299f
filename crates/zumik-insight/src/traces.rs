//! What a set of traces must be before it can be scored (contract, `v2.md`, `POST /v2/diagnostics`).

use zumik_types::{DiagnosticTrace, Extra, TraceObservation};

/// Traces that cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{param}` {problem}")]
#[non_exhaustive]
pub struct InvalidTraces {
    /// Path of the first offending member, for example `traces[2].observed.candidate_reuse_tokens`: the `param` of the
    /// API's error.
    pub param: String,
    /// What is wrong with it.
    pub problem: &'static str,
}

/// Members that would carry prompt text. A diagnostic neither needs nor accepts it.
const PROMPT_TEXT: [&str; 4] = ["messages", "prompt", "input", "content"];

/// Checks what the types cannot: that there are traces, that their counts fit together, and that none carries prompt
/// text. How many traces one request may have is a limit of the API and not checked here.
pub(crate) fn check(traces: &[DiagnosticTrace]) -> Result<(), InvalidTraces> {
    if traces.is_empty() {
        return Err(InvalidTraces { param: "traces".to_owned(), problem: "must not be empty" });
    }
    traces.iter().enumerate().try_for_each(|(index, trace)| {
        let invalid =
            |member: &str, problem| InvalidTraces { param: format!("traces[{index}].{member}"), problem };
        if !trace.privacy_mode.is_known() {
            return Err(invalid("privacy_mode", "is not a privacy mode"));
        }
        if let Some(member) = prompt_text(&trace.extra) {
            return Err(invalid(member, "would carry prompt text, which a diagnostic does not accept"));
        }
        check_observation(&trace.observed).map_err(|(member, problem)| invalid(member, problem))
    })
}

fn check_observation(observed: &TraceObservation) -> Result<(), (&'static str, &'static str)> {
    if observed.candidate_reuse_tokens > observed.input_tokens {
        return Err(("observed.candidate_reuse_tokens", "must not exceed `input_tokens`"));
    }
    if observed.realized_reused_tokens > observed.input_tokens {
        return Err(("observed.realized_reused_tokens", "must not exceed `input_tokens`"));
    }
    if observed.attempt_count == Some(0) {
        return Err(("observed.attempt_count", "must be at least 1"));
    }
    Ok(())
}

fn prompt_text(unknown: &Extra) -> Option<&'static str> {
    PROMPT_TEXT.into_iter().find(|member| unknown.contains_key(*member))
}
