//! `keyblind scan github:…` and `keyblind connect`, with a relay of the test's own: what the program does with what a broker hands over, and that
//! it believes nothing of it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;

use keyblind_intent::{
    Answer, Bulk, ConnectionState, Control, Count, Digest, Foreign, Frame, Kind, LeftOut, LeftOutReason, Missing, Outcome, Provider,
    Refusal, Report, Repository, Request, RequestId, UnixMillis, encode,
};

use crate::relay::{Place, Said, archive, entry, welcome};

const PUBLIC: &str = "resource \"aws_db_instance\" \"a\" {\n  engine              = \"mysql\"\n  publicly_accessible = true\n}\n";

fn read(archive: Bulk) -> Answer {
    let left_out = vec![LeftOut { reason: LeftOutReason::Link, count: Count::from(2), example: Some(Foreign::new("evil\u{1b}[2J")) }];
    Answer::Outcome(Outcome::RepositoryRead {
        repository: Repository { forge: "github".parse().unwrap(), owner: "octo-org".parse().unwrap(), name: "shop".parse().unwrap() },
        commit: "0123456789abcdef0123456789abcdef01234567".parse().unwrap(),
        branch: None,
        archive,
        files: Count::from(1),
        left_out,
    })
}

fn scan(place: &Place) -> keyblind_testkit::Outcome {
    place.run(&["scan", "github:octo-org/shop", "--color", "never"])
}

fn greeted(greeting: &[u8], kind: Kind, payload: Vec<u8>) -> Place {
    Place::new(greeting, &[Said { bulk: Vec::new(), kind, payload }])
}

#[test]
fn a_repository_that_the_broker_reads_is_judged() {
    let tar = archive(&[entry("envs/main.tf", b'0', PUBLIC)]);
    let outcome = scan(&Place::answering(&tar, &read(Bulk::of(&tar))));
    assert_eq!(outcome.code, Some(1), "{}\n{}", outcome.output, outcome.errors);
    assert!(outcome.output.contains("envs/main.tf:3"), "{}", outcome.output);
    assert!(outcome.errors.contains("note: octo-org/shop at 0123456789abcdef0123456789abcdef01234567: 1 files"), "{}", outcome.errors);
    assert!(outcome.errors.contains("note: 2 left out (symbolic links, such as evil\\u{1b}[2J)"), "{}", outcome.errors);
}

#[test]
fn the_broker_is_asked_for_exactly_that() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let place = Place::answering(&tar, &read(Bulk::of(&tar)));
    place.run(&["scan", "github:octo-org/shop@pull/7"]);
    let expected = r#"{"intent":{"read-repository":{"repository":{"forge":"github","owner":"octo-org","name":"shop"},"revision":{"pull-request":7}}}}"#;
    assert_eq!(place.asked(1), keyblind_intent::decode(expected.as_bytes()).unwrap());
}

#[test]
fn other_bytes_than_announced_are_not_judged() {
    let tar = archive(&[entry("main.tf", b'0', PUBLIC)]);
    let outcome = scan(&Place::answering(&tar, &read(Bulk::of(b"something else"))));
    assert_eq!(outcome.code, Some(4));
    assert!(outcome.errors.contains("the broker handed over other bytes than it announced"), "{}", outcome.errors);
}

#[test]
fn an_archive_that_leaves_its_folder_is_refused() {
    for hostile in [entry("../../escaped.tf", b'0', PUBLIC), entry("/tmp/keyblind-escaped.tf", b'0', PUBLIC), entry("device.tf", b'3', "")]
    {
        let tar = archive(&[hostile]);
        let place = Place::answering(&tar, &read(Bulk::of(&tar)));
        let outcome = scan(&place);
        assert!(!matches!(outcome.code, Some(0 | 1)), "{outcome:?}");
        assert!(outcome.errors.contains("the archive holds"), "{}", outcome.errors);
        assert!(!Path::new("/tmp/keyblind-escaped.tf").exists());
    }
}

#[test]
fn what_the_broker_lacks_is_said() {
    for (answer, expected) in [
        (Outcome::NotConfigured { missing: Missing::Provider(Provider::Github) }, "not configured: the broker has no GitHub set up"),
        (
            Outcome::NotReady { provider: Provider::Github, state: ConnectionState::NotConnected },
            "GitHub isn't connected: `keyblind connect github`",
        ),
    ] {
        let outcome = scan(&Place::answering(b"", &Answer::Outcome(answer)));
        assert_eq!(outcome.code, Some(2));
        assert!(outcome.errors.contains(expected), "{}", outcome.errors);
    }
    let refused = Frame::new(Kind::Refused, RequestId::from_bytes([0; 16]), encode(&Refusal::UnknownPeer).unwrap()).unwrap().to_bytes();
    let outcome = scan(&greeted(&refused, Kind::Answer, Vec::new()));
    assert!(outcome.errors.contains("the broker doesn't know this user"), "{}", outcome.errors);
    let halted = scan(&greeted(&welcome(), Kind::Refused, encode(&Refusal::Halted).unwrap()));
    assert!(halted.errors.contains("the broker is stopped: `keyblind-broker arm`"), "{}", halted.errors);
    let silent = greeted(b"", Kind::Answer, Vec::new());
    std::fs::write(silent.path("keyblind-broker"), "#!/bin/sh\nexit 1\n").unwrap();
    assert!(scan(&silent).errors.contains("no broker answers"));
}

#[test]
fn a_relay_that_speaks_something_else_is_told_apart() {
    for garbage in [&b"HTTP/1.1 200 OK\r\n"[..], b"KB\x02", b"KB\x01\x05\xff\xff\xff\xff"] {
        let outcome = scan(&greeted(garbage, Kind::Answer, Vec::new()));
        assert_eq!(outcome.code, Some(4), "{outcome:?}");
    }
    let outcome = scan(&greeted(&welcome(), Kind::Answer, b"{}".to_vec()));
    assert!(outcome.errors.contains("the document was refused"), "{}", outcome.errors);
}

#[test]
fn an_account_is_connected_on_the_brokers_own_pages() {
    let code = Digest::of(b"connect").short_code();
    let report =
        Report::ConnectAt { page: "http://approve.localhost:7443/connect/github".parse().unwrap(), code, expires: UnixMillis::new(1) };
    let place = Place::answering(b"", &Answer::Report(report));
    let outcome = place.run(&["connect", "github"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.errors);
    assert!(outcome.output.contains("open     http://approve.localhost:7443/connect/github"), "{}", outcome.output);
    assert!(outcome.output.contains(&format!("compare  {code}")));
    assert_eq!(place.asked(1), Request::Control(Control::Connect { provider: Provider::Github }));
}

#[test]
fn without_a_broker_it_is_said_what_is_missing() {
    let place = Place::answering(b"", &Answer::Outcome(Outcome::Notified));
    std::fs::remove_file(place.path("keyblind-broker")).unwrap();
    let outcome = scan(&place);
    assert_eq!(outcome.code, Some(2));
    assert!(outcome.errors.contains("`keyblind-broker` is neither beside this program nor on the PATH"), "{}", outcome.errors);
}
