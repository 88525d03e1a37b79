//! Why an account can't be used now, and what to do.

use std::time::Duration;

use keyblind_intent::ConnectionState;

use crate::database::DatabaseError;
use crate::door::{GrantError, answers};
use crate::providers::auth0::{AccountsError, Trouble};

/// Why an account can't be connected, listed or disconnected, or no token be borrowed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::door) enum Problem {
    /// By Token Vault.
    Trouble(Trouble),
    /// By the My Account interface.
    Accounts(AccountsError),
    /// By the broker itself.
    Broker,
    /// Accounts are linked at the identity provider, and not here.
    Elsewhere,
}

impl From<AccountsError> for Problem {
    fn from(error: AccountsError) -> Self {
        Self::Accounts(error)
    }
}

impl From<GrantError> for Problem {
    fn from(_: GrantError) -> Self {
        Self::Broker
    }
}

impl From<DatabaseError> for Problem {
    fn from(_: DatabaseError) -> Self {
        Self::Broker
    }
}

impl Problem {
    pub(in crate::door) fn state(&self) -> Option<ConnectionState> {
        match self {
            Self::Trouble(trouble) => trouble.state(),
            Self::Accounts(AccountsError::SignedOut) => Some(ConnectionState::SignedOut),
            Self::Accounts(AccountsError::NotAllowed) => Some(ConnectionState::OperatorError),
            Self::Accounts(AccountsError::RateLimited { .. }) => Some(ConnectionState::RateLimited),
            Self::Accounts(AccountsError::NotFound) => Some(ConnectionState::NotConnected),
            Self::Accounts(AccountsError::Oidc(error)) => Trouble::from(*error).state(),
            Self::Accounts(_) | Self::Broker | Self::Elsewhere => None,
        }
    }

    /// A word for records, and for whoever asked.
    pub(in crate::door) fn code(&self) -> &'static str {
        match self {
            Self::Trouble(Trouble::NotConnected) => "not-connected",
            Self::Trouble(Trouble::Expired) => "expired",
            Self::Trouble(Trouble::SignedOut) | Self::Accounts(_) => "signed-out",
            Self::Trouble(Trouble::ScopeMissing { .. }) => "scope-missing",
            Self::Trouble(Trouble::SecondFactorRequired) => "second-factor-required",
            Self::Trouble(Trouble::RateLimited { .. }) => "rate-limited",
            Self::Trouble(Trouble::Operator(_)) => "operator-error",
            Self::Trouble(Trouble::Unavailable(_)) => "unavailable",
            Self::Broker => "broker",
            Self::Elsewhere => "linked-elsewhere",
        }
    }

    /// What it is and what to do, for the page.
    pub(in crate::door) fn words(&self) -> String {
        let both = |what: String, advice: &str| format!("{} {advice}", answers::sentence(&what));
        match self {
            Self::Trouble(trouble @ Trouble::ScopeMissing { missing }) => {
                format!("It lacks {}. {}", missing.join(", "), trouble.advice())
            }
            Self::Trouble(trouble) => both(trouble.to_string(), trouble.advice()),
            Self::Accounts(AccountsError::Oidc(error)) => {
                let trouble = Trouble::from(*error);
                both(trouble.to_string(), trouble.advice())
            }
            Self::Accounts(AccountsError::SignedOut) => "Your login at Auth0 has ended. Log in again here, then connect.".to_owned(),
            Self::Accounts(AccountsError::NotAllowed) => {
                "The broker may not manage connected accounts. Whoever runs it allows its client the My Account API with the scopes create, \
                 read and delete:me:connected_accounts."
                    .to_owned()
            }
            Self::Accounts(AccountsError::ForeignCallback) => {
                "This isn’t the answer to a connection that this browser began; or it came too late. Begin again on the page of connections."
                    .to_owned()
            }
            Self::Accounts(AccountsError::AlreadyConnected) => {
                "That very account is connected already. Disconnect it first if you want to connect it anew.".to_owned()
            }
            Self::Accounts(AccountsError::NotFound) => "No such account is connected any more.".to_owned(),
            Self::Accounts(AccountsError::RateLimited { wait }) => {
                let wait = wait.map_or_else(|| "a minute".to_owned(), |wait| crate::approvals::words(wait.max(Duration::from_secs(1))));
                format!("Auth0 asks to wait. Try again in {wait}.")
            }
            Self::Elsewhere => {
                "Accounts are linked at your identity provider, not here: link it there, then log in here again.".to_owned()
            }
            Self::Broker => "The broker can’t keep records now, so it does nothing. Try again later.".to_owned(),
        }
    }
}
