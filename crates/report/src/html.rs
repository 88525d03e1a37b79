//! One HTML page that works by itself: no network, no fonts, prints well.
//!
//! The template escapes everything that it is given; the only markup that passes is what this module makes from escaped
//! parts. A policy in the page forbids every request, so that nothing that slipped through could reach anybody.

pub mod data;
mod highlight;

use std::io::{self, Write};

use askama::Template;
use keyblind_explain::{explain, picture};
use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult, Status};
use keyblind_syntax::Diagnostic;
use serde::Serialize;

use crate::fixes::{self, Fixes, Proven, Remedy, Tag};
use crate::masks::Masks;
use crate::place::Place;
use crate::{VERSION, words};

/// Lines of source above and below the marked ones.
const CONTEXT_LINES: u32 = 3;
/// Lines of source that are shown at most.
const MOST_LINES: u32 = 24;

/// Writes the page: all results that the report holds, the worst failures first.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let masks = Masks::of(report);
    let findings = ordered(report).into_iter().map(|result| Finding::of(report, fixes, result, &masks));
    let summary = &report.summary;
    let page = Page {
        version: VERSION,
        place: report.places.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        counts: Severity::ALL
            .iter()
            .rev()
            .map(|severity| (severity.name(), summary.failed_by_severity.get(severity).copied().unwrap_or_default()))
            .collect(),
        failed: summary.verdicts.failed,
        passed: summary.verdicts.passed,
        unknown: summary.verdicts.unknown,
        suppressed: summary.verdicts.suppressed,
        judged: format!(
            "{} in {}, by {}",
            words::count(summary.resources, "resource"),
            words::count(summary.files.read, "file"),
            words::count(summary.rules, "rule")
        ),
        fixes: fixes.tally(report),
        unread: unread(report),
        findings: findings.collect(),
    };
    out.write_all(page.render().map_err(io::Error::other)?.as_bytes())
}

/// What is shown, the worst failures first.
fn ordered(report: &ScanReport) -> Vec<&ScanResult> {
    let mut results: Vec<&ScanResult> = report.results.iter().filter(|result| !matches!(result.status, Status::Passed)).collect();
    results.sort_by_key(|result| (rank(&result.status), std::cmp::Reverse(report.rules[result.rule].severity)));
    results
}

/// What was not, or not wholly, judged: where, what, and what helps.
fn unread(report: &ScanReport) -> Vec<(String, String, String)> {
    let of = |diagnostic: &Diagnostic| {
        let place = match (diagnostic.site, &diagnostic.path) {
            (Some(site), _) => {
                let place = Place::of(report, site);
                format!("{}:{}", place.file, place.line)
            }
            (None, path) => path.clone().unwrap_or_default(),
        };
        (place, diagnostic.message.clone(), diagnostic.help.clone().unwrap_or_default())
    };
    report.diagnostics.iter().map(of).collect()
}

fn rank(status: &Status) -> u8 {
    match status {
        Status::Failed => 0,
        Status::Unknown(_) => 1,
        Status::Suppressed(_) => 2,
        Status::Passed => 3,
    }
}

#[derive(Template)]
#[template(path = "report.html")]
struct Page {
    version: &'static str,
    place: String,
    counts: Vec<(&'static str, u64)>,
    failed: u64,
    passed: u64,
    unknown: u64,
    suppressed: u64,
    judged: String,
    fixes: Option<String>,
    unread: Vec<(String, String, String)>,
    findings: Vec<Finding>,
}

/// A part of a sentence.
#[derive(Serialize)]
struct Part {
    is_code: bool,
    text: String,
}

/// Parts a sentence in which code stands between backticks.
fn parts(sentence: &str) -> Vec<Part> {
    let parts = sentence.split('`').enumerate().map(|(index, text)| Part { is_code: index % 2 == 1, text: words::clean(text) });
    parts.filter(|part| !part.text.is_empty()).collect()
}

#[derive(Serialize)]
struct Finding {
    status: &'static str,
    severity: &'static str,
    rule: String,
    aliases: String,
    dialect: &'static str,
    message: String,
    resource: String,
    place: String,
    fingerprint: String,
    remedy: Vec<Part>,
    attack: Vec<Part>,
    here: Vec<Vec<Part>>,
    reach: Vec<Vec<Part>>,
    check: Vec<Part>,
    by_hand: Vec<Part>,
    fix: Option<FixView>,
    hindrance: String,
    silenced: String,
    references: Vec<String>,
    /// Number, whether it is marked, and the highlighted text of each line.
    lines: Vec<(u32, bool, Vec<highlight::Token>)>,
    /// Made by `keyblind_explain::picture`, which escapes its texts.
    picture: String,
}

/// A proven fix.
#[derive(Serialize)]
struct FixView {
    class: &'static str,
    command: String,
    conditions: Vec<Vec<Part>>,
    files: Vec<FileView>,
    /// What the button copies: a patch that `git apply` takes, if nothing in it is masked.
    patch: Option<String>,
}

/// What a fix changes in one file.
#[derive(Serialize)]
struct FileView {
    path: String,
    hunks: Vec<Vec<DiffLine>>,
}

#[derive(Serialize)]
struct DiffLine {
    /// `add`, `del` or nothing.
    class: &'static str,
    number: usize,
    sign: char,
    tokens: Vec<highlight::Token>,
}

impl FixView {
    fn of(report: &ScanReport, fixes: &Fixes, result: &ScanResult, proven: &Proven) -> Self {
        let line = |line: &fixes::Line| DiffLine {
            class: match line.tag {
                Tag::Kept => "",
                Tag::Removed => "del",
                Tag::Added => "add",
            },
            number: line.new.or(line.old).unwrap_or_default(),
            sign: line.tag.sign(),
            tokens: highlight::line(&words::clean_line(line.content()), result.dialect),
        };
        let files = proven.files.iter().map(|file| FileView {
            path: words::clean(report.places.in_report(&file.path)),
            hunks: file.hunks.iter().map(|hunk| hunk.lines.iter().map(line).collect()).collect(),
        });
        let is_exact = proven.files.iter().all(|file| file.is_exact);
        Self {
            class: proven.class.name(),
            command: fixes.command(result),
            conditions: proven.conditions().iter().map(|sentence| parts(sentence)).collect(),
            files: files.collect(),
            patch: is_exact.then(|| proven.files.iter().map(|file| fixes::patch(&file.path, &file.hunks)).collect()),
        }
    }
}

impl Finding {
    fn of(report: &ScanReport, fixes: &Fixes, result: &ScanResult, masks: &Masks) -> Self {
        let rule = &report.rules[result.rule];
        let place = Place::of(report, result.site);
        let explanation = explain(report, result);
        let silenced = match &result.status {
            Status::Suppressed(by) => format!("Suppressed by {}: {}", by.by.name(), by.reason.as_deref().unwrap_or("no reason given")),
            _ => String::new(),
        };
        Self {
            status: result.status.name(),
            severity: rule.severity.name(),
            rule: rule.id.to_string(),
            aliases: rule.aliases.join(", "),
            dialect: result.dialect.name(),
            message: words::clean(&result.message),
            resource: words::clean(&result.label),
            place: format!("{}:{}:{}", words::clean(place.file), place.line, place.column),
            fingerprint: result.fingerprint.clone(),
            remedy: parts(&explanation.remedy),
            attack: parts(&explanation.attack),
            here: explanation.here.iter().map(|sentence| parts(sentence)).collect(),
            reach: explanation.reach.iter().map(|sentence| parts(sentence)).collect(),
            check: parts(&explanation.check),
            by_hand: parts(&rule.fix),
            fix: match fixes.get(result) {
                Some(Remedy::Proven(proven)) => Some(FixView::of(report, fixes, result, proven)),
                _ => None,
            },
            hindrance: match fixes.get(result) {
                Some(Remedy::Hindered(hindrance)) => fixes::hindered(*hindrance),
                _ => String::new(),
            },
            silenced,
            references: rule.references.iter().filter(|reference| reference.starts_with("https://")).cloned().collect(),
            lines: lines(report, result, masks),
            picture: picture(report, result).unwrap_or_default(),
        }
    }
}

fn lines(report: &ScanReport, result: &ScanResult, masks: &Masks) -> Vec<(u32, bool, Vec<highlight::Token>)> {
    let file = report.sources.file(result.site.file);
    let (start, end) = (file.line_column(result.site.range.start).line, file.line_column(result.site.range.end).line);
    let first = start.saturating_sub(CONTEXT_LINES).max(1);
    let last = (end + CONTEXT_LINES).min(first + MOST_LINES - 1).min(file.line_count());
    let shown = file.line_range(first).zip(file.line_range(last)).map(|(first, last)| first.cover(last));
    let Some(range) = shown else { return Vec::new() };
    let text = masks.part(result.site.file, file, range);
    let marked = start..=end;
    text.lines()
        .zip(first..)
        .map(|(line, number)| (number, marked.contains(&number), highlight::line(&words::clean_line(line), result.dialect)))
        .collect()
}
