//! All examples of all rules that are built in.

mod harness;

use std::path::Path;

use keyblind_rules::{RuleTable, read_folder};

#[test]
fn every_rule_file_is_sound() {
    let found = read_folder(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules"));
    let errors: Vec<String> = found.errors.iter().map(|error| format!("rules/{error}")).collect();
    assert!(errors.is_empty(), "{} faults:\n{}", errors.len(), errors.join("\n"));
}

#[test]
fn bad_examples_fail_and_good_ones_pass() {
    let table = RuleTable::embedded().expect("the table that is built in");
    let faults: Vec<String> = table.iter().flat_map(|(rule, _)| harness::faults(&table, rule)).collect();
    assert!(faults.is_empty(), "{} faults in the examples of {} rules:\n{}", faults.len(), table.len(), faults.join("\n"));
}
