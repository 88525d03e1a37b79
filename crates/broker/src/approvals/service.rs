//! Requests: raised, decided, used up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::{AttachedFile, Change, Count, Digest, Intent, Target, TenantId};
use rusqlite::Transaction;
use tokio::sync::watch;

use super::error::ApprovalError;
use super::journal::{Entry, Journal};
use super::policies::in_force;
use super::policy::{Answer, Channel, Counted, Identity, Policy, Proposal, Refusal, Requester, Severity, Standing, Vote};
use super::risk;
use super::rows::{self, Sweep, Times};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::leases::epoch::OnKill;

/// How far a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits for people.
    Waiting,
    /// Enough said yes.
    Approved,
    /// Somebody said no.
    Refused,
    /// Its time was over before it was used.
    Expired,
    /// A stop voided it.
    Void,
    /// Its approval has been used up.
    Used,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Expired => "expired",
            Self::Void => "void",
            Self::Used => "used",
        }
    }

    pub(super) fn from_name(name: &str) -> Option<Self> {
        [Self::Waiting, Self::Approved, Self::Refused, Self::Expired, Self::Void, Self::Used].into_iter().find(|state| state.name() == name)
    }
}

/// The bytes that a change names by digest: found by it only, so that nothing else can be shown in their place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Material {
    parts: BTreeMap<Digest, Vec<u8>>,
}

impl Material {
    /// Adds a part, under its own digest.
    pub fn add(&mut self, bytes: Vec<u8>) {
        self.parts.insert(Digest::of(&bytes), bytes);
    }

    /// The bytes with that digest.
    pub fn get(&self, digest: &Digest) -> Option<&[u8]> {
        self.parts.get(digest).map(Vec::as_slice)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = (&Digest, &[u8])> {
        self.parts.iter().map(|(digest, bytes)| (digest, bytes.as_slice()))
    }

    /// Keeps what the change names and checks that the contents that it brings are there, whole.
    fn restricted_to(mut self, change: &Change) -> Result<Self, ApprovalError> {
        let Intent::ProposePullRequest(request) = &change.fields().intent else {
            // What was found at the target is named by the digest of its state.
            self.parts.retain(|digest, _| *digest == change.fields().pre_state);
            return Ok(self);
        };
        let contents = self.get(&request.contents.digest).ok_or(ApprovalError::OtherBytes)?;
        let mut offset = 0_usize;
        for file in &request.files {
            let length = usize::try_from(file.after.bytes.get()).map_err(|_| ApprovalError::OtherBytes)?;
            let end = offset.checked_add(length).ok_or(ApprovalError::OtherBytes)?;
            let bytes = contents.get(offset..end).ok_or(ApprovalError::OtherBytes)?;
            if Digest::of(bytes) != file.after.digest {
                return Err(ApprovalError::OtherBytes);
            }
            offset = end;
        }
        if offset != contents.len() {
            return Err(ApprovalError::OtherBytes);
        }
        let named =
            |digest: &Digest| *digest == request.contents.digest || request.files.iter().any(|file| file.before.as_ref() == Some(digest));
        self.parts.retain(|digest, _| named(digest));
        Ok(self)
    }
}

/// A request for approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What.
    pub change: Change,
    /// What it is for the policy.
    pub proposal: Proposal,
    /// When it was asked.
    pub raised: Timestamp,
    /// From when people are asked: later than `raised` in quiet hours.
    pub shown_from: Timestamp,
    /// Until when they may answer and it may be applied.
    pub expires: Timestamp,
    /// How far it is.
    pub state: State,
    /// The words that counted.
    pub words: Vec<Counted>,
    /// What it names by digest; empty where a list doesn't need it.
    pub material: Material,
}

impl Request {
    /// The file's bytes from before, if they came along.
    pub fn before_of(&self, file: &AttachedFile) -> Option<&[u8]> {
        self.material.get(file.before.as_ref()?)
    }

    /// What was found at the target when it was asked for, where that was kept.
    pub fn looked_at(&self) -> Option<&[u8]> {
        self.material.get(&self.change.fields().pre_state)
    }

    /// The new contents of all files, one after the other.
    pub fn contents(&self) -> &[u8] {
        match &self.change.fields().intent {
            Intent::ProposePullRequest(request) => self.material.get(&request.contents.digest).unwrap_or_default(),
            _ => &[],
        }
    }
}

/// What a change has to say about its approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Whose yes.
    pub approvals: keyblind_intent::Approvals,
    /// Until when it can be given and used.
    pub expires: Timestamp,
}

/// What follows from asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raised {
    /// Under what.
    pub digest: Digest,
    /// From when people are asked.
    pub shown_from: Timestamp,
    /// Until when they may answer.
    pub expires: Timestamp,
}

/// A person's word, as its channel hands it over after verifying who speaks.
#[derive(Clone, Debug)]
pub struct Word {
    /// What this person has seen.
    pub digest: Digest,
    /// Who.
    pub identity: Identity,
    /// The tenant that they work in; none on a channel that knows none.
    pub tenant: Option<String>,
    /// How it arrived.
    pub channel: Channel,
    /// What.
    pub answer: Answer,
    /// When the person last proved to be there.
    pub present_at: Timestamp,
    /// What was typed as confirmation.
    pub typed: Option<String>,
    /// What makes this very message count once: made of what only it carries.
    pub nonce: Digest,
}

/// Where a request stands, for who asks about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How far it is; expired requests that wait are [`State::Waiting`] with `expired` set.
    pub state: State,
    /// Whether its time is over.
    pub expired: bool,
    /// How many said yes.
    pub approved: usize,
    /// How many are wanted.
    pub wanted: usize,
}

/// The yes to exactly one change, used up already: there is no second one of the same digest, on no instance and after no restart. It
/// can't be copied, and a write lease consumes it.
#[derive(Debug)]
pub struct Approved {
    change: Change,
    expires: Timestamp,
}

impl Approved {
    /// What may be done.
    pub fn change(&self) -> &Change {
        &self.change
    }

    /// Until when.
    pub fn expires(&self) -> Timestamp {
        self.expires
    }
}

/// Requests and decisions of one broker.
#[derive(Clone)]
pub struct Approvals {
    pub(super) database: Database,
    pub(super) journal: Arc<dyn Journal>,
    pub(super) clock: Arc<dyn Clock>,
    /// How often a request was raised or decided.
    moves: Arc<watch::Sender<u64>>,
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Approvals {
    /// Works on the broker's database.
    pub fn new(database: Database, journal: Arc<dyn Journal>, clock: Arc<dyn Clock>) -> Self {
        Self { database, journal, clock, moves: Arc::new(watch::Sender::new(0)) }
    }

    /// Changes whenever a request is raised or decided here: for whoever would have to look again and again otherwise. What another process
    /// did isn't among it.
    pub(crate) fn moves(&self) -> watch::Receiver<u64> {
        self.moves.subscribe()
    }

    fn moved(&self) {
        self.moves.send_modify(|moves| *moves = moves.wrapping_add(1));
    }

    /// Where decisions are written, for what else happens on the pages.
    pub fn journal(&self) -> Arc<dyn Journal> {
        Arc::clone(&self.journal)
    }

    /// Writes something down that changes no request.
    ///
    /// # Errors
    /// If it can't be kept. Then it must not happen either.
    pub(crate) async fn note(&self, entry: Entry) -> Result<(), DatabaseError> {
        let (journal, now) = (Arc::clone(&self.journal), self.clock.now());
        self.database.transact(move |transaction| journal.append(transaction, now, &entry)).await
    }

    /// The time that decisions are made by.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What a change has to say about its approval so that it can be asked for, by the policy in force.
    ///
    /// # Errors
    /// If there is none, or it doesn't cover such a change.
    pub async fn wanted(
        &self,
        tenant: &TenantId,
        intent: &Intent,
        target: &Target,
        requester: Requester,
        claimed: Option<Severity>,
    ) -> Result<Wanted, ApprovalError> {
        let now = self.clock.now();
        let proposal = risk::proposal(tenant, intent, target, requester, claimed);
        self.database
            .transact(move |transaction| {
                let (policy_digest, policy) = in_force(transaction, now)?;
                let requirement = policy.requirement(&proposal)?;
                let shown_from = policy.quiet().map_or(Some(now), |quiet| quiet.earliest(proposal.severity, now));
                let people = u64::try_from(requirement.approvals).ok().and_then(|people| Count::new(people).ok());
                let wanted = people.ok_or(DatabaseError::Unexpected("a policy that wants more people than there are"))?;
                Ok(Wanted {
                    approvals: keyblind_intent::Approvals { wanted, policy: policy_digest, may_be_requester: requirement.solo },
                    expires: shown_from.ok_or(Refusal::Expired)?.saturating_add(requirement.expires_after),
                })
            })
            .await
    }

    /// The policy in force, under its digest.
    ///
    /// # Errors
    /// If there is none.
    pub async fn policy(&self) -> Result<(Digest, Policy), ApprovalError> {
        let now = self.clock.now();
        self.database.transact(move |transaction| in_force(transaction, now)).await
    }

    /// Asks people for a change.
    ///
    /// # Errors
    /// If the policy doesn't cover it, a limit is reached, its target is guarded, or it doesn't name the policy in force.
    pub async fn raise(
        &self,
        change: Change,
        requester: Requester,
        claimed: Option<Severity>,
        material: Material,
    ) -> Result<Raised, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        let material = material.restricted_to(&change)?;
        let raised = self
            .database
            .transact(move |transaction| {
                let (policy_digest, policy) = in_force(transaction, now)?;
                let fields = change.fields();
                let proposal = risk::proposal(&fields.tenant, &fields.intent, &fields.target, requester, claimed);
                let requirement = policy.requirement(&proposal)?;
                if fields.approvals.policy != policy_digest {
                    return Err(ApprovalError::OtherPolicy);
                }
                if fields.approvals.wanted.get() != requirement.approvals as u64 || fields.approvals.may_be_requester != requirement.solo {
                    return Err(ApprovalError::OtherApprovals);
                }
                policy.guard().admit(risk::targets(&change).iter().map(String::as_str))?;
                let since = Timestamp::from_unix_millis(now.unix_millis().saturating_sub(DAY.as_millis().try_into().unwrap_or(u64::MAX)));
                let raised = rows::times(transaction, &proposal.tenant, Times::Raised, since)?;
                let open = rows::waiting(transaction, &proposal.tenant, now)?.len();
                policy.limits().admit_request(&raised, open, now)?;
                let shown_from = match policy.quiet() {
                    Some(quiet) => quiet.earliest(proposal.severity, now).ok_or(Refusal::Expired)?,
                    None => now,
                };
                let limit = Timestamp::from_unix_millis(fields.expires.get());
                let expires = shown_from.saturating_add(requirement.expires_after).min(limit);
                if expires <= shown_from {
                    return Err(ApprovalError::Expired);
                }
                let digest = change.digest();
                let asker = proposal.requester.identity().and_then(|identity| policy.person_of(identity));
                let entry = Entry::Raised {
                    approval: change.fields().id,
                    change: digest,
                    tenant: proposal.tenant.clone(),
                    requester: asker.map(|person| person.id().clone()),
                    wanted: requirement.approvals,
                    may_be_requester: requirement.solo,
                    expires,
                };
                journal.append(transaction, now, &entry)?;
                let request =
                    Request { change, proposal, raised: now, shown_from, expires, state: State::Waiting, words: Vec::new(), material };
                if !rows::insert(transaction, &request)? {
                    return Err(ApprovalError::AskedBefore);
                }
                Ok(Raised { digest, shown_from, expires })
            })
            .await;
        self.moved();
        raised
    }

    /// A request with all that it names.
    ///
    /// # Errors
    /// If there is none of that tenant.
    pub async fn request(&self, tenant: &str, digest: Digest) -> Result<Request, ApprovalError> {
        let tenant = tenant.to_owned();
        self.database
            .transact(move |transaction| {
                let mut request = of_tenant(transaction, &digest, Some(&tenant))?;
                request.material = rows::material(transaction, &digest)?;
                Ok(request)
            })
            .await
    }

    /// The tenant's requests that people are to be asked about now, without the bytes that they name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn waiting(&self, tenant: &str) -> Result<Vec<Request>, ApprovalError> {
        let (tenant, now) = (tenant.to_owned(), self.clock.now());
        self.database.transact(move |transaction| rows::waiting(transaction, &tenant, now)).await
    }

    /// Requests of all tenants that are approved and of which nothing has come yet, oldest first, without the bytes that they name.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn to_apply(&self) -> Result<Vec<Request>, ApprovalError> {
        let now = self.clock.now();
        self.database.transact(move |transaction| rows::to_apply(transaction, now)).await
    }

    /// The waiting request with that short code.
    ///
    /// # Errors
    /// If there is none, or if two have it: then only the whole digest will do.
    pub async fn by_code(&self, tenant: &str, code: &str) -> Result<Request, ApprovalError> {
        let code: keyblind_intent::ShortCode = code.parse().map_err(|_| ApprovalError::Unknown)?;
        let mut found: Vec<Request> = self.waiting(tenant).await?;
        found.retain(|request| request.change.short_code() == code);
        if found.len() == 1 { found.pop().ok_or(ApprovalError::Unknown) } else { Err(ApprovalError::Unknown) }
    }

    /// How far a request is.
    ///
    /// # Errors
    /// If there is none of that tenant.
    pub async fn progress(&self, tenant: &str, digest: Digest) -> Result<Progress, ApprovalError> {
        let (tenant, now) = (tenant.to_owned(), self.clock.now());
        self.database
            .transact(move |transaction| {
                let request = of_tenant(transaction, &digest, Some(&tenant))?;
                Ok(Progress {
                    state: request.state,
                    expired: now >= request.expires,
                    approved: request.words.iter().filter(|word| word.answer == Answer::Approve).count(),
                    wanted: usize::try_from(request.change.fields().approvals.wanted.get()).unwrap_or(usize::MAX),
                })
            })
            .await
    }

    /// Lets a person's word count, if it may. A word that doesn't count is in the ledger as well.
    ///
    /// # Errors
    /// Why it doesn't count.
    pub async fn decide(&self, word: Word) -> Result<Standing, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        let digest = word.digest;
        let result = self.database.transact(move |transaction| decide(transaction, &*journal, &word, now)).await;
        self.moved();
        if let Some(reason) = result.as_ref().err().and_then(ApprovalError::reason) {
            let journal = Arc::clone(&self.journal);
            // The refusal stands whether or not it can be recorded: nothing takes effect.
            let _ = self
                .database
                .transact(move |transaction| -> Result<(), ApprovalError> {
                    let Some(request) = rows::find(transaction, &digest)? else { return Ok(()) };
                    let entry = Entry::WordRefused { approval: request.change.fields().id, tenant: request.proposal.tenant, reason };
                    Ok(journal.append(transaction, now, &entry)?)
                })
                .await;
        }
        result
    }

    /// Uses up the approval of exactly this change, which the caller has made again from its own inputs.
    ///
    /// # Errors
    /// If it isn't approved, is used up, void or expired, the policy isn't the same any more, or nothing may be applied now.
    pub async fn take(&self, change: Change) -> Result<Approved, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        self.database
            .transact(move |transaction| {
                let digest = change.digest();
                let request = of_tenant(transaction, &digest, Some(change.fields().tenant.as_str()))?;
                match request.state {
                    State::Approved => {}
                    State::Used => return Err(ApprovalError::UsedUp),
                    State::Expired => return Err(ApprovalError::Expired),
                    State::Waiting | State::Refused | State::Void => return Err(ApprovalError::NotApproved),
                }
                if now >= request.expires {
                    return Err(ApprovalError::Expired);
                }
                let (policy_digest, policy) = in_force(transaction, now)?;
                if change.fields().approvals.policy != policy_digest {
                    return Err(ApprovalError::OtherPolicy);
                }
                // The words are counted once more: the state alone is one field.
                let requirement = policy.requirement(&request.proposal)?;
                let yes = request.words.iter().filter(|word| word.answer == Answer::Approve).count();
                if yes < requirement.approvals || request.words.iter().any(|word| word.answer == Answer::Refuse) {
                    return Err(ApprovalError::NotApproved);
                }
                if let Some(freeze) = policy.frozen(now) {
                    return Err(ApprovalError::Frozen { until: freeze.until(), reason: freeze.reason().to_owned() });
                }
                policy.guard().admit(risk::targets(&change).iter().map(String::as_str))?;
                let since = Timestamp::from_unix_millis(now.unix_millis().saturating_sub(DAY.as_millis().try_into().unwrap_or(u64::MAX)));
                policy.limits().admit_change(&rows::times(transaction, &request.proposal.tenant, Times::Used, since)?, now)?;
                journal.append(
                    transaction,
                    now,
                    &Entry::Used { approval: change.fields().id, change: digest, tenant: request.proposal.tenant },
                )?;
                if !rows::advance(transaction, &digest, State::Approved, State::Used, now)? {
                    return Err(ApprovalError::UsedUp);
                }
                Ok(Approved { change: request.change, expires: request.expires })
            })
            .await
    }

    /// Voids all that waits and all that is approved but not used: what a stop does.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn void_all(&self) -> Result<usize, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        let voided = self.database.transact(move |transaction| void_in(transaction, &*journal, now)).await;
        self.moved();
        voided
    }

    /// Closes what is overdue; to be called now and then. Overdue requests can't be decided or used in any case.
    ///
    /// # Errors
    /// Those of the database.
    pub async fn expire(&self) -> Result<usize, ApprovalError> {
        let now = self.clock.now();
        let journal = Arc::clone(&self.journal);
        self.database
            .transact(move |transaction| {
                let (closed, requests) = rows::sweep(transaction, Sweep::Overdue(now), State::Expired, now)?;
                for request in &requests {
                    let (approval, tenant) = (request.change.fields().id, request.proposal.tenant.clone());
                    journal.append(transaction, now, &Entry::Expired { approval, tenant })?;
                }
                Ok(closed)
            })
            .await
    }
}

/// Voids all that is open, in a transaction of the caller's.
fn void_in(transaction: &Transaction<'_>, journal: &dyn Journal, now: Timestamp) -> Result<usize, ApprovalError> {
    let mut voided = 0;
    loop {
        let (closed, requests) = rows::sweep(transaction, Sweep::Open, State::Void, now)?;
        if closed == 0 {
            return Ok(voided);
        }
        for request in &requests {
            let (approval, tenant) = (request.change.fields().id, request.proposal.tenant.clone());
            journal.append(transaction, now, &Entry::Voided { approval, tenant })?;
        }
        voided += closed;
    }
}

/// What the kill switch does with approvals, in the transaction of the kill: all that waits or is approved is void.
pub fn on_kill(clock: Arc<dyn Clock>) -> OnKill {
    Arc::new(move |transaction, ledger, _| {
        void_in(transaction, ledger, clock.now()).map(drop).map_err(|error| match error {
            ApprovalError::Database(error) => error.into(),
            _ => DatabaseError::Unexpected("a request that can't be voided").into(),
        })
    })
}

fn of_tenant(transaction: &Transaction<'_>, digest: &Digest, tenant: Option<&str>) -> Result<Request, ApprovalError> {
    // A request of somebody else doesn't exist.
    rows::find(transaction, digest)?
        .filter(|request| tenant.is_none_or(|tenant| request.proposal.tenant == tenant))
        .ok_or(ApprovalError::Unknown)
}

fn decide(transaction: &Transaction<'_>, journal: &dyn Journal, word: &Word, now: Timestamp) -> Result<Standing, ApprovalError> {
    let request = of_tenant(transaction, &word.digest, word.tenant.as_deref())?;
    if request.state != State::Waiting {
        return Err(Refusal::Decided.into());
    }
    let (policy_digest, policy) = in_force(transaction, now)?;
    if request.change.fields().approvals.policy != policy_digest {
        return Err(ApprovalError::OtherPolicy);
    }
    let code = request.change.short_code().to_string();
    let vote = Vote {
        identity: &word.identity,
        tenant: word.tenant.as_deref().unwrap_or(&request.proposal.tenant),
        channel: word.channel,
        answer: word.answer,
        present_at: word.present_at,
        typed: word.typed.as_deref(),
    };
    if !rows::spend(transaction, &word.nonce, now)? {
        return Err(ApprovalError::Replayed);
    }
    let weighed = policy.weigh(&request.proposal, &code, request.expires, &request.words, &vote, now)?;
    let entry = Entry::Word {
        approval: request.change.fields().id,
        change: word.digest,
        tenant: request.proposal.tenant.clone(),
        counted: weighed.counted.clone(),
        solo: weighed.solo,
        is_given: weighed.standing == Standing::Approved,
    };
    journal.append(transaction, now, &entry)?;
    if !rows::insert_word(transaction, &word.digest, &weighed.counted, weighed.solo, now)? {
        return Err(Refusal::AlreadyCounted.into());
    }
    let next = match weighed.standing {
        Standing::Waiting(_) => None,
        Standing::Approved => Some(State::Approved),
        Standing::Refused => Some(State::Refused),
    };
    if let Some(next) = next
        && !rows::advance(transaction, &word.digest, State::Waiting, next, now)?
    {
        return Err(Refusal::Decided.into());
    }
    Ok(weighed.standing)
}
