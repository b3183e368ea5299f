//! Connections that break while a write is committed.

use std::net::SocketAddr;
use std::path::PathBuf;

use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};

use super::*;

/// What stands between a server and its database. A connection on which the server sends the needle is cut off when the
/// database has answered that, and the answer is lost.
#[derive(Default)]
struct Between {
    needle: Mutex<Option<&'static str>>,
}

impl Between {
    /// Stands before the database with this socket.
    async fn listen(self: Arc<Self>, database: PathBuf) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((server, _)) = listener.accept().await {
                let database = UnixStream::connect(&database).await.unwrap();
                // However it ends, both sides are closed.
                tokio::spawn(Arc::clone(&self).carry(server, database));
            }
        });
        address
    }

    async fn carry(self: Arc<Self>, mut server: TcpStream, mut database: UnixStream) -> std::io::Result<()> {
        let (mut asked, mut told) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        let mut doomed = false;
        loop {
            tokio::select! {
                length = server.read(&mut asked) => {
                    let asked = &asked[..length?];
                    doomed |= self.is_met(asked);
                    if asked.is_empty() {
                        return Ok(());
                    }
                    database.write_all(asked).await?;
                }
                length = database.read(&mut told) => {
                    let told = &told[..length?];
                    if told.is_empty() || doomed {
                        return Ok(());
                    }
                    server.write_all(told).await?;
                }
            }
        }
    }

    /// Whether this is where the needle is, for the first time.
    fn is_met(&self, asked: &[u8]) -> bool {
        let mut needle = self.needle.lock();
        let found =
            needle.is_some_and(|needle| asked.windows(needle.len()).any(|part| part == needle.as_bytes()));
        if found {
            needle.take();
        }
        found
    }
}

#[tokio::test]
async fn a_write_that_may_have_been_committed_is_not_said_to_have_done_nothing() {
    let Some(replicas) = Replicas::start().await else { return };
    let between = Arc::new(Between::default());
    let address = Arc::clone(&between).listen(Postgres::shared().unwrap().socket()).await;
    let mut options = (replicas.options)();
    options.address = format!("postgres://postgres@{address}/postgres").parse().unwrap();
    let store = PostgresStore::open(options).await.unwrap();
    let world = &replicas.one;
    let session = world.session().await;
    let (id, root) = (&session.id, &session.default_branch_id);
    // The connection that is cut off has been used before.
    let branch = store.retrieve_branch(&world.ctx(), id, root).await.unwrap();
    assert_eq!(branch.version, 0);

    *between.needle.lock() = Some("COMMIT");
    let written = store.create_session(&world.ctx(), CreateSessionRequest::new(), None).await;
    assert!(matches!(written, Err(StoreError::OutcomeUnknown(_))), "{written:?}");

    let note =
        |payload: &str| AppendEventRequest::new(0, NewEvent::new(EventType::Note).payload_ref(payload));
    *between.needle.lock() = Some("a needle in a group");
    let appended = store.append_event(&world.ctx(), id, root, note("a needle in a group"), None).await;
    assert!(matches!(appended, Err(StoreError::OutcomeUnknown(_))), "{appended:?}");
    assert_eq!(world.branch(id, root).await.version, 1, "it was committed");

    // What breaks before the commit has done nothing, and is said to.
    let artifact =
        CreateArtifactRequest::new(ArtifactType::Document, "text").content_media_type("x/a-needle");
    *between.needle.lock() = Some("x/a-needle");
    let written = store.create_artifact(&world.ctx(), artifact, None).await;
    assert!(matches!(written, Err(StoreError::Unavailable(_))), "{written:?}");
    assert_eq!(world.store.list_artifacts(&world.ctx()).await.unwrap().len(), 0);
    store.close().await;
}
