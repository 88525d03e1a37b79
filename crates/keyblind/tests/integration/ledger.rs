//! An exported ledger is judged from its text and a key alone.

use ed25519_dalek::{Signer as _, SigningKey};
use keyblind_intent::{Count, Line as Text, Provider, RequestId, UnixMillis};
use keyblind_ledger::{Code, End, Entry, EntryHash, Event, FORMAT, Header, LeaseKind, Line, PublicKey, Signature, Statement, TokenEnd};

use crate::support::Repository;

const START: u64 = 1_800_000_000_000;

fn signing() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn key() -> PublicKey {
    PublicKey::from_bytes(signing().verifying_key().as_bytes()).expect("the key of a test")
}

/// An export of these events, signed as the broker signs.
fn export(events: Vec<Event>) -> Vec<String> {
    let instance = RequestId::from_bytes([3; 16]);
    let mut head = EntryHash::beginning(instance, &key());
    let mut lines = vec![Line::Ledger(Header { format: Count::saturating(u64::from(FORMAT)), instance, key: key() })];
    let count = u64::try_from(events.len()).expect("few events");
    for (event, sequence) in events.into_iter().zip(1..) {
        let (sequence, time) = (Count::saturating(sequence), UnixMillis::new(START + 1000 * sequence));
        let entry = Entry { sequence, previous: head, time, who: None, mission: None, event };
        head = EntryHash::of(&entry).expect("an entry that can be written");
        lines.push(Line::Entry(Box::new(entry)));
    }
    let statement = Statement { instance, sequence: Count::saturating(count), head, time: UnixMillis::new(START) };
    let signature = Signature::from_bytes(signing().sign(&statement.end_bytes().expect("a statement that can be written")).to_bytes());
    lines.push(Line::End(End { statement, signature }));
    lines.iter().map(|line| String::from_utf8(line.encode().expect("a line that can be written")).expect("lines are UTF-8")).collect()
}

/// A lease to read that was revoked, and one whose end nobody recorded.
fn events() -> Vec<Event> {
    let announced = |lease| Event::LeaseAnnounced {
        lease,
        kind: LeaseKind::Read,
        provider: Provider::Github,
        permission: Code::new("github-contents-read").expect("a code"),
        target: Text::new("acme/shop").expect("a line of text"),
        dies_at: UnixMillis::new(START + 3_600_000),
    };
    let (one, two) = (RequestId::from_bytes([1; 16]), RequestId::from_bytes([2; 16]));
    vec![announced(one), Event::TokenEnded { lease: one, end: TokenEnd::Revoked }, announced(two)]
}

fn verify(lines: &[String], more: &[&str]) -> keyblind_testkit::Outcome {
    let repository = Repository::new([]);
    repository.write("ledger.jsonl", lines.join("\n") + "\n");
    repository.write("broker.pub", format!("{}\n", key()));
    let arguments = ["ledger", "verify", "ledger.jsonl", "--key", "broker.pub"].into_iter().chain(more.iter().copied());
    repository.program(arguments).run()
}

#[test]
fn a_sound_ledger_is_said_to_be_sound_and_what_is_open_is_listed() {
    let outcome = verify(&export(events()), &[]);
    assert_eq!(outcome.code, Some(0), "{}{}", outcome.output, outcome.errors);
    assert!(outcome.output.starts_with("sound: 3 entries"), "{}", outcome.output);
    assert!(outcome.output.contains("2027-01-15T08:00:01Z to 2027-01-15T08:00:03Z"), "{}", outcome.output);
    assert!(outcome.output.contains("has no recorded end; its token is dead by 2027-01-15T09:00:00Z"), "{}", outcome.output);
    assert_eq!(verify(&export(Vec::new()), &["--quiet"]).output, "");
}

#[test]
fn the_last_entry_finds_an_older_export_later() {
    let newer = verify(&export(events()), &[]);
    let last = newer.output.lines().find_map(|line| line.trim().strip_prefix("last entry  ")).unwrap().to_owned();
    assert_eq!(verify(&export(events()), &["--head", &last]).code, Some(0));
    let older = verify(&export(events()[..2].to_vec()), &["--head", &last]);
    assert_eq!(older.code, Some(1));
    assert!(
        older.output.contains("NOT SOUND: 1 fault in 2 entries") && older.output.contains("entry 3 is known to exist"),
        "{}",
        older.output
    );
}

#[test]
fn each_tampering_is_said_with_its_line() {
    let lines = export(events());
    let mut removed = lines.clone();
    removed.remove(2);
    let mut changed = lines.clone();
    changed[1] = changed[1].replace("acme/shop", "acme/ship");
    let mut exchanged = lines.clone();
    exchanged.swap(1, 2);
    for (what, tampered, said) in [
        ("removed", removed, "line 3, entry 3: entry 2 should be here"),
        ("changed", changed, "line 3, entry 2: it doesn't follow from the entry before"),
        ("exchanged", exchanged, "line 2, entry 2: entry 1 should be here"),
        ("cut off", lines[..3].to_vec(), "the end is missing"),
    ] {
        let outcome = verify(&tampered, &[]);
        assert_eq!(outcome.code, Some(1), "{what}");
        assert!(outcome.output.starts_with("NOT SOUND") && outcome.output.contains(said), "{what}: {}", outcome.output);
    }
}

#[test]
fn another_key_another_broker_and_no_key_are_told_apart() {
    let lines = export(events());
    let other = verify(&lines, &["--instance", "aaaaaaaaaaaaaaaaaaaaaaaaaa"]);
    assert!(other.code == Some(1) && other.output.contains("another instance"), "{}", other.output);
    let repository = Repository::new([]);
    repository.write("ledger.jsonl", lines.join("\n") + "\n");
    repository.write("none.pub", "nothing\n");
    let run = |key: &str| repository.program(["ledger", "verify", "ledger.jsonl", "--key", key]).run();
    let wrong = run("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    assert!(wrong.code == Some(1) && wrong.output.contains("another key"), "{}", wrong.output);
    for none in ["none.pub", "missing.pub", "abc"] {
        assert_eq!(run(none).code, Some(2), "{none}");
    }
    assert_eq!(repository.program(["ledger", "verify", "missing.jsonl", "--key", &key().to_string()]).run().code, Some(2));
    let piped = repository.program(["ledger", "verify", "-", "--key", &key().to_string()]).input(lines.join("\n") + "\n").run();
    assert_eq!(piped.code, Some(0), "{}", piped.output);
}
