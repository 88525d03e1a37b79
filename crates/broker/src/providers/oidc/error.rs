//! What can go wrong with an identity provider.

use std::time::Duration;

use super::IdTokenFault;
use crate::egress::EgressError;
use crate::jws::JwsError;

/// Makes an enum of the codes that we tell apart. Any other word of a provider's becomes `Other`, and is not kept.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal),* $(,)?) => {
        /// What a provider calls its refusal (RFC 6749 and others, Auth0's own).
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum OauthCode {
            $($(#[$doc])* $name,)*
            /// A word that we don't know.
            Other,
        }

        impl OauthCode {
            /// Reads a code.
            #[must_use]
            pub fn read(text: &str) -> Self {
                match text {
                    $($text => Self::$name,)*
                    _ => Self::Other,
                }
            }

            /// The code as the provider writes it.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                    Self::Other => "other",
                }
            }
        }
    };
}

codes! {
    /// Something in the request is wrong.
    InvalidRequest = "invalid_request",
    /// We aren't who we should be.
    InvalidClient = "invalid_client",
    /// The code, the refresh token or the subject token is dead, or somebody else's.
    InvalidGrant = "invalid_grant",
    /// This client may not do that.
    UnauthorizedClient = "unauthorized_client",
    /// The provider doesn't know that kind of grant.
    UnsupportedGrantType = "unsupported_grant_type",
    /// It doesn't give that scope.
    InvalidScope = "invalid_scope",
    /// It doesn't know that audience.
    InvalidTarget = "invalid_target",
    /// It doesn't take these authorization details.
    InvalidAuthorizationDetails = "invalid_authorization_details",
    /// A proof of possession isn't right.
    InvalidDpopProof = "invalid_dpop_proof",
    /// It wants its nonce in the proof.
    UseDpopNonce = "use_dpop_nonce",
    /// The person, or the provider, said no.
    AccessDenied = "access_denied",
    /// Nobody answered yet.
    AuthorizationPending = "authorization_pending",
    /// We ask too often.
    SlowDown = "slow_down",
    /// Nobody answered in time.
    ExpiredToken = "expired_token",
    /// It doesn't know that person.
    UnknownUserId = "unknown_user_id",
    /// It doesn't take the message.
    InvalidBindingMessage = "invalid_binding_message",
    /// Somebody must sign in.
    LoginRequired = "login_required",
    /// Somebody must consent.
    ConsentRequired = "consent_required",
    /// Somebody must act.
    InteractionRequired = "interaction_required",
    /// A second factor is wanted, which an exchange can't give.
    MfaRequired = "mfa_required",
    /// Nothing is connected there.
    FederatedNotFound = "federated_connection_refresh_token_not_found",
    /// The connected account's own refresh failed.
    FederatedFlowFailed = "federated_connection_refresh_token_flow_failed",
    /// Too many requests.
    TooManyRequests = "too_many_requests",
    /// It doesn't revoke that kind of token.
    UnsupportedTokenType = "unsupported_token_type",
    /// It is in trouble.
    ServerError = "server_error",
    /// It is overloaded or being maintained: asking again later helps.
    TemporarilyUnavailable = "temporarily_unavailable",
}

/// Why an identity provider gave nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OidcError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// Its metadata isn't metadata, or is somebody else's.
    #[error("the provider's metadata isn't usable, or names another issuer: check the issuer, with or without its slash at the end")]
    Metadata,
    /// It doesn't offer that.
    #[error("the provider doesn't offer {0}")]
    NotOffered(&'static str),
    /// It said no.
    #[error("the provider refused ({status}): {}", code.as_str())]
    Refused {
        /// Its word for it.
        code: OauthCode,
        /// The status of its answer.
        status: u16,
    },
    /// It asks to wait.
    #[error("the provider asks to wait")]
    RateLimited {
        /// For how long, if it says.
        wait: Option<Duration>,
    },
    /// It failed in itself.
    #[error("the provider failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
    /// What it says of the person isn't acceptable.
    #[error("the provider's id token isn't acceptable: {0}")]
    IdToken(#[from] IdTokenFault),
    /// The browser came back with something that isn't the answer to our question.
    #[error("this isn't the answer to the sign-in that was begun")]
    ForeignCallback,
    /// What it handed out isn't what was asked for.
    #[error("the provider handed out something else than was asked for")]
    OtherThanAsked,
    /// A signature couldn't be made.
    #[error(transparent)]
    Jws(#[from] JwsError),
}

impl OidcError {
    /// A refusal, read from the answer's status and its `error` field.
    pub(crate) fn refusal(status: u16, body: &[u8], wait: Option<Duration>) -> Self {
        #[derive(serde::Deserialize)]
        struct Refusal<'a> {
            #[serde(borrow)]
            error: std::borrow::Cow<'a, str>,
        }
        let code = serde_json::from_slice::<Refusal<'_>>(body).map(|refusal| OauthCode::read(&refusal.error));
        match (status, code) {
            (429, _) | (_, Ok(OauthCode::TooManyRequests | OauthCode::SlowDown)) => Self::RateLimited { wait },
            (503, _) | (_, Ok(OauthCode::TemporarilyUnavailable)) if wait.is_some() => Self::RateLimited { wait },
            (500.., _) => Self::Broken { status },
            (_, Ok(code)) => Self::Refused { code, status },
            (_, Err(_)) => Self::Refused { code: OauthCode::Other, status },
        }
    }

    /// What the provider called its refusal, if it refused.
    #[must_use]
    pub fn code(&self) -> Option<OauthCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            _ => None,
        }
    }
}
