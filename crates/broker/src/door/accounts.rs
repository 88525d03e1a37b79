//! Accounts that people connect through Auth0 (Token Vault), or that their OpenID provider exchanges tokens for (RFC 8693): whether each
//! can be used, and borrowing from it.
//!
//! What a person connects is hers: it is reached with the refresh token that her login left, and nobody else's session shows it. Every way
//! in which Auth0 gives no token is a state of its own with what to do; the last one that was seen stays on the page until it works again.

mod exchanging;
mod lending;
mod problem;
mod socket;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{ConnectionName, ConnectionState, Digest, Provider};

pub use self::lending::OwnAccount;
pub(super) use self::problem::Problem;
use self::socket::Waiting;
use super::{Grants, Origin};
use crate::approvals::policy::Identity;
use crate::approvals::{Approvals, Entry, ledger_name};
use crate::clock::Clock;
use crate::leases::lease::Lender;
use crate::providers::auth0::{AccountsError, Auth0, ConnectCallback, ConnectRequest, ConnectedAccount, Connecting, Trouble};
use crate::providers::github::Github;
use crate::providers::oidc::OidcError;
use crate::secret::Secret;

/// What managing connected accounts needs.
const SCOPES: &str = "openid create:me:connected_accounts read:me:connected_accounts delete:me:connected_accounts";
/// How many people's troubles, requests and access tokens are kept in memory at most.
const MOST_REMEMBERED: usize = 1_000;
/// How the ledger calls a connection that the configuration has no name for.
const UNNAMED: &str = "unnamed";
/// How long an access token is used at most, whatever the provider says.
const ACCESS_LIFE: Duration = Duration::from_secs(5 * 60);

/// A kind of account that can be connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offer {
    /// What the broker's configuration calls it.
    pub name: ConnectionName,
    /// With whom.
    pub provider: Provider,
    /// What Auth0 calls the connection; where tokens are exchanged, the offer's own name.
    pub connection: String,
    /// What it must allow.
    pub scopes: Vec<String>,
    /// What a token is asked for by the provider's own exchange, where it isn't Auth0's Token Vault.
    pub exchange: Option<Exchanged>,
}

/// For whom a token is asked in an exchange (RFC 8693). One of the two is named, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// The name that the provider has for it.
    pub audience: Option<String>,
    /// Its address.
    pub resource: Option<String>,
}

/// Who connects: in a tenant, by Auth0's own name for her.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Holder {
    /// Where she works.
    pub tenant: String,
    /// Who she is.
    pub identity: Identity,
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

/// The accounts that the people of one Auth0 tenant connect, or that those of another provider have there.
pub struct Accounts {
    /// None where the provider's own exchange gives the tokens: which accounts somebody has there is said by nothing but that.
    auth0: Option<Auth0>,
    grants: Grants,
    lender: Lender,
    approvals: Approvals,
    clock: Arc<dyn Clock>,
    origin: Origin,
    offers: Vec<Offer>,
    /// The last trouble with each, until it works again.
    troubles: Mutex<HashMap<(Holder, String), Problem>>,
    waiting: Mutex<HashMap<Digest, Waiting>>,
    /// What the My Account interface was last asked with. Each person's is their own: nobody waits for somebody else's provider.
    access: Mutex<HashMap<Holder, Arc<tokio::sync::Mutex<Option<Access>>>>>,
    /// Where the tokens of accounts at GitHub are ended.
    github: Option<Arc<Github>>,
}

/// How far the end of an account that was disconnected is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disconnected {
    /// Its own provider doesn't take its token any more.
    Dead,
    /// Auth0 has forgotten it. Its token may live on at its own provider until it ends by itself.
    Forgotten,
}

/// A token for the My Account interface.
struct Access {
    token: Arc<Secret>,
    /// The login that it was got with.
    login: [u8; 16],
    /// By the clock that nobody sets.
    until: Duration,
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
        let is_vault = offers.iter().any(|offer| offer.exchange.is_none());
        let auth0 = is_vault.then(|| Auth0::new(Arc::clone(grants.provider()))).transpose()?;
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
            access: Mutex::default(),
            github: None,
        })
    }

    /// Ends the tokens of accounts at GitHub as well when they are disconnected.
    #[must_use]
    pub fn ending_at(self, github: Arc<Github>) -> Self {
        Self { github: Some(github), ..self }
    }

    pub(super) fn offers(&self) -> &[Offer] {
        &self.offers
    }

    pub(super) fn auth0(&self) -> Option<&Auth0> {
        self.auth0.as_ref()
    }

    pub(super) fn offer(&self, name: &str) -> Option<&Offer> {
        self.offers.iter().find(|offer| offer.name.as_str() == name)
    }

    /// Whether this person logs in with the tenant whose accounts these are.
    pub(super) fn knows(&self, identity: &Identity) -> bool {
        identity.issuer() == self.grants.provider().issuer()
    }

    /// A token for the My Account interface, from what her login left. It is asked for once in a while, not for each page; a login that has
    /// ended has none, although its token may still live at Auth0.
    async fn access(&self, holder: &Holder) -> Result<Arc<Secret>, Problem> {
        // A refresh token that is used twice at once is taken for a stolen one, where tokens rotate.
        let slot = self.access_of(holder);
        let mut kept = slot.lock().await;
        let refresh = self.grants.refresh_token(&holder.tenant, &holder.identity).await?.ok_or(AccountsError::SignedOut)?;
        let now = self.clock.monotonic();
        if let Some(access) = kept.as_ref().filter(|access| access.until > now && access.login == *refresh.id()) {
            return Ok(Arc::clone(&access.token));
        }
        *kept = None;
        let auth0 = self.auth0.as_ref().ok_or(Problem::Elsewhere)?;
        let audience = auth0.accounts_audience();
        let tokens = auth0.oidc().refresh(&refresh.token, Some(SCOPES), Some(&audience)).await;
        let tokens = tokens.map_err(|error| Problem::Trouble(error.into()))?;
        if let Some(rotated) = &tokens.refresh {
            self.grants.rotated(&refresh, rotated).await?;
        }
        let token = Arc::new(tokens.access);
        let life = tokens.expires.map_or(Duration::ZERO, |at| at.saturating_duration_since(self.clock.now())) / 2;
        *kept = Some(Access { token: Arc::clone(&token), login: *refresh.id(), until: now + life.min(ACCESS_LIFE) });
        Ok(token)
    }

    /// Where somebody's token lies. Whoever asks for one holds it: two for one person would use one refresh token twice.
    fn access_of(&self, holder: &Holder) -> Arc<tokio::sync::Mutex<Option<Access>>> {
        let mut all = self.access.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST_REMEMBERED && !all.contains_key(holder) {
            // What nobody uses just now is asked for again when somebody does.
            all.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(all.entry(holder.clone()).or_default())
    }

    /// Asks the My Account interface. A token that it doesn't take any more is forgotten, and another one asked for.
    async fn with_access<'a, T, F>(&'a self, holder: &Holder, ask: impl Fn(&'a Auth0, Arc<Secret>) -> F) -> Result<T, Problem>
    where
        F: Future<Output = Result<T, AccountsError>>,
    {
        let auth0 = self.auth0.as_ref().ok_or(Problem::Elsewhere)?;
        let asked = ask(auth0, self.access(holder).await?).await;
        if !matches!(asked, Err(AccountsError::SignedOut)) {
            return asked.map_err(Problem::from);
        }
        *self.access_of(holder).lock().await = None;
        ask(auth0, self.access(holder).await?).await.map_err(Problem::from)
    }

    /// How each offer is for somebody.
    pub(super) async fn standings(&self, holder: &Holder) -> Vec<Standing> {
        if self.auth0.is_none() {
            return self.exchanged_standings(holder).await;
        }
        let accounts = self.with_access(holder, |auth0, access| async move { auth0.accounts(&access).await }).await;
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
            Some(problem) if troubles.len() < MOST_REMEMBERED || troubles.contains_key(&key) => drop(troubles.insert(key, problem)),
            _ => drop(troubles.remove(&key)),
        }
    }

    /// Begins to connect an account, with state and verifier made from that seed.
    pub(super) async fn begin(&self, holder: &Holder, offer: &Offer, seed: &Secret) -> Result<Connecting, Problem> {
        let scopes: Vec<&str> = offer.scopes.iter().map(String::as_str).collect();
        let redirect = self.redirect();
        let request = &ConnectRequest { connection: &offer.connection, redirect: &redirect, scopes: &scopes };
        self.with_access(holder, |auth0, access| async move { auth0.begin_connecting_with(seed, &access, request).await }).await
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
        let auth0 = self.auth0.as_ref().ok_or(Problem::Elsewhere)?;
        let access = self.access(holder).await?;
        let account = auth0.complete_connecting(&access, connecting, callback).await?;
        let who = self.ledger_name(&holder.identity).await;
        let (tenant, connection) = (holder.tenant.clone(), offer.name.to_string());
        let noted = self.approvals.note(Entry::Connected { tenant, who, provider: offer.provider, connection }).await;
        if let Err(error) = noted {
            let _ = auth0.disconnect(&access, &account.id).await;
            return Err(error.into());
        }
        self.remember(holder, offer, None);
        Ok(account)
    }

    /// Disconnects an account of hers: its token is ended at its own provider, where that can be done and it is her only account of the
    /// connection, and Auth0 forgets it.
    pub(super) async fn disconnect(self: &Arc<Self>, holder: &Holder, offer: &Offer, id: &str) -> Result<Disconnected, Problem> {
        let accounts = self.with_access(holder, |auth0, access| async move { auth0.accounts(&access).await }).await?;
        let (tenant, connection) = (holder.tenant.clone(), offer.name.to_string());
        self.about_to_end(holder, offer.provider, &connection).await?;
        let mut of_offer = accounts.iter().filter(|account| account.connection == offer.connection);
        // The vault is asked by the connection, not by the account: of several it may give another one's token, which lives on.
        let is_only = matches!((of_offer.next(), of_offer.next()), (Some(account), None) if account.id == id);
        // Before Auth0 forgets it: nobody could name the token afterwards.
        let end = if is_only { self.end_token(holder, offer).await } else { Disconnected::Forgotten };
        self.with_access(holder, |auth0, access| async move { auth0.disconnect(&access, id).await }).await?;
        let who = self.ledger_name(&holder.identity).await;
        let entry = Entry::Disconnected { tenant, who, provider: offer.provider, connection, is_confirmed: end == Disconnected::Dead };
        self.remember(holder, offer, None);
        self.approvals.note(entry).await?;
        Ok(end)
    }

    /// Disconnects all accounts of hers, as far as her login still allows it: what came of each, by the offer's name, or by Auth0's where
    /// it is none of ours.
    pub(super) async fn disconnect_all(self: &Arc<Self>, holder: &Holder) -> Result<Vec<(String, Result<Disconnected, Problem>)>, Problem> {
        if self.auth0.is_none() {
            // With her login nothing can be exchanged any more, and nothing else is kept anywhere for us.
            return Ok(Vec::new());
        }
        let accounts = self.with_access(holder, |auth0, access| async move { auth0.accounts(&access).await }).await?;
        let mut all = Vec::new();
        for account in accounts {
            let offer = self.offers.iter().find(|offer| offer.connection == account.connection);
            let id = account.id.as_str();
            let ended = match offer {
                Some(offer) => self.disconnect(holder, offer, id).await,
                None => match self.about_to_end(holder, Provider::Auth0, UNNAMED).await {
                    Ok(()) => {
                        let forgotten = self.with_access(holder, |auth0, access| async move { auth0.disconnect(&access, id).await }).await;
                        forgotten.map(|()| Disconnected::Forgotten)
                    }
                    Err(problem) => Err(problem),
                },
            };
            all.push((offer.map_or(account.connection, |offer| offer.name.to_string()), ended));
        }
        Ok(all)
    }

    /// Records that something of hers is about to be ended at Auth0. What can't be recorded isn't done.
    async fn about_to_end(&self, holder: &Holder, provider: Provider, connection: &str) -> Result<(), Problem> {
        let who = self.ledger_name(&holder.identity).await;
        let (tenant, connection) = (Some(holder.tenant.clone()), connection.to_owned());
        Ok(self.approvals.note(Entry::Disconnecting { tenant, who, provider, connection }).await?)
    }

    async fn ledger_name(&self, identity: &Identity) -> String {
        let policy = self.approvals.policy().await;
        ledger_name(policy.as_ref().ok().map(|(_, policy)| policy), identity)
    }
}
