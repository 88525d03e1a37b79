//! What does a step.

use std::future::Future;
use std::time::Duration;

use keyblind_store::{Document, MissionId, WaitsFor};
use tokio::sync::mpsc;

use crate::{Event, Request, Step, Who};

/// A step that is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The mission.
    pub mission: MissionId,
    /// For whom.
    pub who: Who,
    /// What the mission is about.
    pub request: Request,
    /// The step.
    pub step: Step,
    /// What the steps before handed on, as JSON.
    pub checkpoint: Option<String>,
}

/// What follows a step that was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follows {
    /// The next step of the request, or the end.
    Next,
    /// A later step of the request: what lies between has nothing to do.
    To(Step),
    /// The same step, once some time has passed: it waits for something outside.
    Again(Duration, WaitsFor),
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// What happened.
    pub events: Vec<Event>,
    /// What was made.
    pub documents: Vec<Document>,
    /// What the next step is given; nothing leaves the last one standing.
    pub checkpoint: Option<String>,
    /// What follows.
    pub follows: Follows,
}

/// Why a step wasn't done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// It may work later: the machine is busy, a peer doesn't answer, a process was killed.
    #[error("{0}")]
    Passing(String),
    /// It will never work: what is asked is wrong.
    #[error("{0}")]
    Lasting(String),
    /// It works once something outside has changed, however long that takes: the step is tried again and again, and no attempt is counted.
    #[error("{reason}")]
    Waits {
        /// What for.
        waits_for: WaitsFor,
        /// What to do.
        reason: String,
        /// How long until it is tried again.
        pause: Duration,
    },
}

/// The way for a step to say what happens.
#[derive(Clone, Debug)]
pub struct Progress {
    events: mpsc::Sender<Event>,
}

impl Progress {
    pub(crate) const fn new(events: mpsc::Sender<Event>) -> Self {
        Self { events }
    }

    /// Says that something happened; waits while the database is behind.
    pub async fn tell(&self, event: Event) {
        // Where nobody listens any more, the step is about to be ended.
        let _ = self.events.send(event).await;
    }
}

/// Does steps. The same step may be begun twice, as the one who did it first may have died: what it does outside must be known by a key
/// of the mission's own.
pub trait Work: Send + Sync + 'static {
    /// Does a step. The future is dropped when the mission is cancelled, or the step is another worker's by now.
    ///
    /// # Errors
    /// Why it wasn't done.
    fn perform(&self, assignment: Assignment, progress: Progress) -> impl Future<Output = Result<Done, Trouble>> + Send;
}
