//! The kill switch.
//!
//! Its epoch is a number that only rises: odd while everything is stopped, even while work goes on. Who borrows authority needs a
//! [`Permit`], which says that the epoch was read within the last second and was even; announcing a lease checks it again in the
//! transaction that records it. So once a kill is acknowledged, no lease begins.
//!
//! A kill stops this process first and is recorded then: it works with a full disk, without a network and without anybody to ask. What
//! can't be read counts as stopped. To go on takes a second deliberate act, which names the epoch that it ends.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::Count;
use rusqlite::{OptionalExtension as _, Transaction, params};

use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::ledger::{Cause, Event, Ledger, LedgerError, Record};

/// How old the reading may be that a lease begins with.
pub const FRESH: Duration = Duration::from_secs(1);

/// The file beside the stop file that takes up work again, once.
pub const ARM_FILE: &str = "ARM";

/// How often the two files are looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// Why nothing may be borrowed, or the switch can't be moved.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EpochError {
    /// It is stopped.
    #[error("Keyblind is stopped (epoch {epoch}): `keyblind-broker arm` takes up work again")]
    Stopped {
        /// The epoch.
        epoch: u64,
    },
    /// It was stopped in this process.
    #[error("Keyblind is stopped: `keyblind-broker arm` takes up work again")]
    StoppedHere,
    /// It was stopped in this process, and that could not be recorded.
    #[error("Keyblind is stopped in this process, which could not be recorded ({0}): don't start it again before the stop file is made")]
    StoppedUnrecorded(LedgerError),
    /// The reading is older than a second.
    #[error("the kill switch was read too long ago")]
    Stale,
    /// The stop file is there.
    #[error("`{0}` stops Keyblind as long as it is there")]
    StopFile(PathBuf),
    /// It moved since.
    #[error("the epoch is {found}, not {named}: somebody moved the kill switch meanwhile")]
    Moved {
        /// The one that was named.
        named: u64,
        /// The one there is.
        found: u64,
    },
    /// It can't be read or recorded, so it counts as stopped.
    #[error("the kill switch can't be read or moved, so everything counts as stopped: {0}")]
    Ledger(#[from] LedgerError),
}

impl From<DatabaseError> for EpochError {
    fn from(error: DatabaseError) -> Self {
        Self::Ledger(error.into())
    }
}

/// That the epoch was read, was even, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Permit {
    epoch: u64,
    read_at: Duration,
}

impl Permit {
    /// The epoch that was read.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }
}

/// What is to happen in the transaction of a kill: pending approvals are withdrawn, say.
pub type OnKill = Arc<dyn Fn(&Transaction<'_>, &Ledger, Cause) -> Result<(), LedgerError> + Send + Sync>;

/// The kill switch; clones share it.
#[derive(Clone)]
pub struct KillSwitch {
    database: Database,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    stop_file: Option<PathBuf>,
    /// How often this process was stopped: counted before anything is recorded.
    stops: Arc<AtomicU64>,
    /// How many of these stops there were when it was last armed: arming ends no later one.
    stops_ended: Arc<AtomicU64>,
    /// By what it was stopped when that could not be recorded.
    unrecorded: Arc<Mutex<Option<Cause>>>,
    on_kill: Arc<[OnKill]>,
}

impl KillSwitch {
    /// Takes the switch as the database has it. What is to happen with a kill happens in its transaction, in this order.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn open(
        database: Database,
        ledger: Ledger,
        clock: Arc<dyn Clock>,
        stop_file: Option<PathBuf>,
        on_kill: Vec<OnKill>,
    ) -> Result<Self, EpochError> {
        let now = clock.now().unix_millis();
        let epoch = database
            .transact(move |transaction| {
                let sql = "INSERT INTO lease_epoch (only_row, epoch, changed) VALUES (1, 0, ?1) ON CONFLICT DO NOTHING";
                transaction.execute(sql, [now]).map_err(DatabaseError::from)?;
                read(transaction)
            })
            .await?;
        let stops = Arc::new(AtomicU64::new(epoch % 2));
        Ok(Self {
            database,
            ledger,
            clock,
            stop_file,
            stops,
            stops_ended: Arc::default(),
            unrecorded: Arc::default(),
            on_kill: on_kill.into(),
        })
    }

    /// The epoch as the database has it.
    ///
    /// # Errors
    /// If it can't be read: then everything counts as stopped.
    pub async fn epoch(&self) -> Result<u64, EpochError> {
        self.database.transact(read).await
    }

    /// Since when the epoch is what it is, and what it is.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn since(&self) -> Result<(u64, Timestamp), EpochError> {
        self.database
            .transact(|transaction| {
                let row = transaction.query_row("SELECT epoch, changed FROM lease_epoch", [], |row| Ok((row.get(0)?, row.get(1)?)));
                let (epoch, changed) = row.map_err(DatabaseError::from)?;
                Ok((epoch, Timestamp::from_unix_millis(changed)))
            })
            .await
    }

    /// Whether everything is stopped, as far as this process knows: it never knows later than a kill is acknowledged.
    pub fn is_stopped(&self) -> bool {
        self.check_here().is_err()
    }

    /// Returns once everything is stopped.
    pub(crate) async fn stopped(&self) {
        while !self.is_stopped() {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Reads the switch for somebody who wants to borrow authority now.
    ///
    /// # Errors
    /// If it is stopped, or can't be read.
    pub async fn permit(&self) -> Result<Permit, EpochError> {
        // Before the reading: it is as old as its beginning.
        let read_at = self.clock.monotonic();
        self.check_here()?;
        let epoch = self.epoch().await?;
        if !epoch.is_multiple_of(2) {
            return Err(EpochError::Stopped { epoch });
        }
        self.check_here()?;
        Ok(Permit { epoch, read_at })
    }

    /// Whether a permit still holds: right before a call is made.
    ///
    /// # Errors
    /// If it is older than a second, or everything was stopped since.
    pub fn check(&self, permit: &Permit) -> Result<(), EpochError> {
        self.check_here()?;
        if self.clock.monotonic().saturating_sub(permit.read_at) > FRESH { Err(EpochError::Stale) } else { Ok(()) }
    }

    /// Whether a permit holds in the transaction that is to record what it permits.
    ///
    /// # Errors
    /// As [`Self::check`], and if the epoch moved.
    pub fn check_in(&self, transaction: &Transaction<'_>, permit: &Permit) -> Result<(), EpochError> {
        self.check(permit)?;
        let epoch = read(transaction)?;
        match epoch {
            _ if !epoch.is_multiple_of(2) => Err(EpochError::Stopped { epoch }),
            _ if epoch != permit.epoch => Err(EpochError::Moved { named: permit.epoch, found: epoch }),
            _ => Ok(()),
        }
    }

    /// Records something if the permit holds in the same transaction: nothing that was permitted is recorded after a kill.
    ///
    /// # Errors
    /// As [`Self::check_in`], and if it can't be recorded.
    pub(super) async fn record_permitted(&self, permit: &Permit, record: Record) -> Result<(), EpochError> {
        let (switch, ledger, permit) = (self.clone(), self.ledger.clone(), *permit);
        self.database
            .transact(move |transaction| {
                switch.check_in(transaction, &permit)?;
                ledger.append_in(transaction, record)?;
                Ok(())
            })
            .await
    }

    /// Whether everything is stopped, for what is recorded either way.
    pub(super) fn is_stopped_in(&self, transaction: &Transaction<'_>) -> Result<bool, EpochError> {
        Ok(self.check_here().is_err() || !read(transaction)?.is_multiple_of(2))
    }

    fn check_here(&self) -> Result<(), EpochError> {
        if let Some(file) = self.stop_file.as_deref().filter(|file| is_there(file)) {
            self.stops.fetch_add(1, Ordering::SeqCst);
            return Err(EpochError::StopFile(file.to_owned()));
        }
        // Even epochs don't count any more, whatever the database says: the kill may not be recorded yet.
        let is_stopped_here = self.stops.load(Ordering::SeqCst) != self.stops_ended.load(Ordering::SeqCst);
        if is_stopped_here { Err(EpochError::StoppedHere) } else { Ok(()) }
    }

    /// Stops everything. When this returns, no lease begins any more: not even if it returns an error.
    ///
    /// # Errors
    /// If it could not be recorded. This process is stopped all the same.
    pub async fn kill(&self, by: Cause) -> Result<u64, EpochError> {
        self.stops.fetch_add(1, Ordering::SeqCst);
        *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner) = Some(by);
        let (ledger, on_kill, now) = (self.ledger.clone(), Arc::clone(&self.on_kill), self.clock.now().unix_millis());
        let recorded = self.database.transact_alone(
            move |transaction| {
                let epoch = read_for_ledger(transaction)?;
                if !epoch.is_multiple_of(2) {
                    return Ok(epoch);
                }
                let next = epoch + 1;
                write(transaction, next, now)?;
                // What waits is withdrawn first: for whoever reads the ledger a kill has closed it, and what is closed isn't withdrawn.
                on_kill.iter().try_for_each(|hook| hook(transaction, &ledger, by))?;
                ledger.append_in(transaction, Record::of_broker(Event::Killed { epoch: Count::saturating(next), by }))?;
                // Every living lease ends: those of a provider that revokes are queued by this.
                let sql = "UPDATE leases SET state = 'ending', next_attempt = 0 WHERE state = 'live'";
                transaction.execute(sql, []).map_err(DatabaseError::from)?;
                Ok(next)
            },
            |_| {},
        );
        let epoch = recorded.await.map_err(EpochError::StoppedUnrecorded)?;
        *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner) = None;
        Ok(epoch)
    }

    /// Takes up work again. The epoch that this ends must be named: who arms has seen what was stopped.
    ///
    /// # Errors
    /// If another epoch is there, the stop file is, it can't be recorded, or this process was stopped again meanwhile.
    pub async fn arm(&self, epoch: u64, by: Cause) -> Result<u64, EpochError> {
        let stops = self.stops.load(Ordering::SeqCst);
        if let Some(file) = self.stop_file.as_deref().filter(|file| is_there(file)) {
            return Err(EpochError::StopFile(file.to_owned()));
        }
        let (ledger, now) = (self.ledger.clone(), self.clock.now().unix_millis());
        let next = self
            .database
            .transact_alone(
                move |transaction| {
                    let found = read(transaction)?;
                    if found != epoch || epoch.is_multiple_of(2) {
                        return Err(EpochError::Moved { named: epoch, found });
                    }
                    let next = epoch + 1;
                    write(transaction, next, now)?;
                    ledger.append_in(transaction, Record::of_broker(Event::Armed { epoch: Count::saturating(next), by }))?;
                    Ok(next)
                },
                |_| {},
            )
            .await?;
        self.stops_ended.fetch_max(stops, Ordering::SeqCst);
        // A stop that came meanwhile holds.
        self.check_here().map(|()| next)
    }

    /// Looks for the stop file until the returned future is dropped, and kills once when it appears. A file `ARM` beside where it would be
    /// takes up work again, once: whoever may write that folder could exchange the database as well.
    pub async fn watch_files(&self) {
        let Some(file) = self.stop_file.clone() else { return std::future::pending().await };
        let arm = file.with_file_name(ARM_FILE);
        let mut is_done = false;
        loop {
            if is_there(&file) {
                if !is_done {
                    // If it can't be recorded now, it is tried again; this process is stopped by the file alone.
                    is_done = self.kill(Cause::File).await.is_ok();
                }
            } else {
                is_done = false;
                // A stop that this process has seen and that could not be recorded, or whose file was gone too soon, is recorded first.
                if self.is_stopped() && self.epoch().await.is_ok_and(|epoch| epoch.is_multiple_of(2)) {
                    let by = *self.unrecorded.lock().unwrap_or_else(PoisonError::into_inner);
                    let _ = self.kill(by.unwrap_or(Cause::File)).await;
                }
                if is_there(&arm) {
                    // Whoever made it sees by its end that it was seen; one that ends no stop must not end a later one.
                    if let Ok(epoch) = self.epoch().await {
                        let _ = self.arm(epoch, Cause::File).await;
                    }
                    let _ = std::fs::remove_file(&arm);
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// A link that leads nowhere is there, and what can't be looked at counts as there.
fn is_there(file: &Path) -> bool {
    match file.symlink_metadata() {
        Ok(_) => true,
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    }
}

fn read(transaction: &Transaction<'_>) -> Result<u64, EpochError> {
    read_for_ledger(transaction).map_err(EpochError::from)
}

fn read_for_ledger(transaction: &Transaction<'_>) -> Result<u64, LedgerError> {
    let epoch = transaction.query_row("SELECT epoch FROM lease_epoch", [], |row| row.get(0)).optional().map_err(DatabaseError::from)?;
    epoch.ok_or_else(|| DatabaseError::Unexpected("no kill switch").into())
}

fn write(transaction: &Transaction<'_>, epoch: u64, now: u64) -> Result<(), LedgerError> {
    transaction.execute("UPDATE lease_epoch SET epoch = ?1, changed = ?2", params![epoch, now]).map_err(DatabaseError::from)?;
    Ok(())
}
