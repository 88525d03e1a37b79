//! Documents: JSON in, typed values out; typed values in, canonical JSON out.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::limits::{DOCUMENT_BYTES, DOCUMENT_DEPTH};
use crate::text::Foreign;

/// Why a document was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DocumentError {
    /// It has more bytes than a document may have.
    #[error("the document has {bytes} bytes; at most {DOCUMENT_BYTES} are taken")]
    TooLarge {
        /// How many it has.
        bytes: usize,
    },
    /// Its lists and objects are nested deeper than a document may be.
    #[error("the document is nested deeper than {DOCUMENT_DEPTH} levels")]
    TooDeep,
    /// It isn't JSON, or not of the shape that was asked for: an unknown or repeated field, a missing one, a value out of its grammar.
    #[error("the document was refused at line {line}, column {column}: {}", message.for_terminal())]
    Malformed {
        /// The line, from 1.
        line: usize,
        /// The column, from 1.
        column: usize,
        /// What is wrong. It may repeat a name from the document, so it counts as foreign.
        message: Foreign,
    },
    /// It has no canonical form.
    #[error("the value has no canonical form: {}", .0.for_terminal())]
    NotCanonical(Foreign),
}

/// Reads a document. Unknown and repeated fields, texts out of their grammar, numbers that aren't whole and everything after the end
/// are refused.
///
/// # Errors
/// Says what is wrong and where.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, DocumentError> {
    if bytes.len() > DOCUMENT_BYTES {
        return Err(DocumentError::TooLarge { bytes: bytes.len() });
    }
    if is_too_deep(bytes) {
        return Err(DocumentError::TooDeep);
    }
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let message = error.to_string();
        // The place is said by fields of its own.
        let message = message.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&message);
        DocumentError::Malformed { line, column, message: Foreign::new(message) }
    })
}

/// Whether brackets outside of strings are nested deeper than a document may be. What isn't JSON is found by the parser.
fn is_too_deep(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
    for byte in bytes {
        if in_string {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' => is_escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > DOCUMENT_DEPTH {
            return true;
        }
    }
    false
}

/// The canonical form of a value (RFC 8785): what digests are made of.
///
/// # Errors
/// If it has none, which no type of this crate brings about: a number that isn't finite, or keys that aren't texts.
pub fn canonical(value: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
    serde_json_canonicalizer::to_vec(value).map_err(|error| DocumentError::NotCanonical(Foreign::new(&error.to_string())))
}

/// Writes a document, in its canonical form.
///
/// # Errors
/// If it is larger than a document may be.
pub fn encode(value: &impl Serialize) -> Result<Vec<u8>, DocumentError> {
    let bytes = canonical(value)?;
    if bytes.len() > DOCUMENT_BYTES { Err(DocumentError::TooLarge { bytes: bytes.len() }) } else { Ok(bytes) }
}
