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
    let has_password = |rest: &str| {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        user.and_then(|user| user.split_once(':')).is_some_and(|(_, password)| !password.is_empty())
    };
    if text.split("://").skip(1).any(has_password) {
        return true;
    }
    text.split(|letter: char| !(letter.is_ascii_alphanumeric() || "_-.+/".contains(letter))).any(holds_secret_word)
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

/// Whether a run of letters holds something that has the shape of a secret, wherever in it that begins.
fn holds_secret_word(word: &str) -> bool {
    let is_access_key = |rest: &str| {
        let key = rest.bytes().take_while(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()).count();
        key == ACCESS_KEY
    };
    if ["AKIA", "ASIA"].iter().any(|begin| word.match_indices(begin).any(|(at, _)| is_access_key(&word[at..]))) {
        return true;
    }
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    let begins = |prefix: &str, at: usize| {
        let is_alone = at == 0 || !word.as_bytes()[at - 1].is_ascii_alphanumeric();
        let rest = &word.as_bytes()[at + prefix.len()..];
        (is_alone || !IN_WORDS.contains(&prefix)) && rest.iter().take_while(|byte| is_letter(**byte)).count() >= LEAST
    };
    PREFIXES.iter().any(|prefix| word.match_indices(prefix).any(|(at, _)| begins(prefix, at))) || holds_secret_key(word)
}

/// How long an access key's id is.
const ACCESS_KEY: usize = 20;
/// How many letters follow the beginning of a well-known secret at least.
const LEAST: usize = 16;
/// Those of the beginnings that other words have in them as well (`keyJoin…`): they count where a word begins.
const IN_WORDS: &[&str] = &["SG.", "hvs.", "npm_", "pypi-", "eyJ"];
/// How long AWS's secret keys are.
const SECRET_KEY: usize = 40;

/// Whether forty letters as AWS's secret keys have them stand in a run of letters: alone between what no key has (`.`, `_`, `-`), or beginning
/// or ending at a slash, where they have to be as mixed as keys are.
fn holds_secret_key(word: &str) -> bool {
    word.split(['.', '_', '-']).any(|run| {
        if run.len() == SECRET_KEY {
            return is_secret_key(run, 3, 1);
        }
        let bytes = run.as_bytes();
        let is_edge = |at: usize| at == 0 || at == bytes.len() || bytes[at - 1] == b'/' || bytes[at] == b'/';
        (0..run.len().saturating_sub(SECRET_KEY - 1)).filter(|at| is_edge(*at) && is_edge(at + SECRET_KEY)).any(|at| {
            let key = run.get(at..at + SECRET_KEY).unwrap_or_default();
            is_secret_key(key, 6, 1)
        })
    })
}

/// Forty letters of three kinds, and not a digest in hexadecimal.
fn is_secret_key(word: &str, letters: usize, digits: usize) -> bool {
    let has = |kind: fn(&u8) -> bool, least: usize| word.as_bytes().iter().filter(|byte| kind(byte)).count() >= least;
    word.len() == SECRET_KEY
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
        && has(u8::is_ascii_uppercase, letters)
        && has(u8::is_ascii_lowercase, letters)
        && has(u8::is_ascii_digit, digits)
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
            "Path": "/home/ada/AKIAIOSFODNN7EXAMPLE", "Glued": "s3-AKIAIOSFODNN7EXAMPLE.log", "Inside": "xAKIAIOSFODNN7EXAMPLE",
            "Behind": "deploy/ghp_abcdefghijklmnopqrstuvwxyz012345", "Dotted": "a.b.glpat-abcdefghijklmnopqrst", "Joined": "keyghp_abcdefghijklmnopqrstuvwxyz012345",
            "Folder": "keys/wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "Suffixed": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY.txt",
            "Second": "see https://example.com and https://ada:pass@example.com/x",
            "Topic": "alarmsMSG.production-and-everything", "Column": "primaryKeyJoinColumnOfEverything", "Balancer": "loadbalancer/app/Production-Shop/50dc6c495c0c9188a7f2",
            "Image": "123456789012.dkr.ecr.eu-central-1.amazonaws.com/Shop/Frontend/Storybook:V2",
        });
        assert_eq!(scrub(&mut value), 20);
        let out = json!({LEFT_OUT: true});
        for name in ["UserData", "MasterUserPassword", "Description", "Note", "Url", "Environment", "Assigned", "Start", "Line", "Document"]
            .into_iter()
            .chain(["Path", "Glued", "Inside", "Behind", "Dotted", "Joined", "Folder", "Suffixed", "Second"])
        {
            assert_eq!(value[name], out, "{name}");
        }
        assert_eq!(value["Tags"][0]["Value"], out);
        assert_eq!(value["Tags"][1]["Value"], "shop");
        assert_eq!(value["MetadataOptions"]["HttpTokens"], "required");
        assert_eq!((&value["Summary"][0]["value"], &value["Label"][0]["Value"]), (&json!("1"), &json!("production")));
        for kept in [
            "AllowUsersToChangePassword",
            "PasswordLastUsed",
            "Plain",
            "Sha",
            "AssumeRolePolicyDocument",
            "Odd",
            "Encoded",
            "Topic",
            "Column",
            "Balancer",
            "Image",
        ] {
            assert!(value[kept].is_string(), "{kept}");
        }
    }
}
