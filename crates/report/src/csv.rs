//! Comma-separated values, for spreadsheets.
//!
//! Source: RFC 4180. A cell that a spreadsheet would take for a formula begins with an apostrophe.

use std::borrow::Cow;
use std::io::{self, Write};

use keyblind_scan::{ScanReport, Status};

use crate::fixes::{self, Fixes};
use crate::place::Place;
use crate::words;

const HEAD: &[&str] = &[
    "status",
    "severity",
    "rule",
    "aliases",
    "title",
    "dialect",
    "file",
    "line",
    "column",
    "resource",
    "message",
    "evidence",
    "remediation",
    "fingerprint",
    "fix",
];

/// Writes a line for each result.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(report: &ScanReport, fixes: &Fixes, out: &mut dyn Write) -> io::Result<()> {
    let mut table = ::csv::WriterBuilder::new().terminator(::csv::Terminator::CRLF).from_writer(out);
    table.write_record(HEAD).map_err(io::Error::from)?;
    for result in &report.results {
        let rule = &report.rules[result.rule];
        let place = Place::of(report, result.site);
        let evidence = match &result.status {
            Status::Unknown(causes) => causes.iter().map(|cause| cause.message.clone()).collect::<Vec<_>>(),
            _ => result.evidence.iter().map(keyblind_explain::sentence).collect(),
        };
        let cells = [
            result.status.name().to_owned(),
            rule.severity.name().to_owned(),
            rule.id.to_string(),
            rule.aliases.join(" "),
            rule.title.clone(),
            result.dialect.name().to_owned(),
            place.file.to_owned(),
            place.line.to_string(),
            place.column.to_string(),
            result.label.clone(),
            result.message.clone(),
            evidence.join(" "),
            rule.fix.clone(),
            result.fingerprint.clone(),
            fixes::line(result, fixes).unwrap_or_default(),
        ];
        table.write_record(cells.iter().map(|cell| harmless(cell).into_owned())).map_err(io::Error::from)?;
    }
    table.flush()
}

/// A cell that no spreadsheet runs.
fn harmless(cell: &str) -> Cow<'_, str> {
    let clean = words::clean(cell);
    if clean.trim_start().starts_with(['=', '+', '-', '@', '|', '%']) { Cow::Owned(format!("'{clean}")) } else { Cow::Owned(clean) }
}

#[cfg(test)]
mod tests {
    use super::harmless;

    #[test]
    fn no_cell_is_a_formula() {
        for cell in ["=1+1", "+1", "-1", "@SUM(A1)", " =1", "\t=1", "|calc", "%0A"] {
            assert!(harmless(cell).starts_with('\''), "{cell:?}");
        }
        assert_eq!(harmless("aws_s3_bucket.a"), "aws_s3_bucket.a");
    }
}
