//! The chain: hashes, statements that are signed, and the key that verifies them.

use std::fmt;
use std::str::FromStr;

use ed25519_dalek::VerifyingKey;
use keyblind_intent::{Count, Digest, DocumentError, RequestId, UnixMillis, canonical};
use serde::{Deserialize, Serialize};

use crate::entries::Entry;

/// The form of ledgers that this crate reads and writes.
pub const FORMAT: u32 = 1;

/// What is hashed or signed begins with one of these, so that nothing signed for one purpose serves another.
const BEGINNING: &str = "keyblind ledger 1 beginning\n";
const ENTRY: &str = "keyblind ledger 1 entry\n";
const CHECKPOINT: &str = "keyblind ledger 1 checkpoint\n";
const END: &str = "keyblind ledger 1 end\n";

/// The hash of an entry, or of a ledger's beginning: SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryHash(pub Digest);

impl EntryHash {
    /// The beginning of an instance's ledger: what the first entry is chained to.
    pub fn beginning(instance: RequestId, key: &PublicKey) -> Self {
        Self(Digest::of(&[BEGINNING.as_bytes(), instance.as_bytes(), key.as_bytes()].concat()))
    }

    /// The hash of an entry.
    ///
    /// # Errors
    /// If the entry has no canonical form, which no entry of ours brings about.
    pub fn of(entry: &Entry) -> Result<Self, DocumentError> {
        Ok(Self::of_canonical(&canonical(entry)?))
    }

    /// The hash of an entry's canonical bytes (RFC 8785).
    pub fn of_canonical(bytes: &[u8]) -> Self {
        Self(Digest::of(&[ENTRY.as_bytes(), bytes].concat()))
    }

    /// Its 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for EntryHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a signature states: this ledger had so many entries, and the last one had this hash.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// The broker's instance.
    pub instance: RequestId,
    /// How many entries.
    pub sequence: Count,
    /// The last one's hash; the beginning's if there is none.
    pub head: EntryHash,
    /// When it was signed.
    pub time: UnixMillis,
}

impl Statement {
    /// What is signed for a checkpoint.
    ///
    /// # Errors
    /// If the statement has no canonical form, which none has.
    pub fn checkpoint_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        self.bytes(CHECKPOINT)
    }

    /// What is signed for an export's end.
    ///
    /// # Errors
    /// If the statement has no canonical form, which none has.
    pub fn end_bytes(&self) -> Result<Vec<u8>, DocumentError> {
        self.bytes(END)
    }

    fn bytes(&self, domain: &str) -> Result<Vec<u8>, DocumentError> {
        Ok([domain.as_bytes(), &canonical(self)?].concat())
    }
}

/// A statement with its signature, in the ledger's course.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Checkpoint {
    /// What is stated.
    pub statement: Statement,
    /// By the instance's key, over [`Statement::checkpoint_bytes`].
    pub signature: Signature,
}

/// An Ed25519 signature (RFC 8032), written as 128 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Signature([u8; 64]);

impl Signature {
    /// Takes its bytes.
    pub const fn from_bytes(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

impl From<Signature> for String {
    fn from(signature: Signature) -> Self {
        to_hex(&signature.0)
    }
}

impl TryFrom<String> for Signature {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        from_hex(&text).map(Self).ok_or("a signature has 128 hexadecimal digits in lower case")
    }
}

fn to_hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex<const BYTES: usize>(text: &str) -> Option<[u8; BYTES]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * BYTES {
        return None;
    }
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; BYTES];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

/// Why a text is no public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a ledger's key is 64 hexadecimal digits in lower case, as `keyblind-broker ledger key` prints it")]
pub struct PublicKeyError;

/// The key that verifies an instance's signatures (Ed25519), written as 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PublicKey(VerifyingKey);

impl PublicKey {
    /// Takes its 32 bytes.
    ///
    /// # Errors
    /// If they are no point of the curve, or one of small order, under which anything could be signed.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, PublicKeyError> {
        VerifyingKey::from_bytes(bytes).ok().filter(|key| !key.is_weak()).map(Self).ok_or(PublicKeyError)
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }

    /// Whether the signature is this key's under these bytes, by the strict rules: exactly one signature is valid for a text.
    pub fn verifies(&self, bytes: &[u8], signature: &Signature) -> bool {
        self.0.verify_strict(bytes, &ed25519_dalek::Signature::from_bytes(&signature.0)).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&to_hex(self.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, PublicKeyError> {
        from_hex(text).ok_or(PublicKeyError).and_then(|bytes| Self::from_bytes(&bytes))
    }
}

impl TryFrom<String> for PublicKey {
    type Error = PublicKeyError;

    fn try_from(text: String) -> Result<Self, PublicKeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}
