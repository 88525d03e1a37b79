//! The thread that owns the connection.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

use rusqlite::{Connection, Transaction, TransactionBehavior, ffi};
use tokio::sync::{mpsc, oneshot};

use super::DatabaseError;
use super::file::{self, Guard};

/// How many requests are made durable together at most.
const GROUP: usize = 64;

/// What is left to do with a request once it is known whether it is durable.
pub(super) struct Done {
    /// Whether the work succeeded, so that what it wrote is to be kept.
    pub(super) keep: bool,
    /// Tells whoever asked.
    pub(super) finish: Box<dyn FnOnce(Result<(), DatabaseError>) + Send>,
}

type InTransaction = Box<dyn FnOnce(&Transaction<'_>) -> Done + Send>;

/// What is asked of the thread.
pub(super) enum Work {
    /// To be done in a transaction.
    Inside(InTransaction),
    /// To copy the database into a new file.
    BackUp(PathBuf, oneshot::Sender<Result<(), DatabaseError>>),
    /// To move the log into the database and empty it.
    Checkpoint(oneshot::Sender<Result<(), DatabaseError>>),
    /// To be closed; what was asked before is done first.
    Close(oneshot::Sender<()>),
}

/// A request.
pub(super) struct Job {
    pub(super) work: Work,
    /// Whether it shares its transaction with nobody.
    pub(super) alone: bool,
}

/// Works until the last handle is gone, or it is told to close.
pub(super) fn run(connection: Connection, guard: Guard, mut queue: mpsc::Receiver<Job>) {
    let mut closing = None;
    let mut unsound = false;
    let mut waiting = queue.blocking_recv();
    while let Some(job) = waiting.take() {
        match job.work {
            Work::Close(closed) => {
                closing = Some(closed);
                break;
            }
            Work::BackUp(target, asker) => {
                let result = if unsound { Err(DatabaseError::Unsound) } else { file::back_up(&connection, &target) };
                // Nobody waits any more: the copy is there all the same.
                let _ = asker.send(result);
            }
            Work::Checkpoint(asker) => {
                let result = if unsound { Err(DatabaseError::Unsound) } else { checkpoint(&connection, &mut unsound) };
                // As above.
                let _ = asker.send(result);
            }
            Work::Inside(work) => {
                let mut group = vec![work];
                while !job.alone && group.len() < GROUP {
                    match queue.try_recv() {
                        Ok(Job { work: Work::Inside(work), alone: false }) => group.push(work),
                        Ok(other) => {
                            waiting = Some(other);
                            break;
                        }
                        Err(_) => break,
                    }
                }
                run_group(&connection, group, &mut unsound);
            }
        }
        if waiting.is_none() {
            waiting = queue.blocking_recv();
        }
    }
    // Leaves one file instead of three. What is in the log is durable in any case.
    let _ = connection.close();
    drop(guard);
    if let Some(closed) = closing {
        // Whoever asked may have gone.
        let _ = closed.send(());
    }
}

fn checkpoint(connection: &Connection, unsound: &mut bool) -> Result<(), DatabaseError> {
    match connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
        Ok(0) => Ok(()),
        Ok(_) => Err(DatabaseError::Refused { code: ffi::SQLITE_BUSY, message: "somebody reads the log".to_owned() }),
        Err(error) => {
            *unsound |= is_failed_sync(&error);
            Err(error.into())
        }
    }
}

fn run_group(connection: &Connection, group: Vec<InTransaction>, unsound: &mut bool) {
    if *unsound {
        refuse(connection, group, &DatabaseError::Unsound);
        return;
    }
    let transaction = match Transaction::new_unchecked(connection, TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            refuse(connection, group, &error.into());
            return;
        }
    };
    let mut finished = Vec::with_capacity(group.len());
    let mut result = Ok(());
    let mut group = group.into_iter();
    while result.is_ok()
        && let Some(work) = group.next()
    {
        let done;
        (done, result) = run_in_savepoint(&transaction, work);
        finished.extend(done);
    }
    let result = match result {
        Ok(()) => transaction.commit().map_err(|error| {
            *unsound |= is_failed_sync(&error);
            DatabaseError::from(error)
        }),
        Err(error) => {
            drop(transaction);
            Err(error)
        }
    };
    if !connection.is_autocommit() {
        // A commit that failed leaves the transaction open; the next one must begin with what is on the disk.
        *unsound |= connection.execute_batch("ROLLBACK").is_err();
    }
    if let Err(error) = &result {
        refuse(connection, group.collect(), error);
    }
    for done in finished {
        let outcome = if done.keep { result.clone() } else { Ok(()) };
        // What `after` does is ours; should it panic all the same, the others still get their answers.
        let _ = catch_unwind(AssertUnwindSafe(|| (done.finish)(outcome)));
    }
}

/// Runs one request so that it can be undone without its neighbours.
fn run_in_savepoint(transaction: &Transaction<'_>, work: InTransaction) -> (Option<Done>, Result<(), DatabaseError>) {
    if let Err(error) = transaction.execute_batch("SAVEPOINT request") {
        return (None, Err(error.into()));
    }
    let done = catch_unwind(AssertUnwindSafe(|| work(transaction))).ok();
    if transaction.is_autocommit() {
        // A full disk or a failing one makes SQLite undo the whole transaction, the neighbours' work as well.
        return (done, Err(DatabaseError::UndoneTogether));
    }
    let keep = done.as_ref().is_some_and(|done| done.keep);
    let end = if keep { "RELEASE request" } else { "ROLLBACK TO request; RELEASE request" };
    (done, transaction.execute_batch(end).map_err(DatabaseError::from))
}

/// Lets each request fail against a transaction that is thrown away, so that each hears of it in its own type of error.
fn refuse(connection: &Connection, group: Vec<InTransaction>, reason: &DatabaseError) {
    let Ok(transaction) = connection.unchecked_transaction() else { return };
    for work in group {
        let _ = catch_unwind(AssertUnwindSafe(|| (work(&transaction).finish)(Err(reason.clone()))));
    }
}

fn is_failed_sync(error: &rusqlite::Error) -> bool {
    let syncs = [ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_DIR_FSYNC];
    error.sqlite_error().is_some_and(|failure| syncs.contains(&failure.extended_code))
}
