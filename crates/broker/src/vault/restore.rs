//! Puts a copy of the database back, if it is one of this store and nothing that was done since is lost by it unnoticed.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::StoreVersion;
use crate::database::{DatabaseError, Snapshot};

/// Why a copy isn't put back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// One of the two databases refuses.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The copy has no sealed store.
    #[error("`{0}` holds no sealed store")]
    NoStore(PathBuf),
    /// The copy is another store's.
    #[error("the copy is another store's: restoring it would exchange all credentials and approvals")]
    OtherStore,
    /// The copy is older than what is there.
    #[error(
        "the copy is older ({found}) than what is there ({wanted}): what was revoked or approved since would be undone. If what is there is lost, move it away and say which version to expect"
    )]
    Older {
        /// The copy's counter or number of ledger entries.
        found: u64,
        /// What it should have at least.
        wanted: u64,
    },
    /// The copy isn't whole.
    #[error("the copy isn't whole: {reason}. What is there stays as it is")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// There is nothing to compare with.
    #[error("there is no database to compare with: say which store and which version to expect")]
    NothingToCompare,
    /// The file can't be put in place.
    #[error("`{path}` can't be put in place: {reason}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}

/// What was put back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The store's version.
    pub version: StoreVersion,
    /// How many entries its ledger has.
    pub ledger_entries: u64,
}

/// Puts the copy into the database's place. No broker may be running on it.
///
/// What is there now decides what is taken: the copy must be of the same store, and neither its store nor its ledger may be older. If
/// nothing is there, `expected` decides: what was noted of the store's version (and of the ledger) outside.
///
/// `prepare` is given the file that is about to take the place, and looks whether it is whole: it opens the sealed store and the ledger, as
/// the next broker will, and closes them. What it refuses isn't put in place.
///
/// # Errors
/// If the copy is damaged, foreign, older, or of a newer form than this broker knows, or if `prepare` refuses it; nothing is changed then.
pub fn restore(
    copy: &Path,
    database: &Path,
    expected: Option<Restored>,
    prepare: impl FnOnce(&Path) -> Result<(), String>,
) -> Result<Restored, RestoreError> {
    let snapshot = Snapshot::open(copy)?;
    let found = look(&snapshot, copy)?;
    // Held while the file is exchanged: a broker that starts now finds it in use.
    let held = if database.exists() { Some(Snapshot::lock(database)?) } else { None };
    let current = held.as_ref().map(|current| look(current, database)).transpose()?;
    let floors = [expected, current];
    if floors.iter().all(Option::is_none) {
        return Err(RestoreError::NothingToCompare);
    }
    for floor in floors.into_iter().flatten() {
        if floor.version.store != found.version.store {
            return Err(RestoreError::OtherStore);
        }
        if found.version.counter < floor.version.counter {
            return Err(RestoreError::Older { found: found.version.counter, wanted: floor.version.counter });
        }
        if found.ledger_entries < floor.ledger_entries {
            return Err(RestoreError::Older { found: found.ledger_entries, wanted: floor.ledger_entries });
        }
    }
    put_in_place(&snapshot, database, prepare)?;
    drop(held);
    Ok(found)
}

fn look(snapshot: &Snapshot, path: &Path) -> Result<Restored, RestoreError> {
    let version = snapshot.read(|transaction| {
        let header = super::rows::read_header(transaction).map_err(|_| DatabaseError::Unexpected("a sealed store that can't be read"))?;
        Ok(header.map(|header| StoreVersion { store: header.store, counter: header.counter }))
    })?;
    let version = version.ok_or_else(|| RestoreError::NoStore(path.to_owned()))?;
    let ledger_entries = snapshot
        .read(|transaction| Ok(transaction.query_row("SELECT coalesce(max(sequence), 0) FROM ledger_entries", [], |row| row.get(0))?))?;
    Ok(Restored { version, ledger_entries })
}

fn put_in_place(snapshot: &Snapshot, database: &Path, prepare: impl FnOnce(&Path) -> Result<(), String>) -> Result<(), RestoreError> {
    let failed = |path: &Path, error: &std::io::Error| RestoreError::File { path: path.to_owned(), reason: error.to_string() };
    let beside = |suffix: &str| {
        let mut name = database.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    let without = |suffixes: &[&str]| {
        suffixes.iter().try_for_each(|suffix| match std::fs::remove_file(beside(suffix)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&beside(suffix), &error)),
            _ => Ok(()),
        })
    };
    let new = beside(".restoring");
    // What was left where putting back was cut off.
    let all = [".restoring", ".restoring-wal", ".restoring-shm", ".restoring-journal", ".restoring.lock"];
    without(&all)?;
    snapshot.copy_to(&new)?;
    let prepared = prepare(&new).map_err(|reason| RestoreError::Damaged { reason });
    let prepared = prepared.and_then(|()| match beside(".restoring-wal").metadata() {
        Ok(log) if log.len() > 0 => Err(RestoreError::Damaged { reason: "its log wasn't taken in".to_owned() }),
        _ => Ok(()),
    });
    if let Err(error) = prepared {
        without(&all)?;
        return Err(error);
    }
    without(&all[1..])?;
    // The old file's log must not be replayed into the new file.
    without(&["-wal", "-shm", "-journal"])?;
    std::fs::rename(&new, database).map_err(|error| failed(database, &error))?;
    let directory = database.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|error| failed(directory, &error))
}
