//! Asks people on their own devices, through the identity provider (CIBA, poll mode), about every change whose rule lets them answer there.
//!
//! Whom: those whose word would count, and who are known to that provider; nobody for more than a few changes at once, so that nobody gets
//! used to saying yes. That somebody is about to be asked is recorded before anybody is, and what a question is polled with lies in the
//! sealed store: after a restart the same question goes on, and nobody is asked a second time without need.
//!
//! What the provider answers counts only by [`Backchannel`]: the same person, the same details, in time. The token that comes with a yes is
//! dropped where it arrives. What was decided elsewhere is polled no more.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::Digest;
use tokio::task::JoinSet;

use super::ciba::{Asked, Backchannel, Encoding, End, NotAsked, Step, check_size, details};
use super::device_rows::{self as rows, Question, Stage};
use super::policy::{Answer, Channel, Identity, Policy, Requirement};
use super::{ApprovalError, Approvals, Entry, Request, State, Word};
use crate::clock::{Clock, Timestamp};
use crate::database::{Database, DatabaseError};
use crate::leases::epoch::KillSwitch;
use crate::providers::oidc::{DeviceQuestion, DeviceRequest, OpenIdProvider};
use crate::vault::{RecordKind, RecordName, Vault, VaultError};

/// How often it is looked for something to do while something waits that people may answer on their devices, and while nothing does: another
/// process may have raised or decided it, and quiet hours end without a word.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOK_EVERY_IDLE: Duration = Duration::from_secs(60);
/// The shortest pause between two looks.
const SHORTEST_PAUSE: Duration = Duration::from_millis(250);
/// How many people are asked about one change at most.
const PEOPLE: usize = 10;
/// How many changes one person is asked about at the same time.
const AT_ONCE: usize = 3;
/// How often it is tried to ask somebody before the pages have to do.
const ATTEMPTS: u32 = 5;
/// How long what is over is remembered.
const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How the provider is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceSettings {
    /// In which form it takes what the question is about; none if it takes no authorization details.
    pub encoding: Option<Encoding>,
    /// Whose interface the details are registered with, in the way of Auth0.
    pub audience: Option<String>,
    /// For how long a question stays on the device: Auth0's app takes five minutes at most.
    pub longest: Duration,
}

impl Default for DeviceSettings {
    fn default() -> Self {
        Self { encoding: Some(Encoding::Plain), audience: None, longest: Duration::from_secs(300) }
    }
}

/// Why a round of questions could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The requests or the policy can't be read.
    #[error(transparent)]
    Approvals(#[from] ApprovalError),
    /// The sealed store refused.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<DatabaseError> for DeviceError {
    fn from(error: DatabaseError) -> Self {
        Self::Approvals(error.into())
    }
}

type Key = (Digest, Identity);

/// What this process knows of a question that is open.
enum Open {
    Polling {
        state: Backchannel,
        request: Arc<DeviceRequest>,
    },
    /// The provider has said it once and won't again: it is said until it is recorded.
    Said {
        word: Box<Word>,
        end: End,
    },
}

/// Asks people on their devices.
pub struct Devices {
    approvals: Approvals,
    database: Database,
    vault: Arc<Vault>,
    switch: KillSwitch,
    clock: Arc<dyn Clock>,
    provider: Arc<OpenIdProvider>,
    settings: DeviceSettings,
    open: HashMap<Key, Open>,
    /// Whether something waited at the last look.
    is_busy: bool,
}

impl Devices {
    /// Through this provider.
    pub fn new(
        approvals: Approvals,
        database: Database,
        vault: Arc<Vault>,
        switch: KillSwitch,
        clock: Arc<dyn Clock>,
        provider: Arc<OpenIdProvider>,
        settings: DeviceSettings,
    ) -> Self {
        Self { approvals, database, vault, switch, clock, provider, settings, open: HashMap::new(), is_busy: false }
    }

    /// Asks and polls until it is dropped.
    pub async fn work(mut self) {
        let mut moves = self.approvals.moves();
        loop {
            let is_stopped = self.switch.is_stopped();
            // What can't be read or recorded now is done in a later round; the pages are there meanwhile.
            let pause = if self.round().await.is_ok() { self.pause() } else { LOOK_EVERY };
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Ok(()) = moves.changed() => {}
                () = self.switch.stopped(), if !is_stopped => {}
            }
        }
    }

    /// How long there is nothing to do, if nobody says anything.
    fn pause(&mut self) -> Duration {
        let now = self.clock.now();
        let due = self.open.values_mut().map(|open| match open {
            Open::Polling { state, .. } => match state.step(now) {
                Step::PollAt(time) => time.saturating_duration_since(now),
                Step::Ended(_) => Duration::ZERO,
            },
            // It couldn't be recorded.
            Open::Said { .. } => Duration::from_secs(1),
        });
        let longest = if self.is_busy { LOOK_EVERY } else { LOOK_EVERY_IDLE };
        due.min().unwrap_or(longest).clamp(SHORTEST_PAUSE, longest)
    }

    /// One round: closes what was decided elsewhere, polls what is due, asks who hasn't been asked.
    ///
    /// # Errors
    /// If requests, policy or questions can't be read. What can't be done with one of them leaves the others.
    pub async fn round(&mut self) -> Result<(), DeviceError> {
        let now = self.clock.now();
        let (_, policy) = self.approvals.policy().await?;
        let mut waiting: HashMap<Digest, Request> = HashMap::new();
        if !self.switch.is_stopped() {
            let tenants: BTreeSet<&str> = policy.people().flat_map(super::policy::Person::tenants).collect();
            for tenant in tenants {
                let requests = self.approvals.waiting(tenant).await?;
                let asked_now = |request: &Request| request.state == State::Waiting && request.shown_from <= now && now < request.expires;
                waiting.extend(requests.into_iter().filter(asked_now).map(|request| (request.change.digest(), request)));
            }
        }
        self.is_busy = !waiting.is_empty();
        let changes: Vec<Digest> = waiting.keys().copied().collect();
        let issuer = self.provider.issuer().to_owned();
        let questions = self.database.transact(move |transaction| rows::all(transaction, &issuer, &changes)).await?;
        let known: HashMap<Key, Question> =
            questions.into_iter().map(|question| ((question.change, question.identity.clone()), question)).collect();
        for question in known.values().filter(|question| question.stage != Stage::Over) {
            let outcome = match waiting.get(&question.change) {
                None => "decided-elsewhere",
                Some(request) if !is_open_for(&policy, request, &question.identity) => "answered-elsewhere",
                Some(_) => continue,
            };
            // One that can't be closed now is closed in a later round: nothing of it is polled below.
            let _ = self.close(question, outcome).await;
        }
        let known: HashMap<Key, Question> = known
            .into_iter()
            .filter(|(key, question)| {
                question.stage == Stage::Over || waiting.get(&key.0).is_some_and(|request| is_open_for(&policy, request, &key.1))
            })
            .collect();
        self.take_up(&known, &waiting, now).await;
        self.poll(&known, &waiting, now).await;
        self.ask_all(&policy, &known, &waiting, now).await;
        let before = Timestamp::from_unix_millis(now.unix_millis().saturating_sub(REMEMBERED.as_millis().try_into().unwrap_or(u64::MAX)));
        Ok(self.database.transact(move |transaction| rows::forget(transaction, before)).await?)
    }

    /// Goes on with what an earlier process has asked.
    async fn take_up(&mut self, known: &HashMap<Key, Question>, waiting: &HashMap<Digest, Request>, now: Timestamp) {
        for (key, question) in known {
            let Some(request) = waiting.get(&question.change) else { continue };
            if question.stage != Stage::Asked || self.open.contains_key(key) {
                continue;
            }
            // What can't be read any more must not become a question about nothing, which any yes would answer.
            let Ok(details) = question.details.as_deref().map(serde_json::from_str).transpose() else {
                let _ = self.close(question, "lost").await;
                continue;
            };
            let asked = Asked { digest: question.change, subject: question.identity.subject().to_owned(), details };
            let (left, every) =
                (question.expires.saturating_duration_since(now), question.every.map(|every| Duration::from_secs(every.into())));
            let kept = match record(question) {
                Ok(record) => self.vault.get(&record).await,
                Err(error) => Err(error),
            };
            match kept {
                Ok((_, id)) => {
                    let state = Backchannel::begin(asked, left, every, request.expires, now);
                    let request = Arc::new(DeviceRequest::again(id, left, every));
                    self.open.insert(key.clone(), Open::Polling { state, request });
                }
                // Without it nothing can come of the question any more; the pages are there.
                Err(VaultError::NotFound) => drop(self.close(question, "lost").await),
                Err(_) => {}
            }
        }
    }

    async fn poll(&mut self, known: &HashMap<Key, Question>, waiting: &HashMap<Digest, Request>, now: Timestamp) {
        let mut polls = JoinSet::new();
        let mut ended: Vec<(Key, End)> = Vec::new();
        for (key, open) in &mut self.open {
            let Open::Polling { state, request } = open else { continue };
            match state.step(now) {
                Step::Ended(end) => ended.push((key.clone(), end)),
                Step::PollAt(time) if time <= now => {
                    let (key, request, provider) = (key.clone(), Arc::clone(request), Arc::clone(&self.provider));
                    polls.spawn(async move { (key, provider.poll_device(&request).await) });
                }
                Step::PollAt(_) => {}
            }
        }
        while let Some(polled) = polls.join_next().await {
            let Ok((key, poll)) = polled else { continue };
            let (now, Some(Open::Polling { state, .. })) = (self.clock.now(), self.open.get_mut(&key)) else { continue };
            if let Step::Ended(end) = state.answered(poll, now) {
                ended.push((key, end));
            }
        }
        for (key, end) in ended {
            let (Some(question), Some(request)) = (known.get(&key), waiting.get(&key.0)) else { continue };
            self.ended(&key, question, request, end).await;
        }
        let said: Vec<Key> = self.open.iter().filter(|(_, open)| matches!(open, Open::Said { .. })).map(|(key, _)| key.clone()).collect();
        for key in said {
            if let Some(question) = known.get(&key) {
                self.say(&key, question).await;
            }
        }
    }

    /// Makes of an end what follows from it.
    async fn ended(&mut self, key: &Key, question: &Question, request: &Request, end: End) {
        let answer = match end {
            End::Approved => Answer::Approve,
            End::Refused => Answer::Refuse,
            End::Mismatch => {
                // Whoever looks into the ledger must see it: somebody or something between the person and us was at work.
                let (approval, tenant) = (request.change.fields().id, request.proposal.tenant.clone());
                let entry = Entry::WordRefused { approval, tenant, reason: "device-mismatch" };
                if self.approvals.note(entry).await.is_ok() {
                    drop(self.close(question, "mismatch").await);
                }
                return;
            }
            End::Expired => return drop(self.close(question, "expired").await),
            End::Lost => return drop(self.close(question, "lost").await),
        };
        let Some(Open::Polling { request: device, .. }) = self.open.get(key) else { return };
        let word = Box::new(Word {
            digest: question.change,
            identity: question.identity.clone(),
            tenant: Some(question.tenant.clone()),
            channel: Channel::Phone,
            answer,
            present_at: self.clock.now(),
            typed: None,
            // One question, one word, whoever else learns what it was polled with.
            nonce: device.id().expose(Digest::of),
        });
        self.open.insert(key.clone(), Open::Said { word, end });
    }

    async fn say(&mut self, key: &Key, question: &Question) {
        let Some(Open::Said { word, end }) = self.open.get(key) else { return };
        let outcome = match (self.approvals.decide(Word::clone(word)).await, end) {
            // It couldn't be recorded, so it doesn't count yet. The provider won't say it again.
            (Err(ApprovalError::Database(_)), _) => return,
            (Ok(_), End::Approved) => "approved",
            (Ok(_), _) => "refused",
            (Err(_), _) => "not-counted",
        };
        drop(self.close(question, outcome).await);
    }

    async fn ask_all(&mut self, policy: &Policy, known: &HashMap<Key, Question>, waiting: &HashMap<Digest, Request>, now: Timestamp) {
        let mut busy: HashMap<Identity, usize> = HashMap::new();
        for (_, identity) in self.open.keys() {
            *busy.entry(identity.clone()).or_default() += 1;
        }
        let mut requests: Vec<&Request> = waiting.values().collect();
        requests.sort_by(|left, right| right.proposal.severity.cmp(&left.proposal.severity).then(left.raised.cmp(&right.raised)));
        for request in requests {
            let Ok(requirement) = policy.requirement(&request.proposal) else { continue };
            for identity in asked_people(policy, &requirement, request, self.provider.issuer()) {
                let key = (request.change.digest(), identity.clone());
                let is_due = match known.get(&key) {
                    None => true,
                    Some(question) => question.stage == Stage::Asking && question.next_attempt <= now,
                };
                let busy = busy.entry(identity.clone()).or_default();
                if !is_due || self.open.contains_key(&key) || *busy >= AT_ONCE {
                    continue;
                }
                let attempts = known.get(&key).map_or(0, |question| question.attempts);
                // One that can't be asked now leaves the others.
                if self.ask(request, identity, attempts, now).await.unwrap_or(false) {
                    *busy += 1;
                }
            }
        }
    }

    /// Asks somebody. False if there is nothing to poll.
    async fn ask(&mut self, request: &Request, identity: Identity, attempts: u32, now: Timestamp) -> Result<bool, DeviceError> {
        let change = &request.change;
        let content = self.settings.encoding.map(|encoding| details(change, encoding));
        let question = Question {
            change: change.digest(),
            identity,
            tenant: request.proposal.tenant.clone(),
            stage: Stage::Asking,
            details: content.as_ref().map(ToString::to_string),
            every: None,
            expires: request.expires,
            attempts: attempts + 1,
            next_attempt: now.saturating_add(Duration::from_secs(5 << attempts.min(6))),
        };
        let row = question.clone();
        self.database.transact(move |transaction| rows::asking(transaction, &row)).await?;
        if attempts >= ATTEMPTS {
            return self.close(&question, "unavailable").await.map(|()| false);
        }
        let asked = match content.as_ref().map_or(Ok(()), check_size) {
            Ok(()) => {
                let seconds = request.expires.saturating_duration_since(now).min(self.settings.longest).as_secs();
                let message = change.binding_message();
                let asking = DeviceQuestion {
                    subject: question.identity.subject(),
                    message: &message,
                    details: content.as_ref(),
                    audience: self.settings.audience.as_deref(),
                    seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
                };
                self.provider.ask_device(&asking).await
            }
            Err(error) => Err(error),
        };
        let device = match asked {
            Ok(device) => device,
            Err(NotAsked::Unavailable) => return Ok(false),
            Err(NotAsked::NoDevice) => return self.close(&question, "no-device").await.map(|()| false),
            Err(NotAsked::TooLong) => return self.close(&question, "too-long").await.map(|()| false),
        };
        // First the sealed store: a row without its record would be taken for a lost question.
        self.vault.put(&record(&question)?, device.id()).await?;
        let now = self.clock.now();
        let asked = Asked { digest: question.change, subject: question.identity.subject().to_owned(), details: content };
        let state = Backchannel::begin(asked, device.expires_in, device.interval, request.expires, now);
        let every = u32::try_from(state.interval().as_secs()).unwrap_or(u32::MAX);
        let (row, expires) = (question.clone(), now.saturating_add(device.expires_in).min(request.expires));
        self.database.transact(move |transaction| rows::asked(transaction, &row, every, expires)).await?;
        self.open.insert((question.change, question.identity), Open::Polling { state, request: Arc::new(device) });
        Ok(true)
    }

    /// Ends a question: nothing more is polled, and what it was polled with is forgotten.
    async fn close(&mut self, question: &Question, outcome: &'static str) -> Result<(), DeviceError> {
        match self.vault.delete(&record(question)?).await {
            Ok(()) | Err(VaultError::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let row = question.clone();
        self.database.transact(move |transaction| rows::over(transaction, &row, outcome)).await?;
        self.open.remove(&(question.change, question.identity.clone()));
        Ok(())
    }
}

/// Under which name the sealed store has what a question is polled with.
fn record(question: &Question) -> Result<RecordName, VaultError> {
    let Question { tenant, identity, change, .. } = question;
    RecordName::new(tenant, identity.subject(), RecordKind::DeviceQuestion, change.to_string())
}

/// Whether somebody hasn't said anything about a request yet.
fn is_open_for(policy: &Policy, request: &Request, identity: &Identity) -> bool {
    let person = policy.person_of(identity).map(super::policy::Person::id);
    !request.words.iter().any(|word| Some(&word.person) == person)
}

/// Who is to be asked about a request: those whose word would count on the phone, in the policy's order.
fn asked_people(policy: &Policy, requirement: &Requirement, request: &Request, issuer: &str) -> Vec<Identity> {
    if !requirement.channels.contains(&Channel::Phone) {
        return Vec::new();
    }
    let asker = request.proposal.requester.identity().and_then(|identity| policy.person_of(identity)).map(super::policy::Person::id);
    policy
        .people()
        .filter(|person| person.belongs_to(&request.proposal.tenant) && requirement.roles.iter().any(|role| person.has(*role)))
        .filter(|person| Some(person.id()) != asker || policy.solo() == Some(person.id()))
        .filter(|person| !request.words.iter().any(|word| word.person == *person.id()))
        .filter_map(|person| person.identities().find(|identity| identity.issuer() == issuer).cloned())
        .take(PEOPLE)
        .collect()
}
