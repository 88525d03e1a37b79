//! Spanned YAML 1.2, for manifests, templates and workflows.
//!
//! Every node knows its bytes, its tag and how it was written; repeated keys are all kept, and an alias is the node that
//! it names together with the place where it stands. A broken document costs itself: reading goes on at the next `---`.
//! Plain scalars follow the core schema, but a number with leading zeros stays a text (`012345678901` is an account, and
//! what `0644` means depends on the reader).

mod build;

use std::sync::Arc;

use granit_parser::{Parser, ScanError};

use crate::limits;
use crate::source::TextRange;

/// All documents of a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Those that could be read, in order; empty documents are left out.
    pub documents: Vec<Node>,
    /// All comments up to what couldn't be read: `#` included, line end not.
    pub comments: Vec<TextRange>,
    /// What couldn't be read: one error for each broken document.
    pub errors: Vec<YamlError>,
}

/// Why a document isn't read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct YamlError {
    /// Where.
    pub range: TextRange,
    /// What was wrong, in one sentence without a full stop.
    pub message: String,
}

/// A value and its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// What it is.
    pub kind: NodeKind,
    /// Its bytes: quotes and brackets included; tag, anchor and what surrounds a block aren't. A block collection reaches
    /// from its first key or dash to the end of its last value. Of an alias: those of what it names.
    pub range: TextRange,
    /// How it was written.
    pub style: Style,
    /// Its tag, unless it is one of the core schema's.
    pub tag: Option<Tag>,
    /// Where the alias stands (`*name`), if this node is used by one.
    pub alias: Option<TextRange>,
    /// Whether an anchor names it, so that a change may concern other places.
    pub anchored: bool,
}

/// A local tag, such as `!Ref`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// As written, with its `!`.
    pub name: Arc<str>,
    /// Its bytes.
    pub range: TextRange,
}

/// The kinds of node. Collections are shared, so that an alias costs nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// `null`, `~`, or nothing at all.
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A decimal number as JSON writes it, or as near to that as it was written.
    Number(Arc<str>),
    /// A text.
    String(Arc<str>),
    /// `- a` or `[a, b]`
    Sequence(Arc<Vec<Node>>),
    /// `key: value` or `{key: value}`
    Mapping(Arc<Vec<Entry>>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The key, mostly a scalar.
    pub key: Node,
    /// The value.
    pub value: Node,
}

/// How a node was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// A scalar without quotes.
    Plain,
    /// `'text'`
    SingleQuoted,
    /// `"text"`
    DoubleQuoted,
    /// `|`
    Literal,
    /// `>`
    Folded,
    /// A collection by indentation.
    Block,
    /// A collection in brackets.
    Flow,
}

impl Node {
    /// The text of a scalar as a key or an id: a number or boolean as it was written.
    pub fn as_key(&self) -> Option<&str> {
        match &self.kind {
            NodeKind::String(text) | NodeKind::Number(text) => Some(text),
            NodeKind::Bool(true) => Some("true"),
            NodeKind::Bool(false) => Some("false"),
            NodeKind::Null => Some(""),
            NodeKind::Sequence(_) | NodeKind::Mapping(_) => None,
        }
    }

    /// The text, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let NodeKind::String(text) = &self.kind { Some(text) } else { None }
    }

    /// The elements, if it is a sequence.
    pub fn as_sequence(&self) -> Option<&[Node]> {
        if let NodeKind::Sequence(items) = &self.kind { Some(items) } else { None }
    }

    /// The entries as written, if it is a mapping; merge keys are not applied.
    pub fn as_mapping(&self) -> Option<&[Entry]> {
        if let NodeKind::Mapping(entries) = &self.kind { Some(entries) } else { None }
    }

    /// The value of a key: the last one of that name, or else one that a merge key (`<<`) brings.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// The entry of a key, as [`Node::get`] finds it.
    pub fn entry(&self, key: &str) -> Option<&Entry> {
        let entries = self.as_mapping()?;
        let own = entries.iter().rev().find(|entry| !is_merge(entry) && entry.key.as_key() == Some(key));
        own.or_else(|| merged_into(entries).find_map(|source| source.entry(key)))
    }

    /// All entries of a mapping with merge keys applied: of equal keys the last written one, else the first that is merged in,
    /// in the order in which they are written. Empty if it is no mapping.
    ///
    /// Source: "Merge Key Language-Independent Type for YAML 1.1".
    pub fn entries(&self) -> Vec<&Entry> {
        let Some(entries) = self.as_mapping() else { return Vec::new() };
        if !entries.iter().any(is_merge) {
            return entries.iter().collect();
        }
        let mut all: Vec<&Entry> = entries.iter().filter(|entry| !is_merge(entry)).collect();
        for source in merged_into(entries) {
            for entry in source.entries() {
                if !all.iter().any(|other| other.key.as_key() == entry.key.as_key()) {
                    all.push(entry);
                }
            }
        }
        all
    }

    /// The place that a reader looks at: where the alias stands, or the node itself.
    pub fn place(&self) -> TextRange {
        self.alias.unwrap_or(self.range)
    }

    /// A word for the kind, for messages.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            NodeKind::Null => "nothing",
            NodeKind::Bool(_) => "a boolean",
            NodeKind::Number(_) => "a number",
            NodeKind::String(_) => "a text",
            NodeKind::Sequence(_) => "a list",
            NodeKind::Mapping(_) => "a mapping",
        }
    }
}

impl Entry {
    /// The bytes of key and value.
    pub fn range(&self) -> TextRange {
        let start = self.key.place();
        let end = self.value.place();
        // A value that an alias brings, or that is empty, may lie before the key.
        TextRange::new(start.start, end.end.max(start.end))
    }
}

fn is_merge(entry: &Entry) -> bool {
    entry.key.style == Style::Plain && entry.key.as_str() == Some("<<")
}

/// The mappings that merge keys name, the strongest first.
fn merged_into(entries: &[Entry]) -> impl Iterator<Item = &Node> {
    entries.iter().filter(|entry| is_merge(entry)).flat_map(|entry| match &entry.value.kind {
        NodeKind::Sequence(items) => items.as_slice(),
        _ => std::slice::from_ref(&entry.value),
    })
}

/// Parses all documents of a text. A byte-order mark is passed over, and ranges count it. Never fails: what isn't read is in
/// [`Stream::errors`]. Bounded by [`limits::YAML_BYTES`], [`limits::YAML_NODES`] and [`limits::YAML_NESTING`].
pub fn parse(text: &str) -> Stream {
    if text.len() > limits::YAML_BYTES {
        let message = format!("this text isn't read, because it is longer than {} MiB", limits::YAML_BYTES >> 20);
        return Stream { errors: vec![YamlError { range: TextRange::new(0, 0), message }], ..Stream::default() };
    }
    let yaml = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut builder = build::Builder::new(yaml, (text.len() - yaml.len()) as u32);
    let options = granit_parser::options! { emit_anchor_events: false, max_buffered_comment_events: limits::YAML_COMMENTS };
    let mut parser = Parser::new_from_str_with_options(yaml, options);
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span),
            Err(error) => Err(builder.error(&error)),
        };
        if let Err(error) = taken {
            builder.give_up(error);
            match parser.proceed_next_document() {
                Ok(true) if builder.may_go_on() => {}
                Ok(_) => break,
                Err(error) => {
                    let error: ScanError = error;
                    builder.stop(&error);
                    break;
                }
            }
        }
    }
    builder.finish()
}
