//! Edits: ranges of bytes of the original text, and what takes their place.

use keyblind_syntax::TextRange;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use similar::{DiffOp, TextDiff};

/// One range of a text and what stands there afterwards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextEdit {
    /// Offset of the first byte that goes.
    pub start: usize,
    /// Offset behind the last byte that goes.
    pub end: usize,
    /// What stood there before.
    pub was: String,
    /// What comes in its place.
    pub text: String,
}

/// The edits of one file, in order, none overlapping another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileEdit {
    /// The file, relative to the trust root.
    pub path: String,
    /// The SHA-256 of the text that the ranges count in, in hexadecimal digits.
    pub digest: String,
    /// The edits.
    pub edits: Vec<TextEdit>,
}

/// Why edits can't be applied to a text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The text isn't the one that they were made for.
    #[error("`{0}` isn't the text that this fix was made for: scan again")]
    OtherText(String),
    /// A range doesn't lie in the text, or overlaps the one before it.
    #[error("the edits of `{0}` don't fit its text")]
    Misplaced(String),
}

/// The SHA-256 of a text in hexadecimal digits.
pub fn digest(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl FileEdit {
    /// The edits that make `new` of `old`, as small as whole words allow.
    pub fn between(path: &str, old: &str, new: &str) -> Self {
        let lines = TextDiff::from_lines(old, new);
        let (old_starts, new_starts) = (line_starts(old), line_starts(new));
        let mut edits = Vec::new();
        for op in lines.ops() {
            let (old_lines, new_lines) = match op {
                DiffOp::Equal { .. } => continue,
                op => (op.old_range(), op.new_range()),
            };
            let pairs = old_lines.len() == new_lines.len() && old_lines.len() > 1;
            let mut add = |old_lines: std::ops::Range<usize>, new_lines: std::ops::Range<usize>| {
                let from = old_starts[old_lines.start]..old_starts[old_lines.end];
                let to = &new[new_starts[new_lines.start]..new_starts[new_lines.end]];
                edits.extend(trimmed(old, from, to));
            };
            if pairs {
                for (a, b) in old_lines.zip(new_lines) {
                    add(a..a + 1, b..b + 1);
                }
            } else {
                add(old_lines, new_lines);
            }
        }
        Self { path: path.to_owned(), digest: digest(old), edits }
    }

    /// The text with the edits.
    ///
    /// # Errors
    /// If the text is another one, or the ranges don't lie in it in order.
    pub fn apply(&self, old: &str) -> Result<String, EditError> {
        if digest(old) != self.digest {
            return Err(EditError::OtherText(self.path.clone()));
        }
        let misplaced = || EditError::Misplaced(self.path.clone());
        let mut new = String::with_capacity(old.len());
        let mut done = 0;
        for edit in &self.edits {
            new.push_str(old.get(done..edit.start).ok_or_else(misplaced)?);
            if old.get(edit.start..edit.end) != Some(&*edit.was) {
                return Err(misplaced());
            }
            new.push_str(&edit.text);
            done = edit.end;
        }
        new.push_str(old.get(done..).ok_or_else(misplaced)?);
        Ok(new)
    }

    /// The text that the edits were made for, of the text that they made.
    ///
    /// # Errors
    /// If the text isn't what they make.
    pub fn undo(&self, new: &str) -> Result<String, EditError> {
        let misplaced = || EditError::Misplaced(self.path.clone());
        let mut old = String::with_capacity(new.len());
        // Where one is in the new text; edits move what stands behind them.
        let mut done = 0;
        for edit in &self.edits {
            let start = done + edit.start.checked_sub(old.len()).ok_or_else(misplaced)?;
            old.push_str(new.get(done..start).ok_or_else(misplaced)?);
            done = start + edit.text.len();
            if new.get(start..done) != Some(&*edit.text) {
                return Err(misplaced());
            }
            old.push_str(&edit.was);
        }
        old.push_str(new.get(done..).ok_or_else(misplaced)?);
        if digest(&old) == self.digest { Ok(old) } else { Err(EditError::OtherText(self.path.clone())) }
    }
}

/// A text with ranges replaced; `None` if two of them overlap.
pub(crate) fn spliced(old: &str, mut splices: Vec<(TextRange, String)>) -> Option<String> {
    splices.sort_by_key(|(range, _)| (range.start, range.end));
    let mut new = String::with_capacity(old.len() + 256);
    let mut done = 0;
    for (range, text) in &splices {
        let range = range.as_usize();
        new.push_str(old.get(done..range.start)?);
        new.push_str(text);
        done = range.end;
    }
    new.push_str(old.get(done..)?);
    Some(new)
}

/// Where lines begin, as the diff counts them, and where the text ends.
fn line_starts(text: &str) -> Vec<usize> {
    let mut starts = vec![0];
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        at += line.len();
        starts.push(at);
    }
    starts
}

/// An edit without what stays at its ends; words stay whole.
fn trimmed(old: &str, range: std::ops::Range<usize>, to: &str) -> Option<TextEdit> {
    let from = &old[range.clone()];
    if from == to {
        return None;
    }
    let same_start =
        from.char_indices().zip(to.chars()).take_while(|((_, a), b)| a == b).last().map_or(0, |((at, a), _)| at + a.len_utf8());
    let is_word = |character: char| character.is_alphanumeric() || "_-.:/".contains(character);
    let mut start = same_start;
    while start > 0 && from[..start].chars().next_back().is_some_and(is_word) {
        start -= from[..start].chars().next_back().map_or(1, char::len_utf8);
    }
    let (from_rest, to_rest) = (&from[start..], &to[start..]);
    let same_end: usize = from_rest.chars().rev().zip(to_rest.chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let mut end = from_rest.len() - same_end;
    while end < from_rest.len() && from_rest[end..].chars().next().is_some_and(is_word) {
        end += from_rest[end..].chars().next().map_or(1, char::len_utf8);
    }
    let text = to_rest[..to_rest.len() - (from_rest.len() - end)].to_owned();
    let was = from_rest[..end].to_owned();
    Some(TextEdit { start: range.start + start, end: range.start + start + end, was, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(old: &str, new: &str) -> FileEdit {
        let edit = FileEdit::between("a.tf", old, new);
        assert_eq!(edit.apply(old).as_deref(), Ok(new));
        assert_eq!(edit.undo(new).as_deref(), Ok(old));
        edit
    }

    #[test]
    fn only_the_word_that_differs_is_replaced() {
        let edit = check("a {\n  acl = \"public-read\" # why\n}\n", "a {\n  acl = \"private\" # why\n}\n");
        assert_eq!(edit.edits, [TextEdit { start: 13, end: 24, was: "public-read".into(), text: "private".into() }]);
    }

    #[test]
    fn lines_that_come_and_go_are_whole() {
        let edit = check("a {\n  b = 1\n}\n", "a {\n  b = 1\n  c = 2\n}\n");
        assert_eq!(edit.edits, [TextEdit { start: 12, end: 12, was: String::new(), text: "  c = 2\n".into() }]);
        check("a\r\nb\r\n", "a\r\n");
        check("", "x");
        check("x", "");
        check("ä = \"ö\"", "ä = \"ü\"");
    }

    #[test]
    fn another_text_is_refused() {
        let edit = FileEdit::between("a.tf", "a", "b");
        assert_eq!(edit.apply("c"), Err(EditError::OtherText("a.tf".into())));
        assert_eq!(edit.undo("c"), Err(EditError::Misplaced("a.tf".into())));
        for (start, end, was) in [(2, 9, "c"), (0, 1, "b"), (2, 1, "")] {
            let edits = vec![TextEdit { start, end, was: was.into(), text: String::new() }];
            let wrong = FileEdit { digest: digest("abc"), edits, path: "a".into() };
            assert_eq!(wrong.apply("abc"), Err(EditError::Misplaced("a".into())));
        }
    }
}
