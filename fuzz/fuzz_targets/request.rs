//! Request bodies of every operation, through the whole server.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zumik_laws::request(input));
