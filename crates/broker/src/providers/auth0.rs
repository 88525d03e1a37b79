//! Auth0: Token Vault (tokens of connected accounts), connected accounts themselves, and the end of all of it.
//!
//! Token Vault hands out the *stored* token of a connected account while it lives, and gives no way to end it: what is borrowed
//! there expires at its time and isn't revoked after use. A scope can't be asked for either, so that a token of an OAuth app may do
//! more than is needed; how much more is told ([`Borrowed::beyond`]).

mod accounts;
mod administration;
mod examination;
mod trouble;
mod vault;

pub use accounts::{AccountsError, ConnectCallback, ConnectRequest, ConnectedAccount, Connecting};
pub use administration::{AccessEnd, Administrator};
pub use examination::ClientSetUp;
pub(crate) use examination::FEDERATED;
pub use trouble::{OperatorFault, Trouble};
pub use vault::{Borrowed, Subject, VaultRequest};

use std::sync::Arc;

use super::oidc::{OidcError, OpenIdProvider};
use crate::egress::{Origin, Target};

/// A tenant of Auth0.
pub struct Auth0 {
    oidc: Arc<OpenIdProvider>,
    origin: Origin,
}

impl Auth0 {
    /// A tenant, by its OpenID provider. Its issuer is `https://DOMAIN/`, with the slash.
    ///
    /// # Errors
    /// If the issuer isn't an address.
    pub fn new(oidc: impl Into<Arc<OpenIdProvider>>) -> Result<Self, OidcError> {
        let oidc = oidc.into();
        let origin = Origin::parse(oidc.issuer()).map_err(|_| OidcError::Metadata)?;
        Ok(Self { oidc, origin })
    }

    /// What it is as an OpenID provider: sign-in, refresh, the end of a refresh token.
    #[must_use]
    pub fn oidc(&self) -> &OpenIdProvider {
        &self.oidc
    }

    fn at(&self, path: &str) -> Target {
        Target::new(&self.origin).path(path)
    }
}
