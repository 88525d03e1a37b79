//! Texts as data and back: Base64, JSON, YAML, CSV, URL, character sets.

mod charset;
mod csv;
mod json;
mod url;
mod yaml_reader;
mod yaml_writer;

use std::sync::Arc;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use keyblind_resource::{Data, Reason, Unknown, Value};

use super::{Call, Failure, Function, Outcome, any, invalid, text};
use crate::terraform::types;

pub(super) use json::{write_json, write_json_text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base64decode", &[text("str")], base64decode),
    Function::new("base64encode", &[text("str")], |call| call.made_text(base64_text(call.text(0)?.as_bytes()))),
    Function::new("base64gzip", &[text("str")], base64gzip),
    Function::new("csvdecode", &[text("str")], csv::csvdecode),
    Function::new("jsondecode", &[text("str").or_unknown()], json::jsondecode),
    Function::new("jsonencode", &[any("val").or_null().or_unknown()], json::jsonencode),
    Function::new("textdecodebase64", &[text("source"), text("encoding")], charset::textdecodebase64),
    Function::new("textencodebase64", &[text("string"), text("encoding")], charset::textencodebase64),
    // OpenTofu's.
    Function::new("urldecode", &[text("str")], url::urldecode),
    Function::new("urlencode", &[text("str")], url::urlencode),
    Function::new("yamldecode", &[text("src").or_unknown()], yaml_reader::yamldecode),
    Function::new("yamlencode", &[any("value").or_null().or_unknown()], yaml_writer::yamlencode),
];

pub(super) fn base64_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Decodes as Go does: line breaks are skipped, bits left over in the last character don't matter, padding must be there.
pub(super) fn base64_bytes(text: &str) -> Result<Vec<u8>, Failure> {
    const LENIENT: GeneralPurpose =
        GeneralPurpose::new(&alphabet::STANDARD, GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true));
    let joined: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    LENIENT.decode(joined).or_else(|_| invalid("the text is not valid Base64"))
}

fn base64decode(call: &Call<'_>) -> Outcome {
    match String::from_utf8(base64_bytes(call.text(0)?)?) {
        Ok(decoded) => call.made_text(decoded),
        Err(_) => invalid("the result of decoding isn't valid UTF-8"),
    }
}

/// The compressed bytes depend on the compressor; what is inside is known all the same.
fn base64gzip(call: &Call<'_>) -> Outcome {
    let text = call.value(0).clone();
    let reason = Reason::Unsupported { what: "the bytes that base64gzip() compresses to".into() };
    Ok(Value::new(Data::Unknown(Arc::new(Unknown { document: Some(text), ..Unknown::new(reason) }))))
}

/// A text that a function made of bytes.
fn decoded_text(call: &Call<'_>, text: String) -> Outcome {
    call.spend(text.len() as u64 / 64)?;
    Ok(Value::string(types::normalized(text)))
}
