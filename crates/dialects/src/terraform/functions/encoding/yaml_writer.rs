//! `yamlencode`, byte for byte: block style, texts in double quotes or, where they have several lines, as literal blocks.
//!
//! Source: the emitter of libyaml, which Terraform uses a translation of, with its line width of 80.

use keyblind_resource::{Data, Value};

use super::json::encoded;
use crate::terraform::functions::text_builder::TextBuilder;
use crate::terraform::functions::{Call, Failure, Outcome, invalid};
use crate::terraform::types::MAX_DEPTH;

/// Columns behind which a quoted text is folded at the next space.
const WIDTH: usize = 80;
/// Columns that each level is indented by.
const STEP: usize = 2;
/// Longer keys (in bytes) get a `? ` of their own.
const MAX_SIMPLE_KEY: usize = 128;

pub(super) fn yamlencode(call: &Call<'_>) -> Outcome {
    encoded(call, call.value(0), |value, builder| {
        let mut writer = Writer { builder, column: 0, indent: None, after_space: true, indention: true };
        writer.node(value, Context::Root, 0)?;
        writer.write_indent()?;
        // A plain scalar at the top would go on with a next document.
        if matches!(value.data, Data::Null | Data::Bool(_) | Data::Number(_)) { writer.builder.push("...\n") } else { Ok(()) }
    })
}

#[derive(Clone, Copy, PartialEq)]
enum Context {
    Root,
    Sequence,
    Mapping,
    SimpleKey,
}

struct Writer<'w, 'a> {
    builder: &'w mut TextBuilder<'a>,
    column: usize,
    /// None before the first collection.
    indent: Option<usize>,
    /// The last sign was white space.
    after_space: bool,
    /// Only indentation and indicators stand on this line so far.
    indention: bool,
}

impl Writer<'_, '_> {
    fn put(&mut self, text: &str) -> Result<(), Failure> {
        self.column += text.chars().count();
        self.builder.push(text)
    }

    fn put_break(&mut self) -> Result<(), Failure> {
        self.column = 0;
        self.builder.push("\n")
    }

    fn indicator(&mut self, sign: &str, needs_space: bool, is_space: bool, is_indention: bool) -> Result<(), Failure> {
        if needs_space && !self.after_space {
            self.put(" ")?;
        }
        self.after_space = is_space;
        self.indention &= is_indention;
        self.put(sign)
    }

    fn write_indent(&mut self) -> Result<(), Failure> {
        let indent = self.indent.unwrap_or(0);
        if !self.indention || self.column > indent || self.column == indent && !self.after_space {
            self.put_break()?;
        }
        if self.column < indent {
            let missing = " ".repeat(indent - self.column);
            self.put(&missing)?;
        }
        self.after_space = true;
        self.indention = true;
        Ok(())
    }

    fn node(&mut self, value: &Value, context: Context, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return invalid(format!("the value is nested deeper than {MAX_DEPTH} levels"));
        }
        match &value.data {
            Data::Unknown(_) => Err(Failure::NotKnown),
            Data::Null => self.plain("null"),
            Data::Bool(true) => self.plain("true"),
            Data::Bool(false) => self.plain("false"),
            Data::Number(number) => self.plain(&number.to_string()),
            Data::String(text) => self.text(text, context),
            Data::List(items) | Data::Set(items) | Data::Tuple(items) if items.is_empty() => {
                self.indicator("[", true, true, false)?;
                self.indicator("]", false, false, false)
            }
            Data::Map(entries) | Data::Object(entries) if entries.is_empty() => {
                self.indicator("{", true, true, false)?;
                self.indicator("}", false, false, false)
            }
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
                let outer = self.indent;
                // Directly behind a simple key, the items stand as far to the left as the key.
                let behind_key = context == Context::Mapping && !self.indention;
                self.indent = Some(match outer {
                    None => 0,
                    Some(indent) if behind_key => indent,
                    Some(indent) => indent + STEP,
                });
                for item in items.iter() {
                    self.write_indent()?;
                    self.indicator("-", true, false, true)?;
                    self.node(item, Context::Sequence, depth + 1)?;
                }
                self.indent = outer;
                Ok(())
            }
            Data::Map(entries) | Data::Object(entries) => {
                let outer = self.indent;
                self.indent = Some(outer.map_or(0, |indent| indent + STEP));
                for (name, item) in entries.iter() {
                    self.write_indent()?;
                    if name.len() <= MAX_SIMPLE_KEY && !name.contains(is_break) {
                        self.text(name, Context::SimpleKey)?;
                        self.indicator(":", false, false, false)?;
                    } else {
                        self.indicator("?", true, false, true)?;
                        self.text(name, Context::Mapping)?;
                        self.write_indent()?;
                        self.indicator(":", true, false, true)?;
                    }
                    self.node(item, Context::Mapping, depth + 1)?;
                }
                self.indent = outer;
                Ok(())
            }
        }
    }

    fn plain(&mut self, text: &str) -> Result<(), Failure> {
        self.indicator(text, true, false, false)
    }

    fn text(&mut self, text: &str, context: Context) -> Result<(), Failure> {
        let outer = self.indent;
        self.indent = Some(outer.map_or(STEP, |indent| indent + STEP));
        let result = if text.contains('\n') && context != Context::SimpleKey && may_be_block(text) {
            self.literal(text)
        } else {
            self.quoted(text, context != Context::SimpleKey)
        };
        self.indent = outer;
        result
    }

    fn literal(&mut self, text: &str) -> Result<(), Failure> {
        self.indicator("|", true, false, false)?;
        if text.starts_with(|first| first == ' ' || is_break(first)) {
            self.put("2")?;
        }
        let mut from_end = text.chars().rev();
        match (from_end.next(), from_end.next()) {
            (Some(last), _) if !is_break(last) => self.put("-")?,
            (Some(_), None) => self.put("+")?,
            (Some(_), Some(before)) if is_break(before) => self.put("+")?,
            _ => {}
        }
        self.put_break()?;
        self.after_space = true;
        self.indention = true;
        let mut at_start = true;
        for line in text.split_inclusive(is_break) {
            let content = line.trim_end_matches(is_break);
            if !content.is_empty() {
                if at_start {
                    self.write_indent()?;
                }
                self.put(content)?;
                self.indention = false;
            }
            at_start = content.len() < line.len();
            if at_start {
                self.builder.push(&line[content.len()..])?;
                self.column = 0;
                self.indention = true;
            }
        }
        Ok(())
    }

    fn quoted(&mut self, text: &str, may_fold: bool) -> Result<(), Failure> {
        self.indicator("\"", true, false, false)?;
        // libyaml looks for a byte-order mark at the start of the whole text only, and then for every character.
        let escape_all = text.starts_with('\u{feff}');
        let mut after_fold_or_space = false;
        let mut characters = text.char_indices().peekable();
        while let Some((at, character)) = characters.next() {
            if escape_all || !is_printable(character) || is_break(character) || matches!(character, '"' | '\\') {
                self.put(&escaped(character))?;
                after_fold_or_space = false;
            } else if character == ' ' {
                let last = at + 1 == text.len();
                if may_fold && !after_fold_or_space && self.column > WIDTH && at > 0 && !last {
                    self.write_indent()?;
                    if characters.peek().is_some_and(|(_, next)| *next == ' ') {
                        self.put("\\")?;
                    }
                } else {
                    self.put(" ")?;
                }
                after_fold_or_space = true;
            } else {
                self.put(character.encode_utf8(&mut [0; 4]))?;
                after_fold_or_space = false;
            }
        }
        self.indicator("\"", false, false, false)
    }
}

fn is_break(character: char) -> bool {
    matches!(character, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// What this emitter takes for printable: nothing beyond the basic plane, and no tab.
fn is_printable(character: char) -> bool {
    matches!(character, '\n' | ' '..='~' | '\u{a0}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// Whether a literal block can hold the text: nothing in it needs an escape, and no space stands before a line's end.
fn may_be_block(text: &str) -> bool {
    if !text.chars().all(is_printable) || text.ends_with(' ') {
        return false;
    }
    let mut previous = '\0';
    for character in text.chars() {
        if is_break(character) && previous == ' ' {
            return false;
        }
        previous = character;
    }
    true
}

fn escaped(character: char) -> String {
    match character {
        '\0' => "\\0".to_owned(),
        '\u{7}' => "\\a".to_owned(),
        '\u{8}' => "\\b".to_owned(),
        '\t' => "\\t".to_owned(),
        '\n' => "\\n".to_owned(),
        '\u{b}' => "\\v".to_owned(),
        '\u{c}' => "\\f".to_owned(),
        '\r' => "\\r".to_owned(),
        '\u{1b}' => "\\e".to_owned(),
        '"' => "\\\"".to_owned(),
        '\\' => "\\\\".to_owned(),
        '\u{85}' => "\\N".to_owned(),
        '\u{a0}' => "\\_".to_owned(),
        '\u{2028}' => "\\L".to_owned(),
        '\u{2029}' => "\\P".to_owned(),
        _ => match u32::from(character) {
            code @ 0..=0xff => format!("\\x{code:02X}"),
            code @ 0x100..=0xffff => format!("\\u{code:04X}"),
            code => format!("\\U{code:08X}"),
        },
    }
}
