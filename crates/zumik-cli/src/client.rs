//! The client of commands that call a server.

use std::env;

use zumik_client::{Builder, ErrorKind, Zumik};

use crate::args::ClientArgs;
use crate::failure::Failure;

/// A client of the server that was named, with the key of `ZUMIK_API_KEY`. It takes placeholders: the commands say so
/// when an answer is one.
pub(crate) fn client(args: &ClientArgs) -> Result<Zumik, Failure> {
    if env::var_os("ZUMIK_API_KEY").is_none_or(|key| key.is_empty()) {
        return Err(Failure::usage(
            "ZUMIK_API_KEY is not set; zumik serve shows a key at its first start, zumik keys create makes one",
        ));
    }
    let builder: Builder = Zumik::builder().reject_placeholder(false);
    let builder = match &args.base_url {
        Some(url) => builder.base_url(url),
        None => builder,
    };
    built(builder)
}

/// The client that is set up so.
pub(crate) fn built(builder: Builder) -> Result<Zumik, Failure> {
    builder.build().map_err(|error| match error.kind() {
        ErrorKind::Config => Failure::usage(error),
        _ => Failure::call(error),
    })
}

/// ` --base-url URL` for a command that is told to the user, when the environment does not say it anyway.
pub(crate) fn server_option(args: &ClientArgs) -> String {
    let from_environment = env::var("ZUMIK_BASE_URL").ok();
    let named = args.base_url.as_ref().filter(|url| from_environment.as_ref() != Some(url));
    named.map_or_else(String::new, |url| format!(" --base-url {url}"))
}
