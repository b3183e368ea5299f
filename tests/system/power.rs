//! What was acknowledged survives the loss of power. `cargo xtask soak power` does the same for longer.

use zumik_tests::power::{Plan, Totals, run};
use zumik_tests::process::zumik;
use zumik_tests::seed;

const STATES: u64 = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_kept_only_what_was_synchronized_has_all_that_was_acknowledged() {
    let seed = seed("power");
    let Totals { states, uncertain, .. } = run(&Plan { zumik: zumik(), states: STATES, seed }, |_| {}).await;
    assert_eq!(states, STATES);
    assert!(uncertain > STATES, "there was hardly anything to lose");
}
