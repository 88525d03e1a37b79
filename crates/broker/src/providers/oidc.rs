//! Any OpenID provider: discovery, sign-in with PKCE (pushed where offered), refresh, exchange (RFC 8693), revocation (RFC 7009),
//! proof of possession (RFC 9449) and approval on another device (CIBA).

mod ciba;
mod client;
mod discovery;
mod dpop;
mod error;
mod grants;
mod id_token;
mod keys;
mod sign_in;

use std::sync::Arc;

use tokio::sync::{Mutex, OnceCell};

pub use ciba::{DeviceQuestion, DeviceRequest};
pub use client::{Client, ClientAuthentication};
pub use discovery::Metadata;
pub use error::{OauthCode, OidcError};
pub use grants::{Exchange, Revocation, Tokens};
pub(crate) use grants::{refused, wait};
pub use id_token::{IdToken, IdTokenFault};
pub use sign_in::{Callback, SignIn, SignInRequest};

use crate::clock::Clock;
use crate::egress::Egress;
use crate::jws::SigningKey;

/// One OpenID provider and what we are to it.
pub struct OpenIdProvider {
    egress: Egress,
    clock: Arc<dyn Clock>,
    issuer: String,
    client: Client,
    /// Binds tokens to a key of ours, if set.
    possession: Option<SigningKey>,
    metadata: OnceCell<Metadata>,
    keys: Mutex<keys::KeyCache>,
    /// The nonce that the provider wants in the next proof of possession.
    nonce: std::sync::Mutex<Option<String>>,
}

impl OpenIdProvider {
    /// A provider by its issuer, exactly as it calls itself (Auth0's has a slash at its end).
    #[must_use]
    pub fn new(egress: Egress, clock: Arc<dyn Clock>, issuer: impl Into<String>, client: Client) -> Self {
        Self {
            egress,
            clock,
            issuer: issuer.into(),
            client,
            possession: None,
            metadata: OnceCell::new(),
            keys: Mutex::default(),
            nonce: std::sync::Mutex::default(),
        }
    }

    /// Binds every token that is got to this key (on P-256).
    #[must_use]
    pub fn bound_to(mut self, key: SigningKey) -> Self {
        self.possession = Some(key);
        self
    }

    /// Its issuer.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    pub(crate) fn egress(&self) -> &Egress {
        &self.egress
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        self.clock.as_ref()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }
}
