//! From chunks to a completion.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::calls::Calls;
use super::join::{join, overwrite};
use crate::{
    ChatChoice, ChatChunkChoice, ChatCompletion, ChatCompletionChunk, ChatCompletionMessage, ChatLogprobs,
    ChatRole, ChatTokenLogprob, Extra, ObjectType,
};

/// Makes a whole completion of the chunks of a stream, while they are shown.
///
/// Text, refusals and logprobs are joined for each choice, tool calls for each index; role, finish reason and usage are
/// those that came last; id and model are the first that are not empty. Of members that this version does not know, text
/// inside of a delta is joined, and everything else is what came last.
///
/// ```
/// # fn example(chunks: Vec<zumik_types::ChatCompletionChunk>) {
/// use zumik_types::ChatAccumulator;
///
/// let mut whole = ChatAccumulator::new();
/// for chunk in chunks {
///     print!("{}", chunk.text().unwrap_or_default());
///     whole.push(&chunk);
/// }
/// let completion = whole.finish();
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct ChatAccumulator {
    /// The completion, still without its choices.
    completion: Option<ChatCompletion>,
    /// Each choice with its tool calls, by its index.
    choices: BTreeMap<u64, (ChatChoice, Calls)>,
}

impl ChatAccumulator {
    /// Before the first chunk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next chunk.
    pub fn push(&mut self, chunk: &ChatCompletionChunk) {
        let Self { completion, choices } = self;
        let completion = completion.get_or_insert_with(|| begin(chunk));
        name(completion, chunk);
        last(&mut completion.usage, &chunk.usage);
        last(&mut completion.service_tier, &chunk.service_tier);
        last(&mut completion.system_fingerprint, &chunk.system_fingerprint);
        overwrite(&mut completion.extra, &chunk.extra);
        for piece in &chunk.choices {
            let begun = || (choice(piece.index), Calls::default());
            let (choice, calls) = choices.entry(piece.index).or_insert_with(begun);
            push(choice, calls, piece);
        }
    }

    /// The text of the first choice so far.
    pub fn text(&self) -> &str {
        let first = self.choices.first_key_value();
        first.and_then(|(_, (choice, _))| choice.message.content.as_deref()).unwrap_or_default()
    }

    /// The completion. `None` when there was no chunk.
    pub fn finish(self) -> Option<ChatCompletion> {
        let mut completion = self.completion?;
        completion.choices =
            self.choices.into_values().map(|(choice, calls)| finish(choice, calls)).collect();
        Some(completion)
    }
}

impl<'a> Extend<&'a ChatCompletionChunk> for ChatAccumulator {
    fn extend<I: IntoIterator<Item = &'a ChatCompletionChunk>>(&mut self, chunks: I) {
        chunks.into_iter().for_each(|chunk| self.push(chunk));
    }
}

fn begin(chunk: &ChatCompletionChunk) -> ChatCompletion {
    ChatCompletion {
        id: chunk.id.clone(),
        object: ObjectType::ChatCompletion,
        created: chunk.created,
        model: chunk.model.clone(),
        choices: Vec::new(),
        usage: None,
        service_tier: None,
        system_fingerprint: None,
        extra: Extra::new(),
    }
}

/// Some services say who answers only after a first chunk about the question.
fn name(completion: &mut ChatCompletion, chunk: &ChatCompletionChunk) {
    if completion.id.as_str().is_empty() {
        completion.id = chunk.id.clone();
        completion.created = completion.created.max(chunk.created);
    }
    if completion.model.is_empty() {
        completion.model.clone_from(&chunk.model);
    }
}

fn choice(index: u64) -> ChatChoice {
    ChatChoice {
        index,
        message: ChatCompletionMessage {
            role: ChatRole::Assistant,
            content: None,
            refusal: None,
            tool_calls: None,
            annotations: None,
            audio: None,
            extra: Extra::new(),
        },
        finish_reason: None,
        logprobs: None,
        extra: Extra::new(),
    }
}

fn push(choice: &mut ChatChoice, calls: &mut Calls, piece: &ChatChunkChoice) {
    let (message, delta) = (&mut choice.message, &piece.delta);
    if let Some(role) = &delta.role {
        message.role = role.clone();
    }
    append(&mut message.content, delta.content.as_deref());
    append(&mut message.refusal, delta.refusal.as_deref());
    delta.tool_calls.iter().flatten().for_each(|call| calls.push(call));
    join(&mut message.extra, &delta.extra);
    last(&mut choice.finish_reason, &piece.finish_reason);
    if let Some(piece) = &piece.logprobs {
        push_logprobs(&mut choice.logprobs, piece);
    }
    overwrite(&mut choice.extra, &piece.extra);
}

fn finish(mut choice: ChatChoice, calls: Calls) -> ChatChoice {
    let message = &mut choice.message;
    settle(&mut message.annotations, &mut message.extra, "annotations");
    settle(&mut message.audio, &mut message.extra, "audio");
    message.tool_calls = calls.finish();
    // An answer that only calls tools has no text, but its stream may begin with an empty one.
    if message.tool_calls.is_some() {
        message.content.take_if(|text| text.is_empty());
    }
    choice
}

fn push_logprobs(whole: &mut Option<ChatLogprobs>, piece: &ChatLogprobs) {
    let empty = || ChatLogprobs { content: None, refusal: None, extra: Extra::new() };
    let whole = whole.get_or_insert_with(empty);
    let add = |whole: &mut Option<Vec<ChatTokenLogprob>>, piece: &Option<Vec<_>>| {
        if let Some(piece) = piece {
            whole.get_or_insert_default().extend_from_slice(piece);
        }
    };
    add(&mut whole.content, &piece.content);
    add(&mut whole.refusal, &piece.refusal);
    join(&mut whole.extra, &piece.extra);
}

fn append(whole: &mut Option<String>, piece: Option<&str>) {
    if let Some(piece) = piece {
        whole.get_or_insert_default().push_str(piece);
    }
}

/// Gives a message the member that only its pieces have no field for.
fn settle<T: DeserializeOwned>(member: &mut Option<T>, extra: &mut Extra, name: &str) {
    if let Some(value) = extra.get(name)
        && let Ok(value) = Option::deserialize(value)
    {
        *member = value;
        extra.shift_remove(name);
    }
}

fn last<T: Clone>(whole: &mut Option<T>, piece: &Option<T>) {
    if piece.is_some() {
        whole.clone_from(piece);
    }
}
