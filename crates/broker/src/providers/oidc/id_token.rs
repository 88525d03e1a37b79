//! What a provider says of the person who signed in (OpenID Connect Core 1.0, 3.1.3.7).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{OidcError, OpenIdProvider};
use crate::jws::JwsError;

/// How far the provider's clock may be from ours.
const SKEW_SECONDS: i64 = 60;

/// The person who signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdToken {
    /// Who: stable, and unique at this provider.
    pub subject: String,
    /// How they signed in, as the provider calls it.
    pub class: Option<String>,
    /// With which methods (RFC 8176).
    pub methods: Vec<String>,
    /// When they signed in, in seconds since 1970.
    pub authenticated: Option<i64>,
    /// What the provider calls them: a text of theirs, which decides nothing.
    pub name: Option<String>,
    /// What else it says of them.
    pub others: BTreeMap<String, Value>,
}

/// Why an id token isn't believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IdTokenFault {
    /// It isn't a token, or its signature is wrong.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// There is none.
    #[error("there is none")]
    Missing,
    /// Somebody else made it.
    #[error("another issuer made it")]
    Issuer,
    /// It is for somebody else.
    #[error("it is for another client")]
    Audience,
    /// It is too old, or from the future.
    #[error("it isn't of now")]
    Time,
    /// It answers another sign-in.
    #[error("it answers another sign-in")]
    Nonce,
    /// It names nobody, or somebody else than before.
    #[error("it names another person")]
    Subject,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    azp: Option<String>,
    exp: i64,
    iat: i64,
    nbf: Option<i64>,
    nonce: Option<String>,
    acr: Option<String>,
    #[serde(default)]
    amr: Vec<String>,
    auth_time: Option<i64>,
    #[serde(flatten)]
    others: BTreeMap<String, Value>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl IdToken {
    /// The texts of a claim that is a text or a list of texts: groups, say.
    pub fn texts(&self, claim: &str) -> Vec<String> {
        match self.others.get(claim) {
            Some(Value::String(text)) => vec![text.clone()],
            Some(Value::Array(items)) => items.iter().filter_map(|item| item.as_str().map(ToOwned::to_owned)).collect(),
            _ => Vec::new(),
        }
    }
}

impl OpenIdProvider {
    /// Checks an id token. `nonce` is the one that the sign-in was begun with; tokens that come otherwise have none.
    ///
    /// # Errors
    /// If anything about it isn't as it must be.
    pub async fn check_id_token(&self, token: &str, nonce: Option<&str>) -> Result<IdToken, OidcError> {
        let claims: Claims = self.verified(token).await?;
        let now = i64::try_from(self.clock.now().unix_millis() / 1_000).unwrap_or(i64::MAX);
        Ok(self.check(claims, nonce, now)?)
    }

    fn check(&self, claims: Claims, nonce: Option<&str>, now: i64) -> Result<IdToken, IdTokenFault> {
        if claims.iss != self.issuer {
            return Err(IdTokenFault::Issuer);
        }
        let (is_for_us, several) = match &claims.aud {
            Audience::One(audience) => (audience == self.client.id(), false),
            Audience::Many(audiences) => (audiences.iter().any(|audience| audience == self.client.id()), audiences.len() > 1),
        };
        let party_is_us = claims.azp.as_deref().map_or(!several, |party| party == self.client.id());
        if !is_for_us || !party_is_us {
            return Err(IdTokenFault::Audience);
        }
        let is_now = now.saturating_sub(SKEW_SECONDS) < claims.exp
            && claims.iat <= now.saturating_add(SKEW_SECONDS)
            && claims.nbf.is_none_or(|start| start <= now.saturating_add(SKEW_SECONDS))
            // Somebody who will have been there later hasn't proven to be there.
            && claims.auth_time.is_none_or(|time| time <= now.saturating_add(SKEW_SECONDS));
        if !is_now {
            return Err(IdTokenFault::Time);
        }
        if nonce.is_some() && claims.nonce.as_deref() != nonce {
            return Err(IdTokenFault::Nonce);
        }
        if claims.sub.is_empty() || claims.sub.len() > 255 || !claims.sub.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(IdTokenFault::Subject);
        }
        let name = ["name", "preferred_username", "email"].into_iter().find_map(|claim| claims.others.get(claim)?.as_str());
        let name = name.map(ToOwned::to_owned);
        let others = claims.others;
        Ok(IdToken { subject: claims.sub, class: claims.acr, methods: claims.amr, authenticated: claims.auth_time, name, others })
    }
}
