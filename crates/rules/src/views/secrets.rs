//! Credentials within texts.
//!
//! Published example keys count as well: where one stands, a real one is meant to stand.

use std::sync::{Arc, OnceLock};

use base64::Engine;
use keyblind_resource::{Data, Fragment, Reason, Value};
use regex::{Regex, RegexSet};

use super::maybe;

/// The most findings of one value.
const MAX_FOUND: usize = 100;
/// The deepest nesting that is searched.
const MAX_DEPTH: usize = 64;
/// The longest text that is searched, in bytes.
const MAX_BYTES: usize = 4 << 20;

/// What a credential of each kind looks like. A first group, if there is one, is the credential itself.
///
/// Formats as their issuers publish them, for secret scanning by third parties.
const DETECTORS: &[(&str, &str)] = &[
    ("aws-access-key-id", r"(?:^|[^A-Za-z0-9])((?:A3T[A-Z0-9]|AKIA|ASIA|ABIA|ACCA)[A-Z0-9]{16})(?:[^A-Za-z0-9]|$)"),
    (
        "aws-secret-access-key",
        r#"(?i)(?:secret|aws)[a-z0-9_.\-]{0,40}["']?\s{0,5}(?::|=>|=)\s{0,5}["']?([A-Za-z0-9/+]{40})(?:[^A-Za-z0-9/+=]|$)"#,
    ),
    ("private-key", r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----"),
    ("github-token", r"(?:^|[^A-Za-z0-9_])((?:gh[pousr]_[A-Za-z0-9]{36,255})|github_pat_[A-Za-z0-9_]{60,255})"),
    ("gitlab-token", r"(?:^|[^A-Za-z0-9_])(glpat-[A-Za-z0-9_\-]{20,64})"),
    ("slack-token", r"(?:^|[^A-Za-z0-9_])(xox[abeprs]-[A-Za-z0-9\-]{10,250})"),
    ("slack-webhook", r"https://hooks\.slack\.com/services/T[A-Z0-9]{8,12}/B[A-Z0-9]{8,12}/([A-Za-z0-9]{24})"),
    ("google-api-key", r"(?:^|[^A-Za-z0-9_\-])(AIza[A-Za-z0-9_\-]{35})(?:[^A-Za-z0-9_\-]|$)"),
    ("azure-storage-key", r"AccountKey=([A-Za-z0-9+/]{86}==)"),
    ("stripe-key", r"(?:^|[^A-Za-z0-9_])([sr]k_live_[A-Za-z0-9]{24,250})"),
    ("npm-token", r"(?:^|[^A-Za-z0-9_])(npm_[A-Za-z0-9]{36})(?:[^A-Za-z0-9]|$)"),
    ("sendgrid-key", r"(?:^|[^A-Za-z0-9_])(SG\.[A-Za-z0-9_\-]{22}\.[A-Za-z0-9_\-]{43})"),
    ("vault-token", r"(?:^|[^A-Za-z0-9_])(hv[sb]\.[A-Za-z0-9_\-]{24,250})"),
    ("digitalocean-token", r"(?:^|[^A-Za-z0-9_])(do[opr]_v1_[a-f0-9]{64})"),
    ("anthropic-key", r"(?:^|[^A-Za-z0-9_])(sk-ant-[A-Za-z0-9_\-]{20,250})"),
    (
        "password",
        r#"(?i)(?:password|passwd|passphrase|secret|api[_\-]?key|auth[_\-]?token)["']?\s{0,5}(?::|=>|=)\s{0,5}["']([^\s"'$<{}%]{8,200})["']"#,
    ),
];

/// Texts that stand where a password would, and aren't one.
const PLACEHOLDERS: &[&str] =
    &["password", "changeme", "change-me", "change_me", "placeholder", "redacted", "xxxxxxxx", "********", "dummy"];

struct Detectors {
    any: RegexSet,
    /// Each is compiled when `any` has found it: most never are.
    each: Vec<OnceLock<Option<Regex>>>,
    /// A secret key alone, as the value of something that is named for it.
    secret_key: Regex,
}

fn detectors() -> Option<&'static Detectors> {
    static DETECTORS_ONCE: OnceLock<Option<Detectors>> = OnceLock::new();
    DETECTORS_ONCE
        .get_or_init(|| {
            let each = DETECTORS.iter().map(|_| OnceLock::new()).collect();
            let any = RegexSet::new(DETECTORS.iter().map(|(_, pattern)| pattern)).ok()?;
            Some(Detectors { any, each, secret_key: Regex::new(r"^[A-Za-z0-9/+]{40}$").ok()? })
        })
        .as_ref()
}

/// The credentials in a value's texts: a list of `detector` and `where`.
pub(crate) fn secrets(value: &Value) -> Value {
    let (mut found, mut open) = (Vec::new(), None);
    search(value, &mut String::new(), MAX_DEPTH, &mut |item| {
        match item.as_unknown() {
            Some(unknown) => open = Some(unknown.reason.clone()),
            None => found.push(item),
        }
        found.len() < MAX_FOUND
    });
    maybe(&Value::null(), found, open)
}

/// Whether a value holds a credential that mustn't be shown.
pub(crate) fn holds_credential(value: &Value) -> bool {
    let mut any = false;
    search(value, &mut String::new(), MAX_DEPTH, &mut |item| {
        any |= !item.is_unknown();
        !any
    });
    any
}

/// Hands every credential to `take` until that says no; the answer is whether to go on.
fn search(value: &Value, path: &mut String, depth: usize, take: &mut dyn FnMut(Value) -> bool) -> bool {
    let Some(depth) = depth.checked_sub(1) else { return true };
    match &value.data {
        Data::String(text) => search_text(text, path, take) && decoded(text).is_none_or(|inner| search_text(&inner, path, take)),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            items.iter().enumerate().all(|(index, item)| within(path, &index.to_string(), |path| search(item, path, depth, take)))
        }
        Data::Map(entries) | Data::Object(entries) => {
            entries.iter().all(|(key, value)| within(path, key, |path| search(value, path, depth, take)))
        }
        Data::Unknown(unknown) => {
            for fragment in &unknown.fragments {
                if let Fragment::Literal(text) = fragment
                    && !search_text(text, path, take)
                {
                    return false;
                }
            }
            for inner in unknown.candidates.iter().chain(&unknown.document) {
                if !search(inner, path, depth, take) {
                    return false;
                }
            }
            let is_told = !unknown.fragments.is_empty() || !unknown.candidates.is_empty() || unknown.document.is_some();
            // What isn't in the text at all can't be written down in it. What could be and wasn't read may be one.
            is_told || comes_from_elsewhere(&unknown.reason) || take(Value { data: value.data.clone(), ..Value::null() })
        }
        Data::Null | Data::Bool(_) | Data::Number(_) => true,
    }
}

/// What a text that is wholly base64 says, if that is a text again: machines get their scripts so.
pub(crate) fn decoded(text: &str) -> Option<String> {
    let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=' | b'\n' | b'\r');
    if text.len() < 24 || text.len() > MAX_BYTES || !text.bytes().all(is_base64) {
        return None;
    }
    let packed: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(packed).ok()?;
    String::from_utf8(bytes).ok()
}

fn comes_from_elsewhere(reason: &Reason) -> bool {
    matches!(
        reason,
        Reason::NoValue { .. }
            | Reason::NoParameter { .. }
            | Reason::DeployTime { .. }
            | Reason::Undeclared { .. }
            | Reason::AfterApply { .. }
            | Reason::DataSource { .. }
            | Reason::Impure { .. }
            | Reason::PlanUnknown
    )
}

fn within(path: &mut String, name: &str, search: impl FnOnce(&mut String) -> bool) -> bool {
    let length = path.len();
    if !path.is_empty() {
        path.push('.');
    }
    path.push_str(name);
    let go_on = search(path);
    path.truncate(length);
    go_on
}

fn search_text(text: &str, path: &str, take: &mut dyn FnMut(Value) -> bool) -> bool {
    let Some(detectors) = detectors() else { return true };
    if text.len() > MAX_BYTES || text.len() < 16 {
        return true;
    }
    let name = path.rsplit('.').next().unwrap_or_default().to_lowercase();
    if name.contains("secret") && detectors.secret_key.is_match(text) && looks_random(text) {
        return take(credential("aws-secret-access-key", path));
    }
    for index in detectors.any.matches(text) {
        let (detector, pattern) = DETECTORS[index];
        let Some(expression) = detectors.each[index].get_or_init(|| Regex::new(pattern).ok()) else { continue };
        let is_one = expression.captures_iter(text).any(|captures| {
            let credential = captures.get(1).or_else(|| captures.get(0)).map_or("", |found| found.as_str());
            match detector {
                "aws-secret-access-key" => looks_random(credential),
                "password" => !PLACEHOLDERS.iter().any(|placeholder| credential.to_lowercase().contains(placeholder)),
                _ => true,
            }
        });
        if is_one && !take(credential(detector, path)) {
            return false;
        }
    }
    true
}

/// Whether a text has upper and lower case letters and digits: neither a hash in hexadecimal digits nor a word.
fn looks_random(text: &str) -> bool {
    let has = |test: fn(&u8) -> bool| text.as_bytes().iter().any(test);
    has(u8::is_ascii_uppercase) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_digit)
}

fn credential(detector: &str, path: &str) -> Value {
    Value::object([(Arc::from("detector"), Value::string(detector)), (Arc::from("where"), Value::string(path))])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(value: &Value) -> Vec<(String, String)> {
        let text = |item: &Value, key: &str| item.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
        secrets(value).as_items().unwrap().iter().map(|item| (text(item, "detector"), text(item, "where"))).collect()
    }

    fn detected(text: &str) -> Vec<String> {
        found(&Value::string(text)).into_iter().map(|(detector, _)| detector).collect()
    }

    #[test]
    fn every_expression_compiles() {
        assert!(detectors().is_some());
        for (name, pattern) in DETECTORS {
            assert!(Regex::new(pattern).is_ok(), "{name}");
        }
    }

    #[test]
    fn credentials_are_found_where_they_stand() {
        let script = "#!/bin/sh\nexport AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\nexport AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY\n";
        assert_eq!(detected(script), ["aws-access-key-id", "aws-secret-access-key"]);
        let variables = Value::object([(Arc::from("SECRET_KEY"), Value::string("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"))]);
        assert_eq!(
            found(&Value::object([(Arc::from("env"), variables)])),
            [("aws-secret-access-key".to_owned(), "env.SECRET_KEY".to_owned())]
        );
        assert_eq!(detected("-----BEGIN RSA PRIVATE KEY-----\n"), ["private-key"]);
        assert_eq!(detected("db_password = \"correct-horse\""), ["password"]);
    }

    #[test]
    fn a_script_in_base64_is_looked_into() {
        use base64::Engine;
        let packed = base64::engine::general_purpose::STANDARD.encode("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE\n");
        assert_eq!(detected(&packed), ["aws-access-key-id"]);
        assert_eq!(detected(&packed[1..]), [""; 0]);
    }

    #[test]
    fn other_texts_are_none() {
        for text in [
            "commit = da39a3ee5e6b4b0d3255bfef95601890afd80709 # secret: da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "password = \"${var.password}\"",
            "password: \"changeme!\"",
            "arn:aws:iam::123456789012:role/AKIA",
            "XAKIAIOSFODNN7EXAMPLEX",
            "-----BEGIN PUBLIC KEY-----",
        ] {
            assert_eq!(detected(text), [""; 0], "{text}");
        }
    }

    #[test]
    fn what_comes_from_outside_holds_nothing_written_down() {
        let no_value = Value::unknown(Reason::NoValue { variable: "password".into() });
        assert_eq!(secrets(&no_value).as_items().unwrap().len(), 0);
        let unread = Value::unknown(Reason::FileNotReadable { path: "a.sh".into() });
        assert!(secrets(&unread).is_unknown());
    }
}
