//! A copy of the database: taken, lost, offered again.

use crate::support::{Place, text};

fn entries(place: &Place) -> u64 {
    let key = text(&place.ask(&["ledger", "key"]).stdout).trim().parse().unwrap();
    let export = place.ask(&["ledger", "export"]);
    let report = keyblind_ledger::verify(&export.stdout[..], &key, &keyblind_ledger::Expected::default()).unwrap();
    assert!(report.is_sound(), "{report:?}");
    report.entries
}

#[test]
fn a_copy_is_put_back_unless_something_would_be_undone_by_it() {
    let place = Place::new();
    let path = |name: &str| place.folder.path().join(name).to_str().unwrap().to_owned();
    let (older, newer) = (path("older.db"), path("newer.db"));
    let run_once = || assert_eq!(place.start().terminate().0, Some(0));
    run_once();
    let broker = place.start();
    let refused = place.ask(&["backup", &older]);
    assert!(text(&refused.stderr).contains("another broker has"), "{}", text(&refused.stderr));
    broker.terminate();
    let made = place.ask(&["backup", &older]);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert!(text(&place.ask(&["backup", &older]).stderr).contains("can't be made"), "no copy is written over");
    run_once();
    let noted = text(&place.ask(&["backup", &newer]).stdout).trim().to_owned();
    let before = entries(&place);
    assert!(noted.ends_with(&format!(":{before}")), "{noted}");

    // What is there is newer, so the older copy isn't taken.
    let refused = place.ask(&["restore", &older]);
    assert!(text(&refused.stderr).contains("the copy is older"), "{}", text(&refused.stderr));
    assert_eq!(entries(&place), before, "nothing was changed");
    // A copy that somebody has changed isn't taken either, wherever in it: what is there stays, and nothing is stopped.
    for (sql, reason) in [
        ("UPDATE vault_records SET sealed = zeroblob(length(sealed))", "changed by somebody else"),
        ("DROP TRIGGER ledger_entries_stay; UPDATE ledger_entries SET hash = zeroblob(length(hash)) WHERE sequence = 2", "entry"),
    ] {
        let changed = path("changed.db");
        std::fs::copy(&newer, &changed).unwrap();
        rusqlite::Connection::open(&changed).unwrap().execute_batch(sql).unwrap();
        let refused = place.ask(&["restore", &changed]);
        let said = text(&refused.stderr);
        assert!(said.contains("the copy isn't whole") && said.contains(reason), "{said}");
        assert_eq!(entries(&place), before, "nothing was changed");
        assert!(!place.state().join("STOPPED").exists(), "what was refused stops nothing");
    }
    // Lost: what was noted decides.
    for file in ["broker.db", "broker.db-wal", "broker.db-shm"] {
        let _ = std::fs::remove_file(place.state().join(file));
    }
    let refused = place.ask(&["restore", &newer]);
    assert!(text(&refused.stderr).contains("there is no database to compare with"), "{}", text(&refused.stderr));
    let refused = place.ask(&["restore", &older, "--noted", &noted]);
    assert!(text(&refused.stderr).contains("the copy is older"), "{}", text(&refused.stderr));
    let stop = place.state().join("STOPPED");
    assert!(!stop.exists(), "what was refused stops nothing");
    std::fs::write(&stop, "").unwrap();
    place.ask(&["restore", &older, "--noted", &noted]);
    assert!(stop.exists(), "another's stop stays");
    std::fs::remove_file(&stop).unwrap();
    // What a cut left lies in nobody's way.
    std::fs::write(place.state().join("broker.db.restoring"), "half of it").unwrap();
    let restored = place.ask(&["restore", &newer, "--noted", &noted]);
    assert!(text(&restored.stdout).starts_with(&format!("put back: {noted}\nstopped:")), "{}", text(&restored.stderr));
    assert_eq!(entries(&place), before + 1, "and that it was is recorded");
    let broker = place.start();
    assert!(broker.said.contains("stopped: nothing is done until `keyblind-broker arm`"), "{}", broker.said);
    assert_eq!(text(&place.ask(&["arm"]).stdout), "armed\n");
    assert_eq!(broker.terminate().0, Some(0));
    entries(&place);
}
