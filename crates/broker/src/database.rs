//! The broker's own database: one SQLite file that no other program opens.
//!
//! One thread owns the connection and does everything that is asked of it in order, so there is one writer by construction. What was
//! asked while the last group was being made durable is done as the next group, in one transaction with a savepoint each: a
//! durable append costs one `fsync` for all who wait, not one for each. Whoever waits gets an answer only after that `fsync`.
//!
//! After an `fsync` failed, nobody knows what is on the disk, and asking again would lie
//! (<https://www.sqlite.org/howtocorrupt.html>, "sync"): the database then refuses everything until it is opened anew.

mod file;
mod migrations;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction};
use tokio::sync::{mpsc, oneshot};

use self::writer::{Job, Work};

/// Marks the file as the broker's (`PRAGMA application_id`): "KBLD".
pub(crate) const APPLICATION_ID: i32 = 0x4b42_4c44;

/// How many requests may wait before those who ask have to.
const QUEUE: usize = 1024;

/// Why the database refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// The file, or the directory that it is in, can't be opened.
    #[error("`{path}` can't be opened: {reason}")]
    Open {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Others could read or replace it.
    #[error("`{path}` is open to others (mode {mode:04o}): `chmod {wanted} {path}`, and ask who could have read it")]
    Permissions {
        /// Which.
        path: PathBuf,
        /// What it has.
        mode: u32,
        /// What it should have.
        wanted: &'static str,
    },
    /// It belongs to somebody else.
    #[error("`{path}` belongs to user {owner}, not to the broker's user {expected}")]
    Owner {
        /// Which.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        expected: u32,
    },
    /// It is a database of another program.
    #[error("`{0}` is no database of the broker")]
    Foreign(PathBuf),
    /// A newer broker wrote it.
    #[error("the database has form {found}, this broker knows forms up to {known}: use the newer broker")]
    Newer {
        /// Its form.
        found: u32,
        /// The newest known here.
        known: u32,
    },
    /// An older broker wrote it, and it is only looked at.
    #[error(
        "the copy has form {found}, older than this broker's {known}: open it once with `keyblind-broker`, or restore it with the broker that made it"
    )]
    OlderForm {
        /// Its form.
        found: u32,
        /// The one that is wanted.
        known: u32,
    },
    /// SQLite's own check found damage.
    #[error("the database is damaged ({0}): restore a backup")]
    Damaged(String),
    /// Another process has it.
    #[error("another broker uses `{0}`: two on one file would each believe to be the only one")]
    InUse(PathBuf),
    /// There is no room left.
    #[error("there is no room to write: nothing was recorded, so nothing is done")]
    Full,
    /// The file system failed.
    #[error("the file system failed (SQLite code {0}): nothing was recorded, so nothing is done")]
    FileSystem(i32),
    /// A neighbour in the same group of writes made SQLite undo them all.
    #[error("the disk failed while others wrote: nothing was recorded, so nothing is done; ask again")]
    UndoneTogether,
    /// An `fsync` failed earlier.
    #[error("the disk failed to keep what it was given; start the broker again once it is sound")]
    Unsound,
    /// SQLite refused for another reason: a fault of ours.
    #[error("SQLite refused (code {code}): {message}")]
    Refused {
        /// Its extended code.
        code: i32,
        /// What it says. It never holds values, only names of ours.
        message: String,
    },
    /// A value that was read isn't one that we write.
    #[error("the database holds {0}, which this broker never writes")]
    Unexpected(&'static str),
    /// The database was closed, or its thread is gone.
    #[error("the database is closed")]
    Closed,
}

impl From<rusqlite::Error> for DatabaseError {
    fn from(error: rusqlite::Error) -> Self {
        match &error {
            rusqlite::Error::SqliteFailure(failure, message) => match failure.code {
                rusqlite::ErrorCode::DiskFull => Self::Full,
                rusqlite::ErrorCode::SystemIoFailure => Self::FileSystem(failure.extended_code),
                rusqlite::ErrorCode::DatabaseCorrupt | rusqlite::ErrorCode::NotADatabase => Self::Damaged(failure.to_string()),
                _ => Self::Refused { code: failure.extended_code, message: message.clone().unwrap_or_else(|| failure.to_string()) },
            },
            rusqlite::Error::QueryReturnedNoRows => Self::Unexpected("no row where there is always one"),
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..) => Self::Unexpected("a value of another type"),
            // What is left are faults of ours in how we call; their texts hold no values.
            other => Self::Refused { code: 0, message: other.to_string() },
        }
    }
}

/// A handle to the database; clones share it. It is closed when the last one is gone.
#[derive(Clone)]
pub struct Database {
    jobs: mpsc::Sender<Job>,
    path: PathBuf,
}

impl Database {
    /// Opens the file, which is made if there is none; brings its form up to date and checks it whole.
    ///
    /// # Errors
    /// If others could read or replace it, it isn't the broker's, is damaged, in use, or of a newer form.
    pub fn open(path: &Path) -> Result<Self, DatabaseError> {
        let guard = file::prepare(path)?;
        let mut connection = file::connect(path)?;
        migrations::apply(&mut connection)?;
        file::check(&connection)?;
        let (jobs, queue) = mpsc::channel(QUEUE);
        let thread = std::thread::Builder::new().name("database".to_owned());
        thread
            .spawn(move || writer::run(connection, guard, queue))
            .map_err(|error| DatabaseError::Open { path: path.to_owned(), reason: error.to_string() })?;
        Ok(Self { jobs, path: path.to_owned() })
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Does something in a transaction. What it gives is given back only after all that it wrote is durable; if it fails, or what
    /// it wrote can't be kept, nothing of it is.
    ///
    /// If the returned future is dropped, the work is done all the same, or not at all.
    ///
    /// # Errors
    /// Those of the work, and those of the database.
    pub async fn transact<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = transaction(work, |_: &T| {});
        self.send(job).await?;
        answer.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// As [`Self::transact`], in a transaction that is shared with nothing else. `after` sees what the work gave once it is
    /// durable, before anything else is done with the database and even if nobody waits any more.
    pub(crate) async fn transact_alone<T, E, F, A>(&self, work: F, after: A) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
        A: FnOnce(&T) + Send + 'static,
    {
        let (mut job, answer) = transaction(work, after);
        job.alone = true;
        self.send(job).await?;
        answer.await.unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// As [`Self::transact`], for a thread outside of the runtime: it waits.
    ///
    /// # Errors
    /// Those of the work, and those of the database.
    pub fn transact_blocking<T, E, F>(&self, work: F) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<DatabaseError> + Send + 'static,
        F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    {
        let (job, answer) = transaction(work, |_: &T| {});
        self.jobs.blocking_send(job).map_err(|_| DatabaseError::Closed)?;
        answer.blocking_recv().unwrap_or_else(|_| Err(DatabaseError::Closed.into()))
    }

    /// Copies the whole database, as it is between two transactions, into a new file (SQLite's online backup), and makes the copy
    /// durable.
    ///
    /// # Errors
    /// If the file is there already, or can't be written.
    pub async fn back_up(&self, target: PathBuf) -> Result<(), DatabaseError> {
        let (sender, answer) = oneshot::channel();
        self.send(Job { work: Work::BackUp(target, sender), alone: true }).await?;
        answer.await.unwrap_or(Err(DatabaseError::Closed))
    }

    /// Closes the file, and waits until it is closed. Whoever still has a handle is refused from now on.
    pub async fn close(self) {
        let (sender, closed) = oneshot::channel();
        if self.send(Job { work: Work::Close(sender), alone: true }).await.is_ok() {
            // An error says that the thread is gone: then it is closed as well.
            let _ = closed.await;
        }
    }

    /// Moves all of the log into the database and empties it: what was overwritten or deleted is then in neither.
    pub(crate) async fn checkpoint(&self) -> Result<(), DatabaseError> {
        let (sender, answer) = oneshot::channel();
        self.send(Job { work: Work::Checkpoint(sender), alone: true }).await?;
        answer.await.unwrap_or(Err(DatabaseError::Closed))
    }

    async fn send(&self, job: Job) -> Result<(), DatabaseError> {
        self.jobs.send(job).await.map_err(|_| DatabaseError::Closed)
    }
}

/// A database file that is only looked at and copied while no broker runs on it.
pub(crate) struct Snapshot {
    connection: Connection,
    _guard: Option<file::Guard>,
}

impl Snapshot {
    /// Opens a copy, and checks it whole.
    pub(crate) fn open(path: &Path) -> Result<Self, DatabaseError> {
        file::open_private(path, false)?;
        let connection = file::connect_to_read(path)?;
        let (found, known) = (migrations::form(&connection)?, migrations::newest());
        if found > known {
            return Err(DatabaseError::Newer { found, known });
        }
        if found < known {
            // Its tables would be read as what they aren't.
            return Err(DatabaseError::OlderForm { found, known });
        }
        file::check(&connection)?;
        Ok(Self { connection, _guard: None })
    }

    /// Opens a database that no broker may use meanwhile.
    pub(crate) fn lock(path: &Path) -> Result<Self, DatabaseError> {
        let guard = file::prepare(path)?;
        // Its log is removed before the file is exchanged: a crash in between must not make what is there older.
        let busy: i64 = file::connect(path)?.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get(0))?;
        if busy != 0 {
            return Err(DatabaseError::InUse(path.to_owned()));
        }
        Ok(Self { _guard: Some(guard), ..Self::open(path)? })
    }

    /// Looks at it.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&Transaction<'_>) -> Result<T, DatabaseError>) -> Result<T, DatabaseError> {
        read(&self.connection.unchecked_transaction()?)
    }

    /// Copies it into a new file.
    pub(crate) fn copy_to(&self, target: &Path) -> Result<(), DatabaseError> {
        file::back_up(&self.connection, target)
    }
}

/// Ties work to the channel on which its answer goes.
fn transaction<T, E, F, A>(work: F, after: A) -> (Job, oneshot::Receiver<Result<T, E>>)
where
    T: Send + 'static,
    E: From<DatabaseError> + Send + 'static,
    F: FnOnce(&Transaction<'_>) -> Result<T, E> + Send + 'static,
    A: FnOnce(&T) + Send + 'static,
{
    let (sender, answer) = oneshot::channel();
    let work = Work::Inside(Box::new(move |transaction: &Transaction<'_>| {
        let result = work(transaction);
        let keep = result.is_ok();
        let finish = Box::new(move |durable: Result<(), DatabaseError>| {
            let result = match (result, durable) {
                (Ok(_), Err(error)) => Err(error.into()),
                (result, _) => result,
            };
            if let Ok(value) = &result {
                after(value);
            }
            // Whoever asked may have gone; what was done stays done.
            let _ = sender.send(result);
        });
        writer::Done { keep, finish }
    }));
    (Job { work, alone: false }, answer)
}
