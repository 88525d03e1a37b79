//! Prints the JSON Schema of a rule file: `cargo run -p keyblind-rule-language --example rule-schema > docs/rule.schema.json`.

#[allow(clippy::print_stdout, reason = "a program for the terminal")]
fn main() {
    print!("{}", keyblind_rule_language::rule_schema());
}
