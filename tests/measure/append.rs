//! Durable appends: over HTTP at 64 connections, the load included, against the same store called in process, on SQLite
//! and on PostgreSQL.

use std::time::Duration;

use tokio::runtime::Runtime;
use zumik_test_postgres::Postgres;
use zumik_tests::process::ServeProcess;

use crate::cpu;
use crate::local::Local;
use crate::report::{Report, Row, median, micros, millis, percentile, ratio};
use crate::writers::{HttpWriters, Round, WRITERS, store_round};
use crate::{Plan, Result};

/// The bounds on the slowest appends but one in a hundred.
const SQLITE_TAIL: Duration = Duration::from_millis(10);
const POSTGRES_TAIL: Duration = Duration::from_millis(25);

/// Appends over HTTP and in process, in turns.
struct Turns {
    time: Duration,
    load: Runtime,
    writers: HttpWriters,
    here: Runtime,
    store: Local,
    plain: Vec<Round>,
    keyed: Vec<Round>,
    in_process: Vec<Round>,
}

/// On SQLite.
pub fn sqlite(plan: &Plan, report: &mut Report) -> Result {
    let folder = plan.folder()?;
    let server = ServeProcess::start(&plan.zumik, folder.path());
    let beside = plan.folder()?;
    let mut turns = Turns::new(plan, &server, |here| here.block_on(Local::open(beside.path())))?;
    turns.run(plan)?;
    turns.report("", SQLITE_TAIL, report);
    Ok(())
}

/// On PostgreSQL, where it is installed.
pub fn postgres(plan: &Plan, report: &mut Report) -> Result {
    let Some(database) = Postgres::durable() else { return Ok(()) };
    let folder = plan.folder()?;
    let server = ServeProcess::start_on(&plan.zumik, folder.path(), &database.database());
    let beside = database.database();
    let mut turns = Turns::new(plan, &server, |here| here.block_on(Local::open_database(&beside)))?;
    turns.run(plan)?;
    turns.report(", PostgreSQL", POSTGRES_TAIL, report);

    let programs = || -> Result<[Duration; 3]> {
        Ok([cpu::of(server.id())?, cpu::of_family(database.id())?, cpu::of(std::process::id())?])
    };
    let before = programs()?;
    let round = turns.writers.round(&turns.load, turns.time * 2, false)?;
    let after = programs()?;
    let appends = u32::try_from(round.times.len())?;
    let [server, database, load] = [0, 1, 2].map(|at| (after[at] - before[at]) / appends);
    report.add(Row {
        what: "Processor time of a durable append over HTTP, PostgreSQL".to_owned(),
        value: micros(server + database),
        baseline: format!(
            "the server alone: {}; the database {}, the load beside them {}",
            micros(server),
            micros(database),
            micros(load)
        ),
        ratio: ratio(server + database, server),
    });
    Ok(())
}

impl Turns {
    fn new(plan: &Plan, server: &ServeProcess, open: impl FnOnce(&Runtime) -> Result<Local>) -> Result<Self> {
        let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let writers = HttpWriters::open(&load, server)?;
        let here = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let store = open(&here)?;
        let time = Duration::from_millis(plan.pick(2_000, 300));
        let (plain, keyed, in_process) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { time, load, writers, here, store, plain, keyed, in_process })
    }

    fn run(&mut self, plan: &Plan) -> Result {
        for _ in 0..plan.pick(7, 1) {
            self.plain.push(self.writers.round(&self.load, self.time, false)?);
            self.in_process.push(self.here.block_on(store_round(&self.store, self.time))?);
            self.keyed.push(self.writers.round(&self.load, self.time, true)?);
        }
        Ok(())
    }

    fn report(&self, on: &str, bound: Duration, report: &mut Report) {
        let rate = |rounds: &[Round]| median(&rounds.iter().map(|round| round.rate).collect::<Vec<_>>());
        let baseline = rate(&self.in_process);
        let sides = [("", &self.plain), (", each with an idempotency key", &self.keyed)];
        for (what, rounds) in sides {
            let rate = rate(rounds);
            report.add(Row {
                what: format!("Durable appends over HTTP{on}, {WRITERS} connections{what}"),
                value: format!("{rate:.0}/s"),
                baseline: format!("the same store in process, {WRITERS} tasks: {baseline:.0}/s"),
                ratio: Some(rate / baseline),
            });
        }
        for (what, rounds) in sides {
            let times: Vec<Duration> = rounds.iter().flat_map(|round| round.times.clone()).collect();
            let tail = percentile(&times, 99);
            report.add(Row {
                what: format!("A durable append over HTTP{on}, {WRITERS} connections{what}, p99"),
                value: millis(tail),
                baseline: format!("bound of {}; p50 {}", millis(bound), millis(percentile(&times, 50))),
                ratio: ratio(tail, bound),
            });
        }
    }
}
