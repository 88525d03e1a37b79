//! Places as reports give them: a file and lines and columns from 1.

use keyblind_scan::ScanReport;
use keyblind_syntax::Site;
use serde::Serialize;

/// A range in a file.
#[derive(Serialize)]
pub(crate) struct Place<'r> {
    /// As [`keyblind_scan::Places::in_report`] gives it.
    pub(crate) file: &'r str,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    /// The column behind the last character.
    pub(crate) end_column: u32,
}

impl<'r> Place<'r> {
    pub(crate) fn of(report: &'r ScanReport, site: Site) -> Self {
        let (start, end) = (report.sources.start(site), report.sources.end(site));
        Self {
            file: report.places.in_report(&report.sources.file(site.file).path),
            line: start.line,
            column: start.column,
            end_line: end.line,
            end_column: end.column,
        }
    }
}
