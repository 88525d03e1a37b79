//! Trees that would cost more than they are worth.

use keyblind_fix::{Fixer, Given, Outcome, Subject};
use keyblind_rules::RuleTable;

use crate::support::{failing, folder, request};

#[test]
fn of_many_instances_that_nothing_helps_only_some_are_tried() {
    let table = RuleTable::embedded().unwrap();
    let text = "resource \"aws_api_gateway_stage\" \"a\" {\n  count         = 200\n  deployment_id = \"d\"\n  rest_api_id   = \"r\"\n  stage_name    = \"s${count.index}\"\n}\n";
    let folder = folder(&[("main.tf", text)]);
    let rule = table.find("api-stage-without-waf").unwrap();
    let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::new());
    let mut disproofs = Vec::new();
    for (root, address) in failing(&table, folder.path(), rule) {
        let Outcome::Refused(refusal) = fixer.fix(&Subject { rule, root: &root, address: &address }) else {
            panic!("`{address}` can't be helped alone");
        };
        disproofs.push(refusal.disproofs);
    }
    assert_eq!(disproofs.len(), 200);
    // Each is told why; from some on it is what the ones before were told.
    assert!(disproofs.iter().all(|disproofs| !disproofs.is_empty()));
    assert!(disproofs[8..].windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn a_name_that_is_declared_a_thousand_times_is_no_trap() {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(&[("main.tf", &"resource \"aws_kms_key\" \"a\" {\n}\n".repeat(1_000))]);
    let rule = table.find("kms-key-never-rotated").unwrap();
    let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::new());
    // What helps one of them leaves the others as they are, and they have the same name: nothing is tried.
    let outcome = fixer.fix(&Subject { rule, root: "", address: "aws_kms_key.a" });
    let Outcome::Refused(refusal) = outcome else { panic!("{outcome:?}") };
    let details: Vec<&str> = refusal.disproofs.iter().map(|disproof| &*disproof.detail).collect();
    assert_eq!(details, ["`aws_kms_key.a` is declared 1000 times, and fails each time"]);
}

#[test]
fn what_is_declared_twice_is_mended_where_both_are_written() {
    let table = RuleTable::embedded().unwrap();
    let twice = "resource \"aws_kms_key\" \"a\" {\n  enable_key_rotation = var.rotates\n}\n".repeat(2);
    let folder = folder(&[("main.tf", &twice), ("variables.tf", "variable \"rotates\" {\n  default = false\n}\n")]);
    let rule = table.find("kms-key-never-rotated").unwrap();
    let mut fixer = Fixer::new(&table, &request(&table, folder.path()), Given::new());
    let outcome = fixer.fix(&Subject { rule, root: "", address: "aws_kms_key.a" });
    assert!(matches!(outcome, Outcome::Fixed(_)), "{outcome:?}");
}
