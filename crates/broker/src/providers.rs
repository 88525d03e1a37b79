//! Sources of authority and the calls that are made with it, one module a provider.
//!
//! What a provider says is hostile text: it is read into typed fields with bounds, and what it says in words is never repeated in
//! an error. A credential goes from the answer's bytes straight into a [`Secret`].

mod archive;
pub mod auth0;
pub mod aws;
pub mod github;
pub mod models;
pub mod modules;
pub mod oidc;
mod pieces;
pub mod slack;

use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use zeroize::Zeroizing;

use crate::ledger::Code;
use crate::secret::Secret;

/// A word of ours, for records.
pub(crate) fn code(word: &str) -> Code {
    Code::new(word).unwrap_or_else(|| unreachable!("`{word}` is a word"))
}

/// Writes a credential as a JSON string into a buffer that is overwritten and has room for twice its length. It is printable ASCII: only
/// quotes and backslashes need an escape.
fn push_quoted(text: &mut Zeroizing<Vec<u8>>, credential: &Secret) {
    text.push(b'"');
    credential.expose(|bytes| {
        for &byte in bytes {
            if matches!(byte, b'"' | b'\\') {
                text.push(b'\\');
            }
            text.push(byte);
        }
    });
    text.push(b'"');
}

/// The longest credential that a provider may hand out.
const LONGEST_CREDENTIAL: usize = 32 * 1024;

/// Reads a credential out of an answer, from the answer's own buffer into locked memory.
pub(crate) struct Credential(pub(crate) Secret);

impl<'de> serde::Deserialize<'de> for Credential {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Credential;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a credential")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Credential, E> {
                // It goes into headers and forms: whatever isn't printable ASCII is no credential.
                if text.is_empty() || text.len() > LONGEST_CREDENTIAL || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                    return Err(E::custom("not a credential"));
                }
                Ok(Credential(Secret::filled(text.len(), |target| target.copy_from_slice(text.as_bytes()))))
            }
        }

        deserializer.deserialize_str(Text)
    }
}
