//! How soon `zumik serve` takes requests, and how much memory it holds while it has none.

use std::thread;
use std::time::{Duration, Instant};

use zumik_tests::process::ServeProcess;

use crate::memory::memory_kb;
use crate::report::{Report, Row, median, ratio};
use crate::{Plan, Result};

/// The bounds: ready within 100 ms, under 40 MB when idle.
const READY_BOUND: Duration = Duration::from_millis(100);
const MEMORY_BOUND_KB: u64 = 40_000;

/// Measures fresh folders and folders that are there, in turns.
pub fn measure(plan: &Plan, report: &mut Report) -> Result {
    let (mut fresh, mut again, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..plan.pick(11, 3) {
        let folder = plan.folder()?;
        for times in [&mut fresh, &mut again] {
            let start = Instant::now();
            let server = ServeProcess::start(&plan.zumik, folder.path());
            times.push(start.elapsed());
            // Start-up work settles; then the server is idle.
            thread::sleep(Duration::from_millis(300));
            memory.push(memory_kb(server.id(), "VmRSS:")?);
        }
    }
    for (what, times) in [("a fresh folder", &fresh), ("a folder that is there", &again)] {
        let time = median(times);
        report.add(Row {
            what: format!("`zumik serve` ready, {what}"),
            value: format!("{:.1} ms", time.as_secs_f64() * 1e3),
            baseline: "bound of 100 ms".to_owned(),
            ratio: ratio(time, READY_BOUND),
        });
    }
    let memory = median(&memory);
    report.add(Row {
        what: "`zumik serve` idle, resident memory".to_owned(),
        value: format!("{:.1} MB", memory as f64 / 1e3),
        baseline: "bound of 40 MB".to_owned(),
        ratio: Some(memory as f64 / MEMORY_BOUND_KB as f64),
    });
    Ok(())
}
