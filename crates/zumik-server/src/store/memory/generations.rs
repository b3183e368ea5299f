//! Prompts and responses of the model.

use serde_json::Value;
use zumik_types::{ArtifactId, BundleId, Event, Snapshot, V1ResponseId};

use super::state::{ResponseEntry, ResponseKey, State};
use crate::domain::{Block, Prompt, Source};
use crate::store::prompt_rules::{Room, deleted};
use crate::store::rules::{check_active, named_artifact, named_event, whole_seconds};
use crate::store::{
    ANSWER_LIFETIME, Generation, Kind, Lease, ProjectCtx, PromptState, Result, StoreError, StoredResponse,
};

/// The blocks of a prompt so far.
#[derive(Default)]
struct Blocks {
    room: Room,
    all: Vec<Block>,
}

impl State {
    pub(super) fn read_prompt(&self, ctx: &ProjectCtx, state: PromptState) -> Result<Prompt> {
        let unknown = |param: &'static str, id: &str| {
            StoreError::reference(param, format!("nothing with id '{id}' exists in this project"))
        };
        let PromptState { session_id: mut session, branch_id: mut branch, bundle_id, snapshot_id } = state;
        let named = (session.clone(), branch.clone());
        if let Some(id) = &session {
            self.find_session(ctx, id).ok_or_else(|| unknown("session_id", id.as_str()))?;
        }
        if let Some(id) = &branch {
            let entry = self
                .branches
                .get(id)
                .filter(|entry| self.find_session(ctx, &entry.branch.session_id).is_some());
            let of = entry.ok_or_else(|| unknown("branch_id", id.as_str()))?.branch.session_id.clone();
            if session.get_or_insert_with(|| of.clone()) != &of {
                return Err(StoreError::reference("branch_id", "the branch is not of that session"));
            }
        }
        if let Some(id) = &bundle_id {
            self.live_bundle(ctx, id).ok_or_else(|| unknown("bundle_id", id.as_str()))?;
        }
        let mut pinned = None;
        if let Some(id) = &snapshot_id {
            let entry = self.snapshots.get(id).filter(|entry| entry.valid);
            let entry = entry.filter(|entry| self.find_session(ctx, &entry.snapshot.session_id).is_some());
            let snapshot = &entry.ok_or_else(|| unknown("snapshot_id", id.as_str()))?.snapshot;
            let contradiction = |param| StoreError::reference(param, "the snapshot is of another one");
            if named.0.is_some_and(|id| id != snapshot.session_id) {
                return Err(contradiction("session_id"));
            }
            if named.1.as_ref().is_some_and(|id| *id != snapshot.branch_id) {
                return Err(contradiction("branch_id"));
            }
            if bundle_id.is_some() {
                let problem = "a snapshot cannot be combined with a bundle";
                return Err(StoreError::reference("bundle_id", problem));
            }
            session = Some(snapshot.session_id.clone());
            branch = Some(snapshot.branch_id.clone());
            pinned = Some(snapshot);
        }

        let mut blocks = Blocks::default();
        if let Some(id) = &bundle_id {
            self.bundle_blocks(ctx, id, "bundle_id", &mut blocks)?;
        }
        if let Some(id) = &session {
            let found = self.session(ctx, id)?;
            check_active(&found.status)?;
            let branch_id = branch.get_or_insert_with(|| found.default_branch_id.clone());
            match pinned {
                Some(snapshot) => self.manifest_blocks(ctx, snapshot, &mut blocks)?,
                None => {
                    for bundle in &found.base_bundle_ids {
                        self.bundle_blocks(ctx, bundle, "session_id", &mut blocks)?;
                    }
                    let param = if named.1.is_some() { "branch_id" } else { "session_id" };
                    // The newest event first, as the other stores walk.
                    let first = blocks.all.len();
                    for event in self.branch(ctx, id, branch_id)?.history.iter().rev() {
                        self.event_block(ctx, &self.events[event], param, &mut blocks)?;
                    }
                    blocks.all[first..].reverse();
                }
            }
        }
        Ok(Prompt { session_id: session, branch_id: branch, blocks: blocks.all })
    }

    fn bundle_blocks(
        &self,
        ctx: &ProjectCtx,
        id: &BundleId,
        param: &'static str,
        blocks: &mut Blocks,
    ) -> Result<()> {
        let bundle = self.live_bundle(ctx, id).ok_or_else(|| {
            StoreError::reference(param, format!("its base bundle '{id}' has been deleted"))
        })?;
        for item in &bundle.items {
            self.block(ctx, &item.artifact_id, Source::Bundle(item.role.clone()), param, blocks)?;
        }
        Ok(())
    }

    fn manifest_blocks(&self, ctx: &ProjectCtx, snapshot: &Snapshot, blocks: &mut Blocks) -> Result<()> {
        const PARAM: &str = "snapshot_id";
        for entry in &snapshot.ordered_block_manifest {
            if let Some(id) = named_artifact(entry) {
                self.block(ctx, &id, Source::Manifest, PARAM, blocks)?;
            } else if let Some(id) = named_event(entry) {
                let event = self.project_event(ctx, &id).ok_or_else(|| deleted(PARAM, entry))?;
                self.event_block(ctx, event, PARAM, blocks)?;
            }
        }
        Ok(())
    }

    fn event_block(
        &self,
        ctx: &ProjectCtx,
        event: &Event,
        param: &'static str,
        blocks: &mut Blocks,
    ) -> Result<()> {
        match event.payload_ref.as_deref().and_then(named_artifact) {
            Some(id) => self.block(ctx, &id, Source::Event(event.event_type.clone()), param, blocks),
            None => Ok(()),
        }
    }

    fn block(
        &self,
        ctx: &ProjectCtx,
        id: &ArtifactId,
        source: Source,
        param: &'static str,
        blocks: &mut Blocks,
    ) -> Result<()> {
        let entry = self.live_artifact(ctx, id).ok_or_else(|| deleted(param, id.as_str()))?;
        let content = entry.content.as_ref().ok_or_else(|| deleted(param, id.as_str()))?;
        blocks.room.take(content.len(), param)?;
        blocks.all.push(Block {
            source,
            artifact_id: id.clone(),
            artifact_type: entry.artifact.artifact_type.clone(),
            text: content.to_string(),
            param,
        });
        Ok(())
    }

    pub(super) fn commit_generation(
        &mut self,
        ctx: &ProjectCtx,
        generation: Generation,
        lease: Option<Lease>,
    ) -> Result<()> {
        if let Some(lease) = lease {
            let purged = |id: &ArtifactId| self.artifacts.get(id).is_none_or(|entry| entry.purged);
            let overtaken = generation.materialized.iter().any(purged);
            let entry = self.held(&lease)?;
            entry.lease_until = None;
            // What came out of a content that was purged meanwhile is not kept for a repeat.
            if !overtaken {
                entry.answer = Some(generation.answer);
                entry.artifacts = generation.materialized;
                entry.expires_at = ctx.now + ANSWER_LIFETIME;
            }
        }
        match generation.response {
            Some(response) if generation.begun => match self.finish_response(ctx, response) {
                // It may have been deleted meanwhile.
                Ok(_) | Err(StoreError::NotFound { .. }) => {}
                Err(error) => return Err(error),
            },
            Some(response) => {
                let entry = ResponseEntry {
                    project: ctx.project.clone(),
                    conversation: self.conversation_of(ctx, &response),
                    response,
                    input_items: generation.input_items,
                    expires_at: whole_seconds(generation.expires_at),
                };
                self.responses.insert(key(&entry.response), entry);
            }
            None => {}
        }
        Ok(())
    }

    pub(super) fn finish_response(
        &mut self,
        ctx: &ProjectCtx,
        response: StoredResponse,
    ) -> Result<StoredResponse> {
        let entry = self.response_mut(ctx, &key(&response))?;
        if entry.response.is_open() {
            entry.response = response;
        }
        Ok(entry.response.clone())
    }

    pub(super) fn cancel_response(&mut self, ctx: &ProjectCtx, key: &ResponseKey) -> Result<StoredResponse> {
        let entry = self.response_mut(ctx, key)?;
        entry.response.cancel();
        Ok(entry.response.clone())
    }

    pub(super) fn response(&self, ctx: &ProjectCtx, key: &ResponseKey) -> Result<StoredResponse> {
        let entry = self.responses.get(key).filter(|entry| is_kept(entry, ctx));
        entry.map(|entry| entry.response.clone()).ok_or_else(|| missing(key))
    }

    pub(super) fn input_items(&self, ctx: &ProjectCtx, key: &ResponseKey) -> Result<Option<Vec<Value>>> {
        let entry = self.responses.get(key).filter(|entry| is_kept(entry, ctx));
        entry.map(|entry| entry.input_items.clone()).ok_or_else(|| missing(key))
    }

    pub(super) fn delete_response(&mut self, ctx: &ProjectCtx, key: &ResponseKey) -> Result<()> {
        self.response(ctx, key)?;
        self.responses.shift_remove(key);
        Ok(())
    }

    pub(super) fn fail_open_responses(&mut self) -> u64 {
        let open = self.responses.values_mut().filter(|entry| entry.response.is_open());
        open.map(|entry| entry.response.abandon()).count() as u64
    }

    pub(super) fn ended_v1_responses(&self, mut ids: Vec<V1ResponseId>) -> Vec<V1ResponseId> {
        ids.retain(|id| {
            let entry = self.responses.get(&ResponseKey::V1(id.clone()));
            entry.is_none_or(|entry| !entry.response.is_open())
        });
        ids
    }

    fn response_mut(&mut self, ctx: &ProjectCtx, key: &ResponseKey) -> Result<&mut ResponseEntry> {
        self.responses.get_mut(key).filter(|entry| is_kept(entry, ctx)).ok_or_else(|| missing(key))
    }
}

fn key(response: &StoredResponse) -> ResponseKey {
    match response {
        StoredResponse::Native(response) => ResponseKey::Native(response.id.clone()),
        StoredResponse::V1(response) => ResponseKey::V1(response.id().clone()),
    }
}

fn missing(key: &ResponseKey) -> StoreError {
    match key {
        ResponseKey::Native(id) => StoreError::not_found(Kind::Response, id),
        ResponseKey::V1(id) => StoreError::not_found(Kind::Response, id),
    }
}

pub(super) fn is_kept(entry: &ResponseEntry, ctx: &ProjectCtx) -> bool {
    entry.project == ctx.project && entry.expires_at > whole_seconds(ctx.now)
}
