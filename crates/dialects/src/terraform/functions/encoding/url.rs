//! `urlencode`, and OpenTofu's `urldecode`.

use std::fmt::Write as _;

use crate::terraform::functions::{Call, Outcome, invalid};

/// Encodes for a query: a space becomes `+`.
pub(super) fn urlencode(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let mut builder = call.text_builder();
    builder.reserve(text.len() * 3)?;
    let mut encoded = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            b' ' => encoded.push('+'),
            // Writing to a String can't fail.
            _ => drop(write!(encoded, "%{byte:02X}")),
        }
    }
    builder.push(&encoded)?;
    Ok(builder.finish())
}

/// Decodes a query: `+` is a space, every `%` begins a byte.
pub(super) fn urldecode(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match byte {
            b'+' => decoded.push(b' '),
            b'%' => {
                let digits = after.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
                let code =
                    digits.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
                let Some(code) = code else { return invalid("two hexadecimal digits must follow each % sign") };
                decoded.push(code);
                rest = &after[2..];
            }
            _ => decoded.push(byte),
        }
    }
    match String::from_utf8(decoded) {
        Ok(decoded) => call.made_text(decoded),
        Err(_) => invalid("the decoded bytes aren't valid UTF-8"),
    }
}
