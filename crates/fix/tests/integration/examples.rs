//! Every rule's bad examples are fixed, or the rule is on the list of those that have no fix.
//!
//! `KEYBLIND_UPDATE=1` writes the list anew; `RULE=id,id` and `DIALECT=dockerfile` show what becomes of single rules.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use keyblind_fix::{Hindrance, Outcome};
use keyblind_resource::Dialect;
use keyblind_rule_language::Language;
use keyblind_rules::{RuleId, RuleTable, dialect_of};

use crate::support::{fix_all, folder};

/// What becomes of the bad examples of each rule in each dialect: the class of their fix, or what stands in its way.
const LIST: &str = "tests/rules-and-fixes.txt";
/// How many of a hundred rules may have no fix in one of their dialects.
const MOST_WITHOUT: usize = 5;

/// What becomes of a rule's bad examples.
struct Fixed {
    /// Why one of them has no fix.
    refused: Option<Hindrance>,
    needs_input: bool,
    is_unsafe: bool,
    /// The texts afterwards.
    texts: Vec<String>,
    details: Vec<String>,
}

/// What a file of a dialect is called.
fn file_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::CloudFormation => "template.yaml",
        Dialect::Kubernetes => "manifest.yaml",
        Dialect::Dockerfile => "Dockerfile",
        Dialect::GithubActions => ".github/workflows/workflow.yml",
        _ => "main.tf",
    }
}

fn fix(table: &RuleTable, rule: RuleId, dialect: Dialect, bad: &[Box<str>]) -> Fixed {
    let mut fixed = Fixed { refused: None, needs_input: false, is_unsafe: false, texts: Vec::new(), details: Vec::new() };
    let name = file_name(dialect);
    for text in bad {
        let folder = folder(&[(name, text)]);
        let (fixer, outcomes) = fix_all(table, folder.path(), rule);
        for (address, outcome) in outcomes {
            match outcome {
                Outcome::Fixed(fix) => {
                    fixed.needs_input |= !fix.inputs.is_empty();
                    fixed.is_unsafe |= !fix.effects.is_empty();
                }
                Outcome::Gone => {}
                Outcome::Refused(refusal) => {
                    fixed.refused = fixed.refused.max(Some(refusal.hindrance));
                    let details = refusal.disproofs.iter().map(|disproof| disproof.detail.clone()).collect::<Vec<_>>();
                    fixed.details.push(format!("{address}: {}", details.join(" / ")));
                }
            }
        }
        fixed.texts.push(fixer.text(name).unwrap().to_string());
    }
    fixed
}

/// What is asked for of the rules, by the environment.
struct Only {
    rules: Option<String>,
    dialect: Option<String>,
}

impl Only {
    fn asked() -> Self {
        Self { rules: std::env::var("RULE").ok(), dialect: std::env::var("DIALECT").ok() }
    }

    fn wants(&self, rule: &str, dialect: Dialect) -> bool {
        self.rules.as_deref().is_none_or(|only| only.split(',').any(|only| only == rule))
            && self.dialect.as_deref().is_none_or(|only| only == dialect.name())
    }

    fn is_all(&self) -> bool {
        self.rules.is_none() && self.dialect.is_none()
    }
}

#[test]
fn bad_examples_become_good() {
    let table = RuleTable::embedded().unwrap();
    let only = Only::asked();
    let mut becomes: BTreeMap<(String, &str), String> = BTreeMap::new();
    let mut without: BTreeSet<String> = BTreeSet::new();
    let mut formatted: BTreeMap<String, String> = BTreeMap::new();
    let mut rules = BTreeSet::new();
    let (mut needs_input, mut is_unsafe) = (0, 0);
    for (rule, meta) in table.iter() {
        for examples in &table.docs(rule).examples {
            let dialect = dialect_of(examples.language);
            if !only.wants(&meta.id, dialect) {
                continue;
            }
            let fixed = fix(&table, rule, dialect, &examples.bad);
            rules.insert(meta.id.to_string());
            let class = match fixed.refused {
                Some(hindrance) => {
                    eprintln!("{} {}: {hindrance}: {}", meta.id, dialect.name(), fixed.details.join(" || "));
                    without.insert(meta.id.to_string());
                    hindrance.to_string()
                }
                None if fixed.needs_input => {
                    needs_input += 1;
                    "needs-input".to_owned()
                }
                None if fixed.is_unsafe => {
                    is_unsafe += 1;
                    "unsafe".to_owned()
                }
                None => "safe".to_owned(),
            };
            becomes.insert((meta.id.to_string(), dialect.name()), class);
            for (index, text) in fixed.texts.into_iter().enumerate() {
                if !only.is_all() {
                    eprintln!("--- {} {}\n{text}", meta.id, dialect.name());
                }
                if dialect == Dialect::Terraform {
                    formatted.insert(format!("{}-{index}.tf", meta.id), text);
                }
            }
        }
    }
    eprintln!("{} rules: {} without a fix in some dialect, {needs_input} need input, {is_unsafe} unsafe", rules.len(), without.len());
    check_format(&table, &formatted);
    if !only.is_all() {
        return;
    }
    let list: String = becomes.iter().map(|((rule, dialect), class)| format!("{rule} {dialect} {class}\n")).collect();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(LIST);
    if std::env::var_os("KEYBLIND_UPDATE").is_some() {
        std::fs::write(&path, &list).unwrap();
    }
    let known = std::fs::read_to_string(&path).unwrap();
    let set = |text: &str| text.lines().map(str::to_owned).collect::<BTreeSet<_>>();
    let (found, known) = (set(&list), set(&known));
    let differences: Vec<_> = found.symmetric_difference(&known).collect();
    assert!(differences.is_empty(), "`{LIST}` isn't what is found (KEYBLIND_UPDATE=1 writes it anew): {differences:#?}");
    assert!(without.len() * 100 <= rules.len() * MOST_WITHOUT, "{} of {} rules have no fix", without.len(), rules.len());
}

/// Terraform's own formatter has nothing to say about what it had nothing to say about before.
fn check_format(table: &RuleTable, fixed: &BTreeMap<String, String>) {
    if Command::new("terraform").arg("version").output().is_err() {
        return;
    }
    let mut before = BTreeMap::new();
    for (_, meta) in table.iter() {
        let docs = table.docs(table.find(&meta.id).unwrap());
        if let Some(examples) = docs.examples.iter().find(|examples| examples.language == Language::Terraform) {
            for (index, bad) in examples.bad.iter().enumerate() {
                before.insert(format!("{}-{index}.tf", meta.id), bad.to_string());
            }
        }
    }
    let unformatted = |texts: &BTreeMap<String, String>| -> BTreeSet<String> {
        let files: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
        let folder = folder(&files);
        let output = Command::new("terraform").args(["fmt", "-check", "-list=true"]).current_dir(folder.path()).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!errors.contains(".tf"), "{errors}");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
    };
    let (old, new) = (unformatted(&before), unformatted(fixed));
    let worse: Vec<&String> = new.difference(&old).collect();
    assert!(worse.is_empty(), "the formatter would change {} texts, first {:?}:\n{}", worse.len(), worse[0], fixed[worse[0]]);
}
