//! The usage event that an account becomes (contract `v2.md`, "Usage").

use zumik_insight::ReuseTokens;
use zumik_types::{
    ApiSurface, CacheTier, ExecutionMode, ExecutionProfile, Extra, ObjectType, QosClass, ReuseEvidenceLevel,
    UsageEvent, UsageEventId, UsageStatus,
};

use super::call::Surface;
use super::meter::{Account, End};
use super::reuse::WINDOW;

/// What a generation took.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    /// Tokens of the prompt, and of their reuse.
    pub(crate) reuse: ReuseTokens,
    /// Where the realized number comes from.
    pub(crate) evidence: ReuseEvidenceLevel,
    /// Tokens of the answer.
    pub(crate) output_tokens: u64,
    /// What prompts with the same stable prefix share.
    pub(crate) family: Option<String>,
}

/// The event of an account that is closed.
pub(crate) fn event(id: UsageEventId, account: &Account, measured: &Measured) -> UsageEvent {
    let (asked, target, reuse) = (&account.asked, account.target.as_ref(), measured.reuse);
    let (input, candidate, realized) = (reuse.input(), reuse.candidate(), reuse.realized());
    UsageEvent {
        id,
        object: ObjectType::UsageEvent,
        project_id: asked.ctx.project.clone(),
        created_at: account.ended_at,
        trace_id: asked.ctx.trace.clone(),
        api_surface: match asked.surface {
            Surface::V1ChatCompletions => ApiSurface::V1ChatCompletions,
            Surface::V1Responses => ApiSurface::V1Responses,
            Surface::V1Embeddings => ApiSurface::V1Embeddings,
            Surface::V2Responses => ApiSurface::V2Responses,
        },
        request_id: asked.object_id.clone(),
        api_key_id: Some(asked.ctx.key.clone()),
        requested_model: Some(account.requested.to_string()),
        alias_release_id: target.and_then(|target| target.release.clone()),
        provider: target.map(|target| target.provider.to_string()),
        resolved_model: target.map(|target| target.model.to_string()),
        model_revision: target.and_then(|target| target.revision.as_deref()).map(str::to_owned),
        // Only a server with upstreams can fail to find one.
        execution_profile: target.map_or(ExecutionProfile::ManagedProvider, |target| target.profile.clone()),
        execution_mode: target.map_or(ExecutionMode::Live, |target| target.mode.clone()),
        region: target.map_or("unknown", |target| &target.region).to_owned(),
        qos_class: asked.qos.class.clone().unwrap_or(QosClass::Standard),
        session_id: asked.session_id.clone(),
        branch_id: asked.branch_id.clone(),
        prefix_family_id: measured.family.clone(),
        status: match account.end {
            End::Completed => UsageStatus::Completed,
            End::Failed(_) | End::Rejected(_) => UsageStatus::Failed,
            End::Cancelled => UsageStatus::Cancelled,
            End::Unstarted | End::Expired => UsageStatus::Expired,
        },
        input_tokens: input,
        output_tokens: measured.output_tokens,
        eligible_reuse_tokens: reuse.eligible(),
        candidate_reuse_tokens: candidate,
        realized_reused_tokens: realized,
        missed_opportunity_tokens: reuse.missed(),
        prefill_compute_tokens: input.saturating_sub(realized),
        opportunity_reuse_ratio: ratio(candidate, input),
        realized_reuse_ratio: ratio(realized, input),
        reuse_capture_rate: ratio(realized, candidate),
        reuse_window_ms: WINDOW.num_milliseconds().unsigned_abs(),
        cache_tier: match measured.evidence {
            ReuseEvidenceLevel::ProviderReported => CacheTier::Provider,
            _ => CacheTier::Unknown,
        },
        reuse_evidence_level: measured.evidence.clone(),
        qos_outcome: account.outcome(),
        charged_micros: 0,
        extra: Extra::new(),
    }
}

/// A share from 0 to 1, to four decimals; 0 of nothing. A provider may read more from its cache than was expected.
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let share = (part as f64 / whole as f64).min(1.0);
    (share * 10_000.0).round() / 10_000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ratio_has_four_decimals_and_is_a_share() {
        assert_eq!(ratio(14_980, 18_240), 0.8213);
        assert_eq!(ratio(14_980, 17_100), 0.876);
        assert_eq!((ratio(0, 0), ratio(3, 2), ratio(2, 2)), (0.0, 1.0, 1.0));
    }
}
