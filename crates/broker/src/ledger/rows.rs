//! The ledger's rows in the database.

use keyblind_intent::{Digest, RequestId};
use keyblind_ledger::{Checkpoint, Entry, EntryHash, Who};
use rusqlite::{OptionalExtension as _, Params, Transaction, params};

use super::LedgerError;
use crate::database::DatabaseError;

const UNREADABLE: LedgerError = LedgerError::Tampered("an entry can't be read");

fn database<T>(result: rusqlite::Result<T>) -> Result<T, LedgerError> {
    result.map_err(|error| DatabaseError::from(error).into())
}

fn hash(bytes: [u8; 32]) -> EntryHash {
    EntryHash(Digest::from_bytes(bytes))
}

pub(super) fn instance(transaction: &Transaction<'_>) -> Result<Option<RequestId>, LedgerError> {
    let text: Option<String> = database(transaction.query_row("SELECT instance FROM ledger", [], |row| row.get(0)).optional())?;
    text.map(|text| text.parse().map_err(|_| LedgerError::Tampered("the instance isn't one"))).transpose()
}

pub(super) fn create(transaction: &Transaction<'_>, instance: RequestId) -> Result<(), LedgerError> {
    database(transaction.execute("INSERT INTO ledger (only_row, instance) VALUES (1, ?1)", [instance.to_string()]).map(drop))
}

pub(super) fn head(transaction: &Transaction<'_>) -> Result<Option<(u64, EntryHash)>, LedgerError> {
    let sql = "SELECT sequence, hash FROM ledger_entries ORDER BY sequence DESC LIMIT 1";
    let mut statement = database(transaction.prepare_cached(sql))?;
    database(statement.query_row([], |row| Ok((row.get(0)?, hash(row.get(1)?)))).optional())
}

pub(super) fn hash_of(transaction: &Transaction<'_>, sequence: u64) -> Result<Option<EntryHash>, LedgerError> {
    let row = transaction.query_row("SELECT hash FROM ledger_entries WHERE sequence = ?1", [sequence], |row| row.get(0));
    Ok(database(row.optional())?.map(hash))
}

pub(super) fn insert(transaction: &Transaction<'_>, entry: &Entry, bytes: &[u8], hash: &EntryHash) -> Result<(), LedgerError> {
    let sql = "INSERT INTO ledger_entries (sequence, hash, entry, tenant, subject, mission) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
    let who = entry.who.as_ref();
    let mut statement = database(transaction.prepare_cached(sql))?;
    let parameters = params![
        entry.sequence.get(),
        hash.as_bytes(),
        bytes,
        who.map(|who| who.tenant.as_str()),
        who.map(|who| who.subject.as_str()),
        entry.mission.map(|mission| mission.to_string())
    ];
    database(statement.execute(parameters).map(drop))
}

pub(super) fn insert_checkpoint(transaction: &Transaction<'_>, sequence: u64, bytes: &[u8]) -> Result<(), LedgerError> {
    let sql = "INSERT INTO ledger_checkpoints (sequence, checkpoint) VALUES (?1, ?2)";
    database(transaction.execute(sql, params![sequence, bytes]).map(drop))
}

pub(super) fn has_checkpoint(transaction: &Transaction<'_>, sequence: u64) -> Result<bool, LedgerError> {
    database(transaction.query_row("SELECT EXISTS (SELECT 1 FROM ledger_checkpoints WHERE sequence = ?1)", [sequence], |row| row.get(0)))
}

fn checkpoint(bytes: &[u8]) -> Result<Checkpoint, LedgerError> {
    keyblind_intent::decode(bytes).map_err(|_| LedgerError::Tampered("a checkpoint can't be read"))
}

pub(super) fn last_checkpoint(transaction: &Transaction<'_>) -> Result<Option<Checkpoint>, LedgerError> {
    let sql = "SELECT checkpoint FROM ledger_checkpoints ORDER BY sequence DESC LIMIT 1";
    let bytes: Option<Vec<u8>> = database(transaction.query_row(sql, [], |row| row.get(0)).optional())?;
    bytes.map(|bytes| checkpoint(&bytes)).transpose()
}

/// The checkpoints of entries in a range.
pub(super) fn checkpoints(transaction: &Transaction<'_>, after: u64, last: u64) -> Result<Vec<Checkpoint>, LedgerError> {
    let sql = "SELECT checkpoint FROM ledger_checkpoints WHERE sequence > ?1 AND sequence <= ?2 ORDER BY sequence";
    let mut statement = database(transaction.prepare_cached(sql))?;
    let rows = database(statement.query_map([after, last], |row| row.get::<_, Vec<u8>>(0)))?;
    rows.map(|bytes| checkpoint(&database(bytes)?)).collect()
}

/// Number, hash, entry and its bytes.
pub(super) type Stored = (u64, EntryHash, Entry, Vec<u8>);

fn read(transaction: &Transaction<'_>, sql: &str, parameters: impl Params) -> Result<Vec<Stored>, LedgerError> {
    let mut statement = database(transaction.prepare_cached(sql))?;
    let rows = database(statement.query_map(parameters, |row| Ok((row.get(0)?, hash(row.get(1)?), row.get::<_, Vec<u8>>(2)?))))?;
    rows.map(|row| {
        let (number, hash, bytes) = database(row)?;
        let entry = keyblind_intent::decode(&bytes).map_err(|_| UNREADABLE)?;
        Ok((number, hash, entry, bytes))
    })
    .collect()
}

/// The entries after one.
pub(super) fn after(transaction: &Transaction<'_>, after: u64, most: u32) -> Result<Vec<Stored>, LedgerError> {
    let sql = "SELECT sequence, hash, entry FROM ledger_entries WHERE sequence > ?1 ORDER BY sequence LIMIT ?2";
    read(transaction, sql, params![after, most])
}

pub(super) fn of_subject(transaction: &Transaction<'_>, who: &Who, after: u64, most: u32) -> Result<Vec<Entry>, LedgerError> {
    let sql = "SELECT sequence, hash, entry FROM ledger_entries
               WHERE tenant = ?1 AND subject = ?2 AND sequence > ?3 ORDER BY sequence LIMIT ?4";
    let stored = read(transaction, sql, params![who.tenant.as_str(), who.subject.as_str(), after, most])?;
    Ok(stored.into_iter().map(|(_, _, entry, _)| entry).collect())
}

pub(super) fn of_mission(transaction: &Transaction<'_>, mission: RequestId, after: u64, most: u32) -> Result<Vec<Entry>, LedgerError> {
    let sql = "SELECT sequence, hash, entry FROM ledger_entries WHERE mission = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    let stored = read(transaction, sql, params![mission.to_string(), after, most])?;
    Ok(stored.into_iter().map(|(_, _, entry, _)| entry).collect())
}
