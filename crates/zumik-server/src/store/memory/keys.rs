//! Projects and keys of the model.

use chrono::{DateTime, Utc};
use zumik_types::{KeyId, ProjectId};

use super::state::{KeyEntry, ProjectEntry, State};
use crate::store::rules::whole_seconds;
use crate::store::{Caller, KeyRecord, Kind, NewKey, Project, Result, StoreError};

impl State {
    pub(super) fn authenticate(&self, key_hash: &[u8; 32]) -> Option<Caller> {
        let entry = self.keys.values().find(|entry| entry.hash == *key_hash)?;
        let KeyRecord { project, id, scopes, revoked_at: None, .. } = &entry.record else { return None };
        Some(Caller { project: project.clone(), key: id.clone(), scopes: *scopes })
    }

    pub(super) fn ensure_project(&mut self, name: &str, now: DateTime<Utc>) -> Project {
        if let Some(project) = self.find_project(name) {
            return project;
        }
        let id = ProjectId::with_suffix(&self.mint.suffix(now));
        let project = Project { id: id.clone(), name: name.to_owned(), created_at: whole_seconds(now) };
        self.projects.insert(id, ProjectEntry { project: project.clone(), generation: 0 });
        project
    }

    pub(super) fn find_project(&self, name: &str) -> Option<Project> {
        let mut projects = self.projects.values().map(|entry| &entry.project);
        projects.find(|project| project.name == name).cloned()
    }

    pub(super) fn create_key(
        &mut self,
        project: &ProjectId,
        key: NewKey,
        now: DateTime<Utc>,
    ) -> Result<KeyRecord> {
        if !self.projects.contains_key(project) {
            return Err(StoreError::not_found(Kind::Project, project));
        }
        if let Some(entry) = self.keys.values().find(|entry| entry.hash == key.hash) {
            if entry.record.project == *project {
                return Ok(entry.record.clone());
            }
            return Err(StoreError::reference("key", "this key belongs to another project"));
        }
        let record = KeyRecord {
            id: KeyId::with_suffix(&self.mint.suffix(now)),
            project: project.clone(),
            name: key.name,
            masked: key.masked,
            scopes: key.scopes,
            created_at: whole_seconds(now),
            revoked_at: None,
        };
        let entry = KeyEntry { record: record.clone(), hash: key.hash };
        self.keys.insert(record.id.clone(), entry);
        Ok(record)
    }

    pub(super) fn list_keys(&self, project: Option<&ProjectId>) -> Vec<KeyRecord> {
        let records = self.keys.values().map(|entry| &entry.record);
        records.filter(|record| project.is_none_or(|id| record.project == *id)).cloned().collect()
    }

    pub(super) fn revoke_key(&mut self, key: &KeyId, now: DateTime<Utc>) -> Result<KeyRecord> {
        let entry = self.keys.get_mut(key).ok_or_else(|| StoreError::not_found(Kind::Key, key))?;
        entry.record.revoked_at.get_or_insert(whole_seconds(now));
        Ok(entry.record.clone())
    }
}
