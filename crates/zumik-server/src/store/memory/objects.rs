//! Artifacts, bundles, sessions, files and diagnostics of the model.

use zeroize::Zeroizing;
use zumik_types::{
    Artifact, ArtifactId, BranchId, Bundle, BundleId, BundleItem, CreateArtifactRequest, CreateBundleRequest,
    CreateSessionRequest, Diagnostic, DiagnosticId, DiagnosticReport, Extra, File, FileId, FileStatus,
    ObjectType, RetentionClass, Session, SessionBranch, SessionId, SessionStatus, SortOrder,
    UpdateSessionRequest,
};

use super::state::{ArtifactEntry, BranchEntry, BundleEntry, FileEntry, State};
use crate::store::batch_rules::{FILES_OF_A_BATCH, shown};
use crate::store::receipt::sign_report;
use crate::store::rules::{self, artifact_expiry, check_file_limits, missing_artifact, whole_seconds};
use crate::store::{FilePage, Kind, NewFile, Page, ProjectCtx, Result, StoreError};

impl State {
    pub(super) fn create_artifact(&mut self, ctx: &ProjectCtx, request: CreateArtifactRequest) -> Artifact {
        let retention_class = request.retention_class.unwrap_or(RetentionClass::Standard);
        let expires_at = artifact_expiry(&retention_class, ctx.now);
        let artifact = Artifact {
            id: ArtifactId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Artifact,
            artifact_type: request.artifact_type,
            project_id: ctx.project.clone(),
            content_media_type: request
                .content_media_type
                .unwrap_or_else(|| rules::DEFAULT_MEDIA_TYPE.to_owned()),
            created_at: whole_seconds(ctx.now),
            retention_class,
            metadata: request.metadata.unwrap_or_default(),
            extra: Extra::new(),
        };
        let entry = ArtifactEntry {
            artifact: artifact.clone(),
            content: Some(Zeroizing::new(request.content)),
            revoked: false,
            purged: false,
            expires_at,
        };
        self.artifacts.insert(artifact.id.clone(), entry);
        artifact
    }

    pub(super) fn list_artifacts(&self, ctx: &ProjectCtx) -> Vec<Artifact> {
        let live = self.artifacts.values().filter(|entry| is_live(entry, ctx));
        live.map(|entry| entry.artifact.clone()).collect()
    }

    pub(super) fn retrieve_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<Artifact> {
        self.live_artifact(ctx, id)
            .map(|entry| entry.artifact.clone())
            .ok_or_else(|| StoreError::not_found(Kind::Artifact, id))
    }

    pub(super) fn delete_artifact(&mut self, ctx: &ProjectCtx, id: &ArtifactId) -> Result<()> {
        self.artifacts
            .get_mut(id)
            .filter(|entry| is_live(entry, ctx))
            .map(|entry| entry.revoked = true)
            .ok_or_else(|| StoreError::not_found(Kind::Artifact, id))
    }

    /// An artifact that can be referenced.
    pub(super) fn live_artifact(&self, ctx: &ProjectCtx, id: &ArtifactId) -> Option<&ArtifactEntry> {
        self.artifacts.get(id).filter(|entry| is_live(entry, ctx))
    }

    pub(super) fn create_bundle(&mut self, ctx: &ProjectCtx, request: CreateBundleRequest) -> Result<Bundle> {
        for (at, item) in request.items.iter().enumerate() {
            self.live_artifact(ctx, &item.artifact_id)
                .ok_or_else(|| missing_artifact(format!("items[{at}].artifact_id"), &item.artifact_id))?;
        }
        let bundle = Bundle {
            id: BundleId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Bundle,
            bundle_type: request.bundle_type.unwrap_or_else(|| rules::DEFAULT_BUNDLE_TYPE.to_owned()),
            project_id: ctx.project.clone(),
            items: request.items.into_iter().map(|item| BundleItem { extra: Extra::new(), ..item }).collect(),
            created_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        self.bundles.insert(bundle.id.clone(), BundleEntry { bundle: bundle.clone(), live: true });
        Ok(bundle)
    }

    /// A bundle that can be referenced.
    pub(super) fn live_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Option<&Bundle> {
        let entry = self.bundles.get(id)?;
        (entry.live && entry.bundle.project_id == ctx.project).then_some(&entry.bundle)
    }

    pub(super) fn retrieve_bundle(&self, ctx: &ProjectCtx, id: &BundleId) -> Result<Bundle> {
        self.live_bundle(ctx, id).cloned().ok_or_else(|| StoreError::not_found(Kind::Bundle, id))
    }

    pub(super) fn delete_bundle(&mut self, ctx: &ProjectCtx, id: &BundleId) -> Result<()> {
        self.retrieve_bundle(ctx, id)?;
        self.bundles.entry(id.clone()).and_modify(|entry| entry.live = false);
        Ok(())
    }

    pub(super) fn create_session(
        &mut self,
        ctx: &ProjectCtx,
        request: CreateSessionRequest,
    ) -> Result<Session> {
        let base_bundle_ids = request.base_bundle_ids.unwrap_or_default();
        for (at, id) in base_bundle_ids.iter().enumerate() {
            if self.live_bundle(ctx, id).is_none() {
                let problem = format!("no bundle with id '{id}' exists in this project");
                return Err(StoreError::reference(format!("base_bundle_ids[{at}]"), problem));
            }
        }
        let session = Session {
            id: SessionId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Session,
            project_id: ctx.project.clone(),
            default_branch_id: BranchId::with_suffix(&self.mint.suffix(ctx.now)),
            status: SessionStatus::Active,
            base_bundle_ids,
            created_at: whole_seconds(ctx.now),
            extra: Extra::new(),
        };
        let branch = SessionBranch {
            id: session.default_branch_id.clone(),
            object: ObjectType::SessionBranch,
            session_id: session.id.clone(),
            parent_branch_id: None,
            forked_from_event_id: None,
            head_event_id: None,
            version: 0,
            label: None,
            extra: Extra::new(),
        };
        self.branches.insert(branch.id.clone(), BranchEntry { branch, history: Vec::new() });
        self.sessions.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    pub(super) fn find_session(&self, ctx: &ProjectCtx, id: &SessionId) -> Option<&Session> {
        self.sessions.get(id).filter(|session| session.project_id == ctx.project)
    }

    pub(super) fn session(&self, ctx: &ProjectCtx, id: &SessionId) -> Result<&Session> {
        self.find_session(ctx, id).ok_or_else(|| StoreError::not_found(Kind::Session, id))
    }

    pub(super) fn update_session(
        &mut self,
        ctx: &ProjectCtx,
        id: &SessionId,
        request: UpdateSessionRequest,
    ) -> Result<Session> {
        let mut session = self.session(ctx, id)?.clone();
        if session.status == SessionStatus::Tombstoned {
            return Err(StoreError::SessionNotActive { status: session.status });
        }
        session.status = request.status;
        self.sessions.insert(id.clone(), session.clone());
        Ok(session)
    }

    pub(super) fn delete_session(&mut self, ctx: &ProjectCtx, id: &SessionId) -> Result<()> {
        self.session(ctx, id)?;
        self.sessions.shift_remove(id);
        self.branches.retain(|_, entry| entry.branch.session_id != *id);
        self.events.retain(|_, event| event.session_id != *id);
        self.snapshots.retain(|_, entry| entry.snapshot.session_id != *id);
        Ok(())
    }

    pub(super) fn upload_file(&mut self, ctx: &ProjectCtx, new: NewFile) -> Result<File> {
        let bytes = new.content.len() as u64;
        let (files, stored) = self.stored_files(ctx);
        let promised = FILES_OF_A_BATCH * self.open_batches(&ctx.project);
        check_file_limits(files + promised, stored, bytes)?;
        let expires_at = new.expires_at.map(whole_seconds);
        let file = shown(File {
            id: FileId::with_suffix(&self.mint.file_suffix()),
            object: ObjectType::File,
            bytes,
            created_at: whole_seconds(ctx.now),
            filename: new.filename,
            purpose: new.purpose,
            status: Some(FileStatus::Processed),
            expires_at,
            extra: Extra::new(),
        });
        let project = ctx.project.clone();
        let entry = FileEntry { project, file: file.clone(), content: new.content, expires_at };
        self.files.insert(file.id.clone(), entry);
        Ok(file)
    }

    /// How many files a project has, and how many bytes.
    pub(super) fn stored_files(&self, ctx: &ProjectCtx) -> (u64, u64) {
        let present = self.files.values().filter(|entry| is_present(entry, ctx));
        present.fold((0, 0), |(files, bytes), entry| (files + 1, bytes + entry.file.bytes))
    }

    pub(super) fn list_files(&self, ctx: &ProjectCtx, page: &FilePage) -> Result<Page<File>> {
        if let Some(id) = &page.after
            && self.file(ctx, id).is_err()
        {
            let problem = format!("no file with id '{id}' exists in this project");
            return Err(StoreError::reference("after", problem));
        }
        let present = self.files.values().filter(|entry| is_present(entry, ctx));
        let mut files: Vec<_> = present.map(|entry| &entry.file).collect();
        if page.order != SortOrder::Asc {
            files.reverse();
        }
        let start = match &page.after {
            Some(id) => files.iter().position(|file| file.id == *id).map_or(0, |at| at + 1),
            None => 0,
        };
        let wanted = |file: &&&File| page.purpose.as_ref().is_none_or(|purpose| file.purpose == *purpose);
        let mut data: Vec<_> = files[start..].iter().filter(wanted).map(|file| (*file).clone()).collect();
        let limit = page.limit.map_or(usize::MAX, |limit| limit as usize);
        let has_more = data.len() > limit;
        data.truncate(limit);
        Ok(Page { data, has_more })
    }

    pub(super) fn file(&self, ctx: &ProjectCtx, id: &FileId) -> Result<&FileEntry> {
        self.files
            .get(id)
            .filter(|entry| is_present(entry, ctx))
            .ok_or_else(|| StoreError::not_found(Kind::File, id))
    }

    pub(super) fn delete_file(&mut self, ctx: &ProjectCtx, id: &FileId) -> Result<()> {
        self.file(ctx, id)?;
        self.files.shift_remove(id);
        Ok(())
    }

    pub(super) fn create_diagnostic(
        &mut self,
        ctx: &ProjectCtx,
        report: DiagnosticReport,
    ) -> Result<Diagnostic> {
        let report = sign_report(report, &self.signing_key)?;
        let diagnostic = Diagnostic {
            id: DiagnosticId::with_suffix(&self.mint.suffix(ctx.now)),
            object: ObjectType::Diagnostic,
            project_id: ctx.project.clone(),
            created_at: whole_seconds(ctx.now),
            report,
            extra: Extra::new(),
        };
        self.diagnostics.insert(diagnostic.id.clone(), diagnostic.clone());
        Ok(diagnostic)
    }

    pub(super) fn retrieve_diagnostic(&self, ctx: &ProjectCtx, id: &DiagnosticId) -> Result<Diagnostic> {
        self.diagnostics
            .get(id)
            .filter(|diagnostic| diagnostic.project_id == ctx.project)
            .cloned()
            .ok_or_else(|| StoreError::not_found(Kind::Diagnostic, id))
    }
}

fn is_live(entry: &ArtifactEntry, ctx: &ProjectCtx) -> bool {
    entry.artifact.project_id == ctx.project
        && !entry.revoked
        && entry.expires_at.is_none_or(|end| whole_seconds(end) > whole_seconds(ctx.now))
}

fn is_present(entry: &FileEntry, ctx: &ProjectCtx) -> bool {
    entry.project == ctx.project && entry.expires_at.is_none_or(|end| end > whole_seconds(ctx.now))
}
