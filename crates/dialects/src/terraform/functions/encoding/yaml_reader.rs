//! `yamldecode`, with the scalars that Terraform resolves: those of YAML 1.1 that people stumble over (`yes`, `on`, dates)
//! among them.
//!
//! Source: the behaviour of zclconf/go-cty-yaml as Terraform 1.11 has it.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag};
use keyblind_resource::{Data, Mapping, Value};

use super::base64_bytes;
use crate::terraform::functions::{Call, Failure, Outcome, date_time, invalid};
use crate::terraform::types::{self, MAX_DEPTH};

pub(super) fn yamldecode(call: &Call<'_>) -> Outcome {
    let value = call.value(0);
    if let Some(unknown) = value.as_unknown() {
        return unknown.document.clone().ok_or(Failure::NotKnown);
    }
    let text = call.text(0)?;
    let known = call.host.decoded_texts();
    if let Some((value, nodes)) = known.and_then(|known| known.get(text)) {
        call.spend(nodes)?;
        return Ok(value);
    }
    let (value, nodes) = decode(call, text)?;
    if let Some(known) = known {
        known.keep(text, &value, nodes);
    }
    Ok(value)
}

/// The value of a text, and how many nodes were read for it.
fn decode(call: &Call<'_>, text: &str) -> Result<(Value, u64), Failure> {
    check_directives(text)?;
    let mut reader = Reader { call, events: Parser::new_from_str(text), anchors: HashMap::new(), nodes: 0 };
    let mut document = None;
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentEnd => {}
            Event::DocumentStart(..) if document.is_some() => return invalid("the YAML text has more than one document"),
            Event::DocumentStart(..) => {
                let first = reader.next()?;
                document = Some(reader.node(first, 0)?);
            }
            Event::StreamEnd => break,
            _ => return invalid("the YAML text has something outside of its document"),
        }
    }
    let nodes = reader.nodes;
    document.map_or_else(|| invalid("the YAML text is empty"), |document| Ok((document, nodes)))
}

/// Terraform reads YAML 1.1 and refuses what says that it is something else.
fn check_directives(text: &str) -> Result<(), Failure> {
    for line in text.lines() {
        let line = line.trim_start_matches('\u{feff}');
        if let Some(directive) = line.strip_prefix('%') {
            let mut words = directive.split_whitespace();
            match (words.next(), words.next()) {
                (Some("YAML"), Some("1.1")) | (Some("TAG"), _) => {}
                _ => return invalid(format!("the YAML directive %{directive} is not supported")),
            }
        } else if !(line.trim().is_empty() || line.starts_with('#')) {
            break;
        }
    }
    Ok(())
}

struct Reader<'c, 'a> {
    call: &'c Call<'a>,
    events: Parser<'c, StrInput<'c>>,
    /// What an anchor names, and how many nodes that is: each use of it costs as much.
    anchors: HashMap<usize, (Value, u64)>,
    /// How many nodes were read, those behind aliases included.
    nodes: u64,
}

/// What a key is for.
enum Key {
    Name(Arc<str>),
    Merge,
}

impl<'c> Reader<'c, '_> {
    fn next(&mut self) -> Result<Event<'c>, Failure> {
        loop {
            match self.events.next_event() {
                Some(Ok((Event::Comment(..) | Event::Anchor(..), _))) => {}
                Some(Ok((event, _))) => return Ok(event),
                Some(Err(error)) => return invalid(format!("the text is not valid YAML: {error}")),
                None => return invalid("the YAML text ends too early"),
            }
        }
    }

    fn count(&mut self, nodes: u64) -> Result<(), Failure> {
        self.nodes = self.nodes.saturating_add(nodes);
        self.call.spend(nodes)
    }

    fn node(&mut self, event: Event<'c>, depth: usize) -> Outcome {
        if depth > MAX_DEPTH {
            return invalid(format!("the YAML text is nested deeper than {MAX_DEPTH} levels"));
        }
        let before = self.nodes;
        self.count(1)?;
        let (anchor, value) = match event {
            Event::Scalar(text, style, anchor, tag) => (anchor, scalar(&text, style, tag.as_deref())?),
            Event::SequenceStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "seq")?;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Event::SequenceEnd => break,
                        event => items.push(self.node(event, depth + 1)?),
                    }
                }
                (anchor, Value::tuple(items))
            }
            Event::MappingStart(_, anchor, tag) => {
                check_tag(tag.as_deref(), "map")?;
                (anchor, self.mapping(depth)?)
            }
            Event::Alias(anchor) => {
                let Some((value, nodes)) = self.anchors.get(&anchor).cloned() else {
                    return invalid("a YAML alias stands inside of what it names");
                };
                self.count(nodes)?;
                return Ok(value);
            }
            _ => return invalid("a value is expected in the YAML text"),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, (value.clone(), self.nodes - before));
        }
        Ok(value)
    }

    fn mapping(&mut self, depth: usize) -> Outcome {
        let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
        loop {
            let key = match self.next()? {
                Event::MappingEnd => break,
                Event::Scalar(text, style, anchor, tag) => {
                    self.count(1)?;
                    if anchor != 0 {
                        self.anchors.insert(anchor, (scalar(&text, style, tag.as_deref())?, 1));
                    }
                    key(&text, style, tag.as_deref())?
                }
                _ => return invalid("only scalars can be the keys of a YAML mapping"),
            };
            let event = self.next()?;
            let value = self.node(event, depth + 1)?;
            match key {
                Key::Name(name) => entries.push((name, value)),
                Key::Merge => match &value.data {
                    Data::Object(merged) => {
                        self.count(merged.len() as u64)?;
                        entries.extend(merged.iter().map(|(name, value)| (name.clone(), value.clone())));
                    }
                    _ => return invalid("what is merged into a YAML mapping must be a mapping"),
                },
            }
        }
        // The last of equal names counts, also among those that were merged in.
        let entries: Mapping = entries.into_iter().collect();
        Ok(Value::new(Data::Object(Arc::new(entries))))
    }
}

/// The name of one of YAML's own tags.
fn core_tag(tag: &Tag) -> Result<String, Failure> {
    let full = format!("{}{}", tag.handle(), tag.suffix());
    match full.strip_prefix("tag:yaml.org,2002:") {
        Some(name) => Ok(name.to_owned()),
        None => invalid(format!("the YAML tag {} is not supported", tag.original())),
    }
}

fn check_tag(tag: Option<&Tag>, expected: &str) -> Result<(), Failure> {
    match tag.map(core_tag).transpose()? {
        None => Ok(()),
        Some(name) if name == expected => Ok(()),
        Some(name) => invalid(format!("the YAML tag !!{name} doesn't fit the value")),
    }
}

fn key(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Key, Failure> {
    if text == "<<" && tag.is_none() {
        return Ok(Key::Merge);
    }
    let value = scalar(text, style, tag)?;
    match types::to_text(&value) {
        Some(name) => Ok(Key::Name(name)),
        None => invalid("null can't be the key of a YAML mapping"),
    }
}

fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Outcome {
    let raw = || Value::string(types::normalized(text.to_owned()));
    let quoted = matches!(style, ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted);
    let Some(tag) = tag.map(core_tag).transpose()? else {
        if quoted {
            return Ok(raw());
        }
        let value = resolved(text)?;
        // A block scalar is a text, but of what a plain one would be.
        return Ok(if style == ScalarStyle::Plain { value } else { types::to_text(&value).map_or_else(Value::null, Value::string) });
    };
    match tag.as_str() {
        "str" => Ok(raw()),
        "binary" => base64_bytes(text).map(|_| raw()),
        "null" => Ok(if quoted { raw() } else { Value::null() }),
        "int" | "float" | "bool" | "timestamp" if quoted => Ok(raw()),
        "int" | "float" | "bool" => match resolved(text)? {
            value if value.as_str().is_none() => Ok(value),
            _ => invalid(format!("\"{text}\" doesn't fit the YAML tag !!{tag}")),
        },
        "timestamp" => match timestamp(text) {
            Some(timestamp) => Ok(Value::string(timestamp)),
            None => invalid(format!("\"{text}\" doesn't fit the YAML tag !!timestamp")),
        },
        _ => invalid(format!("the YAML tag !!{tag} is not supported")),
    }
}

/// What a plain scalar means.
fn resolved(text: &str) -> Outcome {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Value::null()),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Ok(Value::bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => return Ok(Value::bool(false)),
        _ => {}
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return invalid(format!("the YAML number {text} has no counterpart in Terraform"));
    }
    if let Some(number) = number(text) {
        return Ok(Value::new(Data::Number(number.map_err(|error| Failure::Invalid(error.to_string()))?)));
    }
    Ok(Value::string(timestamp(text).map_or_else(|| types::normalized(text.to_owned()), Arc::from)))
}

fn number(text: &str) -> Option<Result<keyblind_resource::Number, keyblind_resource::NumberError>> {
    for (prefix, base) in [("0x", 16), ("0o", 8)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(base))
        {
            return Some(keyblind_resource::Number::from_digits(digits, base));
        }
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (unsigned, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    if !mantissa_fits || exponent.is_some_and(|exponent| !digits(exponent)) {
        return None;
    }
    Some(types::parse_number(text).ok_or(keyblind_resource::NumberError::TooLarge))
}

/// A date, or a date and time, as RFC 3339 writes it without a fraction.
fn timestamp(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if bytes.len() < 8 || !bytes[..4].iter().all(u8::is_ascii_digit) || bytes[4] != b'-' {
        return None;
    }
    let (date, time) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], Some(text.split_at(at).1)),
        None => (text, None),
    };
    let mut parts = date.splitn(3, '-');
    let (year, month, day) = (parts.next()?, short_number(parts.next()?)?, short_number(parts.next()?)?);
    let Some(time) = time else { return date_time::checked(&format!("{year}-{month:02}-{day:02}T00:00:00Z")) };
    let with_offset = !time.starts_with(' ');
    let time = &time[1..];
    let (clock, offset) = match time.find(['Z', '+', '-']) {
        Some(at) if with_offset => time.split_at(at),
        None if !with_offset => (time, "Z"),
        _ => return None,
    };
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let mut parts = clock.splitn(3, ':');
    let (hour, minute, second) = (short_number(parts.next()?)?, short_number(parts.next()?)?, short_number(parts.next()?)?);
    date_time::checked(&format!("{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{offset}"))
}

/// One or two digits.
fn short_number(text: &str) -> Option<u8> {
    if matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit()) { text.parse().ok() } else { None }
}
