//! The OpenAPI document as it stands in the file.
//!
//! `oas3` says whether the file is an OpenAPI 3.1 document, so that other people's tools can read it too. It drops the
//! keywords that it does not know and the members beside a `$ref`, so the generator reads the raw tree: each member is
//! either used or an error.

mod node;
mod raw;

pub(crate) use node::{Fields, Node};
pub(crate) use raw::Raw;

use super::error::{Result, SpecError};

/// A document that `oas3` accepts.
pub(crate) struct Document {
    root: Raw,
}

impl Document {
    /// Reads YAML.
    pub(crate) fn parse(yaml: &str) -> Result<Self> {
        let root = yaml_serde::from_str(yaml)
            .map_err(|error| SpecError::new("", format!("not YAML: {error}"), "fix the syntax"))?;
        if let Err(error) = oas3::from_yaml(yaml) {
            let hint = "https://spec.openapis.org/oas/v3.1.1 says what may stand where";
            return Err(SpecError::new("", format!("not an OpenAPI 3.1 document: {error}"), hint));
        }
        Ok(Self { root })
    }

    /// The whole document.
    pub(crate) fn root(&self) -> Node<'_> {
        Node::new(&self.root, String::new())
    }

    /// The place that a `$ref` names, and the name of the component there.
    pub(crate) fn resolve<'d>(&'d self, section: &str, reference: &Node<'_>) -> Result<(&'d str, Node<'d>)> {
        let text = reference.text()?;
        let prefix = format!("#/components/{section}/");
        let missing = || reference.error(format!("nothing at {text}"), "define it, or correct the name");
        let Some(wanted) = text.strip_prefix(&prefix) else {
            let problem = format!("{text} is no reference into {prefix}");
            return Err(
                reference.error(problem, "only components of this file, of the kind that is wanted here")
            );
        };
        let components = self.root.get("components").and_then(|components| components.get(section));
        let (name, raw) = components.and_then(|section| section.entry(wanted)).ok_or_else(missing)?;
        Ok((name, Node::new(raw, format!("/components/{section}/{name}"))))
    }

    /// The place that a `$ref` names, where no other `$ref` may stand: several of them could lead in a ring.
    pub(crate) fn target<'d>(&'d self, section: &str, reference: &Node<'_>) -> Result<(&'d str, Node<'d>)> {
        let (name, target) = self.resolve(section, reference)?;
        if target.raw().get("$ref").is_some() {
            let problem = format!("a reference to {name}, which is a reference itself");
            return Err(reference.error(problem, "refer to what that one leads to"));
        }
        Ok((name, target))
    }
}
