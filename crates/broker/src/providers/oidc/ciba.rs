//! Approval on another device (OpenID Connect CIBA Core 1.0, poll mode): the two requests. What they mean is decided by
//! [`approvals::ciba`](crate::approvals::ciba).

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::grants::refused;
use super::{OauthCode, OidcError, OpenIdProvider};
use crate::approvals::ciba::{NotAsked, Poll};
use crate::egress::FormBody;
use crate::providers::Credential;
use crate::secret::Secret;

/// The longest that a request may stay open: three days, Auth0's limit.
const LONGEST: u32 = 259_200;

/// Whom to ask for what.
#[derive(Clone, Copy, Debug)]
pub struct DeviceQuestion<'a> {
    /// Whom, by the provider's own name for them.
    pub subject: &'a str,
    /// What people compare on both devices: at most 64 of `A-Za-z0-9` and `+-_.,:#`.
    pub message: &'a str,
    /// What for (RFC 9396); none if the provider takes none.
    pub details: Option<&'a Value>,
    /// Whose interface the details are registered with, in the way of Auth0.
    pub audience: Option<&'a str>,
    /// For how many seconds it stays open.
    pub seconds: u32,
}

/// A question that waits for a person.
pub struct DeviceRequest {
    id: Secret,
    /// How long the provider keeps it open.
    pub expires_in: Duration,
    /// How long to wait between polls, if the provider says.
    pub interval: Option<Duration>,
}

impl DeviceRequest {
    /// A question that was asked before, by what the sealed store has kept of it.
    #[must_use]
    pub fn again(id: Secret, expires_in: Duration, interval: Option<Duration>) -> Self {
        Self { id, expires_in, interval }
    }

    /// What it is polled with: for the sealed store.
    pub(crate) fn id(&self) -> &Secret {
        &self.id
    }
}

#[derive(Deserialize)]
struct Started {
    auth_req_id: Credential,
    expires_in: u64,
    interval: Option<u64>,
}

/// Whether a message is in the alphabet that every provider takes.
fn is_message(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-_.,:#".contains(&byte);
    (1..=64).contains(&text.len()) && text.bytes().all(plain)
}

impl OpenIdProvider {
    /// Asks a person on her device.
    ///
    /// # Errors
    /// [`NotAsked::NoDevice`] if she has none (Auth0 calls that `invalid_request`); the broker's own pages then have to do.
    pub async fn ask_device(&self, question: &DeviceQuestion<'_>) -> Result<DeviceRequest, NotAsked> {
        self.backchannel(question).await.map_err(|error| match error.code() {
            Some(OauthCode::InvalidRequest | OauthCode::UnknownUserId) => NotAsked::NoDevice,
            _ => NotAsked::Unavailable,
        })
    }

    async fn backchannel(&self, question: &DeviceQuestion<'_>) -> Result<DeviceRequest, OidcError> {
        if !is_message(question.message) {
            return Err(OidcError::NotOffered("messages with other characters than `A-Za-z0-9+-_.,:#`, or longer than 64"));
        }
        let endpoint = self.metadata().await?.backchannel_endpoint()?;
        let details = question.details.map(Value::to_string);
        let seconds = question.seconds.clamp(1, LONGEST).to_string();
        let hint = json!({"format": "iss_sub", "iss": self.issuer, "sub": question.subject}).to_string();
        let form = || {
            FormBody::new()
                .with("login_hint", &hint)
                .with("scope", "openid")
                .with("binding_message", question.message)
                .with("requested_expiry", &seconds)
                .with_some("authorization_details", details.as_deref())
                .with_some("audience", question.audience)
        };
        let answer = self.post(&endpoint, form).await?;
        refused(&answer, self.clock.now())?;
        let started: Started = answer.json()?;
        Ok(DeviceRequest {
            id: started.auth_req_id.0,
            expires_in: Duration::from_secs(started.expires_in.min(u64::from(LONGEST))),
            interval: started.interval.map(Duration::from_secs),
        })
    }

    /// Asks once what came of it. The token that comes with a yes ends here: it is proof, not authority.
    pub async fn poll_device(&self, request: &DeviceRequest) -> Poll {
        let form = || FormBody::new().with("grant_type", "urn:openid:params:grant-type:ciba").with_secret("auth_req_id", &request.id);
        match self.tokens(form, None).await {
            Ok(tokens) => match tokens.id {
                Some(id) => Poll::Granted { subject: id.subject, details: tokens.details },
                // A yes of nobody.
                None => Poll::Invalid,
            },
            Err(OidcError::RateLimited { wait }) => Poll::SlowDown { wait },
            Err(OidcError::Refused { code, .. }) => match code {
                OauthCode::AuthorizationPending => Poll::Pending,
                OauthCode::AccessDenied => Poll::Denied,
                OauthCode::ExpiredToken => Poll::Expired,
                _ => Poll::Invalid,
            },
            // A yes whose proof can't be checked is none.
            Err(OidcError::IdToken(_) | OidcError::OtherThanAsked) => Poll::Invalid,
            Err(_) => Poll::Failed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_in_every_providers_alphabet() {
        for sound in ["K7-QX-2M", "Approve:K7-QX-2M", &"a".repeat(64)] {
            assert!(is_message(sound), "{sound}");
        }
        for unsound in ["", "Approve K7", "a/b", "é", "a\n", &"a".repeat(65)] {
            assert!(!is_message(unsound), "{unsound}");
        }
    }
}
