//! Many writers, one branch: compare-and-swap lets one through at a time and tells all others the truth.

use tokio::task::JoinSet;
use zumik_client::types::{EventType, NewEvent};
use zumik_tests::log::{self, Acknowledged};
use zumik_tests::server;

const WRITERS: usize = 64;
const APPENDS: usize = 2;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_racing_writers_make_one_line_of_events() {
    let server = server::durable().await;
    let zk = server.client();
    let session = zk.sessions().create().await.expect("a session");
    let mut writers = JoinSet::new();
    for _ in 0..WRITERS {
        let (zk, session) = (zk.clone(), session.clone());
        writers.spawn(async move {
            let mut acknowledged: Vec<Acknowledged> = Vec::new();
            let mut version = 0;
            while acknowledged.len() < APPENDS {
                let event = NewEvent::new(EventType::Note);
                let append = zk.events().append(&session.id, &session.default_branch_id, version, event);
                match append.await {
                    Ok(event) => {
                        version = event.sequence;
                        acknowledged.push((event.sequence, event.id));
                    }
                    Err(error) => {
                        let conflict = error.branch_conflict().unwrap_or_else(|| panic!("{error}"));
                        let current = conflict.current.as_ref().expect("the server says where the branch is");
                        assert!(current.version > version, "a guard that holds is no conflict");
                        version = current.version;
                    }
                }
            }
            acknowledged
        });
    }
    let acknowledged: Vec<_> = writers.join_all().await.into_iter().flatten().collect();
    let history = log::read(&zk, &session.id, &session.default_branch_id).await.expect("the history");
    assert_eq!(history.len(), WRITERS * APPENDS);
    assert!(log::check(&history, &acknowledged).is_empty(), "every event was acknowledged to its writer");
}
