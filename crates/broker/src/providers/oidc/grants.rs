//! What is got at the token endpoint, and given back at the revocation endpoint.

use std::time::Duration;

use hyper::header::{HeaderName, RETRY_AFTER};
use serde::Deserialize;
use serde_json::Value;

use super::{IdToken, OauthCode, OidcError, OpenIdProvider};
use crate::clock::Timestamp;
use crate::egress::{Answer, FormBody, Target};
use crate::leases::revocation::{RevocationFailure, Revoked, Revoker, RevokerFuture, ToRevoke};
use crate::providers::{Credential, code};
use crate::secret::Secret;

/// The header that holds a proof of possession.
const DPOP: HeaderName = HeaderName::from_static("dpop");
const DPOP_NONCE: HeaderName = HeaderName::from_static("dpop-nonce");
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");
/// The longest that a provider may make us wait before we take its word for a mistake.
const LONGEST_WAIT: u64 = 24 * 3_600;

/// What a provider handed out.
pub struct Tokens {
    /// What calls are made with.
    pub access: Secret,
    /// Whether the access token is bound to our key and needs a proof with each call.
    pub is_bound: bool,
    /// When it ends by itself, by our clock; `None` if the provider doesn't say.
    pub expires: Option<Timestamp>,
    /// What it may do; `None` if the provider doesn't say, which means: what was asked for.
    pub scopes: Option<Vec<String>>,
    /// What the next access token is got with.
    pub refresh: Option<Secret>,
    /// Who signed in.
    pub id: Option<IdToken>,
    /// What was granted in detail (RFC 9396).
    pub details: Option<Value>,
    /// What kind of token an exchange gave (RFC 8693).
    pub issued: Option<String>,
}

#[derive(Deserialize)]
struct Grant {
    access_token: Credential,
    token_type: String,
    expires_in: Option<Value>,
    scope: Option<String>,
    refresh_token: Option<Credential>,
    id_token: Option<String>,
    authorization_details: Option<Value>,
    issued_token_type: Option<String>,
}

/// A token for another audience or another kind of token (RFC 8693).
pub struct Exchange<'a> {
    /// What is exchanged.
    pub subject: &'a Secret,
    /// What kind of token that is.
    pub subject_kind: &'a str,
    /// What is wanted.
    pub requested_kind: Option<&'a str>,
    /// For whom, by the name that the provider has for it.
    pub audience: Option<&'a str>,
    /// For whom, by its address (RFC 8707).
    pub resource: Option<&'a str>,
    /// For what.
    pub scope: Option<&'a str>,
}

/// What came of a revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// The provider took it: the token is dead, or was before.
    Confirmed,
    /// The provider doesn't revoke this kind of token: it lives until it ends by itself.
    NotOffered,
}

impl OpenIdProvider {
    /// A new access token for a refresh token. With rotation the answer holds a new refresh token, and the old one is dead.
    ///
    /// # Errors
    /// `invalid_grant` if the person must sign in again; or the provider gives more than was asked for.
    pub async fn refresh(&self, refresh: &Secret, scope: Option<&str>, audience: Option<&str>) -> Result<Tokens, OidcError> {
        let form = || {
            let form = FormBody::new().with("grant_type", "refresh_token").with_secret("refresh_token", refresh);
            form.with_some("scope", scope).with_some("audience", audience)
        };
        let tokens = self.tokens(form, None).await?;
        if !is_broader(&tokens, scope) {
            return Ok(tokens);
        }
        // Nobody keeps what isn't wanted, and the old one is dead.
        if let Some(rotated) = &tokens.refresh {
            let _ = self.revoke(rotated, "refresh_token").await;
        }
        Err(OidcError::OtherThanAsked)
    }

    /// Exchanges a token (RFC 8693).
    ///
    /// # Errors
    /// If the provider refuses, or gives another kind of token than was asked for.
    pub async fn exchange(&self, exchange: &Exchange<'_>) -> Result<Tokens, OidcError> {
        let form = || {
            FormBody::new()
                .with("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange")
                .with_secret("subject_token", exchange.subject)
                .with("subject_token_type", exchange.subject_kind)
                .with_some("requested_token_type", exchange.requested_kind)
                .with_some("audience", exchange.audience)
                .with_some("resource", exchange.resource)
                .with_some("scope", exchange.scope)
        };
        let tokens = self.tokens(form, None).await?;
        let issued = tokens.issued.as_deref().ok_or(OidcError::OtherThanAsked)?;
        if exchange.requested_kind.is_some_and(|requested| requested != issued) || is_broader(&tokens, exchange.scope) {
            return Err(OidcError::OtherThanAsked);
        }
        Ok(tokens)
    }

    /// Ends a token (RFC 7009). Only an answer of the provider's counts; everything else means that it may still live.
    ///
    /// # Errors
    /// If the provider didn't take it: it must be tried again.
    pub async fn revoke(&self, token: &Secret, kind: &str) -> Result<Revocation, OidcError> {
        let endpoint = match self.metadata().await?.revocation_endpoint() {
            Ok(endpoint) => endpoint,
            Err(OidcError::NotOffered(_)) => return Ok(Revocation::NotOffered),
            Err(error) => return Err(error),
        };
        let form = FormBody::new().with_secret("token", token).with("token_type_hint", kind);
        let answer = self.egress.send(self.client.call(endpoint, form, &self.issuer, self.clock.as_ref())?).await?;
        match refused(&answer, self.clock.now()) {
            Ok(()) => Ok(Revocation::Confirmed),
            Err(OidcError::Refused { code: OauthCode::UnsupportedTokenType, .. }) => Ok(Revocation::NotOffered),
            Err(error) => Err(error),
        }
    }

    /// Asks the token endpoint. The form is made anew if the provider wants its nonce in a proof.
    pub(crate) async fn tokens(&self, form: impl Fn() -> FormBody, nonce: Option<&str>) -> Result<Tokens, OidcError> {
        let endpoint = self.metadata().await?.token_endpoint()?;
        let answer = self.post(&endpoint, form).await?;
        refused(&answer, self.clock.now())?;
        let grant: Grant = answer.json()?;
        let is_bound = match grant.token_type.to_ascii_lowercase().as_str() {
            "dpop" if self.possession.is_some() => true,
            // `N_A` is for what isn't an access token (RFC 8693, 2.2.1).
            "bearer" | "n_a" if self.possession.is_none() => false,
            // A key was shown and the token isn't bound to it: whoever steals it could use it.
            _ => return Err(OidcError::OtherThanAsked),
        };
        let seconds = grant.expires_in.as_ref().and_then(|value| value.as_u64().or_else(|| value.as_str()?.parse().ok()));
        let id = match &grant.id_token {
            Some(token) => Some(self.check_id_token(token, nonce).await?),
            None => None,
        };
        Ok(Tokens {
            access: grant.access_token.0,
            is_bound,
            expires: seconds.map(|seconds| self.clock.now().saturating_add(Duration::from_secs(seconds))),
            // GitHub's are divided by commas.
            scopes: grant.scope.map(|scope| scope.split([' ', ',']).filter(|scope| !scope.is_empty()).map(str::to_owned).collect()),
            refresh: grant.refresh_token.map(|credential| credential.0),
            id,
            details: grant.authorization_details,
            issued: grant.issued_token_type,
        })
    }

    /// Posts a form as the client that we are, with a proof of possession if we bind tokens.
    pub(crate) async fn post(&self, endpoint: &Target, form: impl Fn() -> FormBody) -> Result<Answer, OidcError> {
        let mut tried = false;
        loop {
            let mut call = self.client.call(endpoint.clone(), form(), &self.issuer, self.clock.as_ref())?;
            if let Some(key) = &self.possession {
                let proof = self.proof(key, "POST", endpoint, self.last_nonce(), None)?;
                call = proof.expose(|bytes| call.sensitive_header(DPOP, bytes));
            }
            let answer = self.egress.send(call).await?;
            if let Some(nonce) = answer.header(&DPOP_NONCE) {
                self.keep_nonce(nonce);
            }
            let wants_nonce = refused(&answer, self.clock.now()).err().and_then(|error| error.code()) == Some(OauthCode::UseDpopNonce);
            if tried || !wants_nonce {
                return Ok(answer);
            }
            tried = true;
        }
    }
}

impl Revoker for OpenIdProvider {
    fn revoke<'a>(&'a self, _: &'a ToRevoke, token: &'a Secret) -> RevokerFuture<'a> {
        Box::pin(async move {
            let failure = |word, retry_after| RevocationFailure { reason: code(word), retry_after };
            // A provider answers the same for what was dead before (RFC 7009, 2.2).
            match Self::revoke(self, token, "refresh_token").await {
                Ok(Revocation::Confirmed) => Ok(Revoked::Confirmed),
                Ok(Revocation::NotOffered) => Err(failure("revocation-not-offered", None)),
                Err(OidcError::Egress(error)) => Err(failure(error.code(), None)),
                Err(OidcError::RateLimited { wait }) => Err(failure("rate-limited", wait)),
                Err(OidcError::Broken { .. }) => Err(failure("broken", None)),
                Err(_) => Err(failure("refused", None)),
            }
        })
    }
}

/// Whether an answer grants something that wasn't asked for. Scopes about the person herself are the provider's to add.
pub(super) fn is_broader(tokens: &Tokens, asked: Option<&str>) -> bool {
    let Some(asked) = asked else { return false };
    let harmless = ["openid", "profile", "email", "offline_access"];
    tokens.scopes.iter().flatten().any(|scope| !asked.split(' ').any(|asked| asked == scope) && !harmless.contains(&scope.as_str()))
}

/// Whether an answer is a refusal, and which.
pub(crate) fn refused(answer: &Answer, now: Timestamp) -> Result<(), OidcError> {
    if answer.status().is_success() {
        return Ok(());
    }
    Err(OidcError::refusal(answer.status().as_u16(), answer.body(), wait(answer, now)))
}

/// How long the provider asks to wait: `Retry-After` in seconds, or Auth0's time at which the limit is lifted.
pub(crate) fn wait(answer: &Answer, now: Timestamp) -> Option<Duration> {
    let number = |name: &HeaderName| answer.header(name)?.trim().parse::<u64>().ok();
    let until_reset = || number(&RATE_LIMIT_RESET).map(|reset| reset.saturating_sub(now.unix_millis() / 1_000));
    let seconds = number(&RETRY_AFTER).or_else(until_reset)?;
    (seconds <= LONGEST_WAIT).then(|| Duration::from_secs(seconds))
}
