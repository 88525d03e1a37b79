//! Words of an instruction that no shell reads: quotes keep white space, the escape character keeps what follows it.

use super::{Escape, LogicalLine};
use crate::source::TextRange;

/// A word as it is written, or an element of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Word {
    /// The text; quotes and escapes are still in it, but for elements of a list.
    pub text: String,
    /// Its bytes.
    pub range: TextRange,
}

/// The words of a line.
pub fn words(line: &LogicalLine, escape: Escape) -> Vec<Word> {
    let mut found = Vec::new();
    let mut at = 0;
    loop {
        at += line.text[at..].len() - line.text[at..].trim_start().len();
        if at >= line.text.len() {
            return found;
        }
        let end = word_end(&line.text, at, escape);
        found.push(Word { text: line.text[at..end].to_owned(), range: line.range(at, end) });
        at = end;
    }
}

/// Where the word that begins at a place ends. A quote that isn't closed goes to the end of the text.
pub(super) fn word_end(text: &str, start: usize, escape: Escape) -> usize {
    let mut quote = None;
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match (quote, byte) {
            _ if is_escaped => is_escaped = false,
            (Some(b'"') | None, _) if byte == escape.byte() => is_escaped = true,
            (Some(opened), _) if byte == opened => quote = None,
            (Some(_), _) => {}
            (None, b'\'' | b'"') => quote = Some(byte),
            (None, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c) => return at,
            (None, _) => {}
        }
    }
    text.len()
}

/// The name of a here-document, if a word announces one, whether it was quoted, and whether tabs are stripped.
///
/// Grammar: `[n]<<[-]name` with nothing else in the word.
pub(super) fn heredoc(word: &str) -> Option<(String, bool, bool)> {
    let rest = word.trim_start_matches(|character: char| character.is_ascii_digit()).strip_prefix("<<")?;
    let (rest, strips_tabs) = rest.strip_prefix('-').map_or((rest, false), |rest| (rest, true));
    if rest.is_empty() || rest.contains('<') {
        return None;
    }
    let name: String = rest.chars().filter(|character| !matches!(character, '\'' | '"' | '\\')).collect();
    (!name.is_empty()).then(|| {
        let is_quoted = name.len() != rest.len();
        (name, is_quoted, strips_tabs)
    })
}

/// The names of the parameters that a text refers to: `$name` and `${name…}`.
pub fn parameter_names(text: &str) -> impl Iterator<Item = &str> {
    text.match_indices('$').filter_map(|(at, _)| {
        let rest = &text[at + 1..];
        let rest = rest.strip_prefix('{').unwrap_or(rest);
        let length = rest.bytes().take_while(|byte| *byte == b'_' || byte.is_ascii_alphanumeric()).count();
        (length > 0).then(|| &rest[..length])
    })
}
