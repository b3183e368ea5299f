//! The diagnostic report: what a set of traces says about reuse.

use serde::Serialize;
use zumik_types::{
    DiagnosticReport, DiagnosticTrace, ExecutionProfile, Extra, ObjectType, ReuseBand, ReuseComponents,
    ReuseEvidenceLevel, ReuseRecommendation, ReuseWaterfall, Signature,
};

use crate::{
    InvalidTraces, ReuseTokens,
    score::{Components, action, band},
    traces,
};

/// A diagnostic report before it is signed. It serializes to what is signed: the report without `digest` and
/// `signature`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct UnsignedReport {
    /// Always `diagnostic_report`.
    pub object: ObjectType,
    /// Number of traces scored.
    pub trace_count: u64,
    /// The Workload Reuse Score, 0 to 100.
    pub workload_reuse_score: u64,
    /// The band that the score falls into.
    pub band: ReuseBand,
    /// The components of the score, rounded to four decimals.
    pub components: ReuseComponents,
    /// Where the tokens went, summed over the traces.
    pub waterfall: ReuseWaterfall,
    /// What to do next.
    pub recommendation: ReuseRecommendation,
    /// Always `trace_estimated`.
    pub evidence_level: ReuseEvidenceLevel,
}

impl UnsignedReport {
    /// The report with the digest and signature that were made of it.
    pub fn into_signed(self, digest: impl Into<String>, signature: Signature) -> DiagnosticReport {
        DiagnosticReport {
            object: self.object,
            trace_count: self.trace_count,
            workload_reuse_score: self.workload_reuse_score,
            band: self.band,
            components: self.components,
            waterfall: self.waterfall,
            recommendation: self.recommendation,
            evidence_level: self.evidence_level,
            digest: digest.into(),
            signature,
            extra: Extra::new(),
        }
    }
}

/// Scores a set of traces. A pure function: the same traces give the same report.
///
/// # Errors
///
/// No traces, counts that do not fit together (more candidate or realized tokens than input, no attempt), an unknown
/// privacy mode, and traces with members that would carry prompt text.
pub fn diagnose(traces: &[DiagnosticTrace]) -> Result<UnsignedReport, InvalidTraces> {
    traces::check(traces)?;
    let components = Components::of(traces);
    let score = components.score();
    Ok(UnsignedReport {
        object: ObjectType::DiagnosticReport,
        trace_count: traces.len() as u64,
        workload_reuse_score: score,
        band: band(score),
        components: components.rounded(),
        waterfall: waterfall(traces),
        recommendation: recommendation(score),
        evidence_level: ReuseEvidenceLevel::TraceEstimated,
    })
}

fn waterfall(traces: &[DiagnosticTrace]) -> ReuseWaterfall {
    let tokens: ReuseTokens = traces.iter().map(tokens).sum();
    ReuseWaterfall {
        input_tokens: tokens.input(),
        eligible_reuse_tokens: tokens.eligible(),
        candidate_reuse_tokens: tokens.candidate(),
        realized_reused_tokens: tokens.realized(),
        missed_opportunity_tokens: tokens.missed(),
        extra: Extra::new(),
    }
}

/// The tokens of one trace. Metadata does not say how much of a prompt was stable: with a prefix family all of it may
/// have been, without one only what came back.
fn tokens(trace: &DiagnosticTrace) -> ReuseTokens {
    let observed = &trace.observed;
    let eligible = if trace.prefix_family_id.is_some() {
        observed.input_tokens
    } else {
        observed.candidate_reuse_tokens
    };
    ReuseTokens::of_request(
        observed.input_tokens,
        eligible,
        observed.candidate_reuse_tokens,
        observed.realized_reused_tokens,
    )
}

/// The action follows from the band. Whether a workload is ready for an execution profile of its own is a judgment
/// that traces do not support, so the profile is the one that asks for nothing.
fn recommendation(score: u64) -> ReuseRecommendation {
    let summary = match band(score) {
        ReuseBand::StrongFit => {
            "Reuse opportunity is high. Look at the requests that missed the cache before changing infrastructure."
        }
        ReuseBand::PlausibleFit => {
            "Reuse is worth having. Tune prompt order, cache breakpoints and retention at the providers in use."
        }
        ReuseBand::LimitedFit => {
            "Little comes back as it was. Put stable content first and keep it unchanged before tuning any cache."
        }
        _ => "The requests share almost nothing. Custom caching or infrastructure of your own would not pay.",
    };
    ReuseRecommendation {
        action: action(score),
        execution_profile: ExecutionProfile::ManagedProvider,
        summary: summary.to_owned(),
        extra: Extra::new(),
    }
}
