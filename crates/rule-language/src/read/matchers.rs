//! Matchers.

use super::Reader;
use crate::literal::Literal;
use crate::matcher::{CidrTest, Matcher, Test};
use crate::pattern::Expression;
use crate::yaml::{Entry, Node, NodeKind};

/// The tests that a matcher's mapping may hold.
pub(crate) const MATCHER_TESTS: &[&str] = &[
    "equals",
    "not-equals",
    "in",
    "not-in",
    "exists",
    "empty",
    "less-than",
    "at-most",
    "greater-than",
    "at-least",
    "contains",
    "contains-any",
    "contains-all",
    "starts-with",
    "ends-with",
    "matches",
    "glob",
    "length",
    "type",
    "equals-path",
    "less-than-path",
    "within-path",
    "cidr",
    "port",
    "refers-to",
    "all",
    "any",
    "not",
];
/// What may stand beside them.
pub(crate) const MATCHER_OPTIONS: &[&str] = &["default", "missing", "unknown", "fold"];

impl Reader {
    /// Options that stand outside apply to the matchers inside as well.
    pub(super) fn matcher_inheriting(&mut self, node: &Node, fold: bool) -> Option<Matcher> {
        let single = |test| Some(Matcher { tests: vec![test], fold, ..Matcher::default() });
        match &node.kind {
            NodeKind::Scalar { .. } => match self.literal(node) {
                Literal::Null => single(Test::Exists(false)),
                literal => single(Test::Equals(literal)),
            },
            NodeKind::List(_) => single(Test::In(self.literals(node)?)),
            NodeKind::Map(entries) => self.matcher_mapping(node, entries, fold),
        }
    }

    fn matcher_mapping(&mut self, node: &Node, entries: &[Entry], fold: bool) -> Option<Matcher> {
        let mut matcher = Matcher { fold, ..Matcher::default() };
        if let Some(entry) = entries.iter().find(|entry| entry.key == "fold") {
            matcher.fold = self.boolean(&entry.value)?;
        }
        let errors = self.errors.len();
        for entry in entries {
            match entry.key.as_str() {
                "fold" => {}
                "default" => matcher.default = Some(self.literal(&entry.value)),
                "missing" => matcher.missing = self.word(&entry.value, "`true`, `false` or `unknown`"),
                "unknown" => matcher.unknown = self.boolean(&entry.value),
                _ => {
                    let test = self.test(entry, matcher.fold);
                    matcher.tests.extend(test);
                }
            }
        }
        if self.errors.len() > errors {
            return None;
        }
        if matcher.tests.is_empty() {
            self.error_with_help(&node.at, "the matcher asks nothing", "a test such as `equals` or `exists` is missing");
            return None;
        }
        if matcher.default.is_some() && matcher.missing.is_some() {
            self.error(&node.at, "`default` and `missing` exclude each other: with a default nothing is missing");
            return None;
        }
        Some(matcher)
    }

    fn test(&mut self, entry: &Entry, fold: bool) -> Option<Test> {
        let value = &entry.value;
        Some(match entry.key.as_str() {
            "equals" => Test::Equals(self.literal(value)),
            "not-equals" => Test::NotEquals(self.literal(value)),
            "in" => Test::In(self.literals(value)?),
            "not-in" => Test::NotIn(self.literals(value)?),
            "exists" => Test::Exists(self.boolean(value)?),
            "empty" => Test::Empty(self.boolean(value)?),
            "less-than" => Test::LessThan(self.number(value)?),
            "at-most" => Test::AtMost(self.number(value)?),
            "greater-than" => Test::GreaterThan(self.number(value)?),
            "at-least" => Test::AtLeast(self.number(value)?),
            "contains" => Test::Contains(self.literal(value)),
            "contains-any" => Test::ContainsAny(self.literals(value)?),
            "contains-all" => Test::ContainsAll(self.literals(value)?),
            "starts-with" => Test::StartsWith(self.boxed_texts(value, "a text")),
            "ends-with" => Test::EndsWith(self.boxed_texts(value, "a text")),
            "matches" => match Expression::new(self.text(value, "a regular expression")?, fold) {
                Ok(expression) => Test::Matches(expression),
                Err(message) => {
                    self.error(&value.at, format!("this regular expression can't be used: {message}"));
                    return None;
                }
            },
            "glob" => Test::Glob(self.text(value, "a pattern")?.into()),
            "length" => Test::Length(Box::new(self.matcher_inheriting(value, fold)?)),
            "type" => Test::Type(self.word(value, "a kind of value")?),
            "equals-path" => Test::EqualsPath(self.path(value)?),
            "less-than-path" => Test::LessThanPath(self.path(value)?),
            "within-path" => Test::WithinPath(self.path(value)?),
            "cidr" => Test::Cidr(self.cidr(value)?),
            "port" => match self.text(value, "a port")?.parse() {
                Ok(port) => Test::Port(port),
                Err(_) => {
                    self.error(&value.at, "a port is a number from 0 to 65535");
                    return None;
                }
            },
            "refers-to" => Test::RefersTo(self.types(value)),
            "all" => Test::All(self.matchers(value, fold)?),
            "any" => Test::Any(self.matchers(value, fold)?),
            "not" => Test::Not(Box::new(self.matcher_inheriting(value, fold)?)),
            _ => {
                let known: Vec<_> = MATCHER_TESTS.iter().chain(MATCHER_OPTIONS).copied().collect();
                self.unknown_key(entry, "matcher", &known);
                return None;
            }
        })
    }

    fn matchers(&mut self, node: &Node, fold: bool) -> Option<Vec<Matcher>> {
        let NodeKind::List(items) = &node.kind else {
            self.expected(node, "a list of matchers");
            return None;
        };
        if items.is_empty() {
            self.error(&node.at, "the list of matchers is empty");
        }
        let matchers: Vec<_> = items.iter().map(|item| self.matcher_inheriting(item, fold)).collect();
        matchers.into_iter().collect()
    }

    fn cidr(&mut self, node: &Node) -> Option<CidrTest> {
        if let NodeKind::Map(entries) = &node.kind {
            if let [entry] = &entries[..]
                && entry.key == "wider-than"
                && let Some(text) = self.text(&entry.value, "a prefix length")
                && let Some(prefix) = text.parse().ok().filter(|&prefix: &u8| prefix <= 128)
            {
                return Some(CidrTest::WiderThan(prefix));
            }
            self.error(&node.at, "`cidr` takes `{wider-than: n}` with a prefix length from 0 to 128");
            return None;
        }
        match self.text(node, "`world`, `public`, `private` or `{wider-than: n}`")? {
            "world" => Some(CidrTest::World),
            "public" => Some(CidrTest::Public),
            "private" => Some(CidrTest::Private),
            other => {
                self.error(&node.at, format!("`{other}` is no sort of address block; it is world, public, private or {{wider-than: n}}"));
                None
            }
        }
    }

    fn boolean(&mut self, node: &Node) -> Option<bool> {
        match self.literal(node) {
            Literal::Bool(value) => Some(value),
            _ => {
                self.expected(node, "`true` or `false`");
                None
            }
        }
    }

    fn number(&mut self, node: &Node) -> Option<Literal> {
        match self.literal(node) {
            number @ (Literal::Int(_) | Literal::Decimal(_)) => Some(number),
            _ => {
                self.expected(node, "a number");
                None
            }
        }
    }
}
