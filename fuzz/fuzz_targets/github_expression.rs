//! Any text as a text with expressions of GitHub Actions, and as one of them: nothing panics, and every range lies in the text.
#![no_main]

#[allow(dead_code, reason = "the tests' checks, of which each target uses some")]
#[path = "../../crates/syntax/tests/syntax/invariants.rs"]
mod invariants;

libfuzzer_sys::fuzz_target!(|text: &str| invariants::check_github_expression(text));
