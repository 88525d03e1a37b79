//! Texts of which parts are unknown: what can be told about them all the same.

use keyblind_resource::Fragment;

use crate::compare::same_text;
use crate::truth::Truth;

/// Past this product of lengths two patterns aren't compared, but taken to be possibly equal.
const MAX_PRODUCT: usize = 1 << 20;

/// Whether the text may be this one.
pub(crate) fn may_equal(fragments: &[Fragment], text: &str, fold: bool) -> bool {
    may_be_same(fragments, &[Fragment::Literal(text.into())], fold)
}

/// Whether two texts may be the same.
pub(crate) fn may_be_same(a: &[Fragment], b: &[Fragment], fold: bool) -> bool {
    intersect(&symbols(a, fold), &symbols(b, fold))
}

/// Whether the glob pattern covers the text.
pub(crate) fn glob(fragments: &[Fragment], pattern: &str, fold: bool) -> Truth {
    let text = symbols(fragments, fold);
    let pattern: Vec<Symbol> = pattern
        .chars()
        .flat_map(|character| match character {
            '*' => vec![Symbol::Any],
            '?' => vec![Symbol::One],
            other => folded(other, fold).map(Symbol::Character).collect(),
        })
        .collect();
    if covers(&pattern, &text) {
        Truth::True
    } else if intersect(&pattern, &text) {
        Truth::Unknown
    } else {
        Truth::False
    }
}

/// Whether the text starts with the prefix.
pub(crate) fn starts_with(fragments: &[Fragment], prefix: &str, fold: bool) -> Truth {
    let Some(Fragment::Literal(first)) = fragments.first() else { return Truth::Unknown };
    compare_edge(first, prefix, fold, fragments.len() == 1, |text, length| text.get(..length))
}

/// Whether the text ends with the suffix.
pub(crate) fn ends_with(fragments: &[Fragment], suffix: &str, fold: bool) -> Truth {
    let Some(Fragment::Literal(last)) = fragments.last() else { return Truth::Unknown };
    compare_edge(last, suffix, fold, fragments.len() == 1, |text, length| text.get(text.len().checked_sub(length)?..))
}

fn compare_edge<'a>(edge: &'a str, wanted: &'a str, fold: bool, whole: bool, cut: impl Fn(&'a str, usize) -> Option<&'a str>) -> Truth {
    let length = edge.len().min(wanted.len());
    match (cut(edge, length), cut(wanted, length)) {
        (Some(a), Some(b)) if same_text(a, b, fold) => {
            if length == wanted.len() {
                Truth::True
            } else if whole {
                Truth::False
            } else {
                Truth::Unknown
            }
        }
        (Some(_), Some(_)) => Truth::False,
        // Cut within a character: no telling by bytes.
        _ => Truth::Unknown,
    }
}

/// Whether the text has another in it.
pub(crate) fn contains(fragments: &[Fragment], wanted: &str, fold: bool) -> Truth {
    let has = |text: &str| {
        if fold { text.to_lowercase().contains(&wanted.to_lowercase()) } else { text.contains(wanted) }
    };
    let found = fragments.iter().any(|fragment| matches!(fragment, Fragment::Literal(text) if has(text)));
    if found {
        Truth::True
    } else if fragments.contains(&Fragment::Unknown) {
        Truth::Unknown
    } else {
        Truth::False
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Symbol {
    Character(char),
    /// Any one character.
    One,
    /// Any characters, also none.
    Any,
}

fn folded(character: char, fold: bool) -> Box<dyn Iterator<Item = char>> {
    if fold { Box::new(character.to_lowercase()) } else { Box::new(std::iter::once(character)) }
}

fn symbols(fragments: &[Fragment], fold: bool) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    for fragment in fragments {
        match fragment {
            Fragment::Unknown if symbols.last() == Some(&Symbol::Any) => {}
            Fragment::Unknown => symbols.push(Symbol::Any),
            Fragment::Literal(text) => symbols.extend(text.chars().flat_map(|character| folded(character, fold)).map(Symbol::Character)),
        }
    }
    symbols
}

/// Whether some text fits both patterns.
fn intersect(a: &[Symbol], b: &[Symbol]) -> bool {
    table(
        a,
        b,
        |a, b| match (a, b) {
            (Symbol::Character(a), Symbol::Character(b)) => a == b,
            _ => true,
        },
        true,
    )
    .unwrap_or(true)
}

/// Whether every text that fits `text` fits `pattern` as well; `false` if that isn't clear.
fn covers(pattern: &[Symbol], text: &[Symbol]) -> bool {
    table(
        pattern,
        text,
        |pattern, text| match (pattern, text) {
            (Symbol::Character(a), Symbol::Character(b)) => a == b,
            (Symbol::One, Symbol::Character(_)) => true,
            _ => false,
        },
        false,
    )
    .unwrap_or(false)
}

/// Walks both patterns side by side. A star of `a` takes any symbols of `b`; a star of `b` takes symbols of `a` only if
/// `both` (it may be chosen to fit). `None` if both together are too long.
fn table(a: &[Symbol], b: &[Symbol], fits: impl Fn(Symbol, Symbol) -> bool, both: bool) -> Option<bool> {
    if a.len().saturating_mul(b.len()) > MAX_PRODUCT {
        return None;
    }
    let mut row: Vec<bool> = Vec::with_capacity(b.len() + 1);
    row.push(true);
    for (index, &symbol) in b.iter().enumerate() {
        let reachable = row[index] && both && symbol == Symbol::Any;
        row.push(reachable);
    }
    for &x in a {
        let mut next = Vec::with_capacity(b.len() + 1);
        next.push(row[0] && x == Symbol::Any);
        for (index, &y) in b.iter().enumerate() {
            let reachable = if x == Symbol::Any {
                row[index + 1] || next[index]
            } else if y == Symbol::Any {
                both && (row[index + 1] || next[index])
            } else {
                row[index] && fits(x, y)
            };
            next.push(reachable);
        }
        row = next;
    }
    row.last().copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `?` stands for an unknown part.
    fn fragments(text: &str) -> Vec<Fragment> {
        let mut parts = Vec::new();
        for (index, part) in text.split('?').enumerate() {
            if index > 0 {
                parts.push(Fragment::Unknown);
            }
            if !part.is_empty() {
                parts.push(Fragment::Literal(part.into()));
            }
        }
        parts
    }

    #[test]
    fn known_parts_exclude_texts() {
        assert!(!may_equal(&fragments("?/*"), "*", false));
        assert!(may_equal(&fragments("?/*"), "a/*", false));
        assert!(may_equal(&fragments("?*"), "*", false));
        assert!(!may_equal(&fragments("arn:?"), "*", false));
        assert!(may_equal(&fragments("ARN:?"), "arn:x", true));
        assert!(!may_equal(&fragments("ARN:?"), "arn:x", false));
        assert!(may_be_same(&fragments("a?c"), &fragments("?bc"), false));
        assert!(!may_be_same(&fragments("?-a"), &fragments("?-b"), false));
    }

    #[test]
    fn edges_decide_what_they_can() {
        assert_eq!(starts_with(&fragments("arn:aws:s3:::?"), "arn:aws", false), Truth::True);
        assert_eq!(starts_with(&fragments("arn:?"), "arn:aws", false), Truth::Unknown);
        assert_eq!(starts_with(&fragments("arn:?"), "http", false), Truth::False);
        assert_eq!(starts_with(&fragments("?x"), "arn", false), Truth::Unknown);
        assert_eq!(ends_with(&fragments("?/*"), "*", false), Truth::True);
        assert_eq!(ends_with(&fragments("?/a"), "*", false), Truth::False);
        assert_eq!(contains(&fragments("?:root?"), ":root", false), Truth::True);
        assert_eq!(contains(&fragments("?"), "a", false), Truth::Unknown);
    }

    #[test]
    fn globs_cover_unknown_parts_only_by_a_star() {
        assert_eq!(glob(&fragments("arn:?"), "arn:*", false), Truth::True);
        assert_eq!(glob(&fragments("arn:?:x"), "arn:*:x", false), Truth::True);
        assert_eq!(glob(&fragments("arn:?"), "arn:??", false), Truth::Unknown);
        assert_eq!(glob(&fragments("arn:?"), "http*", false), Truth::False);
        assert_eq!(glob(&fragments("abc"), "a?c", false), Truth::True);
        assert_eq!(glob(&fragments("?"), "*", false), Truth::True);
    }
}
