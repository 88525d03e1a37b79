//! The document's lines (written by the scanner, format `page-data`). It holds texts of others: what is hidden in them is spelled out
//! when they are shown.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::Index;
use crate::failure::Failure;
use crate::text::visible;

/// What the first line of a document of this kind says.
const SCHEMA: &str = "keyblind/page-data/1";
/// More findings than this aren't listed.
const MOST_FINDINGS: usize = 200_000;

/// What was judged.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    schema: String,
    /// The name of the folder.
    pub(crate) place: String,
    pub(crate) summary: Summary,
    /// How many findings have a fix, in a sentence.
    pub(crate) fixes: Option<String>,
    /// What was not, or not wholly, judged: where, what, and what helps.
    pub(crate) unread: Vec<(String, String, String)>,
    findings: usize,
}

/// What was judged, in figures.
#[derive(Debug, Deserialize)]
pub(crate) struct Summary {
    pub(crate) failed: u64,
    pub(crate) passed: u64,
    pub(crate) unknown: u64,
    pub(crate) suppressed: u64,
    pub(crate) not_applicable: u64,
    pub(crate) failed_by_severity: BTreeMap<String, u64>,
    pub(crate) unknown_by_reason: BTreeMap<String, u64>,
    pub(crate) missing_modules: BTreeMap<String, u64>,
    pub(crate) rules: u64,
    pub(crate) resources: u64,
    pub(crate) files: Files,
    pub(crate) incomplete: bool,
}

/// What became of the files.
#[derive(Debug, Deserialize)]
pub(crate) struct Files {
    pub(crate) read: u64,
    pub(crate) unread: u64,
    pub(crate) not_judged: BTreeMap<String, u64>,
    pub(crate) other: u64,
}

/// A finding in the index, as it is shown.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) status: String,
    pub(crate) severity: String,
    pub(crate) rule: String,
    pub(crate) message: String,
    pub(crate) resource: String,
    pub(crate) file: String,
    pub(crate) line: u32,
    /// The class of its fix; empty without one.
    pub(crate) fix: String,
    start: usize,
    end: usize,
}

#[derive(Deserialize)]
struct EntryLine {
    status: String,
    severity: String,
    rule: String,
    message: String,
    resource: String,
    file: String,
    line: u32,
    fix: Option<ClassOnly>,
}

#[derive(Deserialize)]
struct ClassOnly {
    class: String,
}

impl Index {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Failure> {
        let mut lines = lines(bytes);
        let (start, end) = lines.next().unwrap_or_default();
        let head: Head = parse(bytes, start, end)?;
        if head.schema != SCHEMA {
            return Err(Failure::Broken("the report is of another version of the scanner".to_owned()));
        }
        let mut entries = Vec::new();
        let mut weight = 0;
        for (start, end) in lines.take(head.findings.min(MOST_FINDINGS)) {
            let line: EntryLine = parse(bytes, start, end)?;
            weight += 300 + line.message.len() + line.resource.len() + line.file.len() + line.rule.len();
            entries.push(Entry {
                status: visible(&line.status),
                severity: visible(&line.severity),
                rule: visible(&line.rule),
                message: visible(&line.message),
                resource: visible(&line.resource),
                file: visible(&line.file),
                line: line.line,
                fix: line.fix.map(|fix| visible(&fix.class)).unwrap_or_default(),
                start,
                end,
            });
        }
        Ok(Self { head, entries, weight })
    }
}

/// Where the lines of a text are.
fn lines(bytes: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(start..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |length| start + length);
        let line = (start, end);
        start = end + 1;
        Some(line)
    })
}

fn parse<'b, T: Deserialize<'b>>(bytes: &'b [u8], start: usize, end: usize) -> Result<T, Failure> {
    let line = bytes.get(start..end).unwrap_or_default();
    serde_json::from_slice(line).map_err(|error| Failure::Broken(format!("a report can't be read: {error}")))
}

/// A part of a sentence.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Part {
    pub(crate) is_code: bool,
    pub(crate) text: String,
}

/// A part of a line of code: `c` comment, `s` text, `n` number, `k` keyword, empty for the rest.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Token {
    pub(crate) class: String,
    pub(crate) text: String,
}

/// A finding, whole.
#[derive(Debug, Deserialize)]
pub(crate) struct Finding {
    pub(crate) status: String,
    pub(crate) severity: String,
    pub(crate) rule: String,
    pub(crate) aliases: String,
    pub(crate) dialect: String,
    pub(crate) message: String,
    pub(crate) resource: String,
    pub(crate) place: String,
    pub(crate) fingerprint: String,
    pub(crate) remedy: Vec<Part>,
    pub(crate) attack: Vec<Part>,
    pub(crate) here: Vec<Vec<Part>>,
    pub(crate) reach: Vec<Vec<Part>>,
    pub(crate) check: Vec<Part>,
    pub(crate) by_hand: Vec<Part>,
    pub(crate) fix: Option<Fix>,
    pub(crate) hindrance: String,
    pub(crate) silenced: String,
    pub(crate) references: Vec<String>,
    /// Number, whether it is marked, and the highlighted text of each line.
    pub(crate) lines: Vec<(u32, bool, Vec<Token>)>,
    /// An SVG, made by the scanner.
    pub(crate) picture: String,
    pub(crate) line: u32,
    pub(crate) column: u32,
    pub(crate) end_line: u32,
    pub(crate) end_column: u32,
    pub(crate) evidence: Vec<Evidence>,
    pub(crate) edits: Vec<Edit>,
}

/// A value that shows the fault.
#[derive(Debug, Deserialize)]
pub(crate) struct Evidence {
    pub(crate) path: String,
    pub(crate) value: Option<String>,
    pub(crate) expected: String,
    pub(crate) missing: bool,
    pub(crate) place: Option<String>,
    /// How the value came there: what happens, and where.
    pub(crate) origin: Vec<(String, String)>,
}

/// A proven fix.
#[derive(Debug, Deserialize)]
pub(crate) struct Fix {
    pub(crate) class: String,
    pub(crate) command: String,
    pub(crate) conditions: Vec<Vec<Part>>,
    pub(crate) files: Vec<FileChange>,
    /// What `git apply` takes, if nothing in it is masked.
    pub(crate) patch: Option<String>,
}

/// What a fix changes in one file.
#[derive(Debug, Deserialize)]
pub(crate) struct FileChange {
    pub(crate) path: String,
    pub(crate) hunks: Vec<Vec<DiffLine>>,
}

/// A line of a diff.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct DiffLine {
    /// `add`, `del` or nothing.
    pub(crate) class: String,
    pub(crate) number: usize,
    pub(crate) sign: char,
    pub(crate) tokens: Vec<Token>,
}

/// A range of a file, in bytes, and what comes in its place.
#[derive(Debug, Deserialize)]
pub(crate) struct Edit {
    pub(crate) path: String,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) replacement: String,
}

impl Finding {
    pub(super) fn read(bytes: &[u8], entry: &Entry) -> Result<Self, Failure> {
        parse(bytes, entry.start, entry.end)
    }
}

/// A finding with the files that its fix changes, as they were.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) finding: Finding,
    /// By path; a file that is too large isn't there.
    pub(crate) files: BTreeMap<String, String>,
}

#[derive(Deserialize)]
struct File {
    file: String,
    text: String,
}

impl Parsed {
    pub(super) fn read(bytes: &[u8], entry: &Entry) -> Result<Self, Failure> {
        let finding = Finding::read(bytes, entry)?;
        let mut files = BTreeMap::new();
        if !finding.edits.is_empty() {
            // They stand at the end, and begin with their names.
            for (start, end) in lines(bytes.get(entry.end + 1..).unwrap_or_default()) {
                let (start, end) = (start + entry.end + 1, end + entry.end + 1);
                if !bytes.get(start..end).is_some_and(|line| line.starts_with(b"{\"file\":")) {
                    continue;
                }
                let file: File = parse(bytes, start, end)?;
                if finding.edits.iter().any(|edit| edit.path == file.file) {
                    files.insert(file.file, file.text);
                }
            }
        }
        Ok(Self { finding, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_with_and_without_an_end() {
        assert_eq!(lines(b"ab\nc\n\nd").collect::<Vec<_>>(), [(0, 2), (3, 4), (5, 5), (6, 7)]);
        assert_eq!(lines(b"a\n").count(), 1);
        assert_eq!(lines(b"").count(), 0);
    }

    #[test]
    fn what_isnt_such_a_document_is_a_failure_and_no_panic() {
        for bytes in [&b""[..], b"{}", b"\n", b"[", b"{\"schema\":\"x\"}", &[0xff; 40]] {
            assert!(matches!(Index::read(bytes), Err(Failure::Broken(_))), "{bytes:?}");
        }
    }
}
