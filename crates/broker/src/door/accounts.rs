//! Accounts that people connect through Auth0 (Token Vault): whether each can be used, and borrowing from it.
//!
//! What a person connects is hers: it is reached with the refresh token that her login left, and nobody else's session shows it. Every way
//! in which Auth0 gives no token is a state of its own with what to do; the last one that was seen stays on the page until it works again.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{
    ConnectionName, ConnectionState, ConnectionSummary, Digest, Line, Missing, Outcome, Provider, Refusal, Report, SubjectId, TenantId,
    UnixMillis,
};

use super::{EndedGrant, GrantError, Grants, Origin};
use crate::approvals::policy::Identity;
use crate::approvals::{Approvals, Entry, ledger_name};
use crate::clock::{Clock, Timestamp};
use crate::database::DatabaseError;
use crate::dispatch::{self, Answering, Session};
use crate::leases::lease::LendError;
use crate::leases::lease::{Authority, Lender, Minted, NotMinted, Purpose, ReadLease};
use crate::leases::revocation::Ending;
use crate::ledger::{Code, Who};
use crate::providers::auth0::{
    AccessEnd, AccountsError, Auth0, ConnectCallback, ConnectRequest, ConnectedAccount, Connecting, Subject, Trouble, VaultRequest,
};
use crate::providers::code;
use crate::providers::oidc::{Client, OidcError};
use crate::secret::Secret;

/// What managing connected accounts needs.
const SCOPES: &str = "openid create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts";
/// How long a request from a terminal waits for its person on the pages.
const WAITS: Duration = Duration::from_secs(10 * 60);
/// How many of these wait at most; more take the place of the oldest.
const MOST_WAITING: usize = 1_000;
/// What an OAuth token without an end is taken to live at least: Auth0 forgets what isn't used for a year.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// For how long a token is borrowed to see whether that works.
const CHECK: Duration = Duration::from_secs(60);

/// A kind of account that can be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the broker's configuration calls it.
    pub name: ConnectionName,
    /// With whom.
    pub provider: Provider,
    /// What Auth0 calls the connection.
    pub connection: String,
    /// What it must allow.
    pub scopes: Vec<String>,
}

/// Who connects: in a tenant, by Auth0's own name for her.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Where she works.
    pub tenant: String,
    /// Who she is.
    pub identity: Identity,
}

/// Why an account can't be connected, listed or disconnected, or no token be borrowed of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// By Token Vault.
    Trouble(Trouble),
    /// By the My Account interface.
    Accounts(AccountsError),
    /// By the broker itself.
    Broker,
}

impl From<AccountsError> for Problem {
    fn from(error: AccountsError) -> Self {
        Self::Accounts(error)
    }
}

impl From<super::GrantError> for Problem {
    fn from(_: super::GrantError) -> Self {
        Self::Broker
    }
}

impl From<DatabaseError> for Problem {
    fn from(_: DatabaseError) -> Self {
        Self::Broker
    }
}

impl Problem {
    pub(super) fn state(&self) -> Option<ConnectionState> {
        match self {
            Self::Trouble(trouble) => trouble.state(),
            Self::Accounts(AccountsError::SignedOut) => Some(ConnectionState::Expired),
            Self::Accounts(AccountsError::NotAllowed) => Some(ConnectionState::OperatorError),
            Self::Accounts(AccountsError::RateLimited { .. }) => Some(ConnectionState::RateLimited),
            Self::Accounts(AccountsError::NotFound) => Some(ConnectionState::NotConnected),
            Self::Accounts(AccountsError::Oidc(error)) => Trouble::from(*error).state(),
            Self::Accounts(_) | Self::Broker => None,
        }
    }

    /// What it is and what to do, for the page.
    pub(super) fn words(&self) -> String {
        let both = |what: String, advice: &str| format!("{} {advice}", super::answers::sentence(&what));
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
            Self::Broker => "The broker can’t keep records now, so it does nothing. Try again later.".to_owned(),
        }
    }
}

/// What was ended of somebody who has left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Departure {
    /// How many accounts were disconnected.
    pub disconnected: usize,
    /// What Auth0 says of sessions and refresh tokens.
    pub access: AccessEnd,
    /// The refresh tokens that we kept.
    pub grants: Vec<EndedGrant>,
}

/// Why not all of somebody's access is ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DepartureError {
    /// Auth0 didn't take it.
    #[error("Auth0 didn't end the access: {0}")]
    Auth0(#[from] OidcError),
    /// It can't be recorded.
    #[error(transparent)]
    Grant(#[from] GrantError),
}

/// An offer and how it is for somebody.
pub(super) struct Standing {
    pub(super) offer: Offer,
    /// The accounts of it that are connected.
    pub(super) accounts: Vec<ConnectedAccount>,
    pub(super) state: Result<ConnectionState, String>,
    /// What to do, if it isn't connected soundly.
    pub(super) words: Option<String>,
}

/// A request from a terminal that waits for its person.
#[derive(Clone)]
pub(super) struct Waiting {
    pub(super) tenant: TenantId,
    pub(super) asker: SubjectId,
    pub(super) name: ConnectionName,
    expires: Timestamp,
}

/// The accounts that the people of one Auth0 tenant connect.
pub struct Accounts {
    auth0: Auth0,
    grants: Grants,
    lender: Lender,
    approvals: Approvals,
    clock: Arc<dyn Clock>,
    origin: Origin,
    offers: Vec<Offer>,
    /// The last trouble with each, until it works again.
    troubles: Mutex<HashMap<(Holder, String), Problem>>,
    waiting: Mutex<HashMap<Digest, Waiting>>,
    refreshing: tokio::sync::Mutex<()>,
}

impl Accounts {
    /// Those of the Auth0 tenant whose refresh tokens `grants` keeps. `origin` is that of the broker's pages.
    ///
    /// # Errors
    /// If the provider's issuer isn't an address.
    pub fn new(
        grants: Grants,
        lender: Lender,
        approvals: Approvals,
        clock: Arc<dyn Clock>,
        origin: Origin,
        offers: Vec<Offer>,
    ) -> Result<Self, OidcError> {
        let auth0 = Auth0::new(Arc::clone(grants.provider()))?;
        Ok(Self {
            auth0,
            grants,
            lender,
            approvals,
            clock,
            origin,
            offers,
            troubles: Mutex::default(),
            waiting: Mutex::default(),
            refreshing: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn offer(&self, name: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.name.as_str() == name)
    }

    /// Whether this person logs in with the tenant whose accounts these are.
    pub(super) fn knows(&self, identity: &Identity) -> bool {
        identity.issuer() == self.grants.provider().issuer()
    }

    /// A token for the My Account interface, from what her login left.
    async fn access(&self, holder: &Holder) -> Result<Secret, Problem> {
        // A token that is used twice at once is taken for a stolen one, where tokens rotate.
        let _one_at_a_time = self.refreshing.lock().await;
        let refresh = self.grants.refresh_token(&holder.tenant, &holder.identity).await?.ok_or(AccountsError::SignedOut)?;
        let audience = self.auth0.accounts_audience();
        let tokens = self.auth0.oidc().refresh(&refresh.token, Some(SCOPES), Some(&audience)).await;
        let tokens = tokens.map_err(|error| Problem::Trouble(error.into()))?;
        if let Some(rotated) = &tokens.refresh {
            self.grants.rotated(&refresh, rotated).await?;
        }
        Ok(tokens.access)
    }

    /// How each offer is for somebody.
    pub(super) async fn standings(&self, holder: &Holder) -> Vec<Standing> {
        let accounts = match self.access(holder).await {
            Ok(access) => self.auth0.accounts(&access).await.map_err(Problem::from),
            Err(problem) => Err(problem),
        };
        let standing = |offer: &Offer| {
            let connected: Vec<ConnectedAccount> =
                accounts.iter().flatten().filter(|account| account.connection == offer.connection).cloned().collect();
            let lacks = |account: &ConnectedAccount| offer.scopes.iter().find(|scope| !account.scopes.contains(scope)).cloned();
            let problem = match &accounts {
                Err(problem) => Some(problem.clone()),
                Ok(_) if connected.is_empty() => Some(Problem::Trouble(Trouble::NotConnected)),
                Ok(_) => self.last_trouble(holder, offer).or_else(|| {
                    // One account that has all of it is enough.
                    let lacking: Option<Vec<String>> = connected.iter().map(lacks).collect();
                    lacking.map(|missing| Problem::Trouble(Trouble::ScopeMissing { missing }))
                }),
            };
            let state = problem.as_ref().map_or(Ok(ConnectionState::Connected), |problem| problem.state().ok_or_else(|| problem.words()));
            Standing { offer: offer.clone(), accounts: connected, state, words: problem.as_ref().map(Problem::words) }
        };
        self.offers.iter().map(standing).collect()
    }

    fn last_trouble(&self, holder: &Holder, offer: &Offer) -> Option<Problem> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner).get(&(holder.clone(), offer.connection.clone())).cloned()
    }

    fn remember(&self, holder: &Holder, offer: &Offer, problem: Option<Problem>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (holder.clone(), offer.connection.clone());
        match problem {
            // Who isn't there can't fill it; what is forgotten shows again when it happens again.
            Some(problem) if troubles.len() < MOST_WAITING || troubles.contains_key(&key) => drop(troubles.insert(key, problem)),
            _ => drop(troubles.remove(&key)),
        }
    }

    /// Begins to connect an account, with state and verifier made from that seed.
    pub(super) async fn begin(&self, holder: &Holder, offer: &Offer, seed: &Secret) -> Result<Connecting, Problem> {
        let access = self.access(holder).await?;
        let scopes: Vec<&str> = offer.scopes.iter().map(String::as_str).collect();
        let request = ConnectRequest { connection: &offer.connection, redirect: &self.redirect(), scopes: &scopes };
        Ok(self.auth0.begin_connecting_with(seed, &access, &request).await?)
    }

    /// Where Auth0 sends browsers back to.
    pub(super) fn redirect(&self) -> String {
        format!("{}{}", self.origin.as_str(), super::connecting::CALLBACK)
    }

    /// Ends connecting an account. What can't be recorded isn't kept.
    pub(super) async fn complete(
        &self,
        holder: &Holder,
        offer: &Offer,
        connecting: Connecting,
        callback: &ConnectCallback<'_>,
    ) -> Result<ConnectedAccount, Problem> {
        let access = self.access(holder).await?;
        let account = self.auth0.complete_connecting(&access, connecting, callback).await?;
        let who = self.ledger_name(&holder.identity).await;
        let (tenant, connection) = (holder.tenant.clone(), offer.name.to_string());
        let noted = self.approvals.note(Entry::Connected { tenant, who, provider: offer.provider, connection }).await;
        if let Err(error) = noted {
            let _ = self.auth0.disconnect(&access, &account.id).await;
            return Err(error.into());
        }
        self.remember(holder, offer, None);
        Ok(account)
    }

    /// Disconnects an account of hers: Auth0 forgets its tokens.
    pub(super) async fn disconnect(&self, holder: &Holder, offer: &Offer, id: &str) -> Result<(), Problem> {
        let access = self.access(holder).await?;
        self.auth0.disconnect(&access, id).await?;
        let who = self.ledger_name(&holder.identity).await;
        let (tenant, connection) = (holder.tenant.clone(), offer.name.to_string());
        // Auth0 has forgotten it; whether the account's own provider knows is another matter.
        let entry = Entry::Disconnected { tenant, who, provider: offer.provider, connection, is_confirmed: true };
        self.remember(holder, offer, None);
        Ok(self.approvals.note(entry).await?)
    }

    /// Ends all that somebody has here, because she has left: her accounts are disconnected as far as her login still allows it, the
    /// administrator's client ends her sessions and refresh tokens at Auth0, and what we keep of hers is revoked and forgotten.
    ///
    /// # Errors
    /// If the administrator's call wasn't taken, or it can't be recorded: it must be tried again. What went before has happened.
    pub async fn end_person(&self, holder: &Holder, administrator: &Client) -> Result<Departure, DepartureError> {
        let mut disconnected = 0;
        if let Ok(access) = self.access(holder).await
            && let Ok(accounts) = self.auth0.accounts(&access).await
        {
            for account in accounts {
                let offer = self.offers.iter().find(|offer| offer.connection == account.connection);
                let ended = match offer {
                    Some(offer) => self.disconnect(holder, offer, &account.id).await.is_ok(),
                    None => self.auth0.disconnect(&access, &account.id).await.is_ok(),
                };
                disconnected += usize::from(ended);
            }
        }
        let access = self.auth0.end_access(administrator, holder.identity.subject()).await?;
        let grants = self.grants.end_of(&holder.tenant, &holder.identity).await?;
        Ok(Departure { disconnected, access, grants })
    }

    async fn ledger_name(&self, identity: &Identity) -> String {
        let policy = self.approvals.policy().await;
        ledger_name(policy.as_ref().ok().map(|(_, policy)| policy), identity)
    }

    /// Borrows the token of an account that somebody connected, for these operations. It can't be narrowed and isn't revoked after use:
    /// it dies at its time.
    ///
    /// # Errors
    /// As [`Lender::read`]; what Auth0 said shows on that person's page.
    pub async fn borrow(
        self: &Arc<Self>,
        holder: &Holder,
        name: &ConnectionName,
        operations: BTreeSet<Code>,
        calls: u32,
        lifetime: Duration,
    ) -> Result<ReadLease, LendError> {
        let offer = self.offer(name.as_str()).ok_or_else(|| LendError::Refused(code("not-configured")))?;
        let who = self.ledger_name(&holder.identity).await;
        let unnamed = |_| LendError::Refused(code("unnamed"));
        let who = Who {
            tenant: TenantId::new(&holder.tenant).map_err(|_| unnamed(()))?,
            subject: SubjectId::new(&who).map_err(|_| unnamed(()))?,
        };
        let target = Line::new(format!("{} of {}", offer.name, who.subject)).map_err(|_| unnamed(()))?;
        let purpose = Purpose { who, mission: None, permission: code("connected-account"), target, lifetime };
        let vault = FromVault { accounts: Arc::clone(self), holder: holder.clone(), offer: offer.clone() };
        self.lender.read(operations, calls, &vault, &offer.scopes, purpose).await
    }

    /// Borrows a token to see whether that works, and uses it for nothing.
    pub(super) async fn check(self: &Arc<Self>, holder: &Holder, offer: &Offer) -> Option<String> {
        match self.borrow(holder, &offer.name, BTreeSet::new(), 0, CHECK).await {
            Ok(_) => None,
            Err(LendError::Refused(_)) => self.last_trouble(holder, offer).map(|problem| problem.words()),
            Err(error) => Some(super::answers::sentence(&error.to_string())),
        }
    }

    /// The identity with which somebody on the socket logs in here: by the policy's word that both are one person.
    async fn holder(&self, session: &Session) -> Option<Holder> {
        let (_, policy) = self.approvals.policy().await.ok()?;
        let person = policy.person_of(&Identity::of_subject(&session.subject))?;
        let identity = person.identities().find(|identity| self.knows(identity))?.clone();
        person.belongs_to(session.tenant.as_str()).then(|| Holder { tenant: session.tenant.to_string(), identity })
    }

    pub(super) fn waiting(&self, request: &Digest) -> Option<Waiting> {
        let now = self.clock.now();
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get(request).filter(|waiting| waiting.expires > now).cloned()
    }

    fn wait_for(&self, session: &Session, offer: &Offer) -> Option<Report> {
        let now = self.clock.now();
        let request = Digest::of(&super::sessions::random().ok()?);
        let expires = now.saturating_add(WAITS);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|_, waiting| waiting.expires > now);
        if waiting.len() >= MOST_WAITING
            && let Some(oldest) = waiting.iter().min_by_key(|(_, waiting)| waiting.expires).map(|(request, _)| *request)
        {
            waiting.remove(&oldest);
        }
        let (tenant, asker) = (session.tenant.clone(), session.subject.clone());
        waiting.insert(request, Waiting { tenant, asker, name: offer.name.clone(), expires });
        let page = Line::new(format!("{}/connect/{request}", self.origin.as_str())).ok()?;
        Some(Report::ConnectAt { page, code: request.short_code(), expires: UnixMillis::new(expires.unix_millis()) })
    }
}

/// Token Vault as a source of authority for one person's account.
#[derive(Clone)]
struct FromVault {
    accounts: Arc<Accounts>,
    holder: Holder,
    offer: Offer,
}

impl Authority for FromVault {
    type Scope = Vec<String>;

    fn provider(&self) -> Provider {
        self.offer.provider
    }

    fn ending(&self) -> Ending {
        Ending::Expiry
    }

    async fn mint(&self, asked: &Vec<String>, _: Duration) -> Result<Minted<Vec<String>>, NotMinted> {
        let Self { accounts, holder, offer } = self;
        let refused = |problem: Problem| {
            let word = match &problem {
                Problem::Trouble(Trouble::NotConnected) => "not-connected",
                Problem::Trouble(Trouble::Expired) => "expired",
                Problem::Trouble(Trouble::SignedOut) | Problem::Accounts(_) => "signed-out",
                Problem::Trouble(Trouble::ScopeMissing { .. }) => "scope-missing",
                Problem::Trouble(Trouble::SecondFactorRequired) => "second-factor-required",
                Problem::Trouble(Trouble::RateLimited { .. }) => "rate-limited",
                Problem::Trouble(Trouble::Operator(_)) => "operator-error",
                Problem::Trouble(Trouble::Unavailable(_)) => "unavailable",
                Problem::Broker => "broker",
            };
            accounts.remember(holder, offer, Some(problem));
            NotMinted::Refused(code(word))
        };
        let refresh = accounts.grants.refresh_token(&holder.tenant, &holder.identity).await;
        let refresh = refresh.map_err(|error| refused(error.into()))?.ok_or_else(|| refused(Problem::Trouble(Trouble::SignedOut)))?;
        let scopes: Vec<&str> = asked.iter().map(String::as_str).collect();
        let request =
            VaultRequest { subject: Subject::Refresh(&refresh.token), connection: &offer.connection, account: None, scopes: &scopes };
        match accounts.auth0.borrow_token(&request).await {
            Ok(borrowed) => {
                accounts.remember(holder, offer, None);
                let now = accounts.clock.now();
                let dies_at = borrowed.expires.unwrap_or_else(|| now.saturating_add(ENDLESS));
                Ok(Minted { token: borrowed.token, granted: asked.iter().cloned().chain(borrowed.beyond).collect(), dies_at })
            }
            // An answer that was lost may have been a token: it is the one that is stored, and dies at its time.
            Err(trouble @ Trouble::Unavailable(OidcError::Egress(_))) => {
                accounts.remember(holder, offer, Some(Problem::Trouble(trouble)));
                Err(NotMinted::Unknown(code("no-answer")))
            }
            Err(trouble) => Err(refused(Problem::Trouble(trouble))),
        }
    }

    fn is_within(&self, granted: &Vec<String>, _: &Vec<String>) -> bool {
        // What she allowed when she connected it is what such a token does; nothing in the protocol makes it less. More than the offer
        // names is more than she was told here.
        let harmless = ["openid", "profile", "email", "offline_access", "read:user", "user:email"];
        granted.iter().all(|scope| self.offer.scopes.contains(scope) || harmless.contains(&scope.as_str()))
    }
}

impl dispatch::Connections for Accounts {
    fn list<'a>(&'a self, session: &'a Session) -> Answering<'a, Result<Vec<ConnectionSummary>, Refusal>> {
        Box::pin(async move {
            let Some(holder) = self.holder(session).await else {
                let none = |offer: &Offer| ConnectionSummary {
                    name: offer.name.clone(),
                    provider: offer.provider,
                    state: ConnectionState::NotConnected,
                    owner: None,
                    account: None,
                };
                return Ok(self.offers.iter().map(none).collect());
            };
            let summary = |standing: Standing| ConnectionSummary {
                name: standing.offer.name,
                provider: standing.offer.provider,
                state: standing.state.unwrap_or(ConnectionState::OperatorError),
                owner: None,
                account: None,
            };
            Ok(self.standings(&holder).await.into_iter().map(summary).collect())
        })
    }

    fn connect<'a>(&'a self, session: &'a Session, provider: Provider) -> Answering<'a, Result<Report, Outcome>> {
        Box::pin(async move {
            let Some(offer) = self.offers.iter().find(|offer| offer.provider == provider) else {
                return Err(Outcome::NotConfigured { missing: Missing::Provider(provider) });
            };
            let summaries = dispatch::Connections::list(self, session).await.map_err(Outcome::Refused)?;
            match summaries.into_iter().find(|summary| summary.name == offer.name) {
                Some(connection) if connection.state == ConnectionState::Connected => Ok(Report::AlreadyConnected { connection }),
                _ => self.wait_for(session, offer).ok_or(Outcome::Refused(Refusal::Internal)),
            }
        })
    }
}
