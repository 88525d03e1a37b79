//! Functions of texts.

mod format;
mod regular_expression;

use keyblind_resource::{Data, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::{Call, Failure, Function, Outcome, any, invalid, known_text, list, number, strings, text};
use crate::terraform::types;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("chomp", &[text("str")], |call| call.made_text(call.text(0)?.trim_end_matches(['\r', '\n']).to_owned())),
    Function::new("endswith", &[text("str").or_unknown(), text("suffix")], endswith),
    Function::new("format", &[text("format")], format::format).variadic(any("args").or_null().or_unknown()),
    Function::new("formatlist", &[text("format")], format::formatlist).variadic(any("args").or_null().or_unknown()),
    Function::new("indent", &[number("spaces"), text("str")], indent),
    Function::new("join", &[text("separator")], join).variadic(strings("lists")),
    Function::new("lower", &[text("str")], |call| call.made_text(each_char(call.text(0)?, char_to_lower))),
    Function::new("regex", &[text("pattern"), text("string")], regular_expression::regex),
    Function::new("regexall", &[text("pattern"), text("string")], regular_expression::regexall),
    Function::new("replace", &[text("str"), text("substr"), text("replace")], replace),
    Function::new("split", &[text("separator"), text("str")], split),
    Function::new("startswith", &[text("str").or_unknown(), text("prefix")], startswith),
    Function::new("strcontains", &[text("str").or_unknown(), text("substr")], strcontains),
    Function::new("strrev", &[text("str")], |call| call.made_text(call.text(0)?.graphemes(true).rev().collect())),
    Function::new("substr", &[text("str"), number("offset"), number("length")], substr),
    Function::new("templatestring", &[text("template"), any("vars").or_unknown()], templatestring),
    Function::new("title", &[text("str")], |call| call.made_text(title(call.text(0)?))),
    Function::new("trim", &[text("str"), text("cutset")], |call| {
        let cutset = call.text(1)?;
        call.made_text(call.text(0)?.trim_matches(|character| cutset.contains(character)).to_owned())
    }),
    Function::new("trimprefix", &[text("str"), text("prefix")], |call| {
        let whole = call.text(0)?;
        call.made_text(whole.strip_prefix(call.text(1)?).unwrap_or(whole).to_owned())
    }),
    Function::new("trimspace", &[text("str")], |call| call.made_text(call.text(0)?.trim().to_owned())),
    Function::new("trimsuffix", &[text("str"), text("suffix")], |call| {
        let whole = call.text(0)?;
        call.made_text(whole.strip_suffix(call.text(1)?).unwrap_or(whole).to_owned())
    }),
    Function::new("upper", &[text("str")], |call| call.made_text(each_char(call.text(0)?, char_to_upper))),
];

/// Go changes the case of each character by itself, never of one into several (`ß` stays).
fn each_char(text: &str, change: fn(char) -> char) -> String {
    text.chars().map(change).collect()
}

fn char_to_upper(character: char) -> char {
    let mut upper = character.to_uppercase();
    match (upper.next(), upper.next()) {
        (Some(only), None) => only,
        _ => character,
    }
}

fn char_to_lower(character: char) -> char {
    let mut lower = character.to_lowercase();
    match (lower.next(), lower.next()) {
        (Some(only), None) => only,
        // `İ` is the only one that std makes two characters of; Go makes it `i`.
        (Some(first), Some(_)) => first,
        (None, _) => character,
    }
}

/// The few characters whose title case isn't their upper case: digraphs, and Georgian letters, which stay.
fn char_to_title(character: char) -> char {
    match character {
        'Ǆ'..='ǆ' => 'ǅ',
        'Ǉ'..='ǉ' => 'ǈ',
        'Ǌ'..='ǌ' => 'ǋ',
        'Ǳ'..='ǳ' => 'ǲ',
        'ა'..='ჺ' | 'ჽ'..='ჿ' => character,
        _ => char_to_upper(character),
    }
}

/// Upper case for letters that begin a word; what isn't a letter, digit or underscore in ASCII, or is white space, ends one.
fn title(text: &str) -> String {
    let mut previous = ' ';
    text.chars()
        .map(|character| {
            let begins = if previous.is_ascii() {
                !(previous.is_ascii_alphanumeric() || previous == '_')
            } else {
                !previous.is_alphanumeric() && previous.is_whitespace()
            };
            previous = character;
            if begins { char_to_title(character) } else { character }
        })
        .collect()
}

/// The known text that an unknown begins and ends with.
fn known_ends(value: &Value) -> (&str, &str) {
    use keyblind_resource::Fragment::Literal;
    let Some(unknown) = value.as_unknown() else { return ("", "") };
    let begin = if let Some(Literal(text)) = unknown.fragments.first() { &**text } else { "" };
    let end = if let Some(Literal(text)) = unknown.fragments.last() { &**text } else { "" };
    (begin, end)
}

fn startswith(call: &Call<'_>) -> Outcome {
    let prefix = call.text(1)?;
    if call.value(0).is_unknown() {
        let (begin, _) = known_ends(call.value(0));
        return match () {
            () if begin.starts_with(prefix) => Ok(Value::bool(true)),
            () if !prefix.starts_with(begin) => Ok(Value::bool(false)),
            () => Err(Failure::NotKnown),
        };
    }
    Ok(Value::bool(call.text(0)?.starts_with(prefix)))
}

fn endswith(call: &Call<'_>) -> Outcome {
    let suffix = call.text(1)?;
    if call.value(0).is_unknown() {
        let (_, end) = known_ends(call.value(0));
        return match () {
            () if end.ends_with(suffix) => Ok(Value::bool(true)),
            () if !suffix.ends_with(end) => Ok(Value::bool(false)),
            () => Err(Failure::NotKnown),
        };
    }
    Ok(Value::bool(call.text(0)?.ends_with(suffix)))
}

fn strcontains(call: &Call<'_>) -> Outcome {
    use keyblind_resource::Fragment::Literal;
    let wanted = call.text(1)?;
    if let Some(unknown) = call.value(0).as_unknown() {
        let found = unknown.fragments.iter().any(|fragment| matches!(fragment, Literal(text) if text.contains(wanted)));
        return if found || wanted.is_empty() { Ok(Value::bool(true)) } else { Err(Failure::NotKnown) };
    }
    Ok(Value::bool(call.text(0)?.contains(wanted)))
}

fn indent(call: &Call<'_>) -> Outcome {
    let text = call.text(1)?;
    let spaces = call.integer(0)?;
    let Ok(spaces) = usize::try_from(spaces) else { return invalid("the number of spaces must not be negative") };
    let breaks = text.matches('\n').count();
    let mut builder = call.text_builder();
    builder.reserve(breaks.saturating_mul(spaces))?;
    let indented = format!("\n{}", " ".repeat(if breaks == 0 { 0 } else { spaces }));
    for (index, line) in text.split('\n').enumerate() {
        if index > 0 {
            builder.push(&indented)?;
        }
        builder.push(line)?;
    }
    Ok(builder.finish())
}

fn join(call: &Call<'_>) -> Outcome {
    let separator = call.text(0)?;
    if call.rest(1).is_empty() {
        return invalid("at least one list is needed");
    }
    let mut builder = call.text_builder();
    let mut first = true;
    for index in 1..call.arguments.len() {
        for item in call.items(index)? {
            if !std::mem::take(&mut first) {
                builder.push(separator)?;
            }
            match &item.data {
                Data::String(text) => builder.push(text)?,
                Data::Null => return invalid("a list with null elements can't be joined"),
                _ => builder.push_unknown(item),
            }
        }
    }
    Ok(builder.finish())
}

fn replace(call: &Call<'_>) -> Outcome {
    let (text, wanted, replacement) = (call.text(0)?, call.text(1)?, call.text(2)?);
    if wanted.len() > 1
        && let Some(pattern) = wanted.strip_prefix('/').and_then(|rest| rest.strip_suffix('/'))
    {
        return regular_expression::replace_all(call, pattern, text, replacement);
    }
    let mut builder = call.text_builder();
    let mut last = 0;
    for (at, found) in text.match_indices(wanted) {
        builder.push(&text[last..at])?;
        builder.push(replacement)?;
        last = at + found.len();
    }
    builder.push(&text[last..])?;
    Ok(builder.finish())
}

fn split(call: &Call<'_>) -> Outcome {
    let (separator, text) = (call.text(0)?, call.text(1)?);
    let parts: Vec<Value> = if separator.is_empty() {
        call.spend(text.len() as u64)?;
        text.chars().map(|character| Value::string(String::from(character))).collect()
    } else {
        call.spend(text.matches(separator).count() as u64)?;
        text.split(separator).map(Value::string).collect()
    };
    Ok(list(parts))
}

fn substr(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let (offset, length) = (call.integer(1)?, call.integer(2)?);
    if offset >= 0 && length == 0 {
        return Ok(Value::string(""));
    }
    let from_end = offset < 0;
    let count = if from_end { text.graphemes(true).count() as i64 } else { 0 };
    // Counted from the end, but not from before the beginning.
    let start = if from_end { (offset + count).max(0) } else { offset };
    // A length of zero counts as none given where the offset is negative.
    let taken = if length <= 0 { i64::MAX } else { length };
    let part = text.graphemes(true).skip(usize::try_from(start).unwrap_or(0)).take(usize::try_from(taken).unwrap_or(usize::MAX));
    call.made_text(part.collect())
}

fn templatestring(call: &Call<'_>) -> Outcome {
    let variables = call.value(1);
    if !variables.is_unknown() && variables.as_mapping().is_none() {
        return invalid(format!("the variables must be a map or object, not {}", types::kind_of(variables)));
    }
    let result = call.host.template("templatestring", known_text(call.value(0))?, variables);
    match types::convert(result, &types::Type::String) {
        Ok(text) => Ok(text),
        Err(message) => invalid(message),
    }
}
