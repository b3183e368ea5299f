//! The generator, over OpenAPI documents.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zumik_laws::document(input));
