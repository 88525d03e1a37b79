//! Keeps what looks like a secret out of shown fixes.

use std::ops::Range;

use keyblind_fix::TextEdit;
use keyblind_scan::redact;
use keyblind_syntax::TextRange;
use similar::{Algorithm, DiffOp, TextDiff, capture_diff_slices};

/// Shorter texts may stand elsewhere by chance.
const SHORTEST_COPY: usize = 4;

/// The two texts of a file with `*` in place of every byte of a secret, and the plain new one.
pub(super) struct Masked<'t> {
    pub(super) old: String,
    pub(super) new: String,
    plain: &'t str,
}

/// Masks both texts: what looks like a secret in either, and what `hidden` names in the old one and is still in the new one,
/// there or elsewhere.
pub(super) fn masked<'t>(old: &str, new: &'t str, edits: &[TextEdit], hidden: &[TextRange]) -> Masked<'t> {
    let fine = fine(edits);
    let mut kept: Vec<TextRange> = hidden.iter().flat_map(|range| kept(range.as_usize(), &fine)).collect();
    for text in hidden.iter().filter_map(|range| old.get(range.as_usize())).map(|text| text.trim_matches('"')) {
        if text.len() >= SHORTEST_COPY {
            kept.extend(new.match_indices(text).map(|(at, text)| range(at..at + text.len())));
        }
    }
    Masked { old: redact::source(old, hidden), new: redact::source(new, &kept), plain: new }
}

fn range(bytes: Range<usize>) -> TextRange {
    let offset = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
    TextRange::new(offset(bytes.start), offset(bytes.end))
}

/// The edits, taken apart into the words that differ: the range that goes, and how many bytes come.
fn fine(edits: &[TextEdit]) -> Vec<(Range<usize>, usize)> {
    let of_edit = |edit: &TextEdit| {
        let start = edit.start;
        apart(&edit.was, &edit.text).into_iter().map(move |(old, new)| (start + old.start..start + old.end, new.len()))
    };
    edits.iter().flat_map(of_edit).collect()
}

/// Where the parts of a range of the old text that no edit touches are in the new one.
fn kept(hidden: Range<usize>, edits: &[(Range<usize>, usize)]) -> Vec<TextRange> {
    let mut parts = Vec::new();
    let (mut done, mut gone, mut come) = (hidden.start, 0, 0);
    for (old, new) in edits {
        if old.start >= hidden.end {
            break;
        }
        if old.start > done {
            parts.push(range(done + come - gone..old.start + come - gone));
        }
        done = done.max(old.end);
        gone += old.len();
        come += new;
    }
    if done < hidden.end {
        parts.push(range(done + come - gone..hidden.end + come - gone));
    }
    parts
}

/// The edits as they may be shown: ranges of the old text, and what comes there. An edit that would repeat a secret is taken
/// apart into those of its words that differ; `None` if that doesn't help.
pub(super) fn shown(edits: &[TextEdit], masked: &Masked<'_>) -> Option<Vec<(Range<usize>, String)>> {
    let mut shown = Vec::new();
    // Where the edit is in the new text.
    let mut shift = 0_isize;
    for edit in edits {
        let start = edit.start.checked_add_signed(shift)?;
        let is_plain = |range: Range<usize>| masked.new.get(range.clone()) == masked.plain.get(range);
        if is_plain(start..start + edit.text.len()) {
            shown.push((edit.start..edit.end, edit.text.clone()));
        } else {
            for (old, new) in apart(&edit.was, &edit.text) {
                if !is_plain(start + new.start..start + new.end) {
                    return None;
                }
                shown.push((edit.start + old.start..edit.start + old.end, edit.text[new].to_owned()));
            }
        }
        shift += isize::try_from(edit.text.len()).ok()? - isize::try_from(edit.end - edit.start).ok()?;
    }
    Some(shown)
}

/// The ranges of two texts that differ. Lines that are the same but for their blanks (columns that moved) differ in blanks
/// only, other lines in their words.
fn apart(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let (old_lines, new_lines) = (lines(old), lines(new));
    let words = |text: &str, lines: &[Range<usize>]| -> Vec<String> {
        lines.iter().map(|line| text[line.clone()].split_whitespace().collect::<Vec<_>>().join(" ")).collect()
    };
    let ops = capture_diff_slices(Algorithm::Myers, &words(old, &old_lines), &words(new, &new_lines));
    let bytes = |lines: &[Range<usize>], range: Range<usize>, end: usize| {
        let start = lines.get(range.start).map_or(end, |line| line.start);
        start..range.end.checked_sub(1).and_then(|last| lines.get(last)).map_or(start, |line| line.end).max(start)
    };
    let mut differing = Vec::new();
    for op in ops {
        let (old_range, new_range) = (op.old_range(), op.new_range());
        if matches!(op, DiffOp::Equal { .. }) {
            for (a, b) in old_lines[old_range].iter().zip(&new_lines[new_range]) {
                let pairs = blanks(old, a).into_iter().zip(blanks(new, b));
                differing.extend(pairs.filter(|(a, b)| old[a.clone()] != new[b.clone()]));
            }
        } else {
            let (a, b) = (bytes(&old_lines, old_range, old.len()), bytes(&new_lines, new_range, new.len()));
            let moved = |range: Range<usize>, by: usize| range.start + by..range.end + by;
            let words = differing_words(&old[a.clone()], &new[b.clone()]).into_iter();
            differing.extend(words.map(|(old, new)| (moved(old, a.start), moved(new, b.start))));
        }
    }
    differing
}

/// The lines of a text with their ends.
fn lines(text: &str) -> Vec<Range<usize>> {
    let mut start = 0;
    let line = |line: &str| {
        start += line.len();
        start - line.len()..start
    };
    text.split_inclusive('\n').map(line).collect()
}

/// What stands before, between and behind the words of a line, each perhaps nothing.
fn blanks(text: &str, line: &Range<usize>) -> Vec<Range<usize>> {
    let mut blanks = Vec::new();
    let mut done = line.start;
    for word in text[line.clone()].split_whitespace() {
        // Words come in order, so that each is found behind the one before.
        let start = text[done..line.end].find(word).map_or(done, |at| done + at);
        blanks.push(done..start);
        done = start + word.len();
    }
    blanks.push(done..line.end);
    blanks
}

/// The ranges of two texts in which their words differ.
fn differing_words(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
    let diff = TextDiff::from_words(old, new);
    let starts = |lengths: Vec<usize>| {
        lengths.iter().fold(vec![0], |mut starts, length| {
            starts.push(starts.last().copied().unwrap_or(0) + length);
            starts
        })
    };
    let (mut old_lengths, mut new_lengths) = (Vec::new(), Vec::new());
    for change in diff.iter_all_changes() {
        if change.old_index().is_some() {
            old_lengths.push(change.value().len());
        }
        if change.new_index().is_some() {
            new_lengths.push(change.value().len());
        }
    }
    let (old_starts, new_starts) = (starts(old_lengths), starts(new_lengths));
    let bytes = |starts: &[usize], range: Range<usize>| starts[range.start]..starts[range.end];
    let differing = diff.ops().iter().filter(|op| !matches!(op, DiffOp::Equal { .. }));
    differing.map(|op| (bytes(&old_starts, op.old_range()), bytes(&new_starts, op.new_range()))).collect()
}

#[cfg(test)]
mod tests {
    use keyblind_fix::FileEdit;

    use super::*;

    fn check(old: &str, new: &str, hidden: &[TextRange]) -> Option<Vec<(Range<usize>, String)>> {
        let edits = FileEdit::between("a.tf", old, new).edits;
        let shown = shown(&edits, &masked(old, new, &edits, hidden))?;
        let mut made = old.to_owned();
        shown.iter().rev().for_each(|(range, text)| made.replace_range(range.clone(), text));
        assert_eq!(made, new);
        Some(shown)
    }

    #[test]
    fn an_edit_beside_a_secret_does_not_repeat_it() {
        let old = "a {\n  password = \"hunter2\"\n  public = true\n}\n";
        let new = "a {\n  password            = \"hunter2\"\n  public              = false\n  deletion_protection = true\n}\n";
        let shown = check(old, new, &[]).expect("it can be shown");
        assert!(shown.iter().all(|(_, text)| !text.contains("hunter2")), "{shown:?}");
        let edits = FileEdit::between("a.tf", old, new).edits;
        assert!(edits.iter().any(|edit| edit.text.contains("hunter2")), "the fix itself does");
        let masked = masked(old, new, &edits, &[]);
        assert!(!masked.old.contains("hunter2") && !masked.new.contains("hunter2"));
    }

    #[test]
    fn a_column_that_moves_moves_by_its_blanks() {
        let line = |name: &str, value: &str, width: usize| format!("  {name:width$} = {value}\n");
        let block = |width: usize, more: &str| {
            let lines = [("name", "\"a\""), ("version", "\"12.0\""), ("login", "\"someone\""), ("login_password", "\"hunter2 = it\"")];
            let lines: String = lines.iter().map(|(name, value)| line(name, value, width)).collect();
            format!("a \"b\" {{\n{lines}{more}  tags = {{\n    x = 1\n  }}\n}}\n")
        };
        let (old, new) = (block(14, ""), block(21, "  public_network_access = false\n"));
        let shown = check(&old, &new, &[]).expect("it can be shown");
        assert!(shown.iter().all(|(_, text)| !text.contains("hunter2")), "{shown:?}");
        assert_eq!(shown.iter().filter(|(_, text)| !text.trim().is_empty()).count(), 1, "{shown:?}");
    }

    #[test]
    fn texts_are_taken_apart_and_put_together_again() {
        for (old, new) in [
            ("", "a b\nc"),
            ("a b\nc", ""),
            ("a  b\n c d", "x\na b\r\n\tc e\n"),
            ("ä ö\u{a0}ü\n", "ä  ö ü"),
            ("a a a\n", "a  a\ta\n\n\n"),
            ("same\n", "same\n"),
        ] {
            let mut made = old.to_owned();
            for (from, to) in apart(old, new).into_iter().rev() {
                made.replace_range(from, &new[to]);
            }
            assert_eq!(made, new, "{old:?}");
        }
    }

    #[test]
    fn a_secret_that_an_edit_writes_is_withheld() {
        assert_eq!(check("a {\n}\n", "a {\n  password = \"hunter2\"\n}\n", &[]), None);
        let plain = check("password = \"hunter2\"\n", "password = var.password\n", &[]);
        assert_eq!(plain, Some(vec![(11..20, "var.password".to_owned())]));
    }

    #[test]
    fn what_evidence_hides_stays_hidden_where_it_moves() {
        let old = "x = 1\nuser_data = \"export A=hunter2\"\ny = 1\n";
        let new = "x = 100\nz = 1\nuser_data = \"export A=hunter2\"\ny = 2\n";
        let at = old.find("\"export").expect("it is there") as u32;
        let hidden = [TextRange::new(at, at + 18)];
        let edits = FileEdit::between("a.tf", old, new).edits;
        let masked = masked(old, new, &edits, &hidden);
        assert!(!masked.new.contains("hunter2") && masked.new.contains("user_data = ***"), "{}", masked.new);
        assert!(masked.new.contains("x = 100\nz = 1\n") && masked.new.contains("y = 2"), "{}", masked.new);
        // What takes its place is no secret; a copy of it is.
        let new = "x = 1\nuser_data = file(\"init.sh\")\ny = 1\n";
        assert_eq!(check(old, new, &hidden).map(|shown| shown.len()), Some(1));
        let new = "x = 1\nuser_data = \"export A=hunter2\"\ny = 1\nother = \"export A=hunter2\"\n";
        assert_eq!(check(old, new, &hidden), None);
    }
}
