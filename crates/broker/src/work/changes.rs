//! From a request that changes something to its effect, once, with the yes of people.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use keyblind_intent::{
    Borrowed, Change, ChangeFields, ChangeState, ConnectionState, Count, Digest, DocumentError, Failure, Intent, Inverse, Line, Missing,
    Outcome, PolicyTemplate, Refusal, Report, RequestId, UnixMillis, limits,
};
use tokio::sync::watch;

use super::{failed, outcomes, received, who};
use crate::approvals::policy::{self, Identity, Requester};
use crate::approvals::{ApprovalError, Approvals, Approved, Material, Request, State};
use crate::clock::Clock;
use crate::database::{Database, DatabaseError};
use crate::dispatch::{self, Answering, Asked, Role, Session};
use crate::ledger::{Event, Ledger, LedgerError, Record, Who, new_id};

/// How long a change may borrow authority.
const SECONDS: u64 = 300;
/// How often what people have approved is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// How many changes are applied at once, and how many of one tenant: another's finds a place.
const AT_ONCE: usize = 4;
const AT_ONCE_OF_ONE: usize = 3;
/// How long a change waits that can't be applied just now; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
const LONGEST_PAUSE: Duration = Duration::from_secs(120);
/// How long it waits at most where somebody can see to what it lacks, and may be about to.
const LONGEST_FOR_PEOPLE: Duration = Duration::from_secs(10);
/// How often it is tried to keep what came of a change, and how long between two tries.
const KEEPING_TRIES: u32 = 60;
const KEEPING_PAUSE: Duration = Duration::from_secs(1);

/// What a provider says that a change would be made on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Looked {
    /// The digest of the target's state.
    pub state: Digest,
    /// The digest of the state that the change must leave, where that is known before.
    pub after: Option<Digest>,
    /// What would undo the change.
    pub inverse: Inverse,
    /// The bytes that the change names by digest and people are shown, from before.
    pub contents: Vec<Vec<u8>>,
}

/// A provider's part of a change.
pub trait Effector: Send + Sync + 'static {
    /// What it would borrow for a change: what people are shown and approve. None if it changes nothing.
    fn permission(&self, intent: &Intent) -> Option<PolicyTemplate> {
        intent.permission()
    }

    /// Looks at the target, with a read lease.
    fn look<'a>(&'a self, who: &'a Who, intent: &'a Intent) -> Answering<'a, Result<Looked, Outcome>>;

    /// Does what was approved, with a write lease. `rendered` is the change as it was made again from what is about to be sent.
    fn apply<'a>(&'a self, who: &'a Who, approved: Approved, rendered: &'a Change, contents: &'a [u8]) -> Answering<'a, Outcome>;
}

/// All changes of one broker.
pub struct Changes {
    approvals: Approvals,
    database: Database,
    ledger: Ledger,
    clock: Arc<dyn Clock>,
    effectors: BTreeMap<&'static str, Arc<dyn Effector>>,
    /// The origin of the broker's own pages, where people say yes.
    pages: Option<String>,
    /// Changes that are being applied, or that wait to be tried again.
    under_way: Mutex<HashMap<Digest, Try>>,
}

/// How far a change is that was taken up.
#[derive(Clone)]
struct Try {
    tenant: String,
    /// What keeps it from being made for now, for whoever asked.
    held_up: Option<Outcome>,
    is_applied_now: bool,
    /// When it is tried again, by the clock that nobody sets.
    next: Duration,
    /// How long it waited the last time.
    pause: Duration,
}

impl Try {
    fn new(tenant: &str) -> Self {
        Self { tenant: tenant.to_owned(), held_up: None, is_applied_now: false, next: Duration::ZERO, pause: Duration::ZERO }
    }
}

impl Changes {
    /// Puts them together. `pages` is the origin of the broker's own pages.
    pub fn new(approvals: Approvals, database: Database, ledger: Ledger, clock: Arc<dyn Clock>, pages: Option<String>) -> Self {
        Self { approvals, database, ledger, clock, effectors: BTreeMap::new(), pages, under_way: Mutex::default() }
    }

    /// Lets `effector` make changes of the intents of these names ([`Intent::name`]).
    #[must_use]
    pub fn with_effector(mut self, names: &[&'static str], effector: &Arc<dyn Effector>) -> Self {
        for name in names {
            self.effectors.insert(name, Arc::clone(effector));
        }
        self
    }

    /// Asks people for a change.
    async fn ask(&self, asked: Asked) -> Result<Outcome, Outcome> {
        let Asked { id, session, intent, attached } = asked;
        let effector = self.effectors.get(intent.name()).ok_or(Outcome::Refused(Refusal::Internal))?;
        let target = intent.target().ok_or(Outcome::Refused(Refusal::Internal))?;
        let permission = effector.permission(&intent).ok_or(Outcome::Refused(Refusal::Internal))?;
        let who = who(&session);
        received(&self.ledger, &session, id, &intent).await?;
        let requester = requester(&session);
        let wanted =
            self.approvals.wanted(&session.tenant, &intent, &target, requester.clone(), None).await.map_err(|error| told(&error))?;
        let looked = effector.look(&who, &intent).await?;
        if let Some(open) = self.asked_before(&session, &intent, looked.state).await? {
            return Ok(open);
        }
        let contents = match &attached {
            Some(file) => Some(file.read(limits::ATTACHED_BYTES).map_err(|_| Outcome::Refused(Refusal::BadBulk))?),
            None => None,
        };
        let rules = rules(&intent).map_err(|_| Outcome::Refused(Refusal::Malformed))?;
        let fields = ChangeFields {
            version: Count::from(1),
            // The request's own id is the asker's; the approval's is nobody's to choose.
            id: new_id().map_err(|_| Outcome::Refused(Refusal::Internal))?,
            tenant: session.tenant.clone(),
            requester: session.subject.clone(),
            target,
            borrowed: Borrowed { permission, seconds: Count::saturating(SECONDS) },
            intent,
            pre_state: looked.state,
            post_state: looked.after,
            inverse: looked.inverse,
            approvals: wanted.approvals,
            rules,
            expires: UnixMillis::new(wanted.expires.unix_millis()),
        };
        let change = Change::new(fields).map_err(|_| Outcome::Refused(Refusal::Malformed))?;
        let mut material = Material::default();
        looked.contents.into_iter().chain(contents).for_each(|bytes| material.add(bytes));
        let (code, wanted) = (change.short_code(), change.fields().approvals.wanted);
        let raised = self.approvals.raise(change, requester, None, material).await.map_err(|error| told(&error))?;
        let page = self.page(raised.digest);
        let expires = UnixMillis::new(raised.expires.unix_millis());
        Ok(Outcome::ApprovalWanted { change: raised.digest, code, wanted, expires, page })
    }

    /// The open request for exactly this, if a mission asks again: its worker may have died before it could keep the answer, and people are
    /// asked once.
    async fn asked_before(&self, session: &Session, intent: &Intent, state: Digest) -> Result<Option<Outcome>, Outcome> {
        if session.role != Role::Runner {
            return Ok(None);
        }
        let waiting = self.approvals.waiting(session.tenant.as_str()).await.map_err(|error| told(&error))?;
        let approved = self.approvals.to_apply().await.map_err(|error| told(&error))?;
        let is_it = |request: &&Request| {
            let fields = request.change.fields();
            fields.tenant == session.tenant && fields.requester == session.subject && fields.pre_state == state && fields.intent == *intent
        };
        Ok(waiting.iter().chain(&approved).find(is_it).map(|request| {
            let (change, wanted) = (request.change.digest(), request.change.fields().approvals.wanted);
            let expires = UnixMillis::new(request.expires.unix_millis());
            Outcome::ApprovalWanted { change, code: request.change.short_code(), wanted, expires, page: self.page(change) }
        }))
    }

    fn page(&self, change: Digest) -> Option<Line> {
        self.pages.as_ref().and_then(|origin| Line::new(format!("{origin}/change/{change}")).ok())
    }

    /// Says of changes that an earlier broker was making when it ended that nobody knows what came of them.
    ///
    /// # Errors
    /// If the database refuses.
    pub async fn recover(&self) -> Result<(), DatabaseError> {
        let now = self.clock.now();
        self.database
            .transact(move |transaction| {
                for (change, tenant) in outcomes::interrupted(transaction)? {
                    outcomes::keep(transaction, &change, &tenant, &failed(Failure::Lost), now)?;
                }
                Ok(())
            })
            .await
    }

    /// Applies what people approve, until `ending` changes; then it ends what is being applied, and takes up nothing more. What is torn
    /// apart by a kill is found by [`Self::recover`].
    pub async fn work(self: Arc<Self>, mut ending: watch::Receiver<()>) {
        let mut applying = tokio::task::JoinSet::new();
        loop {
            // What the database refuses now is looked for again.
            let approved = self.approvals.to_apply().await.unwrap_or_default();
            self.forget_others(&approved);
            for request in approved {
                if applying.len() < AT_ONCE && self.take_up(request.change.digest(), &request.proposal.tenant) {
                    let changes = Arc::clone(&self);
                    applying.spawn(async move { changes.finish(request).await });
                }
            }
            while applying.try_join_next().is_some() {}
            tokio::select! {
                // It has changed, or whoever would change it is gone.
                _ = ending.changed() => break,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
        while applying.join_next().await.is_some() {}
    }

    /// What isn't approved any more (its time is over, everything was stopped) is tried no more.
    fn forget_others(&self, approved: &[Request]) {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|digest, found| found.is_applied_now || approved.iter().any(|request| request.change.digest() == *digest));
    }

    /// Whether this change is to be tried now.
    fn take_up(&self, change: Digest, tenant: &str) -> bool {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if under_way.values().filter(|other| other.is_applied_now && other.tenant == tenant).count() >= AT_ONCE_OF_ONE {
            return false;
        }
        let found = under_way.entry(change).or_insert_with(|| Try::new(tenant));
        let is_due = !found.is_applied_now && found.next <= self.clock.monotonic();
        found.is_applied_now |= is_due;
        is_due
    }

    /// Applies one change and keeps what came of it, or puts it off.
    async fn finish(&self, request: Request) {
        let (digest, tenant) = (request.change.digest(), request.proposal.tenant.clone());
        let mut held_up = None;
        let applied = match self.apply(request).await {
            Ok(outcome) => self.keep_at_last(digest, &tenant, &outcome).await,
            Err(Later(why)) => {
                held_up = why;
                false
            }
        };
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        if applied {
            under_way.remove(&digest);
            return;
        }
        let found = under_way.entry(digest).or_insert_with(|| Try::new(&tenant));
        let longest = match &held_up {
            Some(Outcome::NotReady { state, .. }) if *state != ConnectionState::RateLimited => LONGEST_FOR_PEOPLE,
            _ => LONGEST_PAUSE,
        };
        found.pause = found.pause.saturating_mul(2).clamp(FIRST_PAUSE, longest);
        found.next = self.clock.monotonic().saturating_add(found.pause);
        (found.held_up, found.is_applied_now) = (held_up, false);
    }

    /// Makes the change again from what is there now, and applies it if it is the same.
    async fn apply(&self, request: Request) -> Result<Outcome, Later> {
        let fields = request.change.fields();
        let Some(effector) = self.effectors.get(fields.intent.name()) else { return Err(Later(None)) };
        let who = Who { tenant: fields.tenant.clone(), subject: fields.requester.clone() };
        let looked = match effector.look(&who, &fields.intent).await {
            Ok(looked) => looked,
            Err(outcome) if passes(&outcome) => return Err(Later(Some(outcome))),
            Err(outcome) => return Ok(outcome),
        };
        let rendered = ChangeFields { pre_state: looked.state, post_state: looked.after, inverse: looked.inverse, ..fields.clone() };
        let Ok(rendered) = Change::new(rendered) else { return Ok(Outcome::Refused(Refusal::StaleState)) };
        if rendered.digest() != request.change.digest() {
            return Ok(Outcome::Refused(Refusal::StaleState));
        }
        let whole = self.approvals.request(fields.tenant.as_str(), rendered.digest()).await.map_err(|_| Later(None))?;
        let approved = match self.approvals.take(rendered.clone()).await {
            Ok(approved) => approved,
            Err(ApprovalError::Frozen { .. } | ApprovalError::Limited(_) | ApprovalError::Database(_)) => return Err(Later(None)),
            Err(error) => return Ok(told(&error)),
        };
        Ok(effector.apply(&who, approved, &rendered, whole.contents()).await)
    }

    /// Keeps an outcome, trying for a minute: the effect is there, and only this knows of it.
    async fn keep_at_last(&self, change: Digest, tenant: &str, outcome: &Outcome) -> bool {
        for _ in 0..KEEPING_TRIES {
            if self.keep(change, tenant.to_owned(), outcome.clone()).await.is_ok() {
                return true;
            }
            tokio::time::sleep(KEEPING_PAUSE).await;
        }
        false
    }

    async fn keep(&self, change: Digest, tenant: String, outcome: Outcome) -> Result<(), LedgerError> {
        let (ledger, now) = (self.ledger.clone(), self.clock.now());
        let approval = self.approvals.request(&tenant, change).await.ok();
        let undone = match &approval {
            Some(request) if matches!(outcome, Outcome::ActionUndone { .. }) => Some(request.clone()),
            Some(request) if is_done(&outcome) => self.undone_by(&tenant, request).await?,
            _ => None,
        };
        self.database
            .transact(move |transaction| {
                outcomes::keep(transaction, &change, &tenant, &outcome, now)?;
                let record = |request: &Request, event: &dyn Fn(RequestId) -> Event| {
                    let fields = request.change.fields();
                    let who = Who { tenant: fields.tenant.clone(), subject: fields.requester.clone() };
                    ledger.append_in(transaction, Record::of(&who, None, event(fields.id)))
                };
                if let Some(request) = approval.filter(|_| is_done(&outcome)) {
                    record(&request, &|approval| Event::ChangeApplied { change, approval })?;
                }
                if let Some(request) = undone {
                    let change_undone = request.change.digest();
                    if outcomes::keep_undone(transaction, &change_undone, &tenant, &change, now)? {
                        record(&request, &|approval| Event::ChangeUndone { change: change_undone, approval })?;
                    }
                }
                Ok(())
            })
            .await
    }

    /// The change that this one undoes, if it is what an earlier one said would undo it.
    async fn undone_by(&self, tenant: &str, request: &Request) -> Result<Option<Request>, LedgerError> {
        let Intent::ApplyAction(undo) = &request.change.fields().intent else { return Ok(None) };
        let (of, undo) = (tenant.to_owned(), undo.clone());
        let found = self.database.transact(move |transaction| outcomes::undone_by(transaction, &of, &undo)).await?;
        Ok(match found {
            Some(change) => self.approvals.request(tenant, change).await.ok(),
            None => None,
        })
    }

    async fn state(&self, session: &Session, digest: Digest) -> Result<Report, ApprovalError> {
        let tenant = session.tenant.to_string();
        let progress = self.approvals.progress(&tenant, digest).await?;
        let (outcome, is_undone) = self
            .database
            .transact(move |transaction| {
                let found = (outcomes::find(transaction, &tenant, &digest)?, outcomes::is_undone(transaction, &tenant, &digest)?);
                Ok::<_, DatabaseError>(found)
            })
            .await?;
        let state = match (&outcome, progress.state) {
            (Some(_), _) if is_undone => ChangeState::Undone,
            (Some(outcome), _) if is_done(outcome) => ChangeState::Applied,
            (Some(Outcome::Refused(Refusal::StaleState)), _) => ChangeState::Stale,
            (Some(_), _) => ChangeState::Failed,
            (None, State::Waiting | State::Approved) if progress.expired => ChangeState::Expired,
            (None, State::Waiting) => ChangeState::Waiting,
            (None, State::Approved | State::Used) => ChangeState::Approved,
            (None, State::Refused) => ChangeState::Denied,
            (None, State::Expired) => ChangeState::Expired,
            (None, State::Void) => ChangeState::Halted,
        };
        // What is approved and waits for something: whoever asked may be the one who can see to it.
        let held_up = || {
            let under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
            under_way.get(&digest).and_then(|found| found.held_up.clone())
        };
        let outcome = if state == ChangeState::Approved { held_up() } else { outcome };
        let count = |number: usize| Count::saturating(number as u64);
        Ok(Report::Change {
            digest,
            state,
            approved: count(progress.approved),
            wanted: count(progress.wanted),
            outcome: outcome.map(Box::new),
        })
    }
}

/// It can't be applied just now, and what keeps it from that, if whoever asked can do something about it.
struct Later(Option<Outcome>);

impl dispatch::Handler for Changes {
    fn handle(&self, asked: Asked) -> Answering<'_, dispatch::Reply> {
        Box::pin(async move { self.ask(asked).await.unwrap_or_else(|outcome| outcome).into() })
    }
}

impl dispatch::Changes for Changes {
    fn follow<'a>(&'a self, session: &'a Session, digest: Digest) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            match self.state(session, digest).await {
                Ok(report) => Ok(report),
                Err(ApprovalError::Unknown) => {
                    let nobody = Count::default();
                    Ok(Report::Change { digest, state: ChangeState::Unknown, approved: nobody, wanted: nobody, outcome: None })
                }
                Err(_) => Err(Refusal::Internal),
            }
        })
    }
}

/// Who asks, for the policy. What a mission asks for is an agent's request: it isn't approved where the agent could type.
fn requester(session: &Session) -> Requester {
    let identity = Identity::of_subject(&session.subject);
    match session.role {
        Role::Person | Role::Operator => Requester::Person(identity),
        Role::Runner | Role::Web => Requester::Agent(identity),
    }
}

/// The digest of the names of the rules that the change says it serves.
fn rules(intent: &Intent) -> Result<Digest, DocumentError> {
    let names: &[_] = match intent {
        Intent::ProposePullRequest(request) => &request.fixes,
        _ => &[],
    };
    Ok(Digest::of(&keyblind_intent::canonical(&names)?))
}

/// Whether a change with that outcome is made.
fn is_done(outcome: &Outcome) -> bool {
    matches!(
        outcome,
        Outcome::PullRequestProposed { .. }
            | Outcome::CheckRunPublished { .. }
            | Outcome::Commented { .. }
            | Outcome::SarifUploaded { .. }
            | Outcome::ActionApplied { .. }
    )
}

/// Whether what keeps a change from being made may pass by itself.
fn passes(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Refused(refusal) => {
            matches!(refusal, Refusal::Busy | Refusal::LedgerUnavailable | Refusal::ShuttingDown | Refusal::Halted)
        }
        Outcome::Failed { failure, .. } => {
            matches!(failure, Failure::Unreachable | Failure::TimedOut | Failure::RateLimited | Failure::Broken | Failure::Unintelligible)
        }
        Outcome::NotReady { .. } => true,
        _ => false,
    }
}

/// What whoever asked is told of an approval that there isn't.
fn told(error: &ApprovalError) -> Outcome {
    Outcome::Refused(match error {
        ApprovalError::NoPolicy => return Outcome::NotConfigured { missing: Missing::Approvals },
        ApprovalError::Database(_) | ApprovalError::PolicyText(_) => Refusal::Internal,
        ApprovalError::Policy(policy::Refusal::NoRule { .. }) => Refusal::NoRule,
        ApprovalError::Policy(policy::Refusal::RequesterUnknown(_) | policy::Refusal::RequesterOfOtherTenant) => Refusal::RequesterUnknown,
        ApprovalError::Guarded(_) => Refusal::Guarded,
        ApprovalError::Policy(_) => Refusal::NotApproved,
        ApprovalError::Limited(_) => Refusal::BeyondLimit,
        ApprovalError::AskedBefore | ApprovalError::Replayed => Refusal::Replayed,
        ApprovalError::OtherBytes => Refusal::BadBulk,
        ApprovalError::Unknown => Refusal::OtherTenant,
        ApprovalError::OtherPolicy
        | ApprovalError::OtherApprovals
        | ApprovalError::OtherDigest
        | ApprovalError::NotApproved
        | ApprovalError::UsedUp
        | ApprovalError::Expired
        | ApprovalError::Frozen { .. } => Refusal::NotApproved,
    })
}
