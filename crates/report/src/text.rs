//! The report for people: findings as rustc shows its own, worst first, then the numbers.

mod finding;
mod fix;
mod summary;

use std::collections::HashMap;
use std::io::{self, Write};

use annotate_snippets::{Group, Level, Origin, Renderer};
use keyblind_scan::{ScanReport, ScanResult, Status};
use keyblind_syntax::Diagnostic;

use crate::fixes::{Fixes, Remedy};
use crate::masks::Masks;
use crate::words;

/// What the report shows, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// Whether to use colour.
    pub color: bool,
    /// How many columns there are.
    pub width: usize,
    /// Whether suppressed findings are shown with their reasons.
    pub show_suppressed: bool,
    /// Whether findings are shown one by one.
    pub findings: bool,
    /// Whether the numbers are shown.
    pub summary: bool,
}

/// Writes the report, with the fixes that were looked for.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    if options.findings {
        let renderer = renderer(options.color, options.width);
        let masks = Masks::of(report);
        for instances in grouped(report, options) {
            let group = finding::group(report, fixes, &instances, &masks, options.width);
            writeln!(out, "{}", renderer.render(&[group]))?;
            if let Some(Remedy::Proven(proven)) = fixes.get(instances[0]) {
                fix::write(report, instances[0], proven, options.color, out)?;
            }
            writeln!(out)?;
        }
    }
    if options.summary {
        summary::write(report, fixes, options, out)?;
    }
    Ok(())
}

/// One finding in full, with its fix if one was looked for.
pub fn one(report: &ScanReport, fixes: &Fixes, result: &ScanResult, color: bool, width: usize) -> String {
    let group = finding::group(report, fixes, &[result], &Masks::of(report), width);
    let mut shown = Vec::from(renderer(color, width).render(&[group]) + "\n");
    if let Some(Remedy::Proven(proven)) = fixes.get(result) {
        // Writing to memory can't fail.
        let _ = fix::write(report, result, proven, color, &mut shown);
    }
    String::from_utf8_lossy(&shown).trim_end().to_owned()
}

fn renderer(color: bool, width: usize) -> Renderer {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.term_width(width)
}

/// A path as the user would type it, without characters that steer terminals.
fn path(report: &ScanReport, path: &str) -> String {
    words::clean(&report.places.for_people(path))
}

/// The results that are shown, the worst first; equal ones of several instances stand together.
fn grouped<'r>(report: &'r ScanReport, options: &Options) -> Vec<Vec<&'r ScanResult>> {
    let order = |result: &ScanResult| match result.status {
        Status::Failed => 0,
        Status::Unknown(_) => 1,
        Status::Suppressed(_) => 2,
        Status::Passed => 3,
    };
    let is_shown = |result: &&ScanResult| options.show_suppressed || !matches!(result.status, Status::Suppressed(_));
    let mut groups: Vec<Vec<&ScanResult>> = Vec::new();
    let mut places = HashMap::new();
    for result in report.results.iter().filter(is_shown) {
        // What looks the same in the source and says the same is shown once.
        let evidence: Vec<_> =
            result.evidence.iter().map(|proof| (&proof.path, &proof.value, proof.site, proof.origin.written_at())).collect();
        let reasons = match &result.status {
            Status::Unknown(causes) => causes.iter().map(|cause| cause.message.as_str()).collect(),
            Status::Suppressed(suppression) => suppression.reason.as_deref().into_iter().collect(),
            Status::Failed | Status::Passed => Vec::new(),
        };
        let key = (result.rule, order(result), result.header, result.site, &result.message, evidence, reasons);
        match places.get(&key) {
            Some(&place) => {
                let group: &mut Vec<&ScanResult> = &mut groups[place];
                group.push(result);
            }
            None => {
                places.insert(key, groups.len());
                groups.push(vec![result]);
            }
        }
    }
    // The results are sorted by place already, and sorting keeps the order of what is equal.
    groups.sort_by_key(|group| (order(group[0]), std::cmp::Reverse(report.rules[group[0].rule].severity), group[0].rule));
    groups
}

/// How many findings are shown, equal ones counted once.
fn failed_groups(report: &ScanReport) -> usize {
    let options = Options { color: false, width: 0, show_suppressed: false, findings: true, summary: true };
    grouped(report, &options).iter().filter(|group| matches!(group[0].status, Status::Failed)).count()
}

/// Whether a module's source is a path.
fn is_local(source: &str) -> bool {
    source.starts_with("./") || source.starts_with("../")
}

/// What went wrong with the input, for people. Notes are shown if `notes` says so; modules that aren't installed are named
/// once each.
pub fn diagnostics(report: &ScanReport, color: bool, width: usize, notes: bool) -> String {
    let renderer = renderer(color, width);
    let masks = Masks::of(report);
    let mut text = String::new();
    let shown = report.diagnostics.iter().filter(|diagnostic| {
        let is_note = diagnostic.level == keyblind_syntax::Level::Note && !diagnostic.code.starts_with("suppression-");
        diagnostic.code != "module-not-installed" && (notes || !is_note)
    });
    for diagnostic in shown {
        text.push_str(&renderer.render(&[diagnostic_group(report, diagnostic, &masks, width)]));
        text.push_str("\n\n");
    }
    let (local, distant): (Vec<_>, Vec<_>) = report.summary.missing_modules.iter().partition(|(source, _)| is_local(source));
    for (missing, what, advice) in [
        (distant, "not installed", "run `terraform init`, or keep what a kustomization fetches in the repository, and scan again"),
        (local, "not there", "scan the whole repository, or name what may be read with `--root`"),
    ] {
        if missing.is_empty() {
            continue;
        }
        let names: Vec<String> = missing.iter().map(|(source, calls)| format!("{source} ({})", words::count(**calls, "call"))).collect();
        let title = format!("{} {what}, so what they create is not judged", are(names.len(), "module"));
        let list = Level::NOTE.message(words::wrap(&names.join(", "), width.saturating_sub(10)));
        let help = Level::HELP.message(advice);
        text.push_str(&renderer.render(&[Level::WARNING.primary_title(title).id("module-not-installed").element(list).element(help)]));
        text.push_str("\n\n");
    }
    text
}

fn are(number: usize, thing: &str) -> String {
    format!("{} {}", words::count(number as u64, thing), if number == 1 { "is" } else { "are" })
}

fn diagnostic_group<'r>(report: &'r ScanReport, diagnostic: &'r Diagnostic, masks: &Masks, width: usize) -> Group<'r> {
    let level = match diagnostic.level {
        keyblind_syntax::Level::Incomplete => Level::WARNING,
        keyblind_syntax::Level::Note => Level::NOTE,
    };
    let mut group = level.primary_title(diagnostic.message.as_str()).id(diagnostic.code).elements(Vec::<Origin<'_>>::new());
    if let Some(site) = diagnostic.site {
        group = finding::with_source(group, report, site.file, &[finding::Mark::primary(site.range, String::new())], masks);
    } else if let Some(path) = &diagnostic.path {
        group = group.element(Origin::path(self::path(report, path)));
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(words::wrap(help, width.saturating_sub(10))));
    }
    group
}
