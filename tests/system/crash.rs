//! What was acknowledged survives `kill -9`, under mixed load. `cargo xtask soak crash` does the same for longer.

use zumik_tests::crash::{Plan, Totals, run};
use zumik_tests::process::zumik;
use zumik_tests::seed;

const CYCLES: u64 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_has_all_that_it_acknowledged_and_nothing_else() {
    let seed = seed("crash");
    let zumik = zumik();
    let folder = zumik.parent().expect("the command is in a folder").to_owned();
    let Totals { kills, acknowledged, .. } = run(&Plan { zumik, folder, cycles: CYCLES, seed }, |_| {}).await;
    assert_eq!(kills, CYCLES);
    assert!(acknowledged > 0, "the seed {seed} let nothing be written");
}
