//! Signature Version 4: how a request says, without the secret key, that it comes from who has it.
//!
//! The secret key is read while it is lent, for one derivation; neither it nor a session's token is copied into a buffer that isn't
//! overwritten. See AWS, "Create a signed AWS API request".

use aws_lc_rs::digest::{self, SHA256, digest};
use aws_lc_rs::hmac;
use data_encoding::HEXLOWER;
use hyper::header::{AUTHORIZATION, HeaderName};
use keyblind_intent::Region;
use zeroize::Zeroizing;

use super::{AwsError, keys};
use crate::clock::Timestamp;
use crate::egress::{Call, SignedParts, encode};
use crate::secret::Secret;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const DATE: HeaderName = HeaderName::from_static("x-amz-date");
const TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");
const CONTENT: HeaderName = HeaderName::from_static("x-amz-content-sha256");

/// Signs a call for a service of a region. Whatever is added to the call afterwards isn't covered by the signature.
///
/// # Errors
/// [`AwsError::Keys`] if these aren't keys, [`AwsError::Clock`] if there is no date to sign with.
pub fn sign<'s>(call: Call<'s>, keys: &Secret, region: &Region, service: &str, at: Timestamp) -> Result<Call<'s>, AwsError> {
    let time = basic_time(at)?;
    let date = &time[..8];
    let content = HEXLOWER.encode(digest(&SHA256, call.signed_parts().body).as_ref());
    let mut call = call.header(DATE, &time);
    if service == "s3" {
        call = call.header(CONTENT, &content);
    }
    keys.expose(|bytes| {
        let parts = keys::read(bytes)?;
        if let Some(token) = parts.token {
            call = call.sensitive_header(TOKEN, token);
        }
        let (names, request) = canonical_request(&call, service, &content);
        let scope = format!("{date}/{region}/{service}/aws4_request");
        let text = format!("{ALGORITHM}\n{time}\n{scope}\n{}", HEXLOWER.encode(request.as_ref()));
        let key = signing_key(parts.secret, date, region.as_str(), service);
        let signature = HEXLOWER.encode(hmac::sign(&key, text.as_bytes()).as_ref());
        let header = format!("{ALGORITHM} Credential={}/{scope}, SignedHeaders={names}, Signature={signature}", parts.id);
        Ok(call.sensitive_header(AUTHORIZATION, header.as_bytes()))
    })
}

/// `20150830T123600Z`.
fn basic_time(at: Timestamp) -> Result<String, AwsError> {
    let second = i64::try_from(at.unix_millis() / 1_000).map_err(|_| AwsError::Clock)?;
    let time = jiff::Timestamp::from_second(second).map_err(|_| AwsError::Clock)?;
    // Before 1971 no clock was set, and after 9999 there is no such form.
    if second < 31_536_000 { Err(AwsError::Clock) } else { Ok(time.strftime("%Y%m%dT%H%M%SZ").to_string()) }
}

/// The key of one day, region and service.
fn signing_key(secret: &[u8], date: &str, region: &str, service: &str) -> hmac::Key {
    let mut first = Zeroizing::new(Vec::with_capacity(4 + secret.len()));
    first.extend_from_slice(b"AWS4");
    first.extend_from_slice(secret);
    let first = hmac::Key::new(hmac::HMAC_SHA256, &first);
    [date, region, service, "aws4_request"].iter().fold(first, |key, part| {
        let derived = hmac::sign(&key, part.as_bytes());
        hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())
    })
}

/// The names of the headers that are signed, and the digest of the request in its canonical form. It is fed to the digest piece by
/// piece: among the headers is a session's token.
fn canonical_request(call: &Call<'_>, service: &str, content: &str) -> (String, digest::Digest) {
    let SignedParts { method, target, headers, kind, .. } = call.signed_parts();
    let (path, query) = target.path_and_query().split_once('?').unwrap_or((target.path_and_query(), ""));
    let authority = target.origin().authority();
    let mut signed: Vec<(&str, &[u8])> = vec![("host", authority.as_bytes())];
    signed.extend(kind.map(|kind| ("content-type", kind.as_bytes())));
    signed.extend(headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())));
    signed.sort_by_key(|(name, _)| *name);
    let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
    let mut context = digest::Context::new(&SHA256);
    for piece in [method.as_str(), "\n", &canonical_path(path, service), "\n", &canonical_query(query), "\n"] {
        context.update(piece.as_bytes());
    }
    for (name, value) in signed {
        context.update(name.as_bytes());
        context.update(b":");
        update_with_value(&mut context, value);
        context.update(b"\n");
    }
    for piece in ["\n", names.as_str(), "\n", content] {
        context.update(piece.as_bytes());
    }
    (names, context.finish())
}

/// A header's value without spaces at its ends, and with one space where there were several.
fn update_with_value(context: &mut digest::Context, value: &[u8]) {
    let mut words = value.split(|byte| matches!(byte, b' ' | b'\t')).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        context.update(first);
    }
    for word in words {
        context.update(b" ");
        context.update(word);
    }
}

/// S3 takes the path as it is sent; every other service encodes it once more.
fn canonical_path(path: &str, service: &str) -> String {
    let mut canonical = String::with_capacity(path.len() + 16);
    for (index, segment) in path.split('/').enumerate() {
        if index > 0 {
            canonical.push('/');
        }
        let mut once = String::with_capacity(segment.len());
        encode(&percent_decoded(segment), &mut once);
        if service == "s3" { canonical.push_str(&once) } else { encode(once.as_bytes(), &mut canonical) }
    }
    canonical
}

fn canonical_query(query: &str) -> String {
    let encoded = |text: &str| {
        let mut once = String::with_capacity(text.len());
        encode(&percent_decoded(text), &mut once);
        once
    };
    let mut pairs: Vec<(String, String)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (encoded(name), encoded(value)))
        .collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// What stands behind percent signs. One that stands for itself stays.
pub(crate) fn percent_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let hexadecimal =
            (byte == b'%').then(|| bytes.get(at + 1..at + 3)).flatten().filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let value = hexadecimal.and_then(|digits| std::str::from_utf8(digits).ok()).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        plain.push(value.unwrap_or(byte));
        at += if value.is_some() { 3 } else { 1 };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{FormBody, Origin, Target};

    /// AWS's documentation derives this key, with its published example secret ("Deriving the signing key").
    #[test]
    fn the_signing_key_is_the_documented_one() {
        let key = signing_key(b"wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "20150830", "us-east-1", "iam");
        let text = "AWS4-HMAC-SHA256\n20150830T123600Z\n20150830/us-east-1/iam/aws4_request\n\
                    f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59";
        let signature = HEXLOWER.encode(hmac::sign(&key, text.as_bytes()).as_ref());
        assert_eq!(signature, "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
    }

    /// The request of the same example, in canonical form, has the documented digest.
    #[test]
    fn the_canonical_request_is_the_documented_one() {
        let target = Target::new(&Origin::parse("https://iam.amazonaws.com").unwrap());
        let target = target.query("Version", "2010-05-08").query("Action", "ListUsers");
        let kind = HeaderName::from_static("content-type");
        let call = Call::get(target).header(kind, "application/x-www-form-urlencoded; charset=utf-8").header(DATE, "20150830T123600Z");
        let empty = HEXLOWER.encode(digest(&SHA256, b"").as_ref());
        let (names, request) = canonical_request(&call, "iam", &empty);
        assert_eq!(names, "content-type;host;x-amz-date");
        assert_eq!(HEXLOWER.encode(request.as_ref()), "f536975d06c0309214f805bb90ccff089219ecd68b2577efef23edd43b7e1a59");
    }

    #[test]
    fn paths_are_encoded_twice_but_for_s3() {
        assert_eq!(canonical_path("/", "sts"), "/");
        assert_eq!(canonical_path("/a%20b/c:d", "eks"), "/a%2520b/c%253Ad");
        assert_eq!(canonical_path("/a%20b/c:d%2Fe", "s3"), "/a%20b/c%3Ad%2Fe");
        assert_eq!(canonical_query("b=2&a=%2f&a&c=x y"), "a=&a=%2F&b=2&c=x%20y");
        assert_eq!(percent_decoded("100%"), b"100%");
        assert_eq!(percent_decoded("%zz%+4%4"), b"%zz%+4%4");
    }

    #[test]
    fn neither_a_clock_that_was_never_set_nor_a_key_that_is_none_signs() {
        let region = Region::new("us-east-1").unwrap();
        let call = || Call::form(Target::new(&Origin::parse("https://sts.us-east-1.amazonaws.com").unwrap()), FormBody::new());
        let keys = keys::keys("AKIAIOSFODNN7EXAMPLE", b"wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None).unwrap();
        for time in [0, u64::MAX] {
            assert!(matches!(sign(call(), &keys, &region, "sts", Timestamp::from_unix_millis(time)), Err(AwsError::Clock)));
        }
        let none = Secret::from_string("nothing".to_owned());
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        assert!(matches!(sign(call(), &none, &region, "sts", now), Err(AwsError::Keys)));
        assert!(sign(call(), &keys, &region, "sts", now).is_ok());
    }
}
