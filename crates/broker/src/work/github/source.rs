//! Where authority over a repository comes from: a GitHub App's installations, or the account that whoever asks has connected.
//!
//! The App's tokens are for one repository and one intent's permissions, and are revoked after their use. An account's token is what its
//! person allowed when she connected it: it reaches all of that, and dies at its own time. It is borrowed only where the approval policy
//! accepts that by name, for whoever asks in her own name only, and what people approve says so.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{ConnectionName, ConnectionState, Outcome, PolicyTemplate, Provider, Refusal, Repository};

use super::Owners;
use crate::approvals::Approvals;
use crate::door::{Accounts, OwnAccount};
use crate::leases::lease::{Authority, Minted, NotMinted};
use crate::leases::revocation::Ending;
use crate::ledger::Who;
use crate::providers::github::{Access, GithubError, Identity, Installations, Permissions, Reach, Scope};
use crate::secret::Secret;

/// The accounts that people have connected, and where they are used.
#[derive(Clone)]
pub(super) struct FromPeople {
    pub(super) accounts: Arc<Accounts>,
    /// Whose repositories they are used for although there is an App.
    pub(super) instead_of_app: Option<Owners>,
    pub(super) approvals: Approvals,
}

/// One of the two.
#[derive(Clone)]
pub(super) enum Source {
    App(Installations),
    Account(Box<OwnAccount>),
}

/// What is asked of it, and what it gave.
#[derive(Clone)]
pub(super) enum Wanted {
    App(Scope),
    /// By OAuth's scopes.
    Account(Vec<String>),
}

impl Source {
    /// What to ask it for, for something that needs these permissions. None if an account isn't asked to allow it, or can't.
    pub(super) fn wanted(&self, reach: Reach, permissions: &Permissions) -> Option<Wanted> {
        match self {
            Self::App(_) => Some(Wanted::App(Scope::new(reach, permissions))),
            Self::Account(account) => scopes(permissions, account.scopes()).map(Wanted::Account),
        }
    }

    /// Calls with a token of it act as this.
    pub(super) fn access<'t>(&'t self, token: &'t Secret) -> Access<'t> {
        match self {
            Self::App(app) => app.access(token),
            Self::Account(_) => Access { token, identity: Identity::Person },
        }
    }

    /// How the ledger calls what is borrowed: an account's token allows more than the one permission.
    pub(super) fn permission<'p>(&self, of_app: &'p str) -> &'p str {
        match self {
            Self::App(_) => of_app,
            Self::Account(_) => "github-account",
        }
    }

    /// What whoever asked is told of a failure. An account's token that GitHub doesn't take means that she took back at GitHub what she had
    /// allowed, or that it has ended there: the vault doesn't know.
    pub(super) fn told(&self, error: GithubError) -> Outcome {
        match (self, error) {
            (Self::Account(account), GithubError::Unauthorized) => {
                account.is_dead_at_its_provider();
                Outcome::NotReady { provider: Provider::Github, state: ConnectionState::Expired }
            }
            _ => error.outcome(),
        }
    }
}

impl FromPeople {
    /// Whether an account is to be used for that owner's repositories, where there is also an App.
    pub(super) fn precedes_app(&self, owner: &str) -> bool {
        self.instead_of_app.as_ref().is_some_and(|owners| owners.reach(owner))
    }

    /// Whether the policy accepts for a repository that an account's token reaches more than it.
    pub(super) async fn is_accepted(&self, repository: &Repository) -> bool {
        let connection = format!("{}:{}/{}", repository.forge, repository.owner, repository.name);
        matches!(self.approvals.policy().await, Ok((_, policy)) if policy.accepts_broad_authority(&connection))
    }

    /// Whether it accepts that for any repository of a forge.
    pub(super) async fn is_accepted_anywhere(&self, forge: &ConnectionName) -> bool {
        matches!(self.approvals.policy().await, Ok((_, policy)) if policy.accepts_broad_authority_at(&format!("{forge}:")))
    }

    /// The account of whoever asks.
    pub(super) async fn of(&self, who: &Who) -> Result<Source, Outcome> {
        let account = self.accounts.own(&who.tenant, &who.subject, Provider::Github).await;
        account.map(|account| Source::Account(Box::new(account))).ok_or(Outcome::Refused(Refusal::RequesterUnknown))
    }
}

/// The scopes that permissions come to, out of those that the account is asked to allow. None if these don't suffice.
fn scopes(permissions: &Permissions, offered: &[String]) -> Option<Vec<String>> {
    let offered = |scope: &str| offered.iter().any(|offered| offered == scope).then(|| scope.to_owned());
    // Private repositories need the one; the other suffices where only public ones are wanted.
    let repositories = || offered("repo").or_else(|| offered("public_repo"));
    let mut scopes = Vec::new();
    for (name, level) in permissions.iter() {
        match (name, level) {
            ("metadata" | "contents" | "pull_requests", _) => scopes.push(repositories()?),
            ("workflows", _) => scopes.push(offered("workflow")?),
            ("security_events", _) => scopes.push(offered("security_events").or_else(|| offered("repo"))?),
            // Checks belong to Apps.
            _ => return None,
        }
    }
    scopes.sort();
    scopes.dedup();
    Some(scopes)
}

impl Authority for Source {
    type Scope = Wanted;

    fn provider(&self) -> Provider {
        Provider::Github
    }

    fn ending(&self) -> Ending {
        match self {
            Self::App(app) => app.ending(),
            Self::Account(account) => account.ending(),
        }
    }

    fn longest_life(&self, asked: Duration) -> Duration {
        match self {
            Self::App(app) => app.longest_life(asked),
            Self::Account(account) => account.longest_life(asked),
        }
    }

    async fn mint(&self, asked: &Wanted, lifetime: Duration) -> Result<Minted<Wanted>, NotMinted> {
        match (self, asked) {
            (Self::App(app), Wanted::App(scope)) => {
                let Minted { token, granted, dies_at } = app.mint(scope, lifetime).await?;
                Ok(Minted { token, granted: Wanted::App(granted), dies_at })
            }
            (Self::Account(account), Wanted::Account(scopes)) => {
                let Minted { token, granted, dies_at } = account.mint(scopes, lifetime).await?;
                Ok(Minted { token, granted: Wanted::Account(granted), dies_at })
            }
            _ => Err(NotMinted::Refused(crate::providers::code("other-source"))),
        }
    }

    fn is_within(&self, granted: &Wanted, asked: &Wanted) -> bool {
        match (self, granted, asked) {
            (Self::App(app), Wanted::App(granted), Wanted::App(asked)) => app.is_within(granted, asked),
            (Self::Account(account), Wanted::Account(granted), Wanted::Account(asked)) => account.is_within(granted, asked),
            _ => false,
        }
    }
}

/// Whether a change was approved for an account's token.
pub(super) fn is_of_account(permission: PolicyTemplate) -> bool {
    permission == PolicyTemplate::GithubAccount
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_account_must_allow_follows_from_what_is_done() {
        let of = |template, offered: &[&str]| {
            let offered: Vec<String> = offered.iter().map(ToString::to_string).collect();
            scopes(&Permissions::of(template).unwrap(), &offered)
        };
        let some = |scopes: &[&str]| Some(scopes.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(PolicyTemplate::GithubContentsRead, &["repo", "workflow"]), some(&["repo"]));
        assert_eq!(of(PolicyTemplate::GithubContentsRead, &["public_repo"]), some(&["public_repo"]));
        assert_eq!(of(PolicyTemplate::GithubContentsRead, &["workflow"]), None);
        assert_eq!(of(PolicyTemplate::GithubPullRequestsWrite, &["repo"]), some(&["repo"]));
        assert_eq!(of(PolicyTemplate::GithubWorkflowsWrite, &["repo"]), None);
        assert_eq!(of(PolicyTemplate::GithubWorkflowsWrite, &["repo", "workflow"]), some(&["repo", "workflow"]));
        assert_eq!(of(PolicyTemplate::GithubSecurityEventsWrite, &["repo"]), some(&["repo"]));
        assert_eq!(of(PolicyTemplate::GithubChecksWrite, &["repo"]), None);
    }
}
