//! Prompts before their contents are opened: which artifacts stand where, and how long they are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use zumik_types::{ArtifactId, ArtifactType};

use super::ids::PublicId as _;
use super::place;
use crate::domain::{Block, Source};
use crate::store::prompt_rules::{Room, deleted};
use crate::store::{Result, StoreError};

/// The blocks of a prompt, in order, none longer together than a prompt may be.
#[derive(Default)]
pub(in crate::store) struct Outline {
    room: Room,
    blocks: Vec<Planned>,
    /// By their rows.
    artifacts: HashMap<i64, Found>,
}

/// An artifact as it was found.
#[derive(Clone)]
pub(in crate::store) struct Measured {
    pub(in crate::store) key: [u8; 16],
    pub(in crate::store) artifact_type: ArtifactType,
    /// Nothing once it cannot be used any more.
    pub(in crate::store) content: Option<Content>,
}

/// Where a content lies, and the bytes of its text.
#[derive(Clone, Copy)]
pub(in crate::store) struct Content {
    pub(in crate::store) row: i64,
    pub(in crate::store) bytes: usize,
}

struct Planned {
    artifact: i64,
    source: Source,
    param: &'static str,
}

struct Found {
    measured: Measured,
    /// Blocks that are not made yet.
    uses: usize,
    /// Once it was opened, while there are such blocks.
    text: Option<String>,
}

impl Outline {
    /// How many blocks there are.
    pub(in crate::store) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Adds the artifact of a row as the next block. It is measured where this prompt has not met it before.
    ///
    /// # Errors
    /// [`StoreError::Reference`] of `param`: its content is gone, or there is no room for it.
    pub(in crate::store) fn push(
        &mut self,
        artifact: i64,
        source: Source,
        param: &'static str,
        measure: impl FnOnce() -> Result<Measured>,
    ) -> Result<()> {
        let found = match self.artifacts.entry(artifact) {
            Entry::Occupied(met) => met.into_mut(),
            Entry::Vacant(new) => new.insert(Found { measured: measure()?, uses: 0, text: None }),
        };
        let Measured { key, content, .. } = &found.measured;
        let content = content.ok_or_else(|| deleted(param, ArtifactId::from_key(*key).as_str()))?;
        self.room.take(content.bytes, param)?;
        found.uses += 1;
        self.blocks.push(Planned { artifact, source, param });
        Ok(())
    }

    /// Turns the order of the blocks from this one on.
    pub(in crate::store) fn reverse_from(&mut self, first: usize) {
        if let Some(blocks) = self.blocks.get_mut(first..) {
            blocks.reverse();
        }
    }

    /// The rows of all contents, each once.
    pub(in crate::store) fn contents(&self) -> Vec<i64> {
        let contents = self.artifacts.values().filter_map(|found| found.measured.content);
        contents.map(|content| content.row).collect()
    }

    /// Opens each content once. `open` is given its row and what it was sealed for.
    pub(in crate::store) fn open(
        self,
        mut open: impl FnMut(i64, &[u8]) -> Result<Vec<u8>>,
    ) -> Result<Vec<Block>> {
        let Self { blocks, mut artifacts, .. } = self;
        let block = |Planned { artifact, source, param }| {
            let missing = || StoreError::internal("an artifact is missing");
            let found = artifacts.get_mut(&artifact).ok_or_else(missing)?;
            let Measured { key, artifact_type, content } = &found.measured;
            let text = match found.text.take() {
                Some(text) => text,
                None => {
                    let text = open(content.ok_or_else(missing)?.row, &place("artifact", key))?;
                    String::from_utf8(text).map_err(StoreError::internal)?
                }
            };
            found.uses = found.uses.saturating_sub(1);
            if found.uses > 0 {
                found.text = Some(text.clone());
            }
            let (artifact_id, artifact_type) = (ArtifactId::from_key(*key), artifact_type.clone());
            Ok(Block { source, artifact_id, artifact_type, text, param })
        };
        blocks.into_iter().map(block).collect()
    }
}
