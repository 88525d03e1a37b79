//! The database file: who may open it, and that what was answered is there.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use keyblind_broker::database::{Database, DatabaseError};

/// A directory as the broker's should be.
pub(crate) fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o700)).unwrap();
    directory
}

fn error(result: Result<Database, DatabaseError>) -> DatabaseError {
    result.err().expect("the database must refuse")
}

/// Waits until the thread of a dropped database has let go of the file.
pub(crate) fn reopen(path: &Path) -> Database {
    for _ in 0..500 {
        match Database::open(path) {
            Err(DatabaseError::InUse(_)) => std::thread::sleep(std::time::Duration::from_millis(10)),
            result => return result.unwrap(),
        }
    }
    panic!("the database is never closed");
}

/// Waits until nobody has the file open.
pub(crate) async fn settle(path: &Path) {
    reopen(path).close().await;
}

async fn count(database: &Database) -> i64 {
    let count = |transaction: &rusqlite::Transaction<'_>| Ok(transaction.query_row("SELECT count(*) FROM notes", [], |row| row.get(0))?);
    database.transact::<_, DatabaseError, _>(count).await.unwrap()
}

async fn with_notes(path: &Path) -> Database {
    let database = reopen(path);
    let create = |transaction: &rusqlite::Transaction<'_>| Ok(transaction.execute_batch("CREATE TABLE IF NOT EXISTS notes (note TEXT)")?);
    database.transact::<_, DatabaseError, _>(create).await.unwrap();
    database
}

fn note(text: &'static str) -> impl FnOnce(&rusqlite::Transaction<'_>) -> Result<(), DatabaseError> + Send + 'static {
    move |transaction| Ok(transaction.execute("INSERT INTO notes VALUES (?1)", [text]).map(drop)?)
}

#[tokio::test]
async fn only_our_user_can_read_any_of_its_files() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let database = with_notes(&path).await;
    database.transact(note("one")).await.unwrap();
    let mut seen = 0;
    for entry in fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().mode() & 0o777, 0o600, "{:?}", entry.path());
        seen += 1;
    }
    assert!(seen >= 3, "the database, its log and its lock");
}

#[tokio::test]
async fn a_file_or_directory_that_others_can_touch_is_refused() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    settle(&path).await;
    fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
    let refused = error(Database::open(&path));
    assert_eq!(refused, DatabaseError::Permissions { path: path.clone(), mode: 0o640, wanted: "600" });
    assert!(refused.to_string().contains("chmod 600"));
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(directory.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(error(Database::open(&path)), DatabaseError::Permissions { mode: 0o777, wanted: "700", .. }));
}

#[test]
fn a_link_is_not_followed() {
    let directory = directory();
    let elsewhere = directory.path().join("elsewhere.db");
    drop(reopen(&elsewhere));
    let link = directory.path().join("broker.db");
    symlink(&elsewhere, &link).unwrap();
    assert!(matches!(error(Database::open(&link)), DatabaseError::Open { .. }));
}

#[test]
fn two_brokers_never_share_a_file() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let first = reopen(&path);
    assert_eq!(error(Database::open(&path)), DatabaseError::InUse(path.clone()));
    drop(first);
    reopen(&path);
}

#[test]
fn another_programs_database_is_left_alone() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").unwrap();
    drop(other);
    fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    let before = fs::read(&path).unwrap();
    assert_eq!(error(Database::open(&path)), DatabaseError::Foreign(path.clone()));
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[tokio::test]
async fn a_newer_form_is_refused() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    settle(&path).await;
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA user_version = 9999").unwrap();
    drop(other);
    assert!(matches!(error(Database::open(&path)), DatabaseError::Newer { found: 9999, .. }));
}

#[tokio::test]
async fn damage_is_found_before_anything_is_used() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let database = with_notes(&path).await;
    for _ in 0..400 {
        database.transact(note("a line that fills some pages of the file, so that there is something to damage")).await.unwrap();
    }
    let copy = directory.path().join("copy.db");
    database.back_up(copy.clone()).await.unwrap();
    let mut bytes = fs::read(&copy).unwrap();
    let last_page = bytes.len() - 4096;
    bytes[last_page..last_page + 64].fill(0xff);
    fs::write(&copy, bytes).unwrap();
    assert!(matches!(error(Database::open(&copy)), DatabaseError::Damaged(_)));
}

#[tokio::test]
async fn failed_work_leaves_nothing_and_disturbs_no_neighbour() {
    let directory = directory();
    let database = with_notes(&directory.path().join("broker.db")).await;
    let fails = database.transact::<(), DatabaseError, _>(|transaction| {
        transaction.execute("INSERT INTO notes VALUES ('half')", [])?;
        Err(DatabaseError::Unexpected("a test"))
    });
    let panics = database.transact::<(), DatabaseError, _>(|transaction| {
        transaction.execute("INSERT INTO notes VALUES ('half')", [])?;
        panic!("a fault of ours")
    });
    let (failed, panicked, kept) = tokio::join!(fails, panics, database.transact(note("whole")));
    assert_eq!(failed, Err(DatabaseError::Unexpected("a test")));
    assert_eq!(panicked, Err(DatabaseError::Closed));
    assert_eq!(kept, Ok(()));
    assert_eq!(count(&database).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_are_all_answered_and_all_there() {
    let directory = directory();
    let path = directory.path().join("broker.db");
    let database = with_notes(&path).await;
    let tasks: Vec<_> = (0..200)
        .map(|_| {
            let database = database.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    database.transact(note("one")).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(count(&database).await, 1000);
    drop(database);
    assert_eq!(count(&reopen(&path)).await, 1000);
}

#[tokio::test]
async fn a_copy_is_whole_private_and_never_written_over() {
    let directory = directory();
    let database = with_notes(&directory.path().join("broker.db")).await;
    database.transact(note("one")).await.unwrap();
    let copy: PathBuf = directory.path().join("copy.db");
    database.back_up(copy.clone()).await.unwrap();
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o600);
    assert!(matches!(database.back_up(copy.clone()).await, Err(DatabaseError::Open { .. })));
    assert_eq!(count(&reopen(&copy)).await, 1);
}
