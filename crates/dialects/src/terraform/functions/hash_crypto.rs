//! Hashes, and what depends on chance or on private keys.

use std::fmt::Write as _;

use keyblind_resource::{Reason, Value};
use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

use super::encoding::base64_text;
use super::filesystem::read;
use super::{Call, Failure, Function, Outcome, invalid, number, text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("base64sha256", &[text("str")], |call| Ok(Value::string(base64_text(&Sha256::digest(call.text(0)?))))),
    Function::new("base64sha512", &[text("str")], |call| Ok(Value::string(base64_text(&Sha512::digest(call.text(0)?))))),
    Function::new("bcrypt", &[text("str")], |_| impure("bcrypt")).variadic(number("cost")),
    Function::new("filebase64sha256", &[text("path")], |call| Ok(Value::string(base64_text(&Sha256::digest(read(call, 0)?))))),
    Function::new("filebase64sha512", &[text("path")], |call| Ok(Value::string(base64_text(&Sha512::digest(read(call, 0)?))))),
    Function::new("filemd5", &[text("path")], |call| Ok(hexadecimal(&Md5::digest(read(call, 0)?)))),
    Function::new("filesha1", &[text("path")], |call| Ok(hexadecimal(&Sha1::digest(read(call, 0)?)))),
    Function::new("filesha256", &[text("path")], |call| Ok(hexadecimal(&Sha256::digest(read(call, 0)?)))),
    Function::new("filesha512", &[text("path")], |call| Ok(hexadecimal(&Sha512::digest(read(call, 0)?)))),
    Function::new("md5", &[text("str")], |call| Ok(hexadecimal(&Md5::digest(call.text(0)?)))),
    // What a private key opens stays closed to a scanner.
    Function::new("rsadecrypt", &[text("ciphertext"), text("privatekey")], |_| {
        Err(Failure::Because(Reason::Unsupported { what: "rsadecrypt()".into() }))
    }),
    Function::new("sha1", &[text("str")], |call| Ok(hexadecimal(&Sha1::digest(call.text(0)?)))),
    Function::new("sha256", &[text("str")], |call| Ok(hexadecimal(&Sha256::digest(call.text(0)?)))),
    Function::new("sha512", &[text("str")], |call| Ok(hexadecimal(&Sha512::digest(call.text(0)?)))),
    Function::new("uuid", &[], |_| impure("uuid")),
    Function::new("uuidv5", &[text("namespace"), text("name")], uuidv5),
];

fn impure(function: &str) -> Outcome {
    Err(Failure::Because(Reason::Impure { function: function.into() }))
}

fn hexadecimal(bytes: &[u8]) -> Value {
    let mut digits = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a String can't fail.
        let _ = write!(digits, "{byte:02x}");
    }
    Value::string(digits)
}

/// A UUID of version 5 (RFC 9562, section 5.5): the SHA-1 of a namespace and a name.
fn uuidv5(call: &Call<'_>) -> Outcome {
    let namespace = match call.text(0)? {
        "dns" => 0x6ba7_b810_9dad_11d1_80b4_00c0_4fd4_30c8,
        "url" => 0x6ba7_b811_9dad_11d1_80b4_00c0_4fd4_30c8,
        "oid" => 0x6ba7_b812_9dad_11d1_80b4_00c0_4fd4_30c8,
        "x500" => 0x6ba7_b814_9dad_11d1_80b4_00c0_4fd4_30c8,
        other => match parse_uuid(other) {
            Some(namespace) => namespace,
            None => return invalid("the namespace must be \"dns\", \"url\", \"oid\", \"x500\" or a UUID"),
        },
    };
    let hash = Sha1::new().chain_update(namespace.to_be_bytes()).chain_update(call.text(1)?).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash[..16]);
    let bits = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | 0x5 << 76 | 0x2 << 62;
    let digits = format!("{bits:032x}");
    Ok(Value::string(format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])))
}

fn parse_uuid(text: &str) -> Option<u128> {
    let plain = match text.len() {
        45 if text.get(..9)?.eq_ignore_ascii_case("urn:uuid:") => &text[9..],
        38 => text.strip_prefix('{')?.strip_suffix('}')?,
        _ => text,
    };
    let digits: String = match plain.len() {
        32 => plain.to_owned(),
        36 if [8, 13, 18, 23].iter().all(|&at| plain.as_bytes()[at] == b'-') => plain.replace('-', ""),
        _ => return None,
    };
    if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(&digits, 16).ok()
}
