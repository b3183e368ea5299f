//! Tests that run as long as one likes. Started by `cargo xtask soak`.
//!
//! - `crash --zumik PATH [--cycles N] [--seed N] [--store postgres]`: kills the server under load, again and again; or
//!   two servers on one PostgreSQL, and the database.
//! - `faults --zumik PATH [--faults N] [--seed N]`: lets the files of a server fail.
//! - `power --zumik PATH [--states N] [--seed N]`: starts from what a loss of power may leave.

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use zumik_tests::{crash, io_faults, power};

/// Kills when nothing else is asked for.
const CYCLES: u64 = 100;

/// Faults of the disk when nothing else is asked for.
const FAULTS: u64 = 500;

/// States after a loss of power when nothing else is asked for.
const STATES: u64 = 1_000;

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
    let arguments = Arguments::read()?;
    let zumik = arguments.zumik.ok_or("--zumik PATH is missing; run this through `cargo xtask soak`")?;
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(..));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut clock = Clock::start();
    match arguments.what.as_deref() {
        Some("crash") => {
            let cycles = arguments.times.unwrap_or(CYCLES);
            println!("crash: {cycles} kills, --seed {seed}");
            // Beside the command: a folder in memory would never be as slow, or as busy, as a disk.
            let folder = zumik.parent().ok_or("the command has no folder")?.to_owned();
            let plan = crash::Plan { zumik, folder, cycles, seed };
            let progress = |totals: &crash::Totals| clock.show(|| kills(totals));
            let totals = match arguments.store.as_deref() {
                None => runtime.block_on(crash::run(&plan, progress)),
                Some("postgres") => runtime.block_on(crash::replicas::run(&plan, progress)),
                Some(other) => return Err(format!("{other} is no store; there is postgres").into()),
            };
            clock.end(&kills(&totals));
        }
        Some("faults") => {
            let faults = arguments.times.unwrap_or(FAULTS);
            println!("faults: {faults} faults, --seed {seed}");
            let plan = io_faults::Plan { zumik, faults, seed };
            let totals = runtime.block_on(io_faults::run(&plan, |totals| clock.show(|| errors(totals))));
            clock.end(&errors(&totals));
        }
        Some("power") => {
            let states = arguments.times.unwrap_or(STATES);
            println!("power: {states} states, --seed {seed}");
            let plan = power::Plan { zumik, states, seed };
            let totals = runtime.block_on(power::run(&plan, |totals| clock.show(|| losses(totals))));
            clock.end(&losses(&totals));
        }
        other => return Err(format!("{other:?} is no soak; there are crash, faults and power").into()),
    }
    println!("nothing lost, nothing made up, nothing twice, nothing left of what was purged");
    Ok(())
}

fn kills(totals: &crash::Totals) -> String {
    let crash::Totals { kills, acknowledged, in_flight, made, purged, batches, keys, slowest_start } = totals;
    format!(
        "{kills} kills, {acknowledged} acknowledged writes, {in_flight} in flight ({made} had been made), {purged} \
         purges, {batches} batches, {keys} keys, slowest start {} ms",
        slowest_start.as_millis(),
    )
}

fn losses(totals: &power::Totals) -> String {
    let power::Totals { states, uncertain, acknowledged, in_flight, kept } = totals;
    format!(
        "{states} states, {uncertain} changes that were not synchronized, {acknowledged} acknowledged writes, \
         {in_flight} in flight ({kept} had been kept)"
    )
}

fn errors(totals: &io_faults::Totals) -> String {
    let io_faults::Totals { faults, failed, refused, acknowledged, kills, failed_starts } = totals;
    format!(
        "{faults} faults, {failed} calls failed, {refused} writes refused, {acknowledged} acknowledged, {kills} kills, \
         {failed_starts} starts failed"
    )
}

/// Prints a line now and then.
struct Clock {
    started: Instant,
    shown: Instant,
}

impl Clock {
    fn start() -> Self {
        let now = Instant::now();
        Self { started: now, shown: now }
    }

    fn show(&mut self, line: impl FnOnce() -> String) {
        if self.shown.elapsed() > Duration::from_secs(10) {
            self.shown = Instant::now();
            self.end(&line());
        }
    }

    fn end(&self, line: &str) {
        println!("{:>5} s  {line}", self.started.elapsed().as_secs());
    }
}

#[derive(Default)]
struct Arguments {
    what: Option<String>,
    zumik: Option<PathBuf>,
    times: Option<u64>,
    seed: Option<u64>,
    store: Option<String>,
}

impl Arguments {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut arguments = std::env::args().skip(1);
        let mut read = Self::default();
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--bench" => {}
                "--zumik" => read.zumik = Some(PathBuf::from(value()?)),
                "--cycles" | "--faults" | "--states" => read.times = Some(value()?.parse()?),
                "--store" => read.store = Some(value()?),
                "--seed" => read.seed = Some(value()?.parse()?),
                what if read.what.is_none() && !what.starts_with('-') => read.what = Some(argument),
                other => return Err(format!("unknown argument {other}").into()),
            }
        }
        Ok(read)
    }
}
