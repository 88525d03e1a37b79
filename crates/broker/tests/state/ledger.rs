//! The ledger in its database: durable, exported, and judged by the verifier that only knows the export and the key.

use std::path::Path;
use std::sync::Arc;

use keyblind_broker::clock::SystemClock;
use keyblind_broker::database::Database;
use keyblind_broker::ledger::{Code, Event, ExportForm, Ledger, LedgerError, LoginMethod, Record, Who};
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{LocalKey, Vault};
use keyblind_intent::{RequestId, SubjectId, TenantId};
use keyblind_ledger::{Expected, Report, verify};

use crate::database::{directory, reopen, settle};

pub(crate) fn key() -> Arc<LocalKey> {
    Arc::new(LocalKey::new(&Secret::from_bytes(vec![5; 32])).unwrap())
}

pub(crate) fn clock() -> Arc<SystemClock> {
    Arc::new(SystemClock::new())
}

pub(crate) fn who(subject: &str) -> Who {
    Who { tenant: TenantId::new("acme").unwrap(), subject: SubjectId::new(subject).unwrap() }
}

pub(crate) async fn create(path: &Path) -> (Database, Arc<Vault>, Ledger) {
    let database = reopen(path);
    let vault = Vault::create(database.clone(), key(), clock()).await.unwrap();
    let ledger = Ledger::create(database.clone(), &vault, clock()).await.unwrap();
    (database, Arc::new(vault), ledger)
}

pub(crate) async fn judge(ledger: &Ledger, expected: &Expected) -> Report {
    let mut export = Vec::new();
    ledger.export(ExportForm::Verifiable, &mut export).await.unwrap();
    verify(export.as_slice(), &ledger.key(), expected).unwrap()
}

fn refused(reason: &str) -> Event {
    Event::Refused { request: None, reason: Code::new(reason).unwrap() }
}

async fn reopened(path: &Path) -> Result<(Database, Ledger), LedgerError> {
    let database = reopen(path);
    let vault = Vault::open(database.clone(), key(), clock()).await.unwrap();
    Ledger::open(database.clone(), &vault, clock()).await.map(|ledger| (database, ledger))
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_and_verifies() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let (database, vault, ledger) = create(&path).await;
    let mission = RequestId::from_bytes([1; 16]);
    for number in 0..200 {
        let who = who(if number % 2 == 0 { "ada" } else { "bob" });
        ledger.append(Record::of(&who, (number % 10 == 0).then_some(mission), refused("not-connected"))).await.unwrap();
    }
    let head = ledger.head().await.unwrap();
    assert_eq!(head.sequence, 200);
    assert!(matches!(Ledger::create(database.clone(), &vault, clock()).await, Err(LedgerError::AlreadyCreated)));
    let (instance, public) = (ledger.instance(), ledger.key());
    drop((ledger, vault));
    database.close().await;

    let (database, ledger) = reopened(&path).await.unwrap();
    assert_eq!((ledger.instance(), ledger.key()), (instance, public), "one chain and one key per instance, for good");
    ledger.append(Record::of_broker(refused("later"))).await.unwrap();
    let expected = Expected { instance: Some(instance), entry: Some((head.sequence, Some(head.hash))) };
    let report = judge(&ledger, &expected).await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.entries, report.checkpoints), (201, 4), "three on the way and the end");
    assert_eq!(ledger.of_subject(&who("bob"), 0, 1000).await.unwrap().len(), 100);
    assert_eq!(ledger.of_subject(&who("bob"), 100, 10).await.unwrap()[0].sequence.get(), 102);
    assert_eq!(ledger.of_subject(&who("eve"), 0, 1000).await.unwrap(), []);
    assert_eq!(ledger.of_mission(mission, 0, 1000).await.unwrap().len(), 20);
    ledger.checkpoint().await.unwrap();
    ledger.checkpoint().await.unwrap();
    assert_eq!(judge(&ledger, &expected).await.checkpoints, 5);
    drop(ledger);
    database.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_make_one_chain() {
    let directory = directory();
    let (_database, _vault, ledger) = create(&directory.path().join("broker.db")).await;
    let tasks: Vec<_> = (0..64)
        .map(|_| {
            let ledger = ledger.clone();
            tokio::spawn(async move {
                for _ in 0..8 {
                    ledger.append(Record::of(&who("ada"), None, Event::LoggedIn { method: LoginMethod::Passkey })).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let report = judge(&ledger, &Expected::default()).await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!(report.entries, 512);
}

#[tokio::test]
async fn an_empty_ledger_verifies_too() {
    let directory = directory();
    let (_database, _vault, ledger) = create(&directory.path().join("broker.db")).await;
    let report = judge(&ledger, &Expected::default()).await;
    assert!(report.is_sound(), "{:?}", report.findings);
    assert_eq!((report.entries, report.checkpoints), (0, 1));
}

#[tokio::test]
async fn the_database_itself_refuses_to_forget() {
    let directory = directory();
    let (database, _vault, ledger) = create(&directory.path().join("broker.db")).await;
    ledger.append(Record::of_broker(refused("x"))).await.unwrap();
    for sql in ["DELETE FROM ledger_entries", "UPDATE ledger_entries SET tenant = 'evil'"] {
        let refused = database
            .transact::<(), keyblind_broker::database::DatabaseError, _>(move |transaction| Ok(transaction.execute(sql, []).map(drop)?))
            .await;
        assert!(refused.is_err(), "{sql}");
    }
}

/// What somebody with write access to the file could do, the triggers removed first.
#[tokio::test]
async fn a_ledger_with_a_changed_tail_is_not_opened() {
    let directory = directory();
    let original = directory.path().join("original.db");
    let (database, vault, ledger) = create(&original).await;
    for _ in 0..100 {
        ledger.append(Record::of_broker(refused("x"))).await.unwrap();
    }
    drop((ledger, vault));
    database.close().await;
    let drop_triggers = "DROP TRIGGER ledger_entries_stay; DROP TRIGGER ledger_entries_remain; DROP TRIGGER ledger_checkpoints_stay;
                         DROP TRIGGER ledger_checkpoints_remain; PRAGMA foreign_keys = OFF;";
    let tampering = [
        (
            "an entry changed",
            "UPDATE ledger_entries SET entry = CAST(replace(CAST(entry AS TEXT), '\"x\"', '\"y\"') AS BLOB) WHERE sequence = 90",
        ),
        ("an entry less", "DELETE FROM ledger_entries WHERE sequence = 80"),
        ("another entry under the checkpoint", "UPDATE ledger_entries SET hash = zeroblob(32) WHERE sequence = 64"),
        ("another instance", "UPDATE ledger SET instance = 'aaaaaaaaaaaaaaaaaaaaaaaaaa'"),
        (
            "another checkpoint",
            "UPDATE ledger_checkpoints
             SET checkpoint = CAST(replace(CAST(checkpoint AS TEXT), '\"sequence\":64', '\"sequence\":63') AS BLOB)",
        ),
    ];
    for (what, sql) in tampering {
        let path = directory.path().join("tampered.db");
        std::fs::copy(&original, &path).unwrap();
        let other = rusqlite::Connection::open(&path).unwrap();
        other.execute_batch(drop_triggers).unwrap();
        assert_eq!(other.execute(sql, []).unwrap(), 1, "{what}");
        drop(other);
        let error = reopened(&path).await.map(drop).expect_err(what);
        assert!(matches!(error, LedgerError::Tampered(_) | LedgerError::SigningKey), "{what}: {error}");
        settle(&path).await;
        std::fs::remove_file(&path).unwrap();
    }
    reopened(&original).await.unwrap();
}

#[tokio::test]
async fn the_form_for_security_events_has_a_line_for_each_entry() {
    let directory = directory();
    let (_database, _vault, ledger) = create(&directory.path().join("broker.db")).await;
    for _ in 0..70 {
        ledger.append(Record::of(&who("ada"), None, Event::LoggedIn { method: LoginMethod::Oidc })).await.unwrap();
    }
    let mut export = Vec::new();
    ledger.export(ExportForm::Ocsf, &mut export).await.unwrap();
    let text = String::from_utf8(export).unwrap();
    let events: Vec<serde_json::Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(events.len(), 70);
    assert!(events.iter().all(|event| event["class_uid"] == 3002 && event["user"]["name"] == "ada"));
}
