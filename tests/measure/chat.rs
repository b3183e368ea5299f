//! What the server adds to a chat completion: the same requests to a fast provider, directly and through us, in turns, at
//! a fixed rate and with all that is kept of them.

use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::sync::mpsc::{self, UnboundedSender};
use zumik_tests::upstream::Upstream;

use crate::loader::Connection;
use crate::report::{Report, Row, millis, percentile, ratio};
use crate::{Plan, Result};

/// Requests a second.
const RATE: u32 = 2_000;

/// Connections that share them: a late answer holds back only its own.
const CONNECTIONS: u32 = 32;

/// The issue's bounds on what is added.
const MEDIAN_BOUND: Duration = Duration::from_micros(300);
const TAIL_BOUND: Duration = Duration::from_millis(2);

/// What is asked.
pub const BODY: &str = r#"{"model":"gpt-test","messages":[{"role":"system","content":"You are a terse code reviewer."},{"role":"user","content":"Is this loop off-by-one?"}]}"#;

/// Measures both ways.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    // A thread of its own, so that the provider does not wait for the load.
    let provider = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let upstream = provider.block_on(Upstream::forgetful());
    let (server, _folder) = plan.serve_over(&upstream)?;
    let load = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let direct = upstream.url().replace("/v1", "");
    let mut direct = open_all(&load, &direct, "none")?;
    let mut through = open_all(&load, &server.url, &server.api_key)?;

    let time = plan.pick(Duration::from_secs(5), Duration::from_millis(500));
    let (mut theirs, mut ours) = (Vec::new(), Vec::new());
    // The first round warms up.
    for round in 0..=plan.pick(5, 1) {
        let measured = [round_of(&load, &mut direct, time)?, round_of(&load, &mut through, time)?];
        if round > 0 {
            let [direct, through] = measured;
            theirs.extend(direct);
            ours.extend(through);
        }
    }
    for (what, percent, bound) in [("p50", 50, MEDIAN_BOUND), ("p99", 99, TAIL_BOUND)] {
        let (theirs, ours) = (percentile(&theirs, percent), percentile(&ours, percent));
        let added = ours.saturating_sub(theirs);
        report.add(Row {
            what: format!("Chat completion at {RATE}/s, {what} that the server adds"),
            value: millis(added),
            baseline: format!(
                "bound of {}; {} through, {} directly",
                millis(bound),
                millis(ours),
                millis(theirs)
            ),
            ratio: ratio(added, bound),
        });
    }
    Ok(())
}

/// Opens all connections to a server.
pub fn open_all(load: &Runtime, url: &str, key: &str) -> Result<Vec<Connection>> {
    load.block_on(async {
        let mut connections = Vec::new();
        for _ in 0..CONNECTIONS {
            connections.push(Connection::open(url, key).await?);
        }
        Ok(connections)
    })
}

/// How long each request took, sent at its own moment of the schedule.
fn round_of(load: &Runtime, connections: &mut [Connection], time: Duration) -> Result<Vec<Duration>> {
    let start = Instant::now() + Duration::from_millis(20);
    let (turns, due): (Vec<_>, Vec<_>) = connections.iter().map(|_| mpsc::unbounded_channel()).unzip();
    let pace = thread::spawn(move || pace(start, time, &turns));
    let work = connections.iter_mut().zip(due).map(|(connection, mut due)| async move {
        let mut times = Vec::new();
        loop {
            let begun = match due.try_recv() {
                // Its connection was busy: it counts from when it was due, so that waiting shows.
                Ok(due) => due,
                Err(_) => match due.recv().await {
                    Some(_) => Instant::now(),
                    None => return Result::Ok(times),
                },
            };
            connection.post("/v1/chat/completions", BODY, None).await?;
            times.push(begun.elapsed());
        }
    });
    let times = load.block_on(futures_util::future::try_join_all(work));
    pace.join().map_err(|_| "the pace broke off")?;
    Ok(times?.concat())
}

/// Gives each connection in turn the moment of its next request, when it has come. A thread for it, because the timer of
/// tokio knows whole milliseconds: it would send requests in bursts.
fn pace(start: Instant, time: Duration, turns: &[UnboundedSender<Instant>]) {
    let gap = Duration::from_secs(1) / RATE;
    let moments = (0..).map(|request| start + gap * request).take_while(|due| *due < start + time);
    for (due, turn) in moments.zip(turns.iter().cycle()) {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // A connection that broke ends the round with its error.
        let _ = turn.send(due);
    }
}
