//! The form for what collects security events: what the schema requires of each class is there.

use keyblind_ledger::{Effect, EntryHash, Event, LeaseKind, Line, LoginMethod, to_ocsf};
use serde_json::Value;

use crate::ledger::{Ledger, code};

/// `https://schema.ocsf.io/1.3.0/classes/…`: required attributes of both classes, and those that the base event requires.
const REQUIRED: &[&str] = &["activity_id", "category_uid", "class_uid", "metadata", "severity_id", "time", "type_uid"];
const REQUIRED_OF_API_ACTIVITY: &[&str] = &["actor", "api", "src_endpoint"];
const REQUIRED_OF_AUTHENTICATION: &[&str] = &["user"];

fn events() -> Vec<Value> {
    let mut ledger = Ledger::random(&(0..=40).collect::<Vec<u8>>());
    ledger.lines.pop();
    ledger.add(Event::LoggedIn { method: LoginMethod::Passkey });
    ledger.add(Event::LoginFailed { method: LoginMethod::Oidc, reason: code("expired") });
    ledger.add(Event::LoggedOut {});
    let entries = ledger.lines.iter().filter_map(|line| if let Line::Entry(entry) = line { Some(entry) } else { None });
    entries.map(|entry| to_ocsf(entry, &EntryHash::of(entry).unwrap())).collect()
}

#[test]
fn required_attributes_are_there() {
    for event in events() {
        let has = |name: &&str| !event[*name].is_null();
        assert_eq!(REQUIRED.iter().filter(|name| !has(name)).count(), 0, "{event:#}");
        let of_class = match event["class_uid"].as_u64() {
            Some(6003) => REQUIRED_OF_API_ACTIVITY,
            Some(3002) => REQUIRED_OF_AUTHENTICATION,
            other => panic!("class {other:?}"),
        };
        assert!(of_class.iter().all(&has), "{event:#}");
        assert_eq!(event["category_uid"], event["class_uid"].as_u64().unwrap() / 1000);
        let type_uid = event["class_uid"].as_u64().unwrap() * 100 + event["activity_id"].as_u64().unwrap();
        assert_eq!(event["type_uid"], type_uid);
        assert!(event["metadata"]["product"]["vendor_name"].is_string() && event["metadata"]["version"] == "1.3.0");
        if event["class_uid"] == 6003 {
            assert!(event["api"]["operation"].is_string() && event["src_endpoint"]["name"].is_string());
        } else {
            assert!(event["service"]["name"].is_string());
        }
    }
}

#[test]
fn logins_are_authentications_and_calls_are_api_activity() {
    let events = events();
    let of = |code: &str| events.iter().find(|event| event["metadata"]["event_code"] == code).unwrap_or_else(|| panic!("no {code}"));
    assert_eq!((of("logged-in")["class_uid"].as_u64(), of("logged-in")["is_mfa"].as_bool()), (Some(3002), Some(true)));
    assert_eq!(of("login-failed")["status"], "Failure");
    assert_eq!(of("logged-out")["activity_name"], "Logoff");
    assert_eq!(of("call-started")["class_uid"], 6003);
    assert_eq!(of("call-started")["api"]["operation"], "create-ref");
    assert_eq!(of("token-born")["activity_name"], "Create");
    assert_eq!(of("token-ended")["activity_name"], "Delete");
    assert_eq!(of("refused")["status_code"], "not-connected");

    let mut ledger = Ledger::new();
    let lease = ledger.announce(LeaseKind::Read);
    ledger.born(lease);
    ledger.call(lease, Effect::Read);
    let Some(Line::Entry(entry)) = ledger.lines.last() else { panic!("there is an entry") };
    assert_eq!(to_ocsf(entry, &ledger.head)["activity_name"], "Read");
    assert_eq!(to_ocsf(entry, &ledger.head)["metadata"]["uid"], ledger.head.to_string());
}
