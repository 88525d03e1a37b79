//! Where heredocs end, and how `<<-` takes their indentation away.

use std::collections::HashMap;

use memchr::memchr;

use super::lexer::identifier_end;
use super::template::{Piece, PieceKind};
use crate::source::TextRange;

/// Finds the lines that end heredocs, in linear time however many heredocs have none.
#[derive(Debug)]
pub(super) struct Terminators<'text> {
    text: &'text str,
    /// All lines that hold one identifier, by it; made when the first heredoc without an end shows up.
    lines: Option<HashMap<&'text str, Vec<TextRange>>>,
}

impl<'text> Terminators<'text> {
    pub(super) fn new(text: &'text str) -> Self {
        Self { text, lines: None }
    }

    /// The first line at or behind `from` (which must be the start of a line) that holds the marker alone.
    ///
    /// `nested` says that the heredoc stands inside another one: then lines would be read once for each of them.
    pub(super) fn find(&mut self, marker: &str, from: u32, nested: bool) -> Option<TextRange> {
        if self.lines.is_none() && !nested {
            let mut at = from as usize;
            while at < self.text.len() {
                if let Some(end) = terminator_at(self.text, at, marker) {
                    return Some(end);
                }
                at = next_line(self.text, at);
            }
        }
        let text = self.text;
        let lines = self.lines.get_or_insert_with(|| index_lines(text)).get(marker)?;
        lines.get(lines.partition_point(|line| line.start < from)).copied()
    }
}

/// Where the line behind the one of an offset starts.
pub(super) fn next_line(text: &str, at: usize) -> usize {
    memchr(b'\n', &text.as_bytes()[at..]).map_or(text.len(), |length| at + length + 1)
}

/// The marker's own bytes, if the line that starts at an offset holds it alone.
pub(super) fn terminator_at(text: &str, line: usize, marker: &str) -> Option<TextRange> {
    let bytes = text.as_bytes();
    let start = line + bytes[line..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    if !text[start..].starts_with(marker) {
        return None;
    }
    let end = start + marker.len();
    let behind = end + bytes[end..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r')).count();
    matches!(bytes.get(behind), None | Some(b'\n')).then(|| TextRange::new(start as u32, end as u32))
}

fn index_lines(text: &str) -> HashMap<&str, Vec<TextRange>> {
    let mut lines: HashMap<&str, Vec<TextRange>> = HashMap::new();
    let mut at = 0;
    while at < text.len() {
        let start = at + text.as_bytes()[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let marker = &text[start..identifier_end(text, start)];
        if !marker.is_empty()
            && let Some(range) = terminator_at(text, at, marker)
        {
            lines.entry(marker).or_default().push(range);
        }
        at = next_line(text, at);
    }
    lines
}

/// Takes away the white space that all lines begin with, as `<<-` asks for.
///
/// This follows what HCL does rather than what its specification says: only literal text at the start of a line
/// counts; a blank line doesn't; a line start that a strip marker has joined to the line before isn't one any more;
/// and a line whose indentation a strip marker has eaten counts as not indented.
pub(super) fn unindent(pieces: &mut [Piece<'_>]) {
    let mut smallest = usize::MAX;
    let mut at_line_start = true;
    let mut leading = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let text = if let PieceKind::Literal(text) = &piece.kind { Some(text.as_ref()) } else { None };
        if at_line_start {
            at_line_start = false;
            match text {
                Some(text) => {
                    let trimmed = text.trim_start();
                    if !(trimmed.is_empty() && text.ends_with('\n')) {
                        smallest = smallest.min(text[..text.len() - trimmed.len()].chars().count());
                        leading.push(index);
                    }
                }
                None => smallest = 0,
            }
        }
        at_line_start = at_line_start || text.is_some_and(|text| text.ends_with('\n'));
    }
    for index in leading {
        if let PieceKind::Literal(text) = &mut pieces[index].kind {
            let cut = text.char_indices().nth(smallest).map_or(text.len(), |(offset, _)| offset);
            match text {
                std::borrow::Cow::Borrowed(text) => *text = &text[cut..],
                std::borrow::Cow::Owned(text) => drop(text.drain(..cut)),
            }
        }
    }
}
