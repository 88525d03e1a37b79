//! What a snapshot must not carry: people put secrets where configurations are.
//!
//! Two ways to find one: the name of the field that holds it, and its own shape. Either way the value isn't handed over; in its
//! place stands [`LEFT_OUT`], so that whoever judges knows that there is something, and not what.

use serde_json::{Value, json};

/// The name under which a value that was left out says so.
pub(crate) const LEFT_OUT: &str = "keyblind:left-out";

/// Parts of names of fields whose values are secrets, in lower case. A field that only speaks of one (whether there is one, when it
/// was changed, how long it must be) has one of the words of [`ABOUT`] in its name.
const NAMES: &[&str] =
    &["password", "passwd", "secret", "token", "privatekey", "apikey", "accesskey", "credential", "userdata", "connectionstring"];

/// Words in names of fields that only speak of a secret.
const ABOUT: &[&str] = &[
    "last", "enabled", "age", "length", "policy", "reuse", "arn", "status", "date", "hop", "tokens", "require", "required", "present",
    "quota", "allow", "expire",
];

/// Beginnings of well-known secrets.
const PREFIXES: &[&str] = &[
    "ghp_",
    "gho_",
    "ghs_",
    "ghu_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xapp-",
    "sk_live_",
    "rk_live_",
    "AIza",
    "npm_",
    "pypi-",
    "dop_v1_",
    "SG.",
    "sk-ant-",
    "sk-proj-",
    "hvs.",
    "eyJ",
];

/// Takes secrets out of a value. Says how many there were.
pub(crate) fn scrub(value: &mut Value) -> u64 {
    match value {
        Value::Object(fields) => {
            // A tag has its name in a field: what the name says counts for the value beside it.
            let named = ["Key", "key", "Name", "name", "ParameterName"].iter().find_map(|name| fields.get(*name)?.as_str());
            let is_named_secret = named.is_some_and(is_secret_name);
            let mut found = 0;
            for (name, value) in fields.iter_mut() {
                let is_value_of_name = is_named_secret && matches!(name.as_str(), "Value" | "value" | "ParameterValue");
                // A function's variables: people put passwords there, whatever the variables are called.
                let is_environment = name == "Environment" && value.is_object();
                if !value.is_null() && (is_value_of_name || is_environment || is_secret_name(name)) {
                    *value = left_out();
                    found += 1;
                } else {
                    found += scrub(value);
                }
            }
            found
        }
        Value::Array(values) => values.iter_mut().map(scrub).sum(),
        Value::String(text) if looks_secret(text) => {
            *value = left_out();
            1
        }
        _ => 0,
    }
}

fn left_out() -> Value {
    json!({LEFT_OUT: true})
}

fn is_secret_name(name: &str) -> bool {
    let whole: String = name.chars().filter(char::is_ascii_alphanumeric).map(|letter| letter.to_ascii_lowercase()).collect();
    NAMES.iter().any(|part| whole.contains(part)) && !words(name).iter().any(|word| ABOUT.contains(&word.as_str()))
}

/// `PasswordLastUsed` is `password`, `last`, `used`.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut goes_on = false;
    for letter in name.chars() {
        if !letter.is_ascii_alphanumeric() {
            goes_on = false;
            continue;
        }
        let begins =
            letter.is_ascii_uppercase() && words.last().and_then(|word| word.chars().last()).is_some_and(|last| last.is_ascii_lowercase());
        match words.last_mut().filter(|_| goes_on && !begins) {
            Some(word) => word.push(letter),
            None => words.push(letter.to_string()),
        }
        goes_on = true;
    }
    words.iter().map(|word| word.to_ascii_lowercase()).collect()
}

/// Whether a text is, or holds, something that has the shape of a secret. IAM hands documents over percent-encoded, once.
fn looks_secret(text: &str) -> bool {
    holds_secret(text) || percent_decoded(text).is_some_and(|decoded| holds_secret(&decoded))
}

fn holds_secret(text: &str) -> bool {
    if text.contains("-----BEGIN") && text.contains("PRIVATE KEY") {
        return true;
    }
    // An address with a password in it.
    if let Some((_, rest)) = text.split_once("://")
        && let Some((user, _)) = rest.split(['/', '?', '#']).next().and_then(|authority| authority.rsplit_once('@'))
        && user.split_once(':').is_some_and(|(_, password)| !password.is_empty())
    {
        return true;
    }
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-.+/".contains(letter))).any(is_secret_word)
}

/// A text without its percent-encoding; nothing if there is none.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut decoded = parts.next()?.as_bytes().to_vec();
    let mut found = false;
    for part in parts {
        match part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) => {
                decoded.push(byte);
                decoded.extend_from_slice(&part.as_bytes()[2..]);
                found = true;
            }
            None => {
                decoded.push(b'%');
                decoded.extend_from_slice(part.as_bytes());
            }
        }
    }
    found.then(|| String::from_utf8_lossy(&decoded).into_owned())
}

fn is_secret_word(word: &str) -> bool {
    let is_access_key = |word: &str| {
        (word.starts_with("AKIA") || word.starts_with("ASIA"))
            && word.len() == 20
            && word.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    };
    if is_access_key(word) {
        return true;
    }
    PREFIXES.iter().any(|prefix| word.strip_prefix(prefix).is_some_and(|rest| rest.len() >= 16)) || is_secret_key(word)
}

/// Forty letters as AWS's secret keys have them: of three kinds, and not a digest in hexadecimal.
fn is_secret_key(word: &str) -> bool {
    let has = |kind: fn(&u8) -> bool, least: usize| word.as_bytes().iter().filter(|byte| kind(byte)).count() >= least;
    word.len() == 40
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
        && has(u8::is_ascii_uppercase, 3)
        && has(u8::is_ascii_lowercase, 3)
        && has(u8::is_ascii_digit, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_by_name_and_by_shape() {
        let mut value = json!({
            "UserData": "IyEvYmluL3No", "MasterUserPassword": "x", "PasswordLastUsed": "2026-01-01",
            "MetadataOptions": {"HttpTokens": "required", "HttpPutResponseHopLimit": "1"},
            "Tags": [{"Key": "db-password", "Value": "hunter2"}, {"Key": "team", "Value": "shop"}],
            "Description": "key AKIAIOSFODNN7EXAMPLE of ada",
            "Note": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
            "Url": "https://ada:pass@example.com/x", "Plain": "https://example.com/a@b:c",
            "Sha": "da39a3ee5e6b4b0d3255bfef95601890afd80709",
            "Summary": [{"key": "AccountAccessKeysPresent", "value": "1"}], "AllowUsersToChangePassword": "true",
            "Label": [{"Key": "Environment", "Value": "production"}], "Environment": {"Variables": {"A": "b"}},
            "AssumeRolePolicyDocument": "%7B%22Version%22%3A%222012-10-17%22%7D",
            "Assigned": "GITHUB_TOKEN=ghp_abcdefghijklmnopqrstuvwxyz012345", "Start": "run --key=AKIAIOSFODNN7EXAMPLE",
            "Line": "key=wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "Odd": "50%", "Encoded": "100%25%20of%20them",
            "Document": "%7B%22Note%22%3A%22AKIAIOSFODNN7EXAMPLE%22%7D",
        });
        assert_eq!(scrub(&mut value), 11);
        let out = json!({LEFT_OUT: true});
        for name in ["UserData", "MasterUserPassword", "Description", "Note", "Url", "Environment", "Assigned", "Start", "Line", "Document"]
        {
            assert_eq!(value[name], out, "{name}");
        }
        assert_eq!(value["Tags"][0]["Value"], out);
        assert_eq!(value["Tags"][1]["Value"], "shop");
        assert_eq!(value["MetadataOptions"]["HttpTokens"], "required");
        assert_eq!((&value["Summary"][0]["value"], &value["Label"][0]["Value"]), (&json!("1"), &json!("production")));
        for kept in ["AllowUsersToChangePassword", "PasswordLastUsed", "Plain", "Sha", "AssumeRolePolicyDocument", "Odd", "Encoded"] {
            assert!(value[kept].is_string(), "{kept}");
        }
    }
}
