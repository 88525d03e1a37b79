//! Each way to tamper with an export, over random ledgers: always found; and none is found where nobody tampered.

use keyblind_intent::{Count, RequestId};
use keyblind_ledger::{Entry, EntryHash, Event, Expected, Line, Problem, PublicKey, verify};
use proptest::prelude::*;
use proptest::sample::Index;

use crate::ledger::{Ledger, join, judge};

fn ledgers() -> impl Strategy<Value = Ledger> {
    proptest::collection::vec(any::<u8>(), 1..24).prop_map(|what| Ledger::random(&what))
}

/// The places of the lines that hold entries.
fn entries(ledger: &Ledger) -> Vec<usize> {
    let is_entry = |(_, line): &(usize, &Line)| matches!(line, Line::Entry(_));
    ledger.lines.iter().enumerate().filter(is_entry).map(|(place, _)| place).collect()
}

fn is_found(lines: &[Vec<u8>], ledger: &Ledger) -> bool {
    !judge(lines, &ledger.key(), &Expected::default()).is_sound()
}

/// Chains entries anew, as somebody without the key can.
fn rechain(ledger: &mut Ledger) {
    let mut head = EntryHash::beginning(ledger.instance, &ledger.key());
    let mut sequence = 0;
    for line in &mut ledger.lines {
        match line {
            Line::Entry(entry) => {
                sequence += 1;
                entry.sequence = Count::saturating(sequence);
                entry.previous = head;
                head = EntryHash::of(entry).unwrap();
            }
            Line::Checkpoint(checkpoint) => {
                checkpoint.statement.head = head;
                checkpoint.statement.sequence = Count::saturating(sequence);
            }
            Line::End(end) => {
                end.statement.head = head;
                end.statement.sequence = Count::saturating(sequence);
            }
            Line::Ledger(_) => {}
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sound_ledger_passes(ledger in ledgers()) {
        let report = ledger.judge();
        prop_assert!(report.is_sound(), "{:?}", report.findings);
        prop_assert_eq!(report.entries, ledger.sequence);
        prop_assert_eq!(report.head, Some(ledger.head));
        prop_assert_eq!(report.open, vec![]);
        let expected = Expected { instance: Some(ledger.instance), entry: Some((ledger.sequence, Some(ledger.head))) };
        prop_assert!(judge(&ledger.texts(), &ledger.key(), &expected).is_sound());
    }

    #[test]
    fn a_changed_byte_is_found(ledger in ledgers(), place in any::<Index>(), bit in 0..8_u8) {
        let mut text = join(&ledger.texts());
        let place = place.index(text.len());
        text[place] ^= 1 << bit;
        let report = verify(text.as_slice(), &ledger.key(), &Expected::default()).unwrap();
        // Without its line feed the last line is still the last line.
        let is_last = place == text.len() - 1;
        prop_assert!(!report.is_sound() || is_last, "bit {} of byte {}", bit, place);
    }

    #[test]
    fn a_removed_entry_is_found(ledger in ledgers(), place in any::<Index>()) {
        let places = entries(&ledger);
        let mut lines = ledger.texts();
        lines.remove(places[place.index(places.len())]);
        prop_assert!(is_found(&lines, &ledger));
    }

    #[test]
    fn a_repeated_line_is_found(ledger in ledgers(), place in any::<Index>(), to in any::<Index>()) {
        let places = entries(&ledger);
        let mut lines = ledger.texts();
        let line = lines[places[place.index(places.len())]].clone();
        lines.insert(to.index(lines.len() + 1), line);
        prop_assert!(is_found(&lines, &ledger));
    }

    #[test]
    fn exchanged_entries_are_found(ledger in ledgers(), one in any::<Index>(), other in any::<Index>()) {
        let places = entries(&ledger);
        let (one, other) = (places[one.index(places.len())], places[other.index(places.len())]);
        prop_assume!(one != other);
        let mut lines = ledger.texts();
        lines.swap(one, other);
        prop_assert!(is_found(&lines, &ledger));
    }

    #[test]
    fn a_cut_is_found_wherever_it_is(ledger in ledgers(), place in any::<Index>()) {
        let text = join(&ledger.texts());
        let last = ledger.texts().pop().unwrap().len() + 1;
        // Anywhere before the end of the last line, in the middle of lines as well.
        let cut = &text[..place.index(text.len() - 1)];
        prop_assert!(last > 1);
        prop_assert!(!verify(cut, &ledger.key(), &Expected::default()).unwrap().is_sound());
    }

    #[test]
    fn an_older_export_is_found_by_what_was_noted(what in proptest::collection::vec(any::<u8>(), 2..24)) {
        let newer = Ledger::random(&what);
        let older = Ledger::random(&what[..1]);
        prop_assume!(older.sequence < newer.sequence);
        prop_assert!(older.judge().is_sound(), "by itself it is sound");
        let expected = Expected { instance: None, entry: Some((newer.sequence, Some(newer.head))) };
        let report = judge(&older.texts(), &older.key(), &expected);
        prop_assert_eq!(&report.findings[0].problem, &Problem::Truncated(newer.sequence));
        // And a ledger of the same length with another course.
        let expected = Expected { instance: None, entry: Some((older.sequence, Some(newer.head))) };
        let report = judge(&older.texts(), &older.key(), &expected);
        prop_assert_eq!(&report.findings[0].problem, &Problem::OtherEntry);
    }

    #[test]
    fn who_chains_anew_still_has_no_signature(mut ledger in ledgers(), place in any::<Index>(), kind in 0..3) {
        let places = entries(&ledger);
        let place = places[place.index(places.len())];
        match (kind, &mut ledger.lines[place]) {
            (0, Line::Entry(entry)) => entry.event = Event::LoggedOut {},
            (1, _) => drop(ledger.lines.remove(place)),
            (_, line) => {
                let copy = line.clone();
                ledger.lines.insert(place, copy);
            }
        }
        let before = ledger.head;
        rechain(&mut ledger);
        let Some(Line::End(end)) = ledger.lines.last() else { panic!("there is an end") };
        prop_assume!(end.statement.head != before);
        let report = ledger.judge();
        prop_assert!(report.findings.iter().any(|finding| finding.problem == Problem::Signature), "{:?}", report.findings);
    }

    #[test]
    fn no_bytes_make_it_panic(text in proptest::collection::vec(any::<u8>(), 0..4096)) {
        prop_assert!(!verify(text.as_slice(), &Ledger::new().key(), &Expected::default()).unwrap().is_sound());
    }
}

#[test]
fn another_key_and_another_instance_are_said() {
    let ledger = Ledger::random(&[0, 2]);
    let other: PublicKey = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a".parse().unwrap();
    let report = judge(&ledger.texts(), &other, &Expected::default());
    assert_eq!(report.findings[0].problem, Problem::OtherKey(ledger.key()));
    assert!(report.findings.iter().any(|finding| finding.problem == Problem::Signature));
    let expected = Expected { instance: Some(RequestId::from_bytes([1; 16])), entry: None };
    let report = judge(&ledger.texts(), &ledger.key(), &expected);
    assert_eq!(report.findings[0].problem, Problem::OtherInstance(ledger.instance));
}

#[test]
fn a_checkpoint_cannot_pass_for_an_end() {
    let mut ledger = Ledger::new();
    ledger.read();
    ledger.checkpoint();
    let Some(Line::Checkpoint(checkpoint)) = ledger.lines.pop() else { panic!("there is a checkpoint") };
    ledger.lines.push(Line::End(keyblind_ledger::End { statement: checkpoint.statement, signature: checkpoint.signature }));
    let report = ledger.judge();
    assert_eq!(report.findings[0].problem, Problem::Signature);
}

#[test]
fn other_spellings_of_a_line_are_refused() {
    let ledger = Ledger::random(&[0]);
    let text = String::from_utf8(ledger.texts()[1].clone()).unwrap();
    let spellings = [
        text.replacen(':', ": ", 1),
        text.replacen("\"sequence\":1", "\"sequence\":1.0", 1),
        text.replacen("broker-started", "broker\\u002dstarted", 1),
        format!("{text}\r"),
        format!(" {text}"),
    ];
    for spelling in spellings {
        assert_ne!(spelling, text);
        let mut lines = ledger.texts();
        lines[1] = spelling.clone().into_bytes();
        assert!(is_found(&lines, &ledger), "{spelling}");
    }
}

#[test]
fn empty_cut_and_endless_inputs_are_refused() {
    let key = Ledger::new().key();
    let empty = verify(&b""[..], &key, &Expected::default()).unwrap();
    assert_eq!(empty.findings[0].problem, Problem::Header);
    let endless = std::io::BufReader::new(std::io::repeat(b'x'));
    assert_eq!(verify(endless, &key, &Expected::default()).unwrap().findings[0].problem, Problem::TooLong);
    let many = b"x\n".repeat(5000);
    let report = verify(many.as_slice(), &key, &Expected::default()).unwrap();
    assert_eq!((report.findings.len(), report.finding_count), (keyblind_ledger::MOST_FINDINGS, 5001));
}

#[test]
fn the_longest_entry_fits_its_line() {
    let mut ledger = Ledger::new();
    let lease = ledger.announce(keyblind_ledger::LeaseKind::Read);
    let Some(Line::Entry(entry)) = ledger.lines.last_mut() else { panic!("there is an entry") };
    let Entry { event: Event::LeaseAnnounced { target, .. }, .. } = &mut **entry else { panic!("of a lease") };
    *target = keyblind_intent::Line::new("\"".repeat(250)).unwrap();
    assert!(ledger.texts().last().unwrap().len() < keyblind_ledger::LONGEST_LINE / 4);
    let _ = lease;
}
