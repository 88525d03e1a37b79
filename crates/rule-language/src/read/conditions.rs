//! Conditions.

use super::Reader;
use crate::condition::{Condition, Direction, Linked, Ports, Quantifier};
use crate::literal::Literal;
use crate::matcher::Matcher;
use crate::path::Path;
use crate::yaml::{Entry, Node, NodeKind};

/// The words that aren't paths. An attribute of such a name is written with a dot before it.
pub(crate) const CONDITION_WORDS: &[&str] = &["all", "any", "not", "some", "every", "none", "count", "linked", "present", "ports"];
/// The keys of `some`, `every`, `none`; `count` has `is` as well.
pub(crate) const QUANTIFIER_KEYS: &[&str] = &["in", "where"];
const COUNT_KEYS: &[&str] = &["in", "where", "is"];
const LINKED_KEYS: &[&str] = &["to", "by", "direction", "match", "where"];
const PRESENT_KEYS: &[&str] = &["resource", "where"];
/// The keys of `ports`.
pub(crate) const PORTS_KEYS: &[&str] = &["covers", "from", "to", "protocol"];

impl Reader {
    pub(super) fn condition(&mut self, node: &Node) -> Option<Condition> {
        match &node.kind {
            NodeKind::Map(entries) if entries.is_empty() => {
                self.error_with_help(&node.at, "the condition is empty", "write `true` or `false` if that is meant");
                None
            }
            NodeKind::Map(entries) => {
                let mut conditions: Vec<_> = entries.iter().map(|entry| self.condition_entry(entry)).collect::<Option<_>>()?;
                Some(if conditions.len() == 1 { conditions.remove(0) } else { Condition::All(conditions) })
            }
            NodeKind::Scalar { text, plain: true } if text == "true" || text == "false" => Some(Condition::Always(text == "true")),
            NodeKind::List(_) => {
                self.error_with_help(&node.at, "a condition is expected here, not a list", "put the list under `all:` or `any:`");
                None
            }
            NodeKind::Scalar { .. } => {
                self.expected(node, "a condition (a mapping of paths to matchers, `true` or `false`)");
                None
            }
        }
    }

    fn condition_entry(&mut self, entry: &Entry) -> Option<Condition> {
        match entry.key.as_str() {
            "all" => Some(Condition::All(self.conditions(&entry.value)?)),
            "any" => Some(Condition::Any(self.conditions(&entry.value)?)),
            "not" => Some(Condition::Not(Box::new(self.condition(&entry.value)?))),
            "some" => self.quantified(&entry.value, Quantifier::Some),
            "every" => self.quantified(&entry.value, Quantifier::Every),
            "none" => self.quantified(&entry.value, Quantifier::None),
            "count" => self.count(&entry.value),
            "linked" => self.linked(&entry.value),
            "present" => self.present(&entry.value),
            "ports" => self.ports(&entry.value),
            _ => {
                let path = self.path_at(&entry.key, &entry.key_at);
                let matcher = self.matcher(&entry.value);
                Some(Condition::Test(path?, matcher?))
            }
        }
    }

    fn conditions(&mut self, node: &Node) -> Option<Vec<Condition>> {
        let NodeKind::List(items) = &node.kind else {
            self.expected(node, "a list of conditions");
            return None;
        };
        if items.is_empty() {
            self.error(&node.at, "the list of conditions is empty");
        }
        // All are read, so that all errors show.
        let conditions: Vec<_> = items.iter().map(|item| self.condition(item)).collect();
        conditions.into_iter().collect()
    }

    fn path_at(&mut self, text: &str, at: &crate::yaml::Position) -> Option<Path> {
        match text.parse::<Path>() {
            Ok(path) => Some(path),
            Err(error) => {
                self.error(at, format!("`{text}` is no path: {error}"));
                None
            }
        }
    }

    pub(super) fn path(&mut self, node: &Node) -> Option<Path> {
        let text = self.text(node, "a path")?;
        self.path_at(text, &node.at)
    }

    fn quantified(&mut self, node: &Node, quantifier: Quantifier) -> Option<Condition> {
        let entries = self.map(node, "a mapping with `in` and `where`")?;
        let (mut list, mut condition) = (None, None);
        for entry in entries {
            match entry.key.as_str() {
                "in" => list = Some(self.path(&entry.value)?),
                "where" => condition = Some(self.condition(&entry.value)?),
                _ => self.unknown_key(entry, "key of a quantifier", QUANTIFIER_KEYS),
            }
        }
        match (list, condition) {
            (Some(list), Some(condition)) => Some(Condition::Quantified { quantifier, list, condition: Box::new(condition) }),
            (list, _) => {
                self.error(&node.at, format!("`{}` is missing", if list.is_none() { "in" } else { "where" }));
                None
            }
        }
    }

    fn count(&mut self, node: &Node) -> Option<Condition> {
        let entries = self.map(node, "a mapping with `in`, `where` and `is`")?;
        let (mut list, mut condition, mut is) = (None, None, None);
        for entry in entries {
            match entry.key.as_str() {
                "in" => list = Some(self.path(&entry.value)?),
                "where" => condition = Some(Box::new(self.condition(&entry.value)?)),
                "is" => is = Some(self.matcher(&entry.value)?),
                _ => self.unknown_key(entry, "key of `count`", COUNT_KEYS),
            }
        }
        match (list, is) {
            (Some(list), Some(is)) => Some(Condition::Count { list, condition, is }),
            (list, _) => {
                self.error(&node.at, format!("`{}` is missing", if list.is_none() { "in" } else { "is" }));
                None
            }
        }
    }

    fn linked(&mut self, node: &Node) -> Option<Condition> {
        let entries = self.map(node, "a mapping with `to`")?;
        let mut linked = Linked { to: Vec::new(), by: None, direction: Direction::Any, matching: Vec::new(), condition: None };
        let mut has_types = false;
        for entry in entries {
            match entry.key.as_str() {
                "to" => {
                    linked.to = self.types(&entry.value);
                    has_types = true;
                }
                "by" => linked.by = Some(self.text(&entry.value, "a path")?.into()),
                "direction" => {
                    linked.direction = match self.text(&entry.value, "`out`, `in` or `any`")? {
                        "out" => Direction::Out,
                        "in" => Direction::In,
                        "any" => Direction::Any,
                        other => {
                            self.error(&entry.value.at, format!("`{other}` is no direction; it is one of out, in, any"));
                            return None;
                        }
                    };
                }
                "match" => {
                    for pair in self.map(&entry.value, "a mapping of their paths to ours")? {
                        let theirs = self.path_at(&pair.key, &pair.key_at)?;
                        linked.matching.push((theirs, self.path(&pair.value)?));
                    }
                }
                "where" => linked.condition = Some(self.condition(&entry.value)?),
                _ => self.unknown_key(entry, "key of `linked`", LINKED_KEYS),
            }
        }
        if !has_types {
            self.error(&node.at, "`to` is missing");
            return None;
        }
        Some(Condition::Linked(Box::new(linked)))
    }

    fn present(&mut self, node: &Node) -> Option<Condition> {
        let entries = self.map(node, "a mapping with `resource`")?;
        let (mut resource, mut condition) = (None, None);
        for entry in entries {
            match entry.key.as_str() {
                "resource" => resource = Some(self.types(&entry.value)),
                "where" => condition = Some(Box::new(self.condition(&entry.value)?)),
                _ => self.unknown_key(entry, "key of `present`", PRESENT_KEYS),
            }
        }
        if resource.is_none() {
            self.error(&node.at, "`resource` is missing");
        }
        Some(Condition::Present { resource: resource?, condition })
    }

    fn ports(&mut self, node: &Node) -> Option<Condition> {
        let entries = self.map(node, "a mapping with `covers`")?;
        let mut covers = Vec::new();
        let (mut from, mut to, mut protocol) = (Path::name("from_port"), Path::name("to_port"), Path::name("protocol"));
        for entry in entries {
            match entry.key.as_str() {
                "covers" => {
                    for (text, at) in self.texts(&entry.value, "a port") {
                        match text.parse() {
                            Ok(port) => covers.push(port),
                            Err(_) => self.error(at, format!("`{text}` is no port: 0 to 65535")),
                        }
                    }
                }
                "from" => from = self.path(&entry.value)?,
                "to" => to = self.path(&entry.value)?,
                "protocol" => protocol = self.path(&entry.value)?,
                _ => self.unknown_key(entry, "key of `ports`", PORTS_KEYS),
            }
        }
        if covers.is_empty() {
            self.error(&node.at, "`covers` is missing: a port or a list of ports");
            return None;
        }
        Some(Condition::Ports(Box::new(Ports { covers, from, to, protocol })))
    }

    /// A literal value.
    pub(super) fn literal(&mut self, node: &Node) -> Literal {
        match &node.kind {
            NodeKind::Scalar { text, plain: true } => Literal::from_plain(text),
            NodeKind::Scalar { text, plain: false } => Literal::Text(text.as_str().into()),
            NodeKind::List(items) => Literal::List(items.iter().map(|item| self.literal(item)).collect()),
            NodeKind::Map(entries) => {
                let mut map: Vec<(Box<str>, Literal)> =
                    entries.iter().map(|entry| (entry.key.as_str().into(), self.literal(&entry.value))).collect();
                map.sort_by(|(a, _), (b, _)| a.cmp(b));
                Literal::Map(map)
            }
        }
    }

    pub(super) fn literals(&mut self, node: &Node) -> Option<Vec<Literal>> {
        let NodeKind::List(items) = &node.kind else {
            self.expected(node, "a list of values");
            return None;
        };
        if items.is_empty() {
            self.error(&node.at, "the list of values is empty");
        }
        Some(items.iter().map(|item| self.literal(item)).collect())
    }

    /// A matcher in any of its forms.
    pub(super) fn matcher(&mut self, node: &Node) -> Option<Matcher> {
        self.matcher_inheriting(node, false)
    }
}
