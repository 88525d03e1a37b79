//! Any text as one file of infrastructure code (its first line, `=== path`, says of what kind): what is shown as a fix of a
//! finding must be one when the whole scan looks at it, which knows nothing of fixes. The finding is gone, nothing else is
//! found, no verdict became unknown, and nothing panics or hangs.
#![no_main]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use globset::GlobSet;
use keyblind_dialects::terraform::Inputs;
use keyblind_fix::{Fix, Fixer, Given, Outcome, Subject};
use keyblind_rules::suppressions::Date;
use keyblind_rules::{RuleTable, Selection};
use keyblind_scan::{Keep, Request, ScanReport, ScanResult, Status, Targets, scan};

/// More than the program's own threads have, for the checks that are built in here take stack as well.
const STACK_BYTES: usize = 64 << 20;
/// What a text may be taken for; the first is what one without such a line is.
const PATHS: [&str; 5] = ["main.tf", "template.yaml", "manifest.yaml", "Dockerfile", ".github/workflows/ci.yml"];
/// How many findings of a text get a fix. A fix is judged by the whole scan: that takes its time.
const MOST_FIXES: usize = 3;
/// A scan that finds more isn't of the kind that this looks for: `count` makes thousands of a line.
const MOST_RESOURCES: u64 = 200;

struct World {
    table: RuleTable,
    folder: PathBuf,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let _ = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(STACK_BYTES).build_global();
        // No file is ever written: an empty folder is all that it takes.
        let folder = std::env::temp_dir().join(format!("keyblind-fuzz-fix-{}", std::process::id()));
        std::fs::create_dir_all(folder.join(".github/workflows")).expect("the folder can be made");
        World { table: RuleTable::embedded().expect("the table that is built in"), folder }
    })
}

fn file(source: &str) -> (&'static str, &str) {
    let Some((first, text)) = source.strip_prefix("=== ").and_then(|rest| rest.split_once('\n')) else { return (PATHS[0], source) };
    match PATHS.iter().find(|path| **path == first.trim()) {
        Some(path) => (path, text),
        // The examples of rules have one name for all that is YAML; what it is, its content decides.
        None if first.trim() == "resources.yaml" => (PATHS[1], text),
        None => (PATHS[0], source),
    }
}

fn request(world: &World, path: &str, text: &str, variables: Vec<(String, String)>) -> Request {
    Request {
        targets: Targets::resolve(&[], Some(&world.folder.join(path)), None, Some(&world.folder)).expect("the folder is there"),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: Some(text.as_bytes().to_vec()),
        selection: Selection::all(&world.table),
        severities: Default::default(),
        inputs: Inputs { variables, var_files: Vec::new() },
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        // Nothing may silence a finding: a fix that did only that would look like one.
        policy: None,
        baseline: None,
        is_baseline_covered: false,
        ignores: Vec::new(),
        floor: None,
        today: Date::from_days_since_epoch(20_000),
        keep: Keep { passed: true, unknown: true },
        diagnostics: Vec::new(),
    }
}

/// How many results a condition holds for, by rule and address. The instructions of a Dockerfile are numbered, and a fix may put one
/// before others or take one away: there the rule alone tells.
type Counts<'r> = BTreeMap<(Arc<str>, &'r str), usize>;

fn about<'r>(report: &'r ScanReport, path: &str, is_wanted: impl Fn(&ScanResult) -> bool) -> Counts<'r> {
    let mut counts = Counts::new();
    for result in report.results.iter().filter(|result| is_wanted(result)) {
        let rule = report.rules[result.rule].id.clone();
        *counts.entry((rule, if is_numbered(path) { "" } else { &*result.address })).or_default() += 1;
    }
    counts
}

fn is_numbered(path: &str) -> bool {
    path == "Dockerfile"
}

/// What there is more of than before.
fn more<'r>(after: &Counts<'r>, before: &Counts<'_>) -> Vec<(Arc<str>, &'r str)> {
    let grown = after.iter().filter(|(key, count)| **count > before.get(*key).copied().unwrap_or_default());
    grown.map(|(key, _)| key.clone()).collect()
}

fn is_failed(result: &ScanResult) -> bool {
    matches!(result.status, Status::Failed)
}

fn is_passed(result: &ScanResult) -> bool {
    matches!(result.status, Status::Passed)
}

fn is_unknown(result: &ScanResult) -> bool {
    matches!(result.status, Status::Unknown(_))
}

/// The text that a fix makes, which lies in this file and nowhere else.
fn fixed(fix: &Fix, path: &str, text: &str) -> String {
    let [edit] = fix.edits.as_slice() else { panic!("edits of {} files", fix.edits.len()) };
    assert_eq!(edit.path, path);
    let new = edit.apply(text).expect("the edits fit the text");
    assert!(fix.texts.len() == 1 && fix.texts.get(path).is_some_and(|made| **made == *new), "the edits make another text");
    assert_eq!(edit.undo(&new).as_deref(), Ok(text));
    assert_ne!(new, text);
    new
}

libfuzzer_sys::fuzz_target!(|source: &str| {
    let world = world();
    let (path, text) = file(source);
    let before = scan(&world.table, request(world, path, text, Vec::new()), &|_| {});
    if before.summary.resources > MOST_RESOURCES {
        return;
    }
    let failed = about(&before, path, is_failed);
    let passing = about(&before, path, is_passed);
    let unknown = about(&before, path, is_unknown);
    let mut fixer = Fixer::new(&world.table, &request(world, path, text, Vec::new()), Given::new());
    let findings: Vec<&ScanResult> = before.results.iter().filter(|result| is_failed(result)).collect();
    // Those that lie far from each other: neighbours are often about the same.
    for result in findings.iter().step_by(findings.len().div_ceil(MOST_FIXES).max(1)) {
        let rule = world.table.find(&before.rules[result.rule].id).expect("a rule of the table");
        let subject = Subject { rule, root: &result.root, address: &result.address };
        let Outcome::Fixed(fix) = fixer.fix(&subject) else { continue };
        let new = fixed(&fix, path, text);
        // What only a person knows has no value in the file: the fix says with which it was proven.
        let assumed = fix.inputs.iter().map(|input| (input.variable.clone(), input.assumed.clone())).collect();
        let after = scan(&world.table, request(world, path, &new, assumed), &|_| {});
        let what = || format!("{} of {}, fixed:\n{new}", before.rules[result.rule].id, result.address);
        let claim = (before.rules[result.rule].id.clone(), if is_numbered(path) { "" } else { &*result.address });
        let still = about(&after, path, is_failed);
        // Once is the finding itself; an address that fails a rule twice is fixed at once or not at all.
        let left = if is_numbered(path) { failed[&claim] - 1 } else { 0 };
        assert!(still.get(&claim).copied().unwrap_or_default() <= left, "still failed: {}", what());
        // An instruction that is gone, as a fix may make it, has no verdict.
        assert!(is_numbered(path) || about(&after, path, is_passed).contains_key(&claim), "not passed: {}", what());
        let found = more(&still, &failed);
        assert!(found.is_empty(), "{found:?} failed: {}", what());
        let unknown_after = about(&after, path, is_unknown);
        let mut lost = more(&unknown_after, &unknown);
        assert!(unknown_after.values().sum::<usize>() <= unknown.values().sum(), "more is unknown, {lost:?}: {}", what());
        lost.retain(|key| passing.contains_key(key));
        assert!(lost.is_empty(), "{lost:?} unknown: {}", what());
    }
});
