//! The log, on standard error.

use std::io;
use std::panic::{self, PanicHookInfo};

use anstream::{AutoStream, ColorChoice};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::args::LogFormat;
use crate::failure::Failure;
use crate::quickstart::Meter;

/// How much to log, and how.
#[derive(Debug, Clone, Default)]
pub(crate) struct Log {
    pub level: Option<String>,
    pub format: Option<LogFormat>,
}

/// Starts logging at the level that was asked for, or at `usual`; a meter sees the client's spans whatever the level.
pub(crate) fn start(log: Log, usual: &str, meter: Option<&Meter>) -> Result<(), Failure> {
    let filter = filter(log.level.as_deref().filter(|level| !level.trim().is_empty()).unwrap_or(usual))?;
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let log = match log.format.unwrap_or(LogFormat::Text) {
        LogFormat::Text => lines.with_ansi(has_colours()).with_filter(filter).boxed(),
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
    };
    tracing_subscriber::registry().with(log).with(meter.map(Meter::layer)).init();
    panic::set_hook(Box::new(|panic| {
        tracing::error!(place = place(panic), "a defect of zumik: it panicked")
    }));
    Ok(())
}

/// Where a panic happened. What it says may hold contents, so it is not repeated.
fn place(panic: &PanicHookInfo<'_>) -> String {
    panic.location().map_or_else(|| "unknown".to_owned(), ToString::to_string)
}

/// Reads `info`, or `zumik_server=debug,warn`. The library takes any single word for the name of a module; here a word
/// on its own is a level.
fn filter(text: &str) -> Result<EnvFilter, Failure> {
    let bare_words_are_levels = text
        .split(',')
        .filter(|part| !part.contains('='))
        .all(|part| part.trim().parse::<LevelFilter>().is_ok());
    EnvFilter::builder().parse(text).ok().filter(|_| bare_words_are_levels).ok_or_else(|| {
        Failure::usage(format_args!(
            "'{text}' is no log level; use off, error, warn, info, debug, trace, or a filter such as \
             zumik_server=debug"
        ))
    })
}

/// Whether standard error is a terminal that wants colours.
fn has_colours() -> bool {
    AutoStream::choice(&io::stderr()) != ColorChoice::Never
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[test]
    fn a_panic_tells_its_place_and_not_what_it_says() {
        let told = Arc::new(Mutex::new(String::new()));
        let heard = Arc::clone(&told);
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |panic| *heard.lock().unwrap() = place(panic)));
        let _ = panic::catch_unwind(|| panic!("canary"));
        panic::set_hook(usual);
        let told = told.lock().unwrap();
        assert!(told.contains("logging.rs") && !told.contains("canary"), "{told}");
    }

    #[test]
    fn a_level_or_a_filter_is_taken_and_any_other_word_refused() {
        for good in ["off", "info", "TRACE", "zumik_server=debug", "zumik_server=debug,warn"] {
            assert!(filter(good).is_ok(), "{good}");
        }
        for bad in ["loud", "zumik_server", "zumik_server=loud", "info,loud"] {
            assert!(filter(bad).is_err(), "{bad}");
        }
    }
}
