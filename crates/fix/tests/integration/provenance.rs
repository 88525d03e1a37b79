//! Where the words of fixes come from.

use std::collections::BTreeSet;

use keyblind_fix::Outcome;
use keyblind_resource::Dialect;
use keyblind_rules::{RuleTable, dialect_of};

use crate::support::{fix_all, folder};

/// Facts that fixes are made with.
const FACTS: [&str; 2] = [include_str!("../../src/actions.tsv"), include_str!("../../src/demands.tsv")];
/// What would take data away, or run something.
const RUNS: [&str; 5] = ["local-exec", "remote-exec", "\"external\"", "\"http\"", "curl "];

/// The hosts that a text names: by an address, or by a name that looks like one.
fn places(text: &str) -> BTreeSet<&str> {
    let words = text.split(|character: char| character.is_whitespace() || "\"'`,;(){}[]<>".contains(character));
    let host = |word: &str| {
        let (has_scheme, rest) = word.split_once("://").map_or((false, word), |(_, rest)| (true, rest));
        let length = rest.find(['/', ':', '?', '#']).unwrap_or(rest.len());
        let host = &rest[..length];
        let looks_so =
            host.parse::<std::net::IpAddr>().is_ok() || [".com", ".org", ".net", ".io"].iter().any(|ending| host.ends_with(ending));
        (has_scheme || looks_so).then_some((word.len() - rest.len(), length))
    };
    words.filter_map(|word| host(word).map(|(start, length)| &word[start..start + length])).collect()
}

#[test]
fn no_fix_names_a_place_that_neither_the_file_nor_the_rule_names() {
    let table = RuleTable::embedded().unwrap();
    let mut judged = 0;
    for (number, (rule, meta)) in table.iter().enumerate() {
        let docs = table.docs(rule);
        let all: Vec<&str> = docs.examples.iter().flat_map(|set| set.bad.iter().chain(&set.good)).map(|text| &**text).collect();
        let known: BTreeSet<&str> = all.iter().copied().chain(FACTS).flat_map(places).collect();
        for set in &docs.examples {
            let path = match dialect_of(set.language) {
                Dialect::Terraform => "main.tf",
                Dialect::Dockerfile => "Dockerfile",
                Dialect::GithubActions => ".github/workflows/workflow.yml",
                _ => "resources.yaml",
            };
            // Some of the rules are enough for a test that runs each time.
            let Some(bad) = set.bad.first().filter(|_| number % 11 == 0) else { continue };
            let folder = folder(&[(path, bad)]);
            for (address, outcome) in fix_all(&table, folder.path(), rule).1 {
                let Outcome::Fixed(fix) = outcome else { continue };
                for text in fix.edits.iter().flat_map(|file| &file.edits).map(|edit| &edit.text) {
                    let new: Vec<&str> = places(text).difference(&known).copied().collect();
                    assert!(new.is_empty(), "{} {address}: {new:?} in {text}", meta.id);
                    let runs = RUNS.iter().find(|word| text.contains(**word) && !all.iter().any(|example| example.contains(**word)));
                    assert_eq!(runs, None, "{} {address}: {text}", meta.id);
                }
                judged += 1;
            }
        }
    }
    assert!(judged >= 80, "only {judged} fixes");
}
