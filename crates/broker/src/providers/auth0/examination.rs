//! What an administrator's client sees of the set-up at an Auth0 tenant: the settings without which Token Vault gives no tokens.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::Administrator;
use crate::egress::Call;
use crate::providers::oidc::{OidcError, OpenIdProvider};
use crate::secret::Secret;

/// The grant type of Token Vault.
pub(crate) const FEDERATED: &str = "urn:auth0:params:oauth:grant-type:token-exchange:federated-connection-access-token";

/// A client, as it is set up.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ClientSetUp {
    /// What it may ask the token endpoint for.
    #[serde(default)]
    pub grant_types: BTreeSet<String>,
    /// Where browsers may come back to.
    #[serde(default)]
    pub callbacks: BTreeSet<String>,
    /// Whether it keeps to the standard; Token Vault wants that.
    #[serde(default)]
    pub oidc_conformant: bool,
    /// Whether it belongs to the tenant itself.
    #[serde(default)]
    pub is_first_party: bool,
    refresh_token: Option<Rotation>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Rotation {
    rotation_type: Option<String>,
}

#[derive(Deserialize)]
struct ConnectionSetUp {
    connected_accounts: Option<Active>,
}

#[derive(Deserialize)]
struct Active {
    #[serde(default)]
    active: bool,
}

impl ClientSetUp {
    /// Whether a refresh token stays the same when it is used: Token Vault doesn't work with those that change.
    #[must_use]
    pub fn keeps_refresh_tokens(&self) -> bool {
        self.refresh_token.as_ref().and_then(|rotation| rotation.rotation_type.as_deref()).is_none_or(|kind| kind == "non-rotating")
    }
}

impl Administrator {
    /// The set-up of a client (`read:clients`).
    ///
    /// # Errors
    /// If Auth0 doesn't say.
    pub async fn client_set_up(&self, provider: &OpenIdProvider, client: &str) -> Result<ClientSetUp, OidcError> {
        let fields = "grant_types,callbacks,oidc_conformant,is_first_party,refresh_token";
        let target = self.at("/api/v2/clients").segment(client).query("fields", fields).query("include_fields", "true");
        let token = self.token(provider).await?;
        Ok(self.send(provider, &token, Call::get(target)).await?.json()?)
    }

    /// Whether the tenant wants a second factor for everything, which makes Token Vault refuse (`read:mfa_policies`).
    ///
    /// # Errors
    /// If Auth0 doesn't say.
    pub async fn always_wants_second_factor(&self, provider: &OpenIdProvider) -> Result<bool, OidcError> {
        let token = self.token(provider).await?;
        let policies: Vec<String> = self.send(provider, &token, Call::get(self.at("/api/v2/guardian/policies"))).await?.json()?;
        Ok(policies.iter().any(|policy| policy == "all-applications"))
    }

    /// Whether accounts can be connected by a connection; none if there is no such connection (`read:connections`).
    ///
    /// # Errors
    /// If Auth0 doesn't say.
    pub async fn connects_accounts(&self, provider: &OpenIdProvider, connection: &str) -> Result<Option<bool>, OidcError> {
        let token: Secret = self.token(provider).await?;
        let target = self.at("/api/v2/connections").query("name", connection);
        let found: Vec<ConnectionSetUp> = self.send(provider, &token, Call::get(target)).await?.json()?;
        Ok(found.first().map(|found| found.connected_accounts.as_ref().is_some_and(|accounts| accounts.active)))
    }
}
