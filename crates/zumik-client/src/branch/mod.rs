//! A branch with a cursor on it: where the caller believes the branch to be, moved by what the caller does.

mod append;
mod append_with;
mod history;
mod snapshot;

use zumik_types::{
    ArtifactId, BranchId, BranchMerge, EventId, MergeStrategy, Patch, SessionBranch, SessionId, Snapshot,
};

pub use self::append_with::{Appended, BranchState, Decision};
pub use self::history::History;

use self::append::Unsettled;
use crate::client::Zumik;
use crate::endpoint::BuildError;
use crate::error::{BranchPosition, Error, Result};

impl Zumik {
    /// Names a branch, to put a cursor on it.
    ///
    /// ```
    /// # async fn example(zk: &zumik_client::Zumik, session: &zumik_client::types::Session) -> zumik_client::Result<()> {
    /// use zumik_client::types::{ArtifactType, Event};
    ///
    /// let mut branch = zk.branch(&session.id, &session.default_branch_id).at_head().await?;
    /// let note = zk.artifacts().create(ArtifactType::TextContext, "CI is red on main.").await?;
    /// let event = branch.append(Event::user_message(&note.id)).await?;
    /// assert_eq!(branch.version(), event.sequence);
    /// # Ok(())
    /// # }
    /// ```
    pub fn branch(&self, session_id: impl Into<SessionId>, branch_id: impl Into<BranchId>) -> BranchRef<'_> {
        BranchRef { client: self, session_id: session_id.into(), branch_id: branch_id.into() }
    }
}

/// A branch by its name; see [`Zumik::branch`].
#[derive(Debug, Clone)]
#[must_use = "this only names a branch; put a cursor on it with `at_head` or `at`"]
pub struct BranchRef<'c> {
    client: &'c Zumik,
    session_id: SessionId,
    branch_id: BranchId,
}

impl BranchRef<'_> {
    /// A cursor where the branch is now. Reads the branch once.
    ///
    /// # Errors
    ///
    /// [`NotFound`](crate::ErrorKind::NotFound) when session or branch do not exist in the project.
    pub async fn at_head(self) -> Result<BranchCursor> {
        let branch = self.client.branches().retrieve(&self.session_id, &self.branch_id).await?;
        Ok(self.at(branch.version, branch.head_event_id))
    }

    /// A cursor at a place that the caller knows, for example one that was stored. Sends nothing.
    ///
    /// Version 0 without a head is the empty branch. A later version without a head guards by the version alone.
    pub fn at(self, version: u64, head: impl Into<Option<EventId>>) -> BranchCursor {
        BranchCursor {
            client: self.client.clone(),
            session_id: self.session_id,
            branch_id: self.branch_id,
            position: BranchPosition::new(version, head.into()),
            unsettled: None,
        }
    }
}

/// A place on a branch, from where the caller goes on.
///
/// Every write is a compare-and-swap against this place: it happens only if the branch still is where the cursor is.
/// Then the cursor moves along. When somebody else was faster, the write is refused with a
/// [`BranchConflict`](crate::BranchConflict), the cursor stays, and nothing is resolved silently.
///
/// Two clones are two writers: an append whose answer was lost is finished by the cursor that made it alone.
#[derive(Debug)]
pub struct BranchCursor {
    client: Zumik,
    session_id: SessionId,
    branch_id: BranchId,
    position: BranchPosition,
    unsettled: Option<Unsettled>,
}

impl Clone for BranchCursor {
    /// Another writer at the same place, without what this one has left unfinished.
    fn clone(&self) -> Self {
        Self {
            client: self.client.clone(),
            session_id: self.session_id.clone(),
            branch_id: self.branch_id.clone(),
            position: self.position.clone(),
            unsettled: None,
        }
    }
}

impl BranchCursor {
    /// A cursor on a branch that was just made, read or merged into, where it was then.
    pub fn of(client: &Zumik, branch: &SessionBranch) -> Self {
        client.branch(&branch.session_id, &branch.id).at(branch.version, branch.head_event_id.clone())
    }

    /// The session.
    pub fn session_id(&self) -> &SessionId {
        &self.session_id
    }

    /// The branch.
    pub fn branch_id(&self) -> &BranchId {
        &self.branch_id
    }

    /// The version at which the cursor is: the number of events up to there.
    pub fn version(&self) -> u64 {
        self.position.version
    }

    /// The event at which the cursor is. `None` on an empty branch, or when the cursor was set without it.
    pub fn head(&self) -> Option<&EventId> {
        self.position.head.as_ref()
    }

    /// Version and head together.
    pub fn position(&self) -> &BranchPosition {
        &self.position
    }

    /// Moves the cursor to where the branch is now.
    ///
    /// An append whose outcome is not known is given up by it: appended again behind the new place, an equal event is
    /// another one. [`append`](Self::append) it first, or look for it in the [history](Self::history_after).
    ///
    /// # Errors
    ///
    /// As [`BranchRef::at_head`]; the cursor then stays.
    pub async fn refresh(&mut self) -> Result<&BranchPosition> {
        let branch = self.client.branches().retrieve(&self.session_id, &self.branch_id).await?;
        self.position = BranchPosition::new(branch.version, branch.head_event_id);
        Ok(&self.position)
    }

    /// The whole history of the branch, inherited events included, oldest first. Pages are read as they are needed.
    ///
    /// ```no_run
    /// # async fn example(branch: &zumik_client::BranchCursor) -> zumik_client::Result<()> {
    /// let mut history = branch.history();
    /// while let Some(event) = history.next().await {
    ///     println!("{}", event?.event_type);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn history(&self) -> History {
        History::new(self, None)
    }

    /// What happened behind an event of this branch, oldest first.
    ///
    /// After a conflict, [`head`](Self::head) gives what the others did.
    pub fn history_after(&self, event: impl Into<EventId>) -> History {
        History::new(self, Some(event.into()))
    }

    /// Pins the state of the branch as it is now: the artifacts of the session's base bundles in their order, then
    /// the events of the branch.
    ///
    /// When somebody appends while the manifest is built, it is extended and pinned again, a few times; the snapshots
    /// in between stay, with the version that they were taken at.
    ///
    /// # Errors
    ///
    /// [`BranchConflict`](crate::ErrorKind::BranchConflict) when the branch never stood still, and
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when the manifest does not fit into a request of 2 MiB.
    pub async fn snapshot(&self) -> Result<Snapshot> {
        snapshot::pin(self).await
    }

    /// Makes a new branch that begins where the cursor is, and puts a cursor on it. Nothing is copied, and this
    /// branch does not change.
    ///
    /// For a cursor without a head, the event at its version is looked for in the history first. At version 0 there is
    /// none: such a fork begins at whatever is the head when the server makes it.
    ///
    /// # Errors
    ///
    /// As for every call, for example [`Conflict`](crate::ErrorKind::Conflict) on an archived session.
    /// [`Request`](crate::ErrorKind::Request) when the branch does not have as many events as the cursor's version says.
    pub async fn fork(&self) -> Result<Self> {
        self.make_fork(None).await
    }

    /// As [`fork`](Self::fork), with a label of at most 128 characters.
    ///
    /// # Errors
    ///
    /// As [`fork`](Self::fork).
    pub async fn fork_as(&self, label: impl Into<String>) -> Result<Self> {
        self.make_fork(Some(label.into())).await
    }

    async fn make_fork(&self, label: Option<String>) -> Result<Self> {
        let head = self.known_head().await?;
        let mut call = self.client.branches().fork(&self.session_id, &self.branch_id);
        if let Some(head) = head {
            call = call.fork_from_event_id(head);
        }
        if let Some(label) = label {
            call = call.label(label);
        }
        let fork = call.await?;
        Ok(Self::of(&self.client, &fork))
    }

    /// Appends one checkpoint that stands for what the branch `source` did. `checkpoint` is an artifact of type
    /// `checkpoint`.
    ///
    /// # Errors
    ///
    /// [`BranchConflict`](crate::ErrorKind::BranchConflict) when this branch has moved on, and 400 when there is
    /// nothing new on `source` or the artifact is of another type.
    pub async fn merge_checkpoint(
        &mut self,
        source: impl Into<BranchId>,
        checkpoint: impl Into<ArtifactId>,
    ) -> Result<BranchMerge> {
        self.merge(source.into(), MergeStrategy::Checkpoint, Some(checkpoint.into())).await
    }

    /// Appends one summary that stands for what the branch `source` did. `summary` is an artifact of type
    /// `compaction_summary`.
    ///
    /// # Errors
    ///
    /// As [`merge_checkpoint`](Self::merge_checkpoint).
    pub async fn merge_compact(
        &mut self,
        source: impl Into<BranchId>,
        summary: impl Into<ArtifactId>,
    ) -> Result<BranchMerge> {
        self.merge(source.into(), MergeStrategy::Compact, Some(summary.into())).await
    }

    /// Appends copies of what the branch `source` did since the two parted, in order.
    ///
    /// # Errors
    ///
    /// As [`merge_checkpoint`](Self::merge_checkpoint); at most 10,000 events are copied.
    pub async fn merge_rebase(&mut self, source: impl Into<BranchId>) -> Result<BranchMerge> {
        self.merge(source.into(), MergeStrategy::Rebase, None).await
    }

    /// Makes a third branch at the head of this one and appends copies of what the branch `source` did there. This
    /// branch and its cursor stay; [`BranchCursor::of`] the `target_branch` of the answer goes on there.
    ///
    /// # Errors
    ///
    /// As [`merge_rebase`](Self::merge_rebase).
    pub async fn merge_fork(&mut self, source: impl Into<BranchId>) -> Result<BranchMerge> {
        self.merge(source.into(), MergeStrategy::Fork, None).await
    }

    async fn merge(
        &mut self,
        source: BranchId,
        strategy: MergeStrategy,
        payload: Option<ArtifactId>,
    ) -> Result<BranchMerge> {
        let merges = self.client.merges();
        let mut call = merges
            .create(&self.session_id, &self.branch_id, source, strategy, self.position.version)
            .expected_head_event_id(self.expected_head());
        if let Some(payload) = payload {
            call = call.payload_ref(payload);
        }
        let merge = match call.await {
            Ok(merge) => merge,
            Err(error) => return Err(self.complete_conflict(error).await),
        };
        if merge.target_branch.id == self.branch_id {
            let target = &merge.target_branch;
            self.position = BranchPosition::new(target.version, target.head_event_id.clone());
        }
        Ok(merge)
    }

    /// The event where the cursor is, looked for if it is not known. `None` before the first one.
    async fn known_head(&self) -> Result<Option<EventId>> {
        let BranchPosition { version, head } = &self.position;
        if head.is_some() || *version == 0 {
            return Ok(head.clone());
        }
        match history::event_at(self, *version).await? {
            Some(event) => Ok(Some(event.id)),
            None => {
                let problem = format!("the branch {} has no version {version} to fork from", self.branch_id);
                Err(BuildError::Invalid(problem).into())
            }
        }
    }

    /// The guard on the head: `null` guards an empty branch, and a head that is not known guards nothing.
    fn expected_head(&self) -> Patch<EventId> {
        match (&self.position.head, self.position.version) {
            (Some(head), _) => Patch::Value(head.clone()),
            (None, 0) => Patch::Null,
            (None, _) => Patch::Absent,
        }
    }

    /// Asks where the branch is, when a conflict does not say so.
    async fn complete_conflict(&self, error: Error) -> Error {
        let Some(conflict) = error.branch_conflict().filter(|conflict| conflict.current.is_none()) else {
            return error;
        };
        let mut conflict = conflict.clone();
        match self.client.branches().retrieve(&self.session_id, &self.branch_id).await {
            Ok(branch) => {
                conflict.current = Some(BranchPosition::new(branch.version, branch.head_event_id));
                error.with_conflict(conflict)
            }
            Err(_) => error,
        }
    }
}
