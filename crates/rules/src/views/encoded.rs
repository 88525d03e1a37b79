//! Documents within texts: JSON and YAML, also with unknown parts.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};
use keyblind_resource::{Data, Fragment, Mapping, Number, Unknown, Value};
use keyblind_rule_language::Literal;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::compare::value_of;
use crate::walk::inside_of;

/// The longest text that is decoded, in bytes.
const MAX_BYTES: usize = 1 << 20;
/// The most values of one document, copies made by aliases included.
const MAX_VALUES: usize = 200_000;
/// The deepest nesting; serde_json has the same bound of its own.
const MAX_DEPTH: usize = 120;

/// A JSON document. What is already a list or an object stays as it is.
pub(crate) fn json(value: &Value) -> Option<Value> {
    decode(value, true, |text| {
        let read = |text: &str| serde_json::from_str::<Decoded>(text).ok().map(|decoded| decoded.0);
        read(text).or_else(|| read(&without_trailing_commas(text)?))
    })
}

/// The text without commas before a closing bracket: a frequent slip, which leaves no doubt about what is meant. `None`
/// if there is none.
fn without_trailing_commas(text: &str) -> Option<String> {
    let mut kept = String::with_capacity(text.len());
    let (mut in_string, mut escaped, mut comma) = (false, false, None);
    let mut dropped = false;
    for character in text.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if in_string => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        if !in_string && character == ',' {
            comma = Some(kept.len());
        } else if !in_string && matches!(character, ']' | '}') {
            if let Some(at) = comma.take() {
                kept.remove(at);
                dropped = true;
            }
        } else if !character.is_whitespace() {
            comma = None;
        }
        kept.push(character);
    }
    dropped.then_some(kept)
}

/// A YAML document; several documents are a list.
pub(crate) fn yaml(value: &Value) -> Option<Value> {
    decode(value, false, read_yaml)
}

fn decode(value: &Value, quoted: bool, read: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    match &value.data {
        Data::String(text) if text.len() > MAX_BYTES => None,
        Data::String(text) => read(text),
        Data::List(_) | Data::Set(_) | Data::Tuple(_) | Data::Map(_) | Data::Object(_) => Some(value.clone()),
        Data::Unknown(unknown) => match &unknown.document {
            Some(document) => Some(document.clone()),
            None => Some(decode_fragments(unknown, quoted, read).unwrap_or_else(|| inside_of(unknown))),
        },
        Data::Null | Data::Bool(_) | Data::Number(_) => None,
    }
}

/// Reads a text with unknown parts: a mark that occurs nowhere in it stands for each of them, and every text that holds
/// the mark afterwards is unknown in that part.
fn decode_fragments(unknown: &Unknown, quoted: bool, read: impl Fn(&str) -> Option<Value>) -> Option<Value> {
    let has_literal = unknown.fragments.iter().any(|fragment| matches!(fragment, Fragment::Literal(text) if !text.trim().is_empty()));
    if !has_literal {
        return None;
    }
    let is_free =
        |mark: &char| !unknown.fragments.iter().any(|fragment| matches!(fragment, Fragment::Literal(text) if text.contains(*mark)));
    // Characters for private use.
    let mut free = ('\u{e000}'..='\u{e0ff}').filter(is_free);
    let (within, whole) = (free.next()?, free.next()?);
    let mut text = String::new();
    let (mut in_string, mut escaped) = (false, false);
    for fragment in &unknown.fragments {
        match fragment {
            Fragment::Literal(literal) => {
                for byte in literal.bytes() {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' if in_string => escaped = true,
                        b'"' => in_string = !in_string,
                        _ => {}
                    }
                }
                text.push_str(literal);
            }
            Fragment::Unknown if in_string || !quoted => text.push(within),
            // Outside of a string of JSON it is a value of any kind.
            Fragment::Unknown => text.extend(['"', whole, '"']),
        }
        if text.len() > MAX_BYTES {
            return None;
        }
    }
    Some(with_unknown_parts(read(&text)?, unknown, within, whole))
}

fn with_unknown_parts(value: Value, unknown: &Unknown, within: char, whole: char) -> Value {
    let part = |fragments: Vec<Fragment>| {
        let inner = Unknown { fragments, references: unknown.references.clone(), ..Unknown::new(unknown.reason.clone()) };
        Value::new(Data::Unknown(Arc::new(inner)))
    };
    match value.data {
        Data::String(text) if text.contains(whole) => part(Vec::new()),
        // Where only one part isn't known, a text that is that part and nothing else is the very value that was put in.
        Data::String(text)
            if text.chars().eq([within]) && unknown.fragments.iter().filter(|part| **part == Fragment::Unknown).count() == 1 =>
        {
            part(Vec::new())
        }
        Data::String(text) if text.contains(within) => {
            let mut fragments = Vec::new();
            for (index, literal) in text.split(within).enumerate() {
                if index > 0 {
                    fragments.push(Fragment::Unknown);
                }
                if !literal.is_empty() {
                    fragments.push(Fragment::Literal(literal.into()));
                }
            }
            part(fragments)
        }
        Data::Tuple(items) => Value::tuple(items.iter().map(|item| with_unknown_parts(item.clone(), unknown, within, whole)).collect()),
        // With an unknown key any attribute may be there: the mapping as a whole isn't known.
        Data::Object(entries) if entries.iter().any(|(key, _)| key.contains([within, whole])) => part(Vec::new()),
        Data::Object(entries) => {
            Value::object(entries.iter().map(|(key, value)| (key.clone(), with_unknown_parts(value.clone(), unknown, within, whole))))
        }
        data => Value::new(data),
    }
}

/// A value read straight from JSON.
struct Decoded(Value);

impl<'de> serde::Deserialize<'de> for Decoded {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut left = MAX_VALUES;
        Seed { left: &mut left }.deserialize(deserializer).map(Self)
    }
}

struct Seed<'l> {
    left: &'l mut usize,
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        *self.left = self.left.checked_sub(1).ok_or_else(|| D::Error::custom("too many values"))?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::null())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(Value::int(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.to_string().parse().map_or_else(|_| Value::null(), |number| Value::new(Data::Number(number))))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(Value::null, |number| Value::new(Data::Number(number))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::string(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(Seed { left: self.left })? {
            items.push(item);
        }
        Ok(Value::tuple(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = access.next_key::<String>()? {
            entries.push((Arc::from(key), access.next_value_seed(Seed { left: self.left })?));
        }
        // Of keys that repeat the last one counts.
        Ok(Value::object(entries))
    }
}

fn read_yaml(text: &str) -> Option<Value> {
    let mut reader = YamlReader { open: Vec::new(), documents: Vec::new(), anchors: HashMap::new(), left: MAX_VALUES };
    for event in Parser::new_from_str(text) {
        reader.take(event.ok()?.0)?;
    }
    match reader.documents.len() {
        0 => None,
        1 => reader.documents.pop(),
        _ => Some(Value::tuple(reader.documents)),
    }
}

struct YamlReader {
    open: Vec<(usize, Open)>,
    documents: Vec<Value>,
    anchors: HashMap<usize, (Value, usize)>,
    left: usize,
}

enum Open {
    List(Vec<Value>),
    Map(Vec<(Arc<str>, Value)>, Option<Arc<str>>),
}

impl YamlReader {
    fn take(&mut self, event: Event<'_>) -> Option<()> {
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let value = if style == ScalarStyle::Plain { value_of(&Literal::from_plain(&text)) } else { Value::string(&*text) };
                self.finish(value, anchor, 1)
            }
            Event::Alias(id) => {
                let (value, size) = self.anchors.get(&id)?.clone();
                self.finish(value, 0, size)
            }
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, Open::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => self.begin(anchor, Open::Map(Vec::new(), None)),
            Event::SequenceEnd | Event::MappingEnd => {
                let (anchor, open) = self.open.pop()?;
                let value = match open {
                    Open::List(items) => Value::tuple(items),
                    Open::Map(entries, _) => Value::new(Data::Object(Arc::new(entries.into_iter().collect::<Mapping>()))),
                };
                self.finish(value, anchor, 1)
            }
            _ => Some(()),
        }
    }

    fn begin(&mut self, anchor: usize, open: Open) -> Option<()> {
        if self.open.len() >= MAX_DEPTH {
            return None;
        }
        self.open.push((anchor, open));
        Some(())
    }

    fn finish(&mut self, value: Value, anchor: usize, size: usize) -> Option<()> {
        self.left = self.left.checked_sub(size)?;
        if anchor != 0 {
            let size = count(&value, MAX_DEPTH);
            self.anchors.insert(anchor, (value.clone(), size));
        }
        match self.open.last_mut().map(|(_, open)| open) {
            None => self.documents.push(value),
            Some(Open::List(items)) => items.push(value),
            Some(Open::Map(entries, pending)) => match pending.take() {
                Some(key) => entries.push((key, value)),
                None => {
                    let key = match &value.data {
                        Data::String(text) => text.clone(),
                        Data::Number(number) => number.to_string().into(),
                        Data::Bool(value) => value.to_string().into(),
                        Data::Null => "".into(),
                        // A key that is a list or a mapping is of no use to any rule.
                        _ => return None,
                    };
                    *pending = Some(key);
                }
            },
        }
        Some(())
    }
}

/// How many values a value is. Aliases share what they name, so that counting stops at a bound.
fn count(value: &Value, depth: usize) -> usize {
    let Some(depth) = depth.checked_sub(1) else { return MAX_VALUES };
    let mut total = 1_usize;
    let children: Vec<&Value> = match &value.data {
        Data::Tuple(items) => items.iter().collect(),
        Data::Object(entries) => entries.iter().map(|(_, value)| value).collect(),
        _ => return 1,
    };
    for child in children {
        total = total.saturating_add(count(child, depth));
        if total > MAX_VALUES {
            break;
        }
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;
    use keyblind_resource::Reason;

    #[test]
    fn documents_are_decoded() {
        let value = json(&Value::string(r#"{"a": [1, true, null, "x", 2.5], "a\"b": {}}"#)).unwrap();
        assert_eq!(value.get("a").unwrap().as_items().unwrap()[4].as_number().unwrap().to_string(), "2.5");
        assert!(value.get("a\"b").is_some());
        assert!(json(&Value::string("{")).is_none());
        assert_eq!(json(&Value::string(r#"{"a": [1, 2, ], "b": ",]",}"#)).unwrap().get("b").unwrap().as_str(), Some(",]"));
        assert!(json(&Value::string("[".repeat(100_000))).is_none());
        let value = yaml(&Value::string("a: &x [1, yes]\nb: *x\n")).unwrap();
        assert_eq!(value.get("b").unwrap().as_items().unwrap()[1].as_str(), Some("yes"));
        assert!(yaml(&Value::string("a: [")).is_none());
    }

    #[test]
    fn an_alias_bomb_stays_small() {
        let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
        for level in 1..12 {
            let previous = format!("*a{},", level - 1).repeat(10);
            bomb.push_str(&format!("a{level}: &a{level} [{previous}]\n"));
        }
        assert!(yaml(&Value::string(bomb)).is_none());
    }

    #[test]
    fn unknown_parts_stay_where_they_are() {
        let fragments = vec![
            Fragment::Literal(r#"{"arn": "arn:"#.into()),
            Fragment::Unknown,
            Fragment::Literal(r#"/*", "more": "#.into()),
            Fragment::Unknown,
            Fragment::Literal(r#", "known": 1}"#.into()),
        ];
        let unknown = Unknown { fragments, ..Unknown::new(Reason::PlanUnknown) };
        let value = json(&Value::new(Data::Unknown(Arc::new(unknown)))).unwrap();
        assert_eq!(value.get("known").unwrap().as_number().unwrap().as_i64(), Some(1));
        let arn = value.get("arn").unwrap().as_unknown().unwrap().fragments.clone();
        assert_eq!(arn, [Fragment::Literal("arn:".into()), Fragment::Unknown, Fragment::Literal("/*".into())]);
        assert!(value.get("more").unwrap().as_unknown().unwrap().fragments.is_empty());
    }
}
