//! Whether something that looks like a credential is about to leave.
//!
//! The blind side has put placeholders in the place of secrets before it asks. Here it is looked at once more, by somebody who doesn't
//! trust that: the well-known forms of credentials, keys in PEM, long random values that are named like a secret, and longer ones of all
//! kinds of letters whatever they are named. A placeholder with `<`, `$`, `{` or `*` in it is none, nor are the keys that AWS's documentation
//! shows.
//!
//! What isn't seen: a secret of words, or of digits or hexadecimal digits alone, under a name that isn't one of a secret's; one that is shorter
//! than is looked at here; one that stands in prose.

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
/// How the name of something ends that is random and no secret: a digest, an identifier, the public half of a key.
const OPEN_NAMES: &[&str] = &[
    "hash",
    "h1",
    "zh",
    "digest",
    "checksum",
    "integrity",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "md5",
    "etag",
    "fingerprint",
    "thumbprint",
    "signature",
    "id",
    "ids",
    "arn",
    "public_key",
    "publickey",
    "certificate",
    "certificate_body",
    "certificate_chain",
    "cert",
    "ca",
    "caller_reference",
    "nonce",
    "version",
    "revision",
    "ref",
    "commit",
    "name",
    "url",
    "uri",
    "source",
    "image",
    "path",
    "user_data",
    "user_data_base64",
    "content_base64",
];
/// A random value of a name that says nothing has so many characters at least, of three kinds that change so often: of 100 neighbours so many
/// are of two kinds. (Of what is random in Base64 some 60 are.)
const SHORTEST_UNNAMED: usize = 32;
const UNNAMED_CHANGES: usize = 40;
/// Bits of information in each character of such a one.
const UNNAMED_BITS: f64 = 4.0;
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
    text.lines().find_map(assigned_in)
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

/// What a line gives something that is named like a secret, or not like what is random and open: a long random value.
fn assigned_in(line: &str) -> Option<&'static str> {
    let bytes = line.as_bytes();
    line.match_indices(['=', ':']).find_map(|(at, _)| {
        let name = line[..at].trim_end_matches([' ', '\t', '"', '\'', ':', '=', '>']);
        let start = name.bytes().rposition(|byte| !is_word(byte) && byte != b'-').map_or(0, |before| before + 1);
        let name = name[start..].to_ascii_lowercase().replace('-', "_");
        let is_named = NAMES.iter().any(|ending| name.ends_with(ending));
        // Of `"h1:…"` the name is before the colon; of `sha256-…` it is the value's own beginning.
        if !is_named && (name.is_empty() || OPEN_NAMES.iter().any(|ending| name.ends_with(ending))) {
            return None;
        }
        let value_at =
            at + 1 + bytes[at + 1..].iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'"' | b'\'' | b'=' | b'>' | b'\\')).count();
        let length = bytes[value_at..].iter().take(LONGEST_VALUE).take_while(|byte| is_value(**byte)).count();
        // What goes on with a template or a placeholder is none.
        let goes_on = bytes.get(value_at + length).is_some_and(|byte| matches!(byte, b'$' | b'{' | b'<' | b'*' | b'('));
        let value = &line[value_at..value_at + length];
        if goes_on || PUBLISHED.contains(&value) {
            return None;
        }
        if is_named {
            return (length >= SHORTEST_VALUE && is_random(value)).then_some("random-value-named-like-a-secret");
        }
        is_unnamed_secret(value).then_some("long-random-value")
    })
}

/// Letters of Base64 in one run, as random as what a generator of secrets makes.
fn is_unnamed_secret(value: &str) -> bool {
    let run = value.trim_end_matches('=');
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
    let kind = |byte: u8| match byte {
        b'0'..=b'9' => 1_u8,
        b'A'..=b'Z' => 2,
        b'a'..=b'z' => 3,
        _ => 4,
    };
    let bytes = run.as_bytes();
    if bytes.len() < SHORTEST_UNNAMED
        || !bytes.iter().copied().all(is_base64)
        || ["sha256-", "sha384-", "sha512-"].iter().any(|digest| run.starts_with(digest))
    {
        return false;
    }
    let has = |wanted: u8| bytes.iter().filter(|byte| kind(**byte) == wanted).count() >= 2;
    let changes = bytes.windows(2).filter(|pair| kind(pair[0]) != kind(pair[1])).count();
    // What has many separators is made of words.
    let separators = bytes.iter().filter(|byte| kind(**byte) == 4).count();
    has(1)
        && has(2)
        && has(3)
        && separators * 8 <= bytes.len()
        && changes * 100 >= (bytes.len() - 1) * UNNAMED_CHANGES
        && bits(run) >= UNNAMED_BITS
}

/// Bits of information in each character.
fn bits(value: &str) -> f64 {
    let mut counts = [0_u32; 256];
    value.bytes().for_each(|byte| counts[usize::from(byte)] += 1);
    let length = f64::from(u32::try_from(value.len()).unwrap_or(u32::MAX));
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / length);
    shares.map(|share| -share * share.log2()).sum()
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
    bits(value) >= BITS
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

    /// Random letters of Base64, from a generator whose seed is given.
    fn random(mut seed: u64, length: usize) -> String {
        let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut next = || {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            letters[(seed >> 20) as usize % letters.len()] as char
        };
        (0..length).map(|_| next()).collect()
    }

    #[test]
    fn most_random_values_are_seen_whatever_they_are_named() {
        for length in [32, 40, 64] {
            let is_seen = |seed: &u64| {
                secret_in(&format!("  webhook = \"{}\"\n", random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, length))).is_some()
            };
            let seen = (1..=1_000).filter(is_seen).count();
            assert!(seen >= 950, "{seen} of 1000 with {length} letters");
        }
        // What a digest, an identifier or a public key is called isn't looked at.
        for name in ["source_code_hash", "client_id", "\"h1", "integrity", "public_key", "thumbprint"] {
            assert_eq!(secret_in(&format!("{name} = \"{}\"", random(88_172_645_463_325_252, 44))), None, "{name}");
        }
    }

    /// All examples of all rules, good and bad, and the documentation: what infrastructure code looks like.
    #[test]
    fn code_of_all_kinds_raises_no_alarm_for_what_is_only_long() {
        let mut folders = vec![
            std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../rules")),
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs").into(),
        ];
        let (mut lines, mut alarms) = (0, Vec::new());
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                let Ok(text) = std::fs::read_to_string(&path) else { continue };
                lines += text.lines().count();
                alarms.extend(text.lines().filter(|line| assigned_in(line) == Some("long-random-value")).map(str::to_owned));
            }
        }
        assert!(lines > 50_000, "{lines}");
        assert!(alarms.is_empty(), "{alarms:?}");
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
