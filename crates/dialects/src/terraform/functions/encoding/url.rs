//! `urlencode`.

use std::fmt::Write as _;

use crate::terraform::functions::{Call, Outcome};

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
