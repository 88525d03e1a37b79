//! A provider's keys: fetched when they are needed, kept for a while, fetched again when a token names one that isn't there.

use std::time::Duration;

use super::{IdTokenFault, OidcError, OpenIdProvider};
use crate::egress::{Call, EgressError};
use crate::jws::{Unverified, VerifyingKey, key_set};

/// How long keys are believed.
const KEPT: Duration = Duration::from_secs(3_600);
/// How long a token with an unknown key doesn't make us ask again: else anybody could make us ask all the time.
const PAUSE: Duration = Duration::from_secs(60);

/// The keys that are known now.
#[derive(Debug, Default)]
pub(super) struct KeyCache {
    keys: Vec<VerifyingKey>,
    /// When these keys came.
    fetched: Option<Duration>,
    /// When they were last asked for, with or without success.
    asked: Option<Duration>,
}

impl OpenIdProvider {
    /// The claims of a token that one of the provider's keys signed.
    pub(super) async fn verified<T: serde::de::DeserializeOwned>(&self, token: &str) -> Result<T, OidcError> {
        let token = Unverified::parse(token).map_err(IdTokenFault::from)?;
        let mut cache = self.keys.lock().await;
        let now = self.clock.monotonic();
        let within = |at: Option<Duration>, span: Duration| at.is_some_and(|at| now.saturating_sub(at) <= span);
        let is_believed = within(cache.fetched, KEPT);
        let is_known = is_believed && token.is_named_in(&cache.keys);
        if !is_known && !within(cache.asked, PAUSE) {
            // A failure counts as having asked; but it makes no old key younger.
            cache.asked = Some(now);
            let answer = self.egress.send(Call::get(self.metadata().await?.jwks()?)).await?;
            if !answer.status().is_success() {
                return Err(OidcError::Broken { status: answer.status().as_u16() });
            }
            cache.keys = key_set(answer.body()).map_err(|_| OidcError::Metadata)?;
            cache.fetched = Some(now);
        } else if !is_believed {
            return Err(EgressError::Unreachable.into());
        }
        Ok(token.verify(&cache.keys).map_err(IdTokenFault::from)?)
    }
}
