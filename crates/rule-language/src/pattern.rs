//! Names with wildcards, and regular expressions.

use std::sync::OnceLock;

use regex::Regex;
use regex_syntax::hir::{Look, LookSet};
use serde::{Deserialize, Serialize};

/// The largest automaton that a rule's regular expression may need.
const MAX_EXPRESSION_BYTES: usize = 1 << 20;

/// A type key, in which `*` stands for any characters but a dot: `*` is every managed resource and `module`, `data.*`
/// every data source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TypePattern(pub Box<str>);

impl TypePattern {
    /// The type key, if the pattern has no wildcard.
    pub fn exact(&self) -> Option<&str> {
        if self.0.contains('*') { None } else { Some(&self.0) }
    }

    /// Whether a type key fits.
    pub fn matches(&self, type_key: &str) -> bool {
        match self.exact() {
            Some(exact) => exact == type_key,
            None => {
                self.0.split('.').count() == type_key.split('.').count()
                    && self.0.split('.').zip(type_key.split('.')).all(|(pattern, part)| glob_matches(pattern, part, false))
            }
        }
    }
}

/// Whether a pattern covers a text wholly: `*` is any characters, `?` is one. With `fold`, case doesn't count.
///
/// Takes time proportional to the product of both lengths at worst.
pub fn glob_matches(pattern: &str, text: &str, fold: bool) -> bool {
    let same = |a: char, b: char| a == b || fold && a.to_lowercase().eq(b.to_lowercase());
    let (mut rest, mut tail) = (pattern.chars(), text.chars());
    // Where to go on if the text after the last star didn't fit.
    let mut retry: Option<(std::str::Chars<'_>, std::str::Chars<'_>)> = None;
    loop {
        let (before_pattern, before_text) = (rest.clone(), tail.clone());
        match (rest.next(), tail.next()) {
            (None, None) => return true,
            (Some('*'), _) => {
                retry = Some((rest.clone(), before_text.clone()));
                tail = before_text;
            }
            (Some(expected), Some(found)) if expected == '?' || same(expected, found) => {}
            _ => {
                let Some((after_star, mut from)) = retry else { return false };
                if from.next().is_none() {
                    return false;
                }
                retry = Some((after_star.clone(), from.clone()));
                (rest, tail) = (after_star, from);
                let _ = before_pattern;
            }
        }
    }
}

/// A regular expression that is compiled when it is first needed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expression {
    /// The expression as written.
    pub text: Box<str>,
    /// Whether case doesn't count.
    pub fold: bool,
    #[serde(skip)]
    compiled: OnceLock<Option<Regex>>,
    /// What it asks of what stands around a match; rules ask for it at every value with unknown parts.
    #[serde(skip)]
    edges: OnceLock<Option<LookSet>>,
}

impl Expression {
    /// Checks an expression.
    ///
    /// # Errors
    /// What is wrong with it, if it doesn't compile or needs too much memory.
    pub fn new(text: &str, fold: bool) -> Result<Self, String> {
        build(text, fold).map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the regular expression is too large".to_owned(),
            // The parser draws the expression over several lines; its last line says what is wrong.
            other => other.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
        })?;
        Ok(Self { text: text.into(), fold, compiled: OnceLock::new(), edges: OnceLock::new() })
    }

    /// Whether it asks nothing of what stands around a match: found in a part, it is found in the whole.
    pub fn is_free_of_edges(&self) -> bool {
        self.edges().is_some_and(|edges| edges.is_empty())
    }

    /// Whether all that it asks of what stands around a match is that it is the text's start.
    pub fn asks_only_for_the_start(&self) -> bool {
        self.edges().is_some_and(|edges| edges.iter().all(|edge| edge == Look::Start))
    }

    fn edges(&self) -> Option<LookSet> {
        *self.edges.get_or_init(|| Some(regex_syntax::parse(&self.text).ok()?.properties().look_set()))
    }

    /// The compiled expression. `None` can only come from a table that wasn't made by this crate.
    pub fn regex(&self) -> Option<&Regex> {
        self.compiled.get_or_init(|| build(&self.text, self.fold).ok()).as_ref()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.fold == other.fold
    }
}

fn build(text: &str, fold: bool) -> Result<Regex, regex::Error> {
    regex::RegexBuilder::new(text).case_insensitive(fold).size_limit(MAX_EXPRESSION_BYTES).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_cover_the_whole_text() {
        assert!(glob_matches("a*c", "abbbc", false));
        assert!(glob_matches("*", "", false));
        assert!(glob_matches("**a?*", "xxab", false));
        assert!(!glob_matches("a*c", "abcd", false));
        assert!(!glob_matches("a?", "a", false));
        assert!(glob_matches("IAM:*", "iam:passrole", true));
        assert!(!glob_matches("IAM:*", "iam:passrole", false));
        assert!(!glob_matches(&"*a".repeat(50), &"a".repeat(49), false));
    }

    #[test]
    fn a_wildcard_in_a_type_stays_within_its_part() {
        let matches = |pattern: &str, key: &str| TypePattern(pattern.into()).matches(key);
        assert!(matches("aws_*_policy", "aws_iam_policy"));
        assert!(!matches("aws_*", "data.aws_ami"));
        assert!(!matches("*", "provider.aws"));
        assert!(matches("data.*", "data.aws_ami"));
        assert!(matches("*", "module"));
    }

    #[test]
    fn a_broken_expression_says_why() {
        assert_eq!(Expression::new("a(b", false).unwrap_err(), "unclosed group");
        assert!(Expression::new("(a{1000}){1000}", false).unwrap_err().contains("too large"));
    }
}
