//! What an administrator does for somebody who left: ends all of her access at once.

use hyper::Method;
use serde::Deserialize;

use super::Auth0;
use crate::egress::{Authorization, Call, FormBody};
use crate::providers::Credential;
use crate::providers::oidc::{Client, ClientAuthentication, OidcError, refused};
use crate::secret::Secret;

/// What came of ending a person's access.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessEnd {
    /// She has no refresh token any more.
    Confirmed,
    /// Auth0 took the request; it hasn't shown yet that nothing is left.
    Accepted,
}

#[derive(Deserialize)]
struct Grant {
    access_token: Credential,
}

#[derive(Deserialize)]
struct RefreshTokens {
    tokens: Vec<serde::de::IgnoredAny>,
}

impl Auth0 {
    /// Ends all sessions and refresh tokens of a person, whoever she is, and looks whether it happened. `administrator` is a client
    /// of its own, which may do this and nothing else (`delete:sessions`, `delete:refresh_tokens`, `read:refresh_tokens`).
    ///
    /// # Errors
    /// If Auth0 didn't take it: it must be tried again.
    pub async fn end_access(&self, administrator: &Client, person: &str) -> Result<AccessEnd, OidcError> {
        let token = self.management_token(administrator).await?;
        let user = self.at("/api/v2/users").segment(person);
        let call = Call::new(Method::POST, user.clone().segment("revoke-access"));
        let egress = self.oidc.egress();
        let answer = egress.send(call.authorized(Authorization::Bearer(&token))).await?;
        refused(&answer, self.oidc.clock().now())?;
        let left = egress.send(Call::get(user.segment("refresh-tokens")).authorized(Authorization::Bearer(&token))).await?;
        let is_empty = left.status().is_success() && left.json::<RefreshTokens>().is_ok_and(|left| left.tokens.is_empty());
        Ok(if is_empty { AccessEnd::Confirmed } else { AccessEnd::Accepted })
    }

    async fn management_token(&self, administrator: &Client) -> Result<Secret, OidcError> {
        let ClientAuthentication::Post(secret) = administrator.authentication() else {
            return Err(OidcError::NotOffered("an administrator's client without a secret"));
        };
        let form = FormBody::new()
            .with("grant_type", "client_credentials")
            .with("client_id", administrator.id())
            .with_secret("client_secret", secret)
            .with("audience", &format!("{}/api/v2/", self.origin));
        let endpoint = self.oidc.metadata().await?.token_endpoint()?;
        let answer = self.oidc.egress().send(Call::form(endpoint, form)).await?;
        refused(&answer, self.oidc.clock().now())?;
        Ok(answer.json::<Grant>()?.access_token.0)
    }
}
