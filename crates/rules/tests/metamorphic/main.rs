//! What doesn't change the meaning of a configuration doesn't change its verdicts.
//!
//! All examples of all rules are put together into projects, rewritten in ways that Terraform doesn't care about, and
//! judged by all rules before and after. Addresses differ by the rewriting and are brought back first.

mod rewrite;

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Inputs, Project};
use keyblind_resource::ResourceGraph;
use keyblind_rules::{RuleTable, Selection, Verdict, judge};
use keyblind_syntax::SourceMap;

/// Verdicts of a project: how many of each kind per (address, rule).
type Verdicts = BTreeMap<(String, String), Vec<&'static str>>;

fn verdicts(table: &RuleTable, files: &[(String, String)]) -> Verdicts {
    let tree = MemoryTree::new(files.iter().map(|(path, text)| (path.as_str(), text.as_str())));
    let mut sources = SourceMap::default();
    let given = files.iter().map(|(path, text)| (Arc::from(path.as_str()), Arc::from(text.as_str()))).collect();
    let project = Project::parse(given, &tree, &mut sources);
    let mut found = Verdicts::new();
    for root in project.roots() {
        let graph = ResourceGraph::new(project.evaluate(root, &Inputs::default(), &tree).resources);
        for judgement in judge(table, &Selection::all(table), &graph) {
            let address = &graph.resources[judgement.resource].address;
            let verdict = match judgement.verdict {
                Verdict::Pass => "pass",
                Verdict::Fail(_) => "fail",
                Verdict::Unknown(_) => "unknown",
                Verdict::NotApplicable => "not applicable",
            };
            let address = address.replace("module.wrapped.", "").replace("[0]", "");
            // The call that the wrapping adds is no resource of the original.
            if address != "module.wrapped" {
                found.entry((address, table.meta(judgement.rule).id.to_string())).or_default().push(verdict);
            }
        }
    }
    for kinds in found.values_mut() {
        kinds.sort_unstable();
    }
    found
}

/// Every example of every rule, as a project of its own.
fn projects(table: &RuleTable) -> Vec<(String, String)> {
    let mut projects = Vec::new();
    for (id, meta) in table.iter() {
        for examples in &table.docs(id).examples {
            for text in examples.bad.iter().chain(&examples.good) {
                projects.push((meta.id.to_string(), text.to_string()));
            }
        }
    }
    assert!(projects.len() > 1_000, "examples are missing");
    projects
}

fn unchanged_by(rewrite: impl Fn(&str) -> Vec<(String, String)>) {
    let table = RuleTable::embedded().expect("the table that is built in");
    let (mut differences, mut compared) = (Vec::new(), 0);
    for (rule, text) in projects(&table) {
        let before = verdicts(&table, &[("main.tf".to_owned(), text.clone())]);
        let rewritten = rewrite(&text);
        let after = verdicts(&table, &rewritten);
        compared += before.len();
        for key in before.keys().chain(after.keys()).collect::<std::collections::BTreeSet<_>>() {
            if before.get(key) != after.get(key) {
                differences.push(format!(
                    "example of {rule}: {} by {}: {:?} became {:?}\n{:#?}",
                    key.0,
                    key.1,
                    before.get(key),
                    after.get(key),
                    rewritten
                ));
            }
        }
    }
    assert!(compared > 10_000, "only {compared} verdicts were compared");
    assert!(
        differences.is_empty(),
        "{} differences, the first ones:\n{}",
        differences.len(),
        differences[..differences.len().min(5)].join("\n")
    );
}

#[test]
fn wrapping_in_a_module() {
    unchanged_by(|text| {
        vec![
            ("main.tf".to_owned(), "module \"wrapped\" {\n  source = \"./inner\"\n}\n".to_owned()),
            ("inner/main.tf".to_owned(), text.to_owned()),
        ]
    });
}

#[test]
fn one_file_a_block_in_another_order() {
    unchanged_by(|text| {
        let blocks = rewrite::blocks(text);
        let count = blocks.len();
        blocks.into_iter().enumerate().map(|(index, block)| (format!("{:03}-renamed.tf", count - index), block)).collect()
    });
}

#[test]
fn counting_to_one() {
    unchanged_by(|text| vec![("main.tf".to_owned(), rewrite::with_count(text))]);
}

#[test]
fn moving_literals_to_locals() {
    unchanged_by(|text| vec![("main.tf".to_owned(), rewrite::literals_to(text, "local", |names| format!("locals {{\n{names}}}\n")))]);
}

#[test]
fn moving_literals_to_variables() {
    unchanged_by(|text| {
        let declare = |names: &str| {
            names
                .lines()
                .filter_map(|line| line.trim().split_once(" = "))
                .map(|(name, value)| format!("variable \"{name}\" {{\n  default = {value}\n}}\n"))
                .collect()
        };
        vec![("main.tf".to_owned(), rewrite::literals_to(text, "var", declare))]
    });
}

#[test]
fn reformatting() {
    unchanged_by(|text| vec![("main.tf".to_owned(), text.replace('\n', "\r\n").replace("  ", "\t"))]);
}
