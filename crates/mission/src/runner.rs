//! Takes steps from the database, and sees to it that each is done.

use std::sync::Arc;
use std::time::Duration;

use keyblind_intent::UnixMillis;
use keyblind_store::{Claim, Hold, Limits, MissionState, NewEvent, Next, Store, StoreError, Ticket, Turn, WaitsFor};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use crate::{Assignment, Clock, Done, Event, Follows, Progress, Request, Step, Trouble, Who, Work};

/// How long a runner waits for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// A step is its worker's for so long without a word.
    pub hold: Duration,
    /// How often a worker that does a step says so, and hears whether the mission was cancelled.
    pub word: Duration,
    /// How often a worker without a step looks for one.
    pub look: Duration,
    /// How often a step is tried.
    pub attempts: u32,
    /// The pause before the second attempt; each further one is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            hold: Duration::from_secs(30),
            word: Duration::from_secs(1),
            look: Duration::from_millis(500),
            attempts: 5,
            pause: Duration::from_secs(2),
            longest_pause: Duration::from_secs(300),
        }
    }
}

impl Patience {
    /// The pause after an attempt.
    fn after(&self, attempt: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        self.pause.saturating_mul(doubled).min(self.longest_pause)
    }
}

/// How many events may wait for the database before the step waits.
const EVENTS: usize = 64;

/// Does missions' steps.
pub struct Runner<W> {
    store: Store,
    work: Arc<W>,
    clock: Arc<dyn Clock>,
    limits: Limits,
    patience: Patience,
    name: String,
}

impl<W: Work> Runner<W> {
    /// A runner. `name` tells it from others in the records.
    pub fn new(store: Store, work: W, clock: Arc<dyn Clock>, limits: Limits, patience: Patience, name: impl Into<String>) -> Self {
        Self { store, work: Arc::new(work), clock, limits, patience, name: name.into() }
    }

    /// Works with so many workers until `closing` changes; then each ends the step that it is at. What the database refuses is asked again
    /// after a while, and `complain` hears of it once until it answers again.
    pub async fn run(self, workers: usize, closing: watch::Receiver<bool>, complain: fn(&StoreError)) {
        let runner = Arc::new(self);
        let mut working = JoinSet::new();
        for _ in 0..workers {
            let (runner, mut closing) = (Arc::clone(&runner), closing.clone());
            working.spawn(async move {
                let mut is_failing = false;
                while !*closing.borrow() {
                    let answer = runner.step().await;
                    match &answer {
                        Err(error) if !is_failing => complain(error),
                        _ => {}
                    }
                    is_failing = answer.is_err();
                    if !answer.unwrap_or(false) {
                        tokio::select! {
                            () = tokio::time::sleep(runner.patience.look) => {}
                            _ = closing.wait_for(|closes| *closes) => {}
                        }
                    }
                }
            });
        }
        while working.join_next().await.is_some() {}
    }

    /// Does one step, if one waits; whether there was one.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn step(&self) -> Result<bool, StoreError> {
        let Some(claim) = self.store.claim(&self.name, self.limits, self.clock.now(), self.patience.hold).await? else { return Ok(false) };
        let held = Instant::now();
        let Some(turn) = self.turn(&claim).await else { return Ok(true) };
        // What was done isn't thrown away because the database is away for a moment. Committed twice it counts once.
        loop {
            match self.store.commit(&claim.ticket, &turn, &self.name, self.clock.now()).await {
                // Somebody else does the step, or did; or the answer to an earlier try got lost.
                Ok(()) | Err(StoreError::Lost) => return Ok(true),
                Err(error) if held.elapsed() > self.patience.hold => return Err(error),
                Err(_) => tokio::time::sleep(self.patience.word).await,
            }
        }
    }

    /// What came of a claim; nothing if it was lost.
    async fn turn(&self, claim: &Claim) -> Option<Turn> {
        if claim.mission.is_cancelled {
            return Some(cancelled());
        }
        let request = serde_json::from_str::<Request>(&claim.mission.request);
        let (Ok(request), Some(step)) = (request, Step::of(&claim.step)) else {
            return Some(failed("another version of this program began this mission: begin it anew".to_owned()));
        };
        if claim.attempt > self.patience.attempts {
            return Some(failed(format!(
                "the step `{}` was begun {} times, and its worker died each time",
                step.word(),
                self.patience.attempts
            )));
        }
        // Who looks whether people have decided by now begins nothing.
        let waited = claim.mission.waits_for.filter(|wait| *wait != WaitsFor::Time);
        if waited.is_none() {
            let begun = Event::StepBegun { step: step.word().to_owned(), attempt: claim.attempt };
            if let Err(StoreError::Lost) = self.store.tell(&claim.ticket, &[begun.row()], self.clock.now()).await {
                return None;
            }
        }
        let assignment = Assignment {
            mission: claim.mission.id,
            who: Who { tenant: claim.mission.tenant.clone(), subject: claim.mission.owner.clone() },
            request: request.clone(),
            step,
            checkpoint: claim.mission.checkpoint.clone(),
        };
        let (ended, unsaid) = self.watched(&claim.ticket, assignment).await;
        let mut turn = match ended {
            Ended::Lost => return None,
            Ended::Cancelled => cancelled(),
            Ended::Done(done) => self.went(&request, step, done, waited),
            Ended::Trouble(Trouble::Waits { waits_for, reason, pause }) => self.waits(step, waits_for, reason, pause, waited),
            Ended::Trouble(Trouble::Lasting(reason)) => failed(reason),
            Ended::Trouble(Trouble::Passing(reason)) if claim.attempt >= self.patience.attempts => failed(reason),
            Ended::Trouble(Trouble::Passing(reason)) => {
                let pause = self.patience.after(claim.attempt);
                let after = u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
                let (ready, waits_for) = (self.later(pause), Some(WaitsFor::Time));
                let next = Next::Step { step: step.word(), ready, attempt: claim.attempt, waits_for };
                turn(&[Event::Retried { reason, after }], format!("step {} put off", step.word()), next)
            }
        };
        turn.events.splice(0..0, unsaid);
        Some(turn)
    }

    /// Does a step, and meanwhile writes down what it says, holds it, and listens whether to go on. What couldn't be written down comes
    /// with the end.
    async fn watched(&self, ticket: &Ticket, assignment: Assignment) -> (Ended, Vec<NewEvent>) {
        let (events, told) = mpsc::channel::<Event>(EVENTS);
        let mut unsaid = Vec::new();
        // The sender is gone with the step's end, which is how the keeper hears of it.
        let mut step = std::pin::pin!(async { self.work.perform(assignment, Progress::new(events)).await });
        let mut answer = None;
        let kept = {
            let mut keeper = std::pin::pin!(self.keep(ticket, told, &mut unsaid));
            loop {
                tokio::select! {
                    done = &mut step, if answer.is_none() => answer = Some(done),
                    kept = &mut keeper => break kept,
                }
            }
        };
        let ended = match (kept, answer) {
            (Kept::Cancelled, _) => Ended::Cancelled,
            (Kept::ToTheEnd, Some(answer)) => answer.map_or_else(Ended::Trouble, Ended::Done),
            (Kept::ToTheEnd | Kept::Lost, _) => Ended::Lost,
        };
        (ended, unsaid)
    }

    /// Writes down what a step says and holds it, until it has ended or isn't the worker's any more. The step goes on while the database is
    /// away, but no longer than it is held.
    async fn keep(&self, ticket: &Ticket, mut told: mpsc::Receiver<Event>, unsaid: &mut Vec<NewEvent>) -> Kept {
        let mut words = tokio::time::interval(self.patience.word);
        words.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut held = Instant::now();
        // An answer that takes longer than this is none.
        let patience = self.patience.hold / 3;
        loop {
            let is_over = tokio::select! {
                event = told.recv(), if unsaid.len() < EVENTS => match event {
                    Some(event) => {
                        unsaid.push(event.row());
                        while let Ok(event) = told.try_recv() {
                            unsaid.push(event.row());
                        }
                        false
                    }
                    None => true,
                },
                _ = words.tick() => match timeout(patience, self.store.hold(ticket, self.clock.now(), self.patience.hold)).await {
                    Ok(Ok(Hold::Held)) => {
                        held = Instant::now();
                        false
                    }
                    Ok(Ok(Hold::Cancelled)) => return Kept::Cancelled,
                    Ok(Ok(Hold::Lost)) => return Kept::Lost,
                    Ok(Err(_)) | Err(_) if held.elapsed() > self.patience.hold => return Kept::Lost,
                    Ok(Err(_)) | Err(_) => false,
                },
            };
            if is_over {
                return Kept::ToTheEnd;
            }
            if !unsaid.is_empty() {
                match timeout(patience, self.store.tell(ticket, unsaid, self.clock.now())).await {
                    Ok(Ok(())) => unsaid.clear(),
                    Ok(Err(StoreError::Lost)) => return Kept::Lost,
                    Ok(Err(_)) | Err(_) => {}
                }
            }
        }
    }

    /// The turn after a step that went well.
    fn went(&self, request: &Request, step: Step, done: Done, waited: Option<WaitsFor>) -> Turn {
        let mut events = done.events;
        if matches!(waited, Some(WaitsFor::Reconnection | WaitsFor::Broker)) {
            events.insert(0, Event::Resumed);
        }
        let after = match done.follows {
            Follows::To(later) => Some(later).filter(|later| request.steps().contains(later)),
            Follows::Next | Follows::Again(..) => request.after(step),
        };
        let (next, audit) = match (done.follows, after) {
            (Follows::Again(pause, waits_for), _) => {
                let next = Next::Step { step: step.word(), ready: self.later(pause), attempt: 0, waits_for: Some(waits_for) };
                // Looked at again and again for days, it is written down once.
                let is_new = waited != Some(waits_for) || !events.is_empty();
                let audit = is_new.then(|| format!("step {} waits for {}", step.word(), waits_for.word()));
                return Turn {
                    documents: done.documents,
                    checkpoint: done.checkpoint,
                    ..Turn { audit, ..turn(&events, String::new(), next) }
                };
            }
            (Follows::Next | Follows::To(_), Some(after)) => {
                let next = Next::Step { step: after.word(), ready: self.clock.now(), attempt: 0, waits_for: None };
                (next, format!("step {} done", step.word()))
            }
            (Follows::Next | Follows::To(_), None) => {
                events.push(Event::Done);
                (Next::End(MissionState::Done), "mission done".to_owned())
            }
        };
        Turn { documents: done.documents, checkpoint: done.checkpoint, ..turn(&events, audit, next) }
    }

    /// The turn of a step that can't be done until something outside has changed.
    fn waits(&self, step: Step, waits_for: WaitsFor, reason: String, pause: Duration, waited: Option<WaitsFor>) -> Turn {
        let next = Next::Step { step: step.word(), ready: self.later(pause), attempt: 0, waits_for: Some(waits_for) };
        if waited == Some(waits_for) {
            return Turn { audit: None, ..turn(&[], String::new(), next) };
        }
        let event = Event::Waits { waits_for: waits_for.word().to_owned(), reason };
        turn(&[event], format!("step {} waits for {}", step.word(), waits_for.word()), next)
    }

    fn later(&self, pause: Duration) -> UnixMillis {
        UnixMillis::new(self.clock.now().get().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX)))
    }
}

/// Until when a step was kept.
enum Kept {
    ToTheEnd,
    Cancelled,
    Lost,
}

/// How a watched step ended.
enum Ended {
    Done(Done),
    Trouble(Trouble),
    Cancelled,
    Lost,
}

fn turn(events: &[Event], audit: String, next: Next) -> Turn {
    Turn { events: events.iter().map(Event::row).collect(), documents: Vec::new(), checkpoint: None, audit: Some(audit), next }
}

fn failed(reason: String) -> Turn {
    turn(&[Event::Failed { reason }], "mission failed".to_owned(), Next::End(MissionState::Failed))
}

fn cancelled() -> Turn {
    turn(&[Event::Cancelled], "mission ended after its cancellation".to_owned(), Next::End(MissionState::Cancelled))
}
