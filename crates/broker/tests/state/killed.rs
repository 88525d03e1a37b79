//! A broker that is killed at any moment: what was answered is there, and what is there is sound.

use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use keyblind_broker::ledger::{Event, Record};
use keyblind_broker::secret::Secret;
use keyblind_broker::vault::{RecordKind, RecordName};

use crate::database::directory;
use crate::ledger::{clock, create, judge, key};

/// How many processes are killed.
const KILLS: u64 = 12;

#[test]
fn what_was_answered_survives_a_kill_at_any_moment() {
    for number in 0..KILLS {
        let directory = directory();
        let path = directory.path().join("broker.db");
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::in_a_child_that_writes_on", "--ignored", "--nocapture"])
            .env("KEYBLIND_TEST_DATABASE", &path)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (mut entries, mut version) = (0, 0);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // A few answers, then a moment that falls anywhere in the next write.
        let answers = 3 + number;
        for line in lines.by_ref().map(Result::unwrap) {
            if let Some(answered) = line.strip_prefix("answered ") {
                let (entry, record) = answered.split_once(' ').unwrap();
                (entries, version) = (entry.parse().unwrap(), record.parse().unwrap());
                if entries >= answers {
                    break;
                }
            }
        }
        std::thread::sleep(Duration::from_micros(number * 397 % 5000));
        child.kill().unwrap();
        child.wait().unwrap();

        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let database = crate::database::reopen(&path);
            let vault = keyblind_broker::vault::Vault::open(database.clone(), key(), clock()).await.unwrap();
            let ledger = keyblind_broker::ledger::Ledger::open(database, &vault, clock()).await.unwrap();
            let report = judge(&ledger, &keyblind_ledger::Expected::default()).await;
            assert!(report.is_sound(), "{:?}", report.findings);
            assert!(report.entries >= entries && entries >= answers, "{} entries, {entries} answered", report.entries);
            let (found, secret) = vault.get(&record()).await.unwrap();
            assert!(found >= version, "version {found}, {version} answered");
            assert!(secret.expose(|bytes| bytes == found.to_string().as_bytes()), "another version's secret");
        });
    }
}

fn record() -> RecordName {
    RecordName::new("acme", "ada", RecordKind::RefreshToken, "github").unwrap()
}

#[tokio::test]
#[ignore = "the child of `what_was_answered_survives_a_kill_at_any_moment`"]
#[allow(clippy::print_stdout, reason = "the parent reads how far it is")]
async fn in_a_child_that_writes_on() {
    let path = PathBuf::from(std::env::var_os("KEYBLIND_TEST_DATABASE").unwrap());
    let (_database, vault, ledger) = create(&path).await;
    for number in 1_u64.. {
        let entry = ledger.append(Record::of_broker(Event::VaultKeyChanged {})).await.unwrap();
        let version = vault.put(&record(), &Secret::from_string(number.to_string())).await.unwrap();
        println!("\nanswered {} {version}", entry.sequence);
    }
}
