//! Whole-system tests: a real client against a real server.
//!
//! This library is what they share. It also holds the code of the book: each Rust block of the guide is a documentation
//! test that runs against an embedded server.

pub mod crash;
pub mod faults;
pub mod history;
pub mod http;
pub mod io_faults;
pub mod log;
pub mod operations;
pub mod power;
mod preload;
pub mod process;
pub mod server;
pub mod upstream;
pub mod writers;

use std::error::Error;
use std::time::Duration;

use zumik_client::Zumik;
use zumik_server::Server;

/// How long a test waits for what must happen. Nothing here takes nearly as long: whoever waits to the end waits for nothing.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what must happen, so that a defect fails the test that it would hang.
///
/// # Panics
/// With `what` when it has not happened within a minute.
pub async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(PATIENCE, work).await;
    done.unwrap_or_else(|_| panic!("a minute passed without {what}"))
}

/// Runs a block of the guide with a client of a fresh embedded server.
///
/// # Panics
/// When the block gives an error.
pub fn guide<F>(block: F)
where
    F: AsyncFnOnce(Zumik) -> Result<(), Box<dyn Error>>,
{
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let result: Result<(), Box<dyn Error>> = runtime.block_on(async {
        let server = Server::builder().start().await?;
        let zk = Zumik::builder().base_url(server.url()).api_key(server.api_key()).build()?;
        block(zk).await
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// The seed of a random test: `ZUMIK_SEED`, or a new one. It is printed, and shown when the test fails.
///
/// # Panics
/// When the variable is not a number.
#[expect(clippy::print_stderr, reason = "the seed belongs to what a failed test shows")]
pub fn seed(test: &str) -> u64 {
    let seed = match std::env::var("ZUMIK_SEED") {
        Ok(text) => text.parse().expect("ZUMIK_SEED is a number"),
        Err(_) => fastrand::u64(..),
    };
    eprintln!("{test}: ZUMIK_SEED={seed}");
    seed
}

/// The pages whose Rust blocks are tests.
#[cfg(doctest)]
mod book {
    macro_rules! pages {
        ($($page:ident: $path:literal;)*) => {
            $(#[doc = include_str!(concat!("../../", $path))] struct $page;)*
        };
    }

    pages! {
        Readme: "README.md";
        Start: "docs/guide/start.md";
        Artifacts: "docs/guide/artifacts.md";
        Branches: "docs/guide/branches.md";
        Merges: "docs/guide/merges.md";
        Responses: "docs/guide/responses.md";
        Chat: "docs/guide/chat.md";
        Batches: "docs/guide/batches.md";
        Aliases: "docs/guide/aliases.md";
        Usage: "docs/guide/usage.md";
        Diagnostics: "docs/guide/diagnostics.md";
        Purge: "docs/guide/purge.md";
        Testing: "docs/guide/testing.md";
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::within;

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "a minute passed without the end of a batch")]
    async fn what_does_not_happen_is_named() {
        within("the end of a batch", pending::<()>()).await;
    }
}
