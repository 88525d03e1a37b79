//! Keeps what looks like a secret out of shown fixes.

use std::ops::Range;

use keyblind_fix::TextEdit;
use keyblind_scan::redact;
use keyblind_syntax::TextRange;
use similar::{DiffOp, TextDiff};

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

/// The ranges of two texts in which their words differ.
fn apart(old: &str, new: &str) -> Vec<(Range<usize>, Range<usize>)> {
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
