//! The changed lines of a file, in groups with the lines around them.

use std::fmt::Write;

use similar::{ChangeTag, TextDiff};

use crate::words;

/// Lines around a change.
const CONTEXT: usize = 3;

/// Changed lines that stand near one another, and the lines around them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    /// Its lines, in order.
    pub lines: Vec<Line>,
}

/// One line of a hunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What becomes of it.
    pub tag: Tag,
    /// Its number before the change, from 1, if it was there.
    pub old: Option<usize>,
    /// Its number afterwards, if it is there.
    pub new: Option<usize>,
    /// Its text with its line end, if it has one.
    pub text: String,
}

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// It stays.
    Kept,
    /// It goes.
    Removed,
    /// It comes.
    Added,
}

impl Tag {
    /// The sign that a diff begins such a line with.
    pub fn sign(self) -> char {
        match self {
            Self::Kept => ' ',
            Self::Removed => '-',
            Self::Added => '+',
        }
    }
}

impl Line {
    /// Its text without its line end.
    pub fn content(&self) -> &str {
        self.text.trim_end_matches(['\n', '\r'])
    }
}

/// Compares two texts.
pub(super) fn of(old: &str, new: &str) -> Vec<Hunk> {
    let diff = TextDiff::from_lines(old, new);
    let hunks = diff.grouped_ops(CONTEXT).into_iter().map(|group| {
        let lines = group.iter().flat_map(|op| diff.iter_changes(op)).map(|change| Line {
            tag: match change.tag() {
                ChangeTag::Equal => Tag::Kept,
                ChangeTag::Delete => Tag::Removed,
                ChangeTag::Insert => Tag::Added,
            },
            old: change.old_index().map(|index| index + 1),
            new: change.new_index().map(|index| index + 1),
            text: change.value().to_owned(),
        });
        Hunk { lines: lines.collect() }
    });
    hunks.collect()
}

impl Hunk {
    /// The lines with at most so many unchanged ones around the changed ones.
    pub fn near(&self, context: usize) -> &[Line] {
        let is_changed = |line: &Line| line.tag != Tag::Kept;
        let first = self.lines.iter().position(is_changed).unwrap_or(0);
        let last = self.lines.iter().rposition(is_changed).map_or(0, |last| last + 1);
        &self.lines[first.saturating_sub(context)..(last + context).min(self.lines.len())]
    }

    /// The lines of the file that a suggestion for this hunk replaces, from 1, and what it puts there. What only adds lines
    /// is attached to the line above, for there is no place between two lines to attach it to.
    pub fn suggestion(&self) -> Option<(std::ops::RangeInclusive<usize>, String)> {
        let lines = self.near(0);
        let old = || lines.iter().filter_map(|line| line.old);
        let mut text = String::new();
        let range = match (old().next(), old().next_back()) {
            (Some(first), Some(last)) => first..=last,
            _ => {
                let first = self.lines.iter().position(|line| line.tag != Tag::Kept)?;
                let above = self.lines.get(first.checked_sub(1)?)?;
                text.push_str(&above.text);
                above.old?..=above.old?
            }
        };
        lines.iter().filter(|line| line.tag != Tag::Removed).for_each(|line| text.push_str(&line.text));
        Some((range, text))
    }
}

/// The hunks as `git diff` writes them, so that `git apply` takes them where nothing is masked. What steers terminals is
/// replaced.
pub(crate) fn patch(path: &str, hunks: &[Hunk]) -> String {
    let path = words::clean(path);
    let mut text = format!("--- a/{path}\n+++ b/{path}\n");
    for hunk in hunks {
        let side = |number: fn(&Line) -> Option<usize>| {
            let count = hunk.lines.iter().filter_map(number).count();
            // A side without lines names the line before it, which is the last of the other hunks' context or none.
            let start = hunk.lines.iter().find_map(number).unwrap_or(0);
            if count == 1 { start.to_string() } else { format!("{start},{count}") }
        };
        // Writing to a text can't fail.
        let _ = writeln!(text, "@@ -{} +{} @@", side(|line| line.old), side(|line| line.new));
        for line in &hunk.lines {
            let end = &line.text[line.content().len()..];
            let _ = write!(text, "{}{}{end}", line.tag.sign(), words::clean_line(line.content()));
            if !line.text.ends_with('\n') {
                text.push_str("\n\\ No newline at end of file\n");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_patch_is_what_git_reads() {
        let (old, new) = ("a {\n  b = 1\n}\n", "a {\n  b = 2\n}\n");
        assert_eq!(patch("a.tf", &of(old, new)), "--- a/a.tf\n+++ b/a.tf\n@@ -1,3 +1,3 @@\n a {\n-  b = 1\n+  b = 2\n }\n");
        assert!(patch("a", &of("a", "b")).ends_with("-a\n\\ No newline at end of file\n+b\n\\ No newline at end of file\n"));
        assert!(patch("a", &of("", "b\n")).contains("@@ -0,0 +1 @@\n+b\n"));
    }

    #[test]
    fn a_suggestion_replaces_whole_lines_and_is_attached_to_one() {
        let suggestion = |old: &str, new: &str| of(old, new)[0].suggestion();
        assert_eq!(suggestion("a\nb\nc\nd\n", "a\nB\nc\nD\n"), Some((2..=4, "B\nc\nD\n".to_owned())));
        assert_eq!(suggestion("a\nc\n", "a\nb\nc\n"), Some((1..=1, "a\nb\n".to_owned())));
        assert_eq!(suggestion("a\nb\n", "b\n"), Some((1..=1, String::new())));
        assert_eq!(suggestion("c\n", "b\nc\n"), None, "there is no line above");
    }
}
