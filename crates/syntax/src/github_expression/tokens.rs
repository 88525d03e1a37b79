//! From text to tokens.

use super::ExpressionError;
use crate::source::TextRange;

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    Name(String),
    Number(String),
    String(String),
    /// An operator or a bracket.
    Mark(&'static str),
}

const MARKS: &[&str] = &["&&", "||", "==", "!=", "<=", ">=", "<", ">", "!", "(", ")", "[", "]", ".", ",", "*"];

/// The tokens of a text that begins at `offset`, with their ranges.
pub(super) fn tokens(text: &str, offset: u32) -> Result<Vec<(Token, TextRange)>, ExpressionError> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    let range = |start: usize, end: usize| TextRange::new(start as u32 + offset, end as u32 + offset);
    while let Some(&byte) = bytes.get(at) {
        let start = at;
        let token = match byte {
            b' ' | b'\t' | b'\n' | b'\r' => {
                at += 1;
                continue;
            }
            b'\'' => {
                let mut value = String::new();
                at += 1;
                loop {
                    let Some(length) = text[at..].find('\'') else {
                        return Err(ExpressionError { range: range(start, text.len()), message: "the text has no closing `'`".to_owned() });
                    };
                    value.push_str(&text[at..at + length]);
                    at += length + 1;
                    // Two quotes are one within the text.
                    if bytes.get(at) != Some(&b'\'') {
                        break;
                    }
                    value.push('\'');
                    at += 1;
                }
                Token::String(value)
            }
            b'0'..=b'9' | b'+' | b'-' => {
                at += 1;
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-')) {
                    at += 1;
                }
                Token::Number(text[start..at].to_owned())
            }
            b'_' | b'a'..=b'z' | b'A'..=b'Z' => {
                while bytes.get(at).is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')) {
                    at += 1;
                }
                Token::Name(text[start..at].to_owned())
            }
            _ => match MARKS.iter().find(|mark| text[at..].starts_with(**mark)) {
                Some(mark) => {
                    at += mark.len();
                    Token::Mark(mark)
                }
                None => {
                    let shown = text[at..].chars().next().unwrap_or_default();
                    let message = format!("`{shown}` can't stand in an expression");
                    return Err(ExpressionError { range: range(at, at + shown.len_utf8()), message });
                }
            },
        };
        found.push((token, range(start, at)));
    }
    Ok(found)
}
