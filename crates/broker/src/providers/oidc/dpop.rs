//! Proofs that we hold the key that a token is bound to (RFC 9449).

use serde::Serialize;

use super::{OidcError, OpenIdProvider};
use crate::egress::Target;
use crate::jws::{SigningKey, digest_text, random_text};
use crate::secret::Secret;

#[derive(Serialize)]
struct Proof<'p> {
    jti: String,
    htm: &'p str,
    htu: String,
    iat: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    ath: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nonce: Option<String>,
}

impl OpenIdProvider {
    /// A proof for one request; `token` is the one that goes with it, if it goes to a resource.
    pub(super) fn proof(
        &self,
        key: &SigningKey,
        method: &str,
        target: &Target,
        nonce: Option<String>,
        token: Option<&Secret>,
    ) -> Result<Secret, OidcError> {
        let claims = Proof {
            jti: random_text(16)?,
            htm: method,
            htu: target.url_without_query(),
            iat: self.clock.now().unix_millis() / 1_000,
            ath: token.map(|token| token.expose(digest_text)),
            nonce,
        };
        Ok(key.sign_with(Some("dpop+jwt"), Some(&key.public_key()?), &claims)?)
    }

    /// The nonce that the provider gave last.
    pub(super) fn last_nonce(&self) -> Option<String> {
        self.nonce.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    pub(super) fn keep_nonce(&self, nonce: &str) {
        // It goes into our next proof: something with a bound, in a plain alphabet.
        let sound = nonce.len() <= 1_024 && nonce.bytes().all(|byte| byte.is_ascii_graphic());
        if sound {
            *self.nonce.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(nonce.to_owned());
        }
    }
}
