//! A fix below its finding: the lines that change, with their numbers.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use keyblind_scan::{ScanReport, ScanResult};

use crate::fixes::{FileChange, Proven, Tag};
use crate::words;

/// Lines that are shown; the command shows all of them.
const MOST_LINES: usize = 24;
/// Unchanged lines around a change.
const CONTEXT: usize = 1;
/// Columns before the numbers.
const INDENT: usize = 6;

/// Writes the changed lines of all files, the finding's own first.
pub(super) fn write(report: &ScanReport, result: &ScanResult, proven: &Proven, color: bool, out: &mut dyn Write) -> io::Result<()> {
    let own = &*report.sources.file(result.site.file).path;
    let mut files: Vec<&FileChange> = proven.files.iter().collect();
    files.sort_by_key(|file| file.path != own);
    let paint = |style: Style, text: String| if color { format!("{style}{text}{style:#}") } else { text };
    let dim = Style::new().dimmed();
    let numbers = files.iter().flat_map(|file| &file.hunks).flat_map(|hunk| &hunk.lines).filter_map(|line| line.new.max(line.old));
    let width = numbers.max().unwrap_or(1).to_string().len();
    let mut left = MOST_LINES;
    let mut untold = 0;
    for file in &files {
        if files.len() > 1 || file.path != own {
            writeln!(out, "{:INDENT$}{}", "", paint(dim, super::path(report, &file.path)))?;
        }
        for (index, hunk) in file.hunks.iter().enumerate() {
            let lines = hunk.near(CONTEXT);
            let shown = lines.len().min(left);
            untold += lines.len() - shown;
            left -= shown;
            if index > 0 && shown > 0 {
                writeln!(out, "{:INDENT$}{}", "", paint(dim, "…".to_owned()))?;
            }
            for line in &lines[..shown] {
                let style = match line.tag {
                    Tag::Kept => Style::new(),
                    Tag::Removed => AnsiColor::Red.on_default(),
                    Tag::Added => AnsiColor::Green.on_default(),
                };
                let number = if line.tag == Tag::Removed { line.old } else { line.new };
                let number = paint(dim, format!("{:>width$}", number.unwrap_or_default()));
                let text = format!(" {} {}", line.tag.sign(), words::clean_line(line.content()));
                writeln!(out, "{:INDENT$}{number}{}", "", paint(style, text.trim_end().to_owned()))?;
            }
        }
    }
    if untold > 0 {
        writeln!(out, "{:INDENT$}{}", "", paint(dim, format!("… and {}", words::count(untold as u64, "more line"))))?;
    }
    Ok(())
}
