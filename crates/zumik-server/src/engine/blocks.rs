//! A prompt as blocks: what reuse is measured by.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::Api;
use super::members::Members;

/// One block of a prompt, as it stands in the body.
pub(crate) struct Block<'a> {
    /// Its text, member names and all. Equal blocks have equal texts.
    pub(crate) raw: &'a [u8],
    /// Whether it could be cached at all: it belongs to blocks 1 to 7 of the prompt layout, not to the latest turn.
    pub(crate) eligible: bool,
    /// Whether it belongs to the stable prefix: tools, schema and the instructions that everything begins with.
    pub(crate) stable: bool,
    /// What is counted of it.
    text: Text<'a>,
}

enum Text<'a> {
    /// JSON, counted as it stands.
    Json,
    Content(&'a RawValue),
}

impl<'a> Block<'a> {
    /// The text that the model is given, as near as can be told without the provider's template.
    pub(crate) fn text(&self) -> Cow<'a, str> {
        match self.text {
            Text::Json => String::from_utf8_lossy(self.raw),
            Text::Content(content) => match serde_json::from_str::<Content<'_>>(content.get()) {
                Ok(Content::Text(text)) => text,
                Ok(Content::Parts(parts)) => {
                    Cow::Owned(parts.into_iter().filter_map(|part| part.text).collect::<Vec<_>>().join("\n"))
                }
                Err(_) => Cow::Borrowed(""),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content<'a> {
    Text(#[serde(borrow)] Cow<'a, str>),
    #[serde(borrow)]
    Parts(Vec<Part<'a>>),
}

#[derive(Deserialize)]
struct Part<'a> {
    #[serde(borrow)]
    text: Option<Cow<'a, str>>,
}

/// The members of a message or input item that tell what it is.
#[derive(Deserialize)]
struct Item<'a> {
    #[serde(borrow)]
    role: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow)]
    content: Option<&'a RawValue>,
    #[serde(borrow)]
    output: Option<&'a RawValue>,
}

/// The blocks of a request, in the order in which providers lay them out: tools, the format of the answer, then
/// instructions and messages as they stand. What cannot be read makes no block, and an embedding has none.
pub(crate) fn blocks(api: Api, body: &[u8]) -> Vec<Block<'_>> {
    let Ok(members) = Members::of(body) else { return Vec::new() };
    let (before, items) = match api {
        Api::ChatCompletions => (["tools", "response_format", "functions"], "messages"),
        Api::Responses => (["tools", "text", "instructions"], "input"),
        Api::Embeddings => return Vec::new(),
    };
    let stable = |raw| Block { raw, eligible: true, stable: true, text: Text::Json };
    let mut blocks: Vec<_> = before.iter().filter_map(|name| members.value(name)).map(stable).collect();
    let Some(items) = members.get(items) else { return blocks };
    match serde_json::from_slice::<Vec<&RawValue>>(items) {
        Ok(items) => blocks.extend(messages(&items)),
        // A bare prompt: one user message.
        Err(_) => blocks.push(Block { raw: items, eligible: false, stable: false, text: Text::Json }),
    }
    blocks
}

fn messages<'a>(items: &[&'a RawValue]) -> Vec<Block<'a>> {
    let read: Vec<Option<Item<'a>>> = items.iter().map(|raw| serde_json::from_str(raw.get()).ok()).collect();
    let is = |item: &Option<Item<'_>>, role: &str, kind: &str| {
        item.as_ref()
            .is_some_and(|item| item.role.as_deref() == Some(role) || item.kind.as_deref() == Some(kind))
    };
    let latest = [
        read.iter().rposition(|item| is(item, "user", "")),
        read.iter().rposition(|item| is(item, "tool", "function_call_output")),
    ];
    let instructions =
        read.iter().take_while(|item| is(item, "system", "") || is(item, "developer", "")).count();
    items
        .iter()
        .zip(read)
        .enumerate()
        .map(|(index, (raw, item))| Block {
            raw: raw.get().as_bytes(),
            eligible: !latest.contains(&Some(index)),
            stable: index < instructions,
            text: match item.and_then(|item| item.content.or(item.output)) {
                Some(content) => Text::Content(content),
                None => Text::Json,
            },
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, body: &str) -> Vec<(String, bool, bool)> {
        let blocks = blocks(api, body.as_bytes());
        blocks.iter().map(|block| (block.text().into_owned(), block.eligible, block.stable)).collect()
    }

    #[test]
    fn only_the_latest_turn_of_a_chat_cannot_be_cached() {
        let body = r#"{"messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"a"},{"type":"image_url"},{"type":"text","text":"b"}]},
            {"role":"assistant","content":null,"tool_calls":[]},{"role":"tool","content":"t"},{"role":"user","content":"\u0063"}],"tools":[1]}"#;
        let block = |text: &str, eligible, stable| (text.to_owned(), eligible, stable);
        assert_eq!(
            read(Api::ChatCompletions, body),
            [
                block("[1]", true, true),
                block("s", true, true),
                block("a\nb", true, false),
                block(r#"{"role":"assistant","content":null,"tool_calls":[]}"#, true, false),
                block("t", false, false),
                block("c", false, false),
            ]
        );
    }

    #[test]
    fn a_response_has_its_instructions_first() {
        let items = r#"{"input":[{"role":"user","content":"a"},{"type":"function_call_output","output":"o"}],"instructions":"i"}"#;
        let found = read(Api::Responses, items);
        assert_eq!(found.iter().map(|(text, ..)| text.as_str()).collect::<Vec<_>>(), ["\"i\"", "a", "o"]);
        assert_eq!(found.iter().filter(|(_, eligible, _)| *eligible).count(), 1);
        assert_eq!(read(Api::Responses, r#"{"input":"hi"}"#), [("\"hi\"".to_owned(), false, false)]);
    }

    #[test]
    fn what_cannot_be_read_is_no_block() {
        for body in ["", "[]", "{}", r#"{"messages":null}"#] {
            assert!(read(Api::ChatCompletions, body).iter().all(|(text, ..)| text == "null"), "{body}");
        }
        assert!(read(Api::Embeddings, r#"{"input":"a"}"#).is_empty());
    }
}
