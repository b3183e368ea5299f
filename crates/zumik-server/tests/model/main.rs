//! The model test: any sequence of commands gives the same answers and leaves the same state on every store.
//!
//! The stores get the same ids and the same time, so that answers are compared as they are, ids and signatures
//! included. A run prints its seed when it fails; `PROPTEST_RNG_SEED` repeats it, `PROPTEST_CASES` asks for more.

#![recursion_limit = "256"]
#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod command;
mod export;
mod inference;
mod known;
mod mint;
mod outcome;
mod request;
mod responses;
mod subject;
mod usage;

use std::env;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngSeed, TestCaseError, TestCaseResult, TestError, TestRunner};
use serde_json::Value;

use crate::command::{Step, step};
use crate::export::Receipts;
use crate::known::Known;
use crate::request::Request;
use crate::subject::Subject;

/// Sequences of one run, and commands of the longest.
const CASES: u32 = 24;
const LONGEST: usize = 100;

/// Requests that are sent again after a restart in the end.
const AGAIN: usize = 12;

/// Sequences whose outcome is moved.
const MOVED: u32 = 5;

#[test]
fn every_store_gives_the_same_answers_and_keeps_the_same_state() {
    sequences(CASES, compare);
}

#[test]
fn what_is_moved_from_sqlite_to_postgresql_and_back_reads_the_same() {
    sequences(MOVED, there_and_back);
}

/// Holds random sequences of commands to something.
fn sequences(cases: u32, hold: impl AsyncFn(Vec<Step>) -> TestCaseResult) {
    let mut config = Config {
        failure_persistence: None,
        max_shrink_iters: 5_000,
        max_shrink_time: 60_000,
        ..Config::default()
    };
    if env::var_os("PROPTEST_CASES").is_none() {
        config.cases = cases;
    }
    let seed = match config.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => rand::random(),
    };
    config.rng_seed = RngSeed::Fixed(seed);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let failed =
        TestRunner::new(config).run(&vec(step(), 1..=LONGEST), |steps| runtime.block_on(hold(steps)));
    match failed {
        Ok(()) => {}
        Err(TestError::Fail(reason, steps)) => {
            let steps: Vec<_> = steps.iter().map(|step| format!("  {step:?}")).collect();
            panic!("{reason}\nPROPTEST_RNG_SEED={seed}, the shortest sequence:\n{}", steps.join("\n"));
        }
        Err(TestError::Abort(reason)) => panic!("{reason}\nPROPTEST_RNG_SEED={seed}"),
    }
}

/// Runs a sequence on the model and on the durable stores.
async fn compare(steps: Vec<Step>) -> TestCaseResult {
    let mut model = Subject::memory().await;
    let mut durables = vec![("sqlite", Subject::sqlite().await)];
    durables.extend(Subject::postgres().await.map(|subject| ("postgres", subject)));
    let mut known = Known::default();
    let mut asked: Vec<(bool, Request)> = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if step.reopen {
            // Lines that a killed server worked on are due at once in a folder, which it held alone, and not in a database.
            // So this one gives them back before it ends, as servers do.
            model.give_back_lines().await;
            // As at the start of a server: what the one before worked on has failed.
            let expected = outcome::read(model.store.fail_open_responses().await);
            for (store, durable) in &mut durables {
                durable.give_back_lines().await;
                durable.reopen().await;
                let found = outcome::read(durable.store.fail_open_responses().await);
                same(&format!("{store}: restart before {at}"), &found, &expected)?;
            }
        }
        let repeated = step.repeats.filter(|_| !asked.is_empty()).map(|index| index.get(&asked).clone());
        let (foreign, request) = match repeated {
            Some(repeated) => repeated,
            None => (step.foreign, step.command.resolve(&model, &known, step.foreign).await),
        };
        asked.push((foreign, request.clone()));
        let expected = model.run(at, foreign, &request).await;
        for (store, durable) in &mut durables {
            let found = durable.run(at, foreign, &request).await;
            same(&format!("{store}: answer {at}, to {request:?}"), &found, &expected)?;
        }
        known.learn(foreign, &expected);
    }
    for (store, durable) in &mut durables {
        // PostgreSQL guarantees less of a purge, and says so in the receipt.
        let receipts = if *store == "postgres" { Receipts::WithoutClaims } else { Receipts::Whole };
        let expected = export::all(&model, &known, receipts).await;
        let found = export::all(durable, &known, receipts).await;
        same(&format!("{store}: final export"), &found, &expected)?;
        durable.reopen().await;
        let found = export::all(durable, &known, receipts).await;
        same(&format!("{store}: export after a restart"), &found, &expected)?;
    }
    // Their keys are known, or over, as they were before.
    let writes = asked.into_iter().rev().filter(|(_, request)| matches!(request, Request::Write(_, Some(_))));
    for (at, (foreign, request)) in (steps.len()..).zip(writes.take(AGAIN)) {
        let expected = model.run(at, foreign, &request).await;
        for (store, durable) in &mut durables {
            let found = durable.run(at, foreign, &request).await;
            same(&format!("{store}: answer after a restart, to {request:?}"), &found, &expected)?;
        }
    }
    for (_, durable) in durables {
        durable.store.close().await;
    }
    Ok(())
}

/// Runs a sequence in a data folder, and moves what came of it to PostgreSQL and from there to a new folder.
async fn there_and_back(steps: Vec<Step>) -> TestCaseResult {
    let mut folder = Subject::sqlite().await;
    let mut known = Known::default();
    for (at, step) in steps.iter().enumerate() {
        let request = step.command.resolve(&folder, &known, step.foreign).await;
        let answer = folder.run(at, step.foreign, &request).await;
        known.learn(step.foreign, &answer);
    }
    let expected = export::all(&folder, &known, Receipts::Whole).await;
    let Some(database) = folder.moved().await else { return Ok(()) };
    let found = export::all(&database, &known, Receipts::Whole).await;
    same("moved to PostgreSQL", &found, &expected)?;
    let Some(back) = database.moved().await else { return Ok(()) };
    let found = export::all(&back, &known, Receipts::Whole).await;
    same("moved back", &found, &expected)?;
    back.store.close().await;
    Ok(())
}

fn same(what: &str, found: &Value, expected: &Value) -> TestCaseResult {
    let Some((place, found, expected)) = difference(found, expected) else { return Ok(()) };
    let message =
        format!("{what}, at {place}\n  the durable store: {found}\n  the model:         {expected}");
    Err(TestCaseError::fail(message))
}

/// Where two values first differ, and what each has there.
fn difference<'v>(found: &'v Value, expected: &'v Value) -> Option<(String, &'v Value, &'v Value)> {
    let within = |step: String, found, expected| {
        difference(found, expected)
            .map(|(place, found, expected)| (format!("/{step}{place}"), found, expected))
    };
    match (found, expected) {
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let mut pairs = one.iter().zip(other).enumerate();
            pairs.find_map(|(at, (one, other))| within(at.to_string(), one, other))
        }
        (Value::Object(one), Value::Object(other)) if one.keys().eq(other.keys()) => {
            let mut pairs = one.iter().zip(other.values());
            pairs.find_map(|((name, one), other)| within(name.clone(), one, other))
        }
        _ => (found != expected).then(|| (String::new(), found, expected)),
    }
}
