//! A value of the document together with its place, and strict reading of objects.

use std::cell::RefCell;
use std::collections::BTreeSet;

use indexmap::IndexMap;

use super::Raw;
use crate::codegen::error::{Result, SpecError};

/// A value and its JSON pointer.
#[derive(Debug, Clone)]
pub(crate) struct Node<'d> {
    raw: &'d Raw,
    pointer: String,
}

impl<'d> Node<'d> {
    pub(crate) fn new(raw: &'d Raw, pointer: String) -> Self {
        Self { raw, pointer }
    }

    pub(crate) fn raw(&self) -> &'d Raw {
        self.raw
    }

    /// An error about this value.
    pub(crate) fn error(&self, problem: impl Into<String>, hint: impl Into<String>) -> SpecError {
        SpecError::new(&self.pointer, problem, hint)
    }

    fn expected(&self, wanted: &str) -> SpecError {
        self.error(format!("{} where {wanted} is expected", self.raw.kind()), format!("write {wanted}"))
    }

    pub(crate) fn text(&self) -> Result<&'d str> {
        match self.raw {
            Raw::String(text) => Ok(text),
            _ => Err(self.expected("a string")),
        }
    }

    pub(crate) fn boolean(&self) -> Result<bool> {
        match self.raw {
            Raw::Bool(value) => Ok(*value),
            _ => Err(self.expected("a boolean")),
        }
    }

    pub(crate) fn list(&self) -> Result<Vec<Node<'d>>> {
        match self.raw {
            Raw::List(items) => Ok(items
                .iter()
                .enumerate()
                .map(|(index, item)| Node::new(item, format!("{}/{index}", self.pointer)))
                .collect()),
            _ => Err(self.expected("a list")),
        }
    }

    /// A list of strings.
    pub(crate) fn texts(&self) -> Result<Vec<&'d str>> {
        self.list()?.iter().map(Node::text).collect()
    }

    /// The members, for objects whose names are free (properties, paths, components).
    pub(crate) fn entries(&self) -> Result<Vec<(&'d str, Node<'d>)>> {
        let members = self.members()?;
        Ok(members.iter().map(|(name, value)| (name.as_str(), self.child(name, value))).collect())
    }

    /// The members, for objects whose names are keywords.
    pub(crate) fn fields(&self) -> Result<Fields<'d>> {
        Ok(Fields { members: self.members()?, node: self.clone(), used: RefCell::default() })
    }

    fn members(&self) -> Result<&'d IndexMap<String, Raw>> {
        match self.raw {
            Raw::Map(members) => Ok(members),
            _ => Err(self.expected("an object")),
        }
    }

    fn child(&self, name: &str, value: &'d Raw) -> Node<'d> {
        let escaped = name.replace('~', "~0").replace('/', "~1");
        Node::new(value, format!("{}/{escaped}", self.pointer))
    }
}

/// An object whose names are keywords. It remembers which of them were asked for.
#[derive(Debug)]
pub(crate) struct Fields<'d> {
    node: Node<'d>,
    members: &'d IndexMap<String, Raw>,
    used: RefCell<BTreeSet<&'static str>>,
}

impl<'d> Fields<'d> {
    pub(crate) fn node(&self) -> &Node<'d> {
        &self.node
    }

    pub(crate) fn get(&self, name: &'static str) -> Option<Node<'d>> {
        self.used.borrow_mut().insert(name);
        self.members.get(name).map(|value| self.node.child(name, value))
    }

    pub(crate) fn has(&self, name: &'static str) -> bool {
        self.get(name).is_some()
    }

    pub(crate) fn require(&self, name: &'static str) -> Result<Node<'d>> {
        self.get(name).ok_or_else(|| self.node.error(format!("`{name}` is missing"), format!("add `{name}`")))
    }

    /// A boolean that is false when it is missing.
    pub(crate) fn flag(&self, name: &'static str) -> Result<bool> {
        self.get(name).map_or(Ok(false), |node| node.boolean())
    }

    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&'d str>> {
        self.get(name).map(|node| node.text()).transpose()
    }

    /// Fails when a member was never asked for: the generator does not know what it means here.
    pub(crate) fn finish(self) -> Result<()> {
        let used = self.used.into_inner();
        let Some((name, value)) = self.members.iter().find(|(name, _)| !used.contains(name.as_str())) else {
            return Ok(());
        };
        let known: Vec<_> = used.into_iter().collect();
        let hint = format!(
            "known here: {}; teach the generator a new keyword in xtask/src/codegen/lower",
            known.join(", ")
        );
        Err(self.node.child(name, value).error(format!("the generator does not know `{name}` here"), hint))
    }
}
