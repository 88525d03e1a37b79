//! How much may be asked of people, and how much may be applied.

use std::time::Duration;

use crate::clock::Timestamp;

/// Numbers of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How many requests may be put before a tenant's people in an hour.
    pub requests_an_hour: usize,
    /// How many may be open at once for a tenant.
    pub open_requests: usize,
    /// How many changes may be applied for a tenant in a day: the change budget.
    pub changes_a_day: usize,
    /// After how many failed verifications in a row a batch stops.
    pub failures_to_stop: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { requests_an_hour: 10, open_requests: 20, changes_a_day: 50, failures_to_stop: 3 }
    }
}

const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why something has to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Limited {
    /// Too many requests in the last hour.
    #[error("{0} approval requests were raised in the last hour, which is the policy's limit: the next one has to wait")]
    RequestsAnHour(usize),
    /// Too many open ones.
    #[error("{0} approval requests are open, which is the policy's limit: have some decided first")]
    OpenRequests(usize),
    /// The day's changes are used up.
    #[error("{0} changes were applied in the last 24 hours, which is the policy's budget")]
    ChangesADay(usize),
    /// The batch stopped itself.
    #[error("{0} changes of this batch failed their verification: the batch has stopped, look at them before a new one starts")]
    BatchStopped(usize),
}

impl Limits {
    /// Whether one more request may be raised, given when the tenant's earlier ones were, and how many are open.
    ///
    /// # Errors
    /// Which limit is reached.
    pub fn admit_request(&self, raised: &[Timestamp], open: usize, now: Timestamp) -> Result<(), Limited> {
        let recent = within(raised, now, HOUR);
        if recent >= self.requests_an_hour {
            return Err(Limited::RequestsAnHour(recent));
        }
        if open >= self.open_requests {
            return Err(Limited::OpenRequests(open));
        }
        Ok(())
    }

    /// Whether one more change may be applied, given when the tenant's earlier ones were.
    ///
    /// # Errors
    /// If the budget is used up.
    pub fn admit_change(&self, applied: &[Timestamp], now: Timestamp) -> Result<(), Limited> {
        let recent = within(applied, now, DAY);
        if recent >= self.changes_a_day { Err(Limited::ChangesADay(recent)) } else { Ok(()) }
    }

    /// Whether a batch may go on, given how its changes have come out so far, the oldest first.
    ///
    /// A batch's first change is its canary: if that one failed, nothing else is tried.
    ///
    /// # Errors
    /// If the batch has stopped. It stays stopped: a success that comes in later doesn't restart it.
    pub fn admit_in_batch(&self, verified: &[bool]) -> Result<(), Limited> {
        if verified.first() == Some(&false) {
            return Err(Limited::BatchStopped(1));
        }
        let mut in_a_row = 0;
        for verified in verified {
            in_a_row = if *verified { 0 } else { in_a_row + 1 };
            if in_a_row >= self.failures_to_stop {
                return Err(Limited::BatchStopped(in_a_row));
            }
        }
        Ok(())
    }
}

/// A clock that was set back must not free a budget: what lies in the future counts as recent.
fn within(times: &[Timestamp], now: Timestamp, window: Duration) -> usize {
    times.iter().filter(|time| now.saturating_duration_since(**time) < window).count()
}
