//! Words that come: each stands in the files already, or in the rule.

use std::collections::BTreeSet;

use keyblind_dialects::recognise;
use keyblind_dialects::terraform::{is_configuration, is_variables_file};
use keyblind_resource::Dialect;
use keyblind_rules::dialect_of;
use keyblind_syntax::{TextRange, dockerfile, hcl, yaml};
use similar::{ChangeTag, TextDiff};

use super::Proposed;
use crate::instantiate::is_made_up;
use crate::proof::{Check, Disproof};

/// Words that mean the same everywhere.
const COMMON: &[&str] = &["true", "false", "null"];

/// What separates words.
fn separates(character: char) -> bool {
    character.is_whitespace() || "\"'`,;(){}[]<>=!?&|+*%\\".contains(character)
}

/// The words and quoted texts that are known.
#[derive(Default)]
struct Known {
    words: BTreeSet<String>,
    quoted: BTreeSet<String>,
    /// Words of the file itself: only these may name a place, an account or a person.
    own: BTreeSet<String>,
}

impl Known {
    fn add(&mut self, text: &str, is_own: bool) {
        for word in text.split(separates).filter(|word| !word.is_empty()) {
            for form in forms(word) {
                self.words.insert(form.to_owned());
                if is_own {
                    self.own.insert(form.to_owned());
                }
            }
        }
        text.lines().for_each(|line| self.quoted.extend(quoted(line).into_iter().map(str::to_owned)));
    }

    fn holds(&self, word: &str) -> bool {
        let bare = bare(word);
        if bare.is_empty() || COMMON.contains(&bare) {
            return true;
        }
        if is_place(bare) {
            return self.own.contains(bare) || self.words.contains(bare) && !is_made_up(bare);
        }
        self.words.contains(bare)
    }
}

/// A word, and it without the signs that stand around one.
fn forms(word: &str) -> [&str; 2] {
    [word, bare(word)]
}

fn bare(word: &str) -> &str {
    word.trim_matches(|character: char| matches!(character, ':' | '.' | '-' | '$' | '#' | '~'))
}

/// Whether a word names a place, an account or a person.
fn is_place(word: &str) -> bool {
    let host = word.split(['/', ':']).next().unwrap_or_default();
    let is_host = host.contains('.')
        && host.rsplit('.').next().is_some_and(|end| end.len() >= 2 && end.bytes().all(|byte| byte.is_ascii_alphabetic()));
    is_made_up(word) || is_host && !host.contains('_') && host.matches('.').count() >= 2 || word.contains("://") || word.contains('@')
}

/// The texts between double quotes on a line.
fn quoted(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut open, mut is_escaped) = (None, false);
    for (at, byte) in line.bytes().enumerate() {
        match (byte, open) {
            _ if is_escaped => is_escaped = false,
            (b'\\', Some(_)) => is_escaped = true,
            (b'"', None) => open = Some(at + 1),
            (b'"', Some(start)) => {
                found.extend(line.get(start..at));
                open = None;
            }
            _ => {}
        }
    }
    found
}

/// A text without its comments, in which anybody may have written anything.
fn without_comments(path: &str, text: &str) -> String {
    let comments: Vec<TextRange> = if is_configuration(path) || is_variables_file(path) {
        hcl::parse(text).comments.iter().map(|comment| comment.range).collect()
    } else if recognise(path, text) == Some(Dialect::Dockerfile) {
        dockerfile::parse(text).comments
    } else {
        yaml::parse(text).comments
    };
    let mut kept = String::with_capacity(text.len());
    let mut done = 0;
    for comment in comments {
        let range = comment.as_usize();
        if range.start >= done {
            kept.push_str(text.get(done..range.start).unwrap_or_default());
            kept.push(' ');
            done = range.end;
        }
    }
    kept.push_str(text.get(done..).unwrap_or_default());
    kept
}

/// Every word of the lines that come is known, and every quoted text as a whole.
pub(crate) fn check(proposed: &Proposed<'_>) -> Result<(), Disproof> {
    let (old, new) = proposed.texts;
    let mut known = Known::default();
    for (_, file) in proposed.before.sources.iter().filter(|(_, file)| *file.path != *proposed.path) {
        known.add(&without_comments(&file.path, &file.text), false);
    }
    known.add(&without_comments(proposed.path, old), true);
    let (meta, docs) = (proposed.table.meta(proposed.rule), proposed.table.docs(proposed.rule));
    known.add(&docs.fix, false);
    known.add(&meta.title, false);
    for set in docs.examples.iter().filter(|set| dialect_of(set.language) == proposed.before.dialect) {
        set.good.iter().for_each(|text| known.add(text, false));
    }
    for evidence in proposed.evidence {
        known.add(&evidence.path.replace('.', " "), false);
        // What is expected is the rule's word: `one of "a", "b"`.
        known.add(&evidence.expected, false);
    }
    let is_hcl = is_configuration(proposed.path) || is_variables_file(proposed.path);
    let wrong = |text: &str| {
        Err(Disproof::new(Check::LiteralsKnown, format!("`{}`: `{}` stands nowhere before", proposed.path, text.escape_debug())))
    };
    let diff = TextDiff::from_lines(old, new);
    for change in diff.iter_all_changes().filter(|change| change.tag() == ChangeTag::Insert) {
        let line = change.value();
        for text in quoted(line).into_iter().filter(|_| is_hcl) {
            if !text.contains("${") && !text.is_empty() && !known.quoted.contains(text) && !known.holds(text) {
                return wrong(text);
            }
        }
        let mut is_quoted = false;
        for (piece, part) in line.split('"').enumerate() {
            is_quoted = if piece == 0 { false } else { !is_quoted };
            for word in part.split(separates).filter(|word| !word.is_empty()) {
                // A reference is put together of names that there are.
                let is_reference = is_hcl && !is_quoted && word.split('.').all(|name| known.words.contains(name));
                let is_interpolated =
                    is_hcl && is_quoted && part.contains("${") && word.split('.').all(|name| known.words.contains(bare(name)));
                if !known.holds(word) && !is_reference && !is_interpolated {
                    return wrong(word);
                }
            }
        }
    }
    Ok(())
}
