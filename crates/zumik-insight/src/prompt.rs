//! A prompt as the linter reads it: ordered blocks with a role and, for Zumik blocks, a kind.

use serde_json::Value;

use crate::Rank;

/// A prompt of at least one block.
///
/// It is read from an OpenAI envelope `{"messages": […]}`, from a bare array of `{role, content}`, or from Zumik blocks,
/// which are the same with an optional `kind`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    blocks: Vec<Block>,
}

/// One block of a prompt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    role: String,
    kind: Option<String>,
    text: String,
}

/// Why a JSON value is not a prompt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PromptError {
    /// It is neither an object with an array `messages` nor an array.
    #[error("a prompt is an object with an array `messages`, or an array of messages")]
    NotAPrompt,
    /// It has no message.
    #[error("the prompt has no message")]
    Empty,
    /// A message is not what it should be.
    #[error("message {index}: {problem}")]
    Message {
        /// Its position, from 0.
        index: usize,
        /// What is wrong with it.
        problem: &'static str,
    },
}

impl Block {
    /// A block without a kind. [`Prompt::from_json`] reads those that have one.
    pub fn new(role: impl Into<String>, text: impl Into<String>) -> Self {
        Self { role: role.into(), kind: None, text: text.into() }
    }

    /// Who speaks: `system`, `developer`, `user`, `assistant`, `tool`, or the role of a bundle item.
    pub fn role(&self) -> &str {
        &self.role
    }

    /// What the block is, if it says so: an artifact type such as `document`, or the role of a bundle item such as
    /// `tools`. A kind that is known decides over the role.
    pub fn kind(&self) -> Option<&str> {
        self.kind.as_deref()
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    fn from_json(message: &Value) -> Result<Self, &'static str> {
        let message = message.as_object().ok_or("it is not an object")?;
        let role = message.get("role").and_then(Value::as_str).ok_or("`role` is not a string")?;
        let kind = match message.get("kind") {
            None | Some(Value::Null) => None,
            Some(Value::String(kind)) => Some(kind.clone()),
            Some(_) => return Err("`kind` is not a string"),
        };
        let mut block = Self { role: role.to_owned(), kind, text: String::new() };
        block.text = match message.get("content") {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(definition) if block.place() == Place::Fixed(Rank::Tools) => definition.to_string(),
            Some(definition) if block.place() == Place::Fixed(Rank::ResponseSchema) => definition.to_string(),
            Some(Value::Array(parts)) => text_of_parts(parts),
            Some(_) => return Err("`content` is neither a string nor an array of parts"),
        };
        Ok(block)
    }

    fn place(&self) -> Place {
        self.kind
            .as_deref()
            .and_then(place)
            .or_else(|| place(&self.role))
            .unwrap_or(Place::Fixed(Rank::History))
    }
}

/// The texts of the parts that are text; images and files have none.
fn text_of_parts(parts: &[Value]) -> String {
    let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
    texts.join("\n")
}

/// Where a block belongs: fixed, or, for what users and tools say, dependent on whether something follows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Fixed(Rank),
    User,
    Tool,
}

/// The place of a role or kind: the roles of chat messages and bundle items, artifact types and event types.
fn place(word: &str) -> Option<Place> {
    Some(match word {
        "system" => Place::Fixed(Rank::SystemPolicy),
        "developer" => Place::Fixed(Rank::DeveloperPolicy),
        "tools" | "tool_bundle_source" => Place::Fixed(Rank::Tools),
        "schema" | "response_schema" => Place::Fixed(Rank::ResponseSchema),
        "context" | "document" | "text_context" => Place::Fixed(Rank::Context),
        "checkpoint" | "summary" | "compaction_summary" => Place::Fixed(Rank::Checkpoint),
        "assistant" | "assistant_message" | "history" => Place::Fixed(Rank::History),
        "retrieval" | "retrieval_chunk" | "retrieval_result" => Place::Fixed(Rank::Retrieval),
        "user" | "user_message" => Place::User,
        "tool" | "function" | "tool_result" => Place::Tool,
        _ => return None,
    })
}

impl Prompt {
    /// A prompt of these blocks, in this order.
    ///
    /// # Errors
    ///
    /// No block at all.
    pub fn new(blocks: impl IntoIterator<Item = Block>) -> Result<Self, PromptError> {
        let blocks: Vec<Block> = blocks.into_iter().collect();
        if blocks.is_empty() { Err(PromptError::Empty) } else { Ok(Self { blocks }) }
    }

    /// Reads a prompt in one of its three forms.
    ///
    /// Content is a string, an array of parts (of which the texts count), or absent. Of tools and response schemas it
    /// may be any JSON.
    ///
    /// # Errors
    ///
    /// A value that is not a prompt, and the first message that is not one.
    pub fn from_json(value: &Value) -> Result<Self, PromptError> {
        let messages = match value {
            Value::Object(envelope) => envelope.get("messages"),
            messages => Some(messages),
        };
        let messages = messages.and_then(Value::as_array).ok_or(PromptError::NotAPrompt)?;
        let blocks = messages.iter().enumerate().map(|(index, message)| {
            Block::from_json(message).map_err(|problem| PromptError::Message { index, problem })
        });
        Self::new(blocks.collect::<Result<Vec<_>, _>>()?)
    }

    /// The blocks, in order.
    pub fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// The rank of every block. Only the last word of the user and the last answer of a tool belong to the latest turn;
    /// earlier ones are history, and so is a block whose role and kind are both unknown.
    pub fn ranks(&self) -> Vec<Rank> {
        let places: Vec<Place> = self.blocks.iter().map(Block::place).collect();
        let last = |place| places.iter().rposition(|&other| other == place);
        let (last_user, last_tool) = (last(Place::User), last(Place::Tool));
        let rank = |(index, place): (usize, &Place)| match place {
            Place::Fixed(rank) => *rank,
            Place::User if Some(index) == last_user => Rank::LatestUserInput,
            Place::Tool if Some(index) == last_tool => Rank::LatestToolResult,
            Place::User | Place::Tool => Rank::History,
        };
        places.iter().enumerate().map(rank).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ranks(value: Value) -> Vec<u8> {
        Prompt::from_json(&value).unwrap().ranks().into_iter().map(Rank::number).collect()
    }

    #[test]
    fn the_three_forms_of_a_prompt_are_read_alike() {
        let messages =
            json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "Why?" }]);
        let bare = Prompt::from_json(&messages).unwrap();
        assert_eq!(Prompt::from_json(&json!({ "model": "auto", "messages": messages })).unwrap(), bare);
        assert_eq!(
            Prompt::new([Block::new("system", "Be brief."), Block::new("user", "Why?")]).unwrap(),
            bare
        );
    }

    #[test]
    fn roles_give_the_ranks_of_the_contract() {
        let conversation = json!([
            { "role": "system", "content": "s" },
            { "role": "developer", "content": "d" },
            { "role": "user", "content": "first" },
            { "role": "assistant", "content": null, "tool_calls": [] },
            { "role": "tool", "content": "first" },
            { "role": "tool", "content": "last" },
            { "role": "assistant", "content": "a" },
            { "role": "user", "content": "last" }
        ]);
        assert_eq!(ranks(conversation), [1, 2, 7, 7, 7, 10, 7, 9]);
    }

    #[test]
    fn a_known_kind_decides_over_the_role_and_an_unknown_one_does_not() {
        let blocks = json!([
            { "role": "system", "kind": "tools", "content": [{ "type": "function", "name": "grep" }] },
            { "role": "system", "kind": "response_schema", "content": { "type": "object" } },
            { "role": "system", "kind": "document", "content": "d" },
            { "role": "system", "kind": "checkpoint", "content": "c" },
            { "role": "user", "kind": "user_message", "content": "u" },
            { "role": "system", "kind": "tool_result", "content": "t" },
            { "role": "user", "kind": "retrieval_chunk", "content": "r" },
            { "role": "developer", "kind": "policy", "content": "p" },
            { "role": "narrator", "kind": "mood", "content": "m" }
        ]);
        assert_eq!(ranks(blocks), [3, 4, 5, 6, 9, 10, 8, 2, 7]);
    }

    #[test]
    fn content_is_text_parts_or_the_definition_of_tools() {
        let prompt = Prompt::from_json(&json!([
            { "role": "user", "content": [
                { "type": "text", "text": "look:" },
                { "type": "image_url", "image_url": { "url": "data:," } },
                { "type": "text", "text": "why?" }
            ] },
            { "role": "system", "kind": "tools", "content": [{ "name": "grep" }] },
            { "role": "assistant" }
        ]));
        let texts: Vec<_> = prompt.unwrap().blocks().iter().map(|block| block.text().to_owned()).collect();
        assert_eq!(texts, ["look:\nwhy?", r#"[{"name":"grep"}]"#, ""]);
    }

    #[test]
    fn what_is_not_a_prompt_is_refused_with_the_place() {
        let refused = |value: Value| Prompt::from_json(&value).unwrap_err().to_string();
        for value in [json!(null), json!("text"), json!({}), json!({ "messages": {} })] {
            assert_eq!(
                refused(value),
                "a prompt is an object with an array `messages`, or an array of messages"
            );
        }
        assert_eq!(refused(json!({ "messages": [] })), "the prompt has no message");
        let good = json!({ "role": "user", "content": "x" });
        assert_eq!(refused(json!([good, "x"])), "message 1: it is not an object");
        assert_eq!(refused(json!([good, { "content": "x" }])), "message 1: `role` is not a string");
        assert_eq!(refused(json!([{ "role": "user", "kind": 1 }])), "message 0: `kind` is not a string");
        assert_eq!(
            refused(json!([{ "role": "user", "content": 1 }])),
            "message 0: `content` is neither a string nor an array of parts"
        );
    }
}
