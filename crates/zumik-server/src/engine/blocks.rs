//! A prompt as blocks: what reuse is measured by.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::call::{Api, Sent};
use super::layout::{Compiled, eligible, stable};
use super::members::Members;
use crate::domain::Place;

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
pub(crate) fn blocks(sent: &Sent) -> Vec<Block<'_>> {
    let Ok(members) = Members::of(&sent.body) else { return Vec::new() };
    let (before, items) = match sent.api {
        Api::ChatCompletions => (["tools", "response_format", "functions"], "messages"),
        Api::Responses => (["tools", "text", "instructions"], "input"),
        Api::Embeddings => return Vec::new(),
    };
    let stable = |raw| Block { raw, eligible: true, stable: true, text: Text::Json };
    let mut blocks: Vec<_> = before.iter().filter_map(|name| members.value(name)).map(stable).collect();
    let Some(items) = members.get(items) else { return blocks };
    match serde_json::from_slice::<Vec<&RawValue>>(items) {
        Ok(items) => blocks.extend(messages(&items, &sent.compiled)),
        // A bare prompt: one user message.
        Err(_) => blocks.push(Block { raw: items, eligible: false, stable: false, text: Text::Json }),
    }
    blocks
}

fn messages<'a>(items: &[&'a RawValue], compiled: &Compiled) -> Vec<Block<'a>> {
    let read: Vec<Option<Item<'a>>> = items.iter().map(|raw| serde_json::from_str(raw.get()).ok()).collect();
    let places: Vec<Place> = read
        .iter()
        .enumerate()
        .map(|(index, item)| compiled.place(index).unwrap_or_else(|| place(item.as_ref())))
        .collect();
    let stable = stable(&places);
    items
        .iter()
        .zip(read)
        .zip(eligible(&places))
        .enumerate()
        .map(|(index, ((raw, item), eligible))| Block {
            raw: raw.get().as_bytes(),
            eligible,
            stable: index < stable,
            text: match item.and_then(|item| item.content.or(item.output)) {
                Some(content) => Text::Content(content),
                None => Text::Json,
            },
        })
        .collect()
}

/// What a message of the caller's own is, as far as its role or type tells.
fn place(item: Option<&Item<'_>>) -> Place {
    let Some(Item { role, kind, .. }) = item else { return Place::History };
    match (role.as_deref(), kind.as_deref()) {
        (Some("system" | "developer"), _) => Place::Stable,
        (Some("user"), _) => Place::User,
        (Some("tool" | "function"), _) => Place::ToolResult,
        (_, Some(kind)) if kind.ends_with("_call_output") => Place::ToolResult,
        _ => Place::History,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(api: Api, body: &str) -> Vec<(String, bool, bool)> {
        read_behind(api, body, Compiled::default())
    }

    fn read_behind(api: Api, body: &str, compiled: Compiled) -> Vec<(String, bool, bool)> {
        let sent = Sent { api, body: body.to_owned().into(), compiled };
        let blocks = blocks(&sent);
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

    /// Roles cannot tell these apart, and neither can texts: a user may write what the compiler writes.
    #[test]
    fn what_the_compiler_wrote_is_what_it_says() {
        let body = r#"{"messages":[{"role":"system","content":"[retrieval_result]\nr"},{"role":"system","content":"[note]\nn"},
            {"role":"system","content":"[tool_result]\nt"},{"role":"system","content":"s"},{"role":"user","content":"u"}]}"#;
        let told = |compiled| {
            let read = read_behind(Api::ChatCompletions, body, compiled);
            read.into_iter().map(|(_, eligible, stable)| (eligible, stable)).collect::<Vec<_>>()
        };
        let (neither, stable) = ((false, false), (true, true));
        assert_eq!(
            told(Compiled::behind(0, [Place::Retrieval, Place::History, Place::ToolResult])),
            [neither, (true, false), neither, (true, false), neither]
        );
        assert_eq!(told(Compiled::default()), [stable, stable, stable, stable, neither]);
    }

    #[test]
    fn results_of_every_kind_of_tool_are_known() {
        for result in [
            r#"{"role":"tool"}"#,
            r#"{"role":"function"}"#,
            r#"{"type":"function_call_output"}"#,
            r#"{"type":"custom_tool_call_output"}"#,
        ] {
            let body = format!(r#"{{"input":[{result},{{"role":"assistant"}},{result}]}}"#);
            let eligible: Vec<_> =
                read(Api::Responses, &body).iter().map(|(_, eligible, _)| *eligible).collect();
            assert_eq!(eligible, [true, true, false], "{result}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_no_block() {
        for body in ["", "[]", "{}", r#"{"messages":null}"#] {
            assert!(read(Api::ChatCompletions, body).iter().all(|(text, ..)| text == "null"), "{body}");
        }
        assert!(read(Api::Embeddings, r#"{"input":"a"}"#).is_empty());
    }
}
