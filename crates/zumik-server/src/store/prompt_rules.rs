//! How long a prompt may be, the same for every store.

use super::{Result, StoreError};

/// Bytes that may stand before a request's own part: four times a request body. Of the blocks of a state each counts with
/// its text and 64 more, of earlier responses the items as JSON.
pub const MAX_PROMPT_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of the message around the text of a block. With them, also the number of blocks is limited.
const BLOCK_BYTES: usize = 64;

/// What a prompt may still take in.
#[derive(Debug)]
pub(super) struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(MAX_PROMPT_BYTES)
    }
}

impl Room {
    /// Takes in a block with a text of so many bytes, which `param` led to.
    pub(super) fn take(&mut self, text: usize, param: &'static str) -> Result<()> {
        self.0 = self.0.checked_sub(text.saturating_add(BLOCK_BYTES)).ok_or_else(|| {
            let problem = format!(
                "what it leads to is longer than the {MAX_PROMPT_BYTES} bytes that a prompt may have, \
                 {BLOCK_BYTES} for each block included"
            );
            StoreError::reference(param, problem)
        })?;
        Ok(())
    }
}

/// A prompt needs a content that is gone.
pub(super) fn deleted(param: &'static str, id: &str) -> StoreError {
    StoreError::reference(param, format!("the content of '{id}', which the prompt needs, has been deleted"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_byte_fits_and_blocks_without_text_are_limited_too() {
        let mut room = Room::default();
        room.take(MAX_PROMPT_BYTES - 3 * BLOCK_BYTES, "session_id").unwrap();
        room.take(BLOCK_BYTES, "session_id").unwrap();
        assert!(room.take(0, "session_id").is_err());

        let mut room = Room::default();
        for _ in 0..MAX_PROMPT_BYTES / BLOCK_BYTES {
            room.take(0, "session_id").unwrap();
        }
        assert!(room.take(0, "session_id").is_err());
        assert!(Room::default().take(usize::MAX, "session_id").is_err());
    }
}
