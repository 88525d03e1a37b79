//! What is a secret or somebody's, by its form, by the name that it stands under, or by chance.
//!
//! Too much is better than too little: a placeholder costs a model some understanding, a secret can't be taken back. What the finding is
//! about stays all the same: networks, ports, switches, names of resources.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::OnceLock;

use regex::Regex;

/// What a placeholder stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A credential, or what looks like one.
    Secret,
    /// An address of e-mail.
    Email,
    /// A telephone number.
    Phone,
    /// The address of one machine in public networks.
    Address,
    /// An account, a subscription, a tenant of a cloud.
    Account,
    /// The name of a person.
    Person,
}

impl Kind {
    /// Its word in placeholders.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Secret => "SECRET",
            Self::Email => "EMAIL",
            Self::Phone => "PHONE",
            Self::Address => "ADDRESS",
            Self::Account => "ACCOUNT",
            Self::Person => "PERSON",
        }
    }
}

/// Names under which a secret stands.
const NAMED: &str = r"(?i:passw(?:or)?d|passwd|passphrase|pwd|secret|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|account[_-]?key|encryption[_-]?key|signing[_-]?key|shared[_-]?key|credential|connection[_-]?string|conn[_-]?str|webhook[_-]?url|token)";
/// Names under which a person stands.
const PERSONAL: &str = r"(?i:owner|contact|maintainer|author|responsible|created[_-]?by|managed[_-]?by|approver|requester|engineer|on[_-]?call|admin[_-]?name|full[_-]?name|first[_-]?name|last[_-]?name|username|user[_-]?name|login)";

/// Each form: what it stands for, and its expression, whose first group (if it has one) is the value.
const FORMS: &[(Kind, &str)] = &[
    (
        Kind::Secret,
        r"(?:^|[^A-Za-z0-9_])((?:(?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{12,}|gh[pousr]_[A-Za-z0-9_.-]{20,}|github_pat_[A-Za-z0-9_]{30,}|glpat-[A-Za-z0-9_.-]{16,}|xox[a-z]-[A-Za-z0-9_.-]{10,}|xapp-[A-Za-z0-9_.-]{16,}|sk-[A-Za-z0-9_.-]{20,}|[sr]k_(?:live|test)_[A-Za-z0-9_]{10,}|AIza[A-Za-z0-9_.-]{30,}|ya29\.[A-Za-z0-9_.-]{16,}|npm_[A-Za-z0-9_]{30,}|pypi-[A-Za-z0-9_.-]{30,}|hv[sb]\.[A-Za-z0-9_.-]{20,}|do[opr]_v1_[A-Za-z0-9_]{40,}|AGE-SECRET-KEY-1[A-Z0-9]{40,}|SG\.[A-Za-z0-9_.-]{30,}|shp(?:at|ca|pa|ss)_[A-Fa-f0-9]{20,}|dckr_pat_[A-Za-z0-9_-]{20,}|EAAC[A-Za-z0-9]{20,}))",
    ),
    (Kind::Secret, r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}(?:\.[A-Za-z0-9_-]*)?"),
    (Kind::Secret, r"(?i)hooks\.slack(?:-gov)?\.com/services/([A-Za-z0-9_/]{8,})"),
    (Kind::Secret, r"(?i)(?:AccountKey|SharedAccessKey|SharedAccessSignature|sig)=([A-Za-z0-9+/%=_-]{16,})"),
    (Kind::Secret, r"[A-Za-z][A-Za-z0-9+.-]{0,30}://([^\s/@:]{0,200}:[^\s/@]{1,400})@"),
    (Kind::Secret, r"(?i)\b(?:bearer|basic)\s+([A-Za-z0-9+/=_.~-]{12,})"),
    (Kind::Secret, r#"(?i)--(?:[a-z-]{0,30}-)?(?:password|passwd|token|secret|api-key|access-key)(?:=|\s+)["']?([^\s"'$]{3,400})"#),
    (Kind::Email, r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}@[A-Za-z0-9][A-Za-z0-9.-]{0,250}\.[A-Za-z]{2,24}\b"),
    (Kind::Phone, r"(?:^|[^A-Za-z0-9])((?:\+|00)[1-9][0-9]{0,3}[ ()./-]{1,2}(?:[0-9][ ()./-]{0,2}){6,14}[0-9])"),
    (Kind::Phone, r"(?:^|[^A-Za-z0-9])(\+[1-9][0-9]{7,14})\b"),
    (Kind::Phone, r"(?:^|[^0-9A-Za-z])(\(?[2-9][0-9]{2}\)?[ .-][2-9][0-9]{2}[ .-][0-9]{4})(?:[^0-9]|$)"),
    (Kind::Account, r"(?:^|[^A-Za-z0-9.])([0-9]{12})(?:[^A-Za-z0-9]|$)"),
    (Kind::Account, r"\b([0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12})\b"),
    (Kind::Address, r"(?:^|[^0-9A-Za-z.])((?:[0-9]{1,3}\.){3}[0-9]{1,3})(/[0-9]{1,2})?"),
    (Kind::Address, r"(?:^|[^0-9A-Za-z:])([0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,7})(/[0-9]{1,3})?"),
];

struct Expressions {
    forms: Vec<(Kind, Regex)>,
    /// A name, a sign and the beginning of a value.
    named: Regex,
    personal: Regex,
    /// The name of a variable in a list, whose value stands on the next line.
    listed: Regex,
    /// What a line declares, if that is named like a secret: its value stands in the lines below.
    declared: Regex,
    /// A value in the lines below.
    below: Regex,
    /// A name of a person: words that begin with a capital letter.
    person: Regex,
    /// `ENV NAME value`.
    spaced: Regex,
}

fn expressions() -> Option<&'static Expressions> {
    static EXPRESSIONS: OnceLock<Option<Expressions>> = OnceLock::new();
    EXPRESSIONS
        .get_or_init(|| {
            let regex = |text: &str| Regex::new(text).ok();
            Some(Expressions {
                forms: FORMS.iter().map(|(kind, text)| Some((*kind, regex(text)?))).collect::<Option<_>>()?,
                named: regex(&format!(
                    r#"[A-Za-z0-9_.-]{{0,80}}{NAMED}[A-Za-z0-9_-]{{0,40}}["'\]]{{0,2}}[ \t]{{0,40}}(?:=>|:=|=|:)[ \t]{{0,40}}"#
                ))?,
                personal: regex(&format!(
                    r#"[A-Za-z0-9_.:/-]{{0,80}}{PERSONAL}["'\]]{{0,2}}[ \t]{{0,40}}(?:=>|:=|=|:|[ \t])[ \t]{{0,40}}"#
                ))?,
                listed: regex(&format!(
                    r#"(?i)\b(?:name|key)["']?[ \t]*[:=][ \t]*["']?[A-Za-z0-9_.-]{{0,80}}{NAMED}[A-Za-z0-9_-]{{0,40}}["']?,?[ \t]*$"#
                ))?,
                declared: regex(&format!(
                    r#"(?:^|[\s"'])[A-Za-z0-9_.-]{{0,80}}{NAMED}[A-Za-z0-9_-]{{0,40}}["']?[ \t]*(?:\{{|:)[ \t]*(?:\{{[ \t]*)?$"#
                ))?,
                below: regex(r#"(?i)^[ \t]*-?[ \t]*["']?(?:default|value|content|secret_string|string)["']?[ \t]*(?:=|:)[ \t]*"#)?,
                person: regex(r"^[\p{Lu}][\p{L}'’.-]{1,40}(?:[ ]+[\p{Lu}][\p{L}'’.-]{0,40}){1,3}$")?,
                spaced: regex(&format!(r"(?i)^[ \t]*(?:ENV|ARG|LABEL)[ \t]+[A-Za-z0-9_.-]{{0,80}}{NAMED}[A-Za-z0-9_-]{{0,40}}[ \t]+"))?,
            })
        })
        .as_ref()
}

/// What of a text is a secret or somebody's, in order and without overlaps. `hidden` are ranges that are known to be secret.
#[must_use]
pub fn found(text: &str, hidden: &[Range<usize>]) -> Vec<(Range<usize>, Kind)> {
    let mut all: Vec<(Range<usize>, Kind)> = Vec::new();
    for range in hidden.iter().filter(|range| range.start < range.end && range.start < text.len()) {
        let (start, end) = (text.floor_char_boundary(range.start), text.ceil_char_boundary(range.end.min(text.len())));
        all.push((start..end, Kind::Secret));
    }
    all.extend(private_keys(text).into_iter().map(|range| (range, Kind::Secret)));
    match expressions() {
        Some(expressions) => {
            by_form(text, expressions, &mut all);
            by_name(text, expressions, &mut all);
        }
        // Without expressions nothing may leave at all.
        None => all.push((0..text.len(), Kind::Secret)),
    }
    all.extend(by_chance(text).into_iter().map(|range| (range, Kind::Secret)));
    merged(all)
}

/// Overlapping ranges become one, of the first kind of them.
fn merged(mut all: Vec<(Range<usize>, Kind)>) -> Vec<(Range<usize>, Kind)> {
    all.retain(|(range, _)| range.start < range.end);
    all.sort_by_key(|(range, kind)| (range.start, *kind, std::cmp::Reverse(range.end)));
    let mut merged: Vec<(Range<usize>, Kind)> = Vec::new();
    for (range, kind) in all {
        match merged.last_mut() {
            Some((last, of)) if range.start < last.end => {
                last.end = last.end.max(range.end);
                *of = (*of).min(kind);
            }
            _ => merged.push((range, kind)),
        }
    }
    merged
}

fn by_form(text: &str, expressions: &Expressions, all: &mut Vec<(Range<usize>, Kind)>) {
    for (kind, expression) in &expressions.forms {
        let mut at = 0;
        // One begins where the last value ended: the sign between two of them belongs to both.
        while let Some(captures) = expression.captures_at(text, at) {
            let Some(value) = captures.get(1).or_else(|| captures.get(0)) else { break };
            at = value.end().max(at + 1);
            at = text.ceil_char_boundary(at);
            if *kind != Kind::Address || is_one_machine(value.as_str(), captures.get(2).map(|prefix| prefix.as_str())) {
                all.push((value.range(), *kind));
            }
            if at >= text.len() {
                break;
            }
        }
    }
}

/// Whether an address is that of one machine somewhere in public: a network is what findings are about, and private addresses are nobody's.
fn is_one_machine(address: &str, prefix: Option<&str>) -> bool {
    match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(address)) => {
            let special = address.is_private()
                || address.is_loopback()
                || address.is_link_local()
                || address.is_unspecified()
                || address.is_broadcast()
                || address.is_documentation()
                || address.is_multicast();
            !special && prefix.is_none_or(|prefix| prefix == "/32") && !is_version(address)
        }
        Ok(std::net::IpAddr::V6(address)) => {
            let first = address.segments()[0];
            let is_global = (0x2000..0x4000).contains(&first) && !(first == 0x2001 && address.segments()[1] == 0xdb8);
            is_global && prefix.is_none_or(|prefix| prefix == "/128")
        }
        Err(_) => false,
    }
}

/// `1.2.3.4` is somebody's version far more often than an address.
fn is_version(address: std::net::Ipv4Addr) -> bool {
    address.octets().iter().all(|part| *part < 10)
}

fn by_name(text: &str, expressions: &Expressions, all: &mut Vec<(Range<usize>, Kind)>) {
    let mut start = 0;
    // Lines that a declaration of a secret reaches down to.
    let mut reach = 0_usize;
    for line in text.split_inclusive('\n') {
        let body = line.trim_end_matches(['\n', '\r']);
        for sign in expressions.named.find_iter(body) {
            if !is_plain_name(sign.as_str()) {
                all.extend(value_at(body, sign.end()).map(|range| (start + range.start..start + range.end, Kind::Secret)));
            }
        }
        if let Some(name) = expressions.spaced.find(body).filter(|name| !name.as_str().contains('=')) {
            all.extend(value_at(body, name.end()).map(|range| (start + range.start..start + range.end, Kind::Secret)));
        }
        for sign in expressions.personal.find_iter(body) {
            let value = value_at(body, sign.end());
            let is_name = |range: &Range<usize>| expressions.person.is_match(body[range.clone()].trim());
            all.extend(value.filter(is_name).map(|range| (start + range.start..start + range.end, Kind::Person)));
        }
        if reach > 0 {
            reach -= 1;
            if let Some(sign) = expressions.below.find(body) {
                all.extend(value_at(body, sign.end()).map(|range| (start + range.start..start + range.end, Kind::Secret)));
            }
        }
        if expressions.listed.is_match(body) {
            reach = reach.max(2);
        } else if expressions.declared.is_match(body) {
            reach = reach.max(12);
        }
        start += line.len();
    }
}

/// Names with such a word in them whose value is a switch or another name.
fn is_plain_name(sign: &str) -> bool {
    let name: String =
        sign.chars().take_while(|character| character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.')).collect();
    let name = name.to_ascii_lowercase().replace('-', "_");
    let plain = [
        "tokens",
        "token_ttl",
        "_arn",
        "_enabled",
        "_required",
        "_policy",
        "_length",
        "_days",
        "_period",
        "_version",
        "_rotation",
        "_type",
    ];
    plain.iter().any(|ending| name.ends_with(ending))
        || name.starts_with("require_")
        || name.starts_with("manage_")
        || name.contains("id_token")
}

/// The value that begins at a place of a line, if it is written down there: in quotes what is between them, else to the end of the word or, where words go
/// on, of the line.
fn value_at(line: &str, at: usize) -> Option<Range<usize>> {
    let rest = line.get(at..)?;
    let quote = rest.chars().next()?;
    if matches!(quote, '"' | '\'' | '`') {
        let mut is_escaped = false;
        let length = rest[1..]
            .char_indices()
            .find(|(_, character)| {
                let ends = *character == quote && !is_escaped;
                is_escaped = *character == '\\' && !is_escaped;
                ends
            })
            .map_or(rest.len() - 1, |(length, _)| length);
        let value = &rest[1..1 + length];
        return (!is_reference(value)).then_some(at + 1..at + 1 + length);
    }
    // A comment isn't a part of it.
    let end = rest.find(" #").unwrap_or(rest.len());
    let value = rest[..end].trim_end_matches([' ', '\t', ',', ';', '\\', ')', '}', ']', '"', '\'']);
    let is_code = value.contains(['(', '{', '[', '<', '|', '>']) && !value.contains(['!', '#', '%', '^'])
        || value.starts_with(['[', '{', '(', '|', '>', '<', '*', '&']);
    (!is_code && !is_reference(value)).then_some(at..at + value.len())
}

/// Whether a value is none of its own: a switch, a number of few digits, or the name of something else.
fn is_reference(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    let words = [
        "", "true", "false", "null", "none", "nil", "required", "optional", "enabled", "disabled", "yes", "no", "on", "off", "write",
        "read", "string", "text", "{}", "[]",
    ];
    let whole = value.starts_with("${") && value.ends_with('}') && value.matches("${").count() == 1 && !value.contains('"')
        || value.starts_with("{{") && value.ends_with("}}");
    let name = [
        "var.", "local.", "data.", "module.", "each.", "aws_", "azurerm_", "google_", "random_", "tls_", "!ref", "!sub", "!getatt", "arn:",
        "secrets.", "env.", "steps.", "inputs.",
    ];
    words.contains(&lower.as_str())
        || whole
        || value.starts_with('$')
            && !value.contains(' ')
            && value[1..].bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'{' | b'}'))
        || name.iter().any(|name| lower.starts_with(name))
        || value.len() <= 3 && value.bytes().all(|byte| byte.is_ascii_digit())
}

/// Keys in PEM, from their first line to their last; one that isn't closed goes to the end of the text.
fn private_keys(text: &str) -> Vec<Range<usize>> {
    const SIGN: &str = "PRIVATE KEY";
    let mut ranges = Vec::new();
    let mut done = 0;
    while let Some(at) = text[done..].find(SIGN).map(|at| done + at) {
        let line = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let start = text[line..at].rfind("-----").map_or(at, |dashes| line + dashes);
        let is_begin = text[line..at].contains("BEGIN");
        let end = match (is_begin, text[at..].find("-----END")) {
            (true, Some(end)) => {
                let end = at + end + "-----END".len();
                let rest = &text[end..];
                let line_end = rest.find(['\n', '"']).unwrap_or(rest.len());
                end + rest[..line_end].rfind("-----").map_or(line_end, |dashes| dashes + 5)
            }
            (true, None) => text.len(),
            (false, _) => at + SIGN.len(),
        };
        ranges.push(start.min(at)..end.max(at + SIGN.len()));
        done = end.max(at + SIGN.len());
    }
    ranges
}

/// Runs of characters in which upper case, lower case and digits take turns as chance would have it, and long ones of hexadecimal digits that pin nothing.
fn by_chance(text: &str) -> Vec<Range<usize>> {
    let bytes = text.as_bytes();
    let is_run = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'_' | b'-' | b'=' | b'~');
    let mut ranges = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let length = bytes[at..].iter().take_while(|byte| is_run(**byte)).count();
        if length == 0 {
            // Whatever isn't a part of a run, of several bytes or not, ends one.
            at += 1;
            continue;
        }
        let run = &text[at..at + length];
        let before = &text[..at];
        let pins = before.ends_with('@') && length == 40 || before.ends_with("sha256:") && length == 64;
        let is_hex = length >= 32 && run.bytes().all(|byte| byte.is_ascii_hexdigit()) && run.bytes().any(|byte| byte.is_ascii_digit());
        if !pins && (is_hex || is_random(run)) {
            ranges.push(at..at + length);
        }
        at += length;
    }
    ranges
}

fn is_random(run: &str) -> bool {
    const SHORTEST: usize = 20;
    let class = |byte: u8| match byte {
        b'A'..=b'Z' => 1_u8,
        b'a'..=b'z' => 2,
        b'0'..=b'9' => 3,
        _ => 0,
    };
    let bytes = run.as_bytes();
    if bytes.len() < SHORTEST {
        return false;
    }
    let turns = bytes.windows(2).filter(|pair| class(pair[0]) != class(pair[1]) && class(pair[0]) > 0 && class(pair[1]) > 0).count();
    let kinds: BTreeSet<u8> = bytes.iter().map(|byte| class(*byte)).filter(|class| *class > 0).collect();
    let different: BTreeSet<u8> = bytes.iter().copied().collect();
    kinds.len() == 3 && turns * 4 >= bytes.len() && different.len() >= 10
}
