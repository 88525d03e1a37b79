//! YAML as a tree in which every node knows its place.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, Span};

use crate::error::RuleError;

/// The largest rule file that is read.
pub(crate) const MAX_BYTES: u64 = 1 << 20;
/// The most nodes of one file, copies made by aliases included.
const MAX_NODES: usize = 50_000;
/// The deepest nesting.
const MAX_DEPTH: usize = 64;

/// A place in a file, as people count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) path: Arc<str>,
    pub(crate) line: u32,
    pub(crate) column: u32,
}

/// A node of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) kind: NodeKind,
    pub(crate) at: Position,
}

/// What a node is.
#[derive(Clone, Debug)]
pub(crate) enum NodeKind {
    /// A text; `plain` if it stands without quotes, so that it may be a number or a boolean.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One entry of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Position,
    pub(crate) value: Node,
}

impl Node {
    /// A word for what the node is, for messages.
    pub(crate) fn kind_name(&self) -> &'static str {
        match &self.kind {
            NodeKind::Scalar { text, plain: true } if text.is_empty() => "nothing",
            NodeKind::Scalar { .. } => "a text",
            NodeKind::List(_) => "a list",
            NodeKind::Map(_) => "a mapping",
        }
    }
}

/// Reads the one document of a file.
pub(crate) fn read(path: &str, text: &str) -> Result<Node, RuleError> {
    if text.len() as u64 > MAX_BYTES {
        return Err(RuleError::about(path, format!("a rule file has at most {MAX_BYTES} bytes")));
    }
    let mut builder = Builder { path: path.into(), open: Vec::new(), root: None, anchors: HashMap::new(), nodes: 0 };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| {
            let at = Position { path: path.into(), line: error.marker().line() as u32, column: error.marker().col() as u32 + 1 };
            RuleError::at(&at, format!("this is not YAML: {}", error.info()))
        })?;
        builder.take(event, span)?;
    }
    let nothing = Position { path: path.into(), line: 1, column: 1 };
    builder.root.ok_or_else(|| RuleError::at(&nothing, "the file is empty"))
}

struct Builder {
    path: Arc<str>,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
}

/// A list or mapping that isn't finished.
struct Open {
    at: Position,
    anchor: usize,
    content: Content,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<Entry>, Option<(String, Position)>),
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), RuleError> {
        let at = Position { path: self.path.clone(), line: span.start.line() as u32, column: span.start.col() as u32 + 1 };
        match event {
            Event::DocumentStart(..) if self.root.is_some() => Err(RuleError::at(&at, "a rule file holds one document")),
            Event::Scalar(text, style, anchor, _) => {
                let node = Node { kind: NodeKind::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain }, at };
                self.finish(node, anchor)
            }
            Event::Alias(id) => {
                let Some(node) = self.anchors.get(&id).cloned() else {
                    return Err(RuleError::at(&at, "an alias can't stand inside of what it names"));
                };
                self.nodes += count(&node);
                self.finish(node, 0)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(Open { at, anchor, content: Content::List(Vec::new()) }),
            Event::MappingStart(_, anchor, _) => self.begin(Open { at, anchor, content: Content::Map(Vec::new(), None) }),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(open) = self.open.pop() else { return Ok(()) };
                let kind = match open.content {
                    Content::List(items) => NodeKind::List(items),
                    Content::Map(entries, _) => NodeKind::Map(entries),
                };
                self.finish(Node { kind, at: open.at }, open.anchor)
            }
            _ => Ok(()),
        }
    }

    fn begin(&mut self, open: Open) -> Result<(), RuleError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(RuleError::at(&open.at, format!("this is nested deeper than {MAX_DEPTH} levels")));
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), RuleError> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(RuleError::at(&node.at, format!("a rule file has at most {MAX_NODES} nodes")));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::List(items)) => items.push(node),
            Some(Content::Map(entries, pending)) => match pending.take() {
                Some((key, key_at)) => entries.push(Entry { key, key_at, value: node }),
                None => {
                    let NodeKind::Scalar { text, .. } = node.kind else {
                        return Err(RuleError::at(&node.at, "a key must be a text")
                            .with_help("a parameter of a family stands in quotes: \"{{name}}\""));
                    };
                    if entries.iter().any(|entry| entry.key == text) {
                        return Err(RuleError::at(&node.at, format!("`{text}` stands here twice")));
                    }
                    *pending = Some((text, node.at));
                }
            },
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    1 + match &node.kind {
        NodeKind::Scalar { .. } => 0,
        NodeKind::List(items) => items.iter().map(count).sum(),
        NodeKind::Map(entries) => entries.iter().map(|entry| count(&entry.value)).sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_know_their_place() {
        let node = read("a.yaml", "id: x\nfail:\n  acl: [a, 'b']\n").unwrap();
        let NodeKind::Map(entries) = &node.kind else { panic!("a mapping") };
        assert_eq!((entries[1].key_at.line, entries[1].key_at.column), (2, 1));
        let NodeKind::Map(inner) = &entries[1].value.kind else { panic!("a mapping") };
        assert_eq!((inner[0].value.at.line, inner[0].value.at.column), (3, 8));
    }

    #[test]
    fn what_is_not_a_rule_file_is_refused() {
        for (text, message) in [
            ("", "empty"),
            ("a: 1\na: 2", "twice"),
            ("a: {{port}}", "must be a text"),
            ("a: [", "not YAML"),
            ("a: 1\n---\nb: 2", "one document"),
        ] {
            let error = read("a.yaml", text).expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn neither_nesting_nor_aliases_can_blow_it_up() {
        assert!(read("a.yaml", &"[".repeat(100_000)).is_err());
        assert!(read("a.yaml", &"- ".repeat(50_000)).is_err());
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(read("a.yaml", &bomb).unwrap_err().to_string().contains("nodes"));
    }
}
