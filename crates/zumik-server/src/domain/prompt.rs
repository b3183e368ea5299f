//! The prompt compiler, revision `pc_1` (contract `concepts.md`, "Prompt compiler"): from the blocks that
//! a request's state leads to, to the messages that a model is given. It never sorts, merges or drops.

use std::collections::BTreeSet;
use std::fmt;

use thiserror::Error;
use zumik_types::{ArtifactId, ArtifactType, BranchId, EventType, SessionId};

/// The state that a generation reads: which one it is, and its blocks in prompt order.
#[derive(Debug, Clone, Default)]
pub struct Prompt {
    /// The session, given or derived from branch or snapshot.
    pub session_id: Option<SessionId>,
    /// The branch, given or the session's default.
    pub branch_id: Option<BranchId>,
    /// The blocks in prompt order.
    pub blocks: Vec<Block>,
}

impl Prompt {
    /// The artifacts whose text is in it, each once.
    pub fn artifacts(&self) -> Vec<ArtifactId> {
        let artifacts: BTreeSet<_> = self.blocks.iter().map(|block| &block.artifact_id).collect();
        artifacts.into_iter().cloned().collect()
    }

    /// What each of its messages is in the layout.
    pub fn places(&self) -> Vec<Place> {
        self.blocks.iter().map(|block| block.source.place()).collect()
    }
}

/// What a message is in the layout of a prompt (contract `concepts.md`, "Prompt layout"). Its role does not tell: all that
/// is not said by user or assistant is a `system` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Blocks 1 to 5: policies, tools, schema and context.
    Stable,
    /// Blocks 6 and 7: checkpoints and history.
    History,
    /// Block 8: retrieved for the latest turn.
    Retrieval,
    /// Input of the user: block 9 if it is the latest, else history.
    User,
    /// Result of a tool: block 10 if it is the latest, else history.
    ToolResult,
}

/// One artifact of a prompt, with its text.
#[derive(Clone)]
pub struct Block {
    /// How the state leads to it.
    pub source: Source,
    /// The artifact.
    pub artifact_id: ArtifactId,
    /// Its type.
    pub artifact_type: ArtifactType,
    /// Its content.
    pub text: String,
    /// The field of the request that led to it, for errors.
    pub param: &'static str,
}

/// How the state leads to a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An item of a bundle, with its role.
    Bundle(String),
    /// An event of the branch.
    Event(EventType),
    /// An artifact that a snapshot's manifest names.
    Manifest,
}

impl Source {
    fn place(&self) -> Place {
        match self {
            Self::Bundle(_) | Self::Manifest => Place::Stable,
            Self::Event(EventType::UserMessage) => Place::User,
            Self::Event(EventType::ToolResult) => Place::ToolResult,
            Self::Event(EventType::RetrievalResult) => Place::Retrieval,
            Self::Event(_) => Place::History,
        }
    }
}

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Instructions and context.
    System,
    /// The user.
    User,
    /// The model.
    Assistant,
}

/// One message of a compiled prompt.
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub text: String,
}

/// Why a state cannot be compiled: 400.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{param}: artifact '{artifact_id}' is a binary_attachment and cannot be part of a prompt")]
pub struct PromptError {
    /// The field of the request that led to the artifact.
    pub param: &'static str,
    /// The artifact.
    pub artifact_id: ArtifactId,
}

/// Compiles blocks to messages, one each, in their order. The request's own input comes after them.
///
/// # Errors
/// A block that is a `binary_attachment`.
pub fn compile(blocks: Vec<Block>) -> Result<Vec<Message>, PromptError> {
    blocks.into_iter().map(message).collect()
}

fn message(block: Block) -> Result<Message, PromptError> {
    if block.artifact_type == ArtifactType::BinaryAttachment {
        return Err(PromptError { param: block.param, artifact_id: block.artifact_id });
    }
    Ok(match &block.source {
        Source::Bundle(_) | Source::Manifest => Message { role: Role::System, text: block.text },
        Source::Event(EventType::UserMessage) => Message { role: Role::User, text: block.text },
        Source::Event(EventType::AssistantMessage) => Message { role: Role::Assistant, text: block.text },
        Source::Event(other) => Message { role: Role::System, text: format!("[{other}]\n{}", block.text) },
    })
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Block")
            .field("source", &self.source)
            .field("artifact_id", &self.artifact_id)
            .field("text", &format_args!("[{} bytes]", self.text.len()))
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("role", &self.role)
            .field("text", &format_args!("[{} bytes]", self.text.len()))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(source: Source, text: &str) -> Block {
        Block {
            source,
            artifact_id: ArtifactId::with_suffix("1"),
            artifact_type: ArtifactType::Document,
            text: text.to_owned(),
            param: "session_id",
        }
    }

    #[test]
    fn every_source_becomes_the_message_of_its_row() {
        let compiled = compile(vec![
            block(Source::Bundle("tools".to_owned()), "tools"),
            block(Source::Manifest, "pinned"),
            block(Source::Event(EventType::UserMessage), "hi"),
            block(Source::Event(EventType::AssistantMessage), "hello"),
            block(Source::Event(EventType::ToolResult), "42"),
        ]);
        let expected = [
            (Role::System, "tools"),
            (Role::System, "pinned"),
            (Role::User, "hi"),
            (Role::Assistant, "hello"),
            (Role::System, "[tool_result]\n42"),
        ];
        let expected =
            expected.into_iter().map(|(role, text)| Message { role, text: text.to_owned() }).collect();
        assert_eq!(compiled, Ok(expected));
    }

    #[test]
    fn every_source_has_its_place_in_the_layout() {
        let event = Source::Event;
        let sources = [
            (Source::Bundle("tools".to_owned()), Place::Stable),
            (Source::Manifest, Place::Stable),
            (event(EventType::Checkpoint), Place::History),
            (event(EventType::Note), Place::History),
            (event(EventType::UserMessage), Place::User),
            (event(EventType::AssistantMessage), Place::History),
            (event(EventType::RetrievalResult), Place::Retrieval),
            (event(EventType::ToolResult), Place::ToolResult),
        ];
        let (sources, places): (Vec<_>, Vec<_>) = sources.into_iter().unzip();
        let blocks = sources.into_iter().map(|source| block(source, "")).collect();
        assert_eq!(Prompt { blocks, ..Prompt::default() }.places(), places);
    }

    #[test]
    fn binary_content_is_refused_with_the_field_that_led_to_it() {
        let mut binary = block(Source::Manifest, "AAEC");
        binary.artifact_type = ArtifactType::BinaryAttachment;
        let refused = compile(vec![binary]).unwrap_err();
        assert_eq!(refused.param, "session_id");
    }

    #[test]
    fn debug_output_never_holds_text() {
        let shown = format!("{:?}", block(Source::Manifest, "canary"));
        assert!(!shown.contains("canary"), "{shown}");
    }
}
