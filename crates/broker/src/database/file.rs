//! The file on the disk: who may open it, how it is opened, checked and copied.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::{APPLICATION_ID, DatabaseError};

/// What is kept while the database is open.
pub(super) struct Guard {
    _lock: File,
}

/// Makes sure that nobody else can read, replace or use the file, and makes it if there is none.
pub(super) fn prepare(path: &Path) -> Result<Guard, DatabaseError> {
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !directory.exists() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(|error| open_error(directory, &error))?;
    }
    check_directory(directory)?;
    // The lock is a file of its own: SQLite's own locks on the database are per process, and closing any other handle drops them.
    let lock_path = sibling(path, "lock");
    let lock = open_private(&lock_path, true)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(DatabaseError::InUse(path.to_owned())),
        Err(TryLockError::Error(error)) => return Err(open_error(&lock_path, &error)),
    }
    let file = open_private(path, true)?;
    file.sync_all().map_err(|error| open_error(path, &error))?;
    sync_directory(directory)?;
    for suffix in ["-wal", "-shm", "-journal"] {
        let beside = sibling_with(path, suffix);
        if beside.symlink_metadata().is_ok() {
            open_private(&beside, false)?;
        }
    }
    Ok(Guard { _lock: lock })
}

/// `vault.db` → `vault.db.lock`.
fn sibling(path: &Path, extension: &str) -> PathBuf {
    sibling_with(path, &format!(".{extension}"))
}

fn sibling_with(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn open_error(path: &Path, error: &std::io::Error) -> DatabaseError {
    DatabaseError::Open { path: path.to_owned(), reason: error.to_string() }
}

fn sync_directory(directory: &Path) -> Result<(), DatabaseError> {
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| open_error(directory, &error))
}

/// Who may write into the directory could put another file into the place of ours.
fn check_directory(directory: &Path) -> Result<(), DatabaseError> {
    let metadata = directory.metadata().map_err(|error| open_error(directory, &error))?;
    let owner = rustix::process::geteuid().as_raw();
    if metadata.uid() != owner && metadata.uid() != 0 {
        return Err(DatabaseError::Owner { path: directory.to_owned(), owner: metadata.uid(), expected: owner });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o022 != 0 && mode & 0o1000 == 0 {
        return Err(DatabaseError::Permissions { path: directory.to_owned(), mode, wanted: "700" });
    }
    Ok(())
}

/// Opens a file that only our user may read or write; never through a link.
pub(crate) fn open_private(path: &Path, create: bool) -> Result<File, DatabaseError> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(create)
        .truncate(false)
        .mode(0o600)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .map_err(|error| open_error(path, &error))?;
    let metadata = file.metadata().map_err(|error| open_error(path, &error))?;
    let owner = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(DatabaseError::Open { path: path.to_owned(), reason: "it is no plain file".to_owned() });
    }
    if metadata.uid() != owner {
        return Err(DatabaseError::Owner { path: path.to_owned(), owner: metadata.uid(), expected: owner });
    }
    let mode = metadata.mode() & 0o7777;
    if mode & 0o077 != 0 {
        return Err(DatabaseError::Permissions { path: path.to_owned(), mode, wanted: "600" });
    }
    Ok(file)
}

/// Opens a database that is the broker's, or is still empty.
fn open_ours(path: &Path, access: OpenFlags) -> Result<Connection, DatabaseError> {
    // SQLite refuses links anywhere in the path, and a data directory may well be reached through one.
    let real = path.canonicalize().map_err(|error| open_error(path, &error))?;
    let connection = Connection::open_with_flags(&real, access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    let application: i32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
    let objects: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    if application == APPLICATION_ID || (application == 0 && objects == 0) {
        Ok(connection)
    } else {
        Err(DatabaseError::Foreign(path.to_owned()))
    }
}

/// Opens a database that is only looked at.
pub(super) fn connect_to_read(path: &Path) -> Result<Connection, DatabaseError> {
    open_ours(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
}

/// Opens the database as we want it.
pub(super) fn connect(path: &Path) -> Result<Connection, DatabaseError> {
    let connection = open_ours(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let mode: String = connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))?;
    if mode != "wal" {
        return Err(DatabaseError::Open { path: path.to_owned(), reason: format!("the file system allows no write-ahead log ({mode})") });
    }
    connection.execute_batch(
        "PRAGMA synchronous = FULL;
         PRAGMA fullfsync = ON;
         PRAGMA checkpoint_fullfsync = ON;
         PRAGMA foreign_keys = ON;
         PRAGMA cell_size_check = ON;
         PRAGMA temp_store = MEMORY;
         PRAGMA secure_delete = ON;
         PRAGMA journal_size_limit = 16777216;",
    )?;
    Ok(connection)
}

/// Lets SQLite look at every page, and at every reference between tables.
pub(super) fn check(connection: &Connection) -> Result<(), DatabaseError> {
    let report: String = connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
    if report != "ok" {
        return Err(DatabaseError::Damaged(report));
    }
    let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
    if statement.exists([])? { Err(DatabaseError::Damaged("a row refers to one that isn't there".to_owned())) } else { Ok(()) }
}

/// Copies the database into a new file of its own.
pub(super) fn back_up(source: &Connection, target: &Path) -> Result<(), DatabaseError> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    check_directory(directory)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(target).map_err(|error| open_error(target, &error))?;
    let copied = copy(source, target).and_then(|()| file.sync_all().map_err(|error| open_error(target, &error)));
    if copied.is_err() {
        // Half a copy must not look like one.
        let _ = std::fs::remove_file(target);
    }
    copied?;
    sync_directory(directory)
}

fn copy(source: &Connection, target: &Path) -> Result<(), DatabaseError> {
    let mut copy = Connection::open_with_flags(target, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    rusqlite::backup::Backup::new(source, &mut copy)?.run_to_completion(1024, std::time::Duration::ZERO, None)?;
    // A copy is one file: the mode is kept in it, and write-ahead logging would make two more when it is looked at.
    let _: String = copy.query_row("PRAGMA journal_mode = DELETE", [], |row| row.get(0))?;
    check(&copy)?;
    copy.close().map_err(|(_, error)| error.into())
}
