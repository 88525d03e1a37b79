//! A full disk: nothing is recorded, so nothing is done, and everybody hears of it.
//!
//! The child process may write files only up to a size (`RLIMIT_FSIZE`), which to SQLite looks like a disk that is full.

use std::path::PathBuf;
use std::process::Command;

use keyblind_broker::leases::epoch::{EpochError, KillSwitch};
use keyblind_broker::ledger::{Cause, Code, Event, LedgerError, Record};

use crate::database::directory;
use crate::ledger::{clock, create, judge};

/// Runs one ignored test of this program in a process of its own.
pub(crate) fn child(test: &str, shell: &str, variables: &[(&str, &str)]) -> std::process::Output {
    let script = format!("{shell} exec \"$0\" --exact {test} --ignored --nocapture --test-threads 1");
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg(std::env::current_exe().unwrap());
    variables.iter().for_each(|(name, value)| {
        command.env(name, value);
    });
    command.output().unwrap()
}

#[test]
fn a_full_disk_lets_nothing_happen() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    // Blocks of 512 bytes or of 1024, as the shell likes: one or two megabytes.
    let output =
        child("disk::in_a_child_with_little_room", "trap '' XFSZ; ulimit -f 2000;", &[("KEYBLIND_TEST_DATABASE", path.to_str().unwrap())]);
    assert!(output.status.success(), "{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));

    // With room again everything that was answered is there, and nothing else.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let answered: u64 = std::fs::read_to_string(directory.path().join("answered")).unwrap().parse().unwrap();
        let database = crate::database::reopen(&path);
        let vault = keyblind_broker::vault::Vault::open(database.clone(), crate::ledger::key(), clock()).await.unwrap();
        let ledger = keyblind_broker::ledger::Ledger::open(database, &vault, clock()).await.unwrap();
        let report = judge(&ledger, &keyblind_ledger::Expected::default()).await;
        assert!(report.is_sound(), "{:?}", report.findings);
        assert_eq!(report.entries, answered);
        ledger.append(Record::of_broker(Event::VaultKeyChanged {})).await.unwrap();
    });
}

#[tokio::test]
#[ignore = "the child of `a_full_disk_lets_nothing_happen`"]
async fn in_a_child_with_little_room() {
    let path = PathBuf::from(std::env::var_os("KEYBLIND_TEST_DATABASE").unwrap());
    let (database, _vault, ledger) = create(&path).await;
    let switch = KillSwitch::open(database.clone(), ledger.clone(), clock(), None, Vec::new()).await.unwrap();
    let permit = switch.permit().await.unwrap();
    let mut answered = 0_u64;
    let reason = Code::new("a-line-that-fills-the-disk-a-little-more-with-each-entry").unwrap();
    // Many at once first, so that a whole group of them fails together; then one by one, until not even one has room.
    let failure = 'full: loop {
        for together in [16, 1] {
            let tasks: Vec<_> = (0..together)
                .map(|_| {
                    let (ledger, reason) = (ledger.clone(), reason.clone());
                    tokio::spawn(async move { ledger.append(Record::of_broker(Event::Refused { request: None, reason })).await })
                })
                .collect();
            for task in tasks {
                match task.await.unwrap() {
                    Ok(_) => answered += 1,
                    Err(failure) if together == 1 => break 'full failure,
                    Err(_) => {}
                }
            }
        }
        assert!(answered < 1_000_000, "the disk is never full");
    };
    assert!(matches!(failure, LedgerError::Database(_)), "{failure}");
    std::fs::write(path.with_file_name("answered"), answered.to_string()).unwrap();

    // The kill switch still stops this process, and says that it could not be recorded.
    assert!(matches!(switch.kill(Cause::Signal).await, Err(EpochError::StoppedUnrecorded(_))));
    assert!(switch.check(&permit).is_err());
    assert!(switch.permit().await.is_err());
}
