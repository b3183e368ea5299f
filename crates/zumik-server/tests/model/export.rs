//! Everything that can be read: of both projects, what is listed and every id that was ever given, as its owner and
//! as a stranger.

use chrono::TimeDelta;
use serde_json::{Value, json};
use zumik_server::store::{BatchPage, Continued, EventPage, FilePage, PromptState, UsageQuery};
use zumik_types::SortOrder;

use crate::command::KEYS;
use crate::known::Known;
use crate::outcome;
use crate::request::generation_key;
use crate::subject::Subject;

/// More than any history of a run.
const MOST: usize = 1 << 20;

/// What of the receipts of purges is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receipts {
    /// Everything.
    Whole,
    /// Everything but what the store guarantees, and what follows from it.
    WithoutClaims,
}

/// Everything that can be read.
pub(crate) async fn all(subject: &Subject, known: &Known, receipts: Receipts) -> Value {
    let mut projects = Vec::new();
    for foreign in [false, true] {
        let lists = lists(subject, foreign).await;
        projects.push(json!([lists, objects(subject, known, receipts, foreign, foreign).await]));
        projects.push(objects(subject, known, receipts, foreign, !foreign).await);
    }
    json!([projects, outcome::read(subject.store.list_receipt_keys().await)])
}

async fn lists(subject: &Subject, foreign: bool) -> Value {
    let (store, ctx) = (&subject.store, subject.ctx(foreign));
    let files = FilePage { purpose: None, after: None, limit: None, order: SortOrder::Asc };
    let mut lists = vec![
        outcome::read(store.list_artifacts(&ctx).await),
        outcome::page(store.list_files(&ctx, files).await),
    ];
    let all = UsageQuery::between(ctx.now - TimeDelta::days(60), ctx.now);
    lists.push(outcome::read(store.usage(&ctx, all).await));
    lists.push(outcome::read(store.list_alias_releases(&ctx).await));
    lists.push(outcome::page(store.list_batches(&ctx, BatchPage { after: None, limit: None }).await));
    for name in KEYS {
        lists.push(match store.recall(&ctx, &generation_key(name)).await {
            Ok(answer) => json!(answer.as_ref().map(outcome::kept)),
            Err(error) => outcome::refusal(&error),
        });
    }
    lists.into()
}

/// The objects of `owner`, read by the project `reader`.
async fn objects(subject: &Subject, known: &Known, receipts: Receipts, owner: bool, reader: bool) -> Value {
    let (store, ctx, objects) = (&subject.store, subject.ctx(reader), known.of(owner));
    let mut all = Vec::new();
    for (id, _) in &objects.artifacts {
        all.push(outcome::read(store.retrieve_artifact(&ctx, id).await));
    }
    for id in &objects.bundles {
        all.push(outcome::read(store.retrieve_bundle(&ctx, id).await));
        let state = PromptState { bundle_id: Some(id.clone()), ..PromptState::default() };
        all.push(outcome::prompt(store.read_prompt(&ctx, state).await));
    }
    for id in &objects.sessions {
        all.push(outcome::read(store.retrieve_session(&ctx, id).await));
        all.push(outcome::read(store.list_branches(&ctx, id).await));
    }
    for (session, branch) in &objects.branches {
        all.push(outcome::read(store.retrieve_branch(&ctx, session, branch).await));
        let page = EventPage { after: None, limit: 1000, order: SortOrder::Asc };
        all.push(outcome::page(store.list_events(&ctx, session, branch, page).await));
        all.push(outcome::read(store.list_snapshots(&ctx, session, branch).await));
        let state = PromptState { branch_id: Some(branch.clone()), ..PromptState::default() };
        all.push(outcome::prompt(store.read_prompt(&ctx, state).await));
    }
    for (session, branch, id) in &objects.snapshots {
        all.push(outcome::read(store.retrieve_snapshot(&ctx, session, branch, id).await));
        let state = PromptState { snapshot_id: Some(id.clone()), ..PromptState::default() };
        all.push(outcome::prompt(store.read_prompt(&ctx, state).await));
    }
    for id in &objects.files {
        all.push(outcome::read(store.retrieve_file(&ctx, id).await));
        let content = store.retrieve_file_content(&ctx, id).await;
        all.push(outcome::read(content.map(|bytes| bytes.to_vec())));
    }
    for id in &objects.purges {
        all.push(outcome::read(store.retrieve_purge_job(&ctx, id).await));
        let mut receipt = outcome::read(store.retrieve_purge_receipt(&ctx, id).await);
        if receipts == Receipts::WithoutClaims {
            drop_claims(&mut receipt);
        }
        all.push(receipt);
    }
    for id in &objects.v1_responses {
        all.push(outcome::read(store.retrieve_v1_response(&ctx, id).await));
        all.push(outcome::read(store.retrieve_input_items(&ctx, id).await));
        all.push(outcome::read(store.read_history(&ctx, Continued::Response(id.clone()), MOST).await));
    }
    for id in &objects.conversations {
        all.push(outcome::read(store.retrieve_conversation(&ctx, id).await));
        all.push(outcome::read(store.read_history(&ctx, Continued::Conversation(id.clone()), MOST).await));
    }
    for id in &objects.hints {
        all.push(outcome::read(store.retrieve_agent_hints(&ctx, id).await));
    }
    for id in &objects.batches {
        let batch = store.retrieve_batch(&ctx, id).await;
        let files = batch.as_ref().map(|batch| [batch.output_file_id.clone(), batch.error_file_id.clone()]);
        for file in files.into_iter().flatten().flatten() {
            let content = store.retrieve_file_content(&ctx, &file).await;
            all.push(outcome::read(content.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())));
        }
        all.push(outcome::read(batch));
    }
    for id in &objects.responses {
        all.push(outcome::read(store.retrieve_response(&ctx, id).await));
    }
    all.into()
}

/// Removes the guarantees from a receipt, and the digest and signature over them.
fn drop_claims(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(drop_claims),
        Value::Object(members) => {
            members.retain(|name, _| !["guarantee", "digest", "signature"].contains(&name.as_str()));
            members.values_mut().for_each(drop_claims);
        }
        _ => {}
    }
}
