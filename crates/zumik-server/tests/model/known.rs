//! The objects that the answers so far have named, of both projects.

use proptest::sample::Index;
use serde_json::Value;
use zumik_types::{
    AgentHintsId, ArtifactId, ArtifactType, BatchId, BranchId, BundleId, ConversationId, EventId, FileId,
    PurgeJobId, ResponseId, SessionId, SnapshotId, V1ResponseId,
};

/// What the answers so far have named, deleted objects included.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Objects of the own project, and of the other.
    objects: [Objects; 2],
    /// Lines of batches that were claimed; only their number is known.
    pub(crate) lines: usize,
}

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
    pub(crate) v1_responses: Vec<V1ResponseId>,
    pub(crate) conversations: Vec<ConversationId>,
    pub(crate) hints: Vec<AgentHintsId>,
    pub(crate) batches: Vec<BatchId>,
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
        &self.objects[usize::from(foreign)]
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
        self.lines += answer["claimed"].as_array().map_or(0, Vec::len);
        let objects = &mut self.objects[usize::from(foreign)];
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
            "response" if id.starts_with(V1ResponseId::PREFIXES[0]) => add(&mut self.v1_responses, id_of(id)),
            "response" => add(&mut self.responses, id_of(id)),
            "conversation" => add(&mut self.conversations, id_of(id)),
            "agent_hints" => add(&mut self.hints, id_of(id)),
            "batch" => add(&mut self.batches, id_of(id)),
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
