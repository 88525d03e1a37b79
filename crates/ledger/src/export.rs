//! Exports: one canonical JSON document (RFC 8785) a line.

use keyblind_intent::{Count, DocumentError, RequestId, canonical, decode};
use serde::{Deserialize, Serialize};

use crate::chain::{Checkpoint, PublicKey, Signature, Statement};
use crate::entries::Entry;

/// Bytes of the longest line. Entries hold no free text, so theirs are far shorter.
pub const LONGEST_LINE: usize = 16 * 1024;

/// A line of an export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// The first one.
    Ledger(Header),
    /// An entry.
    Entry(Box<Entry>),
    /// A checkpoint after the entry whose number it states.
    Checkpoint(Checkpoint),
    /// The last one.
    End(End),
}

/// Which ledger it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`crate::FORMAT`].
    pub format: Count,
    /// The broker's instance: each has a ledger of its own.
    pub instance: RequestId,
    /// The instance's public key. It helps to tell ledgers apart and proves nothing: who verifies brings the key.
    pub key: PublicKey,
}

/// The end of an export: nothing was cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct End {
    /// What is stated.
    pub statement: Statement,
    /// By the instance's key, over [`Statement::end_bytes`].
    pub signature: Signature,
}

/// Why a line is none of an export.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LineError {
    /// It can't be read.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// It can be read, and isn't written as we write it: spaces, another order, another spelling of the same value.
    #[error("the line isn't in canonical form (RFC 8785): somebody wrote it anew")]
    NotCanonical,
}

impl Line {
    /// Writes a line, without the line feed.
    ///
    /// # Errors
    /// If it has no canonical form, which none has.
    pub fn encode(&self) -> Result<Vec<u8>, DocumentError> {
        canonical(self)
    }

    /// Reads a line.
    ///
    /// # Errors
    /// If it isn't one, byte by byte as [`Self::encode`] writes it.
    pub fn decode(bytes: &[u8]) -> Result<Self, LineError> {
        let line: Self = decode(bytes)?;
        if line.encode()? == bytes { Ok(line) } else { Err(LineError::NotCanonical) }
    }
}
