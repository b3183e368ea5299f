//! Appending under contention: the caller decides each time, with the present state before its eyes.

use std::future::Future;
use std::time::Duration;

use zumik_types::{Event, NewEvent};

use super::BranchCursor;
use crate::error::{BranchConflict, Outcome, Result};

/// How often the caller is asked before the conflict is reported.
const ROUNDS: u32 = 8;
/// Wait after the first lost round, doubled with each further one, with full jitter.
const BASE: Duration = Duration::from_millis(50);
/// The longest wait between two rounds.
const CAP: Duration = Duration::from_secs(2);

/// What [`BranchCursor::append_with`] shows to the caller before each round.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BranchState {
    /// A cursor where the branch is now; read the [history](BranchCursor::history_after) with it.
    pub cursor: BranchCursor,
    /// The conflict that ended the round before. `None` in the first.
    pub conflict: Option<BranchConflict>,
    /// The number of this round, from 1.
    pub round: u32,
}

/// What to do at a [`BranchState`].
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Decision {
    /// Append this event there.
    Append(NewEvent),
    /// Leave the branch alone and make a new one there.
    Fork,
    /// Do nothing.
    Abort,
}

/// How [`BranchCursor::append_with`] ended.
#[derive(Debug, Clone)]
#[non_exhaustive]
#[must_use = "the caller's own decision decides which of these it is"]
pub enum Appended {
    /// The event was appended, and the cursor is behind it.
    Event(Event),
    /// A branch was made; this is a cursor on it. The other cursor is where the branch was forked.
    Forked(BranchCursor),
    /// Nothing was done. The cursor is at the state that was shown last.
    Aborted,
}

impl BranchCursor {
    /// Appends what the caller decides, and asks again when somebody else was faster.
    ///
    /// Each round `decide` sees the state of the branch: first where the cursor is, then where the conflict says that
    /// the branch is. Each appended event is a new request with a new key. After 8 lost rounds, with short random
    /// waits between them, the last conflict is reported. A conflict that may be with the event itself, because an
    /// answer was lost and the history does not tell, is reported at once: another round could append it twice.
    ///
    /// ```
    /// # async fn example(
    /// #     branch: &mut zumik_client::BranchCursor, note: &zumik_client::types::ArtifactId,
    /// # ) -> zumik_client::Result<()> {
    /// use zumik_client::types::Event;
    /// use zumik_client::{Appended, Decision};
    ///
    /// let appended = branch
    ///     .append_with(|state| async move {
    ///         match state.conflict {
    ///             Some(_) if state.round > 3 => Decision::Fork,
    ///             _ => Decision::Append(Event::note(note)),
    ///         }
    ///     })
    ///     .await?;
    /// if let Appended::Forked(fork) = appended {
    ///     println!("going on at {}", fork.branch_id());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// The last [`BranchConflict`](crate::ErrorKind::BranchConflict), one with an
    /// [`Ambiguous`](Outcome::Ambiguous) outcome or any other error at once.
    pub async fn append_with<F, D>(&mut self, mut decide: F) -> Result<Appended>
    where
        F: FnMut(BranchState) -> D + Send,
        D: Future<Output = Decision> + Send,
    {
        let (mut round, mut conflict) = (0, None);
        loop {
            round += 1;
            let state = BranchState { cursor: self.clone(), conflict: conflict.take(), round };
            let event = match decide(state).await {
                Decision::Append(event) => event,
                Decision::Fork => return self.fork().await.map(Appended::Forked),
                Decision::Abort => return Ok(Appended::Aborted),
            };
            let error = match self.append_event(event).await {
                Ok(event) => return Ok(Appended::Event(event)),
                Err(error) => error,
            };
            let lost_for_certain = error.outcome() != Outcome::Ambiguous;
            match error.branch_conflict() {
                Some(lost) if lost_for_certain && round < ROUNDS => {
                    match lost.current.clone() {
                        Some(current) => self.position = current,
                        None => drop(self.refresh().await?),
                    }
                    conflict = Some(lost.clone());
                }
                _ => return Err(error),
            }
            tokio::time::sleep(self.pause(round)).await;
        }
    }

    fn pause(&self, round: u32) -> Duration {
        let ceiling = BASE.saturating_mul(2_u32.saturating_pow(round - 1)).min(CAP);
        ceiling.mul_f64(self.client.shared().ambient.jitter())
    }
}
