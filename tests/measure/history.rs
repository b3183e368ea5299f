//! What an append and a page cost on a long history and deep in forks, in process and one at a time: the cost must be that of
//! the work, not of what came before.

use std::time::{Duration, Instant};

use crate::local::{Branch, Local};
use crate::report::{Report, Row, median, micros, ratio};
use crate::{Plan, Result};

/// Builds the histories, then takes turns on all of them.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let folder = plan.folder()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let store = Local::open(folder.path()).await?;
        let lengths = plan.pick([1_000, 100_000, 1_000_000], [1_000, 10_000, 20_000]);
        let mut long = Vec::new();
        for length in lengths {
            long.push((format!("{length} events of history"), store.branch_of(length).await?));
        }
        compare(plan, report, &store, long).await?;

        let (depths, events) = plan.pick(([1, 100, 1_000], 1_000), ([1, 10, 100], 100));
        let mut deep = Vec::new();
        for depth in depths {
            let name = if depth == 1 { "1 fork deep".to_owned() } else { format!("{depth} forks deep") };
            deep.push((name, store.fork_chain(depth, events).await?));
        }
        compare(plan, report, &store, deep).await
    })
}

/// Appends to, and reads the newest page of, each branch in turns. The first branch is the baseline.
async fn compare(
    plan: &Plan,
    report: &mut Report,
    store: &Local,
    mut branches: Vec<(String, Branch)>,
) -> Result {
    let mut appends = vec![Vec::new(); branches.len()];
    let mut pages = vec![Vec::new(); branches.len()];
    for _ in 0..plan.pick(400, 40) {
        for (position, (_, branch)) in branches.iter_mut().enumerate() {
            let start = Instant::now();
            store.append(branch).await?;
            appends[position].push(start.elapsed());
            let start = Instant::now();
            store.newest_page(branch).await?;
            pages[position].push(start.elapsed());
        }
    }
    for (what, times) in [("One durable append", &appends), ("The newest 100 events", &pages)] {
        let medians: Vec<Duration> = times.iter().map(|times| median(times)).collect();
        for ((name, _), &time) in branches.iter().zip(&medians).skip(1) {
            report.add(Row {
                what: format!("{what}, {name}"),
                value: micros(time),
                baseline: format!("{}: {}", branches[0].0, micros(medians[0])),
                ratio: ratio(time, medians[0]),
            });
        }
    }
    Ok(())
}
