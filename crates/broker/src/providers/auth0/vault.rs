//! Token Vault: an Auth0 token, or our own word for a person, for the token of an account that she connected.

use serde::Serialize;

use super::examination::FEDERATED;
use super::{Auth0, Trouble};
use crate::clock::Timestamp;
use crate::egress::FormBody;
use crate::jws::{SigningKey, random_text};
use crate::providers::oidc::OidcError;
use crate::secret::Secret;

/// Whose account it is, and how we prove that we may.
#[derive(Clone, Copy)]
pub enum Subject<'a> {
    /// Her refresh token at Auth0.
    Refresh(&'a Secret),
    /// Her access token for our own interface.
    Access(&'a Secret),
    /// Our own signed word: a privileged worker, which keeps no token of hers.
    Worker {
        /// The key that is registered with the client.
        key: &'a SigningKey,
        /// Who she is, as Auth0 names her.
        person: &'a str,
        /// What it is for, in Auth0's log: 1 to 256 characters that name nobody.
        purpose: &'a str,
    },
}

/// What is wanted.
#[derive(Clone, Copy)]
pub struct VaultRequest<'a> {
    /// Whose.
    pub subject: Subject<'a>,
    /// Of which connection.
    pub connection: &'a str,
    /// Which of several connected accounts.
    pub account: Option<&'a str>,
    /// What the token must allow.
    pub scopes: &'a [&'a str],
}

/// A token of a connected account.
pub struct Borrowed {
    /// It.
    pub token: Secret,
    /// When it ends by itself. Nothing ends it before.
    pub expires: Option<Timestamp>,
    /// What it allows beyond what is needed: OAuth apps can't be narrowed.
    pub beyond: Vec<String>,
}

/// The claims of our own word (`token-vault-req+jwt`).
#[derive(Serialize)]
struct Word<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    iat: u64,
    jti: String,
    audit_context: &'a str,
}

impl Auth0 {
    /// Borrows the token of a connected account.
    ///
    /// # Errors
    /// See [`Trouble`].
    pub async fn borrow_token(&self, request: &VaultRequest<'_>) -> Result<Borrowed, Trouble> {
        let own;
        let (token, kind, wanted) = match request.subject {
            Subject::Refresh(token) => (token, "refresh_token", "federated-connection-access-token"),
            Subject::Access(token) => (token, "access_token", "federated-connection-access-token"),
            Subject::Worker { key, person, purpose } => {
                own = self.word(key, person, purpose)?;
                (&own, "jwt", "token-vault-access-token")
            }
        };
        let (kind, wanted) = (format!("urn:ietf:params:oauth:token-type:{kind}"), format!("http://auth0.com/oauth/token-type/{wanted}"));
        let form = || {
            FormBody::new()
                .with("grant_type", FEDERATED)
                .with_secret("subject_token", token)
                .with("subject_token_type", &kind)
                .with("requested_token_type", &wanted)
                .with("connection", request.connection)
                .with_some("login_hint", request.account)
        };
        let tokens = self.oidc.tokens(form, None).await?;
        if tokens.issued.as_deref() != Some(&wanted) || tokens.refresh.is_some() {
            return Err(Trouble::Unavailable(OidcError::OtherThanAsked));
        }
        let scopes = tokens.scopes.unwrap_or_default();
        let needed = |scope: &str| request.scopes.contains(&scope);
        let missing: Vec<String> =
            request.scopes.iter().filter(|needed| !scopes.iter().any(|scope| scope == *needed)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            return Err(Trouble::ScopeMissing { missing });
        }
        let beyond = scopes.into_iter().filter(|scope| !needed(scope)).collect();
        Ok(Borrowed { token: tokens.access, expires: tokens.expires, beyond })
    }

    fn word(&self, key: &SigningKey, person: &str, purpose: &str) -> Result<Secret, Trouble> {
        let of_jws = |error| Trouble::Unavailable(OidcError::Jws(error));
        let claims = Word {
            iss: self.oidc.client().id(),
            sub: person,
            aud: self.oidc.issuer(),
            iat: self.oidc.clock().now().unix_millis() / 1_000,
            jti: random_text(16).map_err(of_jws)?,
            audit_context: purpose,
        };
        key.sign(Some("token-vault-req+jwt"), &claims).map_err(of_jws)
    }
}
