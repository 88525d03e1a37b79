//! The numbers, in words that somebody understands who didn't write the code.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use keyblind_rule_language::Severity;
use keyblind_scan::ScanReport;

use super::Options;
use crate::fixes::Fixes;
use crate::words;

/// Directories that are named by path.
const MOST_PATHS: usize = 3;

/// Writes the numbers.
pub(super) fn write(report: &ScanReport, fixes: &Fixes, options: &Options, out: &mut dyn Write) -> io::Result<()> {
    let summary = &report.summary;
    let verdicts = &summary.verdicts;
    let paint = |style: Style, text: String| if options.color { format!("{style}{text}{style:#}") } else { text };
    let bold = Style::new().bold();

    let headline = if verdicts.failed > 0 {
        let by_severity = Severity::ALL.iter().rev().filter_map(|severity| {
            let number = summary.failed_by_severity.get(severity).copied().filter(|number| *number > 0)?;
            Some(paint(style_of(*severity), format!("{number} {severity}")))
        });
        let by_severity: Vec<String> = by_severity.collect();
        let places = super::failed_groups(report) as u64;
        let at = if places < verdicts.failed { format!(" in {}", words::count(places, "place")) } else { String::new() };
        format!("{}{at}: {}", paint(bold, words::count(verdicts.failed, "problem")), by_severity.join(", "))
    } else if summary.files.read == 0 {
        paint(bold, "Nothing to scan".to_owned())
    } else if summary.incomplete {
        paint(bold, "No problem in what could be judged".to_owned())
    } else {
        paint(AnsiColor::Green.on_default().bold(), "No problem".to_owned())
    };
    writeln!(out, "{headline}")?;
    let mut line = |name: &str, text: String| -> io::Result<()> {
        let width = options.width.saturating_sub(16);
        let wrapped = words::wrap(&text, width).replace('\n', &format!("\n{:16}", ""));
        writeln!(out, "  {}{:width$}{wrapped}", paint(Style::new().dimmed(), name.to_owned()), "", width = 14 - name.len())
    };
    line(
        "judged",
        format!(
            "{} in {} from {}, by {}: {} passed, {} failed, {} unknown, {} suppressed",
            words::count(summary.resources, "resource"),
            words::count(summary.roots, "root module"),
            words::count(summary.files.read, "file"),
            words::count(summary.rules, "rule"),
            verdicts.passed,
            verdicts.failed,
            verdicts.unknown,
            verdicts.suppressed
        ),
    )?;
    if let Some(tally) = fixes.tally(report) {
        line("fixes", tally)?;
    }
    if !summary.unknown_by_reason.is_empty() {
        let reasons = words::tally(summary.unknown_by_reason.iter().map(|(code, number)| (words::reason(code), *number)));
        let verb = if verdicts.unknown == 1 { "depends" } else { "depend" };
        line("unknown", reasons.replacen(' ', &format!(" {verb} "), 1))?;
    }
    if !summary.suppressed_by.is_empty() {
        line("suppressed", format!("by {}", words::tally(summary.suppressed_by.iter().map(|(by, number)| (*by, *number)))))?;
    }
    if summary.baseline_gone > 0 {
        let gone = words::count(summary.baseline_gone, "known fault");
        line("baseline", format!("{gone} no longer there: run `keyblind baseline prune`"))?;
    }
    let (local, distant): (Vec<&String>, Vec<&String>) = summary.missing_modules.keys().partition(|source| super::is_local(source));
    for (name, sources, advice) in [
        (
            "not installed",
            distant,
            "run `terraform init`, or keep what a kustomization fetches in the repository, so that what they create is judged",
        ),
        ("not found", local, "these modules lie outside the trust root, or aren't there; `--root` widens it"),
    ] {
        if !sources.is_empty() {
            let named: Vec<String> = sources.iter().take(8).map(ToString::to_string).collect();
            let more = sources.len() - named.len();
            let rest = if more > 0 { format!(" and {}", words::count(more as u64, "other")) } else { String::new() };
            line(name, format!("{}{rest}: {advice}", named.join(", ")))?;
        }
    }
    let unread = report
        .diagnostics
        .iter()
        .filter(|diagnostic| diagnostic.level == keyblind_syntax::Level::Incomplete && diagnostic.code != "module-not-installed");
    let unread = unread.count() as u64;
    if unread > 0 {
        line("not read", format!("{} of the input could not be read or evaluated (said above)", words::count(unread, "part")))?;
    }
    if !summary.files.unjudged.is_empty() {
        let kinds = words::tally(summary.files.unjudged.iter().map(|(kind, number)| (*kind, *number)));
        line("not looked at", format!("{kinds} (languages that aren't judged yet)"))?;
    }
    // That the history isn't judged goes without saying to people.
    for (reason, paths) in summary.files.skipped.iter().filter(|(reason, _)| **reason != "version control") {
        let named: Vec<String> = paths.iter().take(MOST_PATHS).map(|path| super::path(report, path)).collect();
        let more = paths.len() - named.len();
        let rest = if more > 0 { format!(" and {}", words::count(more as u64, "other")) } else { String::new() };
        line("skipped", format!("{}{rest} ({reason})", named.join(", ")))?;
    }
    Ok(())
}

fn style_of(severity: Severity) -> Style {
    match severity {
        Severity::Critical => AnsiColor::BrightRed.on_default().bold(),
        Severity::High => AnsiColor::Red.on_default(),
        Severity::Medium => AnsiColor::Yellow.on_default(),
        Severity::Low | Severity::Info => AnsiColor::Cyan.on_default(),
    }
}
