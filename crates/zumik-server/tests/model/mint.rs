//! The same ids for every store, however often each of them asks.

use std::collections::HashMap;
use std::sync::Mutex;

use chrono::{DateTime, Utc};
use ulid::Ulid;
use zumik_server::mint::Mint;

/// Ids by the command that asks and how many it asked for before. Stores differ in what they mint for
/// requests that are refused; that must not shift the ids of later ones.
///
/// Bytes are those of the command, too, and repeat by design: keys and nonces made of them protect nothing.
#[derive(Debug, Default)]
pub(crate) struct StepMint(Mutex<Step>);

#[derive(Debug, Default)]
struct Step {
    number: usize,
    ids: u128,
    /// How often bytes were asked for, by their number.
    fills: HashMap<usize, u8>,
}

impl StepMint {
    /// Begins a command.
    pub(crate) fn begin(&self, number: usize) {
        *self.0.lock().unwrap() = Step { number, ..Step::default() };
    }
}

impl Mint for StepMint {
    fn ulid(&self, now: DateTime<Utc>) -> Ulid {
        let mut step = self.0.lock().unwrap();
        step.ids += 1;
        let millis = now.timestamp_millis().unsigned_abs();
        Ulid::from_parts(millis, ((step.number as u128) << 32) | step.ids)
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut step = self.0.lock().unwrap();
        let times = step.fills.entry(bytes.len()).or_default();
        // The durable stores also make keys for contents, of the length of a seed: seeds are all alike.
        *times += u8::from(bytes.len() < 32);
        let times = *times;
        bytes.fill(times);
        for (byte, number) in bytes.iter_mut().zip(step.number.to_le_bytes()).take(4) {
            *byte = number;
        }
    }
}
