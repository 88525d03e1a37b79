//! Diffs for the eye: which words of a line changed, and the whole file afterwards.

use super::Token;
use super::data::{DiffLine, Edit};

/// A stretch of a line that is shown in one way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// The token's class.
    pub(crate) class: String,
    pub(crate) text: String,
    /// Whether it is what changed.
    pub(crate) is_changed: bool,
}

/// A line of a diff.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    /// `add`, `del` or nothing.
    pub(crate) class: String,
    pub(crate) number: usize,
    pub(crate) sign: char,
    pub(crate) pieces: Vec<Piece>,
}

/// Marks in each changed line the words that changed: a line that goes is compared with the one that comes in its place.
pub(crate) fn rows(lines: &[DiffLine]) -> Vec<Row> {
    let mut rows = Vec::with_capacity(lines.len());
    let mut rest = lines;
    while let Some(first) = rest.first() {
        let removed = rest.iter().take_while(|line| line.class == "del").count();
        let added = rest.iter().skip(removed).take_while(|line| line.class == "add").count();
        if removed == 0 || added == 0 {
            rows.push(row(first, None));
            rest = rest.get(1..).unwrap_or_default();
            continue;
        }
        let (gone, come) = rest.split_at(removed);
        for (index, line) in gone.iter().enumerate() {
            rows.push(row(line, come.get(index).filter(|_| index < added)));
        }
        for (index, line) in come.iter().take(added).enumerate() {
            rows.push(row(line, gone.get(index)));
        }
        rest = rest.get(removed + added..).unwrap_or_default();
    }
    rows
}

fn row(line: &DiffLine, other: Option<&DiffLine>) -> Row {
    let text = |line: &DiffLine| line.tokens.iter().map(|token| token.text.as_str()).collect::<String>();
    let own = text(line);
    // What both have at their starts and ends didn't change.
    let (start, end) = other.map_or((own.len(), own.len()), |other| changed(&own, &text(other)));
    let mut pieces = Vec::new();
    let mut at = 0;
    for Token { class, text } in &line.tokens {
        let mut push = |part: &str, is_changed| {
            if !part.is_empty() {
                pieces.push(Piece { class: class.clone(), text: crate::text::visible_lines(part), is_changed });
            }
        };
        let cut = |offset: usize| offset.saturating_sub(at).min(text.len());
        let (from, to) = (cut(start), cut(end));
        push(text.get(..from).unwrap_or_default(), false);
        push(text.get(from..to).unwrap_or_default(), true);
        push(text.get(to..).unwrap_or_default(), false);
        at += text.len();
    }
    Row { class: line.class.clone(), number: line.number, sign: line.sign, pieces }
}

/// The range of a text, at borders of words, outside of which it is the same as another.
fn changed(own: &str, other: &str) -> (usize, usize) {
    let is_word = |character: char| character.is_alphanumeric() || matches!(character, '_' | '-');
    let alike = own.char_indices().zip(other.chars()).find(|((_, one), two)| one != two).map(|((at, _), _)| at);
    let mut start = alike.unwrap_or_else(|| own.len().min(other.len()));
    while !own.is_char_boundary(start) {
        start -= 1;
    }
    // Back to the word's beginning.
    while let Some(before) = own[..start].chars().next_back().filter(|before| is_word(*before)) {
        start -= before.len_utf8();
    }
    let limit = own.len().min(other.len()).saturating_sub(start);
    let mut tail = 0;
    for (one, two) in own.chars().rev().zip(other.chars().rev()) {
        if one != two || tail + one.len_utf8() > limit {
            break;
        }
        tail += one.len_utf8();
    }
    let mut end = own.len() - tail;
    while let Some(after) = own[end..].chars().next().filter(|after| is_word(*after)) {
        end += after.len_utf8();
    }
    (start, end.max(start))
}

/// A line of a file after a fix.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct WholeLine {
    pub(crate) number: usize,
    pub(crate) text: String,
    /// Whether the fix touches it.
    pub(crate) is_new: bool,
}

/// A file after a fix; nothing if the edits don't fit it.
pub(crate) fn whole(text: &str, edits: &[&Edit]) -> Option<Vec<WholeLine>> {
    let mut edits = edits.to_vec();
    edits.sort_by_key(|edit| (edit.start, edit.end));
    let mut new = String::with_capacity(text.len());
    let mut touched: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    for edit in edits {
        new.push_str(text.get(at..edit.start)?);
        let start = new.len();
        new.push_str(&edit.replacement);
        touched.push((start, new.len()));
        at = text.get(edit.start..edit.end).map(|_| edit.end)?;
    }
    new.push_str(text.get(at..)?);
    let mut start = 0;
    let lines = new.split_inclusive('\n').enumerate().map(|(index, line)| {
        let (from, to) = (start, start + line.len());
        start = to;
        let is_new = touched.iter().any(|(first, last)| *first < to && (*last > from || (first == last && *first >= from)));
        WholeLine { number: index + 1, text: crate::text::visible_lines(line.trim_end_matches(['\n', '\r'])), is_new }
    });
    Some(lines.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(class: &str, text: &str) -> DiffLine {
        let tokens = vec![Token { class: String::new(), text: text.to_owned() }];
        DiffLine { class: class.to_owned(), number: 1, sign: ' ', tokens }
    }

    fn marked(lines: &[DiffLine]) -> Vec<String> {
        let mark = |piece: &Piece| if piece.is_changed { format!("[{}]", piece.text) } else { piece.text.clone() };
        rows(lines).iter().map(|row| row.pieces.iter().map(mark).collect()).collect()
    }

    #[test]
    fn the_words_that_changed_are_marked() {
        let lines = [line("", "a {"), line("del", "  acl = \"public-read\""), line("add", "  acl = \"private\""), line("", "}")];
        assert_eq!(marked(&lines), ["a {", "  acl = \"[public-read]\"", "  acl = \"[private]\"", "}"]);
        assert_eq!(marked(&[line("add", "new")]), ["new"]);
        assert_eq!(marked(&[line("del", "x = 1"), line("add", "x = 12"), line("add", "y")]), ["x = [1]", "x = [12]", "y"]);
        assert_eq!(marked(&[line("del", "é = 1"), line("add", "è = 1")]), ["[é] = 1", "[è] = 1"]);
        assert_eq!(marked(&[line("del", "aa"), line("add", "aaa")]), ["[aa]", "[aaa]"]);
        assert_eq!(marked(&[line("del", ""), line("add", "a")]), ["", "[a]"]);
    }

    #[test]
    fn a_file_is_whole_after_its_fix() {
        let edit = |start, end, replacement: &str| Edit { path: String::new(), start, end, replacement: replacement.to_owned() };
        let lines = whole("a\nb\nc\n", &[&edit(4, 5, "C"), &edit(2, 2, "x\n")]).unwrap();
        let shown: Vec<_> = lines.iter().map(|line| (line.text.as_str(), line.is_new)).collect();
        assert_eq!(shown, [("a", false), ("x", true), ("b", false), ("C", true)]);
        assert!(whole("é", &[&edit(1, 2, "")]).is_none(), "not between characters");
        assert!(whole("a", &[&edit(5, 6, "")]).is_none());
        assert!(whole("abc", &[&edit(0, 2, ""), &edit(1, 3, "")]).is_none(), "they overlap");
    }
}
