//! The maintainer tasks behind `cargo xtask TASK`.

mod bench;
mod codegen;
mod coverage;
mod driver;
mod fuzz;
mod process;
mod python;
mod soak;
mod test;
mod wasm;

pub use codegen::generated;

use process::Result;

const USAGE: &str = "\
usage: cargo xtask TASK

  codegen [--check]                write the generated code; --check only says whether it is up to date
  coverage                         say what every operation has: client, server, sample, request
  test [ARGUMENTS OF cargo test]   prepare what the tests need and run them all
  bench [--quick] [--only GROUP]… [--write]
                                   measure the whole system; --write puts the table into docs/benchmarks.md
  soak crash [--cycles N] [--seed N] [--store postgres] [--release]
                                   kill the server under load, again and again, and check what it acknowledged; or two
                                   servers on one PostgreSQL, and the database
  soak faults [--faults N] [--seed N] [--release]
                                   let the server's disk be full or broken for a while, and check what it answered
  soak power [--states N] [--seed N] [--release]
                                   start from what a loss of power may leave, and check what was acknowledged
  fuzz [TARGET] [--seconds N]      run a fuzz target, or all of them one after the other, a minute each
  wasm                             check that zumik-types builds for wasm32-unknown-unknown";

/// Runs the task that the arguments name.
///
/// # Errors
/// The task failed, or there is none of this name; the error is for the maintainer to read.
pub fn run(arguments: &[String]) -> Result {
    match arguments.split_first().map(|(task, rest)| (task.as_str(), rest)) {
        Some(("codegen", rest)) => codegen::codegen(rest),
        Some(("coverage", [])) => coverage::coverage(),
        Some(("test", rest)) => test::test(rest),
        Some(("bench", rest)) => bench::bench(rest),
        Some(("soak", [what, rest @ ..])) => soak::soak(what, rest),
        Some(("fuzz", rest)) => fuzz::fuzz(rest),
        Some(("wasm", [])) => wasm::wasm(),
        _ => Err(USAGE.into()),
    }
}
