//! From the YAML tree to the model, with all checks.

mod conditions;
mod decisions;
mod matchers;
mod rules;

use crate::error::RuleError;
use crate::nearest::nearest;
use crate::pattern::TypePattern;
use crate::yaml::{Entry, Node, NodeKind, Position};

pub(crate) use conditions::{CONDITION_WORDS, PORTS_KEYS, QUANTIFIER_KEYS};
pub(crate) use decisions::DECISION_KEYS;
pub(crate) use matchers::{MATCHER_OPTIONS, MATCHER_TESTS};
pub(crate) use rules::{RULE_KEYS, read_rule};

/// Collects what is wrong; reading goes on with what can still be read.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) errors: Vec<RuleError>,
}

impl Reader {
    fn error(&mut self, at: &Position, message: impl Into<String>) {
        self.errors.push(RuleError::at(at, message));
    }

    fn error_with_help(&mut self, at: &Position, message: impl Into<String>, help: impl Into<String>) {
        self.errors.push(RuleError::at(at, message).with_help(help));
    }

    /// Reports a key that isn't one of the known ones.
    fn unknown_key(&mut self, entry: &Entry, what: &str, known: &[&str]) {
        let help = match nearest(&entry.key, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", known.join(", ")),
        };
        self.error_with_help(&entry.key_at, format!("`{}` is no {what}", entry.key), help);
    }

    /// Reports a node that should have been something else.
    fn expected(&mut self, node: &Node, wanted: &str) {
        self.error(&node.at, format!("{wanted} is expected here, not {}", node.kind_name()));
    }

    fn map<'a>(&mut self, node: &'a Node, wanted: &str) -> Option<&'a [Entry]> {
        if let NodeKind::Map(entries) = &node.kind {
            return Some(entries);
        }
        self.expected(node, wanted);
        None
    }

    /// A text that isn't empty. Numbers and booleans are texts here.
    fn text<'a>(&mut self, node: &'a Node, wanted: &str) -> Option<&'a str> {
        match &node.kind {
            NodeKind::Scalar { text, .. } if !text.trim().is_empty() => Some(text.trim()),
            NodeKind::Scalar { .. } => {
                self.error(&node.at, format!("{wanted} is expected here, not nothing"));
                None
            }
            _ => {
                self.expected(node, wanted);
                None
            }
        }
    }

    /// A word of a closed list.
    fn word<T: std::str::FromStr<Err = String>>(&mut self, node: &Node, wanted: &str) -> Option<T> {
        let text = self.text(node, wanted)?;
        text.parse().map_err(|message: String| self.error(&node.at, message)).ok()
    }

    /// One text or a list of texts.
    fn texts<'a>(&mut self, node: &'a Node, wanted: &str) -> Vec<(&'a str, &'a Position)> {
        match &node.kind {
            NodeKind::List(items) => items.iter().filter_map(|item| Some((self.text(item, wanted)?, &item.at))).collect(),
            _ => self.text(node, wanted).map(|text| (text, &node.at)).into_iter().collect(),
        }
    }

    fn boxed_texts(&mut self, node: &Node, wanted: &str) -> Vec<Box<str>> {
        self.texts(node, wanted).into_iter().map(|(text, _)| text.into()).collect()
    }

    /// One type key or a list of them.
    fn types(&mut self, node: &Node) -> Vec<TypePattern> {
        let mut patterns = Vec::new();
        for (text, at) in self.texts(node, "a resource type") {
            if text.chars().any(|character| !(character.is_ascii_alphanumeric() || "_-.*:".contains(character))) {
                self.error(at, format!("`{text}` is no resource type"));
            } else {
                patterns.push(TypePattern(text.into()));
            }
        }
        if patterns.is_empty() && self.errors.is_empty() {
            self.error(&node.at, "at least one resource type is needed");
        }
        patterns
    }
}
