//! Literals as lines of YAML or JSON, in the manner of the file that they come into.

use keyblind_resource::{Data, Value};
use keyblind_rule_language::Literal;
use keyblind_syntax::yaml::{Node, Stream, Style};

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    /// By how many columns a block is indented.
    pub(super) step: usize,
    /// By how many columns the dashes of a list stand in from its key.
    pub(super) dash: usize,
    /// Whether keys and texts are quoted as JSON wants it.
    pub(super) json: bool,
}

impl Manner {
    /// The manner that most of a file is in.
    pub(super) fn of(text: &str, stream: &Stream) -> Self {
        let json = text.trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n']).starts_with('{');
        let (mut steps, mut dashes) = ([0_usize; 9], [0_usize; 9]);
        let mut open: Vec<&Node> = stream.documents.iter().collect();
        while let Some(node) = open.pop() {
            if node.alias.is_some() {
                continue;
            }
            for item in node.as_sequence().unwrap_or_default() {
                open.push(item);
            }
            for entry in node.as_mapping().unwrap_or_default() {
                open.push(&entry.value);
                let (key, value) = (column(text, entry.key.range.start), indentation_of_first(text, &entry.value));
                let Some(difference) = value.and_then(|value| value.checked_sub(key)) else { continue };
                let counts = if entry.value.as_sequence().is_some() { &mut dashes } else { &mut steps };
                if let Some(count) = counts.get_mut(difference) {
                    *count += 1;
                }
            }
        }
        let most = |counts: &[usize; 9]| {
            let most = counts.iter().copied().max().filter(|most| *most > 0)?;
            counts.iter().position(|count| *count == most)
        };
        let step = most(&steps).filter(|step| *step > 0).unwrap_or(2);
        Self { step, dash: most(&dashes).unwrap_or(if json { step } else { 0 }), json }
    }
}

/// The column at which a collection's content begins, if that stands on a line of its own.
fn indentation_of_first(text: &str, node: &Node) -> Option<usize> {
    let start = match node.style {
        Style::Block => node.range.start,
        Style::Flow => match (node.as_mapping(), node.as_sequence()) {
            (Some([first, ..]), _) => first.key.range.start,
            (_, Some([first, ..])) => first.range.start,
            _ => return None,
        },
        _ => return None,
    };
    let line = line_start(text, start);
    text[line as usize..start as usize].chars().all(|character| character == ' ').then(|| column(text, start))
}

/// A literal as it is written: on one line, or as lines with how far each is indented.
pub(super) enum Written {
    Scalar(String),
    Nested(Vec<(usize, String)>),
}

impl Written {
    /// A literal in block style.
    pub(super) fn block(literal: &Literal, manner: Manner) -> Self {
        match literal {
            Literal::List(items) if !items.is_empty() => {
                Self::Nested(items.iter().flat_map(|item| Self::block(item, manner).into_item()).collect())
            }
            Literal::Map(entries) if !entries.is_empty() && reference(literal).is_none() => {
                Self::Nested(entries.iter().flat_map(|(key, value)| Self::entry(key, value, manner)).collect())
            }
            other => Self::Scalar(scalar(other)),
        }
    }

    /// The lines of a key with its value.
    pub(super) fn entry(key: &str, value: &Literal, manner: Manner) -> Vec<(usize, String)> {
        let key = if is_plain(key) { key.to_owned() } else { json_text(key) };
        match Self::block(value, manner) {
            Self::Scalar(scalar) => vec![(0, format!("{key}: {scalar}"))],
            Self::Nested(lines) => {
                let by = if matches!(value, Literal::List(_)) { manner.dash } else { manner.step };
                std::iter::once((0, format!("{key}:"))).chain(lines.into_iter().map(|(depth, line)| (depth + by, line))).collect()
            }
        }
    }

    /// As an element: the first line behind the dash, the others under it.
    pub(super) fn into_item(self) -> Vec<(usize, String)> {
        match self {
            Self::Scalar(scalar) => vec![(0, format!("- {scalar}"))],
            Self::Nested(lines) => lines
                .into_iter()
                .enumerate()
                .map(|(index, (depth, line))| if index == 0 { (0, format!("- {line}")) } else { (depth + 2, line) })
                .collect(),
        }
    }
}

/// Lines from a column on, without an end of line behind the last.
pub(super) fn lines_at(lines: &[(usize, String)], indent: usize) -> String {
    lines.iter().map(|(depth, line)| format!("{}{line}", " ".repeat(indent + depth))).collect::<Vec<_>>().join("\n")
}

/// A literal in brackets: on one line, or as JSON is written over several from a column on.
pub(super) fn flow(literal: &Literal, manner: Manner, multiline_at: Option<usize>) -> String {
    let text = |text: &str| if manner.json || !is_plain(text) { json_text(text) } else { text.to_owned() };
    let (open, close, parts): (_, _, Vec<String>) = match literal {
        Literal::Text(plain) => return text(plain),
        Literal::List(items) if !items.is_empty() => {
            ('[', ']', items.iter().map(|item| flow(item, manner, multiline_at.map(|indent| indent + manner.step))).collect())
        }
        Literal::Map(entries) if !entries.is_empty() => {
            let entry = |(key, value): &(Box<str>, Literal)| {
                format!("{}: {}", text(key), flow(value, manner, multiline_at.map(|indent| indent + manner.step)))
            };
            ('{', '}', entries.iter().map(entry).collect())
        }
        Literal::List(_) => return "[]".to_owned(),
        Literal::Map(_) => return "{}".to_owned(),
        other => return scalar(other),
    };
    match multiline_at {
        Some(indent) => {
            let inner = " ".repeat(indent + manner.step);
            format!("{open}\n{inner}{}\n{}{close}", parts.join(&format!(",\n{inner}")), " ".repeat(indent))
        }
        None if open == '{' => format!("{{ {} }}", parts.join(", ")),
        None => format!("[{}]", parts.join(", ")),
    }
}

/// A key in brackets.
pub(super) fn flow_key(key: &str, manner: Manner) -> String {
    if manner.json || !is_plain(key) { json_text(key) } else { key.to_owned() }
}

/// A reference to a parameter of a template, in the short form.
pub(super) fn reference(literal: &Literal) -> Option<String> {
    let Literal::Map(entries) = literal else { return None };
    match &entries[..] {
        [(key, Literal::Text(name))] if &**key == "Ref" => Some(format!("!Ref {name}")),
        _ => None,
    }
}

fn scalar(literal: &Literal) -> String {
    match literal {
        Literal::Text(text) if is_plain(text) => text.to_string(),
        Literal::Text(text) => json_text(text),
        Literal::List(_) => "[]".to_owned(),
        Literal::Map(_) => reference(literal).unwrap_or_else(|| "{}".to_owned()),
        other => other.to_string(),
    }
}

/// A scalar in the quotes of the one whose place it takes.
pub(super) fn scalar_like(literal: &Literal, style: Style, manner: Manner) -> String {
    match (literal, style) {
        (Literal::Text(text), Style::DoubleQuoted) => json_text(text),
        (Literal::Text(text), Style::SingleQuoted) => format!("'{}'", text.replace('\'', "''")),
        (Literal::Text(text), _) if manner.json => json_text(text),
        (Literal::Map(_), _) => scalar(literal),
        // Where the text of a boolean or number was meant, it stays one.
        (Literal::Bool(_) | Literal::Int(_), Style::DoubleQuoted) => format!("\"{literal}\""),
        (Literal::Bool(_) | Literal::Int(_), Style::SingleQuoted) => format!("'{literal}'"),
        _ => scalar(literal),
    }
}

/// Whether a text means itself without quotes, in every version of YAML.
fn is_plain(text: &str) -> bool {
    // An expression of a workflow.
    if text.starts_with("${{") && text.ends_with("}}") && !text.contains([':', '#', '\n', '\'']) {
        return true;
    }
    let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
    let mut characters = text.chars();
    characters.next().is_some_and(|first| first.is_ascii_alphabetic() || matches!(first, '/' | '_'))
        && text.split(": ").count() == 1
        && !text.ends_with(':')
        && characters.all(|character| character.is_ascii_alphanumeric() || "_-./:@".contains(character))
        && !words.contains(&text.to_ascii_lowercase().as_str())
}

/// In double quotes, as JSON and YAML both read it.
fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// The literal that a value that is wholly known would be written as.
pub(super) fn literal_of(value: &Value) -> Option<Literal> {
    if let Some(items) = value.as_items() {
        return items.iter().map(literal_of).collect::<Option<_>>().map(Literal::List);
    }
    if let Some(entries) = value.as_mapping() {
        let entry = |(name, value): (&std::sync::Arc<str>, &Value)| Some(((**name).into(), literal_of(value)?));
        return entries.iter().map(entry).collect::<Option<_>>().map(Literal::Map);
    }
    match &value.data {
        Data::Null => Some(Literal::Null),
        Data::Bool(value) => Some(Literal::Bool(*value)),
        Data::Number(number) => Some(Literal::from_plain(&number.to_string())),
        Data::String(text) => Some(Literal::Text((**text).into())),
        _ => None,
    }
}

pub(super) fn line_start(text: &str, at: u32) -> u32 {
    text[..at as usize].rfind('\n').map_or(0, |end| end as u32 + 1)
}

/// The end of the line that an offset is on, its line ending not included.
pub(super) fn line_end(text: &str, at: u32) -> u32 {
    let rest = &text[at as usize..];
    let end = rest.find('\n').unwrap_or(rest.len());
    at + rest[..end].trim_end_matches('\r').len() as u32
}

/// How many columns stand before an offset on its line.
pub(super) fn column(text: &str, at: u32) -> usize {
    text[line_start(text, at) as usize..at as usize].chars().count()
}
