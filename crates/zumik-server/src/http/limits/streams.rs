//! Streams of a key at a time.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;

use parking_lot::Mutex;
use zumik_types::KeyId;

/// How many streams each key has open.
pub(super) struct Streams {
    most: u32,
    open: Arc<Mutex<HashMap<KeyId, u32>>>,
}

/// One stream, counted until this is dropped.
#[derive(Debug)]
pub(crate) struct OpenStream {
    key: KeyId,
    open: Arc<Mutex<HashMap<KeyId, u32>>>,
}

impl Streams {
    pub(super) fn new(most: NonZeroU32) -> Self {
        Self { most: most.get(), open: Arc::default() }
    }

    /// One more stream of a key, unless it has as many as it may.
    pub(super) fn open(&self, key: &KeyId) -> Option<OpenStream> {
        let mut open = self.open.lock();
        let count = open.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        Some(OpenStream { key: key.clone(), open: Arc::clone(&self.open) })
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_ends_makes_room_for_another() {
        let streams = Streams::new(NonZeroU32::new(2).unwrap());
        let (one, two) = (KeyId::with_suffix("1"), KeyId::with_suffix("2"));
        let first = streams.open(&one).unwrap();
        let second = streams.open(&one).unwrap();
        assert!(streams.open(&one).is_none());
        let other = streams.open(&two).unwrap();
        drop(first);
        assert!(streams.open(&one).is_some());
        drop((second, other));
        assert!(streams.open.lock().is_empty());
    }
}
