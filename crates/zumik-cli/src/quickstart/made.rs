//! What the tour made on a server that stays, so that it can be deleted again.

use std::sync::{Mutex, PoisonError};

use futures_util::{StreamExt, stream};
use zumik_client::types::{ArtifactId, BundleId, SessionId};
use zumik_client::{Error, Zumik};

use crate::failure::Failure;

/// Deletions that are under way at the same time.
const AT_ONCE: usize = 8;

/// Ids in the order of their making.
#[derive(Default)]
pub(crate) struct Made(Mutex<Lists>);

#[derive(Default)]
struct Lists {
    artifacts: Vec<ArtifactId>,
    bundles: Vec<BundleId>,
    sessions: Vec<SessionId>,
}

impl Made {
    pub(crate) fn artifact(&self, id: &ArtifactId) {
        self.with(|lists| lists.artifacts.push(id.clone()));
    }

    pub(crate) fn bundle(&self, id: &BundleId) {
        self.with(|lists| lists.bundles.push(id.clone()));
    }

    pub(crate) fn session(&self, id: &SessionId) {
        self.with(|lists| lists.sessions.push(id.clone()));
    }

    /// Deletes all of it, what depends first. What is gone already is no error. Gives how many objects went.
    pub(crate) async fn delete(&self, zk: &Zumik) -> Result<usize, Failure> {
        let Lists { artifacts, bundles, sessions } = self.with(std::mem::take);
        let mut deleted = 0;
        for session in &sessions {
            deleted += went(zk.sessions().delete(session).await.map(drop))?;
        }
        for bundle in &bundles {
            deleted += went(zk.bundles().delete(bundle).await.map(drop))?;
        }
        let mut deletions = stream::iter(&artifacts)
            .map(|artifact| async move { zk.artifacts().delete(artifact).await.map(drop) })
            .buffer_unordered(AT_ONCE);
        while let Some(deletion) = deletions.next().await {
            deleted += went(deletion)?;
        }
        Ok(deleted)
    }

    fn with<T>(&self, work: impl FnOnce(&mut Lists) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn went(deletion: Result<(), Error>) -> Result<usize, Failure> {
    match deletion {
        Ok(()) => Ok(1),
        Err(error) if error.is_not_found() => Ok(0),
        Err(error) => Err(Failure::call(error).about("cannot delete what the tour made")),
    }
}
