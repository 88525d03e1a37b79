//! What an administrator does for somebody who left, or when everything is stopped: ends all of a person's access at once.

use hyper::Method;
use serde::Deserialize;

use crate::egress::{Authorization, Call, FormBody, Origin, Target};
use crate::providers::Credential;
use crate::providers::oidc::{Client, ClientAuthentication, OidcError, OpenIdProvider, refused};
use crate::secret::Secret;

/// What came of ending a person's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessEnd {
    /// She has no refresh token any more.
    Confirmed,
    /// Auth0 took the request; it hasn't shown yet that nothing is left.
    Accepted,
}

/// A client of the broker's own at an Auth0 tenant, which may end people's access there and look at the set-up, and nothing else.
pub struct Administrator {
    client: Client,
    origin: Origin,
}

#[derive(Deserialize)]
struct Grant {
    access_token: Credential,
}

#[derive(Deserialize)]
struct RefreshTokens {
    tokens: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Connected {
    connected_accounts: Vec<ConnectedEntry>,
}

#[derive(Deserialize)]
struct ConnectedEntry {
    connection: String,
}

impl Administrator {
    /// At the tenant of that issuer. The client needs a secret, and of the Management API `delete:sessions`, `delete:refresh_tokens`,
    /// `read:refresh_tokens`, `delete:grants` and `read:users`; to look at the set-up also `read:clients`, `read:connections` and
    /// `read:mfa_policies`.
    ///
    /// # Errors
    /// If the issuer isn't an address.
    pub fn new(issuer: &str, client: Client) -> Result<Self, OidcError> {
        Ok(Self { client, origin: Origin::parse(issuer).map_err(|_| OidcError::Metadata)? })
    }

    /// Ends all sessions and refresh tokens of a person, whoever she is, and the grants that she has given; looks whether it happened.
    ///
    /// # Errors
    /// If Auth0 didn't take it: it must be tried again.
    pub async fn end(&self, provider: &OpenIdProvider, person: &str) -> Result<AccessEnd, OidcError> {
        let token = self.token(provider).await?;
        let user = self.at("/api/v2/users").segment(person);
        self.send(provider, &token, Call::new(Method::POST, user.clone().segment("revoke-access"))).await?;
        let grants = self.at("/api/v2/grants").query("user_id", person);
        self.send(provider, &token, Call::new(Method::DELETE, grants)).await?;
        let egress = provider.egress();
        let left = egress.send(Call::get(user.segment("refresh-tokens")).authorized(Authorization::Bearer(&token))).await?;
        let is_empty = left.status().is_success() && left.json::<RefreshTokens>().is_ok_and(|left| left.tokens.is_empty());
        Ok(if is_empty { AccessEnd::Confirmed } else { AccessEnd::Accepted })
    }

    /// The connections of which a person still has accounts: an administrator sees them, and can't remove them.
    ///
    /// # Errors
    /// If Auth0 doesn't say.
    pub async fn connected(&self, provider: &OpenIdProvider, person: &str) -> Result<Vec<String>, OidcError> {
        let token = self.token(provider).await?;
        let target = self.at("/api/v2/users").segment(person).segment("connected-accounts");
        let found: Connected = self.send(provider, &token, Call::get(target)).await?.json()?;
        Ok(found.connected_accounts.into_iter().map(|entry| entry.connection).collect())
    }

    pub(super) async fn send(&self, provider: &OpenIdProvider, token: &Secret, call: Call<'_>) -> Result<crate::egress::Answer, OidcError> {
        let answer = provider.egress().send(call.authorized(Authorization::Bearer(token))).await?;
        refused(&answer, provider.clock().now())?;
        Ok(answer)
    }

    pub(super) fn at(&self, path: &str) -> Target {
        Target::new(&self.origin).path(path)
    }

    /// A token for the Management API, asked for each time: nothing of it is kept.
    pub(super) async fn token(&self, provider: &OpenIdProvider) -> Result<Secret, OidcError> {
        let ClientAuthentication::Post(secret) = self.client.authentication() else {
            return Err(OidcError::NotOffered("an administrator's client without a secret"));
        };
        let form = FormBody::new()
            .with("grant_type", "client_credentials")
            .with("client_id", self.client.id())
            .with_secret("client_secret", secret)
            .with("audience", &format!("{}/api/v2/", self.origin));
        let endpoint = provider.metadata().await?.token_endpoint()?;
        let answer = provider.egress().send(Call::form(endpoint, form)).await?;
        refused(&answer, provider.clock().now())?;
        Ok(answer.json::<Grant>()?.access_token.0)
    }
}
