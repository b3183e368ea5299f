//! Batch files: JSON lines.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zumik_laws::batch(input));
