//! Workload Reuse Score, reuse waterfall, prompt layout and prompt linter.
#![deny(missing_docs)]
