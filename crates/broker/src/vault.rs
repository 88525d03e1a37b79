//! The sealed store: what the broker must keep (refresh tokens, keys, hooks) and nobody else may read.
//!
//! Each version of each record is encrypted with a data key of its own, which is used for nothing else; the data key is wrapped by
//! the store's key-encryption key, which never lies in the database. What is encrypted is bound to the store, the record's id,
//! tenant, subject, kind, label and version, so that no row can take another's place. A manifest, a MAC over the store's counter
//! and over every row, is checked when the store is opened, and each row again when it is read: a changed, missing, added,
//! exchanged or older row is refused, even if it was sound once.
//!
//! Cipher: AES-256-GCM-SIV (RFC 8452) with random nonces. A data key encrypts once, so its nonce can't repeat. The
//! key-encryption key wraps one key per change of a record: at 2^32 of them the chance of a repeated 96-bit nonce is 2^-33, and what
//! a repetition would tell is only whether two wrapped keys are equal, which random keys aren't.
//!
//! What a file alone can't know: whether the *whole* file was replaced by an older copy of itself. [`Vault::version`] is what
//! to compare with from outside; [`restore()`] does.

mod keyring;
mod keys;
mod restore;
mod rows;
mod seal;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use data_encoding::HEXLOWER;

pub use self::keyring::{Keyring, KeyringError};
pub(crate) use self::keys::read_private_file;
pub use self::keys::{
    Derivation, KeyEncryptionKey, KeyError, KeyFuture, KeyId, KeyOrigin, LONGEST_PASSPHRASE, LONGEST_WRAPPED, LocalKey, SessionKeyring,
    WrappedKey, create_key_file, derive_from_passphrase, read_key_file, read_passphrase_file,
};
pub use self::restore::{RestoreError, Restored, restore};
use self::rows::{Change, Index, Row};
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::secret::Secret;

/// Bytes of the largest secret that is kept.
pub const LARGEST_SECRET: usize = 64 * 1024;
/// Bytes of each part of a record's name.
const LONGEST_NAME: usize = 256;

/// Why the sealed store refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The database refused.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The key-encryption key refused.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// There is no store in the database yet.
    #[error("the database has no sealed store yet")]
    NotCreated,
    /// There is one already.
    #[error("the database has a sealed store already")]
    AlreadyCreated,
    /// The key isn't the store's.
    #[error("this is key {given}, the store is sealed with key {wanted}")]
    OtherKey {
        /// The one that was given.
        given: KeyId,
        /// The store's.
        wanted: KeyId,
    },
    /// Somebody changed the store.
    #[error("the sealed store was changed by somebody else: {0}. Nothing of it is used; restore a backup, and revoke what was in it")]
    Tampered(&'static str),
    /// There is no such record.
    #[error("there is no such record")]
    NotFound,
    /// It isn't the version that the change was meant for.
    #[error("the record has version {found}, not {expected}: somebody else changed it meanwhile")]
    OtherVersion {
        /// What was expected; 0: none.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// The secret is larger than is kept.
    #[error("the secret has {0} bytes; at most {LARGEST_SECRET} are kept")]
    TooLarge(usize),
    /// A name is empty or too long.
    #[error("a record's tenant, subject and label have 1 to {LONGEST_NAME} bytes each")]
    Name,
}

/// What a record is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// The key with which the ledger's checkpoints are signed.
    LedgerKey,
    /// A borrowed token, for as long as it may have to be revoked.
    Lease,
    /// A GitHub App's private key.
    GithubAppKey,
    /// A client's secret or private key at an identity provider.
    ClientCredential,
    /// A refresh token.
    RefreshToken,
    /// The key of a model's provider.
    ModelKey,
    /// A chat's incoming webhook.
    ChatHook,
    /// A token that somebody made by hand.
    PersonalToken,
    /// What a question on somebody's device is polled with.
    DeviceQuestion,
    /// The broker's own keys at AWS, or the key that signs its word there.
    AwsBase,
}

impl RecordKind {
    const ALL: [Self; 10] = [
        Self::LedgerKey,
        Self::Lease,
        Self::GithubAppKey,
        Self::ClientCredential,
        Self::RefreshToken,
        Self::ModelKey,
        Self::ChatHook,
        Self::PersonalToken,
        Self::DeviceQuestion,
        Self::AwsBase,
    ];

    /// Its name, as it stands in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LedgerKey => "ledger-key",
            Self::Lease => "lease",
            Self::GithubAppKey => "github-app-key",
            Self::ClientCredential => "client-credential",
            Self::RefreshToken => "refresh-token",
            Self::ModelKey => "model-key",
            Self::ChatHook => "chat-hook",
            Self::PersonalToken => "personal-token",
            Self::DeviceQuestion => "device-question",
            Self::AwsBase => "aws-base",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }
}

/// What a record is called: there is one record of a name at most.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RecordName {
    tenant: String,
    subject: String,
    kind: RecordKind,
    label: String,
}

impl RecordName {
    /// Names a record of a tenant's subject; the label tells records of one kind apart.
    ///
    /// # Errors
    /// If a part is empty or too long.
    pub fn new(
        tenant: impl Into<String>,
        subject: impl Into<String>,
        kind: RecordKind,
        label: impl Into<String>,
    ) -> Result<Self, VaultError> {
        let name = Self { tenant: tenant.into(), subject: subject.into(), kind, label: label.into() };
        let is_sound = |part: &String| (1..=LONGEST_NAME).contains(&part.len());
        if [&name.tenant, &name.subject, &name.label].into_iter().all(is_sound) { Ok(name) } else { Err(VaultError::Name) }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// For whom it is kept.
    pub fn subject(&self) -> &str {
        &self.subject
    }

    /// What it is for.
    pub fn kind(&self) -> RecordKind {
        self.kind
    }

    /// What tells it from others of its kind.
    pub fn label(&self) -> &str {
        &self.label
    }
}

/// Which state of which store: to be noted outside of the database, so that an older copy is known as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreVersion {
    /// The store's random id.
    pub store: [u8; 16],
    /// Rises with each change.
    pub counter: u64,
}

/// A store's random id: what names it to whoever wraps or keeps its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreId(pub [u8; 16]);

impl StoreId {
    /// That of a store that is yet to be made.
    ///
    /// # Errors
    /// If the system gives no randomness.
    pub fn new() -> Result<Self, KeyError> {
        seal::random().map(Self)
    }
}

impl fmt::Display for StoreId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

/// What a store says of its key before it is opened: nothing of it is certain before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// The store.
    pub store: StoreId,
    /// Its key.
    pub key: KeyId,
    /// Where that is had from, if not from a file.
    pub origin: Option<KeyOrigin>,
}

/// What is known while the store is open, changed only by the database's thread after a change is durable.
struct Known {
    index: Index,
    key: Arc<dyn KeyEncryptionKey>,
}

/// The sealed store of one database.
pub struct Vault {
    database: Database,
    clock: Arc<dyn Clock>,
    store: [u8; 16],
    manifest_key: Arc<Secret>,
    known: Arc<Mutex<Known>>,
    /// Changes are made one after the other: each manifest is made from the one before.
    changes: tokio::sync::Mutex<()>,
}

fn locked(known: &Mutex<Known>) -> MutexGuard<'_, Known> {
    // Nothing panics while it holds this.
    known.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Vault {
    /// Makes a store in a database that has none.
    ///
    /// # Errors
    /// If there is one, or the key or the database refuses.
    pub async fn create(database: Database, key: Arc<dyn KeyEncryptionKey>, clock: Arc<dyn Clock>) -> Result<Self, VaultError> {
        Self::create_as(StoreId::new()?, database, key, clock).await
    }

    /// Makes a store whose id somebody knows already: whoever wrapped or keeps its key.
    ///
    /// # Errors
    /// As [`Self::create`].
    pub async fn create_as(
        StoreId(store): StoreId,
        database: Database,
        key: Arc<dyn KeyEncryptionKey>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, VaultError> {
        let manifest_key = seal::random_key()?;
        let wrapped = key.wrap(&manifest_key, &rows::manifest_key_context(&store, key.id())).await?;
        let index = Index::empty();
        let manifest = rows::manifest(&manifest_key, &store, key.id(), key.origin(), &index);
        let header = rows::Header { store, counter: 0, key_id: key.id(), origin: key.origin().cloned(), wrapped, manifest };
        database
            .transact(move |transaction| {
                if rows::read_header(transaction)?.is_some() {
                    Err(VaultError::AlreadyCreated)
                } else {
                    rows::write_header(transaction, &header)
                }
            })
            .await?;
        Self::open(database, key, clock).await
    }

    /// Opens a database's store, and checks all of it.
    ///
    /// # Errors
    /// If there is none, the key isn't its key, or anything in it was changed by somebody else.
    pub async fn open(database: Database, key: Arc<dyn KeyEncryptionKey>, clock: Arc<dyn Clock>) -> Result<Self, VaultError> {
        let (header, rows) = database
            .transact(|transaction| {
                let header = rows::read_header(transaction)?.ok_or(VaultError::NotCreated)?;
                Ok::<_, VaultError>((header, rows::read_all(transaction)?))
            })
            .await?;
        if header.key_id != key.id() {
            return Err(VaultError::OtherKey { given: key.id(), wanted: header.key_id });
        }
        if header.origin.as_ref() != key.origin() {
            return Err(VaultError::Tampered("the key comes from somewhere else than the store says"));
        }
        let context = rows::manifest_key_context(&header.store, key.id());
        let manifest_key = key.unwrap(&header.wrapped, &context).await.map_err(|error| match error {
            KeyError::Refused => VaultError::Tampered("the manifest's key doesn't open"),
            other => other.into(),
        })?;
        let index = Index::of(header.counter, &rows);
        if !rows::is_manifest(&header.manifest, &manifest_key, &header.store, key.id(), key.origin(), &index) {
            return Err(VaultError::Tampered("the manifest doesn't match the records"));
        }
        Ok(Self {
            database,
            clock,
            store: header.store,
            manifest_key: Arc::new(manifest_key),
            known: Arc::new(Mutex::new(Known { index, key })),
            changes: tokio::sync::Mutex::new(()),
        })
    }

    /// What a database's store says of its key.
    ///
    /// # Errors
    /// If there is no store, or what it says is out of bounds.
    pub async fn sealed(database: &Database) -> Result<Sealed, VaultError> {
        database
            .transact(|transaction| {
                let rows::Header { store, key_id, origin, .. } = rows::read_header(transaction)?.ok_or(VaultError::NotCreated)?;
                Ok(Sealed { store: StoreId(store), key: key_id, origin })
            })
            .await
    }

    /// Which store it is.
    pub fn id(&self) -> StoreId {
        StoreId(self.store)
    }

    /// Which state this is, to be noted outside.
    pub fn version(&self) -> StoreVersion {
        StoreVersion { store: self.store, counter: locked(&self.known).index.counter() }
    }

    /// Keeps a secret, instead of the one that the record had. Returns the record's new version.
    ///
    /// # Errors
    /// If it is too large, or the key or the database refuses.
    pub async fn put(&self, name: &RecordName, secret: &Secret) -> Result<u64, VaultError> {
        let turn = self.changes.lock().await;
        let row = self.find(name).await?;
        self.seal_and_write(name, row, secret, &turn).await
    }

    /// Keeps a secret if the record still has that version (0: if there is none): who refreshed a token that somebody else refreshed
    /// meanwhile must not write over the newer one.
    ///
    /// # Errors
    /// If it has another, and as [`Self::put`].
    pub async fn replace(&self, name: &RecordName, expected: u64, secret: &Secret) -> Result<u64, VaultError> {
        let turn = self.changes.lock().await;
        let row = self.find(name).await?;
        let found = row.as_ref().map_or(0, |row| row.version);
        if found != expected {
            return Err(VaultError::OtherVersion { expected, found });
        }
        self.seal_and_write(name, row, secret, &turn).await
    }

    /// Gives a record's version and its secret.
    ///
    /// # Errors
    /// If there is none, or it was changed by somebody else.
    pub async fn get(&self, name: &RecordName) -> Result<(u64, Secret), VaultError> {
        let (row, key) = self.find_with_key(name).await?;
        let row = row.ok_or(VaultError::NotFound)?;
        let secret = open_row(&self.store, &*key, &row).await?;
        Ok((row.version, secret))
    }

    /// The names and versions of a tenant's records.
    ///
    /// # Errors
    /// If the database refuses, or a record was changed by somebody else.
    pub async fn list(&self, tenant: &str) -> Result<Vec<(RecordName, u64)>, VaultError> {
        let (tenant, known) = (tenant.to_owned(), Arc::clone(&self.known));
        self.database
            .transact(move |transaction| {
                let rows = rows::read_of_tenant(transaction, &tenant)?;
                let known = locked(&known);
                rows.into_iter().map(|row| known.index.check(&row).map(|()| (row.name.clone(), row.version))).collect()
            })
            .await
    }

    /// Forgets a record. What remains of it in the file is overwritten.
    ///
    /// # Errors
    /// If there is none, or the database refuses.
    pub async fn delete(&self, name: &RecordName) -> Result<(), VaultError> {
        let turn = self.changes.lock().await;
        let row = self.find(name).await?.ok_or(VaultError::NotFound)?;
        self.write(vec![Change::Delete(row.name)], None, &turn).await?;
        self.database.checkpoint().await?;
        Ok(())
    }

    /// Encrypts a record anew, with a new data key.
    ///
    /// # Errors
    /// If there is none, or the key or the database refuses.
    pub async fn renew_data_key(&self, name: &RecordName) -> Result<u64, VaultError> {
        let turn = self.changes.lock().await;
        let (row, key) = self.find_with_key(name).await?;
        let row = row.ok_or(VaultError::NotFound)?;
        let secret = open_row(&self.store, &*key, &row).await?;
        self.seal_and_write(name, Some(row), &secret, &turn).await
    }

    /// Wraps all data keys with another key-encryption key: all at once, or not at all. The old key opens nothing of the file
    /// afterwards; it still opens the copies that were made before.
    ///
    /// # Errors
    /// If one of the keys or the database refuses; the old key is then still the store's.
    pub async fn change_key(&self, new: Arc<dyn KeyEncryptionKey>) -> Result<(), VaultError> {
        let turn = self.changes.lock().await;
        let known = Arc::clone(&self.known);
        let (rows, old) = self
            .database
            .transact(move |transaction| {
                let rows = rows::read_all(transaction)?;
                let known = locked(&known);
                rows.iter().try_for_each(|row| known.index.check(row))?;
                Ok::<_, VaultError>((rows, Arc::clone(&known.key)))
            })
            .await?;
        let mut changes = Vec::with_capacity(rows.len());
        for mut row in rows {
            let data_key = old.unwrap(&row.wrapped_key, &row.key_context(&self.store, old.id())).await?;
            row.wrapped_key = new.wrap(&data_key, &row.key_context(&self.store, new.id())).await?;
            changes.push(Change::Write(row));
        }
        let wrapped = new.wrap(&self.manifest_key, &rows::manifest_key_context(&self.store, new.id())).await?;
        self.write(changes, Some((new, wrapped)), &turn).await?;
        self.database.checkpoint().await?;
        Ok(())
    }

    async fn find(&self, name: &RecordName) -> Result<Option<Row>, VaultError> {
        Ok(self.find_with_key(name).await?.0)
    }

    async fn find_with_key(&self, name: &RecordName) -> Result<(Option<Row>, Arc<dyn KeyEncryptionKey>), VaultError> {
        let (name, known) = (name.clone(), Arc::clone(&self.known));
        self.database
            .transact(move |transaction| {
                let row = rows::read_one(transaction, &name)?;
                // On the database's thread, so that what is known is exactly what was last made durable.
                let known = locked(&known);
                match &row {
                    Some(row) => known.index.check(row)?,
                    None => known.index.check_absent(&name)?,
                }
                Ok((row, Arc::clone(&known.key)))
            })
            .await
    }

    async fn seal_and_write(
        &self,
        name: &RecordName,
        old: Option<Row>,
        secret: &Secret,
        turn: &tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<u64, VaultError> {
        if secret.len() > LARGEST_SECRET {
            return Err(VaultError::TooLarge(secret.len()));
        }
        let id = match &old {
            Some(row) => row.id,
            None => seal::random()?,
        };
        let version = old.map_or(0, |row| row.version) + 1;
        let mut row =
            Row { id, name: name.clone(), version, changed: self.clock.now().unix_millis(), wrapped_key: Vec::new(), sealed: Vec::new() };
        let data_key = seal::random_key()?;
        row.sealed = seal::seal(&data_key, &row.context(&self.store), secret)?;
        let key = Arc::clone(&locked(&self.known).key);
        row.wrapped_key = key.wrap(&data_key, &row.key_context(&self.store, key.id())).await?;
        self.write(vec![Change::Write(row)], None, turn).await?;
        Ok(version)
    }

    /// Writes changes, the counter and the manifest at once. The turn is asked for so that nobody forgets to wait for it.
    async fn write(
        &self,
        changes: Vec<Change>,
        new_key: Option<(Arc<dyn KeyEncryptionKey>, Vec<u8>)>,
        _turn: &tokio::sync::MutexGuard<'_, ()>,
    ) -> Result<(), VaultError> {
        let (known, after) = (Arc::clone(&self.known), Arc::clone(&self.known));
        let (store, manifest_key) = (self.store, Arc::clone(&self.manifest_key));
        self.database
            .transact_alone(
                move |transaction| {
                    let (mut index, old_key) = {
                        let known = locked(&known);
                        (known.index.clone(), Arc::clone(&known.key))
                    };
                    for change in &changes {
                        rows::write_change(transaction, change)?;
                        index.apply(change);
                    }
                    index.rise()?;
                    let (key, wrapped) = new_key.map_or((old_key, None), |(key, wrapped)| (key, Some(wrapped)));
                    let manifest = rows::manifest(&manifest_key, &store, key.id(), key.origin(), &index);
                    rows::update_header(transaction, index.counter(), &manifest)?;
                    if let Some(wrapped) = wrapped {
                        rows::update_key(transaction, key.id(), key.origin(), &wrapped)?;
                    }
                    Ok((index, key))
                },
                move |(index, key): &(Index, Arc<dyn KeyEncryptionKey>)| {
                    let mut known = locked(&after);
                    known.index = index.clone();
                    known.key = Arc::clone(key);
                },
            )
            .await
            .map(drop)
    }
}

async fn open_row(store: &[u8; 16], key: &dyn KeyEncryptionKey, row: &Row) -> Result<Secret, VaultError> {
    let tampered = VaultError::Tampered("a record doesn't open");
    let data_key = key.unwrap(&row.wrapped_key, &row.key_context(store, key.id())).await.map_err(|error| match error {
        KeyError::Refused => tampered.clone(),
        other => other.into(),
    })?;
    seal::open(&data_key, &row.context(store), &row.sealed).map_err(|_| tampered)
}
