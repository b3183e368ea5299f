//! Step 2: a session over the bundle, and a conversation in it.

use std::fmt::Write;

use zumik_client::BranchCursor;
use zumik_client::types::{ArtifactId, ArtifactType, Event, Session};

use super::documents::Library;
use super::generation::{self, Question};
use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::term;

/// Lines of the listing that the agent's tool gives back.
const LISTED: usize = 500;

/// A session with a few turns in it.
pub(crate) struct Conversation {
    pub session: Session,
    /// The root branch, at its head.
    pub main: BranchCursor,
    /// The same branch at the end of the first turn: where the fork begins.
    pub after_first_turn: BranchCursor,
}

pub(crate) async fn hold(tour: &mut Tour<'_>, library: &Library) -> Result<Conversation, Failure> {
    tour.title("Session and turns", "cursor.append(Event::user_message(&artifact.id))")?;
    let session =
        tour.zk.sessions().create().base_bundle_ids([&library.bundle.id]).await.map_err(Failure::call)?;
    tour.made.session(&session.id);
    let mut main =
        tour.zk.branch(&session.id, &session.default_branch_id).at_head().await.map_err(Failure::call)?;
    tour.screen.item("session", format_args!("{}  over the bundle; its root branch is empty", session.id))?;

    let listing = text(tour, &listing(library)).await?;
    let event = main.append(Event::tool_result(&listing)).await.map_err(Failure::call)?;
    show(tour, event.sequence, "tool_result", "the list of the files")?;

    let first = "What is in this folder, and where should I begin to read?";
    turn(tour, &mut main, &session, first).await?;
    let after_first_turn = main.clone();
    turn(tour, &mut main, &session, "Which file would you change with the most care, and why?").await?;
    Ok(Conversation { session, main, after_first_turn })
}

/// Asks, then keeps question and answer in the branch.
///
/// A generation reads the branch but appends nothing: what belongs to the history is the caller's decision.
pub(crate) async fn turn(
    tour: &mut Tour<'_>,
    branch: &mut BranchCursor,
    session: &Session,
    question: &str,
) -> Result<(), Failure> {
    let asked = Question::new(question, &session.id).on_branch(branch.branch_id());
    let answer = generation::ask(tour, asked).await?;
    let asked = text(tour, question).await?;
    let event = branch.append(Event::user_message(&asked)).await.map_err(Failure::call)?;
    show(tour, event.sequence, "user_message", question)?;

    let said = answer.output_text.as_deref().filter(|said| !said.is_empty()).unwrap_or("(no answer)");
    let kept = text(tour, said).await?;
    let event = branch.append(Event::assistant_message(&kept)).await.map_err(Failure::call)?;
    show(tour, event.sequence, "assistant_message", said)
}

/// Stores a text as an artifact: events point to contents, they hold none.
pub(crate) async fn text(tour: &Tour<'_>, content: &str) -> Result<ArtifactId, Failure> {
    let artifact =
        tour.zk.artifacts().create(ArtifactType::TextContext, content).await.map_err(Failure::call)?;
    tour.made.artifact(&artifact.id);
    Ok(artifact.id)
}

/// One event as a line: its sequence, its type, what it says.
fn show(tour: &mut Tour<'_>, sequence: u64, kind: &str, said: &str) -> Result<(), Failure> {
    let room = term::width().saturating_sub(38).max(20);
    let said = term::shortened(&term::printable(said), room);
    tour.screen.item(&format!("event {sequence}"), format_args!("{kind:<18} {said}"))
}

fn listing(library: &Library) -> String {
    let mut listing = String::from("bytes\tpath\n");
    for document in library.documents.iter().take(LISTED) {
        let _ = writeln!(listing, "{}\t{}", document.bytes, document.path);
    }
    listing
}
