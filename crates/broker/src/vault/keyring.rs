//! A key in the keyring of a user's session: the Secret Service's protocol, which GNOME's keyring, KDE's wallet and `KeePassXC` speak.
//!
//! The key is an item with the store's id and its own as attributes, so that the store says which one is looked for, and a new one lies
//! beside the old one until the store has taken it. What is used of the protocol is small: find, read, make and delete an item. Items
//! are asked for in the plain form of transfer, over a Unix socket to processes of the same user; the form that encrypts on the way
//! would hide them from nobody who can't ask for them too.
//!
//! Everything here blocks for seconds at most, and happens when a store is opened or its key changed.

mod bus;
mod message;

use std::path::PathBuf;
use std::time::Duration;

use data_encoding::HEXLOWER;

use self::bus::{Bus, Method};
use self::message::{Reader, Writer};
use super::keys::{self, KeyEncryptionKey as _, KeyError, KeyId, KeyOrigin, LocalKey, SessionKeyring};
use super::{StoreId, seal};

const SERVICE: &str = "org.freedesktop.secrets";
const SERVICE_PATH: &str = "/org/freedesktop/secrets";
const SERVICE_INTERFACE: &str = "org.freedesktop.Secret.Service";
const COLLECTION_INTERFACE: &str = "org.freedesktop.Secret.Collection";
const ITEM_INTERFACE: &str = "org.freedesktop.Secret.Item";
/// No object: no prompt is needed, or nothing is called so.
const NO_OBJECT: &str = "/";
/// How long a keyring may take for one call: starting it is a part of the first.
const PATIENCE: Duration = Duration::from_secs(20);
/// How many items are looked at.
const MOST_ITEMS: usize = 64;

/// Why a keyring gives no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeyringError {
    /// There is no bus.
    #[error("the session's bus `{path}` can't be reached ({reason}): a keyring belongs to a user's session, so start the broker in one")]
    NoBus {
        /// Where it should be.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The bus belongs to somebody else.
    #[error("the bus `{path}` belongs to user {user}: another user's keyring isn't asked for keys")]
    OtherUser {
        /// Where it is.
        path: PathBuf,
        /// Whose process listens there.
        user: u32,
    },
    /// Nobody on the bus keeps secrets.
    #[error("no keyring answers on the session's bus: start one (GNOME Keyring, KWallet, KeePassXC)")]
    NoService,
    /// The user has to unlock it.
    #[error("the keyring is locked: unlock it, which logging in to the desktop does, and start again")]
    Locked,
    /// There is no such key.
    #[error("the keyring has no key {key} of store {store}: it was deleted, or this is another user's or another machine's keyring")]
    NoKey {
        /// Which.
        key: KeyId,
        /// Whose.
        store: StoreId,
    },
    /// What it has isn't a key.
    #[error("what the keyring has for this store isn't a key")]
    Form,
    /// It refused.
    #[error("the keyring refused ({0})")]
    Refused(String),
    /// It says what the protocol doesn't.
    #[error("the keyring's answer isn't one of the protocol's")]
    Unintelligible,
    /// It didn't answer.
    #[error("the keyring doesn't answer: it may be waiting for somebody to unlock it")]
    Silent,
}

/// The keyring of the session whose bus it is.
#[derive(Clone, Debug)]
pub struct Keyring {
    bus: PathBuf,
    patience: Duration,
}

/// A conversation with it.
struct Session {
    bus: Bus,
    /// The transfer's name.
    path: String,
}

impl Keyring {
    /// By the socket of the session's bus.
    #[must_use]
    pub fn at(bus: PathBuf) -> Self {
        Self { bus, patience: PATIENCE }
    }

    /// Waits so long for each answer.
    #[must_use]
    pub fn within(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Gives a store's key.
    ///
    /// # Errors
    /// If there is no keyring, it is locked, or has no such key.
    pub fn key(&self, store: StoreId, key: KeyId) -> Result<LocalKey, KeyError> {
        let mut session = Session::open(self)?;
        let items = session.items(store, Some(key))?;
        let item = items.first().ok_or(KeyringError::NoKey { key, store })?;
        session.read(item)
    }

    /// Makes a key for a store, and reads it back: what can't be had again is no key.
    ///
    /// # Errors
    /// If there is no keyring, it is locked, or refuses.
    pub fn make(&self, store: StoreId) -> Result<LocalKey, KeyError> {
        let mut session = Session::open(self)?;
        let secret = seal::random_key()?;
        let key = LocalKey::from_origin(&secret, KeyOrigin::Keyring(SessionKeyring::SECRET_SERVICE))?;
        session.write(store, key.id(), &keys::written(&secret))?;
        self.key(store, key.id())
    }

    /// Deletes the store's keys but that one.
    ///
    /// # Errors
    /// If there is no keyring, it is locked, or refuses.
    pub fn keep_only(&self, store: StoreId, key: KeyId) -> Result<(), KeyError> {
        let mut session = Session::open(self)?;
        let kept = session.items(store, Some(key))?;
        for item in session.items(store, None)?.iter().filter(|item| !kept.contains(item)) {
            session.delete(item)?;
        }
        Ok(())
    }
}

fn attributes(store: StoreId, key: Option<KeyId>) -> Vec<(&'static str, String)> {
    let mut attributes = vec![("application", "keyblind-broker".to_owned()), ("store", store.to_string())];
    attributes.extend(key.map(|key| ("key", HEXLOWER.encode(&key.0))));
    attributes
}

impl Session {
    fn open(keyring: &Keyring) -> Result<Self, KeyringError> {
        let mut bus = Bus::connect(&keyring.bus, keyring.patience)?;
        let mut body = Writer::new();
        body.string("plain");
        body.variant_string("");
        let answer = bus.call(&on_service("OpenSession"), "sv", &body)?;
        let mut reader = Reader::new(&answer, "vo")?;
        reader.skip_variant()?;
        let path = reader.string()?.to_owned();
        Ok(Self { bus, path })
    }

    /// The items with a store's attributes, all of them unlocked.
    fn items(&mut self, store: StoreId, key: Option<KeyId>) -> Result<Vec<String>, KeyringError> {
        let mut body = Writer::new();
        body.strings_by_name(&attributes(store, key));
        let answer = self.bus.call(&on_service("SearchItems"), "a{ss}", &body)?;
        let mut reader = Reader::new(&answer, "aoao")?;
        let (mut unlocked, locked) = (reader.strings(MOST_ITEMS)?, reader.strings(MOST_ITEMS)?);
        if !locked.is_empty() {
            unlocked.extend(self.unlock(&locked)?);
        }
        Ok(unlocked)
    }

    /// Unlocks what can be unlocked without asking anybody.
    fn unlock(&mut self, objects: &[String]) -> Result<Vec<String>, KeyringError> {
        let mut body = Writer::new();
        body.strings(objects);
        let answer = self.bus.call(&on_service("Unlock"), "ao", &body)?;
        let mut reader = Reader::new(&answer, "aoo")?;
        let unlocked = reader.strings(MOST_ITEMS)?;
        if reader.string()? == NO_OBJECT && unlocked.len() == objects.len() { Ok(unlocked) } else { Err(KeyringError::Locked) }
    }

    fn read(&mut self, item: &str) -> Result<LocalKey, KeyError> {
        let mut body = Writer::new();
        body.string(&self.path);
        let method = Method { destination: SERVICE, path: item, interface: ITEM_INTERFACE, member: "GetSecret" };
        let answer = self.bus.call(&method, "o", &body)?;
        let mut reader = Reader::new(&answer, "(oayays)")?;
        reader.structure()?;
        let session = reader.string()?;
        let parameters = reader.bytes()?;
        if session != self.path || !parameters.is_empty() {
            return Err(KeyringError::Unintelligible.into());
        }
        let secret = keys::read_written(reader.bytes()?).ok_or(KeyringError::Form)?;
        LocalKey::from_origin(&secret, KeyOrigin::Keyring(SessionKeyring::SECRET_SERVICE))
    }

    fn write(&mut self, store: StoreId, key: KeyId, text: &[u8]) -> Result<(), KeyringError> {
        let collection = self.default_collection()?;
        let mut body = Writer::new();
        body.properties(
            ("org.freedesktop.Secret.Item.Label", &format!("Keyblind broker: key {key} of its sealed store")),
            ("org.freedesktop.Secret.Item.Attributes", &attributes(store, Some(key))),
        );
        body.structure();
        body.string(&self.path);
        body.bytes(&[]);
        body.bytes(text);
        body.string("text/plain");
        body.boolean(false);
        let method = Method { destination: SERVICE, path: &collection, interface: COLLECTION_INTERFACE, member: "CreateItem" };
        let answer = self.bus.call(&method, "a{sv}(oayays)b", &body)?;
        let mut reader = Reader::new(&answer, "oo")?;
        let (item, prompt) = (reader.string()?, reader.string()?);
        if item != NO_OBJECT && prompt == NO_OBJECT { Ok(()) } else { Err(KeyringError::Locked) }
    }

    fn default_collection(&mut self) -> Result<String, KeyringError> {
        let mut body = Writer::new();
        body.string("default");
        let answer = self.bus.call(&on_service("ReadAlias"), "s", &body)?;
        let collection = Reader::new(&answer, "o")?.string()?.to_owned();
        if collection == NO_OBJECT {
            return Err(KeyringError::Refused("it has no default keyring".to_owned()));
        }
        self.unlock(std::slice::from_ref(&collection))?;
        Ok(collection)
    }

    fn delete(&mut self, item: &str) -> Result<(), KeyringError> {
        let method = Method { destination: SERVICE, path: item, interface: ITEM_INTERFACE, member: "Delete" };
        let answer = self.bus.call(&method, "", &Writer::new())?;
        if Reader::new(&answer, "o")?.string()? == NO_OBJECT { Ok(()) } else { Err(KeyringError::Locked) }
    }
}

fn on_service(member: &'static str) -> Method<'static> {
    Method { destination: SERVICE, path: SERVICE_PATH, interface: SERVICE_INTERFACE, member }
}
