//! Answers of operations: the success, the errors, and their samples.

use super::Lowering;
use super::object::inferred;
use crate::codegen::document::Node;
use crate::codegen::error::Result;
use crate::codegen::ir::{Answer, ErrorAnswer, Sample, Type};
use crate::codegen::names;

/// The module of the error envelope.
const ERRORS: &str = "errors";

/// What the names of samples begin with that many operations share.
pub(crate) const SHARED: &str = "shared_";

/// What an operation can answer.
pub(super) struct Answers {
    pub(super) answer: Answer,
    /// What one event holds, if it can answer `text/event-stream` too.
    pub(super) event: Option<Type>,
    pub(super) errors: Vec<ErrorAnswer>,
    pub(super) samples: Vec<Sample>,
}

/// A stream and `x-streams` go together.
pub(super) fn check_stream(answers_stream: bool, streams: bool, node: &Node<'_>) -> Result<()> {
    if answers_stream == streams {
        return Ok(());
    }
    Err(node.error("`x-streams` and a text/event-stream answer go together", "add the one that is missing"))
}

/// The content of one status.
struct Content {
    description: String,
    success: Option<Answer>,
    event: Option<Type>,
    samples: Vec<Sample>,
}

impl<'d> Lowering<'d> {
    pub(super) fn answers(&mut self, node: &Node<'d>, id: &str) -> Result<Answers> {
        let mut success = None;
        let mut errors = Vec::new();
        let mut samples = Vec::new();
        for (status, answer) in node.entries()? {
            let is_error = matches!(status.as_bytes(), [b'4' | b'5', b'0'..=b'9', b'0'..=b'9']);
            let module = self.module.clone();
            if is_error {
                ERRORS.clone_into(&mut self.module);
            }
            let content = self.answer(&answer, &format!("{}_{status}", names::snake(id)))?;
            self.module = module;
            samples.extend(content.samples);
            if is_error {
                errors.push(ErrorAnswer { status: status.to_owned(), description: content.description });
            } else if status == "200" {
                let hint = "add application/json, or text/plain with `x-binary: true`";
                let found = content.success.ok_or_else(|| answer.error("a success without content", hint))?;
                success = Some((found, content.event));
            } else {
                return Err(answer.error(format!("an answer with status {status}"), "200, 4xx or 5xx"));
            }
        }
        let (answer, event) = success.ok_or_else(|| node.error("no answer 200", "add one"))?;
        Ok(Answers { answer, event, errors, samples })
    }

    fn answer(&mut self, node: &Node<'d>, sample: &str) -> Result<Content> {
        let fields = node.fields()?;
        if let Some(reference) = fields.get("$ref") {
            let (name, target) = self.document.target("responses", &reference)?;
            fields.finish()?;
            names::type_name(name, &target)?;
            return self.answer(&target, &format!("{SHARED}{}", names::snake(name)));
        }
        let mut found = Content {
            description: fields.require("description")?.text()?.to_owned(),
            success: None,
            event: None,
            samples: Vec::new(),
        };
        if let Some(headers) = fields.get("headers") {
            for (_, header) in headers.entries()? {
                self.header(&header)?;
            }
        }
        if let Some(content) = fields.get("content") {
            for (media_type, node) in content.entries()? {
                match media_type {
                    "application/json" => {
                        let (ty, samples) = self.json_content(&node, sample)?;
                        found.success = Some(Answer::Json(ty));
                        found.samples.extend(samples);
                    }
                    // The schema describes the data of one event, and so does each sample.
                    "text/event-stream" => {
                        let (event, samples) = self.json_content(&node, &format!("{sample}_event"))?;
                        found.event = Some(event);
                        found.samples.extend(samples);
                    }
                    "text/plain" => {
                        binary(&node)?;
                        found.success = Some(Answer::Bytes);
                    }
                    other => {
                        let hint = "application/json, text/event-stream, or text/plain with `x-binary: true`";
                        return Err(node.error(format!("an answer of media type {other}"), hint));
                    }
                }
            }
        }
        fields.finish()?;
        Ok(found)
    }

    fn header(&mut self, node: &Node<'d>) -> Result<()> {
        let fields = node.fields()?;
        if let Some(reference) = fields.get("$ref") {
            let (_, target) = self.document.target("headers", &reference)?;
            fields.finish()?;
            return self.header(&target);
        }
        fields.require("description")?;
        fields.flag("required")?;
        fields.get("example");
        inferred(&fields)?;
        self.schema(&fields.require("schema")?, "Header")?;
        fields.finish()
    }

    /// The type of a JSON content and its samples.
    pub(super) fn json_content(&mut self, node: &Node<'d>, sample: &str) -> Result<(Type, Vec<Sample>)> {
        let fields = node.fields()?;
        let schema = fields.require("schema")?;
        let ty = self.schema(&schema, &names::camel(sample))?.only_type(&schema)?;
        let mut samples = Vec::new();
        if let Some(examples) = fields.get("examples") {
            for (name, example) in examples.entries()? {
                let json = self.example(&example)?;
                let name = names::sample(sample, name, &example)?;
                if samples.iter().any(|other: &Sample| other.name == name) {
                    return Err(example.error(format!("two samples are called {name}"), "rename one"));
                }
                samples.push(Sample { name, ty: ty.clone(), json });
            }
        }
        fields.finish()?;
        Ok((ty, samples))
    }

    fn example(&self, node: &Node<'d>) -> Result<crate::codegen::document::Raw> {
        let fields = node.fields()?;
        if let Some(reference) = fields.get("$ref") {
            let (_, target) = self.document.target("examples", &reference)?;
            fields.finish()?;
            return self.example(&target);
        }
        for keyword in ["summary", "description"] {
            fields.text(keyword)?;
        }
        let value = fields.require("value")?.raw().clone();
        fields.finish()?;
        Ok(value)
    }
}

fn binary(node: &Node<'_>) -> Result<()> {
    let fields = node.fields()?;
    if !fields.flag("x-binary")? {
        return Err(node.error("a text answer", "add `x-binary: true` if these are the stored bytes"));
    }
    for keyword in ["schema", "examples", "example"] {
        fields.get(keyword);
    }
    fields.finish()
}
