//! One finding: the caret at the value, what it should be, where it came from, what to do.

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Snippet};
use keyblind_rule_language::Severity;
use keyblind_scan::{Proof, ScanReport, ScanResult, Status, SuppressedBy};
use keyblind_syntax::{FileId, SourceFile, TextRange};

use crate::fixes::{Fixes, Remedy};
use crate::masks::{Masks, is_hidden};
use crate::words;

/// Longest part of a source that is shown around a finding.
const LARGEST_WINDOW: usize = 8 * 1024;
/// Lines of a value that are marked; of longer ones the first.
const MOST_MARKED_LINES: u32 = 6;
/// Places beside the first that are marked.
const MOST_MARKS: usize = 4;
/// Instances that are named.
const MOST_INSTANCES: usize = 8;

/// A marked place.
pub(super) struct Mark {
    range: TextRange,
    label: String,
    is_primary: bool,
}

impl Mark {
    /// What a message is about.
    pub(super) fn primary(range: TextRange, label: String) -> Self {
        Self { range, label, is_primary: true }
    }

    fn context(range: TextRange, label: String) -> Self {
        Self { range, label, is_primary: false }
    }
}

/// The finding, and the instances in which it is the same.
pub(super) fn group<'r>(report: &'r ScanReport, fixes: &Fixes, instances: &[&'r ScanResult], masks: &Masks, width: usize) -> Group<'r> {
    let result = instances[0];
    let rule = &report.rules[result.rule];
    let name = match &result.status {
        Status::Failed => rule.severity.name(),
        status => status.name(),
    };
    let mut group = level(&result.status, rule.severity)
        .with_name(name)
        .primary_title(result.message.as_str())
        .id(&*rule.id)
        .elements(Vec::<Origin<'_>>::new());
    let proof = primary_proof(result);
    let mut marks = vec![Mark::primary(result.site.range, proof.map(|proof| label(proof, report)).unwrap_or_default())];
    if result.header != result.site && result.header.file == result.site.file {
        marks.push(Mark::context(result.header.range, String::new()));
    }
    let others = result.evidence.iter().filter(|other| proof.is_none_or(|proof| !std::ptr::eq(proof, *other)));
    let beside = others.filter(|other| other.resource.is_none()).filter_map(|other| other.site.map(|site| (other, site)));
    for (other, site) in
        beside.filter(|(_, site)| site.file == result.site.file && *site != result.site && *site != result.header).take(MOST_MARKS)
    {
        marks.push(Mark::context(site.range, label(other, report)));
    }
    group = with_source(group, report, result.site.file, &marks, masks);
    if let Some(proof) = proof {
        group = with_origin(group, report, proof, masks, width);
    }
    for note in notes(report, instances) {
        group = group.element(Level::NOTE.message(words::wrap(&note, width.saturating_sub(10))));
    }
    if matches!(result.status, Status::Failed) && !rule.fix.is_empty() {
        group = group.element(Level::HELP.message(words::wrap(&rule.fix, width.saturating_sub(10))));
    }
    match fixes.get(result) {
        Some(Remedy::Proven(proven)) => {
            let word = match (proven.is_withheld, proven.class) {
                (true, class) => format!("{}; it holds what looks like a secret, and isn't shown here", class.name()),
                (false, class) => class.name().to_owned(),
            };
            let (models, by) = if proven.is_proposed { (" --models", "; a model proposed it") } else { ("", "") };
            let command = fixes.command(result);
            group = group.element(Level::HELP.with_name("fix").message(format!("{command}{models} ({word}{by})")));
            for condition in proven.conditions() {
                group = group.element(Level::NOTE.message(words::wrap(&condition, width.saturating_sub(10))));
            }
        }
        Some(Remedy::Hindered(hindrance)) => {
            let text = format!("there is no fix: {} ({hindrance})", hindrance.sentence());
            group = group.element(Level::NOTE.message(words::wrap(&text, width.saturating_sub(10))));
        }
        None => {}
    }
    if let Some(explained) = fixes.explained(result) {
        let mut said = vec![words::clean(&explained.text)];
        said.extend(explained.attack.iter().enumerate().map(|(number, step)| format!("{}. {}", number + 1, words::clean(step))));
        said.extend(explained.doubts.iter().map(|doubt| format!("against it: {}", words::clean(doubt))));
        for text in said {
            group = group.element(Level::NOTE.with_name("a model says").message(words::wrap(&text, width.saturating_sub(18))));
        }
    }
    group
}

fn level(status: &Status, severity: Severity) -> Level<'static> {
    match (status, severity) {
        (Status::Failed, Severity::Critical | Severity::High) => Level::ERROR,
        (Status::Failed, Severity::Medium) => Level::WARNING,
        (Status::Failed, _) | (Status::Unknown(_), _) => Level::INFO,
        (Status::Suppressed(_) | Status::Passed, _) => Level::NOTE,
    }
}

/// The evidence that stands at the finding's own place.
fn primary_proof(result: &ScanResult) -> Option<&Proof> {
    result.evidence.iter().find(|proof| proof.resource.is_none() && proof.site == Some(result.site)).or_else(|| result.evidence.first())
}

/// What a caret says: what is wrong with the value.
fn label(proof: &Proof, report: &ScanReport) -> String {
    let expected = words::clean(&words::shortened(&proof.expected, 90));
    let expected = if expected.is_empty() { String::new() } else { format!("expected {expected}") };
    let path = words::clean(&words::shortened(&proof.path, 60));
    if proof.missing {
        return match (path.is_empty(), expected.is_empty()) {
            (true, _) => expected,
            (false, true) => format!("`{path}` is missing"),
            (false, false) => format!("`{path}` is missing, {expected}"),
        };
    }
    let Some(value) = proof.value.as_deref() else { return expected };
    if path.contains("|secrets") {
        return format!("holds a credential: {}", words::clean(value.trim_matches('"')));
    }
    // What the source shows anyway needs no words.
    let is_literal = proof.site.is_some_and(|site| report.sources.slice(site) == value);
    let value = words::clean(&words::shortened(value, 60));
    match (is_literal, expected.is_empty()) {
        (true, _) => expected,
        (false, true) => format!("is {value}"),
        (false, false) => format!("is {value}, {expected}"),
    }
}

/// Shows where the value was written, if that's elsewhere, and the way it came.
fn with_origin<'r>(mut group: Group<'r>, report: &'r ScanReport, proof: &'r Proof, masks: &Masks, width: usize) -> Group<'r> {
    let steps = keyblind_explain::steps(&proof.origin);
    let Some(last) = steps.last() else { return group };
    if proof.site.is_none_or(|site| site != last.site) {
        let label = format!("{}comes from here", if is_hidden(proof) || proof.missing { "it " } else { "the value " });
        group = with_source(group, report, last.site.file, &[Mark::context(last.site.range, label)], masks);
    }
    if steps.len() > 1 {
        let step = |step: &keyblind_explain::Step| {
            let path = super::path(report, &report.sources.file(step.site.file).path);
            format!("{} ({path}:{})", step.words, report.sources.start(step.site).line)
        };
        let way: Vec<String> = steps.iter().map(step).collect();
        group = group.element(Level::NOTE.message(words::wrap(&format!("its way: {}", way.join(" ← ")), width.saturating_sub(10))));
    }
    group
}

fn notes(report: &ScanReport, instances: &[&ScanResult]) -> Vec<String> {
    let result = instances[0];
    let rule = &report.rules[result.rule];
    let mut notes = Vec::new();
    let place = |file: FileId| super::path(report, &report.sources.file(file).path);
    let named: Vec<String> = instances.iter().skip(1).take(MOST_INSTANCES).map(|other| format!("`{}`", other.address)).collect();
    if instances.len() > 1 {
        let more = instances.len() - 1;
        let rest = if more > named.len() { format!(" and {} others", more - named.len()) } else { String::new() };
        notes.push(format!("`{}`, and {}: {}{rest}", result.address, words::count(more as u64, "more instance"), named.join(", ")));
    } else if !report.sources.slice(result.header).is_empty() {
        notes.push(format!("`{}`", result.address));
    }
    for call in result.calls.iter().take(MOST_MARKS) {
        notes.push(format!("called at {}:{}", place(call.file), report.sources.start(*call).line));
    }
    for other in result.evidence.iter().filter(|proof| proof.resource.is_some()).take(MOST_MARKS) {
        let address = other.resource.as_deref().unwrap_or_default();
        notes.push(format!("`{address}`: `{}` {}", other.path, label(other, report)));
    }
    match &result.status {
        Status::Unknown(causes) => notes.extend(causes.iter().take(MOST_MARKS).map(|cause| format!("it can't be told: {}", cause.message))),
        Status::Suppressed(suppression) => {
            let reason = suppression.reason.as_deref().unwrap_or("no reason given");
            let until = suppression.until.map(|day| format!(", until {day}")).unwrap_or_default();
            let at = match suppression.by {
                SuppressedBy::Directive { site, .. } | SuppressedBy::Data { site, .. } => {
                    format!(" at {}:{}", place(site.file), report.sources.start(site).line)
                }
                SuppressedBy::Configuration | SuppressedBy::Baseline => String::new(),
            };
            notes.push(format!("suppressed by {}{at}{until}: {reason}", suppression.by.name()));
        }
        Status::Failed | Status::Passed => {}
    }
    if !rule.aliases.is_empty() {
        notes.push(format!("also known as {}", words::list(&rule.aliases)));
    }
    notes
}

/// Adds the marked lines of a file; only its name where they can't be shown.
pub(super) fn with_source<'r>(group: Group<'r>, report: &'r ScanReport, id: FileId, marks: &[Mark], masks: &Masks) -> Group<'r> {
    let file = report.sources.file(id);
    let path = super::path(report, &file.path);
    let Some(first) = marks.first() else { return group };
    let start = file.line_column(first.range.start);
    let bare = || Origin::path(path.clone()).line(start.line as usize).char_column(start.column as usize);
    // The first mark is the one that counts; others are shown if they are near enough.
    let Some(mut window) = lines_around(file, first.range) else { return group.element(bare()) };
    if window.len() as usize > LARGEST_WINDOW {
        return group.element(bare());
    }
    let mut shown = Vec::new();
    for mark in marks {
        let Some(lines) = lines_around(file, mark.range) else { continue };
        let wider = window.cover(lines);
        if wider.len() as usize <= LARGEST_WINDOW {
            window = wider;
            shown.push(mark);
        }
    }
    let source = masks.part(id, file, window);
    let line = file.line_column(window.start).line;
    let annotations = shown.iter().map(|mark| {
        let range = clipped(file, mark.range);
        let span = (range.start - window.start) as usize..(range.end - window.start) as usize;
        let kind = if mark.is_primary { AnnotationKind::Primary } else { AnnotationKind::Context };
        let annotation = kind.span(span);
        if mark.label.is_empty() { annotation } else { annotation.label(mark.label.clone()) }
    });
    group.element(Snippet::source(source).path(path).line_start(line as usize).annotations(annotations.collect::<Vec<_>>()))
}

/// A range, or its first line if it has many.
fn clipped(file: &SourceFile, range: TextRange) -> TextRange {
    let (first, last) = (file.line_column(range.start).line, file.line_column(range.end).line);
    if last - first < MOST_MARKED_LINES {
        return range;
    }
    file.line_range(first).map_or(range, |line| TextRange::new(range.start, line.end.max(range.start)))
}

/// The whole lines that a range touches.
fn lines_around(file: &SourceFile, range: TextRange) -> Option<TextRange> {
    let range = clipped(file, range);
    let first = file.line_range(file.line_column(range.start).line)?;
    let last = file.line_range(file.line_column(range.end).line)?;
    Some(first.cover(last))
}
