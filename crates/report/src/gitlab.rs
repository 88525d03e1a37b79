//! GitLab's reports: static application security testing, and code quality.
//!
//! Source: GitLab documentation, "Security report schemas" (version 15.0.7 of the SAST form, the lowest that has what is said
//! here) and "Code Quality report format". Ids are fingerprints, so that a finding stays the same from run to run; the
//! times that the form asks for are the epoch, because equal input gives equal bytes.

use std::io::{self, Write};

use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult, Status};
use serde::Serialize;

use crate::fixes::{self, Fixes};
use crate::place::Place;
use crate::{HOME, TOOL, VERSION};

const SCHEMA_VERSION: &str = "15.0.7";
const NO_TIME: &str = "1970-01-01T00:00:00";
/// Longest texts that the form allows, in characters.
const LONGEST_NAME: usize = 255;
const LONGEST_DESCRIPTION: usize = 1_048_576;
const LONGEST_SOLUTION: usize = 7_000;

/// Writes the failures as a SAST report.
///
/// # Errors
/// If `out` can't be written to.
pub fn write_sast(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let tool = Tool { id: TOOL, name: "Keyblind", version: VERSION, url: HOME, vendor: Vendor { name: "Keyblind" } };
    let status = if report.summary.incomplete { "failure" } else { "success" };
    let scan = ScanView { analyzer: &tool, scanner: &tool, kind: "sast", start_time: NO_TIME, end_time: NO_TIME, status };
    let vulnerabilities = failures(report).map(|result| Vulnerability::of(report, fixes, result)).collect();
    serde_json::to_writer_pretty(&mut *out, &Sast { version: SCHEMA_VERSION, scan, vulnerabilities })?;
    out.write_all(b"\n")
}

/// Writes the failures as a code quality report.
///
/// # Errors
/// If `out` can't be written to.
pub fn write_code_quality(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let issues: Vec<Issue<'_>> = failures(report)
        .map(|result| {
            let rule = &report.rules[result.rule];
            let line = report.sources.start(result.site).line;
            let fix = fixes::line_by_hand(report, result, fixes).map(|line| format!(". {line}")).unwrap_or_default();
            Issue {
                description: format!("{}: {}{fix}", result.label, result.message),
                check_name: &rule.id,
                fingerprint: &result.fingerprint,
                severity: match rule.severity {
                    Severity::Critical => "blocker",
                    Severity::High => "critical",
                    Severity::Medium => "major",
                    Severity::Low => "minor",
                    Severity::Info => "info",
                },
                location: QualityLocation { path: &report.sources.file(result.site.file).path, lines: Lines { begin: line } },
            }
        })
        .collect();
    serde_json::to_writer_pretty(&mut *out, &issues)?;
    out.write_all(b"\n")
}

fn failures(report: &ScanReport) -> impl Iterator<Item = &ScanResult> {
    report.results.iter().filter(|result| matches!(result.status, Status::Failed))
}

#[derive(Serialize)]
struct Sast<'r> {
    version: &'static str,
    scan: ScanView<'r>,
    vulnerabilities: Vec<Vulnerability<'r>>,
}

#[derive(Serialize)]
struct ScanView<'r> {
    analyzer: &'r Tool,
    scanner: &'r Tool,
    #[serde(rename = "type")]
    kind: &'static str,
    start_time: &'static str,
    end_time: &'static str,
    status: &'static str,
}

#[derive(Serialize)]
struct Tool {
    id: &'static str,
    name: &'static str,
    version: &'static str,
    url: &'static str,
    vendor: Vendor,
}

#[derive(Serialize)]
struct Vendor {
    name: &'static str,
}

#[derive(Serialize)]
struct Vulnerability<'r> {
    id: &'r str,
    name: String,
    description: String,
    severity: &'static str,
    solution: String,
    location: Location<'r>,
    identifiers: Vec<Identifier<'r>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link<'r>>,
    tracking: Tracking<'r>,
}

#[derive(Serialize)]
struct Location<'r> {
    file: &'r str,
    start_line: u32,
    end_line: u32,
}

#[derive(Serialize)]
struct Identifier<'r> {
    #[serde(rename = "type")]
    kind: String,
    name: &'r str,
    value: &'r str,
}

#[derive(Serialize)]
struct Link<'r> {
    url: &'r str,
}

#[derive(Serialize)]
struct Tracking<'r> {
    #[serde(rename = "type")]
    kind: &'static str,
    items: [TrackingItem<'r>; 1],
}

#[derive(Serialize)]
struct TrackingItem<'r> {
    file: &'r str,
    start_line: u32,
    end_line: u32,
    signatures: [Signature<'r>; 1],
}

#[derive(Serialize)]
struct Signature<'r> {
    algorithm: &'static str,
    value: &'r str,
}

impl<'r> Vulnerability<'r> {
    fn of(report: &'r ScanReport, fixes: &Fixes, result: &'r ScanResult) -> Self {
        let rule = &report.rules[result.rule];
        let place = Place::of(report, result.site);
        // GitLab wants paths from the repository's top.
        let file = &*report.sources.file(result.site.file).path;
        let evidence: Vec<String> = result.evidence.iter().map(keyblind_explain::sentence).collect();
        let alias = |alias: &'r String| Identifier { kind: family(alias), name: alias, value: alias };
        let own = Identifier { kind: "keyblind".to_owned(), name: &rule.id, value: &rule.id };
        Self {
            id: &result.fingerprint,
            // The form wants nothing of the single finding in the name.
            name: rule.title.chars().take(LONGEST_NAME).collect(),
            description: bounded(format!("{}: {}. {} {}", result.label, result.message, evidence.join(" "), rule.why), LONGEST_DESCRIPTION),
            severity: match rule.severity {
                Severity::Critical => "Critical",
                Severity::High => "High",
                Severity::Medium => "Medium",
                Severity::Low => "Low",
                Severity::Info => "Info",
            },
            solution: bounded(
                fixes::line(result, fixes).map_or_else(|| rule.fix.clone(), |line| format!("{} {line}", rule.fix)),
                LONGEST_SOLUTION,
            ),
            location: Location { file, start_line: place.line, end_line: place.end_line },
            identifiers: std::iter::once(own).chain(rule.aliases.iter().map(alias)).collect(),
            links: rule.references.iter().filter(|url| url.starts_with("https://")).map(|url| Link { url }).collect(),
            tracking: Tracking {
                kind: "source",
                items: [TrackingItem {
                    file,
                    start_line: place.line,
                    end_line: place.end_line,
                    signatures: [Signature { algorithm: "scope_offset", value: &result.fingerprint }],
                }],
            },
        }
    }
}

/// A text of at most so many characters.
fn bounded(text: String, longest: usize) -> String {
    match text.char_indices().nth(longest) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

/// The tool whose id an alias is, as far as its form tells.
fn family(alias: &str) -> String {
    let family = if alias.starts_with("CKV") {
        "checkov"
    } else if alias.starts_with("AVD-") {
        "trivy"
    } else {
        "alias"
    };
    family.to_owned()
}

#[derive(Serialize)]
struct Issue<'r> {
    description: String,
    check_name: &'r str,
    fingerprint: &'r str,
    severity: &'static str,
    location: QualityLocation<'r>,
}

#[derive(Serialize)]
struct QualityLocation<'r> {
    path: &'r str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}
