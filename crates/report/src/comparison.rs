//! What a change introduced and resolved: for people, and for programs.

use std::io::{self, Write};

use keyblind_scan::{Comparison, ScanReport, ScanResult};
use serde::Serialize;

use crate::fixes::Fixes;
use crate::place::Place;
use crate::{json, text, words};

/// What the `schema` member says.
pub const SCHEMA: &str = "keyblind/diff/1";

/// The two commits, as they were asked for and by their ids.
#[derive(Clone, Debug, Serialize)]
pub struct Range {
    /// The commit before the change.
    pub base: String,
    /// The commit with the change.
    pub head: String,
}

/// Writes it for people: what was introduced in full, what was resolved in a line each.
///
/// # Errors
/// If `out` can't be written to.
pub fn write_text(comparison: &Comparison, range: &Range, options: &text::Options, out: &mut dyn Write) -> io::Result<()> {
    let Comparison { introduced, resolved, loosened } = comparison;
    text::write(introduced, &Fixes::default(), options, out)?;
    if !loosened.is_empty() {
        writeln!(
            out,
            "\n{} of them {} silenced by the change itself; only what the base silences is silent:",
            loosened.len(),
            if loosened.len() == 1 { "is" } else { "are" }
        )?;
        for result in introduced.results.iter().filter(|result| loosened.contains(&result.fingerprint)) {
            writeln!(out, "  {}", line(introduced, result))?;
        }
    }
    if !resolved.results.is_empty() {
        writeln!(out, "\nresolved, {}:", words::count(resolved.results.len() as u64, "finding"))?;
        for result in &resolved.results {
            writeln!(out, "  {}", line(resolved, result))?;
        }
    }
    let short = |id: &str| id.chars().take(12).collect::<String>();
    writeln!(
        out,
        "\n{} introduced and {} resolved between {} and {}",
        words::count(introduced.results.len() as u64, "finding"),
        resolved.results.len(),
        short(&range.base),
        short(&range.head)
    )
}

fn line(report: &ScanReport, result: &ScanResult) -> String {
    let rule = &report.rules[result.rule];
    let place = Place::of(report, result.site);
    words::clean(&format!("{} {}: {} ({}:{})", rule.severity, rule.id, result.label, place.file, place.line))
}

/// Writes it for programs: the report of what was introduced, and what was resolved in short.
///
/// # Errors
/// If `out` can't be written to.
pub fn write_json(comparison: &Comparison, range: &Range, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{{\"schema\":\"{SCHEMA}\",\n\"range\":")?;
    serde_json::to_writer(&mut *out, range)?;
    out.write_all(b",\n\"introduced\":")?;
    json::write(&comparison.introduced, &Fixes::default(), out)?;
    out.write_all(b",\"resolved\":")?;
    let resolved: Vec<Short<'_>> = comparison.resolved.results.iter().map(|result| Short::of(&comparison.resolved, result)).collect();
    serde_json::to_writer(&mut *out, &resolved)?;
    out.write_all(b",\n\"loosened\":")?;
    serde_json::to_writer(&mut *out, &comparison.loosened)?;
    out.write_all(b"}\n")
}

#[derive(Serialize)]
struct Short<'r> {
    rule: &'r str,
    severity: &'static str,
    #[serde(flatten)]
    place: Place<'r>,
    resource: &'r str,
    message: &'r str,
    fingerprint: &'r str,
}

impl<'r> Short<'r> {
    fn of(report: &'r ScanReport, result: &'r ScanResult) -> Self {
        let rule = &report.rules[result.rule];
        Self {
            rule: &rule.id,
            severity: rule.severity.name(),
            place: Place::of(report, result.site),
            resource: &result.label,
            message: &result.message,
            fingerprint: &result.fingerprint,
        }
    }
}
