//! What was measured, as a Markdown page: the machine, then a row for each number with what it is compared to.

use std::fmt::{self, Write as _};
use std::fs;
use std::process::Command;
use std::time::Duration;

/// One measured number beside its baseline of the same run.
#[derive(Debug)]
pub struct Row {
    /// What was measured.
    pub what: String,
    /// The measured value, with its unit.
    pub value: String,
    /// What it is compared to, with its value.
    pub baseline: String,
    /// Value divided by baseline.
    pub ratio: Option<f64>,
}

/// All rows of a run.
#[derive(Debug, Default)]
pub struct Report {
    rows: Vec<Row>,
}

impl Report {
    /// Adds a row and shows it at once: a run takes minutes.
    pub fn add(&mut self, row: Row) {
        println!("{row}");
        self.rows.push(row);
    }

    /// The page.
    pub fn page(&self) -> String {
        let mut page = String::from("# Benchmarks\n\n");
        page.push_str("Written by `cargo xtask bench --write`. Both sides of a row ran in turns in the same run, in the ");
        page.push_str("release profile, client and server on one machine. Values are medians.\n\n");
        page.push_str(&machine());
        page.push_str("\n| Measured | Value | Compared to | Ratio |\n| --- | --- | --- | --- |\n");
        for row in &self.rows {
            let _ = writeln!(page, "{row}");
        }
        page
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratio = self.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}"));
        write!(f, "| {} | {} | {} | {ratio} |", self.what, self.value, self.baseline)
    }
}

/// What it ran on.
fn machine() -> String {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_once(':').map_or("unknown", |(_, value)| value.trim()).to_owned()
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let processor = field(&read("/proc/cpuinfo"), "model name");
    let memory = field(&read("/proc/meminfo"), "MemTotal");
    let kernel = read("/proc/sys/kernel/osrelease");
    let rustc =
        Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    let rustc = String::from_utf8_lossy(&rustc);
    let version = env!("CARGO_PKG_VERSION");
    format!(
        "| | |\n| --- | --- |\n| Processor | {processor}, {cores} cores |\n| Memory | {memory} |\n| Linux | {} |\n\
         | Compiler | {} |\n| Measurements | {version} |\n",
        kernel.trim(),
        rustc.trim(),
    )
}

/// The middle of some values; their upper middle when their number is even.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    percentile(values, 50)
}

/// The value that so many of a hundred do not pass.
pub fn percentile<T: Copy + PartialOrd>(values: &[T], percent: usize) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)]
}

/// A duration in microseconds.
pub fn micros(duration: Duration) -> String {
    format!("{:.1} µs", duration.as_secs_f64() * 1e6)
}

/// A duration in milliseconds.
pub fn millis(duration: Duration) -> String {
    format!("{:.2} ms", duration.as_secs_f64() * 1e3)
}

/// One duration divided by another.
pub fn ratio(value: Duration, baseline: Duration) -> Option<f64> {
    Some(value.as_secs_f64() / baseline.as_secs_f64())
}
