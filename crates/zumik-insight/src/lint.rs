//! The prompt linter: does the layout of a prompt let providers cache it? (Contract, `concepts.md`, "Prompt linter".)

use serde::{Deserialize, Serialize};

use crate::{Prompt, volatile};

/// The fewest tokens of a stable prefix that providers cache.
pub const MINIMUM_PREFIX_TOKENS: u64 = 1024;

/// What the linter has to say about a prompt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LintReport {
    /// 100 less the penalties of all findings, never below 0.
    pub score: u32,
    /// Tokens of all stable blocks, wherever they stand.
    pub stable_prefix_tokens: u64,
    /// What was found: by rule, then by block.
    pub findings: Vec<Finding>,
}

impl LintReport {
    /// The gravest severity found; `None` of a prompt without findings.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Finding {
    /// The rule that was broken.
    pub rule: Rule,
    /// How grave it is.
    pub severity: Severity,
    /// What it costs of the score. Volatile content costs once, at its first block.
    pub penalty: u32,
    /// Position of the block, from 0; `None` when the finding is about the whole prompt.
    pub block_index: Option<usize>,
    /// What was seen.
    pub detail: String,
}

/// A rule of the linter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Rule {
    /// A stable block contains a date, a time, a UUID, a long number, or words that announce one.
    VolatileContentInStablePrefix,
    /// A stable block (rank 1 to 5) stands after one of rank 6 or more.
    OrderingRegression,
    /// The last block is neither the latest user input nor a tool result.
    LatestTurnNotLast,
    /// The stable blocks have fewer than [`MINIMUM_PREFIX_TOKENS`] tokens.
    StablePrefixBelowMinimum,
}

/// How grave a finding is. Ordered: low is less than high.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Low,
    /// Costs some reuse.
    Medium,
    /// Destroys reuse.
    High,
}

impl Rule {
    /// The identifier of the rule in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VolatileContentInStablePrefix => "volatile_content_in_stable_prefix",
            Self::OrderingRegression => "ordering_regression",
            Self::LatestTurnNotLast => "latest_turn_not_last",
            Self::StablePrefixBelowMinimum => "stable_prefix_below_minimum",
        }
    }

    /// How grave a breach of the rule is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::VolatileContentInStablePrefix => Severity::High,
            Self::OrderingRegression => Severity::Medium,
            Self::LatestTurnNotLast | Self::StablePrefixBelowMinimum => Severity::Low,
        }
    }

    /// What a breach of the rule costs.
    pub const fn penalty(self) -> u32 {
        match self {
            Self::VolatileContentInStablePrefix => 30,
            Self::OrderingRegression => 15,
            Self::LatestTurnNotLast | Self::StablePrefixBelowMinimum => 5,
        }
    }

    fn finding(self, block_index: impl Into<Option<usize>>, detail: String) -> Finding {
        Finding {
            rule: self,
            severity: self.severity(),
            penalty: self.penalty(),
            block_index: block_index.into(),
            detail,
        }
    }
}

/// Checks the layout of a prompt. `count_tokens` is the estimator of `POST /v2/token-counts`: the number of tokens of a
/// text in the encoding `o200k_base`.
pub fn lint(prompt: &Prompt, count_tokens: impl Fn(&str) -> u64) -> LintReport {
    let ranks = prompt.ranks();
    let stable = || prompt.blocks().iter().zip(&ranks).enumerate().filter(|(_, (_, rank))| rank.is_stable());

    let mut findings: Vec<Finding> = Vec::new();
    for (index, (block, _)) in stable() {
        if let Some(volatile) = volatile::find(block.text()) {
            let mut finding = Rule::VolatileContentInStablePrefix.finding(index, volatile.to_string());
            if !findings.is_empty() {
                finding.penalty = 0;
            }
            findings.push(finding);
        }
    }

    if let Some(first_dynamic) = ranks.iter().position(|rank| !rank.is_stable()) {
        for (index, (_, rank)) in stable().skip_while(|(index, _)| *index < first_dynamic) {
            let detail = format!("{rank} after {} (block {first_dynamic})", ranks[first_dynamic]);
            findings.push(Rule::OrderingRegression.finding(index, detail));
        }
    }

    if let Some((index, rank)) =
        ranks.iter().enumerate().next_back().filter(|(_, rank)| !rank.is_latest_turn())
    {
        findings.push(Rule::LatestTurnNotLast.finding(index, format!("the last block is {rank}")));
    }

    let stable_prefix_tokens =
        stable().fold(0, |sum: u64, (_, (block, _))| sum.saturating_add(count_tokens(block.text())));
    if stable_prefix_tokens < MINIMUM_PREFIX_TOKENS {
        let detail = format!("{stable_prefix_tokens} of {MINIMUM_PREFIX_TOKENS} tokens");
        findings.push(Rule::StablePrefixBelowMinimum.finding(None, detail));
    }

    let penalties = findings.iter().fold(0, |sum: u32, finding| sum.saturating_add(finding.penalty));
    LintReport { score: 100_u32.saturating_sub(penalties), stable_prefix_tokens, findings }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// The findings of a prompt of `[role, content]` pairs in which every block has 1,024 tokens.
    fn findings(blocks: Value) -> Vec<(Rule, Option<usize>, u32)> {
        let report = report(blocks);
        report
            .findings
            .into_iter()
            .map(|finding| (finding.rule, finding.block_index, finding.penalty))
            .collect()
    }

    fn report(blocks: Value) -> LintReport {
        let message = |pair: &Value| json!({ "role": pair[0], "content": pair[1] });
        let messages: Value = blocks.as_array().unwrap().iter().map(message).collect();
        lint(&Prompt::from_json(&messages).unwrap(), |_| MINIMUM_PREFIX_TOKENS)
    }

    #[test]
    fn a_well_laid_out_prompt_has_no_findings() {
        let report = report(json!([["system", "s"], ["tools", "t"], ["user", "u"], ["tool", "2026-06-15"]]));
        assert_eq!((report.score, report.worst(), report.findings), (100, None, vec![]));
    }

    #[test]
    fn volatile_content_is_reported_for_every_stable_block_but_costs_once() {
        let found = findings(json!([
            ["system", "Today is 2026-06-15."],
            ["developer", "stable"],
            ["context", "request_id: 7"],
            ["user", "2026-06-15"]
        ]));
        let rule = Rule::VolatileContentInStablePrefix;
        assert_eq!(found, [(rule, Some(0), 30), (rule, Some(2), 0)]);
    }

    #[test]
    fn every_stable_block_after_a_dynamic_one_is_a_regression() {
        let report =
            report(json!([["tools", "t"], ["user", "old"], ["system", "s"], ["tools", "t"], ["user", "u"]]));
        let found: Vec<_> =
            report.findings.iter().map(|finding| (finding.block_index, &*finding.detail)).collect();
        assert_eq!(
            found,
            [(Some(2), "system policy after history (block 1)"), (Some(3), "tools after history (block 1)")]
        );
        assert_eq!((report.score, report.worst()), (70, Some(Severity::Medium)));
    }

    #[test]
    fn stable_blocks_in_another_order_among_themselves_are_no_regression() {
        assert_eq!(findings(json!([["context", "c"], ["tools", "t"], ["system", "s"], ["user", "u"]])), []);
    }

    #[test]
    fn the_latest_turn_must_be_last() {
        assert_eq!(
            findings(json!([["system", "s"], ["user", "u"], ["assistant", "a"]])),
            [(Rule::LatestTurnNotLast, Some(2), 5)]
        );
    }

    #[test]
    fn a_prompt_without_stable_blocks_has_no_tokens_in_its_prefix() {
        let report = report(json!([["user", "u"]]));
        assert_eq!(report.stable_prefix_tokens, 0);
        assert_eq!(report.findings[0].detail, "0 of 1024 tokens");
        assert_eq!((report.score, report.worst()), (95, Some(Severity::Low)));
    }

    #[test]
    fn a_prefix_of_exactly_the_minimum_is_long_enough() {
        let prompt = Prompt::new([crate::Block::new("system", "s"), crate::Block::new("user", "u")]).unwrap();
        assert_eq!(lint(&prompt, |_| MINIMUM_PREFIX_TOKENS).score, 100);
        assert_eq!(lint(&prompt, |_| MINIMUM_PREFIX_TOKENS - 1).score, 95);
    }

    #[test]
    fn the_score_never_falls_below_zero() {
        let mut blocks = vec![json!(["user", "u"])];
        blocks.resize(10, json!(["system", "s"]));
        assert_eq!(report(Value::Array(blocks)).score, 0);
    }
}
