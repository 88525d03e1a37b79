//! GitHub and its enterprise hosts, by the REST interface.
//!
//! Authority is an installation token of a GitHub App, narrowed to one repository and the permissions of the one intent, and ended
//! after its use; or, where there is no App, the token of an OAuth app, which can't be narrowed, doesn't end after its use, and can't
//! make check runs. What the repository's people wrote is never overwritten: our branches hold commits of ours only, and move
//! forward only.

mod account;
mod app;
mod call;
mod pace;
mod propose;
mod remarks;
mod repositories;
mod standing;
mod tree;

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{ConnectionName, Failure, Outcome, Refusal};

pub use account::AccountTokenEnd;
pub use app::{App, Installations, Installed, Permissions, Reach, Scope};
pub use propose::{NotProposed, Proposed};
pub use remarks::{Said, SarifUpload};
pub use repositories::Listed;
pub use standing::Standing;
pub use tree::{Fetched, TreeLimits};

use crate::clock::Clock;
use crate::egress::{Egress, EgressError, Origin, Target};
use crate::jws::JwsError;
use crate::ledger::Code;
use crate::providers::code;
use crate::secret::Secret;

/// A host that speaks GitHub's interface.
pub struct Github {
    egress: Egress,
    clock: Arc<dyn Clock>,
    forge: ConnectionName,
    api: Target,
    pace: pace::Pace,
}

/// A token, and what it is.
#[derive(Clone, Copy)]
pub struct Access<'t> {
    /// It.
    pub token: &'t Secret,
    /// Whose commits and comments are ours.
    pub identity: Identity<'t>,
}

/// As whom a token acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity<'t> {
    /// As an App, by its slug: nobody else can act as it.
    App(&'t str),
    /// As a person: what she wrote herself can't be told from what we wrote with her token.
    Person,
}

/// Why GitHub didn't do it, or we didn't.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GithubError {
    /// There was no answer.
    #[error(transparent)]
    Egress(#[from] EgressError),
    /// The token, or the App's key, isn't taken.
    #[error("GitHub doesn't take the credential")]
    Unauthorized,
    /// The token doesn't allow it.
    #[error("GitHub doesn't allow it: the App lacks a permission or isn't installed there")]
    Forbidden,
    /// There is no such thing, or the token doesn't see it.
    #[error("GitHub has no such repository, branch or commit, or the App doesn't see it")]
    NotFound,
    /// It was changed meanwhile.
    #[error("it was changed meanwhile")]
    Conflict,
    /// GitHub doesn't take the request.
    #[error("GitHub doesn't take the request ({status})")]
    Rejected {
        /// The status of its answer.
        status: u16,
    },
    /// GitHub asks to wait for longer than a request may take.
    #[error("GitHub asks to wait")]
    RateLimited {
        /// For how long.
        wait: Duration,
    },
    /// GitHub failed.
    #[error("GitHub failed ({status})")]
    Broken {
        /// The status of its answer.
        status: u16,
    },
    /// Our branch holds commits that aren't ours.
    #[error("people have committed to the branch: it isn't touched")]
    WrittenByPeople,
    /// People closed the pull request without merging it.
    #[error("people closed this pull request: it isn't opened again")]
    SaidNo,
    /// The files aren't what the change was made for.
    #[error("the repository isn't in the state that the change was made for")]
    StaleState,
    /// It is more than we take.
    #[error("it is larger than a limit allows")]
    BeyondLimit,
    /// The contents aren't those that were announced.
    #[error("the contents don't fit what was announced")]
    Contents,
    /// A signature couldn't be made.
    #[error(transparent)]
    Jws(#[from] JwsError),
    /// What was fetched couldn't be kept.
    #[error("the archive can't be written")]
    Storage,
}

impl Github {
    /// A host by the address of its interface: `https://api.github.com`, or `https://HOST/api/v3` for an enterprise's own.
    ///
    /// # Errors
    /// If that is no address.
    pub fn new(egress: Egress, clock: Arc<dyn Clock>, forge: ConnectionName, api: &str) -> Result<Self, GithubError> {
        let api = Target::parse(api.trim_end_matches('/')).map_err(|_| EgressError::Target)?;
        Ok(Self { egress, clock, forge, api, pace: pace::Pace::new(Duration::from_secs(1)) })
    }

    /// The same with another pause between writes; GitHub asks for a second.
    #[must_use]
    pub fn with_pause(mut self, pause: Duration) -> Self {
        self.pace = pace::Pace::new(pause);
        self
    }

    /// The hosts that must be in the list of hosts for an interface at that address: itself, and where its archives lie.
    ///
    /// # Errors
    /// If that is no address.
    pub fn needs(api: &str) -> Result<Vec<Origin>, GithubError> {
        let api = Target::parse(api.trim_end_matches('/')).map_err(|_| EgressError::Target)?;
        let mut origins = vec![api.origin().clone()];
        if api.origin().host() == "api.github.com" {
            origins.extend(Origin::parse("https://codeload.github.com"));
        }
        Ok(origins)
    }

    /// The name that the configuration gives it.
    #[must_use]
    pub fn forge(&self) -> &ConnectionName {
        &self.forge
    }

    fn repository(&self, repository: &keyblind_intent::Repository) -> Target {
        self.api.clone().segment("repos").segment(repository.owner.as_str()).segment(repository.name.as_str())
    }
}

impl GithubError {
    /// Whether a request that changes something may have had its effect although it failed.
    #[must_use]
    pub fn may_have_happened(self) -> bool {
        match self {
            Self::Egress(error) => error.may_have_happened(),
            Self::Broken { .. } => true,
            _ => false,
        }
    }

    /// A word for records.
    #[must_use]
    pub fn code(self) -> Code {
        code(match self {
            Self::Egress(error) => error.code(),
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not-found",
            Self::Conflict => "conflict",
            Self::Rejected { .. } => "rejected",
            Self::RateLimited { .. } => "rate-limited",
            Self::Broken { .. } => "broken",
            Self::WrittenByPeople => "written-by-people",
            Self::SaidNo => "said-no",
            Self::StaleState => "stale-state",
            Self::BeyondLimit => "beyond-limit",
            Self::Contents => "other-contents",
            Self::Jws(_) => "signature",
            Self::Storage => "storage",
        })
    }

    /// What whoever asked is told.
    #[must_use]
    pub fn outcome(self) -> Outcome {
        let failed = |failure, status, wait: Option<Duration>| Outcome::Failed {
            failure,
            status,
            retry_after_seconds: wait.map(|wait| u32::try_from(wait.as_secs()).unwrap_or(u32::MAX)),
            said: None,
        };
        match self {
            Self::Egress(error) => {
                let failure = match error {
                    EgressError::TimedOut => Failure::TimedOut,
                    EgressError::TooLarge => Failure::TooLarge,
                    EgressError::Protocol | EgressError::Unintelligible | EgressError::Redirect => Failure::Unintelligible,
                    _ => Failure::Unreachable,
                };
                failed(failure, None, None)
            }
            Self::Unauthorized => failed(Failure::Forbidden, Some(401), None),
            Self::Forbidden => failed(Failure::Forbidden, Some(403), None),
            Self::NotFound => failed(Failure::NotFound, Some(404), None),
            Self::Conflict => failed(Failure::Conflict, None, None),
            Self::Rejected { status } => failed(Failure::Rejected, Some(status), None),
            Self::RateLimited { wait } => failed(Failure::RateLimited, None, Some(wait)),
            Self::Broken { status } => failed(Failure::Broken, Some(status), None),
            Self::WrittenByPeople => Outcome::Refused(Refusal::WrittenByPeople),
            Self::SaidNo => Outcome::Refused(Refusal::SaidNoBefore),
            Self::StaleState => Outcome::Refused(Refusal::StaleState),
            Self::BeyondLimit => Outcome::Refused(Refusal::BeyondLimit),
            Self::Contents => Outcome::Refused(Refusal::BadBulk),
            Self::Jws(_) | Self::Storage => Outcome::Refused(Refusal::Internal),
        }
    }
}
