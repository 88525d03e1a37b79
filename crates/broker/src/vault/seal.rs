//! Authenticated encryption of one secret with one key.

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;

use super::KeyError;
use crate::secret::Secret;

/// Bytes of every key here.
pub(super) const KEY_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// Random bytes from the system.
pub(super) fn random<const BYTES: usize>() -> Result<[u8; BYTES], KeyError> {
    let mut bytes = [0; BYTES];
    rand::fill(&mut bytes).map_err(|_| KeyError::NoRandomness)?;
    Ok(bytes)
}

/// A random key, made where it stays.
pub(super) fn random_key() -> Result<Secret, KeyError> {
    let mut result = Ok(());
    let key = Secret::filled(KEY_BYTES, |bytes| result = rand::fill(bytes));
    result.map(|()| key).map_err(|_| KeyError::NoRandomness)
}

fn cipher(key: &Secret) -> Result<LessSafeKey, KeyError> {
    let key = key.expose(|bytes| UnboundKey::new(&AES_256_GCM_SIV, bytes));
    key.map(LessSafeKey::new).map_err(|_| KeyError::Refused)
}

/// Encrypts: nonce, ciphertext, tag.
pub(super) fn seal(key: &Secret, context: &[u8], secret: &Secret) -> Result<Vec<u8>, KeyError> {
    let nonce: [u8; NONCE_LEN] = random()?;
    let mut sealed = Vec::with_capacity(NONCE_LEN + secret.len() + TAG_BYTES);
    sealed.extend_from_slice(&nonce);
    secret.expose(|bytes| sealed.extend_from_slice(bytes));
    // In place: the copy of the secret becomes its ciphertext.
    let tag = cipher(key)?
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context), &mut sealed[NONCE_LEN..])
        .map_err(|_| KeyError::Refused)?;
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

/// Decrypts into locked memory.
///
/// Says only that it is refused: which part was wrong is nobody's business.
pub(super) fn open(key: &Secret, context: &[u8], sealed: &[u8]) -> Result<Secret, KeyError> {
    let (nonce, rest) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(KeyError::Refused)?;
    let (ciphertext, tag) = rest.split_at_checked(rest.len().wrapping_sub(TAG_BYTES)).ok_or(KeyError::Refused)?;
    let cipher = cipher(key)?;
    let mut result = Ok(());
    let secret = Secret::filled(ciphertext.len(), |bytes| {
        result = cipher.open_separate_gather(Nonce::assume_unique_for_key(*nonce), Aad::from(context), ciphertext, tag, bytes);
    });
    result.map(|()| secret).map_err(|_| KeyError::Refused)
}

/// One unambiguous text of several: each with its length before it.
pub(super) fn context(domain: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in std::iter::once(&domain.as_bytes()).chain(parts) {
        bytes.extend_from_slice(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}
