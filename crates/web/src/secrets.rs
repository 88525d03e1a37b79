//! Secrets that this server gives out: cookies, links, tokens. What is kept of each is its digest.

use keyblind_intent::{Digest, RequestId};
use keyblind_store::StoreError;

/// 256 random bits as 52 letters and digits.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Secret")
    }
}

impl Secret {
    pub(crate) fn random() -> Result<Self, StoreError> {
        let bytes = random()?;
        let mut halves = [[0_u8; 16]; 2];
        for (half, part) in halves.iter_mut().zip(bytes.chunks_exact(16)) {
            half.copy_from_slice(part);
        }
        let [first, second] = halves.map(RequestId::from_bytes);
        Ok(Self(format!("{first}{second}")))
    }

    /// A secret as somebody shows it. What doesn't look like one of ours isn't.
    pub(crate) fn shown(text: &str) -> Option<Self> {
        (text.len() == 52 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())).then(|| Self(text.to_owned()))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// What the database knows it by.
    pub(crate) fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// What forms of a session carry, so that no other site can send one: made from the secret, which it doesn't tell.
    pub(crate) fn form_token(&self) -> String {
        Digest::of(format!("keyblind form 1\n{}", self.0).as_bytes()).to_string()
    }
}

/// 256 random bits from the kernel.
pub(crate) fn random() -> Result<[u8; 32], StoreError> {
    let mut bytes = [0_u8; 32];
    // So few bytes come whole once the kernel has any: getrandom(2).
    match rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty()) {
        Ok(32) => Ok(bytes),
        _ => Err(StoreError::NoRandomness),
    }
}

/// Whether two texts are the same. How long it takes says nothing about where they differ.
pub(crate) fn is_same(one: &str, other: &str) -> bool {
    Digest::of(one.as_bytes()) == Digest::of(other.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_read_as_it_was_written() {
        let secret = Secret::random().unwrap();
        assert!(Secret::shown(secret.as_str()).is_some_and(|shown| shown.digest() == secret.digest()));
        assert_ne!(Secret::random().unwrap().as_str(), secret.as_str());
        assert!(Secret::shown("").is_none() && Secret::shown(&"'".repeat(52)).is_none());
        assert!(is_same("a", "a") && !is_same("a", "b"));
        assert!(!secret.form_token().contains(secret.as_str()));
    }
}
