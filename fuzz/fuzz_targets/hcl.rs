//! Any text as an HCL file: nothing panics, and every byte is read or told as lost.
#![no_main]

#[allow(dead_code, reason = "the tests' checks, of which each target uses some")]
#[path = "../../crates/syntax/tests/syntax/walk.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|text: &str| walk::check_file(text));
