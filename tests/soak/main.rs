//! Tests that run as long as one likes. Started by `cargo xtask soak`.
//!
//! `crash --zumik PATH [--cycles N] [--seed N]`: kills the server under load, again and again.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use zumik_tests::crash::{self, Plan, Totals};

/// Kills when nothing else is asked for.
const CYCLES: u64 = 100;

fn main() -> ExitCode {
    match soak() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn soak() -> Result<(), Box<dyn Error>> {
    let plan = plan()?;
    println!("crash: {} kills, --seed {}", plan.cycles, plan.seed);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let (started, mut shown) = (Instant::now(), Instant::now());
    let totals = runtime.block_on(crash::run(&plan, |totals| {
        if shown.elapsed() > Duration::from_secs(10) {
            shown = Instant::now();
            println!("{}", line(totals, started));
        }
    }));
    println!("{}", line(&totals, started));
    println!("nothing lost, nothing made up, nothing twice, nothing left of what was purged");
    Ok(())
}

fn line(totals: &Totals, started: Instant) -> String {
    let Totals { kills, acknowledged, in_flight, made, purged, keys, slowest_start } = totals;
    format!(
        "{:>5} s  {kills} kills, {acknowledged} acknowledged writes, {in_flight} in flight ({made} had been made), \
         {purged} purges, {keys} keys, slowest start {} ms",
        started.elapsed().as_secs(),
        slowest_start.as_millis(),
    )
}

fn plan() -> Result<Plan, Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let (mut zumik, mut cycles, mut seed) = (None, CYCLES, None);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "crash" | "--bench" => {}
            "--zumik" => zumik = Some(PathBuf::from(value()?)),
            "--cycles" => cycles = value()?.parse()?,
            "--seed" => seed = Some(value()?.parse()?),
            other => return Err(format!("unknown argument {other}").into()),
        }
    }
    let zumik = zumik.ok_or("--zumik PATH is missing; run this through `cargo xtask soak crash`")?;
    // Beside the command: a folder in memory would never be as slow, or as busy, as a disk.
    let folder = zumik.parent().ok_or("the command has no folder")?.to_owned();
    Ok(Plan { zumik, folder, cycles, seed: seed.unwrap_or_else(|| fastrand::u64(..)) })
}
