//! Appends stay linearizable whatever the network does: 64 writers, few branches, faults, and a restart in the middle.

use zumik_tests::faults::FaultyProxy;
use zumik_tests::writers::{ALL, Writers};
use zumik_tests::{seed, server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn appends_are_linearizable_through_faults_and_a_restart() {
    let seed = seed("linearizable appends");
    let server = server::durable().await;
    let proxy = FaultyProxy::start(server.url(), seed).await;
    let mut writers = Writers::start(&server.client(), &[proxy.url()], server.api_key(), seed).await;
    writers.until(ALL / 2).await;
    let server = server.restart().await;
    proxy.redirect(server.url());
    writers.check(&server.client()).await;
}
