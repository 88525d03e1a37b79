//! What must not compile: every way in which a secret could get into a text, a record, a copy or an assertion.

#[test]
fn secrets_cannot_be_printed_copied_compared_or_written() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
