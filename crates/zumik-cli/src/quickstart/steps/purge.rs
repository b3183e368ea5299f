//! Step 8: one document is purged, and the receipt proves it without the server.

use chrono::{DateTime, SecondsFormat, Utc};
use zumik_client::types::{Guarantee, ReceiptKeySet};

use super::documents::{Document, Library};
use super::turns::Conversation;
use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::report::PurgeSummary;
use crate::term::{self, GOOD, styled};

/// What the purge must promise at least: what any server can. How much more it is depends on where the server keeps
/// contents, and on whether it sends prompts to providers, whose caches have to expire; the tour shows it.
const REQUIRED: Guarantee = Guarantee::HandleRevocation;

pub(crate) async fn purge(
    tour: &mut Tour<'_>,
    library: &Library,
    talk: &Conversation,
    keys: &ReceiptKeySet,
) -> Result<PurgeSummary, Failure> {
    tour.title("Purge, with proof", "proof.verify(&keys)?.require(guarantee)?")?;
    let document =
        library.documents.last().ok_or_else(|| Failure::failed("there is no document to purge"))?;
    let proof = tour.zk.purge_jobs().purge([&document.artifact]).await.map_err(Failure::call)?;
    let path = term::printable(&document.path);
    tour.screen.item("purged", format_args!("{path}  {}", document.artifact))?;
    for step in &proof.receipt.processors {
        let until = step.expires_at.map(|end| format!(" until {}", rfc3339(end))).unwrap_or_default();
        let done = format!("{} {}: {}{until}", step.processor, step.action, step.guarantee);
        tour.screen.item("", term::printable(&done))?;
    }

    let verified = proof
        .verify(keys)
        .map_err(|e| Failure::because("the purge receipt does not verify", &e))?
        .require(REQUIRED)
        .map_err(|e| Failure::because("the purge receipt promises too little", &e))?;
    tour.screen.item("receipt", format_args!("{}  {}", verified.id, verified.digest()))?;
    tour.screen.item(
        "verified",
        format_args!(
            "{} offline, signed by {}",
            styled(GOOD, verified.guarantee.as_str()),
            verified.key_id()
        ),
    )?;

    gone(tour, document).await?;
    let session = tour.zk.sessions().retrieve(&talk.session.id).await.map_err(Failure::call)?;
    tour.screen.item("session", format_args!("{}: it was built on the document", session.status))?;
    Ok(PurgeSummary {
        artifact_id: document.artifact.to_string(),
        path: document.path.clone(),
        purge_job_id: proof.job.id.to_string(),
        receipt_id: verified.id.to_string(),
        digest: verified.digest().to_string(),
        guarantee: verified.guarantee.to_string(),
        expires_at: verified.expires_at().map(rfc3339),
        verified: true,
        status_after: 404,
    })
}

fn rfc3339(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// Asks for the document once more: it must not be there.
async fn gone(tour: &mut Tour<'_>, document: &Document) -> Result<(), Failure> {
    match tour.zk.artifacts().retrieve(&document.artifact).await {
        Err(error) if error.is_not_found() => tour
            .screen
            .item("asked for", format_args!("{}: {}", document.artifact, styled(GOOD, "404, gone"))),
        Err(error) => Err(Failure::call(error)),
        Ok(_) => Err(Failure::failed(format_args!(
            "{} was purged, but the server still has it",
            document.artifact
        ))),
    }
}
