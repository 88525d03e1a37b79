//! Time as something that is given, so that whoever depends on it can be tested with a clock of the test's own.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the beginning of 1970, UTC, as records hold it. People read it as RFC 3339.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The point that many milliseconds after the beginning of 1970.
    pub const fn from_unix_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the beginning of 1970.
    pub const fn unix_millis(self) -> u64 {
        self.0
    }

    /// That much later, or the last point there is.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; nothing if it isn't.
    #[must_use]
    pub fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// RFC 3339 in UTC with milliseconds; the bare number where no calendar reaches (past the year 9999).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match i64::try_from(self.0).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok()) {
            Some(time) => write!(f, "{time:.3}"),
            None => write!(f, "{} ms", self.0),
        }
    }
}

/// What tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The time of day. Somebody may set it back or forward at any moment: it says what records and other machines mean,
    /// never how long something took.
    fn now(&self) -> Timestamp;

    /// Time since a point that stays the same while this process lives; never goes back, and nobody can set it.
    fn monotonic(&self) -> Duration;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Begins to count now.
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        // A machine set to before 1970 has no time that a record could hold; zero is refused wherever freshness matters.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::default().saturating_add(since)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A clock that stands still until a test moves it. Both of its times move together, unless the time of day is set.
#[derive(Debug)]
pub struct TestClock {
    now: AtomicU64,
    monotonic: AtomicU64,
}

impl TestClock {
    /// Stands at that time of day.
    pub fn at(now: Timestamp) -> Self {
        Self { now: AtomicU64::new(now.unix_millis()), monotonic: AtomicU64::new(0) }
    }

    /// Lets time pass.
    pub fn advance(&self, duration: Duration) {
        let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        self.now.fetch_add(millis, Ordering::SeqCst);
        self.monotonic.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the time of day, back or forward, while no time passes: what an operator or a bad time server does.
    pub fn set(&self, now: Timestamp) {
        self.now.store(now.unix_millis(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.now.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.monotonic.load(Ordering::SeqCst))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_rfc_3339() {
        assert_eq!(Timestamp::from_unix_millis(0).to_string(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_unix_millis(1_767_225_599_007).to_string(), "2025-12-31T23:59:59.007Z");
        assert_eq!(Timestamp::from_unix_millis(u64::MAX).to_string(), "18446744073709551615 ms");
    }

    #[test]
    fn setting_the_time_of_day_moves_no_measured_time() {
        let clock = TestClock::at(Timestamp::from_unix_millis(1_000_000));
        clock.advance(Duration::from_secs(2));
        clock.set(Timestamp::from_unix_millis(5));
        assert_eq!(clock.now().unix_millis(), 5);
        assert_eq!(clock.monotonic(), Duration::from_secs(2));
    }

    #[test]
    fn the_machines_clock_runs_and_is_past_this_codes_birth() {
        let clock = SystemClock::new();
        let before = clock.monotonic();
        assert!(clock.now() > Timestamp::from_unix_millis(1_750_000_000_000));
        assert!(clock.monotonic() >= before);
    }

    #[test]
    fn sums_stop_at_the_end_of_time() {
        let last = Timestamp::from_unix_millis(u64::MAX);
        assert_eq!(last.saturating_add(Duration::from_secs(1)), last);
        assert_eq!(Timestamp::default().saturating_duration_since(last), Duration::ZERO);
    }
}
