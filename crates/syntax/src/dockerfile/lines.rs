//! Lines: continued ones are joined, and the joined text still knows where each byte of it stands.

use crate::source::TextRange;

/// A text that was put together from pieces of the source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogicalLine {
    /// The text.
    pub text: String,
    /// Where each piece begins: in the text, and in the source. The first begins at 0.
    pieces: Vec<(u32, u32)>,
}

impl LogicalLine {
    fn push(&mut self, piece: &str, source: usize) {
        if !piece.is_empty() || self.pieces.is_empty() {
            self.pieces.push((self.text.len() as u32, source as u32));
            self.text.push_str(piece);
        }
    }

    /// Where a part of the text stands in the source, what lies between its pieces included.
    pub fn range(&self, start: usize, end: usize) -> TextRange {
        let first = self.source(start);
        let last = if end > start { self.source(end - 1) + 1 } else { first };
        TextRange::new(first, last.max(first))
    }

    /// Where a range of the text stands in the source.
    pub fn locate(&self, range: TextRange) -> TextRange {
        self.range(range.start as usize, range.end as usize)
    }

    /// Where all of it stands.
    pub fn whole(&self) -> TextRange {
        self.range(0, self.text.len())
    }

    fn source(&self, at: usize) -> u32 {
        let behind = self.pieces.partition_point(|(start, _)| *start as usize <= at);
        self.pieces.get(behind.saturating_sub(1)).map_or(0, |(start, source)| source + (at as u32 - start))
    }

    /// What stands behind a place in the text.
    pub(super) fn behind(&self, at: usize) -> Self {
        let mut rest = Self { text: self.text[at..].to_owned(), pieces: vec![(0, self.source(at))] };
        let later = self.pieces.iter().filter(|(start, _)| *start as usize > at);
        rest.pieces.extend(later.map(|(start, source)| (start - at as u32, *source)));
        rest
    }
}

/// Walks the lines of a text.
pub(super) struct Lines<'a> {
    text: &'a str,
    at: usize,
    /// Where the last line that was taken ends.
    previous_end: usize,
}

impl<'a> Lines<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        let at = if text.starts_with('\u{feff}') { '\u{feff}'.len_utf8() } else { 0 };
        Self { text, at, previous_end: at }
    }

    /// Where the last line that was taken ends.
    pub(super) fn previous_end(&self) -> u32 {
        self.previous_end as u32
    }

    /// The next line without its end, and where it begins.
    fn next(&mut self) -> Option<(usize, &'a str)> {
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let end = memchr::memchr(b'\n', &self.text.as_bytes()[start..]).map_or(self.text.len(), |length| start + length);
        self.at = end + 1;
        let line = self.text[start..end].trim_end_matches('\r');
        self.previous_end = start + line.len();
        Some((start, line))
    }

    /// A parser directive, if the next line is one: name, value, range.
    pub(super) fn directive(&mut self) -> Option<(String, String, TextRange)> {
        let before = (self.at, self.previous_end);
        let found = self.next().and_then(|(start, line)| {
            let (name, value) = line.trim_start().strip_prefix('#')?.split_once('=')?;
            let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
            let is_known = matches!(&*name, "syntax" | "escape" | "check");
            (is_known && !value.is_empty()).then(|| (name, value.to_owned(), TextRange::new(start as u32, (start + line.len()) as u32)))
        });
        if found.is_none() {
            (self.at, self.previous_end) = before;
        }
        found
    }

    /// The next line that isn't empty or a comment, joined with those that it goes on in.
    pub(super) fn logical(&mut self, escape: u8, comments: &mut Vec<TextRange>) -> Option<LogicalLine> {
        let mut joined: Option<LogicalLine> = None;
        let mut last_end = self.previous_end;
        while let Some((start, line)) = self.next() {
            let content = line.trim_start();
            let content_start = start + (line.len() - content.len());
            if content.is_empty() {
                continue;
            }
            if content.starts_with('#') {
                comments.push(TextRange::new(content_start as u32, (content_start + content.trim_end().len()) as u32));
                continue;
            }
            last_end = self.previous_end;
            let continued = continued(line, escape);
            let piece = continued.unwrap_or(line);
            match &mut joined {
                // White space in front of an instruction isn't part of it.
                None => {
                    let mut first = LogicalLine::default();
                    first.push(piece.get(line.len() - content.len()..).unwrap_or_default(), content_start);
                    joined = Some(first);
                }
                Some(joined) => joined.push(piece, start),
            }
            if continued.is_none() {
                break;
            }
        }
        self.previous_end = last_end;
        let mut joined = joined?;
        let length = joined.text.trim_end().len();
        joined.text.truncate(length);
        Some(joined)
    }

    /// The lines of a here-document, and whether it was ended.
    pub(super) fn heredoc(&mut self, name: &str, strips_tabs: bool) -> (TextRange, bool) {
        let start = self.at.min(self.text.len());
        loop {
            let before = self.at.min(self.text.len());
            let Some((_, line)) = self.next() else { return (TextRange::new(start as u32, before as u32), false) };
            let line = if strips_tabs { line.trim_start_matches('\t') } else { line };
            if line == name {
                return (TextRange::new(start as u32, before as u32), true);
            }
        }
    }
}

/// The line without the escape character that it ends with, if it goes on in the next one.
fn continued(line: &str, escape: u8) -> Option<&str> {
    let trimmed = line.trim_end_matches([' ', '\t']);
    let inner = trimmed.strip_suffix(char::from(escape))?;
    (!inner.as_bytes().ends_with(&[escape])).then_some(inner)
}
