//! What the page holds, as lines of JSON, for a program that makes pages of its own: it shows a finding at a time, and needs neither the
//! sources nor the rules.
//!
//! The first line says what was judged; then comes each finding, the worst first; then each file that a fix changes, as it was. What
//! is masked on the page is masked here.

use std::collections::BTreeSet;
use std::io::{self, Write};

use keyblind_scan::{Proof, ScanReport, ScanResult};
use keyblind_syntax::TextRange;
use serde::Serialize;

use super::{Finding, ordered, unread};
use crate::fixes::{Fixes, Remedy};
use crate::json::SummaryView;
use crate::masks::Masks;
use crate::place::Place;
use crate::{TOOL, VERSION, words};

/// What the `schema` member of the first line says.
pub const SCHEMA: &str = "keyblind/page-data/1";
/// A longer file isn't told whole.
const LONGEST_FILE: usize = 512 << 10;
/// So much of all files together.
const ALL_FILES: usize = 16 << 20;

#[derive(Serialize)]
struct Head<'r> {
    schema: &'static str,
    tool: &'static str,
    version: &'static str,
    place: String,
    summary: SummaryView<'r>,
    fixes: Option<String>,
    unread: Vec<(String, String, String)>,
    findings: usize,
}

#[derive(Serialize)]
struct Record<'r> {
    #[serde(flatten)]
    finding: Finding,
    #[serde(flatten)]
    at: Place<'r>,
    evidence: Vec<Evidence>,
    edits: Vec<Edit<'r>>,
}

/// A value that shows the fault.
#[derive(Serialize)]
struct Evidence {
    path: String,
    value: Option<String>,
    expected: String,
    missing: bool,
    place: Option<String>,
    /// How the value came there: what happens, and where.
    origin: Vec<(String, String)>,
}

/// A range of a file, in bytes, and what comes in its place.
#[derive(Serialize)]
struct Edit<'r> {
    path: &'r str,
    start: usize,
    end: usize,
    replacement: &'r str,
}

#[derive(Serialize)]
struct File<'r> {
    file: &'r str,
    text: String,
}

/// Writes the lines.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let masks = Masks::of(report);
    let results = ordered(report);
    line(
        out,
        &Head {
            schema: SCHEMA,
            tool: TOOL,
            version: VERSION,
            place: report.places.root().file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
            summary: SummaryView::of(report),
            fixes: fixes.tally(report),
            unread: unread(report),
            findings: results.len(),
        },
    )?;
    let mut changed = BTreeSet::new();
    for result in results {
        let edits: Vec<Edit<'_>> = match fixes.get(result) {
            Some(Remedy::Proven(proven)) => proven
                .files
                .iter()
                .flat_map(|file| {
                    file.edits.iter().map(|edit| Edit {
                        path: &file.path,
                        start: edit.start,
                        end: edit.end,
                        replacement: &edit.replacement,
                    })
                })
                .collect(),
            _ => Vec::new(),
        };
        changed.extend(edits.iter().map(|edit| edit.path));
        let record = Record {
            finding: Finding::of(report, fixes, result, &masks),
            at: Place::of(report, result.site),
            evidence: evidence(report, result),
            edits,
        };
        line(out, &record)?;
    }
    let mut left = ALL_FILES;
    for (id, file) in report.sources.iter().filter(|(_, file)| changed.contains(&*file.path)) {
        let text = &file.text;
        let Ok(length) = u32::try_from(text.len()) else { continue };
        if text.len() > LONGEST_FILE || text.len() > left {
            continue;
        }
        left -= text.len();
        line(out, &File { file: &file.path, text: masks.part(id, file, TextRange::new(0, length)) })?;
    }
    Ok(())
}

fn line(out: &mut dyn Write, value: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, value).map_err(io::Error::from)?;
    out.write_all(b"\n")
}

fn evidence(report: &ScanReport, result: &ScanResult) -> Vec<Evidence> {
    let place = |site| {
        let place = Place::of(report, site);
        format!("{}:{}", words::clean(place.file), place.line)
    };
    let of = |proof: &Proof| Evidence {
        path: words::clean(&proof.path),
        value: proof.value.as_deref().map(words::clean),
        expected: words::clean(&proof.expected),
        missing: proof.missing,
        place: proof.site.map(place),
        origin: keyblind_explain::steps(&proof.origin).into_iter().map(|step| (words::clean(&step.words), place(step.site))).collect(),
    };
    result.evidence.iter().map(of).collect()
}
