//! Regular expressions in Go's RE2 syntax, translated to the `regex` crate's.
//!
//! Both match alike (leftmost-first, in linear time). They differ in what classes such as `\d` hold (ASCII only in Go), in
//! character class syntax, in which braces are literal, and in a few escapes.
//!
//! Source: the syntax that Go's `regexp/syntax` documents.

use std::cell::RefCell;
use std::sync::Arc;

use keyblind_resource::Value;
use regex::{Captures, Regex, RegexBuilder};

use crate::terraform::functions::text_builder::TextBuilder;
use crate::terraform::functions::{Call, Failure, Outcome, invalid, list};

/// How much memory a compiled pattern may take, in bytes, by steps: the first step that suffices says what matching costs.
const COMPILED_SIZES: [usize; 4] = [4 << 10, 32 << 10, 256 << 10, 1 << 20];
/// Fuel for matching one byte, for every so many bytes of compiled pattern: each byte may visit every state.
const SIZE_PER_UNIT: usize = 4 << 10;
/// Repetition counts above this are refused by Go.
const MAX_REPEAT: u32 = 1000;
/// Patterns kept compiled, since they are usually applied to many texts.
const KEPT: usize = 32;

/// The names of the groups, from the first one on.
type Groups = Vec<Option<Arc<str>>>;

struct Pattern {
    regex: Regex,
    /// The fuel that matching a byte may cost.
    cost: u64,
    groups: Groups,
}

fn compiled(call: &Call<'_>, pattern: &str) -> Result<Arc<Pattern>, Failure> {
    thread_local! {
        static RECENT: RefCell<Vec<(String, Arc<Pattern>)>> = const { RefCell::new(Vec::new()) };
    }
    let known = RECENT.with_borrow(|recent| recent.iter().find(|(text, _)| text == pattern).map(|(_, compiled)| compiled.clone()));
    if let Some(known) = known {
        return Ok(known);
    }
    let wrong = |message: String| Failure::Invalid(format!("invalid regular expression: {message}"));
    let (translated, groups) = Translator::new(pattern).translate().map_err(wrong)?;
    let mut result = Err(regex::Error::CompiledTooBig(0));
    let mut size = 0;
    for limit in COMPILED_SIZES {
        size = limit;
        call.spend((limit / 16) as u64)?;
        result = RegexBuilder::new(&translated).size_limit(limit).dfa_size_limit(COMPILED_SIZES[3]).nest_limit(200).build();
        if !matches!(result, Err(regex::Error::CompiledTooBig(_))) {
            break;
        }
    }
    let regex = result.map_err(|error| wrong(error.to_string().lines().last().unwrap_or("").trim_start_matches("error: ").to_owned()))?;
    let compiled = Arc::new(Pattern { regex, cost: (size / SIZE_PER_UNIT) as u64, groups });
    RECENT.with_borrow_mut(|recent| {
        if recent.len() == KEPT {
            recent.remove(0);
        }
        recent.push((pattern.to_owned(), compiled.clone()));
    });
    Ok(compiled)
}

impl Pattern {
    /// Spends fuel for one search through a text, before it happens.
    fn pay_for(&self, call: &Call<'_>, text: &str) -> Result<(), Failure> {
        call.spend(self.cost.saturating_mul(text.len() as u64))
    }

    /// Spends fuel for a further search, behind a match: it may run to the end of the text again.
    fn pay_for_rest(&self, call: &Call<'_>, rest: usize) -> Result<(), Failure> {
        call.spend(1 + self.groups.len() as u64 + self.cost.saturating_mul(rest as u64 / 256))
    }

    /// Terraform's result is a text without groups, a tuple for unnamed and an object for named ones.
    fn check_groups(&self) -> Result<(), Failure> {
        if self.groups.iter().any(Option::is_some) && self.groups.iter().any(Option::is_none) {
            return invalid("invalid regular expression: named and unnamed groups can't be mixed");
        }
        Ok(())
    }

    fn result(&self, captures: &Captures<'_>) -> Value {
        let group = |index: usize| captures.get(index).map_or_else(Value::null, |found| Value::string(found.as_str()));
        if self.groups.is_empty() {
            return group(0);
        }
        if self.groups.iter().all(Option::is_some) {
            return Value::object(self.groups.iter().enumerate().filter_map(|(index, name)| Some((name.clone()?, group(index + 1)))));
        }
        Value::tuple((1..=self.groups.len()).map(group).collect())
    }
}

pub(super) fn regex(call: &Call<'_>) -> Outcome {
    let (pattern, text) = (compiled(call, call.text(0)?)?, call.text(1)?);
    pattern.check_groups()?;
    pattern.pay_for(call, text)?;
    match pattern.regex.captures(text) {
        Some(captures) => Ok(pattern.result(&captures)),
        None => invalid("the pattern did not match any part of the given text"),
    }
}

pub(super) fn regexall(call: &Call<'_>) -> Outcome {
    let (pattern, text) = (compiled(call, call.text(0)?)?, call.text(1)?);
    pattern.check_groups()?;
    pattern.pay_for(call, text)?;
    let mut found = Vec::new();
    for captures in pattern.regex.captures_iter(text) {
        pattern.pay_for_rest(call, text.len() - captures.get_match().end())?;
        found.push(pattern.result(&captures));
    }
    Ok(list(found))
}

/// `replace` with a `/pattern/`: `$1`, `${1}`, `$name` and `$$` in the replacement stand for groups and the sign.
pub(super) fn replace_all(call: &Call<'_>, pattern: &str, text: &str, replacement: &str) -> Outcome {
    let pattern = compiled(call, pattern)?;
    pattern.pay_for(call, text)?;
    let mut builder = call.text_builder();
    let mut last = 0;
    for captures in pattern.regex.captures_iter(text) {
        let whole = captures.get_match();
        pattern.pay_for_rest(call, text.len() - whole.end())?;
        builder.push(&text[last..whole.start()])?;
        expand(&pattern, &captures, replacement, &mut builder)?;
        last = whole.end();
    }
    builder.push(&text[last..])?;
    Ok(builder.finish())
}

fn expand(pattern: &Pattern, captures: &Captures<'_>, replacement: &str, builder: &mut TextBuilder<'_>) -> Result<(), Failure> {
    let mut rest = replacement;
    while let Some((before, after)) = rest.split_once('$') {
        builder.push(before)?;
        rest = after;
        if let Some(after) = after.strip_prefix('$') {
            builder.push("$")?;
            rest = after;
            continue;
        }
        let word_end = |text: &str| text.find(|character: char| !(character.is_alphanumeric() || character == '_')).unwrap_or(text.len());
        let (name, after_name) = match after.strip_prefix('{') {
            Some(braced) => {
                let (name, tail) = braced.split_at(word_end(braced));
                match tail.strip_prefix('}') {
                    Some(tail) => (name, tail),
                    None => ("", after),
                }
            }
            None => after.split_at(word_end(after)),
        };
        if name.is_empty() {
            builder.push("$")?;
            continue;
        }
        rest = after_name;
        let group = if name.bytes().all(|byte| byte.is_ascii_digit()) {
            name.parse().ok().and_then(|index: usize| captures.get(index))
        } else {
            let mut named = pattern.groups.iter().enumerate().filter(|(_, group)| group.as_deref() == Some(name));
            named.find_map(|(index, _)| captures.get(index + 1))
        };
        if let Some(group) = group {
            builder.push(group.as_str())?;
        }
    }
    builder.push(rest)
}

struct Translator<'a> {
    rest: &'a str,
    translated: String,
    groups: Groups,
    /// What stands before can be repeated.
    repeatable: bool,
    /// What stands before is a repetition already.
    repeated: bool,
}

impl<'a> Translator<'a> {
    fn new(pattern: &'a str) -> Self {
        Self {
            rest: pattern,
            translated: String::with_capacity(pattern.len() + 16),
            groups: Vec::new(),
            repeatable: false,
            repeated: false,
        }
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let next = characters.next()?;
        self.rest = characters.as_str();
        Some(next)
    }

    fn item(&mut self, translated: &str) {
        self.translated.push_str(translated);
        self.repeatable = true;
        self.repeated = false;
    }

    fn literal(&mut self, character: char) {
        self.item(&regex::escape(character.encode_utf8(&mut [0; 4])));
    }

    fn translate(mut self) -> Result<(String, Groups), String> {
        while let Some(character) = self.next() {
            match character {
                '\\' => self.escape()?,
                '[' => self.class()?,
                '(' => self.group()?,
                '|' => {
                    self.translated.push('|');
                    (self.repeatable, self.repeated) = (false, false);
                }
                ')' | '.' | '^' | '$' => {
                    let mut buffer = [0; 4];
                    self.item(character.encode_utf8(&mut buffer));
                }
                '*' | '+' | '?' => self.repetition(&String::from(character))?,
                '{' => match counted(self.rest)? {
                    Some((count, after)) => {
                        self.rest = after;
                        self.repetition(&count)?;
                    }
                    None => self.literal('{'),
                },
                _ => self.literal(character),
            }
        }
        Ok((self.translated, self.groups))
    }

    fn repetition(&mut self, operator: &str) -> Result<(), String> {
        if self.repeated {
            return Err(format!("invalid nested repetition operator {operator}"));
        }
        if !self.repeatable {
            return Err(format!("nothing before the repetition operator {operator}"));
        }
        self.translated.push_str(operator);
        if let Some(rest) = self.rest.strip_prefix('?') {
            self.translated.push('?');
            self.rest = rest;
        }
        self.repeated = true;
        Ok(())
    }

    fn group(&mut self) -> Result<(), String> {
        (self.repeatable, self.repeated) = (false, false);
        let Some(special) = self.rest.strip_prefix('?') else {
            self.groups.push(None);
            self.translated.push('(');
            return Ok(());
        };
        if let Some(named) = special.strip_prefix("P<").or_else(|| special.strip_prefix('<')) {
            let (name, after) = named.split_once('>').ok_or("a group's name has no end")?;
            if name.is_empty() || !name.chars().all(|character| character.is_alphanumeric() || character == '_') {
                return Err(format!("invalid group name {name:?}"));
            }
            // The name is kept here: the crate allows fewer names, and none twice.
            self.groups.push(Some(name.into()));
            self.translated.push('(');
            self.rest = after;
            return Ok(());
        }
        let end = special.find([':', ')']).ok_or("missing closing parenthesis")?;
        let flags = &special[..end];
        let valid = flags.chars().all(|flag| matches!(flag, 'i' | 'm' | 's' | 'U' | '-')) && flags.matches('-').count() <= 1;
        if !valid || flags.ends_with('-') || flags.is_empty() && special[end..].starts_with(')') {
            return Err(format!("invalid or unsupported group (?{flags}"));
        }
        self.translated.push_str("(?");
        self.translated.push_str(flags);
        self.translated.push_str(&special[end..=end]);
        self.rest = &special[end + 1..];
        Ok(())
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(next) = self.rest.chars().next() else { return Err("trailing backslash at the end".to_owned()) };
        match next {
            'Q' => {
                let quoted = &self.rest[1..];
                let (literal, after) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                self.rest = after;
                for character in literal.chars() {
                    self.literal(character);
                }
                return Ok(());
            }
            'A' | 'z' => {
                self.next();
                self.item(if next == 'A' { "\\A" } else { "\\z" });
                return Ok(());
            }
            'b' | 'B' => {
                self.next();
                self.item(if next == 'b' { "(?-u:\\b)" } else { "(?-u:\\B)" });
                return Ok(());
            }
            'd' | 'D' | 's' | 'S' | 'w' | 'W' => {
                self.next();
                let positive = perl_class(next.to_ascii_lowercase());
                self.item(&format!("[{}{positive}]", if next.is_ascii_uppercase() { "^" } else { "" }));
                return Ok(());
            }
            'p' | 'P' => {
                let class = self.unicode_class()?;
                self.item(&class);
                return Ok(());
            }
            _ => {}
        }
        let character = self.escaped_character()?;
        self.literal(character);
        Ok(())
    }

    /// `\pL`, `\p{Greek}`, `\P{^Greek}` with the backslash already read.
    fn unicode_class(&mut self) -> Result<String, String> {
        let mut negated = self.next() == Some('P');
        let name = match self.next() {
            Some('{') => {
                let (name, after) = self.rest.split_once('}').ok_or("a character class has no closing brace")?;
                self.rest = after;
                name.to_owned()
            }
            Some(letter) => String::from(letter),
            None => return Err("a character class has no name".to_owned()),
        };
        let plain = match name.strip_prefix('^') {
            Some(plain) => {
                negated = !negated;
                plain
            }
            None => &name,
        };
        if plain.is_empty() || !plain.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
            return Err(format!("invalid character class range {name:?}"));
        }
        if plain == "Any" {
            return Ok(String::from(if negated { "[^\\x{0}-\\x{10FFFF}]" } else { "[\\x{0}-\\x{10FFFF}]" }));
        }
        Ok(format!("\\{}{{{plain}}}", if negated { 'P' } else { 'p' }))
    }

    /// The one character that an escape stands for, with the backslash already read.
    fn escaped_character(&mut self) -> Result<char, String> {
        let Some(next) = self.next() else { return Err("trailing backslash at the end".to_owned()) };
        let octal_follows = self.rest.starts_with(|character: char| character.is_digit(8));
        let code = match next {
            '1'..='7' if !octal_follows => return Err(format!("there are no back references such as \\{next}")),
            '0'..='7' => {
                let mut code = next.to_digit(8).unwrap_or(0);
                for _ in 0..2 {
                    let Some(digit) = self.rest.chars().next().and_then(|character| character.to_digit(8)) else { break };
                    self.next();
                    code = code * 8 + digit;
                }
                code
            }
            'x' => match self.rest.strip_prefix('{') {
                Some(braced) => {
                    let (digits, after) = braced.split_once('}').ok_or("a hexadecimal escape has no closing brace")?;
                    self.rest = after;
                    hexadecimal(digits)?
                }
                None => {
                    let digits = self.rest.get(..2).ok_or("a hexadecimal escape needs two digits")?;
                    self.rest = &self.rest[2..];
                    hexadecimal(digits)?
                }
            },
            'a' => 7,
            'f' => 12,
            'n' => 10,
            'r' => 13,
            't' => 9,
            'v' => 11,
            _ if next.is_ascii_punctuation() => return Ok(next),
            _ => return Err(format!("invalid escape sequence \\{next}")),
        };
        char::from_u32(code).ok_or_else(|| "an escape names no character".to_owned())
    }

    fn class(&mut self) -> Result<(), String> {
        const MISSING: &str = "missing closing bracket";
        let mut class = String::from("[");
        if let Some(rest) = self.rest.strip_prefix('^') {
            class.push('^');
            self.rest = rest;
        }
        let mut first = true;
        loop {
            let Some(next) = self.rest.chars().next() else { return Err(MISSING.to_owned()) };
            if next == ']' && !first {
                self.next();
                break;
            }
            first = false;
            if self.rest.starts_with("[:")
                && let Some((name, after)) = self.rest[2..].split_once(":]")
            {
                class.push_str(&format!("[:{name}:]"));
                self.rest = after;
                continue;
            }
            if next == '\\' {
                match self.rest[1..].chars().next() {
                    Some(letter @ ('d' | 's' | 'w')) => {
                        class.push_str(perl_class(letter));
                        self.rest = &self.rest[2..];
                        continue;
                    }
                    Some(letter @ ('D' | 'S' | 'W')) => {
                        class.push_str(&format!("[^{}]", perl_class(letter.to_ascii_lowercase())));
                        self.rest = &self.rest[2..];
                        continue;
                    }
                    Some('p' | 'P') => {
                        self.next();
                        class.push_str(&self.unicode_class()?);
                        continue;
                    }
                    _ => {}
                }
            }
            let low = self.class_character()?;
            let mut high = low;
            if let Some(after) = self.rest.strip_prefix('-')
                && !after.is_empty()
                && !after.starts_with(']')
            {
                self.rest = after;
                high = self.class_character()?;
                if high < low {
                    return Err(format!("invalid character class range {low}-{high}"));
                }
            }
            class.push_str(&format!("\\x{{{:X}}}-\\x{{{:X}}}", u32::from(low), u32::from(high)));
        }
        class.push(']');
        self.item(&class);
        Ok(())
    }

    fn class_character(&mut self) -> Result<char, String> {
        match self.next() {
            Some('\\') => self.escaped_character(),
            Some(character) => Ok(character),
            None => Err("missing closing bracket".to_owned()),
        }
    }
}

fn perl_class(letter: char) -> &'static str {
    match letter {
        'd' => "0-9",
        's' => "\\t\\n\\f\\r ",
        _ => "0-9A-Za-z_",
    }
}

fn hexadecimal(digits: &str) -> Result<u32, String> {
    let valid = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let code = if valid { u32::from_str_radix(digits, 16).ok() } else { None };
    code.ok_or_else(|| format!("invalid hexadecimal escape {digits:?}"))
}

/// Reads `2}`, `2,}` or `2,3}` behind an opening brace, as the operator with both braces; `None` if the brace is literal.
fn counted(rest: &str) -> Result<Option<(String, &str)>, String> {
    let Some((inside, after)) = rest.split_once('}') else { return Ok(None) };
    let (low, high) = match inside.split_once(',') {
        Some((low, high)) => (low, Some(high)),
        None => (inside, None),
    };
    let is_count = |digits: &str| {
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) && (digits == "0" || !digits.starts_with('0'))
    };
    if !is_count(low) || high.is_some_and(|high| !high.is_empty() && !is_count(high)) {
        return Ok(None);
    }
    let within = |digits: &str| digits.parse::<u32>().ok().filter(|count| *count <= MAX_REPEAT);
    let ordered = match (within(low), high) {
        (Some(_), None | Some("")) => true,
        (Some(low), Some(high)) => within(high).is_some_and(|high| low <= high),
        (None, _) => false,
    };
    if ordered { Ok(Some((format!("{{{inside}}}"), after))) } else { Err(format!("invalid repeat count {{{inside}}}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn translate(pattern: &str) -> Result<String, String> {
        Translator::new(pattern).translate().map(|(translated, _)| translated)
    }

    #[test]
    fn every_translation_of_a_valid_pattern_compiles() {
        for pattern in [
            r"\d+\D\w\W\s\S\b\B",
            r"[\d\D-]",
            r"[]a]",
            r"[^]a-c-]",
            r"a{,2}{",
            r"a{2,3}?",
            r"\Q.*\E+",
            r"(?i)(?P<n>x)|(?:y)|(?s:.)",
            r"[[:alpha:][:^digit:]]",
            r"\pL\p{Greek}\P{Lu}\p{^Lu}[\pN]",
            r"\x{1F600}\x41\101\0",
            r"a}]&&",
            r"[a&&b~~c]",
            "^*$",
            "(|a)*",
        ] {
            let translated = translate(pattern);
            assert!(Regex::new(&translated.clone().expect(pattern)).is_ok(), "{pattern} became {translated:?}");
        }
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for pattern in [
            r"a**", r"a{2}{3}", "*a", "a|*", r"\1", r"\y", r"\C", "(?=a)", "(?x)a", "[z-a]", "a{1001}", "a{3,2}", "[a", r"\", "(?P<>a)",
            "(?i", r"\x{}",
        ] {
            assert!(translate(pattern).is_err(), "{pattern}");
        }
    }
}
