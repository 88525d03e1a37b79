use super::*;
use crate::approvals::changes;

fn at(seconds: u64) -> Timestamp {
    Timestamp::from_unix_millis(1_800_000_000_000 + seconds * 1000)
}

fn change() -> Change {
    let wanted = changes::Wanted {
        id: 1,
        tenant: "acme",
        requester: "mia",
        policy: Digest::of(b"policy"),
        wanted: 1,
        may_be_requester: false,
        expires: at(3600).unix_millis(),
    };
    Change::new(changes::hostile(&wanted).0).unwrap()
}

fn asked() -> Asked {
    let change = change();
    Asked { digest: change.digest(), subject: "auth0|ada".to_owned(), details: Some(details(&change, Encoding::Plain)) }
}

fn begun() -> Backchannel {
    Backchannel::begin(asked(), Duration::from_secs(300), None, at(3600), at(0))
}

fn granted(details: Option<Value>) -> Poll {
    Poll::Granted { subject: "auth0|ada".to_owned(), details }
}

#[test]
fn polls_wait_as_long_as_the_provider_says() {
    let mut request = begun();
    assert_eq!(request.step(at(0)), Step::PollAt(at(5)), "five seconds if it doesn't say");
    assert_eq!(request.answered(Poll::Pending, at(5)), Step::PollAt(at(10)));
    assert_eq!(request.answered(Poll::SlowDown { wait: None }, at(10)), Step::PollAt(at(20)), "five more each time");
    assert_eq!(request.answered(Poll::SlowDown { wait: None }, at(20)), Step::PollAt(at(35)));
    assert_eq!(request.answered(Poll::SlowDown { wait: Some(Duration::from_secs(40)) }, at(35)), Step::PollAt(at(75)));
    assert_eq!(request.answered(Poll::Pending, at(75)), Step::PollAt(at(115)), "and it stays slow");
    assert_eq!(request.answered(Poll::SlowDown { wait: Some(Duration::from_secs(9999)) }, at(115)), Step::PollAt(at(175)));
    let mut quick = Backchannel::begin(asked(), Duration::from_secs(300), Some(Duration::ZERO), at(3600), at(0));
    assert_eq!(quick.step(at(0)), Step::PollAt(at(1)));
}

#[test]
fn our_own_clock_says_what_has_expired() {
    // Auth0 calls both "denied": before the end it is a no, after it nobody answered.
    assert_eq!(begun().answered(Poll::Denied, at(299)), Step::Ended(End::Refused));
    assert_eq!(begun().answered(Poll::Denied, at(300)), Step::Ended(End::Expired));
    assert_eq!(begun().answered(Poll::Expired, at(10)), Step::Ended(End::Expired));
    assert_eq!(begun().step(at(300)), Step::Ended(End::Expired));
    assert_eq!(begun().answered(granted(asked().details), at(300)), Step::Ended(End::Expired), "a yes that comes too late");
    // The request's own end comes first if it is earlier.
    let mut short = Backchannel::begin(asked(), Duration::from_secs(300), None, at(60), at(0));
    assert_eq!(short.step(at(60)), Step::Ended(End::Expired));
}

#[test]
fn a_yes_counts_only_for_exactly_what_was_asked() {
    assert_eq!(begun().answered(granted(asked().details), at(5)), Step::Ended(End::Approved));
    // The order of keys means nothing; every value does.
    let details = asked().details.unwrap();
    let mut pairs: Vec<(String, Value)> = details[0].as_object().unwrap().clone().into_iter().collect();
    pairs.reverse();
    let reversed = Value::Array(vec![Value::Object(pairs.into_iter().collect())]);
    assert_eq!(begun().answered(granted(Some(reversed)), at(5)), Step::Ended(End::Approved));
    let keys: Vec<String> = details[0].as_object().unwrap().keys().cloned().collect();
    for key in keys {
        let mut other = details.clone();
        other[0][&key] = json!("something else");
        assert_eq!(begun().answered(granted(Some(other.clone())), at(5)), Step::Ended(End::Mismatch), "{key} changed");
        other[0].as_object_mut().unwrap().remove(&key);
        assert_eq!(begun().answered(granted(Some(other)), at(5)), Step::Ended(End::Mismatch), "{key} missing");
    }
    let mut more = details.clone();
    more[0]["extra"] = json!(true);
    assert_eq!(begun().answered(granted(Some(more)), at(5)), Step::Ended(End::Mismatch));
    let twice = json!([details[0], details[0]]);
    assert_eq!(begun().answered(granted(Some(twice)), at(5)), Step::Ended(End::Mismatch));
    assert_eq!(begun().answered(granted(None), at(5)), Step::Ended(End::Mismatch), "the provider dropped them");
    let other = Poll::Granted { subject: "auth0|eve".to_owned(), details: Some(details) };
    assert_eq!(begun().answered(other, at(5)), Step::Ended(End::Mismatch), "somebody else's yes");
}

#[test]
fn what_has_ended_stays_ended() {
    let mut request = begun();
    assert_eq!(request.answered(Poll::Denied, at(5)), Step::Ended(End::Refused));
    assert_eq!(request.answered(granted(asked().details), at(6)), Step::Ended(End::Refused));
    assert_eq!(request.step(at(7)), Step::Ended(End::Refused));
    assert_eq!(begun().answered(Poll::Invalid, at(5)), Step::Ended(End::Lost));
}

#[test]
fn a_provider_that_goes_quiet_hands_over_to_the_door() {
    let mut request = begun();
    for poll in 1..FAILURES {
        assert!(matches!(request.answered(Poll::Failed, at(u64::from(poll) * 5)), Step::PollAt(_)));
    }
    let mut recovered = request.clone();
    assert_eq!(request.answered(Poll::Failed, at(30)), Step::Ended(End::Lost));
    assert!(matches!(recovered.answered(Poll::Pending, at(30)), Step::PollAt(_)));
    assert!(matches!(recovered.answered(Poll::Failed, at(35)), Step::PollAt(_)), "counted anew");
}

/// Nothing that an outsider names is in the binding message, and both encodings fit what the narrowest provider takes.
#[test]
fn hostile_names_reach_no_binding_message_and_no_limit() {
    let change = change();
    let message = change.binding_message();
    assert!(message.len() <= 50 && message.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-_.,:#".contains(&byte)), "{message}");
    assert!(!message.contains("shop") && !message.contains("acme") && !message.to_lowercase().contains("approved"), "{message}");
    assert!(message.contains(&change.short_code().to_string()));
    for encoding in [Encoding::Plain, Encoding::Guardian] {
        let details = details(&change, encoding);
        assert_eq!(check_size(&details), Ok(()));
        let list = details.as_array().unwrap();
        assert_eq!(list.len(), 1, "Guardian shows one object only");
        let text = details.to_string();
        assert!(text.contains(&change.digest().to_string()) && text.contains(&change.short_code().to_string()));
        assert!(!text.contains("script") && !text.contains("URGENT"), "titles and contents stay out: {text}");
        fn longest(value: &Value) -> usize {
            match value {
                Value::String(text) => text.chars().count(),
                Value::Array(items) => items.iter().map(longest).max().unwrap_or(0),
                Value::Object(fields) => {
                    assert!(fields.len() <= 10);
                    fields.values().map(longest).max().unwrap_or(0)
                }
                _ => 0,
            }
        }
        assert!(longest(&details) <= VALUE_CHARACTERS);
    }
    assert_eq!(check_size(&json!(["x".repeat(DETAILS_BYTES)])), Err(NotAsked::TooLong));
}
