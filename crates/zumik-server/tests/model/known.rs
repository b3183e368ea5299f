//! The objects that the answers so far have named, of both projects.

use proptest::sample::Index;
use serde_json::Value;
use zumik_types::{
    ArtifactId, ArtifactType, BranchId, BundleId, EventId, FileId, PurgeJobId, ResponseId, SessionId,
    SnapshotId,
};

/// The objects that the answers so far have named, deleted ones included: of the own project, and of the other.
#[derive(Debug, Default)]
pub(crate) struct Known([Objects; 2]);

/// The objects of one project, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Objects {
    pub(crate) artifacts: Vec<(ArtifactId, ArtifactType)>,
    pub(crate) bundles: Vec<BundleId>,
    pub(crate) sessions: Vec<SessionId>,
    pub(crate) branches: Vec<(SessionId, BranchId)>,
    pub(crate) events: Vec<EventId>,
    pub(crate) snapshots: Vec<(SessionId, BranchId, SnapshotId)>,
    pub(crate) files: Vec<FileId>,
    pub(crate) purges: Vec<PurgeJobId>,
    pub(crate) responses: Vec<ResponseId>,
    /// Leases that were given out; only their number is known.
    pub(crate) leases: usize,
}

/// Which object a command means: one of its project, or, seldom, one of the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pick {
    pub(crate) index: Index,
    pub(crate) stranger: bool,
}

impl Known {
    /// The objects of a project.
    pub(crate) fn of(&self, foreign: bool) -> &Objects {
        &self.0[usize::from(foreign)]
    }

    /// The object that a command of a project means, if there is any of its kind.
    pub(crate) fn pick<T: Clone>(
        &self,
        foreign: bool,
        pick: Pick,
        kind: impl Fn(&Objects) -> &[T],
    ) -> Option<T> {
        let list = kind(self.of(foreign != pick.stranger));
        (!list.is_empty()).then(|| pick.index.get(list).clone())
    }

    /// Takes in what an answer shows.
    pub(crate) fn learn(&mut self, foreign: bool, answer: &Value) {
        let objects = &mut self.0[usize::from(foreign)];
        if answer["lease"] == "held" {
            objects.leases += 1;
        }
        objects.learn(&answer["value"]);
    }
}

impl Objects {
    fn learn(&mut self, object: &Value) {
        let text = |member: &str| object[member].as_str().unwrap_or_default();
        let (id, session) = (text("id"), text("session_id"));
        match text("object") {
            "artifact" => add(&mut self.artifacts, (id_of(id), text("artifact_type").into())),
            "bundle" => add(&mut self.bundles, id_of(id)),
            "session" => {
                add(&mut self.sessions, id_of(id));
                add(&mut self.branches, (id_of(id), id_of(text("default_branch_id"))));
            }
            "session_branch" => add(&mut self.branches, (id_of(session), id_of(id))),
            "event" => add(&mut self.events, id_of(id)),
            "branch_merge" => {
                self.learn(&object["target_branch"]);
                object["appended"].as_array().into_iter().flatten().for_each(|event| self.learn(event));
            }
            "snapshot" => {
                add(&mut self.snapshots, (id_of(session), id_of(text("branch_id")), id_of(id)));
            }
            "file" => add(&mut self.files, id_of(id)),
            "purge_job" => add(&mut self.purges, id_of(id)),
            "response" => add(&mut self.responses, id_of(id)),
            _ => {}
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, object: T) {
    if !list.contains(&object) {
        list.push(object);
    }
}

fn id_of<T: for<'a> TryFrom<&'a str, Error: std::fmt::Debug>>(text: &str) -> T {
    T::try_from(text).unwrap()
}
