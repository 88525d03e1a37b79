//! What the examples of a rule teach: the words, flags and instructions that make a bad one good.

use std::collections::BTreeSet;

use keyblind_resource::Dialect;
use keyblind_rules::{RuleId, RuleTable, dialect_of};
use keyblind_syntax::dockerfile::{self, Dockerfile, Keyword};
use keyblind_syntax::shell::{self, Command};
use similar::{Algorithm, DiffOp, capture_diff_slices};

use crate::instantiate::is_made_up;

/// The fewest characters that a word and what takes its place have in common, at one end.
const LEAST_COMMON: usize = 3;

/// What was learned from all pairs of a bad and a good example.
#[derive(Debug, Default)]
pub(super) struct Lessons {
    /// A part of a word, and what stands there instead.
    replaced: Vec<(String, String)>,
    /// An option that is added: the program, the word that it belongs to, the option.
    pub(super) inserted: Vec<(String, String, String)>,
    /// An instruction that is another one, with its arguments between two texts.
    renamed: Vec<(Keyword, Keyword, String, String)>,
    /// Flags that instructions get.
    flags: BTreeSet<(Keyword, String)>,
    added: BTreeSet<Keyword>,
    removes_instruction: bool,
    /// Whether a stage has no name any more.
    removes_stage_name: bool,
    /// Programs that the bad examples run, and that the good ones do.
    bad_programs: BTreeSet<String>,
    good_programs: BTreeSet<String>,
}

impl Lessons {
    pub(super) fn of(table: &RuleTable, rule: RuleId) -> Self {
        let mut lessons = Self::default();
        for set in table.docs(rule).examples.iter().filter(|set| dialect_of(set.language) == Dialect::Dockerfile) {
            let parsed = |texts: &[Box<str>]| texts.iter().map(|text| dockerfile::parse(text)).collect::<Vec<_>>();
            let (bad, good) = (parsed(&set.bad), parsed(&set.good));
            for bad in &bad {
                lessons.bad_programs.extend(names(bad));
                good.iter().for_each(|good| lessons.compare(bad, good));
            }
            lessons.good_programs.extend(good.iter().flat_map(names));
        }
        lessons
    }

    /// Whether good examples have an instruction that bad ones lack.
    pub(super) fn adds(&self, keyword: Keyword) -> bool {
        self.added.contains(&keyword)
    }

    /// Whether good examples have fewer of an instruction.
    pub(super) fn removes_instruction(&self) -> bool {
        self.removes_instruction
    }

    /// Whether good examples have fewer stages with a name.
    pub(super) fn removes_stage_name(&self) -> bool {
        self.removes_stage_name
    }

    /// Whether instructions get a flag of this name.
    pub(super) fn adds_flag(&self, keyword: Keyword, name: &str) -> bool {
        self.flags.iter().any(|(of, flag)| *of == keyword && flag == name)
    }

    /// What an instruction becomes: its new name, and what stands around its arguments.
    pub(super) fn renaming(&self, keyword: Keyword) -> Option<(Keyword, &str, &str)> {
        let of_keyword = self.renamed.iter().find(|(from, ..)| *from == keyword);
        of_keyword.map(|(_, to, before, after)| (*to, before.as_str(), after.as_str()))
    }

    /// Whether programs are there only in bad examples.
    pub(super) fn takes_out(&self, programs: &[&str]) -> bool {
        !self.good_programs.is_empty()
            && programs.iter().all(|program| {
                let is_replaced = || !self.rewritten(program).is_empty();
                self.bad_programs.contains(*program) && !self.good_programs.contains(*program) && !is_replaced()
            })
    }

    /// What a word becomes, each way.
    pub(super) fn rewritten(&self, word: &str) -> Vec<String> {
        self.replaced.iter().filter_map(|(old, new)| token_replaced(word, old, new)).collect()
    }

    fn compare(&mut self, bad: &Dockerfile, good: &Dockerfile) {
        let count =
            |parsed: &Dockerfile, keyword: Keyword| parsed.instructions.iter().filter(|instruction| instruction.keyword == keyword).count();
        for keyword in Keyword::ALL {
            let (before, after) = (count(bad, keyword), count(good, keyword));
            if before == 0 && after > 0 {
                self.added.insert(keyword);
            }
            self.removes_instruction |= after < before;
        }
        let named = |parsed: &Dockerfile| {
            let froms = parsed.instructions.iter().filter(|instruction| instruction.keyword == Keyword::From);
            froms.filter(|from| from.arguments.text.split_whitespace().count() == 3).count()
        };
        self.removes_stage_name |= named(good) < named(bad);
        for old in &bad.instructions {
            for new in &good.instructions {
                if old.keyword == new.keyword {
                    let is_new = |name: &str| old.flags.iter().all(|flag| &*flag.name != name);
                    self.flags.extend(new.flags.iter().filter(|flag| is_new(&flag.name)).map(|flag| (new.keyword, flag.name.to_string())));
                } else if count(good, old.keyword) == 0
                    && count(bad, new.keyword) == 0
                    && let Some((before, after)) = new.arguments.text.split_once(old.arguments.text.trim())
                {
                    self.renamed.push((old.keyword, new.keyword, before.to_owned(), after.to_owned()));
                }
            }
        }
        let (old, new) = (commands(bad), commands(good));
        for (number, command) in old.iter().enumerate() {
            let name = command.invocation().name;
            let same_name = new.iter().find(|other| name.is_some() && other.invocation().name == name);
            let same_place = if old.len() == new.len() { new.get(number) } else { None };
            if let Some(other) = same_name.or(same_place) {
                self.compare_words(command, other);
            }
        }
    }

    fn compare_words(&mut self, bad: &Command, good: &Command) {
        let texts = |command: &Command| command.words.iter().map(|word| word.text.clone()).collect::<Vec<_>>();
        let (old, new) = (texts(bad), texts(good));
        for op in capture_diff_slices(Algorithm::Myers, &old, &new) {
            match op {
                DiffOp::Replace { old_index, old_len: 1, new_index, new_len: 1 } => {
                    self.replaced.extend(replacement(&old[old_index], &new[new_index]));
                }
                DiffOp::Insert { new_index, new_len, .. } => {
                    let words = &new[new_index..new_index + new_len];
                    let anchor = new[..new_index].iter().rev().find(|word| !word.starts_with('-'));
                    if let (Some(program), Some(anchor)) = (bad.invocation().name, anchor)
                        && words.iter().all(|word| word.starts_with("--") && !is_made_up(word))
                    {
                        self.inserted.extend(words.iter().map(|word| (program.to_owned(), anchor.clone(), word.clone())));
                    }
                }
                _ => {}
            }
        }
    }
}

/// All commands of the shells in a file.
fn commands(parsed: &Dockerfile) -> Vec<Command> {
    let scripts = parsed.instructions.iter().filter(|instruction| instruction.keyword == Keyword::Run && instruction.exec.is_none());
    scripts.flat_map(|instruction| shell::parse(&instruction.arguments.text).commands).collect()
}

fn names(parsed: &Dockerfile) -> Vec<String> {
    commands(parsed).iter().filter_map(|command| command.invocation().name.map(str::to_owned)).collect()
}

fn is_of_token(character: char) -> bool {
    character.is_alphanumeric() || matches!(character, '-' | '_')
}

/// The parts in which two words differ, if one is a variant of the other.
fn replacement(old: &str, new: &str) -> Option<(String, String)> {
    let is_cluster = |word: &str| word.len() > 2 && word.starts_with('-') && !word.starts_with("--");
    if is_cluster(old) && is_cluster(new) {
        return None;
    }
    let is_option = |word: &str| word.len() == 2 && word.starts_with('-');
    let mut start: usize = old.chars().zip(new.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum();
    let common_end = |from: usize| -> usize {
        old[from..].chars().rev().zip(new[from..].chars().rev()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
    };
    let mut end = common_end(start);
    if start < LEAST_COMMON && end < LEAST_COMMON && !(is_option(old) && is_option(new)) {
        return None;
    }
    while let Some(before) = old[..start].chars().next_back().filter(|before| is_of_token(*before)) {
        start -= before.len_utf8();
    }
    while let Some(after) = old[old.len() - end..].chars().next().filter(|after| is_of_token(*after)) {
        end -= after.len_utf8();
    }
    let (old, new) = (&old[start..old.len() - end], &new[start..new.len() - end]);
    let is_own = |token: &str| token.is_empty() || is_made_up(token) || token.contains('/');
    (!is_own(old) && !is_own(new)).then(|| (old.to_owned(), new.to_owned()))
}

/// A word with one part of it replaced.
fn token_replaced(word: &str, old: &str, new: &str) -> Option<String> {
    let at = word.match_indices(old).map(|(at, _)| at).find(|&at| {
        let before = word[..at].chars().next_back();
        let after = word[at + old.len()..].chars().next();
        !before.is_some_and(is_of_token) && !after.is_some_and(is_of_token)
    })?;
    Some([&word[..at], new, &word[at + old.len()..]].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_part_that_differs_is_learned() {
        let learned = |old: &str, new: &str| replacement(old, new).map(|(old, new)| format!("{old} {new}"));
        assert_eq!(learned("apt", "apt-get").as_deref(), Some("apt apt-get"));
        assert_eq!(learned("http://example.com/a", "https://example.com/a").as_deref(), Some("http https"));
        assert_eq!(learned("--setopt=sslverify=false", "--setopt=sslverify=true").as_deref(), Some("false true"));
        assert_eq!(learned("-d", "-l").as_deref(), Some("-d -l"));
        assert_eq!(learned("-sSk", "-sSf"), None);
        assert_eq!(learned("openssh-server", "nginx"), None);
        assert_eq!(learned("777", "750"), None);
    }

    #[test]
    fn only_whole_parts_are_replaced() {
        assert_eq!(token_replaced("http://a/http", "http", "https").as_deref(), Some("https://a/http"));
        assert_eq!(token_replaced("/usr/bin/apt", "apt", "apt-get").as_deref(), Some("/usr/bin/apt-get"));
        assert_eq!(token_replaced("apt-key", "apt", "apt-get"), None);
        assert_eq!(token_replaced("https://a", "http", "https"), None);
    }
}
