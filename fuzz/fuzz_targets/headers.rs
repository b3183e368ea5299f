//! API keys, agent hints and the master key.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zumik_laws::headers(input));
