//! The store's rows in the database, and the manifest over all of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::{digest, hmac};
use rusqlite::{OptionalExtension as _, Row as SqlRow, Transaction, params};

use super::seal::context;
use super::{KeyId, KeyOrigin, RecordKind, RecordName, VaultError};
use crate::database::DatabaseError;
use crate::secret::Secret;

/// One record as it lies in the database.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) id: [u8; 16],
    pub(super) name: RecordName,
    pub(super) version: u64,
    pub(super) changed: u64,
    pub(super) wrapped_key: Vec<u8>,
    pub(super) sealed: Vec<u8>,
}

impl Row {
    /// What the secret is bound to.
    pub(super) fn context(&self, store: &[u8; 16]) -> Vec<u8> {
        self.bound("keyblind vault record v1", store, &[])
    }

    /// What its data key is bound to.
    pub(super) fn key_context(&self, store: &[u8; 16], key: KeyId) -> Vec<u8> {
        self.bound("keyblind vault data key v1", store, &key.0)
    }

    fn bound(&self, domain: &str, store: &[u8; 16], key: &[u8]) -> Vec<u8> {
        let name = &self.name;
        let version = self.version.to_le_bytes();
        let parts: [&[u8]; 8] = [
            store,
            key,
            &self.id,
            name.tenant.as_bytes(),
            name.subject.as_bytes(),
            name.kind.as_str().as_bytes(),
            name.label.as_bytes(),
            &version,
        ];
        context(domain, &parts)
    }

    /// All columns.
    fn digest(&self) -> [u8; 32] {
        let mut bytes = self.bound("keyblind vault row v1", &[0; 16], &[]);
        bytes.extend(context("", &[&self.changed.to_le_bytes(), &self.wrapped_key, &self.sealed]));
        let mut result = [0; 32];
        result.copy_from_slice(digest::digest(&digest::SHA256, &bytes).as_ref());
        result
    }
}

/// What each row must look like.
#[derive(Clone)]
pub(super) struct Index {
    counter: u64,
    rows: Arc<BTreeMap<RecordName, [u8; 32]>>,
}

impl Index {
    pub(super) fn empty() -> Self {
        Self { counter: 0, rows: Arc::default() }
    }

    pub(super) fn of(counter: u64, rows: &[Row]) -> Self {
        Self { counter, rows: Arc::new(rows.iter().map(|row| (row.name.clone(), row.digest())).collect()) }
    }

    pub(super) fn counter(&self) -> u64 {
        self.counter
    }

    pub(super) fn rise(&mut self) -> Result<(), VaultError> {
        self.counter = self.counter.checked_add(1).ok_or(DatabaseError::Unexpected("a counter at its end"))?;
        Ok(())
    }

    pub(super) fn apply(&mut self, change: &Change) {
        let rows = Arc::make_mut(&mut self.rows);
        match change {
            Change::Write(row) => rows.insert(row.name.clone(), row.digest()),
            Change::Delete(name) => rows.remove(name),
        };
    }

    /// Whether a row that was just read is the one that was last written.
    pub(super) fn check(&self, row: &Row) -> Result<(), VaultError> {
        if self.rows.get(&row.name) == Some(&row.digest()) {
            Ok(())
        } else {
            Err(VaultError::Tampered("a record isn't what was last written"))
        }
    }

    /// Whether a row that wasn't found is rightly absent.
    pub(super) fn check_absent(&self, name: &RecordName) -> Result<(), VaultError> {
        if self.rows.contains_key(name) { Err(VaultError::Tampered("a record is gone")) } else { Ok(()) }
    }
}

/// A change of one row.
pub(super) enum Change {
    Write(Row),
    Delete(RecordName),
}

/// The store's own row.
pub(super) struct Header {
    pub(super) store: [u8; 16],
    pub(super) counter: u64,
    pub(super) key_id: KeyId,
    pub(super) origin: Option<KeyOrigin>,
    pub(super) wrapped: Vec<u8>,
    pub(super) manifest: [u8; 32],
}

/// What the manifest's key is bound to.
pub(super) fn manifest_key_context(store: &[u8; 16], key: KeyId) -> Vec<u8> {
    context("keyblind vault manifest key v1", &[store, &key.0])
}

fn manifest_text(store: &[u8; 16], key: KeyId, origin: Option<&KeyOrigin>, index: &Index) -> Vec<u8> {
    let origin = origin.map(origin_text).unwrap_or_default();
    let head: [&[u8]; 4] = [store, &key.0, origin.as_bytes(), &index.counter.to_le_bytes()];
    let mut text = context("keyblind vault manifest v1", &head);
    // A row's digest covers its name; the map's order makes the text unambiguous.
    index.rows.values().for_each(|digest| text.extend_from_slice(digest));
    text
}

fn mac_key(manifest_key: &Secret) -> hmac::Key {
    manifest_key.expose(|bytes| hmac::Key::new(hmac::HMAC_SHA256, bytes))
}

/// The MAC over the store as the index has it.
pub(super) fn manifest(key: &Secret, store: &[u8; 16], key_id: KeyId, origin: Option<&KeyOrigin>, index: &Index) -> [u8; 32] {
    let mut result = [0; 32];
    result.copy_from_slice(hmac::sign(&mac_key(key), &manifest_text(store, key_id, origin, index)).as_ref());
    result
}

/// Whether this is the manifest of such a store; takes as long for a wrong one.
pub(super) fn is_manifest(
    given: &[u8; 32],
    key: &Secret,
    store: &[u8; 16],
    key_id: KeyId,
    origin: Option<&KeyOrigin>,
    index: &Index,
) -> bool {
    hmac::verify(&mac_key(key), &manifest_text(store, key_id, origin, index), given).is_ok()
}

fn origin_text(origin: &KeyOrigin) -> String {
    // It is numbers and text: there always is a JSON text.
    serde_json::to_string(origin).unwrap_or_default()
}

fn integer(number: u64) -> Result<i64, DatabaseError> {
    i64::try_from(number).map_err(|_| DatabaseError::Unexpected("a number that is too large"))
}

pub(super) fn read_header(transaction: &Transaction<'_>) -> Result<Option<Header>, VaultError> {
    let sql = "SELECT store, counter, key_id, derivation, wrapped_manifest_key, manifest FROM vault_store";
    let header = transaction
        .query_row(sql, [], |row| {
            let origin: Option<String> = row.get(3)?;
            Ok((row.get(0)?, row.get(1)?, row.get(2)?, origin, row.get(4)?, row.get(5)?))
        })
        .optional()
        .map_err(DatabaseError::from)?;
    let Some((store, counter, key_id, origin, wrapped, manifest)) = header else { return Ok(None) };
    let origin = match origin {
        Some(text) => Some(serde_json::from_str(&text).map_err(|_| VaultError::Tampered("where its key is had from can't be read"))?),
        None => None,
    };
    Ok(Some(Header { store, counter, key_id: KeyId(key_id), origin, wrapped, manifest }))
}

pub(super) fn write_header(transaction: &Transaction<'_>, header: &Header) -> Result<(), VaultError> {
    let origin = header.origin.as_ref().map(origin_text);
    transaction
        .execute(
            "INSERT INTO vault_store (only_row, store, counter, key_id, derivation, wrapped_manifest_key, manifest)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6)",
            params![header.store, integer(header.counter)?, header.key_id.0, origin, header.wrapped, header.manifest],
        )
        .map_err(DatabaseError::from)?;
    Ok(())
}

pub(super) fn update_header(transaction: &Transaction<'_>, counter: u64, manifest: &[u8; 32]) -> Result<(), VaultError> {
    let changed = transaction
        .execute("UPDATE vault_store SET counter = ?1, manifest = ?2", params![integer(counter)?, manifest])
        .map_err(DatabaseError::from)?;
    if changed == 1 { Ok(()) } else { Err(VaultError::Tampered("the store's own row is gone")) }
}

pub(super) fn update_key(transaction: &Transaction<'_>, key: KeyId, origin: Option<&KeyOrigin>, wrapped: &[u8]) -> Result<(), VaultError> {
    transaction
        .execute(
            "UPDATE vault_store SET key_id = ?1, derivation = ?2, wrapped_manifest_key = ?3",
            params![key.0, origin.map(origin_text), wrapped],
        )
        .map_err(DatabaseError::from)?;
    Ok(())
}

pub(super) fn write_change(transaction: &Transaction<'_>, change: &Change) -> Result<(), VaultError> {
    let affected = match change {
        Change::Write(row) => transaction.execute(
            "INSERT INTO vault_records (id, tenant, subject, kind, label, version, changed, wrapped_key, sealed)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
             ON CONFLICT (id) DO UPDATE SET version = ?6, changed = ?7, wrapped_key = ?8, sealed = ?9",
            params![
                row.id,
                row.name.tenant,
                row.name.subject,
                row.name.kind.as_str(),
                row.name.label,
                integer(row.version)?,
                integer(row.changed)?,
                row.wrapped_key,
                row.sealed
            ],
        ),
        Change::Delete(name) => transaction.execute(
            "DELETE FROM vault_records WHERE tenant = ?1 AND subject = ?2 AND kind = ?3 AND label = ?4",
            params![name.tenant, name.subject, name.kind.as_str(), name.label],
        ),
    }
    .map_err(DatabaseError::from)?;
    if affected == 1 { Ok(()) } else { Err(VaultError::Tampered("a record is gone")) }
}

const COLUMNS: &str = "SELECT id, tenant, subject, kind, label, version, changed, wrapped_key, sealed FROM vault_records";

fn read(row: &SqlRow<'_>) -> rusqlite::Result<Option<Row>> {
    let kind: String = row.get(3)?;
    let Some(kind) = RecordKind::from_name(&kind) else { return Ok(None) };
    Ok(Some(Row {
        id: row.get(0)?,
        name: RecordName { tenant: row.get(1)?, subject: row.get(2)?, kind, label: row.get(4)? },
        version: row.get(5)?,
        changed: row.get(6)?,
        wrapped_key: row.get(7)?,
        sealed: row.get(8)?,
    }))
}

fn known(row: Option<Row>) -> Result<Row, VaultError> {
    row.ok_or(VaultError::Tampered("a record is of a kind that this broker doesn't know"))
}

pub(super) fn read_all(transaction: &Transaction<'_>) -> Result<Vec<Row>, VaultError> {
    let mut statement = transaction.prepare(COLUMNS).map_err(DatabaseError::from)?;
    let rows = statement.query_map([], read).map_err(DatabaseError::from)?;
    rows.map(|row| known(row.map_err(DatabaseError::from)?)).collect()
}

pub(super) fn read_of_tenant(transaction: &Transaction<'_>, tenant: &str) -> Result<Vec<Row>, VaultError> {
    let mut statement =
        transaction.prepare(&format!("{COLUMNS} WHERE tenant = ?1 ORDER BY subject, kind, label")).map_err(DatabaseError::from)?;
    let rows = statement.query_map([tenant], read).map_err(DatabaseError::from)?;
    rows.map(|row| known(row.map_err(DatabaseError::from)?)).collect()
}

pub(super) fn read_one(transaction: &Transaction<'_>, name: &RecordName) -> Result<Option<Row>, VaultError> {
    let sql = format!("{COLUMNS} WHERE tenant = ?1 AND subject = ?2 AND kind = ?3 AND label = ?4");
    let parameters = params![name.tenant, name.subject, name.kind.as_str(), name.label];
    let row = transaction.prepare_cached(&sql).and_then(|mut statement| statement.query_row(parameters, read).optional());
    row.map_err(DatabaseError::from)?.map(known).transpose()
}
