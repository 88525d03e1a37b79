//! Annotations of a GitHub Actions run, as workflow commands on standard output.
//!
//! Source: GitHub documentation, "Workflow commands for GitHub Actions". A step shows ten annotations of each level; the
//! most severe findings come first and the rest is counted.

use std::io::{self, Write};

use keyblind_rule_language::Severity;
use keyblind_scan::{ScanReport, ScanResult, Status};

use crate::fixes::{self, Fixes};
use crate::place::Place;
use crate::words;

/// Annotations of one level that a step shows.
const MOST_OF_A_LEVEL: usize = 10;

/// Writes the failures, the worst first.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let mut failed: Vec<&ScanResult> = report.results.iter().filter(|result| matches!(result.status, Status::Failed)).collect();
    failed.sort_by_key(|result| std::cmp::Reverse(report.rules[result.rule].severity));
    let mut left_out = 0;
    for level in ["error", "warning", "notice"] {
        let of_level: Vec<_> = failed.iter().filter(|result| level_of(report.rules[result.rule].severity) == level).collect();
        left_out += of_level.len().saturating_sub(MOST_OF_A_LEVEL);
        for result in of_level.into_iter().take(MOST_OF_A_LEVEL) {
            annotate(report, fixes, result, level, out)?;
        }
    }
    if left_out > 0 {
        writeln!(out, "{} more are not annotated: see the whole report", words::count(left_out as u64, "finding"))?;
    }
    Ok(())
}

fn annotate(report: &ScanReport, fixes: &Fixes, result: &ScanResult, level: &str, out: &mut dyn Write) -> io::Result<()> {
    let rule = &report.rules[result.rule];
    let place = Place::of(report, result.site);
    // The runner wants paths from the repository's top, whatever folder was scanned.
    let file = property(&report.sources.file(result.site.file).path);
    let Place { line, column, end_line, end_column, .. } = place;
    let columns = if line == end_line { format!(",col={column},endColumn={end_column}") } else { String::new() };
    let title = property(&format!("{} ({})", rule.id, rule.severity));
    let evidence = result.evidence.first().map(keyblind_explain::sentence).unwrap_or_default();
    let fix = fixes::line(result, fixes).map(|line| format!("\n{line}")).unwrap_or_default();
    let message = data(&format!("{}: {}. {evidence}\n{}{fix}", words::clean(&result.label), words::clean(&result.message), rule.fix));
    writeln!(out, "::{level} file={file},line={line},endLine={end_line}{columns},title={title}::{message}")
}

fn level_of(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical | Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low | Severity::Info => "notice",
    }
}

/// A command's message: what would end the line is escaped.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A command's property: what would end the property as well.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_ends_a_command() {
        assert_eq!(data("a\r\n::set-env name=x::y%"), "a%0D%0A::set-env name=x::y%25");
        assert_eq!(property("a,b:c\n"), "a%2Cb%3Ac%0A");
    }
}
