//! What a stop does, for whoever asks for one: the socket, the pages, a signal.

use std::time::Duration;

use keyblind_intent::{Count, Refusal, Report, SubjectId};

use super::epoch::{EpochError, KillSwitch};
use super::revocation::{Leases, Outstanding, OutstandingState};
use crate::approvals::policy::Identity;
use crate::dispatch::{self, Answering};
use crate::door::{self, BoxFuture, End, Grants, StopReport, SwitchError};
use crate::ledger::Cause;

/// How long whoever stops waits to hear what is revoked already. The stop itself doesn't wait.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// The kill switch and what it ends.
#[derive(Clone)]
pub struct Stopping {
    switch: KillSwitch,
    leases: Leases,
    logins: Option<Grants>,
}

/// What a stop has come to when whoever asked for it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// The number of the stop.
    pub epoch: u64,
    /// Leases and logins that lived when it came and are revoked, confirmed by the provider.
    pub revoked: usize,
    /// What isn't known to be dead.
    pub waiting: usize,
}

impl Stopping {
    /// Joins the two. The queue of revocations is worked on elsewhere ([`Leases::work`]).
    pub fn new(switch: KillSwitch, leases: Leases) -> Self {
        Self { switch, leases, logins: None }
    }

    /// Counts what logins have left as well; it is ended elsewhere ([`Grants::work`]).
    #[must_use]
    pub fn with_logins(self, logins: Grants) -> Self {
        Self { logins: Some(logins), ..self }
    }

    /// Stops everything, and waits a little for what the providers say.
    ///
    /// # Errors
    /// If it could not be recorded. This process is stopped all the same.
    pub async fn stop(&self, by: Cause) -> Result<Stopped, EpochError> {
        let epoch = self.switch.kill(by).await?;
        // What only dies by itself isn't waited for.
        let counted = async || {
            let outstanding = self.leases.outstanding().await.ok()?;
            let is_ending = |state| matches!(state, OutstandingState::Live | OutstandingState::Ending);
            let logins = match &self.logins {
                Some(logins) => logins.unconfirmed().await.ok()?,
                None => 0,
            };
            Some((outstanding.iter().filter(|lease| is_ending(lease.state)).count() + logins, outstanding.len() + logins))
        };
        let (before, mut waiting) = counted().await.unwrap_or_default();
        let mut left = before;
        let ends = tokio::time::Instant::now() + PATIENCE;
        while left > 0 && tokio::time::Instant::now() < ends {
            tokio::time::sleep(LOOK_EVERY).await;
            // What can't be counted is as it was: it isn't known to be dead.
            (left, waiting) = counted().await.unwrap_or((left, waiting));
        }
        Ok(Stopped { epoch, revoked: before.saturating_sub(left), waiting })
    }

    async fn arm(&self, by: Cause) -> Result<u64, EpochError> {
        let epoch = self.switch.epoch().await?;
        self.switch.arm(epoch, by).await
    }
}

impl dispatch::KillSwitch for Stopping {
    fn is_stopped(&self) -> bool {
        self.switch.is_stopped()
    }

    fn stop<'a>(&'a self, _: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            let Stopped { epoch, revoked, waiting } = Self::stop(self, Cause::Command).await.map_err(|_| Refusal::LedgerUnavailable)?;
            let count = |number: usize| Count::saturating(number as u64);
            Ok(Report::Stopped { epoch: Count::saturating(epoch), revoked: count(revoked), waiting: count(waiting) })
        })
    }

    fn arm<'a>(&'a self, _: &'a SubjectId) -> Answering<'a, Result<Report, Refusal>> {
        Box::pin(async move {
            match Self::arm(self, Cause::Command).await {
                Ok(epoch) => Ok(Report::Armed { epoch: Count::saturating(epoch) }),
                Err(EpochError::Ledger(_)) => Err(Refusal::LedgerUnavailable),
                Err(_) => Err(Refusal::Halted),
            }
        })
    }
}

impl door::Switch for Stopping {
    fn state(&self) -> BoxFuture<'_, Result<Option<StopReport>, SwitchError>> {
        Box::pin(async move {
            let words = |error: &dyn std::fmt::Display| SwitchError(error.to_string());
            let (epoch, since) = self.switch.since().await.map_err(|error| words(&error))?;
            if epoch.is_multiple_of(2) && !self.switch.is_stopped() {
                return Ok(None);
            }
            let outstanding = self.leases.outstanding().await.map_err(|error| words(&error))?;
            Ok(Some(StopReport { since, epoch, ends: outstanding.into_iter().map(end).collect() }))
        })
    }

    fn stop(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        Box::pin(async move { Self::stop(self, Cause::Button).await.map(drop).map_err(|error| SwitchError(error.to_string())) })
    }

    fn arm(&self, _: Identity) -> BoxFuture<'_, Result<(), SwitchError>> {
        Box::pin(async move { Self::arm(self, Cause::Button).await.map(drop).map_err(|error| SwitchError(error.to_string())) })
    }
}

fn end(outstanding: Outstanding) -> (String, End) {
    let Outstanding { lease, provider, state, dies_at, .. } = outstanding;
    let end = match state {
        OutstandingState::Announced | OutstandingState::Unrevoked => End::DiesAt(dies_at),
        OutstandingState::Live | OutstandingState::Ending => End::Waiting,
    };
    // The page is seen by people of every tenant: whose it is stands in the record.
    (format!("{provider:?}, lease {lease}"), end)
}
