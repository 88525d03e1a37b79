use keyblind_intent::*;

use crate::samples;

fn refused<T: serde::de::DeserializeOwned + std::fmt::Debug>(text: &str) -> String {
    decode::<T>(text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn everything_that_can_be_said_survives_the_way() {
    for intent in samples::intents() {
        let request = Request::Intent(intent);
        assert_eq!(decode::<Request>(&encode(&request).unwrap()).unwrap(), request);
    }
    for outcome in samples::outcomes() {
        let answer = Answer::Outcome(outcome);
        assert_eq!(decode::<Answer>(&encode(&answer).unwrap()).unwrap(), answer);
    }
}

#[test]
fn names_of_intents_are_those_of_their_documents() {
    for intent in samples::intents() {
        let written = serde_json::to_value(&intent).unwrap();
        assert_eq!(written.as_object().unwrap().keys().next().unwrap(), intent.name());
    }
}

#[test]
fn an_asker_cant_say_who_it_is() {
    let error = refused::<Request>(r#"{"intent":{"list-repositories":{"forge":"github","tenant":"other"}}}"#);
    assert_eq!(error, "the document was refused at line 1, column 57: unknown field `tenant`, expected `forge`");
}

#[test]
fn an_address_a_header_or_a_query_cant_be_said() {
    for text in [
        r#"{"list-repositories":{"forge":"https://attacker.example"}}"#,
        r#"{"list-repositories":{"forge":"api.github.com"}}"#,
        r#"{"list-repositories":{"forge":"github","headers":{"Authorization":"x"}}}"#,
        r#"{"read-repository":{"repository":{"forge":"github","owner":"o","name":"n?ref=x"},"revision":"default-branch"}}"#,
        r#"{"read-repository":{"repository":{"forge":"github","owner":"o/../../x","name":"n"},"revision":"default-branch"}}"#,
        r#"{"read-repository":{"repository":{"forge":"github","owner":"o","name":".."},"revision":"default-branch"}}"#,
        r#"{"read-repository":{"repository":{"forge":"github","owner":"o","name":"n"},"revision":{"branch":"a/../b"}}}"#,
        r#"{"fetch":{"url":"http://169.254.169.254/"}}"#,
    ] {
        let error = refused::<Intent>(text);
        assert!(error.starts_with("the document was refused"), "{text}: {error}");
    }
}

#[test]
fn repeated_fields_and_two_requests_in_one_are_refused() {
    let twice = r#"{"intent":{"list-repositories":{"forge":"github","forge":"other"}}}"#;
    assert!(refused::<Request>(twice).contains("duplicate field `forge`"));
    let escaped = "{\"intent\":{\"list-repositories\":{\"forge\":\"github\",\"\\u0066orge\":\"other\"}}}";
    assert!(refused::<Request>(escaped).contains("duplicate field `forge`"));
    let both = r#"{"intent":{"list-repositories":{"forge":"github"}},"control":"kill"}"#;
    decode::<Request>(both.as_bytes()).unwrap_err();
    let after = r#"{"control":"kill"}{"control":"arm"}"#;
    assert!(refused::<Request>(after).contains("trailing characters"));
}

#[test]
fn a_rule_says_nothing_of_ports_that_would_not_hold() {
    let rule = |protocol: &str, ports: &str| {
        serde_json::from_str::<Action>(&format!(
            r#"{{"set-ingress-rule":{{"present":true,"rule":{{"description":null,{ports},"protocol":"{protocol}","source":{{"network":"0.0.0.0/0"}}}}}}}}"#
        ))
    };
    rule("tcp", r#""from":22,"to":23"#).unwrap();
    rule("all", r#""from":null,"to":null"#).unwrap();
    for (protocol, ports, expected) in [
        ("all", r#""from":22,"to":22"#, "a rule for all protocols has no ports"),
        ("tcp", r#""from":23,"to":22"#, "the first not above the last"),
        ("tcp", r#""from":22,"to":null"#, "both ends or none"),
    ] {
        let error = rule(protocol, ports).unwrap_err().to_string();
        assert!(error.contains(expected), "{protocol} {ports}: {error}");
    }
}

#[test]
fn numbers_are_whole_and_have_one_form() {
    let with = |number: &str| {
        let text =
            format!(r#"{{"repository":{{"forge":"github","owner":"o","name":"n"}},"pull_request":{number},"marker":"m","text":""}}"#);
        decode::<Comment>(text.as_bytes()).map(|comment| comment.pull_request.get())
    };
    assert_eq!(with("7"), Ok(7));
    assert_eq!(with("9007199254740991"), Ok(9_007_199_254_740_991));
    for wrong in
        ["9007199254740992", "18446744073709551616", "-1", "7.0", "7e0", "1e400", "NaN", "Infinity", "\"7\"", "null", "true", "[7]"]
    {
        assert!(with(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn deep_and_large_documents_are_refused_before_they_are_read() {
    let deep = "[".repeat(100_000);
    assert_eq!(decode::<Request>(deep.as_bytes()), Err(DocumentError::TooDeep));
    // Brackets in a text are text, also after an escaped quote.
    let brackets = format!(r#"{{"{}\"{}": 1}}"#, "[".repeat(20), "{".repeat(20));
    assert!(matches!(decode::<Request>(brackets.as_bytes()), Err(DocumentError::Malformed { .. })));
    let large = vec![b' '; limits::DOCUMENT_BYTES + 1];
    assert_eq!(decode::<Request>(&large), Err(DocumentError::TooLarge { bytes: limits::DOCUMENT_BYTES + 1 }));
}

#[test]
fn what_isnt_text_is_refused() {
    decode::<Request>(b"\xff\xfe").unwrap_err();
    decode::<Request>(b"").unwrap_err();
    // Half of a character.
    assert!(refused::<Intent>(r#"{"list-repositories":{"forge":"\ud800"}}"#).contains("hex escape"));
}

#[test]
fn a_hostile_field_name_is_shown_inert() {
    let error = refused::<Request>(r#"{"\u001b[2J\u202e":1}"#);
    assert!(!error.contains(['\u{1b}', '\u{202e}']), "{error}");
    assert!(error.contains("\\u{1b}[2J\\u{202e}"), "{error}");
}

#[test]
fn lists_end() {
    let many = vec!["\"eu-central-1\""; limits::REGIONS + 1].join(",");
    let text = format!(r#"{{"account":"123456789012","regions":[{many}],"services":["s3"],"most_calls":10}}"#);
    assert!(refused::<SnapshotAccount>(&text).contains("expected a list of at most 40"));
}

/// What the fuzzer starts from is taken, so that it gets beyond the first field.
#[test]
fn seeds_of_the_fuzzer_are_sound() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds/intent");
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read(&path).unwrap();
        let is_taken = decode::<Request>(&text).is_ok() || decode::<Answer>(&text).is_ok() || Change::decode(&text).is_ok();
        assert!(is_taken, "{}", path.display());
    }
}
