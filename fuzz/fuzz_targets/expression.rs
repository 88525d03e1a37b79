//! Any text as an HCL expression and as a bare template.
#![no_main]

#[allow(dead_code, reason = "the tests' checks, of which each target uses some")]
#[path = "../../crates/syntax/tests/syntax/walk.rs"]
mod walk;

libfuzzer_sys::fuzz_target!(|text: &str| walk::check_expression_and_template(text));
