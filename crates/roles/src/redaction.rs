//! Placeholders in the place of secrets and personal data.
//!
//! A placeholder is typed (`⟦SECRET_1⟧`, `⟦EMAIL_2⟧`), stands for one value in one file, and is numbered through all files of a question, so
//! that one which turns up in another file is known to be foreign there. Where a text already holds the sign that they begin with, they get a
//! mark that no text of the question holds.

mod detection;

use std::collections::BTreeMap;
use std::ops::Range;

pub use self::detection::{Kind, found};

const OPEN: char = '⟦';
const CLOSE: char = '⟧';
/// Shorter values aren't looked for in what comes back: they stand in words by chance.
const SHORTEST_KNOWN: usize = 5;
/// What is put where something that looks like a secret comes back.
const LEFT_OUT: &str = "(left out)";

/// Replaces and restores, for the files of one question.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    /// What stands between the sign and the name.
    mark: String,
    counts: BTreeMap<Kind, usize>,
    files: BTreeMap<String, File>,
}

/// The placeholders of one file.
#[derive(Clone, Debug, Default)]
struct File {
    /// By value.
    tokens: BTreeMap<String, String>,
    /// By placeholder.
    values: BTreeMap<String, String>,
}

/// Why a text can't be given back to its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// It holds a placeholder of another file, or one that there never was.
    #[error("it uses a placeholder that isn't one of this file's")]
    Foreign,
    /// A line with a placeholder is different from what it was: what the placeholder stands for would get elsewhere.
    #[error("it moves what a placeholder stands for")]
    Moved,
    /// It writes down something that looks like a credential.
    #[error("it holds something that looks like a secret")]
    Secret,
}

impl Redactor {
    /// Chooses placeholders that none of these texts holds already.
    pub fn new<'t>(texts: impl IntoIterator<Item = &'t str>) -> Self {
        let texts: Vec<&str> = texts.into_iter().collect();
        let holds = |sought: &str| texts.iter().any(|text| text.contains(sought));
        let is_free = |mark: &String| mark.is_empty() && !holds(&OPEN.to_string()) || !mark.is_empty() && !holds(&format!("{OPEN}{mark}"));
        // As many marks as there are texts' signs can be taken; one more is free.
        let signs: usize = texts.iter().map(|text| text.matches(OPEN).count()).sum();
        let mark = (0..=signs + 1).map(|number| if number == 0 { String::new() } else { format!("{number}:") }).find(is_free);
        Self { mark: mark.unwrap_or_default(), ..Self::default() }
    }

    /// A file's text with placeholders, and where its own ranges are afterwards. `hidden` are ranges that are known to be secret.
    pub fn file(&mut self, path: &str, text: &str, hidden: &[Range<usize>]) -> Redacted {
        let mut pieces = Vec::new();
        let mut redacted = String::with_capacity(text.len());
        let mut done = 0;
        for (range, kind) in found(text, hidden) {
            redacted.push_str(&text[done..range.start]);
            let start = redacted.len();
            redacted.push_str(&self.token(path, &text[range.clone()], kind));
            pieces.push((range.clone(), start..redacted.len()));
            done = range.end;
        }
        redacted.push_str(&text[done..]);
        Redacted { text: redacted, pieces }
    }

    fn token(&mut self, path: &str, value: &str, kind: Kind) -> String {
        let file = self.files.entry(path.to_owned()).or_default();
        if let Some(token) = file.tokens.get(value) {
            return token.clone();
        }
        let number = self.counts.entry(kind).or_default();
        *number += 1;
        let token = format!("{OPEN}{}{}_{number}{CLOSE}", self.mark, kind.name());
        file.tokens.insert(value.to_owned(), token.clone());
        file.values.insert(token.clone(), value.to_owned());
        token
    }

    /// A text of ours or a model's, without what was replaced in any file and without anything else that looks like a secret or is somebody's.
    #[must_use]
    pub fn prose(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut known: Vec<(&String, &String)> = self.files.values().flat_map(|file| &file.tokens).collect();
        // What is a part of another is replaced after it.
        known.sort_by_key(|(value, _)| std::cmp::Reverse(value.len()));
        for (value, token) in known.into_iter().filter(|(value, _)| value.trim().len() >= SHORTEST_KNOWN) {
            text = text.replace(value.as_str(), token);
            // A value of several lines comes back on one, or in pieces.
            for line in value.lines().map(str::trim).filter(|line| line.len() >= 16) {
                text = text.replace(line, token);
            }
        }
        let mut shown = String::with_capacity(text.len());
        let mut done = 0;
        for (range, _) in found(&text, &[]) {
            shown.push_str(&text[done..range.start]);
            shown.push_str(LEFT_OUT);
            done = range.end;
        }
        shown.push_str(&text[done..]);
        shown
    }

    /// A text that was made of a file's redacted one, with the values in the place of its placeholders.
    ///
    /// # Errors
    /// If it uses placeholders otherwise than the redacted text did, or writes down a secret.
    pub fn restore(&self, path: &str, before: &str, after: &str) -> Result<String, RestoreError> {
        let empty = File::default();
        let file = self.files.get(path).unwrap_or(&empty);
        let mut lines: BTreeMap<&str, usize> = BTreeMap::new();
        for line in before.lines() {
            *lines.entry(line.trim()).or_default() += 1;
        }
        for line in after.lines().filter(|line| line.contains([OPEN, CLOSE])) {
            // A sign that stood there before is the file's own.
            match lines.get_mut(line.trim()) {
                Some(count) if *count > 0 => *count -= 1,
                _ if tokens(line).iter().any(|token| !file.values.contains_key(*token)) || tokens(line).is_empty() => {
                    return Err(RestoreError::Foreign);
                }
                _ => return Err(RestoreError::Moved),
            }
        }
        let known = found(before, &[]).len();
        if found(after, &[]).len() > known {
            return Err(RestoreError::Secret);
        }
        let mut restored = String::with_capacity(after.len());
        let mut rest = after;
        while let Some(at) = rest.find(OPEN) {
            restored.push_str(&rest[..at]);
            rest = &rest[at..];
            let end = rest.find(CLOSE).map_or(OPEN.len_utf8(), |end| end + CLOSE.len_utf8());
            match file.values.get(&rest[..end]) {
                Some(value) => {
                    restored.push_str(value);
                    rest = &rest[end..];
                }
                None => {
                    restored.push(OPEN);
                    rest = &rest[OPEN.len_utf8()..];
                }
            }
        }
        restored.push_str(rest);
        Ok(restored)
    }
}

/// Everything in a line that has the form of a placeholder.
fn tokens(line: &str) -> Vec<&str> {
    let starts = line.match_indices(OPEN).map(|(at, _)| at);
    starts.filter_map(|at| Some(&line[at..at + line[at..].find(CLOSE)? + CLOSE.len_utf8()])).collect()
}

/// A file's text with placeholders.
#[derive(Clone, Debug)]
pub struct Redacted {
    /// The text.
    pub text: String,
    /// What was replaced: the range in the file, and that of the placeholder.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl Redacted {
    /// A range of the file, which is made larger where it cuts what was replaced, and where that is in the redacted text.
    #[must_use]
    pub fn within(&self, range: Range<usize>) -> (Range<usize>, Range<usize>) {
        let mut range = range;
        for (old, _) in &self.pieces {
            if old.start < range.end && range.start < old.end {
                range = range.start.min(old.start)..range.end.max(old.end);
            }
        }
        let moved = |offset: usize| {
            let before = self.pieces.iter().take_while(|(old, _)| old.end <= offset);
            match before.last() {
                Some((old, new)) => new.end + (offset - old.end),
                None => offset,
            }
        };
        let new = moved(range.start)..moved(range.end);
        (range, new)
    }
}
