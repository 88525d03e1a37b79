//! Why there is no token, and what whoever wants one should do.

use std::time::Duration;

use keyblind_intent::ConnectionState;

use crate::providers::oidc::{OauthCode, OidcError};

/// Why Auth0 gave no token of a connected account. Each is a state of its own: never decided on the status alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// This person has connected no such account. Signing in with it doesn't connect it.
    #[error("no such account is connected")]
    NotConnected,
    /// The connected account's own refresh failed: it was disconnected at its provider, or not used for a year.
    #[error("the connected account must be connected again")]
    Expired,
    /// The sign-in at Auth0 is over.
    #[error("the sign-in has ended")]
    SignedOut,
    /// The account is connected with less than is needed.
    #[error("the connected account lacks a permission")]
    ScopeMissing {
        /// Which scopes.
        missing: Vec<String>,
    },
    /// The tenant wants a second factor for each token, which nobody can give here.
    #[error("the tenant wants a second factor")]
    SecondFactorRequired,
    /// Too many requests.
    #[error("Auth0 asks to wait")]
    RateLimited {
        /// For how long, if it says.
        wait: Option<Duration>,
    },
    /// The set-up is wrong: not the person's fault, and nothing that she can mend.
    #[error("Auth0 isn't set up for this: {0}")]
    Operator(OperatorFault),
    /// Auth0 can't be reached, failed, or answered something that isn't its protocol.
    #[error("Auth0 gave no answer that could be used")]
    Unavailable(OidcError),
}

/// What is wrong with the set-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorFault {
    /// The client's secret or key isn't the registered one.
    #[error("the client's credentials are wrong")]
    Credentials,
    /// The client may not use Token Vault.
    #[error("the client has no grant for Token Vault")]
    Grant,
    /// It doesn't take the request.
    #[error("the request isn't taken")]
    Request,
    /// It refused in a word that isn't known.
    #[error("it refuses for an unknown reason")]
    Unknown,
}

impl From<OidcError> for Trouble {
    fn from(error: OidcError) -> Self {
        match error {
            OidcError::Refused { code, .. } => match code {
                OauthCode::FederatedNotFound => Self::NotConnected,
                OauthCode::FederatedFlowFailed | OauthCode::ConsentRequired => Self::Expired,
                OauthCode::InvalidGrant | OauthCode::ExpiredToken | OauthCode::LoginRequired => Self::SignedOut,
                OauthCode::MfaRequired | OauthCode::InteractionRequired => Self::SecondFactorRequired,
                OauthCode::InvalidClient => Self::Operator(OperatorFault::Credentials),
                OauthCode::UnauthorizedClient | OauthCode::AccessDenied | OauthCode::UnsupportedGrantType => {
                    Self::Operator(OperatorFault::Grant)
                }
                OauthCode::InvalidRequest | OauthCode::InvalidScope | OauthCode::InvalidTarget => Self::Operator(OperatorFault::Request),
                _ => Self::Operator(OperatorFault::Unknown),
            },
            OidcError::RateLimited { wait } => Self::RateLimited { wait },
            other => Self::Unavailable(other),
        }
    }
}

impl Trouble {
    /// The state of the connection, for whoever asked.
    #[must_use]
    pub fn state(&self) -> Option<ConnectionState> {
        Some(match self {
            Self::NotConnected => ConnectionState::NotConnected,
            Self::Expired => ConnectionState::Expired,
            Self::SignedOut => ConnectionState::SignedOut,
            Self::ScopeMissing { .. } => ConnectionState::ScopeMissing,
            Self::SecondFactorRequired => ConnectionState::SecondFactorRequired,
            Self::RateLimited { .. } => ConnectionState::RateLimited,
            Self::Operator(_) => ConnectionState::OperatorError,
            Self::Unavailable(_) => return None,
        })
    }

    /// What to do, in one sentence.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        match self {
            Self::NotConnected => "Connect the account on the broker's pages: signing in with it isn't enough.",
            Self::Expired => "Connect the account again on the broker's pages.",
            Self::SignedOut => "Sign in again on the broker's pages.",
            Self::ScopeMissing { .. } => "Connect the account again and allow what the page names.",
            Self::SecondFactorRequired => {
                "Set the tenant's MFA policy to Never and ask for the second factor in an Action: with Always, Token Vault gives no tokens."
            }
            Self::RateLimited { .. } => "Nothing: it is tried again when Auth0 allows it.",
            Self::Operator(OperatorFault::Credentials) => "Put the client's current secret or key into the broker's sealed store.",
            Self::Operator(OperatorFault::Grant) => {
                "Switch on the Token Vault grant for the client, and connected accounts for the connection; rotation of refresh tokens must be off."
            }
            Self::Operator(OperatorFault::Request) => {
                "Check the connection's name and the client's kind: regular web application, OIDC-conformant."
            }
            Self::Operator(OperatorFault::Unknown) => "Look up the refusal in the tenant's log.",
            Self::Unavailable(_) => "Check that the tenant's domain is in the broker's list of hosts and can be reached.",
        }
    }
}
