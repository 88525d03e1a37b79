//! Takes secrets out of what reports show of the source.
//!
//! Evaluated values come to reports without them; this is for the lines of source around a finding, and for addresses of
//! modules, in which people write passwords and tokens.

use std::borrow::Cow;
use std::ops::Range;

use keyblind_syntax::TextRange;

/// Parts of an attribute's name that make its text a secret.
const SECRET_NAMES: [&str; 10] =
    ["password", "passwd", "passphrase", "secret", "api_key", "apikey", "access_key", "private_key", "credential", "connection_string"];
/// Query parameters of module addresses that are no secret.
const PLAIN_PARAMETERS: [&str; 6] = ["ref", "depth", "archive", "version", "versionid", "checksum"];
/// Runs of so many letters and digits of all sorts are taken for keys.
const SHORTEST_KEY: usize = 32;

/// A part of a source text with `*` in place of every byte of what is or looks like a secret: `masked` ranges, texts of
/// attributes whose name says so, and what looks like a key. The length stays the same.
pub fn source(text: &str, masked: &[TextRange]) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in masked {
        mask(&mut bytes, range.as_usize());
    }
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        for range in secret_ranges(line) {
            mask(&mut bytes, start + range.start..start + range.end);
        }
        start += line.len();
    }
    // Whole characters were replaced by as many one-byte ones as they had bytes; should a range have cut one, nothing of the
    // text is shown.
    String::from_utf8(bytes).unwrap_or_else(|_| "*".repeat(text.len()))
}

/// Whether a text under that name is a secret.
fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SECRET_NAMES.iter().any(|part| name.contains(part)) || name.ends_with("token")
}

/// An evaluated value as evidence shows it (JSON text, perhaps cut short), without the texts that stand under the name of a
/// secret. `path` is where the value stands. Names of resources that hold secrets (ARNs) are none.
pub(crate) fn evidence(path: &str, value: &str) -> String {
    let name = path.rsplit('.').find(|part| !part.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or_default();
    let mut shown = String::with_capacity(value.len());
    let mut names = vec![name.trim_matches('"').to_owned()];
    let mut rest = value;
    // The last text that was met, where it may turn out to be a name.
    let mut before: Option<String> = None;
    while let Some(character) = rest.chars().next() {
        if character != '"' {
            match character {
                ':' => names.extend(before.take()),
                ',' | '}' | ']' if names.len() > 1 && !matches!(character, ']') => drop(names.pop()),
                _ => {}
            }
            shown.push(character);
            rest = &rest[character.len_utf8()..];
            continue;
        }
        let length = text_length(rest);
        let (text, after) = rest.split_at(length);
        let is_name = after.trim_start().starts_with(':');
        let is_secret = !is_name && names.last().is_some_and(|name| is_secret_name(name)) && !text.starts_with("\"arn:") && text.len() > 2;
        shown.push_str(if is_secret { "\"(sensitive)\"" } else { text });
        before = is_name.then(|| text.trim_matches('"').to_owned());
        rest = after;
    }
    shown
}

/// How many bytes the JSON text that starts here has, quotes included; one that is cut short goes to the end.
fn text_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn mask(bytes: &mut [u8], range: Range<usize>) {
    let end = range.end.min(bytes.len());
    if let Some(part) = bytes.get_mut(range.start.min(end)..end) {
        part.iter_mut().filter(|byte| !matches!(byte, b'\n' | b'\r')).for_each(|byte| *byte = b'*');
    }
}

/// What is or looks like a secret on one line.
fn secret_ranges(line: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    if let Some(separator) = line.find(['=', ':'])
        && is_secret_name(line[..separator].trim().trim_matches('"'))
    {
        ranges.extend(quoted_texts(line, separator));
    }
    ranges.extend(keys(line));
    ranges.extend(url_secrets(line));
    ranges
}

/// The insides of all texts in double quotes behind `from`; one that isn't closed goes to the end of the line.
fn quoted_texts(line: &str, from: usize) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let (mut open, mut escaped) = (None, false);
    for (at, byte) in line.bytes().enumerate().skip(from) {
        match (byte, open) {
            _ if escaped => escaped = false,
            (b'\\', Some(_)) => escaped = true,
            (b'"', None) => open = Some(at + 1),
            (b'"', Some(start)) => {
                ranges.push(start..at);
                open = None;
            }
            _ => {}
        }
    }
    ranges.extend(open.map(|start| start..line.len()));
    ranges
}

/// Long runs in which upper case, lower case and digits are mixed, as in keys, and the identifiers of access keys.
fn keys(line: &str) -> Vec<Range<usize>> {
    let is_key_byte = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-');
    let mut ranges = Vec::new();
    let bytes = line.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_key_byte(**byte)).count();
        let run = &bytes[at..at + length];
        let is_random = length >= SHORTEST_KEY && looks_random(run);
        let is_key_id = length == 20 && [b"AKIA", b"ASIA"].iter().any(|prefix| run.starts_with(*prefix));
        if is_random || is_key_id {
            ranges.push(at..at + length);
        }
        at += length.max(1);
    }
    ranges
}

/// Whether upper case, lower case and digits take turns as often as chance would have it; in names words stay together.
fn looks_random(run: &[u8]) -> bool {
    let class = |byte: u8| match byte {
        b'A'..=b'Z' => 1,
        b'a'..=b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let turns = run.windows(2).filter(|pair| class(pair[0]) != class(pair[1])).count();
    [1, 2, 3].iter().all(|wanted| run.iter().any(|byte| class(*byte) == *wanted)) && turns * 3 >= run.len()
}

/// A text with the passwords and tokens of the URLs in it replaced.
pub fn urls(text: &str) -> Cow<'_, str> {
    let ranges = url_secrets(text);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut clean = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        clean.push_str(&text[done..range.start]);
        clean.push_str("***");
        done = range.end;
    }
    clean.push_str(&text[done..]);
    Cow::Owned(clean)
}

/// The users (with their passwords) and the values of query parameters in all URLs of a text, in order.
fn url_secrets(text: &str) -> Vec<Range<usize>> {
    let mut ranges = Vec::new();
    let mut from = 0;
    while let Some(found) = text[from..].find("://") {
        let start = from + found + 3;
        let end = start
            + text[start..]
                .find(|character: char| character.is_whitespace() || matches!(character, '"' | '\'' | '`' | ')' | '<' | '>'))
                .unwrap_or(text.len() - start);
        let url = &text[start..end];
        let host_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        // A user without a password (`ssh://git@host`) is no secret.
        if let Some(at) = url[..host_end].rfind('@')
            && url[..at] != *"git"
        {
            ranges.push(start..start + at);
        }
        if let Some(question) = url.find('?') {
            let mut place = start + question + 1;
            for pair in url[question + 1..].split('&') {
                if let Some((name, value)) = pair.split_once('=')
                    && !PLAIN_PARAMETERS.contains(&name.to_ascii_lowercase().as_str())
                    && !value.is_empty()
                {
                    let begin = place + name.len() + 1;
                    ranges.push(begin..begin + value.len());
                }
                place += pair.len() + 1;
            }
        }
        from = end.max(start);
    }
    ranges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_named_a_secret_or_looks_like_a_key_is_not_shown() {
        let text = concat!(
            "  master_password = \"hunter2 is \\\"my\\\" pässwörd\" # why\n",
            "  access_key      = \"AKIAIOSFODNN7EXAMPLE\"\n",
            "  user_data       = \"export K=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY AKIAIOSFODNN7EXAMPLE\"\n",
            "  acl             = \"public-read\"\n",
        );
        let shown = source(text, &[]);
        assert_eq!(shown.len(), text.len());
        for secret in ["hunter2", "pässwörd", "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI"] {
            assert!(!shown.contains(secret), "{shown}");
        }
        let name = "  policy_arn = \"arn:aws:iam::aws:policy/service-role/AmazonEC2ContainerServiceforEC2Role\"\n";
        assert_eq!(source(name, &[]), name);
        assert!(shown.contains("acl             = \"public-read\"") && shown.contains("# why") && shown.contains("export K=*"), "{shown}");
    }

    #[test]
    fn evidence_under_the_name_of_a_secret_is_not_shown() {
        assert_eq!(evidence("password", "\"hunter2\""), "\"(sensitive)\"");
        assert_eq!(evidence("ingress.0.cidr_blocks", "[\"0.0.0.0/0\"]"), "[\"0.0.0.0/0\"]");
        assert_eq!(evidence("metadata_options.0.http_tokens", "\"optional\""), "\"optional\"");
        assert_eq!(evidence("secret_id", "\"arn:aws:secretsmanager:x\""), "\"arn:aws:secretsmanager:x\"");
        assert_eq!(evidence("passwords", "[\"a1\",\"b2\"]"), "[\"(sensitive)\",\"(sensitive)\"]");
        assert_eq!(
            evidence("environment.variables", "{\"DB_PASSWORD\":\"hunter2\",\"MODE\":\"dev\",\"n\":1}"),
            "{\"DB_PASSWORD\":\"(sensitive)\",\"MODE\":\"dev\",\"n\":1}"
        );
        assert_eq!(evidence("x", "{\"api-key\":\"hunt…"), "{\"api-key\":\"(sensitive)\"");
    }

    #[test]
    fn masked_ranges_are_gone_and_line_ends_stay() {
        assert_eq!(source("a = <<E\nsecret\nE\n", &[TextRange::new(4, 14)]), "a = ***\n******\nE\n");
        assert_eq!(source("é", &[TextRange::new(0, 1)]), "**");
        assert_eq!(source("abc", &[TextRange::new(2, 99)]), "ab*");
    }

    #[test]
    fn urls_keep_their_place_and_lose_their_secrets() {
        assert_eq!(
            urls("git::https://me:p4ss@host/x.git?ref=v1&token=abc (again)"),
            "git::https://***@host/x.git?ref=v1&token=*** (again)"
        );
        assert_eq!(urls("git::ssh://git@host/x?ref=v1"), "git::ssh://git@host/x?ref=v1");
        assert_eq!(urls("no url, user@host ://"), "no url, user@host ://");
    }
}
