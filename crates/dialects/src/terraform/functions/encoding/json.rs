//! `jsonencode` and `jsondecode`.

use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Number, Unknown, Value};

use crate::terraform::functions::text_builder::TextBuilder;
use crate::terraform::functions::{Call, Failure, Outcome, invalid, unknowns};
use crate::terraform::types::{self, MAX_DEPTH};

/// An unknown text that keeps the document it encodes, if the value isn't wholly known.
pub(super) fn encoded(call: &Call<'_>, value: &Value, write: impl Fn(&Value, &mut TextBuilder<'_>) -> Result<(), Failure>) -> Outcome {
    if value.is_wholly_known() {
        let mut builder = call.text_builder();
        write(value, &mut builder)?;
        return Ok(builder.finish());
    }
    let unknown = Unknown { document: Some(value.clone()), ..unknowns::merged(std::slice::from_ref(value)) };
    Ok(Value::new(Data::Unknown(Arc::new(unknown))))
}

pub(super) fn jsonencode(call: &Call<'_>) -> Outcome {
    encoded(call, call.value(0), write_json)
}

/// Writes a wholly known value as Terraform does: names in order, no white space, HTML's signs escaped.
pub(in super::super) fn write_json(value: &Value, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
    at_depth(value, builder, 0)
}

fn at_depth(value: &Value, builder: &mut TextBuilder<'_>, depth: usize) -> Result<(), Failure> {
    if depth > MAX_DEPTH {
        return invalid(format!("the value is nested deeper than {MAX_DEPTH} levels"));
    }
    match &value.data {
        Data::Unknown(_) => Err(Failure::NotKnown),
        Data::Null => builder.push("null"),
        Data::Bool(true) => builder.push("true"),
        Data::Bool(false) => builder.push("false"),
        Data::Number(number) => builder.push(&number.to_string()),
        Data::String(text) => write_json_text(text, builder),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            builder.push("[")?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    builder.push(",")?;
                }
                at_depth(item, builder, depth + 1)?;
            }
            builder.push("]")
        }
        Data::Map(entries) | Data::Object(entries) => {
            builder.push("{")?;
            for (index, (name, item)) in entries.iter().enumerate() {
                if index > 0 {
                    builder.push(",")?;
                }
                write_json_text(name, builder)?;
                builder.push(":")?;
                at_depth(item, builder, depth + 1)?;
            }
            builder.push("}")
        }
    }
}

/// Writes a JSON string as Go's `encoding/json` does.
pub(in super::super) fn write_json_text(text: &str, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
    builder.push("\"")?;
    let mut plain = 0;
    for (at, character) in text.char_indices() {
        let escape = match character {
            '"' => "\\\"".to_owned(),
            '\\' => "\\\\".to_owned(),
            '\n' => "\\n".to_owned(),
            '\r' => "\\r".to_owned(),
            '\t' => "\\t".to_owned(),
            '\u{8}' => "\\b".to_owned(),
            '\u{c}' => "\\f".to_owned(),
            '\0'..=' ' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if character != ' ' => format!("\\u{:04x}", u32::from(character)),
            _ => continue,
        };
        builder.push(&text[plain..at])?;
        builder.push(&escape)?;
        plain = at + character.len_utf8();
    }
    builder.push(&text[plain..])?;
    builder.push("\"")
}

pub(super) fn jsondecode(call: &Call<'_>) -> Outcome {
    let value = call.value(0);
    if let Some(unknown) = value.as_unknown() {
        return unknown.document.clone().ok_or(Failure::NotKnown);
    }
    let mut reader = Reader { call, text: call.text(0)?, at: 0 };
    let decoded = reader.value(0)?;
    reader.skip_space();
    // Terraform doesn't mind one closing bracket too many, nor anything behind that.
    if !matches!(reader.peek(), None | Some(b'}' | b']')) {
        return reader.wrong("nothing may follow the value");
    }
    Ok(decoded)
}

struct Reader<'c, 'a> {
    call: &'c Call<'a>,
    text: &'c str,
    at: usize,
}

impl<'c> Reader<'c, '_> {
    fn wrong<T>(&self, expected: &str) -> Result<T, Failure> {
        invalid(format!("the text is not valid JSON at byte {}: {expected}", self.at))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    fn eat(&mut self, byte: u8) -> bool {
        self.skip_space();
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self, depth: usize) -> Outcome {
        if depth > MAX_DEPTH {
            return invalid(format!("the JSON text is nested deeper than {MAX_DEPTH} levels"));
        }
        self.call.spend(1)?;
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::string(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, data) in [("true", Data::Bool(true)), ("false", Data::Bool(false)), ("null", Data::Null)] {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(Value::new(data));
                    }
                }
                self.wrong("a value is expected")
            }
        }
    }

    fn array(&mut self, depth: usize) -> Outcome {
        self.at += 1;
        let mut items = Vec::new();
        if self.eat(b']') {
            return Ok(Value::tuple(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if self.eat(b']') {
                return Ok(Value::tuple(items));
            }
            if !self.eat(b',') {
                return self.wrong("a comma or ] is expected");
            }
        }
    }

    fn object(&mut self, depth: usize) -> Outcome {
        self.at += 1;
        let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
        if !self.eat(b'}') {
            loop {
                self.skip_space();
                if self.peek() != Some(b'"') {
                    return self.wrong("a name in quotes is expected");
                }
                let name = self.string()?;
                if !self.eat(b':') {
                    return self.wrong("a colon is expected");
                }
                entries.push((name, self.value(depth + 1)?));
                if self.eat(b'}') {
                    break;
                }
                if !self.eat(b',') {
                    return self.wrong("a comma or } is expected");
                }
            }
        }
        // Of equal names the last counts, but Terraform insists that all have the same type.
        let mut by_name: Vec<&(Arc<str>, Value)> = entries.iter().collect();
        by_name.sort_by(|(a, _), (b, _)| a.cmp(b));
        for pair in by_name.windows(2) {
            if pair[0].0 == pair[1].0 && types::type_of(&pair[0].1) != types::type_of(&pair[1].1) {
                return self.wrong(&format!("the name \"{}\" occurs twice, with values of different types", pair[0].0));
            }
        }
        let entries: Mapping = entries.into_iter().collect();
        Ok(Value::new(Data::Object(Arc::new(entries))))
    }

    fn number(&mut self) -> Outcome {
        let start = self.at;
        let digits = |reader: &mut Self| {
            let from = reader.at;
            while reader.peek().is_some_and(|byte| byte.is_ascii_digit()) {
                reader.at += 1;
            }
            reader.at > from
        };
        self.at += usize::from(self.peek() == Some(b'-'));
        let whole = if self.peek() == Some(b'0') {
            self.at += 1;
            true
        } else {
            digits(self)
        };
        let mut valid = whole;
        if self.peek() == Some(b'.') {
            self.at += 1;
            valid &= digits(self);
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            self.at += usize::from(matches!(self.peek(), Some(b'+' | b'-')));
            valid &= digits(self);
        }
        match self.text[start..self.at].parse::<Number>() {
            Ok(number) if valid => Ok(Value::new(Data::Number(number))),
            Err(error) if valid => invalid(error.to_string()),
            _ => self.wrong("the number is not complete"),
        }
    }

    /// A string with its escapes resolved; half a surrogate pair becomes U+FFFD.
    fn string(&mut self) -> Result<Arc<str>, Failure> {
        self.at += 1;
        let mut decoded = String::new();
        loop {
            let start = self.at;
            while self.peek().is_some_and(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
                self.at += 1;
            }
            decoded.push_str(&self.text[start..self.at]);
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(types::normalized(decoded));
                }
                Some(b'\\') => {
                    self.at += 1;
                    decoded.push(self.escape()?);
                }
                Some(_) => return self.wrong("control characters must be escaped"),
                None => return self.wrong("the string has no end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, Failure> {
        let character = match self.peek() {
            Some(sign @ (b'"' | b'\\' | b'/')) => char::from(sign),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                let high = self.four_digits()?;
                if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
                    let back = self.at;
                    self.at += 2;
                    let low = self.four_digits()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let code = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                    self.at = back;
                }
                return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            _ => return self.wrong("there is no such escape"),
        };
        self.at += 1;
        Ok(character)
    }

    fn four_digits(&mut self) -> Result<u32, Failure> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) {
            Some(code) => {
                self.at += 4;
                Ok(code)
            }
            None => self.wrong("four hexadecimal digits are expected"),
        }
    }
}
