//! What a provider says of itself (OpenID Connect Discovery 1.0; RFC 8414).

use serde::Deserialize;

use super::{OidcError, OpenIdProvider};
use crate::egress::{Call, Target};

/// A provider's metadata, as far as it is used.
#[derive(Clone, Debug, Deserialize)]
pub struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    revocation_endpoint: Option<String>,
    pushed_authorization_request_endpoint: Option<String>,
    backchannel_authentication_endpoint: Option<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
    #[serde(default)]
    code_challenge_methods_supported: Vec<String>,
    #[serde(default)]
    dpop_signing_alg_values_supported: Vec<String>,
    #[serde(default)]
    backchannel_token_delivery_modes_supported: Vec<String>,
    #[serde(default)]
    authorization_details_types_supported: Vec<String>,
}

fn target(text: &str) -> Result<Target, OidcError> {
    Target::parse(text).map_err(|_| OidcError::Metadata)
}

impl Metadata {
    pub(super) fn authorization_endpoint(&self) -> Result<Target, OidcError> {
        target(&self.authorization_endpoint)
    }

    pub(crate) fn token_endpoint(&self) -> Result<Target, OidcError> {
        target(&self.token_endpoint)
    }

    pub(super) fn jwks(&self) -> Result<Target, OidcError> {
        target(&self.jwks_uri)
    }

    pub(super) fn revocation_endpoint(&self) -> Result<Target, OidcError> {
        target(self.revocation_endpoint.as_deref().ok_or(OidcError::NotOffered("revocation of tokens"))?)
    }

    pub(super) fn pushed_endpoint(&self) -> Result<Option<Target>, OidcError> {
        self.pushed_authorization_request_endpoint.as_deref().map(target).transpose()
    }

    pub(super) fn backchannel_endpoint(&self) -> Result<Target, OidcError> {
        let endpoint = self.backchannel_authentication_endpoint.as_deref();
        let endpoint = endpoint.filter(|_| self.offers_polling()).ok_or(OidcError::NotOffered("approval on another device"))?;
        target(endpoint)
    }

    /// Whether it says who it is in the answer that comes by the browser (RFC 9207).
    pub(super) fn names_itself_in_answers(&self) -> bool {
        self.authorization_response_iss_parameter_supported
    }

    /// Whether it takes requests before the browser comes with them (RFC 9126): then it says at once what is wrong with one.
    #[must_use]
    pub fn offers_pushed_requests(&self) -> bool {
        self.pushed_authorization_request_endpoint.is_some()
    }

    /// Whether it ends tokens (RFC 7009).
    #[must_use]
    pub fn offers_revocation(&self) -> bool {
        self.revocation_endpoint.is_some()
    }

    /// Whether it takes proofs of possession (RFC 9449) that we can make.
    #[must_use]
    pub fn offers_possession(&self) -> bool {
        self.dpop_signing_alg_values_supported.iter().any(|algorithm| algorithm == "ES256")
    }

    /// Whether people can approve on another device, and we can ask for the outcome. A provider that doesn't say which ways it
    /// has is taken to have this one, which every provider must have.
    #[must_use]
    pub fn offers_polling(&self) -> bool {
        let modes = &self.backchannel_token_delivery_modes_supported;
        self.backchannel_authentication_endpoint.is_some() && (modes.is_empty() || modes.iter().any(|mode| mode == "poll"))
    }

    /// The types of authorization details (RFC 9396) that it lists.
    #[must_use]
    pub fn authorization_details_types(&self) -> &[String] {
        &self.authorization_details_types_supported
    }
}

impl OpenIdProvider {
    /// The provider's metadata, read once.
    ///
    /// # Errors
    /// If there is none, it isn't that issuer's, or PKCE isn't among what it offers.
    pub async fn metadata(&self) -> Result<&Metadata, OidcError> {
        self.metadata.get_or_try_init(|| self.discover()).await
    }

    async fn discover(&self) -> Result<Metadata, OidcError> {
        let base = self.issuer.trim_end_matches('/');
        let issuer = Target::parse(base).map_err(|_| OidcError::Metadata)?;
        let top = Target::new(issuer.origin());
        let own_path = base.strip_prefix(&top.url_without_query().trim_end_matches('/').to_owned()).unwrap_or_default().to_owned();
        let places = [
            issuer.clone().path("/.well-known/openid-configuration"),
            top.clone().path("/.well-known/openid-configuration").path_if_any(&own_path),
            top.path("/.well-known/oauth-authorization-server").path_if_any(&own_path),
        ];
        for place in places {
            let answer = self.egress.send(Call::get(place)).await?;
            if !answer.status().is_success() {
                continue;
            }
            let metadata: Metadata = answer.json().map_err(|_| OidcError::Metadata)?;
            // Exactly as asked for, without normalising (RFC 8414, 3.3): another one could stand in for it.
            if metadata.issuer != self.issuer {
                return Err(OidcError::Metadata);
            }
            let methods = &metadata.code_challenge_methods_supported;
            if !methods.is_empty() && !methods.iter().any(|method| method == "S256") {
                return Err(OidcError::NotOffered("PKCE with S256"));
            }
            return Ok(metadata);
        }
        Err(OidcError::Metadata)
    }
}
