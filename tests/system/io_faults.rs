//! A disk that is full or broken for a while. `cargo xtask soak faults` does the same for longer.

use zumik_tests::io_faults::{Plan, Totals, run};
use zumik_tests::process::zumik;
use zumik_tests::seed;

const FAULTS: u64 = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fails_costs_no_more_than_errors() {
    let seed = seed("io_faults");
    let Totals { faults, refused, .. } = run(&Plan { zumik: zumik(), faults: FAULTS, seed }, |_| {}).await;
    assert_eq!(faults, FAULTS);
    assert!(refused > 0, "nothing was refused");
}
