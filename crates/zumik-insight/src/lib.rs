#![doc = include_str!("../README.md")]
#![deny(missing_docs)]

mod layout;
mod lint;
mod prompt;
mod report;
mod reuse;
mod score;
mod share;
mod traces;
mod volatile;

pub use layout::Rank;
pub use lint::{Finding, LintReport, MINIMUM_PREFIX_TOKENS, Rule, Severity, lint};
pub use prompt::{Block, Prompt, PromptError};
pub use report::{UnsignedReport, diagnose};
pub use reuse::ReuseTokens;
pub use score::{REUSE_WINDOW_MS, action, band};
pub use traces::InvalidTraces;
