//! Checkov's JSON form, for what already reads it: one report for each kind of file, one record for each of Checkov's ids
//! that a rule carries.
//!
//! Source: Checkov's documentation, "Reviewing scan results". A rule without such an id is recorded under its own.

use std::collections::BTreeMap;
use std::io::{self, Write};

use keyblind_resource::Dialect;
use keyblind_scan::{ScanReport, ScanResult, Status};
use serde::Serialize;

use crate::VERSION;
use crate::fixes::{self, Fixes};
use crate::place::Place;

/// Writes the report. As Checkov does: an object if there is one kind of file, a list if there are several.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let mut kinds: BTreeMap<&'static str, Kind<'_>> = BTreeMap::new();
    for result in &report.results {
        let kind = kinds.entry(check_type(result.dialect)).or_insert_with_key(|name| Kind::new(name));
        kind.add(report, fixes, result);
    }
    let mut unread: Vec<&str> = report
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == keyblind_syntax::Level::Incomplete && diagnostic.code != "module-not-installed")
        .filter_map(|diagnostic| match diagnostic.site {
            Some(site) => Some(report.places.in_report(&report.sources.file(site.file).path)),
            None => diagnostic.path.as_deref().map(|path| report.places.in_report(path)),
        })
        .collect();
    unread.sort_unstable();
    unread.dedup();
    if let Some(mut first) = kinds.first_entry() {
        first.get_mut().results.parsing_errors = unread;
    }
    let mut kinds: Vec<Kind<'_>> = kinds.into_values().collect();
    for kind in &mut kinds {
        kind.sum();
    }
    match kinds.as_slice() {
        [] => serde_json::to_writer_pretty(&mut *out, &Counts::default())?,
        [one] => serde_json::to_writer_pretty(&mut *out, one)?,
        several => serde_json::to_writer_pretty(&mut *out, several)?,
    }
    out.write_all(b"\n")
}

fn check_type(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::TerraformPlan | Dialect::Live => "terraform_plan",
        Dialect::GithubActions => "github_actions",
        other => other.name(),
    }
}

#[derive(Serialize)]
struct Kind<'r> {
    check_type: &'static str,
    results: Records<'r>,
    summary: Counts,
    url: &'static str,
    #[serde(skip)]
    resources: std::collections::BTreeSet<(&'r str, &'r str)>,
}

#[derive(Default, Serialize)]
struct Records<'r> {
    passed_checks: Vec<Record<'r>>,
    failed_checks: Vec<Record<'r>>,
    skipped_checks: Vec<Record<'r>>,
    parsing_errors: Vec<&'r str>,
}

#[derive(Serialize)]
struct Counts {
    passed: usize,
    failed: usize,
    skipped: usize,
    parsing_errors: usize,
    resource_count: usize,
    checkov_version: &'static str,
}

impl Default for Counts {
    fn default() -> Self {
        Self { passed: 0, failed: 0, skipped: 0, parsing_errors: 0, resource_count: 0, checkov_version: VERSION }
    }
}

#[derive(Serialize)]
struct Record<'r> {
    check_id: &'r str,
    bc_check_id: Option<()>,
    check_name: &'r str,
    check_result: CheckResult<'r>,
    file_path: String,
    file_abs_path: String,
    repo_file_path: String,
    file_line_range: [u32; 2],
    resource: &'r str,
    guideline: Option<&'r str>,
    severity: String,
    code_block: Vec<(u32, String)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<String>,
}

#[derive(Serialize)]
struct CheckResult<'r> {
    result: &'static str,
    evaluated_keys: Vec<&'r str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    suppress_comment: Option<&'r str>,
}

impl<'r> Kind<'r> {
    fn new(check_type: &'static str) -> Self {
        Self { check_type, results: Records::default(), summary: Counts::default(), url: "", resources: Default::default() }
    }

    fn add(&mut self, report: &'r ScanReport, fixes: &Fixes, result: &'r ScanResult) {
        let rule = &report.rules[result.rule];
        let (list, word, comment) = match &result.status {
            Status::Failed => (&mut self.results.failed_checks, "FAILED", None),
            Status::Passed => (&mut self.results.passed_checks, "PASSED", None),
            Status::Suppressed(by) => (&mut self.results.skipped_checks, "SKIPPED", by.reason.as_deref()),
            // Checkov says nothing about what it can't tell.
            Status::Unknown(_) => return,
        };
        let ids: Vec<&str> = rule.aliases.iter().map(String::as_str).filter(|alias| alias.starts_with("CKV")).collect();
        let ids = if ids.is_empty() { vec![&*rule.id] } else { ids };
        let (place, header) = (Place::of(report, result.site), Place::of(report, result.header));
        let lines = if place.file == header.file {
            [header.line.min(place.line), place.end_line.max(header.end_line)]
        } else {
            [header.line, header.end_line]
        };
        let path = &*report.sources.file(result.header.file).path;
        let absolute = report.places.root().join(path);
        self.resources.insert((path, &result.label));
        for id in ids {
            list.push(Record {
                check_id: id,
                bc_check_id: None,
                check_name: &rule.title,
                check_result: CheckResult {
                    result: word,
                    evaluated_keys: result.evidence.iter().map(|proof| proof.path.as_str()).filter(|path| !path.is_empty()).collect(),
                    suppress_comment: comment,
                },
                file_path: format!("/{}", report.places.in_report(path)),
                file_abs_path: absolute.to_string_lossy().into_owned(),
                repo_file_path: format!("/{path}"),
                file_line_range: lines,
                resource: &result.label,
                guideline: rule.references.first().map(String::as_str),
                severity: rule.severity.name().to_uppercase(),
                // Values may be secrets: the file holds the source.
                code_block: Vec::new(),
                details: fixes::line_by_hand(report, result, fixes).into_iter().collect(),
            });
        }
    }

    fn sum(&mut self) {
        self.summary = Counts {
            passed: self.results.passed_checks.len(),
            failed: self.results.failed_checks.len(),
            skipped: self.results.skipped_checks.len(),
            parsing_errors: self.results.parsing_errors.len(),
            resource_count: self.resources.len(),
            ..Counts::default()
        };
    }
}
