//! `textencodebase64` and `textdecodebase64`: texts in other character sets, named as IANA names them.

use encoding_rs::Encoding;
use keyblind_resource::Reason;

use super::{base64_bytes, base64_text, decoded_text};
use crate::terraform::functions::{Call, Failure, Outcome, invalid};

enum Charset {
    Utf8,
    /// With a byte-order mark when encoding; decoding obeys one.
    Utf16,
    Utf16Le,
    Utf16Be,
    Latin1,
    /// A single-byte set that the web reads as one of Windows' with more characters: these are control characters here.
    WithControls(&'static Encoding),
    Other(&'static Encoding),
}

fn charset(name: &str) -> Result<Charset, Failure> {
    let lower = name.to_ascii_lowercase();
    Ok(match lower.as_str() {
        "utf-8" | "csutf8" => Charset::Utf8,
        "utf-16" | "csutf16" => Charset::Utf16,
        "utf-16le" | "csutf16le" => Charset::Utf16Le,
        "utf-16be" | "csutf16be" => Charset::Utf16Be,
        "iso-8859-1" | "iso_8859-1:1987" | "iso-ir-100" | "iso_8859-1" | "latin1" | "l1" | "ibm819" | "cp819" | "csisolatin1" => {
            Charset::Latin1
        }
        "iso-8859-9" | "iso_8859-9:1989" | "iso-ir-148" | "iso_8859-9" | "latin5" | "l5" | "csisolatin5" => {
            Charset::WithControls(encoding_rs::WINDOWS_1254)
        }
        _ if ["ibm", "cp", "ccsid", "pc", "cspc"].iter().any(|prefix| lower.starts_with(prefix))
            && lower.ends_with(|c: char| c.is_ascii_digit()) =>
        {
            return Err(Failure::Because(Reason::Unsupported { what: format!("the character set {name}").into() }));
        }
        "utf8" | "us-ascii" | "ascii" | "iso646-us" | "unicode-1-1-utf-8" | "iso-8859-11" | "x-user-defined" | "replacement" => {
            return unknown(name);
        }
        _ => Charset::Other(Encoding::for_label(lower.as_bytes()).map_or_else(|| unknown(name), Ok)?),
    })
}

fn unknown<T>(name: &str) -> Result<T, Failure> {
    invalid(format!("\"{name}\" is not a supported IANA character set name"))
}

pub(super) fn textencodebase64(call: &Call<'_>) -> Outcome {
    let text = call.text(0)?;
    let bytes: Option<Vec<u8>> = match charset(call.text(1)?)? {
        Charset::Utf8 => Some(text.as_bytes().to_vec()),
        Charset::Utf16 => Some([0xfe, 0xff].into_iter().chain(text.encode_utf16().flat_map(u16::to_be_bytes)).collect()),
        Charset::Utf16Be => Some(text.encode_utf16().flat_map(u16::to_be_bytes).collect()),
        Charset::Utf16Le => Some(text.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        Charset::Latin1 => text.chars().map(|character| u8::try_from(u32::from(character)).ok()).collect(),
        Charset::WithControls(encoding) => text
            .chars()
            .map(|character| match u8::try_from(u32::from(character)) {
                Ok(byte @ 0x80..0xa0) => Some(byte),
                _ => single_byte(encoding, character).filter(|byte| !(0x80..0xa0).contains(byte)),
            })
            .collect(),
        Charset::Other(encoding) => {
            let (bytes, _, lost) = encoding.encode(text);
            (!lost).then(|| bytes.into_owned())
        }
    };
    match bytes {
        Some(bytes) => call.made_text(base64_text(&bytes)),
        None => invalid("the text has characters that the character set can't express"),
    }
}

fn single_byte(encoding: &'static Encoding, character: char) -> Option<u8> {
    let mut buffer = [0; 4];
    let (bytes, _, lost) = encoding.encode(character.encode_utf8(&mut buffer));
    if lost { None } else { bytes.first().copied() }
}

pub(super) fn textdecodebase64(call: &Call<'_>) -> Outcome {
    let bytes = base64_bytes(call.text(0)?)?;
    let text = match charset(call.text(1)?)? {
        Charset::Utf8 => String::from_utf8(bytes).ok(),
        Charset::Utf16 => match bytes.as_slice() {
            [0xff, 0xfe, rest @ ..] => utf16(rest, u16::from_le_bytes),
            [0xfe, 0xff, rest @ ..] => utf16(rest, u16::from_be_bytes),
            rest => utf16(rest, u16::from_be_bytes),
        },
        Charset::Utf16Be => utf16(&bytes, u16::from_be_bytes),
        Charset::Utf16Le => utf16(&bytes, u16::from_le_bytes),
        Charset::Latin1 => Some(bytes.into_iter().map(char::from).collect()),
        Charset::WithControls(encoding) => Some(
            bytes
                .into_iter()
                .map(|byte| match byte {
                    0x80..0xa0 => char::from(byte),
                    _ => encoding.decode_without_bom_handling(&[byte]).0.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER),
                })
                .collect(),
        ),
        Charset::Other(encoding) => encoding.decode_without_bom_handling_and_without_replacement(&bytes).map(|text| text.into_owned()),
    };
    match text {
        Some(text) => decoded_text(call, text),
        None => invalid("the bytes are not valid in the character set"),
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Option<String> {
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    char::decode_utf16(bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]))).collect::<Result<_, _>>().ok()
}
