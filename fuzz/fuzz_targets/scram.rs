//! `scram` of `tests/fuzz` for libFuzzer; nothing else.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| whimbrel_fuzz::run("scram", input));
