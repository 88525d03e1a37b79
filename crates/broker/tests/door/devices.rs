//! People answer on their own devices, through the identity provider: yes, no, somebody else, something else, too late, and after a restart.

use std::time::Duration;

use keyblind_broker::approvals::State;
use keyblind_broker::approvals::ciba::Encoding;
use keyblind_broker::approvals::devices::{DeviceSettings, Devices};
use keyblind_intent::{ChangeFields, Digest};
use serde_json::{Value, json};

use crate::bench::Joined;
use crate::changes;
use crate::visitor::Visitor;

const GUARDIAN: &str = "urn:auth0:schemas:authorization-details:v1:keyblind-change";

async fn joined(more: &Value) -> (Joined, Devices) {
    let mut options = json!({"details": ["keyblind_change", GUARDIAN]});
    options.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let joined = Joined::new(&options).await;
    let devices = joined.broker.devices(&joined.peer, DeviceSettings::default()).await;
    (joined, devices)
}

/// Something that a session alone doesn't approve, asked for by an agent of Mia's.
async fn raised(joined: &Joined, id: u8) -> Digest {
    joined.broker.raise(changes::hostile(&joined.broker.wanted(id))).await
}

async fn later(joined: &Joined, devices: &mut Devices, seconds: u64) {
    joined.clock.advance(Duration::from_secs(seconds));
    devices.round().await.unwrap();
}

fn asked(joined: &Joined) -> Vec<String> {
    let pending = joined.peer.ask("GET", "/pending", &Value::Null);
    let mut people: Vec<String> = pending.as_array().unwrap().iter().map(|one| one["account"].as_str().unwrap().to_owned()).collect();
    people.sort();
    people
}

fn calls(joined: &Joined, path: &str) -> usize {
    joined.peer.requests().iter().filter(|request| request["path"] == path).count()
}

async fn open_records(joined: &Joined) -> usize {
    joined.broker.vault.list("acme").await.unwrap().len()
}

#[tokio::test]
async fn a_yes_on_the_phone_approves_exactly_that_change() {
    for encoding in [Some(Encoding::Plain), Some(Encoding::Guardian), None] {
        let (joined, _) = joined(&json!({})).await;
        let mut devices = joined.broker.devices(&joined.peer, DeviceSettings { encoding, ..DeviceSettings::default() }).await;
        let (digest, other) = (raised(&joined, 1).await, raised(&joined, 2).await);
        devices.round().await.unwrap();
        // Who may approve it and is somebody else than who asked, each about both.
        assert_eq!(asked(&joined), ["ada", "ada", "olga", "olga", "omar", "omar", "sam", "sam"], "{encoding:?}");
        let pending = joined.peer.ask("GET", "/pending", &Value::Null);
        let about = |digest: &Digest| {
            let code = digest.short_code().to_string();
            let all = pending.as_array().unwrap();
            all.iter().find(|one| one["account"] == "ada" && one["message"].as_str().unwrap().contains(&code)).cloned().unwrap()
        };
        assert_eq!(about(&digest)["details"].to_string().contains(&digest.to_string()), encoding.is_some(), "{encoding:?}");
        assert!(about(&digest)["expiry"].as_u64().is_none_or(|seconds| seconds <= 300));
        assert_eq!(open_records(&joined).await, 8, "what they are polled with is in the sealed store");
        later(&joined, &mut devices, 1).await;
        assert_eq!(joined.broker.state(digest).await, State::Waiting);
        joined.peer.ask("POST", "/approve", &json!({"account": "ada", "message": about(&digest)["message"]}));
        later(&joined, &mut devices, 1).await;
        assert_eq!((joined.broker.state(digest).await, joined.broker.state(other).await), (State::Approved, State::Waiting));
        // What is decided is polled no more, for nobody.
        later(&joined, &mut devices, 1).await;
        assert_eq!(open_records(&joined).await, 4);
        joined.peer.ask("POST", "/forget", &Value::Null);
        later(&joined, &mut devices, 1).await;
        assert_eq!((calls(&joined, "/oauth/token"), calls(&joined, "/bc-authorize")), (4, 0), "only the other one's");
        let told = joined.broker.told(&["approval-voted"]).await;
        assert!(told.len() == 1 && told[0].starts_with("approval-voted by ada") && told[0].contains("ciba"), "{told:?}");
    }
}

#[tokio::test]
async fn a_no_somebody_else_and_something_else_approve_nothing() {
    let (joined, mut devices) = joined(&json!({"impostors": {"olga": "eve"}})).await;
    let refused = raised(&joined, 1).await;
    devices.round().await.unwrap();
    joined.peer.ask("POST", "/deny", &json!({"account": "ada"}));
    later(&joined, &mut devices, 1).await;
    assert_eq!(joined.broker.state(refused).await, State::Refused);
    later(&joined, &mut devices, 1).await;
    assert_eq!(open_records(&joined).await, 0);

    // The provider says yes in the name of somebody else than was asked; and for something else than was asked.
    let digest = raised(&joined, 2).await;
    devices.round().await.unwrap();
    let code = digest.short_code().to_string();
    let pending = joined.peer.ask("GET", "/pending", &Value::Null);
    let of = |who: &str| {
        pending
            .as_array()
            .unwrap()
            .iter()
            .find(|one| one["account"] == who && one["message"].as_str().unwrap().contains(&code))
            .cloned()
            .unwrap()
    };
    joined.peer.ask("POST", "/approve", &json!({"account": "olga", "message": of("olga")["message"]}));
    later(&joined, &mut devices, 1).await;
    assert_eq!(joined.broker.state(digest).await, State::Waiting);
    let mut details = of("ada")["details"].clone();
    details[0]["digest"] = json!(refused.to_string());
    joined.peer.ask("POST", "/approve", &json!({"account": "ada", "message": of("ada")["message"], "details": details}));
    later(&joined, &mut devices, 1).await;
    assert_eq!(joined.broker.state(digest).await, State::Waiting);
    let told = joined.broker.told(&["refused"]).await;
    assert_eq!(told.iter().filter(|line| line.contains("device-mismatch")).count(), 2, "{told:?}");
    // Neither is asked again: somebody was at work there.
    joined.peer.ask("POST", "/forget", &Value::Null);
    later(&joined, &mut devices, 60).await;
    assert_eq!((calls(&joined, "/bc-authorize"), open_records(&joined).await), (0, 2), "the two others are still asked");
}

#[tokio::test]
async fn what_nobody_answers_is_over_by_our_clock_and_what_is_decided_on_the_pages_is_polled_no_more() {
    let (joined, mut devices) = joined(&json!({})).await;
    let late = raised(&joined, 1).await;
    devices.round().await.unwrap();
    assert_eq!(asked(&joined).len(), 4);
    // The provider would still take a yes; for us its time is over.
    joined.clock.advance(Duration::from_secs(300));
    joined.peer.ask("POST", "/approve", &json!({"account": "ada"}));
    joined.peer.ask("POST", "/forget", &Value::Null);
    devices.round().await.unwrap();
    later(&joined, &mut devices, 5).await;
    assert_eq!(joined.broker.state(late).await, State::Waiting);
    assert_eq!((calls(&joined, "/oauth/token"), calls(&joined, "/bc-authorize"), open_records(&joined).await), (0, 0, 0));

    let digest = raised(&joined, 2).await;
    devices.round().await.unwrap();
    assert_eq!(open_records(&joined).await, 4);
    let mut visitor = Visitor::new(joined.router(), &joined.broker.origin);
    let link = joined.broker.sessions.issue_link(keyblind_broker::approvals::policy::Identity::local(1000), "acme").await.unwrap();
    visitor.post("/login/link", &[("link", link.path().rsplit('/').next().unwrap())]).await;
    let page = visitor.get(&format!("/change/{digest}")).await;
    let (seal, nonce) = (page.field("/decide", "seal"), page.field("/decide", "nonce"));
    visitor.post(&format!("/change/{digest}/decide"), &[("seal", &seal), ("nonce", &nonce), ("answer", "refuse")]).await;
    assert_eq!(joined.broker.state(digest).await, State::Refused);
    joined.peer.ask("POST", "/forget", &Value::Null);
    later(&joined, &mut devices, 1).await;
    assert_eq!((calls(&joined, "/oauth/token"), open_records(&joined).await), (0, 0));
}

#[tokio::test]
async fn after_a_restart_the_same_question_goes_on_and_nobody_is_asked_twice() {
    let (joined, mut devices) = joined(&json!({})).await;
    let digest = raised(&joined, 1).await;
    devices.round().await.unwrap();
    assert_eq!(calls(&joined, "/bc-authorize"), 4);
    drop(devices);
    let mut devices = joined.broker.devices(&joined.peer, DeviceSettings::default()).await;
    later(&joined, &mut devices, 1).await;
    joined.peer.ask("POST", "/approve", &json!({"account": "olga"}));
    later(&joined, &mut devices, 1).await;
    later(&joined, &mut devices, 1).await;
    assert_eq!(joined.broker.state(digest).await, State::Approved);
    assert_eq!(calls(&joined, "/bc-authorize"), 4, "nobody was asked a second time");
    // What ended before the restart isn't begun again after it.
    let expired = raised(&joined, 2).await;
    devices.round().await.unwrap();
    later(&joined, &mut devices, 300).await;
    drop(devices);
    let mut devices = joined.broker.devices(&joined.peer, DeviceSettings::default()).await;
    joined.peer.ask("POST", "/forget", &Value::Null);
    later(&joined, &mut devices, 5).await;
    assert_eq!((calls(&joined, "/bc-authorize"), joined.broker.state(expired).await), (0, State::Waiting));
}

#[tokio::test]
async fn who_has_no_device_is_left_to_the_pages_and_a_provider_in_trouble_is_asked_later() {
    let (joined, mut devices) = joined(&json!({"no_device": ["ada"]})).await;
    let digest = raised(&joined, 1).await;
    // A rule that wants a passkey asks no phone.
    let two = keyblind_intent::Approvals {
        wanted: keyblind_intent::Count::new(2).unwrap(),
        policy: joined.broker.policy,
        may_be_requester: false,
    };
    let fields = ChangeFields { approvals: two, ..changes::open_database(&joined.broker.wanted(2)) };
    joined.broker.raise((fields, Vec::new())).await;
    joined.peer.fail(&json!({"path": "/bc-authorize", "status": 503, "times": 4}));
    devices.round().await.unwrap();
    assert_eq!(asked(&joined), Vec::<String>::new());
    later(&joined, &mut devices, 1).await;
    assert_eq!(calls(&joined, "/bc-authorize"), 4, "not again at once");
    later(&joined, &mut devices, 5).await;
    assert_eq!(asked(&joined), ["olga", "omar", "sam"]);
    assert_eq!(calls(&joined, "/bc-authorize"), 8);
    later(&joined, &mut devices, 30).await;
    assert_eq!(calls(&joined, "/bc-authorize"), 8, "who has no device isn't asked again");
    assert_eq!(joined.broker.state(digest).await, State::Waiting);
}

/// Threat: somebody makes so many requests that a tired person says yes to one.
#[tokio::test]
async fn nobody_is_asked_about_more_than_three_changes_at_once() {
    let (joined, mut devices) = joined(&json!({})).await;
    for id in 1..=5 {
        raised(&joined, id).await;
    }
    devices.round().await.unwrap();
    later(&joined, &mut devices, 1).await;
    let expected: Vec<&str> = ["ada", "olga", "omar", "sam"].into_iter().flat_map(|who| [who; 3]).collect();
    assert_eq!(asked(&joined), expected);
}

/// Nobody looks every second: between two looks of an idle broker lies a minute, so that only the word of whoever raised it is in time.
#[tokio::test]
async fn a_question_is_asked_as_soon_as_there_is_one() {
    let (joined, devices) = joined(&json!({})).await;
    let work = tokio::spawn(devices.work());
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(asked(&joined), Vec::<String>::new());
    raised(&joined, 1).await;
    let until = tokio::time::Instant::now() + Duration::from_secs(20);
    while asked(&joined).len() < 4 {
        assert!(tokio::time::Instant::now() < until, "nobody was asked: {:?}", asked(&joined));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    work.abort();
}
