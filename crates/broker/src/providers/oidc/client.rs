//! Who we are to a provider.

use serde::Serialize;

use super::OidcError;
use crate::clock::Clock;
use crate::egress::{Authorization, Call, FormBody, Target};
use crate::jws::{SigningKey, random_text};
use crate::secret::Secret;

/// How long a signed assertion of who we are lives.
const ASSERTION_SECONDS: u64 = 60;

/// A client as it is registered with the provider.
pub struct Client {
    id: String,
    authentication: ClientAuthentication,
}

/// How it proves who it is.
pub enum ClientAuthentication {
    /// Not at all: a public client, which PKCE alone protects.
    None,
    /// A shared secret in the form (`client_secret_post`).
    Post(Secret),
    /// A shared secret in the header (`client_secret_basic`).
    Basic(Secret),
    /// A signed assertion (`private_key_jwt`).
    PrivateKey(SigningKey),
}

#[derive(Serialize)]
struct Assertion<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    jti: String,
    iat: u64,
    exp: u64,
}

impl Client {
    /// A client.
    #[must_use]
    pub fn new(id: impl Into<String>, authentication: ClientAuthentication) -> Self {
        Self { id: id.into(), authentication }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn authentication(&self) -> &ClientAuthentication {
        &self.authentication
    }

    /// A form call that says who we are. `audience` is whom a signed assertion is for: the issuer.
    pub(super) fn call(&self, target: Target, form: FormBody, audience: &str, clock: &dyn Clock) -> Result<Call<'_>, OidcError> {
        Ok(match &self.authentication {
            ClientAuthentication::None => Call::form(target, form.with("client_id", &self.id)),
            ClientAuthentication::Post(secret) => Call::form(target, form.with("client_id", &self.id).with_secret("client_secret", secret)),
            // A pushed request names the client as well, since it is an authorization request.
            // Ids and secrets with characters that a form would encode aren't taken (RFC 6749, 2.3.1); ours have none.
            ClientAuthentication::Basic(secret) => {
                Call::form(target, form.with("client_id", &self.id)).authorized(Authorization::Basic(&self.id, secret))
            }
            ClientAuthentication::PrivateKey(key) => {
                let now = clock.now().unix_millis() / 1_000;
                let claims = Assertion {
                    iss: &self.id,
                    sub: &self.id,
                    aud: audience,
                    jti: random_text(16)?,
                    iat: now,
                    exp: now + ASSERTION_SECONDS,
                };
                let form = form
                    .with("client_id", &self.id)
                    .with("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
                    .with_secret("client_assertion", &key.sign(Some("JWT"), &claims)?);
                Call::form(target, form)
            }
        })
    }
}
