//! What a fault is recognised by from one scan to the next.
//!
//! A fault is one piece of evidence of a finding. Its fingerprint is made of the rule, the resource's address, the
//! attribute's path and the faulty value. Files, lines, the order of blocks and numeric instance keys are no part of it, so
//! that it survives moves, reformatting and renamed files. Equal faults are told apart by counting.

use std::fmt::Write;

use sha2::{Digest, Sha256};

/// The fingerprint of a fault: 32 hexadecimal digits. `value` is the text that evidence shows for it, in which nothing
/// sensitive is left (a digest of a secret could be guessed at); `None` if the value is missing.
pub(crate) fn fault(rule: &str, address: &str, path: &str, value: Option<&str>) -> String {
    let mut hasher = Sha256::new();
    for part in [Some(rule), Some(&without_numbers(address)), Some(&normalised_path(path)), value] {
        // Lengths keep the parts from running into each other; a missing value differs from an empty one.
        hasher.update(part.map_or(u64::MAX, |part| part.len() as u64).to_le_bytes());
        hasher.update(part.unwrap_or_default().as_bytes());
    }
    let mut fingerprint = String::with_capacity(32);
    for byte in hasher.finalize().iter().take(16) {
        // Writing to a text can't fail.
        let _ = write!(fingerprint, "{byte:02x}");
    }
    fingerprint
}

/// An address in which `[0]` is `[*]`; keys in quotes stay, for they are names that somebody gave.
pub(crate) fn without_numbers(address: &str) -> String {
    let mut result = String::with_capacity(address.len());
    let mut rest = address;
    while let Some(open) = rest.find('[') {
        let (before, inner) = rest.split_at(open);
        result.push_str(before);
        let digits = inner[1..].bytes().take_while(u8::is_ascii_digit).count();
        if digits > 0 && inner[1 + digits..].starts_with(']') {
            result.push_str("[*]");
            rest = &inner[digits + 2..];
        } else {
            let end = quoted_end(inner);
            result.push_str(&inner[..end]);
            rest = &inner[end..];
        }
    }
    result.push_str(rest);
    result
}

/// Behind the text in quotes that `["…` starts with; behind the bracket if there is none.
fn quoted_end(text: &str) -> usize {
    if !text.starts_with("[\"") {
        return 1;
    }
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(2) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A path in which numbers are `*`: the order of blocks doesn't matter.
pub(crate) fn normalised_path(path: &str) -> String {
    let step =
        |step: &str| if !step.is_empty() && step.bytes().all(|byte| byte.is_ascii_digit()) { "*".to_owned() } else { step.to_owned() };
    path.split('.').map(step).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_addresses_and_paths_do_not_count() {
        assert_eq!(without_numbers("module.a[\"x[0]\\\"[1]\"].b.c[12]"), "module.a[\"x[0]\\\"[1]\"].b.c[*]");
        assert_eq!(without_numbers("a[?].b[x]"), "a[?].b[x]");
        assert_eq!(without_numbers("a[\"unclosed"), "a[\"unclosed");
        assert_eq!(normalised_path("ingress.12.cidr_blocks.0"), "ingress.*.cidr_blocks.*");
    }

    #[test]
    fn a_fault_is_the_same_whatever_number_its_instance_has_and_another_for_another_key() {
        let of = |address: &str| fault("acl", address, "acl", Some("\"public-read\""));
        assert_eq!(of("aws_s3_bucket.a[0]"), of("aws_s3_bucket.a[7]"));
        assert_ne!(of("aws_s3_bucket.a[\"x\"]"), of("aws_s3_bucket.a[\"y\"]"));
        assert_ne!(of("aws_s3_bucket.a"), fault("acl", "aws_s3_bucket.a", "acl", None));
        assert_eq!(of("a").len(), 32);
    }

    #[test]
    fn parts_do_not_run_into_each_other() {
        assert_ne!(fault("ab", "c", "d", None), fault("a", "bc", "d", None));
    }
}
