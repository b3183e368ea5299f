//! Token counts, in the encoding `o200k_base`.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::blocking::{BrokenOff, blocking};

/// Up to this many bytes are counted where they are; it takes less than a millisecond.
const IN_LINE: usize = 16 * 1024;

/// The tables of the encoding take about 50 ms and 35 MB to load. They are loaded by the first count, so that a server
/// that counts nothing starts at once and stays small.
static LOADED: AtomicBool = AtomicBool::new(false);

/// The number of tokens in each text. Long ones are counted on a thread for blocking work; counting is linear in the
/// length of the text, whatever it says.
///
/// # Errors
/// The counting thread panicked, or the runtime shuts down.
pub(crate) async fn count<T, F>(items: Arc<[T]>, text: F) -> Result<Vec<u64>, BrokenOff>
where
    T: Send + Sync + 'static,
    F: Fn(&T) -> &str + Send + 'static,
{
    let bytes: usize = items.iter().map(|item| text(item).len()).sum();
    near(bytes, move || items.iter().map(|item| tokens(text(item))).collect()).await
}

/// Runs work that counts about this many bytes: where it is, or on a thread for blocking work when it may take long.
///
/// # Errors
/// The thread panicked, or the runtime shuts down.
pub(crate) async fn near<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, BrokenOff> {
    if bytes <= IN_LINE && LOADED.load(Ordering::Acquire) {
        return panic::catch_unwind(AssertUnwindSafe(work)).map_err(|_| BrokenOff);
    }
    blocking(work).await
}

/// The number of tokens in a text, counted where it is called.
pub(crate) fn tokens(text: &str) -> u64 {
    let encoding = bpe_openai::o200k_base();
    LOADED.store(true, Ordering::Release);
    encoding.count(text) as u64
}

/// The longest beginning of a text that has at most `most` tokens; nothing is cut when it has no more.
pub(crate) fn truncate(text: &str, most: u64) -> Option<String> {
    let encoding = bpe_openai::o200k_base();
    let tokens = encoding.encode(text);
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    if tokens.len() <= most {
        return None;
    }
    // A token may end within a character: then the character goes with the next token.
    (0..=most).rev().find_map(|end| encoding.decode(&tokens[..end]))
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn one(text: &'static str) -> u64 {
        count(Arc::from([text]), |text| text).await.unwrap()[0]
    }

    #[tokio::test]
    async fn counts_are_those_of_o200k_base() {
        assert_eq!(one("Summarize the diff in three bullets.").await, 9);
        assert_eq!(one("Review the latest patch.").await, 5);
        assert_eq!(one("").await, 0);
    }

    #[tokio::test]
    async fn work_that_panics_ends_nothing_but_itself() {
        one("so that the tables are loaded").await;
        for bytes in [0, IN_LINE + 1] {
            assert_eq!(near(bytes, || panic!("canary")).await, Err::<(), _>(BrokenOff));
        }
    }

    #[tokio::test]
    async fn a_text_that_repeats_itself_is_counted_in_linear_time() {
        let texts: Arc<[String]> =
            Arc::from([" ".repeat(300_000), "a".repeat(300_000), "\u{1f980}".repeat(50_000)]);
        let counts = count(texts, String::as_str).await.unwrap();
        assert!(counts.iter().all(|count| (1..300_000).contains(count)), "{counts:?}");
    }

    #[test]
    fn a_text_is_cut_at_whole_tokens_and_whole_characters() {
        assert_eq!(truncate("Review the latest patch.", 2).as_deref(), Some("Review the"));
        assert_eq!(truncate("Review the latest patch.", 5), None);
        assert_eq!(truncate("Review", 0).as_deref(), Some(""));
        for most in 0..12 {
            let cut = truncate("\u{1f9d1}\u{200d}\u{1f680}\u{1f9d1}\u{200d}\u{1f680}", most);
            assert!(cut.is_none_or(|cut| "\u{1f9d1}\u{200d}\u{1f680}\u{1f9d1}\u{200d}\u{1f680}".starts_with(&cut)));
        }
    }
}
