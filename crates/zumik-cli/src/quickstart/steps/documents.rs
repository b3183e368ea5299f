//! Step 1: the files become artifacts, and the artifacts one bundle.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use serde_json::json;
use zumik_client::types::{ArtifactId, ArtifactType, Bundle, BundleItem};

use crate::failure::Failure;
use crate::quickstart::Tour;
use crate::quickstart::files::{Found, Limit, Text};
use crate::term::{self, FAINT, WARN, styled};

/// Uploads that are under way at the same time.
const AT_ONCE: usize = 8;

/// Skipped files that are named one by one.
const NAMED: usize = 8;

/// What stands before the documents in every prompt.
const POLICY: &str = "You explain the files of one folder to someone who sees them for the first time. \
Answer from the documents that follow, name the file that a statement comes from, and say so when they do not tell.";

/// A file that is an artifact now.
pub(crate) struct Document {
    pub path: String,
    pub bytes: usize,
    pub artifact: ArtifactId,
}

/// All that the agent may read.
pub(crate) struct Library {
    pub documents: Vec<Document>,
    pub bundle: Bundle,
}

pub(crate) async fn upload(tour: &mut Tour<'_>, found: Found) -> Result<Library, Failure> {
    tour.title("Documents", "zk.artifacts().create(ArtifactType::Document, text)")?;
    report_files(tour, &found)?;

    let total = found.total_bytes();
    let behind = "{bytes}/{total_bytes}  {eta} left";
    let progress = term::progress(tour.screen.is_silent(), "uploading", behind);
    progress.set_length(total);
    let started = Instant::now();
    let documents = {
        let (tour, progress) = (&*tour, &progress);
        stream::iter(found.texts)
            .map(|text| async move {
                let document = create(tour, text).await?;
                progress.inc(document.bytes as u64);
                Ok::<_, Failure>(document)
            })
            .buffered(AT_ONCE)
            .try_collect::<Vec<_>>()
            .await
    };
    progress.finish_and_clear();
    let documents = documents?;
    let took = started.elapsed().as_secs_f64() * 1e3;
    tour.screen.item(
        "uploaded",
        format_args!(
            "{}, {} in {}, {AT_ONCE} at a time",
            term::plural(documents.len() as u64, "artifact"),
            term::bytes(total),
            term::millis(took)
        ),
    )?;

    let policy = tour.zk.artifacts().create(ArtifactType::Policy, POLICY).await.map_err(Failure::call)?;
    tour.made.artifact(&policy.id);
    let items = documents.iter().map(|document| BundleItem::new(&document.artifact, "context"));
    let items: Vec<_> = [BundleItem::new(&policy.id, "system")].into_iter().chain(items).collect();
    let bundle = tour.zk.bundles().create(items).await.map_err(Failure::call)?;
    tour.made.bundle(&bundle.id);
    tour.screen.item(
        "bundle",
        format_args!("{}  a policy, then the documents, in this order for good", bundle.id),
    )?;
    Ok(Library { documents, bundle })
}

async fn create(tour: &Tour<'_>, text: Text) -> Result<Document, Failure> {
    let bytes = text.content.len();
    let metadata = json!({ "path": text.path });
    let artifact = tour
        .zk
        .artifacts()
        .create(ArtifactType::Document, text.content)
        .metadata(metadata.as_object().cloned().unwrap_or_default())
        .await
        .map_err(|error| Failure::call(error).about(&text.path))?;
    tour.made.artifact(&artifact.id);
    Ok(Document { path: text.path, bytes, artifact: artifact.id })
}

fn report_files(tour: &mut Tour<'_>, found: &Found) -> Result<(), Failure> {
    let more = match found.ended_by {
        None => "",
        Some(Limit::Files) => ", the first of more (--max-files)",
        Some(Limit::Bytes) => ", the first of more: one prompt should not be larger",
    };
    tour.screen.item(
        "found",
        format_args!(
            "{}, {}{more}",
            term::plural(found.texts.len() as u64, "text file"),
            term::bytes(found.total_bytes())
        ),
    )?;
    for skipped in found.skipped.iter().take(NAMED) {
        let path = term::printable(&skipped.path);
        tour.screen.item("skipped", format_args!("{}: {}", styled(WARN, path), skipped.detail))?;
    }
    let unnamed = found.skipped.len().saturating_sub(NAMED);
    if unnamed > 0 {
        tour.screen.item("", styled(FAINT, format_args!("and {unnamed} more (--json names them all)")))?;
    }
    Ok(())
}
