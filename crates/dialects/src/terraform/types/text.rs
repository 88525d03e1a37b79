//! Texts: how values print in templates, and how Terraform keeps and quotes texts.

use std::fmt::Write as _;
use std::sync::{Arc, LazyLock};

use keyblind_resource::{Data, Value};
use regex::Regex;
use unicode_normalization::UnicodeNormalization;

/// A primitive value as Terraform prints it in a template; `None` for all else.
pub(crate) fn to_text(value: &Value) -> Option<Arc<str>> {
    match &value.data {
        Data::String(text) => Some(text.clone()),
        Data::Bool(true) => Some("true".into()),
        Data::Bool(false) => Some("false".into()),
        Data::Number(number) => Some(number.to_string().into()),
        _ => None,
    }
}

/// A text as it was written in the form that Terraform keeps.
pub(crate) fn composed(text: &Arc<str>) -> Arc<str> {
    if text.is_ascii() || unicode_normalization::is_nfc(text) { text.clone() } else { text.nfc().collect::<String>().into() }
}

/// The text in Unicode normalization form C, as Terraform keeps every string.
pub(crate) fn normalized(text: String) -> Arc<str> {
    if text.is_ascii() || unicode_normalization::is_nfc(&text) { text.into() } else { text.nfc().collect::<String>().into() }
}

/// Whether Go's `%q` prints the character as it is: letters, marks, numbers, punctuation, symbols and the space.
pub(crate) fn is_printable(character: char) -> bool {
    if character.is_ascii() {
        return matches!(character, ' '..='~');
    }
    static PRINTABLE: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"\A[\p{L}\p{M}\p{N}\p{P}\p{S}]\z").ok());
    PRINTABLE.as_ref().is_some_and(|printable| printable.is_match(character.encode_utf8(&mut [0; 4])))
}

/// The text as a Go string literal, as `%q` prints it.
pub(super) fn go_quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{c}' => quoted.push_str("\\f"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{b}' => quoted.push_str("\\v"),
            _ if is_printable(character) => quoted.push(character),
            _ => {
                let code = u32::from(character);
                // Writing to a String can't fail.
                let _ = match code {
                    0..0x80 => write!(quoted, "\\x{code:02x}"),
                    0x80..0x10000 => write!(quoted, "\\u{code:04x}"),
                    _ => write!(quoted, "\\U{code:08x}"),
                };
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_go_quotes_them() {
        assert_eq!(go_quoted("a\"\\\n\u{1}\u{7f}é\u{200b}\u{10ffff}"), "\"a\\\"\\\\\\n\\x01\\x7fé\\u200b\\U0010ffff\"");
    }

    #[test]
    fn texts_are_kept_composed() {
        assert_eq!(&*normalized("e\u{301}".to_owned()), "é");
    }
}
