//! Whether something that looks like a credential is about to leave.
//!
//! The blind side has put placeholders in the place of secrets before it asks. Here it is looked at once more, by somebody who doesn't
//! trust that: the well-known forms of credentials, keys in PEM, and long random values that are named like a secret. A placeholder with
//! `<`, `$`, `{` or `*` in it is none, nor are the keys that AWS's documentation shows.

/// A mark that credentials of a kind begin with, which characters follow it, and how many at least.
type Mark = (&'static str, fn(u8) -> bool, usize);

/// Credentials that begin with a mark of their own.
const MARKED: &[Mark] = &[
    ("AKIA", is_upper_or_digit, 16),
    ("ASIA", is_upper_or_digit, 16),
    ("ghp_", is_word, 30),
    ("gho_", is_word, 30),
    ("ghu_", is_word, 30),
    ("ghs_", is_token, 30),
    ("ghr_", is_word, 30),
    ("github_pat_", is_word, 40),
    ("glpat-", is_token, 20),
    ("xoxb-", is_token, 20),
    ("xoxp-", is_token, 20),
    ("xoxa-", is_token, 20),
    ("xapp-", is_token, 20),
    ("hooks.slack.com/services/", is_path, 20),
    ("hooks.slack-gov.com/services/", is_path, 20),
    ("sk-ant-", is_token, 20),
    ("sk-proj-", is_token, 20),
    ("sk_live_", is_word, 16),
    ("rk_live_", is_word, 16),
    ("AIza", is_token, 35),
    ("ya29.", is_token, 20),
    ("npm_", is_word, 36),
    ("pypi-", is_token, 50),
    ("hvs.", is_token, 24),
    ("dop_v1_", is_word, 60),
    ("AGE-SECRET-KEY-1", is_upper_or_digit, 50),
];
/// What AWS's documentation uses in its examples.
const PUBLISHED: &[&str] = &["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"];
/// How the name of a secret ends.
const NAMES: &[&str] = &[
    "password",
    "passwd",
    "secret",
    "token",
    "secret_key",
    "secretkey",
    "access_key",
    "accesskey",
    "api_key",
    "apikey",
    "private_key",
    "auth_key",
    "client_secret",
    "connection_string",
    "passphrase",
    "credential",
    "credentials",
];
/// A random value of such a name has so many characters at least.
const SHORTEST_VALUE: usize = 20;
/// So much of one is looked at.
const LONGEST_VALUE: usize = 512;
/// Bits of information in each of its characters.
const BITS: f64 = 3.2;

fn is_upper_or_digit(byte: u8) -> bool {
    byte.is_ascii_uppercase() || byte.is_ascii_digit()
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

fn is_token(byte: u8) -> bool {
    is_word(byte) || matches!(byte, b'-' | b'.')
}

fn is_path(byte: u8) -> bool {
    is_word(byte) || byte == b'/'
}

fn is_value(byte: u8) -> bool {
    is_token(byte) || matches!(byte, b'/' | b'+' | b'=' | b'~' | b'!' | b'@' | b'#' | b'%' | b'^' | b'&')
}

/// What kind of credential is in a text, if one seems to be.
#[must_use]
pub fn secret_in(text: &str) -> Option<&'static str> {
    if is_private_key_in(text) {
        return Some("private-key");
    }
    for (mark, follows, least) in MARKED {
        for (at, _) in text.match_indices(mark) {
            let is_start = at == 0 || !is_word(text.as_bytes()[at - 1]);
            let rest = text.as_bytes()[at + mark.len()..].iter().take(*least);
            let length = rest.take_while(|byte| follows(**byte)).count();
            let is_published = PUBLISHED.iter().any(|known| text[at..].starts_with(known));
            if is_start && length >= *least && !is_published {
                return Some("marked-credential");
            }
        }
    }
    if is_signed_token_in(text) {
        return Some("signed-token");
    }
    text.lines().any(is_assigned_in).then_some("random-value-named-like-a-secret")
}

/// A key in PEM with contents: the line alone may be somebody's prose.
fn is_private_key_in(text: &str) -> bool {
    text.match_indices("PRIVATE KEY-----").any(|(at, mark)| {
        let body = text[at + mark.len()..].bytes().take(400);
        body.filter(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/')).count() >= 40
    })
}

/// Three parts of Base64 with dots between, the first two of which are JSON objects (RFC 7519).
fn is_signed_token_in(text: &str) -> bool {
    text.match_indices("eyJ").any(|(at, _)| {
        let is_start = at == 0 || !is_token(text.as_bytes()[at - 1]);
        if !is_start {
            return false;
        }
        let rest = &text[at..];
        let end = rest.bytes().position(|byte| !is_token(byte)).unwrap_or(rest.len());
        let mut parts = rest[..end].split('.').skip(1);
        parts.next().is_some_and(|second| second.starts_with("eyJ")) && parts.next().is_some_and(|third| third.len() >= 20)
    })
}

/// Whether a line gives something that is named like a secret a long random value.
fn is_assigned_in(line: &str) -> bool {
    let bytes = line.as_bytes();
    line.match_indices(['=', ':']).any(|(at, _)| {
        let name = line[..at].trim_end_matches([' ', '\t', '"', '\'', ':', '=', '>']);
        let start = name.bytes().rposition(|byte| !is_word(byte) && byte != b'-').map_or(0, |before| before + 1);
        let name = name[start..].to_ascii_lowercase().replace('-', "_");
        if !NAMES.iter().any(|ending| name.ends_with(ending)) {
            return false;
        }
        let value_at =
            at + 1 + bytes[at + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'=' | b'>' | b'\\')).count();
        let length = bytes[value_at..].iter().take(LONGEST_VALUE).take_while(|byte| is_value(**byte)).count();
        // What goes on with a template or a placeholder is none.
        let goes_on = bytes.get(value_at + length).is_some_and(|byte| matches!(byte, b'$' | b'{' | b'<' | b'*' | b'('));
        let value = &line[value_at..value_at + length];
        length >= SHORTEST_VALUE && !goes_on && is_random(value) && !PUBLISHED.contains(&value)
    })
}

/// Many different characters, whose kind changes often: names, paths and references are words with a number at most.
fn is_random(value: &str) -> bool {
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 1_u8,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 4,
    };
    let bytes = value.as_bytes();
    let changes = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1]) && kind(pair[0]) < 4 && kind(pair[1]) < 4).count();
    if changes * 5 < bytes.len() || value.starts_with("arn:") || value.contains("://") {
        return false;
    }
    let mut counts = [0_u32; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    shares.map(|share| -share * share.log2()).sum::<f64>() >= BITS
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made here, so that nothing that looks like a credential lies in the repository.
    fn made(mark: &str, length: usize) -> String {
        let letters: Vec<char> = ('A'..='Z').chain('0'..='9').collect();
        let tail: String = (0..length).map(|index| letters[(index * 7 + 3) % letters.len()]).collect();
        format!("{mark}{tail}")
    }

    #[test]
    fn each_form_of_a_credential_is_seen_wherever_it_stands() {
        for (mark, _, least) in MARKED {
            let credential = made(mark, *least);
            for text in [
                credential.clone(),
                format!("token: \"{credential}\"\n"),
                format!("x = [\n  \"{credential}\",\n]"),
                format!("?key={credential}&"),
            ] {
                assert!(secret_in(&text).is_some(), "{text}");
            }
            assert_eq!(secret_in(&format!("see {}", &credential[..mark.len() + 4])), None, "only the beginning of one");
        }
        let key = format!("-----BEGIN {} KEY-----\n{}\n", "PRIVATE", made("", 64));
        assert_eq!(secret_in(&key), Some("private-key"));
        let token = format!("Authorization: Bearer eyJ{}.eyJ{}.{}", made("", 20), made("", 30), made("", 43));
        assert_eq!(secret_in(&token), Some("signed-token"));
        for name in ["db_password", "\"secret_key\"", "ClientSecret", "export API_KEY", "- token"] {
            let value = "q8Zr2LmX7vTn4KpW9sBd3Hy";
            for line in [format!("{name} = \"{value}\""), format!("{name}: {value}"), format!("{name}=>'{value}'")] {
                assert!(secret_in(&line).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn infrastructure_code_without_secrets_may_leave() {
        for text in [
            "resource \"aws_db_instance\" \"a\" {\n  password = var.db_password\n  kms_key_id = \"arn:aws:kms:eu-west-1:111122223333:key/1234abcd-12ab-34cd-56ef-1234567890ab\"\n}",
            "password = \"<secret-1>\"",
            "password = \"${random_password.database.result}\"",
            "secret = aws_secretsmanager_secret_version.database_2024.secret_string",
            "token: {{ .Values.token }}",
            "password: \"********************\"",
            "aws_access_key_id = AKIAIOSFODNN7EXAMPLE\naws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "manage_master_user_password = true",
            "-----BEGIN PRIVATE KEY----- is how such a file begins.",
            "uses: actions/checkout@8f4b7f84864484a7bf31766abe9204da3cbe65b3",
            "sha256: 829b4bebb19a53133289f7b0bc819f4f1118115821db2ca9f25e9ee995a7da2a",
            "",
        ] {
            assert_eq!(secret_in(text), None, "{text}");
        }
    }

    #[test]
    fn it_takes_no_text_long_and_panics_at_none() {
        for text in [
            "eyJ.".repeat(50_000),
            "secret=".repeat(30_000),
            "PRIVATE KEY-----".repeat(20_000),
            "é=é:".repeat(20_000),
            "AKIA".repeat(50_000),
        ] {
            let start = std::time::Instant::now();
            let _ = secret_in(&text);
            assert!(start.elapsed().as_secs() < 20, "{} bytes took {:?}", text.len(), start.elapsed());
        }
    }
}
