//! Receipts and reports, and changes of signed ones.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| zumik_laws::receipt(input));
