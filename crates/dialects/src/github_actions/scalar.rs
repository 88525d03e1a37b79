//! Where a part of a YAML text stands in the file: block texts have lost their indentation, quoted ones their escapes.

use keyblind_syntax::TextRange;
use keyblind_syntax::yaml::{Node, Style};

/// Longest folded text in which parts are looked up by what they say.
const LONGEST_SEARCHED: usize = 64 << 10;

/// A text and its way back to the file.
pub(super) struct Scalar<'a> {
    pub(super) text: &'a str,
    file: &'a str,
    whole: TextRange,
    /// Where pieces of the text stand: place in the text, place in the file.
    pieces: Vec<(u32, u32)>,
    /// Behind the last piece.
    end: u32,
}

impl<'a> Scalar<'a> {
    /// The text of a node in a file; `None` if it is no text.
    pub(super) fn of(node: &'a Node, file: &'a str) -> Option<Self> {
        let text = node.as_str()?;
        let whole = node.range;
        let written = file.get(whole.as_usize()).unwrap_or_default();
        let mut scalar = Self { text, file, whole: node.place(), pieces: Vec::new(), end: 0 };
        if node.alias.is_some() {
            return Some(scalar);
        }
        if written == text {
            scalar.push(0, whole.start, text.len());
        } else if matches!(node.style, Style::SingleQuoted | Style::DoubleQuoted)
            && written.len() == text.len() + 2
            && written.get(1..written.len() - 1) == Some(text)
        {
            scalar.push(0, whole.start + 1, text.len());
        } else if node.style == Style::Literal {
            scalar.lines(written, whole.start);
        }
        Some(scalar)
    }

    fn push(&mut self, at: usize, source: u32, length: usize) {
        self.pieces.push((at as u32, source));
        self.end = (at + length) as u32;
    }

    /// Each line of a literal text is the end of a line in the file.
    fn lines(&mut self, written: &str, start: u32) {
        let mut source = start as usize;
        let mut lines = written.split_inclusive('\n');
        // The line with the indicator.
        source += lines.next().map_or(0, str::len);
        let mut at = 0;
        for line in self.text.split_inclusive('\n') {
            let Some(written) = lines.next() else { return };
            let (content, found) = (line.trim_end_matches('\n'), written.trim_end_matches(['\n', '\r']));
            if found.ends_with(content) {
                self.push(at, (source + found.len() - content.len()) as u32, line.len());
            }
            at += line.len();
            source += written.len();
        }
    }

    /// Where a part of the text stands; the whole of it, where that can't be told.
    pub(super) fn locate(&self, range: TextRange) -> TextRange {
        if self.pieces.is_empty() {
            return self.searched(range).unwrap_or(self.whole);
        }
        let place = |at: u32| {
            let behind = self.pieces.partition_point(|(start, _)| *start <= at);
            let (start, source) = self.pieces.get(behind.checked_sub(1)?)?;
            (at < self.end).then_some(source + (at - start))
        };
        let Some(start) = place(range.start) else { return self.whole };
        let end = if range.is_empty() { Some(start) } else { place(range.end - 1).map(|last| last + 1) };
        end.filter(|end| *end >= start).map_or(self.whole, |end| TextRange::new(start, end))
    }

    /// The same words in the same order as often as they were met before.
    fn searched(&self, range: TextRange) -> Option<TextRange> {
        if self.text.len() > LONGEST_SEARCHED {
            return None;
        }
        let wanted = self.text.get(range.as_usize()).filter(|wanted| !wanted.is_empty())?;
        let met = self.text.get(..range.start as usize)?.matches(wanted).count();
        let written = self.file.get(self.whole.as_usize())?;
        let (at, _) = written.match_indices(wanted).nth(met)?;
        let start = self.whole.start + at as u32;
        Some(TextRange::new(start, start + wanted.len() as u32))
    }
}
