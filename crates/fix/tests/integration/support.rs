//! Trees of files to fix.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_fix::{Fixer, Given, Outcome, Subject};
use keyblind_rules::suppressions::Date;
use keyblind_rules::{RuleId, RuleTable, Selection, Verdict};
use keyblind_scan::{Keep, Request, Targets};

/// All that is beneath a folder, by all rules.
pub(crate) fn request(table: &RuleTable, folder: &Path) -> Request {
    Request {
        targets: Targets::resolve(&[folder.to_owned()], None, None, Some(folder)).unwrap(),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: None,
        selection: Selection::all(table),
        severities: HashMap::new(),
        inputs: Inputs::default(),
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        policy: None,
        baseline: None,
        is_baseline_covered: false,
        ignores: Vec::new(),
        floor: None,
        today: Date::from_days_since_epoch(20_000),
        keep: Keep::default(),
        diagnostics: Vec::new(),
    }
}

/// A folder with files.
pub(crate) fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// The resources that a rule fails, by root module and address.
pub(crate) fn failing(table: &RuleTable, folder: &Path, rule: RuleId) -> Vec<(String, String)> {
    let trials = keyblind_scan::Trials::open(&request(table, folder));
    let mut found = BTreeSet::new();
    for job in 0..trials.len() {
        let trial = trials.run(table, job, &keyblind_scan::Changed::new(), &[]).unwrap();
        for judgement in trial.judgements.iter().filter(|judgement| judgement.rule == rule) {
            if matches!(judgement.verdict, Verdict::Fail(_)) {
                found.insert((trials.place(job).to_owned(), trial.graph.resources[judgement.resource].address.to_string()));
            }
        }
    }
    found.into_iter().collect()
}

/// Fixes all that one rule finds, each on the ground of the ones before.
pub(crate) fn fix_all<'t>(table: &'t RuleTable, folder: &Path, rule: RuleId) -> (Fixer<'t>, Vec<(String, Outcome)>) {
    let mut fixer = Fixer::new(table, &request(table, folder), Given::new());
    let mut outcomes = Vec::new();
    for (root, address) in failing(table, folder, rule) {
        let outcome = fixer.fix(&Subject { rule, root: &root, address: &address });
        if let Outcome::Fixed(fix) = &outcome {
            fixer.accept(fix);
        }
        outcomes.push((address, outcome));
    }
    (fixer, outcomes)
}

/// The texts after all that one rule finds was fixed.
#[track_caller]
pub(crate) fn fixed(rule: &str, files: &[(&str, &str)]) -> Vec<String> {
    let table = RuleTable::embedded().unwrap();
    let folder = folder(files);
    let (fixer, outcomes) = fix_all(&table, folder.path(), table.find(rule).unwrap());
    assert!(!outcomes.is_empty(), "`{rule}` finds nothing");
    for (address, outcome) in &outcomes {
        assert!(!matches!(outcome, Outcome::Refused(_)), "{address}: {outcome:?}");
    }
    files.iter().map(|(path, _)| fixer.text(path).unwrap().to_string()).collect()
}
