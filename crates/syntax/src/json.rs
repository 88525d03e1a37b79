//! Spanned JSON, for `.tf.json` and Terraform plans.
//!
//! Strict JSON (RFC 8259): no comments, no trailing commas, no bare words. Members keep their order, repeated ones are
//! all kept, and numbers stay as they were written. Beyond the standard, strings may hold raw control characters and
//! any Unicode white space may stand between tokens, because neither leaves a doubt about what is meant.

use std::sync::Arc;

use jsonc_parser::ast::{ObjectPropName, Value};
use jsonc_parser::common::Range;
use jsonc_parser::{CollectOptions, CommentCollectionStrategy, ParseOptions, parse_to_ast};

use crate::limits;
use crate::shared_text::SharedTexts;
use crate::source::TextRange;

/// Why a text isn't JSON. Nothing of such a text is read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
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
    /// Its bytes, quotes and brackets included.
    pub range: TextRange,
}

/// The kinds of value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NodeKind {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as written, with its sign.
    Number(Arc<str>),
    /// A string, unescaped.
    String(Arc<str>),
    /// `[a, b]`
    Array(Vec<Node>),
    /// `{"key": value}`
    Object(Vec<Member>),
}

/// A key and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The key, unescaped.
    pub key: Arc<str>,
    /// The key's bytes, quotes included.
    pub key_range: TextRange,
    /// The value.
    pub value: Node,
}

impl Node {
    /// The value of a member, if this is an object that has it; the last one of that name, which is what counts in JSON.
    pub fn get(&self, key: &str) -> Option<&Node> {
        let NodeKind::Object(members) = &self.kind else { return None };
        members.iter().rev().find(|member| &*member.key == key).map(|member| &member.value)
    }
}

/// Parses a text that is one JSON value. A byte-order mark is passed over, and ranges count it.
///
/// # Errors
/// If the text isn't JSON, is longer than [`limits::JSON_BYTES`], or is nested deeper than [`limits::JSON_NESTING`].
pub fn parse(text: &str) -> Result<Node, JsonError> {
    if text.len() > limits::JSON_BYTES {
        let message = format!("this text isn't read, because it is longer than {} MiB", limits::JSON_BYTES >> 20);
        return Err(JsonError { range: TextRange::new(0, 0), message });
    }
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut converter = Converter { offset: (text.len() - json.len()) as u32, texts: SharedTexts::new() };
    let collect = CollectOptions { comments: CommentCollectionStrategy::Off, tokens: false };
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = parse_to_ast(json, &collect, &strict).map_err(|error| {
        let mut message = error.kind().to_string();
        // Messages here begin in lower case.
        if let Some(first) = message.get_mut(..1) {
            first.make_ascii_lowercase();
        }
        JsonError { range: converter.range(error.range()), message }
    })?;
    match parsed.value {
        Some(value) => converter.node(value, 0),
        None => Err(JsonError { range: TextRange::new(0, 0), message: "expected a JSON value, found only white space".to_owned() }),
    }
}

struct Converter {
    /// What the byte-order mark adds to all offsets.
    offset: u32,
    texts: SharedTexts,
}

impl Converter {
    fn node(&mut self, value: Value<'_>, depth: usize) -> Result<Node, JsonError> {
        let (kind, range) = match value {
            Value::NullKeyword(null) => (NodeKind::Null, null.range),
            Value::BooleanLit(boolean) => (NodeKind::Bool(boolean.value), boolean.range),
            Value::NumberLit(number) => (NodeKind::Number(self.texts.share(number.value)), number.range),
            Value::StringLit(string) => (NodeKind::String(self.texts.share(&string.value)), string.range),
            Value::Array(array) => {
                self.check_depth(depth, array.range)?;
                let elements = array.elements.into_iter().map(|element| self.node(element, depth + 1));
                (NodeKind::Array(elements.collect::<Result<_, _>>()?), array.range)
            }
            Value::Object(object) => {
                self.check_depth(depth, object.range)?;
                let mut members = Vec::with_capacity(object.properties.len());
                for property in object.properties {
                    let (key, key_range) = match property.name {
                        ObjectPropName::String(name) => (self.texts.share(&name.value), name.range),
                        ObjectPropName::Word(name) => (self.texts.share(name.value), name.range),
                    };
                    members.push(Member { key, key_range: self.range(key_range), value: self.node(property.value, depth + 1)? });
                }
                (NodeKind::Object(members), object.range)
            }
        };
        Ok(Node { kind, range: self.range(range) })
    }

    fn check_depth(&self, depth: usize, range: Range) -> Result<(), JsonError> {
        if depth < limits::JSON_NESTING {
            return Ok(());
        }
        let start = self.range(range).start;
        let message = format!("this is nested deeper than {} levels", limits::JSON_NESTING);
        Err(JsonError { range: TextRange::new(start, start + 1), message })
    }

    fn range(&self, range: Range) -> TextRange {
        TextRange::new(range.start as u32 + self.offset, range.end as u32 + self.offset)
    }
}
