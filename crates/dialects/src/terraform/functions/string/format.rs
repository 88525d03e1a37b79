//! `format` and `formatlist`: Go's verbs as Terraform has them.

use keyblind_resource::{Data, Number, Value};
use unicode_segmentation::UnicodeSegmentation;

use crate::terraform::functions::text_builder::TextBuilder;
use crate::terraform::functions::{Call, Failure, Outcome, encoding, invalid, list};
use crate::terraform::types::{self, Type};

pub(super) fn format(call: &Call<'_>) -> Outcome {
    let arguments: Vec<&Value> = call.rest(1).iter().collect();
    formatted(call, &parse(call.text(0)?)?, &arguments)
}

/// One text for each element of the arguments that are lists; the other arguments are the same for all.
pub(super) fn formatlist(call: &Call<'_>) -> Outcome {
    let pieces = parse(call.text(0)?)?;
    let mut length = None;
    for (index, argument) in call.rest(1).iter().enumerate() {
        if argument.is_unknown() {
            // It may be a list of any length.
            return Err(Failure::NotKnown);
        }
        let Some(items) = argument.as_items() else { continue };
        match length {
            None => length = Some((index, items.len())),
            Some((first, expected)) if expected != items.len() => {
                return invalid(format!("argument {} has {} elements, but argument {} has {expected}", index + 2, items.len(), first + 2));
            }
            Some(_) => {}
        }
    }
    let count = length.map_or(1, |(_, length)| length);
    call.spend(count as u64)?;
    let mut texts = Vec::with_capacity(count);
    for row in 0..count {
        let arguments: Vec<&Value> =
            call.rest(1).iter().map(|argument| argument.as_items().map_or(argument, |items| &items[row])).collect();
        texts.push(formatted(call, &pieces, &arguments)?);
    }
    Ok(list(texts))
}

enum Piece<'a> {
    Literal(&'a str),
    Verb(Verb<'a>),
}

struct Verb<'a> {
    /// As written, for messages.
    text: &'a str,
    letter: u8,
    plus: bool,
    minus: bool,
    space: bool,
    sharp: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
    /// The argument, from 0.
    argument: usize,
}

/// Takes a format apart: `%`, flags, width, precision, argument index, verb.
fn parse(format: &str) -> Result<Vec<Piece<'_>>, Failure> {
    let mut pieces = Vec::new();
    let mut rest = format;
    let mut next_argument = 0;
    while let Some(at) = rest.find('%') {
        if at > 0 {
            pieces.push(Piece::Literal(&rest[..at]));
        }
        let text = &rest[at..];
        if text[1..].starts_with('%') {
            pieces.push(Piece::Literal("%"));
            rest = &text[2..];
            continue;
        }
        let bytes = text.as_bytes();
        let mut end = 1;
        let digits = |from: usize| from + bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let number = |range: std::ops::Range<usize>| text[range].parse::<usize>().unwrap_or(usize::MAX);
        let mut verb = Verb {
            text,
            letter: 0,
            plus: false,
            minus: false,
            space: false,
            sharp: false,
            zero: false,
            width: 0,
            precision: None,
            argument: 0,
        };
        while let Some(flag @ (b'+' | b'-' | b' ' | b'#' | b'0')) = bytes.get(end) {
            match flag {
                b'+' => verb.plus = true,
                b'-' => verb.minus = true,
                b' ' => verb.space = true,
                b'#' => verb.sharp = true,
                _ => verb.zero = true,
            }
            end += 1;
        }
        let width_end = digits(end);
        if width_end > end {
            verb.width = number(end..width_end);
            end = width_end;
        }
        if bytes.get(end) == Some(&b'.') {
            let precision_end = digits(end + 1);
            verb.precision = Some(if precision_end > end + 1 { number(end + 1..precision_end) } else { 0 });
            end = precision_end;
        }
        if bytes.get(end) == Some(&b'[') {
            let index_end = digits(end + 1);
            if index_end == end + 1 || bytes.get(index_end) != Some(&b']') {
                return invalid(format!("the format has a wrong argument index at \"{}\"", shown(text)));
            }
            next_argument = match number(end + 1..index_end).checked_sub(1) {
                Some(argument) => argument,
                None => return invalid("arguments are counted from 1 in a format"),
            };
            end = index_end + 1;
        }
        match bytes.get(end) {
            Some(letter) if b"vtbdoxXeEfgGsq".contains(letter) => verb.letter = *letter,
            _ => return invalid(format!("the format has no valid verb at \"{}\"", shown(text))),
        }
        end += 1;
        verb.text = &text[..end];
        verb.argument = next_argument;
        next_argument = next_argument.saturating_add(1);
        pieces.push(Piece::Verb(verb));
        rest = &text[end..];
    }
    if !rest.is_empty() {
        pieces.push(Piece::Literal(rest));
    }
    Ok(pieces)
}

fn shown(text: &str) -> String {
    text.chars().take(10).collect()
}

fn formatted(call: &Call<'_>, pieces: &[Piece<'_>], arguments: &[&Value]) -> Outcome {
    let mut builder = call.text_builder();
    let mut used = 0;
    for piece in pieces {
        match piece {
            Piece::Literal(text) => builder.push(text)?,
            Piece::Verb(verb) => {
                let Some(argument) = arguments.get(verb.argument) else {
                    return invalid(format!(
                        "\"{}\" needs argument {}, but there are {} behind the format",
                        verb.text,
                        verb.argument.saturating_add(1),
                        arguments.len()
                    ));
                };
                used = used.max(verb.argument + 1);
                verb.append(call, argument, &mut builder)?;
            }
        }
    }
    if used < arguments.len() {
        return invalid(format!("the format uses {used} arguments, but there are {}", arguments.len()));
    }
    Ok(builder.finish())
}

impl Verb<'_> {
    fn append(&self, call: &Call<'_>, argument: &Value, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
        if self.letter != b'v' && argument.is_null() {
            return invalid(format!("\"{}\" can't format null", self.text));
        }
        if argument.is_unknown() {
            let plain = self.width == 0 && self.precision.is_none();
            if plain && matches!(self.letter, b's' | b'v') && !self.sharp {
                builder.push_unknown(argument);
            } else {
                // Of a padded, cut or quoted text no part stays as it is.
                builder.push_unknown(&without_fragments(argument));
            }
            return Ok(());
        }
        match self.letter {
            b'v' => self.any_value(call, argument, builder),
            b't' => {
                let value = self.converted(argument, &Type::Bool)?;
                builder.push(&types::to_text(&value).unwrap_or_default())
            }
            b's' => {
                let value = self.converted(argument, &Type::String)?;
                self.padded(self.cut(value.as_str().unwrap_or("")), builder)
            }
            b'q' => {
                let value = self.converted(argument, &Type::String)?;
                let mut quoted = call.text_builder();
                encoding::write_json_text(self.cut(value.as_str().unwrap_or("")), &mut quoted)?;
                self.padded(quoted.finish().as_str().unwrap_or(""), builder)
            }
            b'b' | b'd' | b'o' | b'x' | b'X' => {
                let value = self.converted(argument, &Type::Number)?;
                match value.as_number() {
                    Some(number) if number.is_whole() => self.integer(number, builder),
                    _ => invalid(format!("\"{}\" needs a whole number", self.text)),
                }
            }
            _ => {
                let value = self.converted(argument, &Type::Number)?;
                value.as_number().map_or(Ok(()), |number| self.float(number, builder))
            }
        }
    }

    fn converted(&self, argument: &Value, ty: &Type) -> Result<Value, Failure> {
        types::convert(argument.clone(), ty)
            .map_err(|message| Failure::Invalid(format!("\"{}\" can't format the value: {message}", self.text)))
    }

    fn any_value(&self, call: &Call<'_>, argument: &Value, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
        match &argument.data {
            Data::String(text) if !self.sharp => self.padded(text, builder),
            Data::Number(number) if !self.sharp => self.padded(&number.to_shortest_general(), builder),
            _ if !argument.is_wholly_known() => {
                builder.push_unknown(&Value::new(Data::Unknown(std::sync::Arc::new(crate::terraform::functions::unknowns::merged(
                    std::slice::from_ref(argument),
                )))));
                Ok(())
            }
            _ => {
                let mut json = call.text_builder();
                encoding::write_json(argument, &mut json)?;
                self.padded(json.finish().as_str().unwrap_or(""), builder)
            }
        }
    }

    /// The first characters, as many as the precision says.
    fn cut<'t>(&self, text: &'t str) -> &'t str {
        let Some(precision @ 1..) = self.precision else { return text };
        text.grapheme_indices(true).nth(precision).map_or(text, |(at, _)| &text[..at])
    }

    fn padded(&self, text: &str, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
        let missing = if self.width == 0 { 0 } else { self.width.saturating_sub(text.graphemes(true).count()) };
        let padding = |builder: &mut TextBuilder<'_>, sign: &str| repeated(builder, sign, missing);
        let sign = if self.zero { "0" } else { " " };
        if self.minus {
            builder.push(text)?;
            return padding(builder, sign);
        }
        padding(builder, sign)?;
        builder.push(text)
    }

    fn sign(&self, number: &Number) -> &'static str {
        match () {
            () if number.is_negative() => "-",
            () if self.plus => "+",
            () if self.space => " ",
            () => "",
        }
    }

    fn integer(&self, number: &Number, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
        let (base, prefix) = match self.letter {
            b'b' => (2, "0b"),
            b'o' => (8, "0"),
            b'x' => (16, "0x"),
            b'X' => (16, "0X"),
            _ => (10, ""),
        };
        let prefix = if self.sharp { prefix } else { "" };
        let mut digits = number.abs().whole_digits(base);
        if self.letter == b'X' {
            digits.make_ascii_uppercase();
        }
        if self.precision == Some(0) && digits == "0" {
            return Ok(());
        }
        let sign = self.sign(number);
        let mut zeros = self.precision.unwrap_or(0).saturating_sub(digits.len());
        let length = (sign.len() + prefix.len() + digits.len()).saturating_add(zeros);
        let missing = self.width.saturating_sub(length);
        let (mut left, mut right) = (0, 0);
        match () {
            () if self.minus => right = missing,
            () if self.zero && self.precision.is_none() => zeros += missing,
            () => left = missing,
        }
        repeated(builder, " ", left)?;
        builder.push(sign)?;
        builder.push(prefix)?;
        repeated(builder, "0", zeros)?;
        builder.push(&digits)?;
        repeated(builder, " ", right)
    }

    fn float(&self, number: &Number, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
        let precision = self.precision.unwrap_or(6);
        builder.reserve(precision)?;
        let unsigned = number.abs();
        let mut digits = match (self.letter, self.precision) {
            (b'f', _) => unsigned.to_fixed(precision),
            (b'e' | b'E', _) => unsigned.to_scientific(Some(precision)),
            (_, Some(precision)) => unsigned.to_general(precision),
            (_, None) => unsigned.to_shortest_general(),
        };
        if matches!(self.letter, b'E' | b'G') {
            digits.make_ascii_uppercase();
        }
        let sign = self.sign(number);
        let missing = self.width.saturating_sub(sign.len() + digits.len());
        // Here, other than for whole numbers, the flag for zeros goes before the one for the left.
        let (left, zeros, right) = match () {
            () if self.zero => (0, missing, 0),
            () if self.minus => (0, 0, missing),
            () => (missing, 0, 0),
        };
        repeated(builder, " ", left)?;
        builder.push(sign)?;
        repeated(builder, "0", zeros)?;
        builder.push(&digits)?;
        repeated(builder, " ", right)
    }
}

fn repeated(builder: &mut TextBuilder<'_>, sign: &str, times: usize) -> Result<(), Failure> {
    builder.reserve(times)?;
    builder.push(&sign.repeat(times))
}

fn without_fragments(value: &Value) -> Value {
    match value.as_unknown() {
        Some(unknown) if !unknown.fragments.is_empty() => {
            let mut plain = keyblind_resource::Unknown::clone(unknown);
            plain.fragments = Vec::new();
            Value { data: Data::Unknown(std::sync::Arc::new(plain)), ..value.clone() }
        }
        _ => value.clone(),
    }
}
