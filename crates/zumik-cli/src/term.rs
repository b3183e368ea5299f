//! What reaches the user's eyes: styles, a screen to write on, bars, and numbers that read well.

use std::borrow::Cow;
use std::fmt::{self, Display};
use std::io::Write;

use anstyle::{AnsiColor, Style};
use indicatif::{ProgressBar, ProgressStyle};

use crate::failure::Failure;

pub(crate) const STRONG: Style = Style::new().bold();
pub(crate) const FAINT: Style = Style::new().dimmed();
pub(crate) const GOOD: Style = AnsiColor::Green.on_default();
pub(crate) const WARN: Style = AnsiColor::Yellow.on_default();
pub(crate) const BAD: Style = AnsiColor::Red.on_default();
pub(crate) const BAR: Style = AnsiColor::Cyan.on_default();

/// A value in a style. The escape codes are taken out again where the output is no terminal.
pub(crate) fn styled(style: Style, value: impl Display) -> impl Display {
    fmt::from_fn(move |f| write!(f, "{style}{value}{style:#}"))
}

/// Standard output for people; silent when a program reads it instead (`--json`).
pub(crate) struct Screen {
    silent: bool,
}

impl Screen {
    pub(crate) fn new(silent: bool) -> Self {
        Self { silent }
    }

    /// Writes one line.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        if self.silent {
            return Ok(());
        }
        print_line(line)
    }

    /// A line with a label before it; the values of labelled lines stand in one column.
    pub(crate) fn item(&mut self, label: &str, value: impl Display) -> Result<(), Failure> {
        self.line(format_args!("   {} {value}", styled(FAINT, format_args!("{label:<10}"))))
    }

    /// Whether lines are written at all.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }
}

/// Writes one line to standard output, with colours where it is a terminal that wants them.
pub(crate) fn print_line(line: impl Display) -> Result<(), Failure> {
    let mut out = anstream::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(Failure::output)
}

/// Writes one line to standard error. Nothing can be done when that fails.
pub(crate) fn print_error(line: impl Display) {
    let _ = writeln!(anstream::stderr().lock(), "{line}");
}

/// Writes a value as one line of JSON, for `--json`.
pub(crate) fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value).map_err(|e| Failure::because("cannot write JSON", &e))?;
    print_line(text)
}

/// A bar for work that takes a while, on standard error; invisible where that is no terminal. `before` and `behind` are
/// what stands beside it, in the words of indicatif's templates.
pub(crate) fn progress(silent: bool, before: &str, behind: &str) -> ProgressBar {
    if silent {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template(&format!("   {before}  [{{bar:40.cyan}}] {behind}"))
        .map(|style| style.progress_chars("█▉▊▋▌▍▎▏ "));
    let bar = ProgressBar::new(0);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Columns of the terminal; 80 when there is none.
pub(crate) fn width() -> usize {
    terminal_size::terminal_size().map_or(80, |(columns, _)| usize::from(columns.0))
}

/// Text from files, file names and servers, made safe to print: line breaks become spaces, other control characters
/// are shown as escapes, so that no name can move the cursor or colour the screen.
pub(crate) fn printable(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\r' | '\t' => safe.push(' '),
            c if c.is_control() || is_invisible(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// A text as one argument of a command that is told to the user.
pub(crate) fn argument(text: &str) -> Cow<'_, str> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into(),
        false => format!("'{}'", text.replace('\'', r"'\''")).into(),
    }
}

/// Text of a model, made safe for a terminal: line breaks and tabs stay, other control characters are shown as escapes.
pub(crate) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' | '\t' => safe.push(c),
            // Joins emoji and letters of some scripts; it moves nothing.
            '\u{200c}' | '\u{200d}' => safe.push(c),
            c if c.is_control() || is_invisible(c) => safe.extend(c.escape_unicode()),
            c => safe.push(c),
        }
    }
    safe
}

/// Marks that reorder or hide text without being control characters.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

/// At most `limit` characters of a text, with an ellipsis where some are missing.
pub(crate) fn shortened(text: &str, limit: usize) -> String {
    if text.chars().count() <= limit {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(limit.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// A horizontal bar: `part` of `whole` on `columns` columns, in eighths of a column.
///
/// What is more than nothing shows as at least one eighth.
pub(crate) fn bar(part: u64, whole: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 || whole == 0 {
        return String::new();
    }
    let eighths = u128::from(part.min(whole)) * columns as u128 * 8 / u128::from(whole);
    let eighths = usize::try_from(eighths).unwrap_or(0).max(1);
    let mut bar = "█".repeat(eighths / 8);
    bar.push_str(EIGHTHS[eighths % 8]);
    bar
}

/// A count with its digits in groups: `18,240`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A count with its noun: `1 file`, `3 files`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// A number of bytes: `517 B`, `12.4 KiB`, `1.9 MiB`.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// A duration in milliseconds: `0.42 ms`, `18 ms`, `2.31 s`.
pub(crate) fn millis(ms: f64) -> String {
    match ms {
        ms if ms < 10.0 => format!("{ms:.2} ms"),
        ms if ms < 1_000.0 => format!("{ms:.0} ms"),
        ms => format!("{:.2} s", ms / 1_000.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d"), "a\\u{1b}[2Jb c\\u{202e}d");
        assert_eq!(printable("Übersicht – café.txt"), "Übersicht – café.txt");
    }

    #[test]
    fn an_answer_keeps_its_lines_and_cannot_steer_the_terminal() {
        assert_eq!(
            harmless("a\n\tb\r\u{1b}]0;x\u{7}\u{9b}2J\u{202e}"),
            "a\n\tb\\u{d}\\u{1b}]0;x\\u{7}\\u{9b}2J\\u{202e}"
        );
        assert_eq!(harmless("👩‍💻 – naïve"), "👩‍💻 – naïve");
    }

    #[test]
    fn a_bar_is_as_long_as_its_share() {
        assert_eq!(bar(0, 100, 10), "");
        assert_eq!(bar(5, 0, 10), "");
        assert_eq!(bar(100, 100, 10), "█".repeat(10));
        assert_eq!(bar(50, 100, 5), "██▌");
        assert_eq!(bar(1, 1_000_000, 10), "▏");
        assert_eq!(bar(u64::MAX, u64::MAX, 3), "███");
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(999), "999");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(0, "file"), "0 files");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(1024 * 1024), "1.0 MiB");
        assert_eq!(millis(0.4234), "0.42 ms");
        assert_eq!(millis(18.4), "18 ms");
        assert_eq!(millis(2310.0), "2.31 s");
    }

    #[test]
    fn a_long_text_is_shortened_by_characters() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüß", 3), "äö…");
    }
}
