//! Purge and sweep of the model.

use chrono::{DateTime, Utc};
use zumik_types::{
    ArtifactId, BundleId, CreatePurgeJobRequest, Extra, ObjectType, ProjectId, PurgeJob, PurgeJobId,
    PurgeJobStatus, PurgeReceipt, PurgeReceiptId, PurgeScope, SessionStatus,
};

use super::state::{ArtifactEntry, State};
use crate::store::receipt::{Achieved, Erasure, receipt};
use crate::store::rules::{missing_artifact, named_artifact, whole_seconds};
use crate::store::{Kind, ProjectCtx, Result, StoreError, Swept};

impl State {
    pub(super) fn create_purge_job(
        &mut self,
        ctx: &ProjectCtx,
        request: CreatePurgeJobRequest,
    ) -> Result<PurgeJob> {
        for (at, id) in request.artifact_ids.iter().enumerate() {
            self.artifacts
                .get(id)
                .filter(|entry| entry.artifact.project_id == ctx.project && !entry.purged)
                .ok_or_else(|| missing_artifact(format!("artifact_ids[{at}]"), id))?;
        }
        for id in &request.artifact_ids {
            self.purge_artifact(id);
        }
        let entry = &mut self.projects[&ctx.project];
        entry.generation += 1;
        let generation = entry.generation;
        let job = PurgeJob {
            id: PurgeJobId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::PurgeJob,
            status: PurgeJobStatus::Completed,
            scope: PurgeScope {
                project_id: ctx.project.clone(),
                artifact_ids: request.artifact_ids,
                extra: Extra::new(),
            },
            requested_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        let now = whole_seconds(self.clock.now());
        let id = PurgeReceiptId::with_suffix(&self.mint.suffix(now));
        let achieved = Achieved { completed_at: now, erasure: Erasure::Gone, caches: &self.caches };
        let receipt = receipt(id, job.clone(), generation, achieved, &self.signing_key)?;
        self.purges.insert(job.id.clone(), (job.clone(), receipt));
        Ok(job)
    }

    pub(super) fn purge_generation(&self, project: &ProjectId) -> Result<u64> {
        let entry = self.projects.get(project);
        Ok(entry.ok_or_else(|| StoreError::not_found(Kind::Project, project))?.generation)
    }

    fn purge_artifact(&mut self, id: &ArtifactId) {
        if let Some(entry) = self.artifacts.get_mut(id) {
            entry.revoked = true;
            entry.purged = true;
            remove_content(entry);
        }
        let mut bundles = Vec::<BundleId>::new();
        for (bundle, entry) in &mut self.bundles {
            if entry.bundle.items.iter().any(|item| item.artifact_id == *id) {
                entry.live = false;
                bundles.push(bundle.clone());
            }
        }
        let points_to_it =
            |text: &Option<String>| text.as_deref().and_then(named_artifact).as_ref() == Some(id);
        for (session_id, session) in &mut self.sessions {
            let uses = session.base_bundle_ids.iter().any(|bundle| bundles.contains(bundle))
                || self
                    .events
                    .values()
                    .any(|event| event.session_id == *session_id && points_to_it(&event.payload_ref));
            if uses {
                session.status = SessionStatus::Tombstoned;
            }
        }
        for entry in self.snapshots.values_mut() {
            entry.valid &= !entry.artifacts.contains(id);
        }
        self.answers.retain(|_, entry| !entry.artifacts.contains(id));
    }

    pub(super) fn retrieve_purge(
        &self,
        ctx: &ProjectCtx,
        id: &PurgeJobId,
        kind: Kind,
    ) -> Result<&(PurgeJob, PurgeReceipt)> {
        self.purges
            .get(id)
            .filter(|(job, _)| job.scope.project_id == ctx.project)
            .ok_or_else(|| StoreError::not_found(kind, id))
    }

    pub(super) fn sweep(&mut self, now: DateTime<Utc>) -> Swept {
        let mut swept = Swept::default();
        let second = whole_seconds(now);
        for entry in self.artifacts.values_mut() {
            if entry.expires_at.is_some_and(|end| whole_seconds(end) <= second) {
                entry.revoked = true;
                remove_content(entry);
                swept.artifacts += 1;
            }
        }
        let before = (self.files.len(), self.responses.len(), self.answers.len());
        self.files.retain(|_, entry| entry.expires_at.is_none_or(|end| end > second));
        self.responses.retain(|_, entry| entry.expires_at > second);
        self.answers.retain(|_, entry| entry.expires_at > now);
        swept.files = (before.0 - self.files.len()) as u64;
        swept.batches = self.sweep_batches(now);
        swept.responses = (before.1 - self.responses.len()) as u64;
        swept.answers = (before.2 - self.answers.len()) as u64;
        swept
    }
}

/// What is gone does not expire again.
fn remove_content(entry: &mut ArtifactEntry) {
    entry.content = None;
    entry.expires_at = None;
    entry.artifact.metadata.clear();
}
