//! Borrowing what somebody's own account allows: a token out of Token Vault, or out of the provider's own exchange, as a source of authority
//! like any other.
//!
//! Such a token can't be narrowed to one repository, and ending it after its use would end the one that the vault keeps: it dies at its
//! time. Both are told: by [`Authority::is_within`], which knows what the person was shown when she connected the account, and by the
//! lease, which says when the token dies. Whether such authority is accepted at all is the approval policy's to say, and whoever borrows
//! has to ask it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{Line, Provider, SubjectId, TenantId};

use super::{Accounts, Disconnected, Holder, Offer, Problem};
use crate::approvals::policy::Identity;
use crate::door::answers;
use crate::leases::lease::{Authority, CallFailure, LendError, Minted, NotMinted, Purpose, ReadLease};
use crate::leases::revocation::Ending;
use crate::ledger::{Code, Who};
use crate::providers::auth0::{Subject, Trouble, VaultRequest};
use crate::providers::code;
use crate::providers::github::AccountTokenEnd;
use crate::providers::oidc::OidcError;
use crate::secret::Secret;

/// What an OAuth token without an end is taken to live at least: Auth0 forgets what isn't used for a year.
const ENDLESS: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// For how long a token is borrowed to see whether that works.
const CHECK: Duration = Duration::from_secs(60);

/// Somebody's own account of one offer, as a source of authority. Its scopes are OAuth's.
#[derive(Clone)]
pub struct OwnAccount {
    accounts: Arc<Accounts>,
    holder: Holder,
    offer: Offer,
}

impl Accounts {
    /// The account with a provider that is lent to somebody who asks on the socket: their own. None if the approval policy doesn't say
    /// which login is theirs, or no such account is offered.
    pub async fn own(self: &Arc<Self>, tenant: &TenantId, subject: &SubjectId, provider: Provider) -> Option<OwnAccount> {
        let offer = self.offers.iter().find(|offer| offer.provider == provider)?.clone();
        let holder = self.holder_of(tenant, subject).await?;
        Some(OwnAccount { accounts: Arc::clone(self), holder, offer })
    }

    /// The identity with which somebody on the socket logs in here: by the policy's word that both are one person.
    pub(super) async fn holder_of(&self, tenant: &TenantId, subject: &SubjectId) -> Option<Holder> {
        let (_, policy) = self.approvals.policy().await.ok()?;
        let person = policy.person_of(&Identity::of_subject(subject))?;
        let identity = person.identities().find(|identity| self.knows(identity))?.clone();
        person.belongs_to(tenant.as_str()).then(|| Holder { tenant: tenant.to_string(), identity })
    }

    /// Borrows a token of an account to see whether that works, and uses it for nothing.
    pub(in crate::door) async fn check(self: &Arc<Self>, holder: &Holder, offer: &Offer) -> Option<String> {
        let account = OwnAccount { accounts: Arc::clone(self), holder: holder.clone(), offer: offer.clone() };
        let error = account.borrow(BTreeSet::new(), 0, CHECK).await.err()?;
        let problem = match &error {
            LendError::Refused(reason) | LendError::Unknown(reason) => {
                self.last_trouble(holder, offer).filter(|problem| problem.code() == reason.as_str())
            }
            _ => None,
        };
        Some(problem.map_or_else(|| answers::sentence(&error.to_string()), |problem| problem.words()))
    }
}

impl Accounts {
    /// Ends the token that the vault has of an account, at the account's own provider.
    pub(super) async fn end_token(self: &Arc<Self>, holder: &Holder, offer: &Offer) -> Disconnected {
        let Some(github) = self.github.as_ref().filter(|_| offer.provider == Provider::Github) else { return Disconnected::Forgotten };
        let account = OwnAccount { accounts: Arc::clone(self), holder: holder.clone(), offer: offer.clone() };
        let operation = code("end-token");
        // What can't be borrowed can't be named to its provider either.
        let Ok(mut lease) = account.borrow(BTreeSet::from([operation.clone()]), 1, CHECK).await else { return Disconnected::Forgotten };
        let end = lease
            .call(operation, async |token: &Secret| {
                github.end_account_token(token).await.map_err(|error| match error.may_have_happened() {
                    true => CallFailure::Unknown(error.code()),
                    false => CallFailure::Failed(error.code()),
                })
            })
            .await;
        // Not being able to record its end leaves the lease to be ended later; the account is disconnected all the same.
        let _ = lease.finish().await;
        match end {
            Ok(AccountTokenEnd::Confirmed) => Disconnected::Dead,
            Ok(AccountTokenEnd::Accepted) | Err(_) => Disconnected::Forgotten,
        }
    }
}

impl OwnAccount {
    /// What the person was told that it allows.
    #[must_use]
    pub fn scopes(&self) -> &[String] {
        &self.offer.scopes
    }

    /// Keeps in mind that the account's own provider doesn't take its token any more: she has to connect it again. Token Vault hands out
    /// the token that it has, whatever became of it there.
    pub fn is_dead_at_its_provider(&self) {
        self.accounts.remember(&self.holder, &self.offer, Some(Problem::Trouble(Trouble::Expired)));
    }

    /// Keeps in mind that it lacks something for what was asked for.
    pub fn lacks(&self, scope: &str) {
        let missing = vec![scope.to_owned()];
        self.accounts.remember(&self.holder, &self.offer, Some(Problem::Trouble(Trouble::ScopeMissing { missing })));
    }

    /// Borrows all that it allows, for these operations.
    ///
    /// # Errors
    /// As `Lender::read`; what Auth0 said shows on that person's page.
    pub async fn borrow(&self, operations: BTreeSet<Code>, calls: u32, lifetime: Duration) -> Result<ReadLease, LendError> {
        let unnamed = || LendError::Refused(code("unnamed"));
        let who = Who {
            tenant: TenantId::new(&self.holder.tenant).map_err(|_| unnamed())?,
            subject: SubjectId::new(self.accounts.ledger_name(&self.holder.identity).await).map_err(|_| unnamed())?,
        };
        let target = Line::new(format!("{} of {}", self.offer.name, who.subject)).map_err(|_| unnamed())?;
        let purpose = Purpose { who, mission: None, permission: code("connected-account"), target, lifetime };
        self.accounts.lender.read(operations, calls, self, &self.offer.scopes, purpose).await
    }

    /// What comes with a token without anybody asking for it, and does no harm.
    fn is_harmless(&self, scope: &str) -> bool {
        match self.offer.provider {
            // Both only read who she is.
            Provider::Github => matches!(scope, "read:user" | "user:email"),
            Provider::Oidc | Provider::Auth0 => matches!(scope, "openid" | "profile" | "email" | "offline_access"),
            Provider::Aws | Provider::Slack | Provider::Model => false,
        }
    }
}

impl Authority for OwnAccount {
    type Scope = Vec<String>;

    fn provider(&self) -> Provider {
        self.offer.provider
    }

    fn ending(&self) -> Ending {
        Ending::Expiry
    }

    /// The vault's token lives as long as its own provider lets it, whatever is asked for: at GitHub, without an end.
    fn longest_life(&self, _: Duration) -> Duration {
        ENDLESS
    }

    async fn mint(&self, asked: &Vec<String>, _: Duration) -> Result<Minted<Vec<String>>, NotMinted> {
        let Self { accounts, holder, offer } = self;
        let refused = |problem: Problem| {
            let word = problem.code();
            accounts.remember(holder, offer, Some(problem));
            NotMinted::Refused(code(word))
        };
        let refresh = accounts.grants.refresh_token(&holder.tenant, &holder.identity).await;
        let refresh = refresh.map_err(|error| refused(error.into()))?.ok_or_else(|| refused(Problem::Trouble(Trouble::SignedOut)))?;
        let borrowed = match (&offer.exchange, &accounts.auth0) {
            (Some(exchanged), _) => accounts.exchange(holder, exchanged, asked).await,
            (None, Some(auth0)) => {
                let scopes: Vec<&str> = asked.iter().map(String::as_str).collect();
                let subject = Subject::Refresh(&refresh.token);
                let request = VaultRequest { subject, connection: &offer.connection, account: None, scopes: &scopes };
                auth0.borrow_token(&request).await.map_err(Problem::Trouble)
            }
            (None, None) => Err(Problem::Elsewhere),
        };
        match borrowed {
            Ok(borrowed) => {
                accounts.remember(holder, offer, None);
                let dies_at = borrowed.expires.unwrap_or_else(|| accounts.clock.now().saturating_add(ENDLESS));
                Ok(Minted { token: borrowed.token, granted: asked.iter().cloned().chain(borrowed.beyond).collect(), dies_at })
            }
            Err(problem) => {
                let is_refusal = match &problem {
                    Problem::Trouble(trouble) => is_refusal(trouble),
                    Problem::Accounts(_) | Problem::Broker | Problem::Elsewhere => true,
                };
                let refused = refused(problem);
                Err(match refused {
                    NotMinted::Refused(word) if !is_refusal => NotMinted::Unknown(word),
                    refused => refused,
                })
            }
        }
    }

    fn is_within(&self, granted: &Vec<String>, _: &Vec<String>) -> bool {
        // What she allowed when she connected it is what such a token does; nothing in the protocol makes it less. More than the offer
        // names is more than she was told here.
        granted.iter().all(|scope| self.offer.scopes.contains(scope) || self.is_harmless(scope))
    }
}

/// Whether no token was given for certain. An answer that was lost, that can't be used, or whose token allows too little, may have been one:
/// it is the one that the vault keeps, and lives on.
fn is_refusal(trouble: &Trouble) -> bool {
    match trouble {
        Trouble::ScopeMissing { .. } => false,
        Trouble::Unavailable(OidcError::Egress(error)) => !error.may_have_happened(),
        // These come before anybody is asked for a token.
        Trouble::Unavailable(error) => matches!(error, OidcError::Metadata | OidcError::NotOffered(_) | OidcError::Jws(_)),
        _ => true,
    }
}
