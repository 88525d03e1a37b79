//! Any text as a Dockerfile: nothing panics, and every range lies in the text.
#![no_main]

#[allow(dead_code, reason = "the tests' checks, of which each target uses some")]
#[path = "../../crates/syntax/tests/syntax/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::check_dockerfile(text));
