//! Proposals for tests.

use keyblind_fix::proof::{Check, Claim, Proof, Stated};
use keyblind_intent::{Bulk, Digest, Foreign};
use keyblind_rule_language::Severity;

use crate::commands::fix::proposal::{Proposal, ProposedFile, ProposedFix, ProposedRule};

/// Fixes of two rules, of which the second is a team's own, in files of these paths.
pub(super) fn proposal(paths: &[&str], fixes: Vec<ProposedFix>) -> Proposal {
    let rule = |id: &str, severity| ProposedRule {
        id: id.parse().expect("a rule's id"),
        severity,
        title: Foreign::new("A title with <img src=x> and @octocat"),
        attack: Foreign::new("Somebody **closes #1**, see https://example.com."),
        remedy: Foreign::new("Set it."),
    };
    let file = |path: &&str| ProposedFile { path: path.parse().expect("a path"), before: Digest::of(b"before"), after: Bulk::of(b"after") };
    Proposal {
        files: paths.iter().map(file).collect(),
        rules: vec![rule("database-publicly-accessible", Severity::High), rule("team-rule", Severity::Low)],
        fixes,
        gone: 0,
        left: 0,
        is_incomplete: false,
    }
}

/// A fix of a rule in these files, for whose proof these roots were judged.
pub(super) fn fix(rule: usize, files: &[usize], roots: &[&str]) -> ProposedFix {
    let id = ["database-publicly-accessible", "team-rule"][rule];
    let address = format!("aws_db_instance.a{}", files[0]);
    ProposedFix {
        rule,
        address: Foreign::new(&address),
        place: Foreign::new("a/main.tf:3"),
        fingerprint: Foreign::new(&format!("{rule}-{files:?}")),
        effects: Vec::new(),
        here: vec![Foreign::new("`publicly_accessible` is true, expected false.")],
        check: Foreign::new("To see for yourself, read `publicly_accessible` at a/main.tf:3."),
        files: files.to_vec(),
        proof: Proof {
            claim: Claim { rule: id.to_owned(), root: roots[0].to_owned(), address: address.clone() },
            stated: vec![Stated {
                file: "a/main.tf".to_owned(),
                type_key: "aws_db_instance".to_owned(),
                name: "a".to_owned(),
                path: "publicly_accessible".to_owned(),
            }],
            proposed: false,
            checks: Check::ALL.to_vec(),
            roots: roots.iter().map(|&root| root.to_owned()).collect(),
            assumed: Vec::new(),
        },
    }
}
