//! Ending all that somebody has here and at the identity provider, because they have left.
//!
//! Each step says how it went: what a provider has confirmed is sound, what it can't end is said with the time at which it dies, and what
//! has to be done by hand is said as that. Taking somebody out of the approval policy is its owners' act, not this one.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyblind_intent::{Check, CheckState, DoctorArea, Foreign, Line, Outcome, Provider, Refusal, Report, SubjectId};

use super::accounts::Disconnected;
use super::{Accounts, GrantEnd, Grants, Holder, Sessions};
use crate::approvals::policy::{Identity, PersonId};
use crate::approvals::{Approvals, ledger_name};
use crate::dispatch::{self, Answering};
use crate::leases::revocation::{Leases, OutstandingState};
use crate::providers::auth0::AccessEnd;

/// What knows where somebody's access lies.
pub struct Leaving {
    approvals: Approvals,
    sessions: Sessions,
    leases: Leases,
    grants: Option<Grants>,
    accounts: Option<Arc<Accounts>>,
}

/// The steps that were taken, in their order.
#[derive(Default)]
struct Steps(Vec<Check>);

impl Steps {
    fn add(&mut self, area: DoctorArea, state: CheckState, subject: &str, advice: Option<&str>) {
        let line = |text: &str| Line::new(text).ok();
        // A name that makes no line is shown as what it is: somebody else's words.
        let (subject, said) = match line(subject) {
            Some(subject) => (Some(subject), None),
            None => (line("a step about a name that can't be shown"), Some(Foreign::new(subject))),
        };
        let Some(subject) = subject else { return };
        self.0.push(Check { area, subject, state, advice: advice.and_then(line), said });
    }
}

impl Leaving {
    /// Of a broker without an identity provider.
    pub fn new(approvals: Approvals, sessions: Sessions, leases: Leases) -> Self {
        Self { approvals, sessions, leases, grants: None, accounts: None }
    }

    /// Ends what logins have left.
    #[must_use]
    pub fn with_grants(self, grants: Grants) -> Self {
        Self { grants: Some(grants), ..self }
    }

    /// Disconnects accounts.
    #[must_use]
    pub fn with_accounts(self, accounts: Arc<Accounts>) -> Self {
        Self { accounts: Some(accounts), ..self }
    }

    /// Takes all steps. A step that fails keeps no other from being taken.
    ///
    /// # Errors
    /// If it isn't even known who that is, because the broker's own records can't be read.
    pub async fn end(&self, person: &SubjectId) -> Result<Vec<Check>, Refusal> {
        let mut steps = Steps::default();
        let policy = self.approvals.policy().await.ok().map(|(_, policy)| policy);
        let listed = policy.as_ref().and_then(|policy| policy.person(&PersonId::new(person.as_str())));
        let (identities, mut tenants): (Vec<Identity>, BTreeSet<String>) = match (listed, &self.grants) {
            (Some(listed), _) => (listed.identities().cloned().collect(), listed.tenants().map(str::to_owned).collect()),
            // Who isn't in the policy any more may still have logged in: by the provider's own name for them.
            (None, Some(grants)) => (vec![Identity::new(grants.provider().issuer(), person.as_str())], BTreeSet::new()),
            (None, None) => (vec![Identity::of_subject(person)], BTreeSet::new()),
        };
        self.end_sessions(&identities, &mut steps).await;
        if let Some(grants) = &self.grants {
            let kind = grants.kind();
            for identity in identities.iter().filter(|identity| identity.issuer() == grants.provider().issuer()) {
                tenants.extend(grants.tenants_of(identity).await.map_err(|_| Refusal::Internal)?);
                for tenant in &tenants {
                    let holder = Holder { tenant: tenant.clone(), identity: identity.clone() };
                    self.disconnect(&holder, &mut steps).await;
                }
                self.end_at_provider(grants, kind, identity, &tenants, &mut steps).await;
            }
        }
        self.name_what_lives(person, &identities, &mut steps).await;
        if listed.is_some() {
            let advice = "its owners take them out: until then they can log in again, ask and approve";
            steps.add(DoctorArea::Approvals, CheckState::Weak, &format!("the approval policy still lists {person}"), Some(advice));
        }
        Ok(steps.0)
    }

    async fn end_sessions(&self, identities: &[Identity], steps: &mut Steps) {
        let (mut ended, mut failed) = (0, false);
        for identity in identities {
            match self.sessions.end_of(identity).await {
                Ok(count) => ended += count,
                Err(_) => failed = true,
            }
        }
        let subject = format!("{ended} sessions on the broker's pages ended");
        let (state, advice) = match failed {
            true => (CheckState::Broken, Some("not all: the broker's database refuses. Do it again")),
            false => (CheckState::Sound, None),
        };
        steps.add(DoctorArea::Approvals, state, &subject, advice);
    }

    async fn disconnect(&self, holder: &Holder, steps: &mut Steps) {
        let Some(accounts) = self.accounts.as_ref().filter(|accounts| accounts.knows(&holder.identity)) else { return };
        let area = DoctorArea::Provider(Provider::Auth0);
        match accounts.disconnect_all(holder).await {
            Ok(all) => {
                for (name, ended) in all {
                    match ended {
                        Ok(Disconnected::Dead) => {
                            steps.add(area, CheckState::Sound, &format!("`{name}` is disconnected, and its token is dead"), None);
                        }
                        Ok(Disconnected::Forgotten) => {
                            let advice = "its own provider hasn't confirmed that its token is dead: take back there what was allowed";
                            steps.add(area, CheckState::Weak, &format!("`{name}` is disconnected"), Some(advice));
                        }
                        Err(problem) => {
                            steps.add(area, CheckState::Broken, &format!("`{name}` isn't disconnected"), Some(&problem.words()));
                        }
                    }
                }
            }
            // Whether anything is left is asked with the administrator's client afterwards.
            Err(problem) => {
                let subject = format!("accounts connected in tenant {} can't be disconnected with this login", holder.tenant);
                steps.add(area, CheckState::NotChecked, &subject, Some(&problem.words()));
            }
        }
    }

    async fn end_at_provider(&self, grants: &Grants, kind: Provider, identity: &Identity, tenants: &BTreeSet<String>, steps: &mut Steps) {
        let area = DoctorArea::Provider(kind);
        let (mut revoked, mut waiting, mut unrevoked, mut failed) = (0, 0, 0, false);
        for tenant in tenants {
            match grants.end_of(tenant, identity).await {
                Ok(ended) => {
                    let count = |end| ended.iter().filter(|ended| ended.end == end).count();
                    revoked += count(GrantEnd::Revoked);
                    waiting += count(GrantEnd::Waiting);
                    unrevoked += count(GrantEnd::Unrevoked);
                }
                Err(_) => failed = true,
            }
        }
        let (state, advice) = match () {
            () if failed => (CheckState::Broken, Some("not all: the broker's own records refuse. Do it again")),
            () if unrevoked > 0 => (CheckState::Broken, Some("the provider can't revoke refresh tokens: end them there")),
            () if waiting > 0 => (CheckState::Broken, Some("the rest is tried again until the provider confirms it")),
            () => (CheckState::Sound, None),
        };
        let all = revoked + waiting + unrevoked;
        steps.add(area, state, &format!("{revoked} of {all} refresh tokens that the broker kept are revoked"), advice);
        let Some(administrator) = grants.administrator() else {
            let advice = "there is no administrator's client in the configuration: end sessions, refresh tokens and grants by hand";
            steps.add(area, CheckState::NotChecked, "what else they have at the identity provider", Some(advice));
            return;
        };
        if grants.about_to_end(tenants.first().map(String::as_str), identity).await.is_err() {
            let advice = "the broker's own records refuse, and what isn't recorded isn't done. Do it again";
            steps.add(area, CheckState::Broken, "their sessions, refresh tokens and grants at the provider aren't ended", Some(advice));
            return;
        }
        match administrator.end(grants.provider(), identity.subject()).await {
            Ok(AccessEnd::Confirmed) => {
                steps.add(area, CheckState::Sound, "all their sessions, refresh tokens and grants at the provider are ended", None);
            }
            Ok(AccessEnd::Accepted) => {
                let advice = "it took the request, and hasn't shown yet that nothing is left: do it again in a minute";
                steps.add(
                    area,
                    CheckState::Weak,
                    "their sessions, refresh tokens and grants at the provider are being ended",
                    Some(advice),
                );
            }
            Err(error) => {
                let subject = "their sessions, refresh tokens and grants at the provider aren't ended";
                steps.add(area, CheckState::Broken, subject, Some(&format!("{error}: do it again, or by hand")));
            }
        }
        match administrator.connected(grants.provider(), identity.subject()).await {
            Ok(left) if left.is_empty() => steps.add(area, CheckState::Sound, "the provider keeps no account of theirs any more", None),
            Ok(left) => {
                let subject = format!("the provider still keeps {} connected accounts of theirs", left.len());
                let advice = "only they can disconnect them: delete the user there, or the connection's grant at GitHub";
                steps.add(area, CheckState::Broken, &subject, Some(advice));
            }
            Err(error) => {
                let advice = format!("{error}: look there by hand (read:users)");
                steps.add(area, CheckState::NotChecked, "whether the provider still keeps accounts of theirs", Some(&advice));
            }
        }
    }

    /// What was borrowed in their name and isn't dead.
    async fn name_what_lives(&self, person: &SubjectId, identities: &[Identity], steps: &mut Steps) {
        let Ok(outstanding) = self.leases.outstanding().await else {
            let advice = "the broker's database refuses: do it again";
            return steps.add(DoctorArea::State, CheckState::NotChecked, "what was borrowed in their name", Some(advice));
        };
        // On the socket somebody is known by the machine's name for them, on the pages by the policy's.
        let names: BTreeSet<String> = identities.iter().map(|identity| ledger_name(None, identity)).collect();
        let is_theirs = |subject: &SubjectId| subject == person || names.contains(subject.as_str());
        for lease in outstanding.into_iter().filter(|lease| is_theirs(&lease.who.subject)) {
            let area = DoctorArea::Provider(lease.provider);
            let advice = match lease.state {
                OutstandingState::Announced | OutstandingState::Unrevoked => format!("it can't be revoked, and dies at {}", lease.dies_at),
                OutstandingState::Live | OutstandingState::Ending => format!("it is being revoked, and dies at {} at last", lease.dies_at),
            };
            steps.add(area, CheckState::Weak, &format!("a token that was borrowed for them (lease {}) lives", lease.lease), Some(&advice));
        }
    }
}

impl dispatch::Departures for Leaving {
    fn end_access<'a>(&'a self, person: &'a SubjectId) -> Answering<'a, Result<Report, Outcome>> {
        Box::pin(async move {
            let mut steps = self.end(person).await.map_err(Outcome::Refused)?;
            steps.truncate(keyblind_intent::limits::REPORTED_CHECKS);
            Ok(Report::AccessEnded { steps })
        })
    }
}
