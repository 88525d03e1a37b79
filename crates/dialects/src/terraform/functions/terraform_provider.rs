//! The functions of Terraform's built-in provider: `provider::terraform::encode_tfvars`, `decode_tfvars`, `encode_expr`.
//!
//! Source: the behaviour of Terraform 1.11, whose layout is that of `terraform fmt`.

use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Value};
use keyblind_syntax::hcl;
use unicode_segmentation::UnicodeSegmentation;

use super::parameters::any;
use super::text_builder::TextBuilder;
use super::{Call, Failure, Function, Outcome, invalid, text};
use crate::terraform::types::{self, MAX_DEPTH};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("provider::terraform::decode_tfvars", &[text("src")], decode_tfvars),
    Function::new("provider::terraform::encode_expr", &[any("expr")], encode_expr),
    Function::new("provider::terraform::encode_tfvars", &[any("value")], encode_tfvars),
];

fn encode_expr(call: &Call<'_>) -> Outcome {
    let mut layout = Layout::new(call);
    layout.value(call.value(0), 0)?;
    layout.finish(call)
}

fn encode_tfvars(call: &Call<'_>) -> Outcome {
    let Some(entries) = call.value(0).as_mapping() else {
        return invalid(format!("the variables must be an object, not {}", types::kind_of(call.value(0))));
    };
    let mut layout = Layout::new(call);
    for (name, value) in entries.iter() {
        if !is_identifier(name) {
            return invalid(format!("\"{name}\" is not a valid variable name"));
        }
        layout.entry(name, value, 0)?;
        layout.end_line();
    }
    layout.finish(call)
}

/// Expressions in the text may not refer to anything; that the evaluator sees to.
fn decode_tfvars(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let file = hcl::parse(text);
    if let Some(error) = file.errors.first() {
        return invalid(format!("the text is no valid variables file: {}", error.message));
    }
    if let Some(block) = file.body.blocks().next() {
        return invalid(format!("a variables file holds no blocks such as {}", block.kind.text));
    }
    let nothing = Value::new(Data::Object(Arc::new(Mapping::default())));
    let mut variables: Vec<(Arc<str>, Value)> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for attribute in file.body.attributes() {
        let name = &attribute.name.text;
        if !seen.insert(name.clone()) {
            return invalid(format!("the variable {name} is set twice"));
        }
        call.spend(1)?;
        // A template that is nothing but one interpolation has the value of that, whatever its type.
        let expression = text.get(attribute.value.range.as_usize()).unwrap_or("");
        let value = call.host.template("decode_tfvars", &format!("${{{expression}\n}}"), &nothing);
        if let Some(fault) = super::unknowns::fault(&value) {
            return invalid(format!("the variable {name}: {fault}"));
        }
        variables.push((name.clone(), value));
    }
    Ok(Value::object(variables))
}

/// An identifier of HCL: letters, digits, `_` and `-`, not beginning with a digit or `-`.
fn is_identifier(name: &str) -> bool {
    let mut characters = name.chars();
    characters.next().is_some_and(|first| first.is_alphabetic() || first == '_')
        && characters.all(|character| character.is_alphanumeric() || matches!(character, '_' | '-'))
}

/// Lines as `terraform fmt` lays them out: indented by open brackets, equals signs of neighbouring lines in one column.
struct Layout<'a> {
    lines: Vec<Line>,
    line: Line,
    /// What the result will be at least as long as; bounds memory before the text is put together.
    length: TextBuilder<'a>,
}

#[derive(Default)]
struct Line {
    text: String,
    /// Where the equals sign stands, and how many brackets stood open before it.
    assignment: Option<(usize, i64)>,
    /// Brackets opened less brackets closed.
    brackets: i64,
}

impl<'a> Layout<'a> {
    fn new(call: &Call<'a>) -> Self {
        Self { lines: Vec::new(), line: Line::default(), length: call.text_builder() }
    }

    fn put(&mut self, text: &str) -> Result<(), Failure> {
        self.length.push(text)?;
        self.line.text.push_str(text);
        Ok(())
    }

    fn open(&mut self, bracket: &str) -> Result<(), Failure> {
        self.line.brackets += 1;
        self.put(bracket)
    }

    fn close(&mut self, bracket: &str) -> Result<(), Failure> {
        self.line.brackets -= 1;
        self.put(bracket)
    }

    fn end_line(&mut self) {
        self.lines.push(std::mem::take(&mut self.line));
    }

    fn value(&mut self, value: &Value, depth: usize) -> Result<(), Failure> {
        if depth > MAX_DEPTH {
            return invalid(format!("the value is nested deeper than {MAX_DEPTH} levels"));
        }
        match &value.data {
            Data::Unknown(_) => Err(Failure::NotKnown),
            Data::Null => self.put("null"),
            Data::Bool(true) => self.put("true"),
            Data::Bool(false) => self.put("false"),
            Data::Number(number) => self.put(&number.to_string()),
            Data::String(text) => self.put(&quoted(text)),
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
                self.open("[")?;
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        self.put(", ")?;
                    }
                    self.value(item, depth + 1)?;
                }
                self.close("]")
            }
            Data::Map(entries) | Data::Object(entries) => {
                self.open("{")?;
                if !entries.is_empty() {
                    self.end_line();
                }
                for (name, item) in entries.iter() {
                    let name = if is_identifier(name) { name.to_string() } else { quoted(name) };
                    self.entry(&name, item, depth + 1)?;
                    self.end_line();
                }
                self.close("}")
            }
        }
    }

    fn entry(&mut self, name: &str, value: &Value, depth: usize) -> Result<(), Failure> {
        self.put(name)?;
        self.line.assignment = Some((self.line.text.len(), self.line.brackets));
        self.put(" = ")?;
        self.value(value, depth)
    }

    fn finish(mut self, call: &Call<'_>) -> Outcome {
        if !self.line.text.is_empty() {
            self.end_line();
        } else if !self.lines.is_empty() {
            // A whole body ends with a line end.
            self.lines.push(Line::default());
        }
        let columns = self.columns();
        let mut builder = call.text_builder();
        let mut open: Vec<i64> = Vec::new();
        for (index, (line, column)) in self.lines.iter().zip(columns).enumerate() {
            if index > 0 {
                builder.push("\n")?;
            }
            if line.brackets < 0 {
                close_levels(&mut open, -line.brackets);
            }
            if !line.text.is_empty() {
                builder.push(&"  ".repeat(open.len()))?;
            }
            match (line.assignment, column) {
                (Some((at, _)), Some(column)) => {
                    let name = &line.text[..at];
                    builder.push(name)?;
                    builder.push(&" ".repeat(column.saturating_sub(name.graphemes(true).count())))?;
                    builder.push(&line.text[at..])?;
                }
                _ => builder.push(&line.text)?,
            }
            if line.brackets > 0 {
                open.push(line.brackets);
            }
        }
        Ok(builder.finish())
    }

    /// For every line that assigns a value which ends on it: the column of the equals sign, common to neighbours.
    fn columns(&self) -> Vec<Option<usize>> {
        let widths: Vec<Option<usize>> = self
            .lines
            .iter()
            .map(|line| match line.assignment {
                Some((at, before)) if line.brackets == before => Some(line.text[..at].graphemes(true).count()),
                _ => None,
            })
            .collect();
        let mut columns = Vec::with_capacity(widths.len());
        for group in widths.chunk_by(|a, b| a.is_some() == b.is_some()) {
            let widest = group.iter().copied().max().flatten();
            columns.resize(columns.len() + group.len(), widest);
        }
        columns
    }
}

/// Takes as many brackets off the open levels as a line closes.
fn close_levels(open: &mut Vec<i64>, mut closed: i64) {
    while closed > 0
        && let Some(last) = open.last_mut()
    {
        if closed < *last {
            *last -= closed;
            return;
        }
        closed -= *last;
        open.pop();
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '$' | '%' => {
                quoted.push(character);
                if characters.peek() == Some(&'{') {
                    quoted.push(character);
                }
            }
            _ if types::is_printable(character) => quoted.push(character),
            _ => match u32::from(character) {
                code @ 0..=0xffff => quoted.push_str(&format!("\\u{code:04x}")),
                code => quoted.push_str(&format!("\\U{code:08x}")),
            },
        }
    }
    quoted.push('"');
    quoted
}
