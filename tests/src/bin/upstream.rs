//! The provider of the tests, by hand: `cargo run -p zumik-tests --bin upstream [ADDRESS]`, then
//! `zumik serve --upstream http://127.0.0.1:8081/v1`. How it is told what to do is in `tests/src/upstream`.

use std::process::ExitCode;

use zumik_tests::upstream::Upstream;

#[tokio::main]
async fn main() -> ExitCode {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8081".to_owned());
    let Ok(address) = address.parse() else {
        eprintln!("'{address}' is not an address such as 127.0.0.1:8081");
        return ExitCode::from(2);
    };
    match Upstream::bind(address, true).await {
        Ok(upstream) => {
            println!("{}", upstream.url());
            upstream.run().await;
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("cannot listen on {address}: {error}");
            ExitCode::FAILURE
        }
    }
}
