//! Telling people something: in channels that the configuration names, through hooks that the broker keeps.
//!
//! A channel takes a message every few seconds at most. What comes meanwhile goes into the next one, the same notice once with how often
//! it came; each who asked is answered when people were told, or weren't.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use keyblind_intent::{
    ChannelName, Check, CheckState, Count, Digest, DoctorArea, Intent, Line, Missing, Notify, Outcome, Provider, Refusal, TenantId,
};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{kept, received, who};
use crate::dispatch::{Answering, Asked, Examined, Handler, Reply, Whose};
use crate::egress::{Egress, Origin};
use crate::leases::kept::{Keeper, KeptError};
use crate::leases::lease::CallFailure;
use crate::ledger::{Event, Who};
use crate::providers::slack::{self, SlackError};
use crate::vault::{RecordKind, RecordName, VaultError};

/// Between two messages.
const PAUSE: Duration = Duration::from_secs(5);
/// Messages of one channel in an hour.
const HOURLY: usize = 60;
const HOUR: Duration = Duration::from_secs(3_600);
/// For how long a notice waits for its message; who would have to wait longer is told so.
const PATIENCE: Duration = Duration::from_secs(60);
/// Notices that wait for one channel.
const WAITING: usize = 1_000;
/// How often a message is sent that wasn't taken for a passing reason.
const ATTEMPTS: u32 = 3;

/// Under which name the hook of a channel is kept.
///
/// # Errors
/// Never, as the parts of a configuration are no longer than the names of records.
pub fn hook_name(tenant: &TenantId, channel: &ChannelName) -> Result<RecordName, VaultError> {
    RecordName::new(tenant.as_str(), "slack", RecordKind::ChatHook, channel.as_str())
}

/// A channel, as the configuration has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlackChannel {
    /// Its name.
    pub name: ChannelName,
    /// Whose it is.
    pub tenant: TenantId,
    /// The host of its hook.
    pub origin: Origin,
}

/// All channels.
pub struct SlackWork {
    keeper: Keeper,
    egress: Egress,
    pages: Option<String>,
    channels: BTreeMap<ChannelName, Arc<Channel>>,
}

struct Channel {
    settings: SlackChannel,
    hook: RecordName,
    pause: Duration,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// Whether somebody sends what waits.
    is_tended: bool,
    /// Before when nothing is sent.
    not_before: Option<Instant>,
    /// When the last messages went, an hour back.
    sent: VecDeque<Instant>,
}

struct Waiting {
    who: Who,
    notice: Notify,
    answer: oneshot::Sender<Outcome>,
}

impl SlackWork {
    /// The intents that are done here.
    pub const INTENTS: &[&str] = &["notify"];

    /// Joins the channels with what is kept. `pages` is where the broker's own pages are.
    ///
    /// # Errors
    /// Never for names of a configuration; see [`hook_name`].
    pub fn new(channels: Vec<SlackChannel>, keeper: Keeper, egress: Egress, pages: Option<String>) -> Result<Self, VaultError> {
        let channel = |settings: SlackChannel| {
            let hook = hook_name(&settings.tenant, &settings.name)?;
            Ok((settings.name.clone(), Arc::new(Channel { settings, hook, pause: PAUSE, queue: Mutex::default() })))
        };
        let channels = channels.into_iter().map(channel).collect::<Result<_, VaultError>>()?;
        Ok(Self { keeper, egress, pages, channels })
    }

    async fn notify(&self, who: Who, notice: Notify) -> Outcome {
        let Some(channel) = self.channels.get(&notice.channel).filter(|channel| channel.settings.tenant == who.tenant) else {
            return Outcome::NotConfigured { missing: Missing::Channel };
        };
        let (answer, told) = oneshot::channel();
        {
            let mut queue = channel.locked();
            let wait = queue.not_before.map_or(Duration::ZERO, |time| time.saturating_duration_since(Instant::now()));
            if wait > PATIENCE {
                return SlackError::RateLimited { wait }.outcome();
            }
            if queue.waiting.len() >= WAITING {
                return Outcome::Refused(Refusal::Busy);
            }
            queue.waiting.push_back(Waiting { who, notice, answer });
            if !queue.is_tended {
                queue.is_tended = true;
                let tending = Tending {
                    channel: Arc::clone(channel),
                    keeper: self.keeper.clone(),
                    egress: self.egress.clone(),
                    pages: self.pages.clone(),
                };
                // Whoever asked may leave: what is being told is told, and recorded, to the end.
                tokio::spawn(tending.tend());
            }
        }
        told.await.unwrap_or(Outcome::Refused(Refusal::Cancelled))
    }
}

impl Handler for SlackWork {
    fn handle(&self, asked: Asked) -> Answering<'_, Reply> {
        Box::pin(async move {
            if let Err(outcome) = received(self.keeper.ledger(), &asked.session, asked.id, &asked.intent).await {
                return outcome.into();
            }
            match asked.intent {
                Intent::Notify(notice) => self.notify(who(&asked.session), notice).await.into(),
                _ => Outcome::Refused(Refusal::Internal).into(),
            }
        })
    }
}

impl Examined for SlackWork {
    fn examine<'a>(&'a self, whose: Whose<'a>) -> Answering<'a, Vec<Check>> {
        Box::pin(async move {
            let mut checks = Vec::new();
            for channel in self.channels.values().filter(|channel| whose.includes(&channel.settings.tenant)) {
                let name = &channel.settings.name;
                let (state, advice) = match self.keeper.keeps(&channel.hook).await {
                    Ok(true) => (CheckState::Sound, None),
                    Ok(false) => {
                        (CheckState::Broken, Line::new(format!("keyblind-broker keep slack-webhook {name}, while no broker runs")).ok())
                    }
                    Err(_) => (CheckState::NotChecked, None),
                };
                let subject = Line::new(format!("the hook of the channel {name} is kept; only a message shows whether Slack takes it"));
                checks.extend(subject.map(|subject| Check {
                    area: DoctorArea::Provider(Provider::Slack),
                    subject,
                    state,
                    advice,
                    said: None,
                }));
            }
            checks
        })
    }
}

impl Channel {
    fn locked(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it holds this.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long nothing is sent. If that is longer than anybody waits, all who wait are told so, and nobody tends the channel any more.
    fn wait_or_give_up(&self) -> Option<Duration> {
        let mut queue = self.locked();
        let wait = queue.not_before.map_or(Duration::ZERO, |time| time.saturating_duration_since(Instant::now()));
        if wait <= PATIENCE {
            return Some(wait);
        }
        queue.is_tended = false;
        for Waiting { answer, .. } in queue.waiting.drain(..) {
            // Who asked may be gone.
            drop(answer.send(SlackError::RateLimited { wait }.outcome()));
        }
        None
    }
}

/// What goes as one message.
struct Batch {
    /// On whose behalf.
    who: Who,
    /// Each with how often it came.
    notices: Vec<(Notify, usize)>,
    /// For those who asked.
    answers: Vec<oneshot::Sender<Outcome>>,
}

/// What sends what waits for one channel, until nothing waits.
struct Tending {
    channel: Arc<Channel>,
    keeper: Keeper,
    egress: Egress,
    pages: Option<String>,
}

impl Tending {
    async fn tend(self) {
        loop {
            let Some(wait) = self.channel.wait_or_give_up() else { return };
            tokio::time::sleep(wait).await;
            let Some(Batch { who, notices, answers }) = self.next() else { return };
            let outcome = self.tell(&who, &notices).await;
            for answer in answers {
                // Who asked may be gone.
                drop(answer.send(outcome.clone()));
            }
        }
    }

    /// All that waits of whoever waits longest: the record says on whose behalf people are told.
    fn next(&self) -> Option<Batch> {
        let mut queue = self.channel.locked();
        let Some(first) = queue.waiting.front() else {
            queue.is_tended = false;
            return None;
        };
        let who = first.who.clone();
        let (ours, others): (VecDeque<Waiting>, VecDeque<Waiting>) =
            std::mem::take(&mut queue.waiting).into_iter().partition(|waiting| waiting.who == who);
        queue.waiting = others;
        let (mut notices, mut answers) = (Vec::<(Notify, usize)>::new(), Vec::new());
        for Waiting { notice, answer, .. } in ours {
            match notices.iter_mut().find(|(other, _)| *other == notice) {
                Some((_, times)) => *times += 1,
                None => notices.push((notice, 1)),
            }
            answers.push(answer);
        }
        Some(Batch { who, notices, answers })
    }

    async fn tell(&self, who: &Who, notices: &[(Notify, usize)]) -> Outcome {
        let message = slack::message(notices, self.pages.as_deref());
        let (digest, bytes) = (Digest::of(&message), Count::saturating(message.len() as u64));
        let Channel { settings, hook, pause, .. } = &*self.channel;
        let mut attempt = 0;
        loop {
            attempt += 1;
            let mut failure = None;
            let event = |call| Event::PeopleTold { call, channel: settings.name.clone(), digest, bytes };
            let sent = self
                .keeper
                .call(who, Some(hook), event, PATIENCE, async |hook| {
                    let result = match hook {
                        Some(hook) => slack::send(&self.egress, &settings.origin, hook, &message).await,
                        None => Err(SlackError::Hook),
                    };
                    result.map_err(|error| {
                        failure = Some(error);
                        let reason = error.code();
                        if error.may_have_happened() { CallFailure::Unknown(reason) } else { CallFailure::Failed(reason) }
                    })
                })
                .await;
            let wait = match failure {
                Some(SlackError::RateLimited { wait }) => wait,
                _ => *pause,
            };
            self.rest(wait);
            let passes = match failure {
                Some(SlackError::RateLimited { wait }) => wait <= PATIENCE,
                // Sent again only if nobody was told for certain.
                Some(error @ SlackError::Egress(_)) => !error.may_have_happened(),
                _ => false,
            };
            if passes && attempt < ATTEMPTS {
                tokio::time::sleep(wait).await;
                continue;
            }
            return match (sent, failure) {
                (Ok(()), _) => Outcome::Notified,
                (Err(KeptError::NotKept), _) => Outcome::NotConfigured { missing: Missing::Channel },
                (Err(KeptError::Failed(_) | KeptError::Lost(_)), Some(error)) => error.outcome(),
                (Err(error), _) => kept(&error),
            };
        }
    }

    /// Notes that a message went, and for how long none goes.
    fn rest(&self, wait: Duration) {
        let mut queue = self.channel.locked();
        let now = Instant::now();
        queue.sent.push_back(now);
        while queue.sent.front().is_some_and(|sent| now.duration_since(*sent) > HOUR) {
            queue.sent.pop_front();
        }
        let mut until = now + wait;
        if queue.sent.len() >= HOURLY
            && let Some(oldest) = queue.sent.front()
        {
            until = until.max(*oldest + HOUR);
        }
        queue.not_before = Some(until);
    }
}

#[cfg(test)]
mod tests {
    use keyblind_intent::{Failure, NotifyEvent, SubjectId};

    use super::*;

    #[test]
    fn who_would_wait_longer_than_anybody_waits_is_told_so_at_once() {
        let (tenant, name): (TenantId, ChannelName) = (TenantId::new("acme").unwrap(), "security".parse().unwrap());
        let settings =
            SlackChannel { name: name.clone(), tenant: tenant.clone(), origin: Origin::parse("https://hooks.slack.com").unwrap() };
        let hook = hook_name(&tenant, &name).unwrap();
        let channel = Channel { settings, hook, pause: PAUSE, queue: Mutex::default() };
        let notice = Notify { channel: name, event: NotifyEvent::NewFindings, repository: None, account: None, findings: None, code: None };
        let (answer, mut told) = oneshot::channel();
        let who = Who { tenant, subject: SubjectId::new("ada").unwrap() };
        let mut queue = channel.locked();
        queue.waiting.push_back(Waiting { who, notice, answer });
        queue.is_tended = true;
        queue.not_before = Some(Instant::now() + PATIENCE / 2);
        drop(queue);
        assert!(channel.wait_or_give_up().is_some_and(|wait| wait > Duration::ZERO && wait <= PATIENCE));
        assert!(channel.locked().is_tended && told.try_recv().is_err());
        channel.locked().not_before = Some(Instant::now() + HOUR);
        assert_eq!(channel.wait_or_give_up(), None);
        let outcome = told.try_recv().unwrap();
        assert!(
            matches!(outcome, Outcome::Failed { failure: Failure::RateLimited, retry_after_seconds: Some(3_599..), .. }),
            "{outcome:?}"
        );
        assert!(!channel.locked().is_tended);
    }
}
