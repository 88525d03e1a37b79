//! Any text as a whole project on disk: files are separated by lines `=== path`. Nothing panics or hangs, every file is
//! either read or mentioned, and every report can be written.
#![no_main]

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use globset::GlobSet;
use keyblind_dialects::terraform::{Inputs, is_configuration, is_variables_file};
use keyblind_report::{Fixes, json, sarif, text};
use keyblind_rules::suppressions::{Date, Policy};
use keyblind_rules::{RuleTable, Selection};
use keyblind_scan::{Keep, Request, ScanReport, Targets, scan};

/// More than the program's own threads have, for the checks that are built in here take stack as well.
const STACK_BYTES: usize = 64 << 20;

struct World {
    table: RuleTable,
    folder: PathBuf,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let _ = rayon::ThreadPoolBuilder::new().num_threads(1).stack_size(STACK_BYTES).build_global();
        // In memory, where there is such a place: some hundred thousand projects are written.
        let memory = Path::new("/dev/shm");
        let base = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
        let folder = base.join(format!("keyblind-fuzz-{}", std::process::id()));
        World { table: RuleTable::embedded().expect("the table that is built in"), folder }
    })
}

fn files(text: &str) -> Vec<(&str, String)> {
    let mut files = vec![("main.tf", String::new())];
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("=== ") {
            Some(path) => files.push((path.trim(), String::new())),
            None => files.last_mut().expect("there is always one").1.push_str(line),
        }
    }
    files.retain(|(path, text)| !(text.is_empty() && *path == "main.tf") && path.split('/').all(|part| !matches!(part, "" | "." | "..")));
    files
}

/// The files that could be written: some names are none.
fn written<'t>(folder: &Path, files: &[(&'t str, String)]) -> Vec<&'t str> {
    let _ = std::fs::remove_dir_all(folder);
    std::fs::create_dir_all(folder).expect("the folder for projects can be made");
    let write = |path: &str, text: &str| {
        let place = folder.join(path);
        std::fs::create_dir_all(place.parent()?).ok()?;
        std::fs::write(place, text).ok()
    };
    let mut written: Vec<&str> = files.iter().filter_map(|(path, text)| write(path, text).map(|()| *path)).collect();
    written.sort_unstable();
    written.dedup();
    written
}

fn scanned(world: &World) -> ScanReport {
    let today: Date = "2026-01-01".parse().expect("a day");
    let request = Request {
        targets: Targets::resolve(std::slice::from_ref(&world.folder), None, None, Some(&world.folder)).expect("the folder is there"),
        snapshot: None,
        changed: keyblind_scan::Changed::new(),
        text: None,
        selection: Selection::all(&world.table),
        severities: Default::default(),
        inputs: Inputs::default(),
        input_sets: Vec::new(),
        exclude: GlobSet::empty(),
        policy: Some(Policy { today, foreign: true, blanket: true, reason_required: false }),
        baseline: None,
        is_baseline_covered: false,
        ignores: Vec::new(),
        floor: None,
        today,
        keep: Keep { passed: true, unknown: true },
        diagnostics: Vec::new(),
    };
    scan(&world.table, request, &|_| {})
}

fn check_nothing_is_silent(written: &[&str], report: &ScanReport) {
    let files = &report.summary.files;
    let is_named = |path: &str| {
        report.sources.iter().any(|(_, file)| &*file.path == path)
            || report.diagnostics.iter().any(|diagnostic| diagnostic.path.as_deref() == Some(path))
            || files
                .skipped
                .values()
                .flatten()
                .any(|skipped| path.strip_prefix(&**skipped).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let unnamed: Vec<&str> = written.iter().copied().filter(|path| !is_named(path)).collect();
    assert!(!unnamed.iter().any(|path| is_configuration(path)), "neither read nor mentioned: {unnamed:?}");
    // Values that no module asks for are no input.
    let counted = unnamed.iter().filter(|path| !is_variables_file(path)).count() as u64;
    assert!(counted <= files.unjudged.values().sum::<u64>() + files.other, "neither read nor counted: {unnamed:?}");
}

libfuzzer_sys::fuzz_target!(|source: &str| {
    let world = world();
    let written = written(&world.folder, &files(source));
    let report = scanned(world);
    check_nothing_is_silent(&written, &report);
    let sink = &mut std::io::sink();
    let options = text::Options { color: true, width: 100, show_suppressed: true, findings: true, summary: true };
    text::write(&report, &Fixes::default(), &options, sink).expect("the report for people can be written");
    sarif::write(&report, &Fixes::default(), &sarif::Context::default(), sink).expect("SARIF can be written");
    let mut bytes = Vec::new();
    json::write(&report, &Fixes::default(), &mut bytes).expect("JSON can be written");
    serde_json::from_slice::<serde::de::IgnoredAny>(&bytes).expect("what is written is JSON");
});
