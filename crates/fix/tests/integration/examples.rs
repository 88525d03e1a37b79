//! Every rule's bad examples are fixed, or the rule is on the list of those that have no fix.

use std::collections::BTreeMap;

use keyblind_fix::Outcome;
use keyblind_rule_language::Language;
use keyblind_rules::RuleTable;

use crate::support::{fix_all, folder};

#[test]
fn bad_examples_become_good() {
    let table = RuleTable::embedded().unwrap();
    let only = std::env::var("RULE").ok();
    let mut refused: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut fixed = 0;
    for (rule, meta) in table.iter().filter(|(_, meta)| only.as_deref().is_none_or(|only| only.split(',').any(|only| only == &*meta.id))) {
        let docs = table.docs(rule);
        let Some(examples) = docs.examples.iter().find(|examples| examples.language == Language::Terraform) else { continue };
        let mut reasons = Vec::new();
        for bad in &examples.bad {
            let folder = folder(&[("main.tf", bad)]);
            let (fixer, outcomes) = fix_all(&table, folder.path(), rule);
            for (address, outcome) in outcomes {
                if let Outcome::Refused(refusal) = outcome {
                    let detail =
                        refusal.disproofs.iter().map(|disproof| format!("{:?}: {}", disproof.check, disproof.detail)).collect::<Vec<_>>();
                    reasons.push(format!("{} {address} {}", refusal.hindrance, detail.join(" / ")));
                }
            }
            if only.is_some() {
                eprintln!("--- {}\n{}", meta.id, fixer.text("main.tf").unwrap());
            }
        }
        if reasons.is_empty() {
            fixed += 1;
        } else {
            refused.insert(meta.id.to_string(), reasons);
        }
    }
    eprintln!("fixed {fixed}, refused {}", refused.len());
    assert!(only.is_some() || fixed * 100 >= 60 * (fixed + refused.len()), "too few rules have a fix");
    for (rule, reasons) in &refused {
        eprintln!("{rule}: {}", reasons.join(" || "));
    }
}
