//! The ledger: what the broker did with borrowed authority, appended before it does it.
//!
//! [`Ledger::append`] answers after the entry is durable. If it can't be made durable (a full disk, say), it fails, and whoever wanted
//! to act doesn't: no append, no action. The form of entries, the chain and the verifier are `keyblind-ledger`'s; here they get
//! their place in the database, their number and their signatures.
//!
//! The signing key never leaves the sealed store but for the moment of a signature. A checkpoint is signed every
//! [`CHECKPOINT_EVERY`] entries and whenever somebody asks for one.

mod export;
mod handing_out;
mod rows;

use std::sync::Arc;

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use keyblind_intent::{Count, DocumentError, RequestId, UnixMillis};
pub use keyblind_ledger::{
    ApprovalMethod, CallResult, Cause, Code, Effect, Entry, EntryHash, Event, LeaseKind, LoginMethod, Origin, PublicKey, TokenEnd, Who,
};
use keyblind_ledger::{Checkpoint, Signature, Statement};
use rusqlite::Transaction;

pub use self::export::ExportForm;
pub use self::handing_out::HandingOut;
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::secret::Secret;
use crate::vault::{RecordKind, RecordName, Vault, VaultError};

/// How many entries there are between two checkpoints at most.
pub const CHECKPOINT_EVERY: u64 = 64;
/// How many entries are checked at once: it holds up nobody who appends for long.
const CHECKED_AT_ONCE: u32 = 1_000;

/// Why the ledger refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The database refused: nothing was recorded.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The sealed store refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// There is no ledger yet.
    #[error("the database has no ledger yet")]
    NotCreated,
    /// There is one already.
    #[error("the database has a ledger already")]
    AlreadyCreated,
    /// Somebody changed it.
    #[error("the ledger was changed by somebody else: {0}. Nothing is done before a human has looked: `keyblind ledger verify`")]
    Tampered(&'static str),
    /// An entry has no canonical form: a fault of ours.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// The signing key is none.
    #[error("the ledger's signing key can't be used")]
    SigningKey,
    /// An export can't be written.
    #[error("the export can't be written: {0}")]
    Write(std::io::ErrorKind),
    /// The identifier generator has failed.
    #[error("the system gives no random bytes")]
    NoRandomness,
}

/// What is to be recorded; the ledger adds the number, the time and the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// For whom it happens.
    pub who: Option<Who>,
    /// The mission that it belongs to.
    pub mission: Option<RequestId>,
    /// What.
    pub event: Event,
}

impl Record {
    /// Something that the broker does for itself.
    pub fn of_broker(event: Event) -> Self {
        Self { who: None, mission: None, event }
    }

    /// Something that happens for somebody.
    pub fn of(who: &Who, mission: Option<RequestId>, event: Event) -> Self {
        Self { who: Some(who.clone()), mission, event }
    }
}

/// Where an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Its number.
    pub sequence: u64,
    /// Its hash.
    pub hash: EntryHash,
}

/// The ledger of one database; clones share it.
#[derive(Clone)]
pub struct Ledger {
    database: Database,
    chain: Arc<Chain>,
}

/// What entries are chained and signed with.
struct Chain {
    instance: RequestId,
    key: PublicKey,
    seed: Secret,
    clock: Arc<dyn Clock>,
}

/// The name under which the sealed store keeps an instance's signing key.
fn key_name(instance: RequestId) -> Result<RecordName, VaultError> {
    RecordName::new("broker", "broker", RecordKind::LedgerKey, instance.to_string())
}

fn public_key(seed: &Secret) -> Result<PublicKey, LedgerError> {
    let pair = seed.expose(Ed25519KeyPair::from_seed_unchecked).map_err(|_| LedgerError::SigningKey)?;
    let bytes: &[u8; 32] = pair.public_key().as_ref().try_into().map_err(|_| LedgerError::SigningKey)?;
    PublicKey::from_bytes(bytes).map_err(|_| LedgerError::SigningKey)
}

/// A new random identifier.
pub(crate) fn new_id() -> Result<RequestId, LedgerError> {
    let mut bytes = [0; 16];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| LedgerError::NoRandomness)?;
    Ok(RequestId::from_bytes(bytes))
}

impl Ledger {
    /// Makes a ledger in a database that has none: a new instance with a new key.
    ///
    /// # Errors
    /// If there is one, or the database or the sealed store refuses.
    pub async fn create(database: Database, vault: &Vault, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let instance = new_id()?;
        let mut filled = Ok(());
        let seed = Secret::filled(32, |bytes| filled = aws_lc_rs::rand::fill(bytes));
        filled.map_err(|_| LedgerError::NoRandomness)?;
        if database.transact(rows::instance).await?.is_some() {
            return Err(LedgerError::AlreadyCreated);
        }
        // The key first: a ledger without a key could never be signed, a key without a ledger is only a row too many.
        vault.put(&key_name(instance)?, &seed).await?;
        database.transact(move |transaction| rows::create(transaction, instance)).await?;
        Self::open(database, vault, clock).await
    }

    /// Opens a database's ledger, and checks the chain from its last checkpoint on.
    ///
    /// # Errors
    /// If there is none, its key is gone, or somebody changed it.
    pub async fn open(database: Database, vault: &Vault, clock: Arc<dyn Clock>) -> Result<Self, LedgerError> {
        let instance = database.transact(rows::instance).await?.ok_or(LedgerError::NotCreated)?;
        let (_, seed) = vault.get(&key_name(instance)?).await.map_err(|error| match error {
            VaultError::NotFound => LedgerError::SigningKey,
            other => other.into(),
        })?;
        let key = public_key(&seed)?;
        let ledger = Self { database, chain: Arc::new(Chain { instance, key, seed, clock }) };
        let chain = Arc::clone(&ledger.chain);
        ledger.database.transact(move |transaction| chain.check_tail(transaction)).await?;
        Ok(ledger)
    }

    /// The broker's instance: one per ledger.
    pub fn instance(&self) -> RequestId {
        self.chain.instance
    }

    /// The key that verifies this ledger: to be kept where the broker can't change it.
    pub fn key(&self) -> PublicKey {
        self.chain.key
    }

    /// Appends an entry. When this returns, it is durable.
    ///
    /// # Errors
    /// If it isn't. Then nothing may be done.
    pub async fn append(&self, record: Record) -> Result<Appended, LedgerError> {
        let chain = Arc::clone(&self.chain);
        self.database.transact(move |transaction| chain.append(transaction, record)).await
    }

    /// Appends an entry in a transaction of the caller's, so that both become durable or neither.
    ///
    /// # Errors
    /// If it can't be appended; the caller's work must then fail as well.
    pub fn append_in(&self, transaction: &Transaction<'_>, record: Record) -> Result<Appended, LedgerError> {
        self.chain.append(transaction, record)
    }

    /// Signs what there is.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn checkpoint(&self) -> Result<(), LedgerError> {
        let chain = Arc::clone(&self.chain);
        self.database
            .transact(move |transaction| {
                let (sequence, head) = chain.head(transaction)?;
                if sequence == 0 || rows::has_checkpoint(transaction, sequence)? {
                    Ok(())
                } else {
                    chain.write_checkpoint(transaction, sequence, head)
                }
            })
            .await
    }

    /// How many entries there are, and the last one's hash: to be noted outside, so that an older ledger is known as one.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn head(&self) -> Result<Appended, LedgerError> {
        let chain = Arc::clone(&self.chain);
        self.database
            .transact(move |transaction| {
                let (sequence, hash) = chain.head(transaction)?;
                Ok(Appended { sequence, hash })
            })
            .await
    }

    /// Checks the whole chain, entry by entry. (Opening it checks what follows the last checkpoint.)
    ///
    /// # Errors
    /// [`LedgerError::Tampered`] if entries were changed, removed or moved; else if the database refuses.
    pub async fn check(&self) -> Result<(), LedgerError> {
        let (mut sequence, mut head) = (0, EntryHash::beginning(self.chain.instance, &self.chain.key));
        loop {
            let (from, before) = (sequence, head);
            let checked = self.database.transact(move |transaction| -> Result<_, LedgerError> {
                let (mut sequence, mut head) = (from, before);
                follow(transaction, &mut sequence, &mut head, CHECKED_AT_ONCE)?;
                Ok((sequence, head))
            });
            (sequence, head) = checked.await?;
            if sequence == from {
                return Ok(());
            }
        }
    }

    /// What was recorded for a tenant's subject, in order, after an entry.
    ///
    /// # Errors
    /// If the database refuses, or an entry can't be read.
    pub async fn of_subject(&self, who: &Who, after: u64, most: u32) -> Result<Vec<Entry>, LedgerError> {
        let who = who.clone();
        self.database.transact(move |transaction| rows::of_subject(transaction, &who, after, most)).await
    }

    /// What was recorded for a mission, in order, after an entry.
    ///
    /// # Errors
    /// If the database refuses, or an entry can't be read.
    pub async fn of_mission(&self, mission: RequestId, after: u64, most: u32) -> Result<Vec<Entry>, LedgerError> {
        self.database.transact(move |transaction| rows::of_mission(transaction, mission, after, most)).await
    }
}

impl Chain {
    /// The last entry's number and hash, as the database has it: never from memory, which could be of a write that failed.
    fn head(&self, transaction: &Transaction<'_>) -> Result<(u64, EntryHash), LedgerError> {
        Ok(rows::head(transaction)?.unwrap_or_else(|| (0, EntryHash::beginning(self.instance, &self.key))))
    }

    fn append(&self, transaction: &Transaction<'_>, record: Record) -> Result<Appended, LedgerError> {
        let (last, previous) = self.head(transaction)?;
        let sequence = last.checked_add(1).ok_or(DatabaseError::Unexpected("a ledger at its end"))?;
        let entry = Entry {
            sequence: Count::new(sequence).map_err(|_| DatabaseError::Unexpected("a ledger at its end"))?,
            previous,
            time: UnixMillis::new(self.clock.now().unix_millis()),
            who: record.who,
            mission: record.mission,
            event: record.event,
        };
        let bytes = keyblind_intent::canonical(&entry)?;
        let hash = EntryHash::of_canonical(&bytes);
        rows::insert(transaction, &entry, &bytes, &hash)?;
        if sequence.is_multiple_of(CHECKPOINT_EVERY) {
            self.write_checkpoint(transaction, sequence, hash)?;
        }
        Ok(Appended { sequence, hash })
    }

    fn statement(&self, sequence: u64, head: EntryHash) -> Statement {
        Statement {
            instance: self.instance,
            sequence: Count::saturating(sequence),
            head,
            time: UnixMillis::new(self.clock.now().unix_millis()),
        }
    }

    fn sign(&self, bytes: &[u8]) -> Result<Signature, LedgerError> {
        let pair = self.seed.expose(Ed25519KeyPair::from_seed_unchecked).map_err(|_| LedgerError::SigningKey)?;
        let signature: [u8; 64] = pair.sign(bytes).as_ref().try_into().map_err(|_| LedgerError::SigningKey)?;
        Ok(Signature::from_bytes(signature))
    }

    fn write_checkpoint(&self, transaction: &Transaction<'_>, sequence: u64, head: EntryHash) -> Result<(), LedgerError> {
        let statement = self.statement(sequence, head);
        let signature = self.sign(&statement.checkpoint_bytes()?)?;
        rows::insert_checkpoint(transaction, sequence, &keyblind_intent::canonical(&Checkpoint { statement, signature })?)
    }

    /// Checks the chain from the last checkpoint on: what a crash could have torn, and the cheapest lies.
    fn check_tail(&self, transaction: &Transaction<'_>) -> Result<(), LedgerError> {
        let (mut sequence, mut head) = (0, EntryHash::beginning(self.instance, &self.key));
        if let Some(checkpoint) = rows::last_checkpoint(transaction)? {
            let statement = &checkpoint.statement;
            if !self.key.verifies(&statement.checkpoint_bytes()?, &checkpoint.signature) || statement.instance != self.instance {
                return Err(LedgerError::Tampered("a checkpoint isn't signed by this instance"));
            }
            (sequence, head) = (statement.sequence.get(), statement.head);
            if rows::hash_of(transaction, sequence)? != Some(head) {
                return Err(LedgerError::Tampered("the entry under the last checkpoint isn't there, or another"));
            }
        }
        follow(transaction, &mut sequence, &mut head, u32::MAX)
    }
}

/// Follows the chain from an entry on, so many entries far.
fn follow(transaction: &Transaction<'_>, sequence: &mut u64, head: &mut EntryHash, most: u32) -> Result<(), LedgerError> {
    for (number, hash, entry, bytes) in rows::after(transaction, *sequence, most)? {
        if number != *sequence + 1 || entry.sequence.get() != number {
            return Err(LedgerError::Tampered("entries are missing"));
        }
        if entry.previous != *head || EntryHash::of_canonical(&bytes) != hash {
            return Err(LedgerError::Tampered("an entry doesn't follow from the one before"));
        }
        (*sequence, *head) = (number, hash);
    }
    Ok(())
}
