//! Steps 3 to 5: two writers collide, a branch is forked and merged back, and the result is pinned.

use zumik_client::types::{Event, NewEvent, Snapshot};
use zumik_client::{BranchConflict, BranchCursor};

use super::turns::{self, Conversation};
use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::report::{ConflictSummary, MergeSummary};
use crate::term::{self, BAD, GOOD, styled};

/// Two writers hold the same cursor and append at the same time: one wins, the other is told what the branch is now,
/// reads it again and decides.
pub(crate) async fn collide(
    tour: &mut Tour<'_>,
    talk: &mut Conversation,
) -> Result<ConflictSummary, Failure> {
    tour.title("Two writers collide", "error.branch_conflict(), cursor.refresh()")?;
    let plan = turns::text(tour, "Planner: begin with the overview.").await?;
    let review = turns::text(tour, "Reviewer: check the licence first.").await?;

    let (mut planner, mut reviewer) = (talk.main.clone(), talk.main.clone());
    let (planned, reviewed) =
        tokio::join!(planner.append(Event::note(&plan)), reviewer.append(Event::note(&review)));
    let (winner, won, loser, cursor, note, error) = match (planned, reviewed) {
        (Ok(won), Err(error)) => ("planner", won, "reviewer", reviewer, review, error),
        (Err(error), Ok(won)) => ("reviewer", won, "planner", planner, plan, error),
        (Err(error), Err(_)) => return Err(Failure::call(error)),
        (Ok(_), Ok(_)) => {
            return Err(Failure::failed(
                "both writers appended at the same version; the server must refuse one",
            ));
        }
    };
    let conflict = error.branch_conflict().cloned().ok_or_else(|| Failure::call(error))?;
    tour.screen.item(winner, format_args!("{} as event {}", styled(GOOD, "appended"), won.sequence))?;
    show_conflict(tour, loser, &conflict)?;
    resolve(tour, talk, cursor, loser, Event::note(&note), &conflict).await
}

fn show_conflict(tour: &mut Tour<'_>, loser: &str, conflict: &BranchConflict) -> Result<(), Failure> {
    let code = styled(BAD, "409 branch_version_conflict").to_string();
    let expected = conflict.expected.version;
    match &conflict.current {
        Some(current) => tour.screen.item(
            loser,
            format_args!("{code}: expected version {expected}, the branch is at {}", current.version),
        ),
        None => {
            tour.screen.item(loser, format_args!("{code}: the branch is no longer at version {expected}"))
        }
    }
}

/// The loser reads the branch again, sees that the other note does not change its own, and appends behind it.
async fn resolve(
    tour: &mut Tour<'_>,
    talk: &mut Conversation,
    mut cursor: BranchCursor,
    loser: &str,
    note: NewEvent,
    conflict: &BranchConflict,
) -> Result<ConflictSummary, Failure> {
    cursor.refresh().await.map_err(Failure::call)?;
    let event = cursor.append(note).await.map_err(Failure::call)?;
    tour.screen.item(
        loser,
        format_args!(
            "reads the branch again, {} behind it as event {}",
            styled(GOOD, "appends"),
            event.sequence
        ),
    )?;
    talk.main = cursor;
    Ok(ConflictSummary {
        branch_id: event.branch_id.to_string(),
        expected_version: conflict.expected.version,
        current_version: conflict.current.as_ref().map(|current| current.version),
        resolved_as_sequence: event.sequence,
    })
}

/// Goes back to the end of the first turn, asks something else there, and brings the answer home.
pub(crate) async fn fork_and_merge(
    tour: &mut Tour<'_>,
    talk: &mut Conversation,
) -> Result<MergeSummary, Failure> {
    tour.title("Fork and merge", "cursor.fork_as(label), cursor.merge_rebase(&branch)")?;
    let mut fork = talk.after_first_turn.fork_as("second-opinion").await.map_err(Failure::call)?;
    tour.screen
        .item("fork", format_args!("{}  at event {}; nothing is copied", fork.branch_id(), fork.version()))?;
    turns::turn(tour, &mut fork, &talk.session, "Which file could go without loss?").await?;

    let merged = talk.main.merge_rebase(fork.branch_id()).await.map_err(Failure::call)?;
    let copied = merged.appended.len();
    tour.screen.item(
        "rebase",
        format_args!(
            "{} copied, each naming its origin; the main branch is at version {}",
            term::plural(copied as u64, "event"),
            merged.target_branch.version
        ),
    )?;
    Ok(MergeSummary {
        strategy: merged.strategy.to_string(),
        source_branch_id: merged.source_branch_id.to_string(),
        appended: copied,
        version: merged.target_branch.version,
    })
}

/// Pins what the prompt is made of now: bundle items, then events.
pub(crate) async fn pin(tour: &mut Tour<'_>, talk: &Conversation) -> Result<Snapshot, Failure> {
    tour.title("Snapshot", "cursor.snapshot()")?;
    let snapshot = talk.main.snapshot().await.map_err(Failure::call)?;
    tour.screen.item(
        "snapshot",
        format_args!(
            "{}  {} blocks in order, compiler {}, branch at version {}",
            snapshot.id,
            snapshot.ordered_block_manifest.len(),
            snapshot.prompt_compiler_revision,
            snapshot.branch_version
        ),
    )?;
    Ok(snapshot)
}
