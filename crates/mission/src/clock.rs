//! Time as something that is given, so that what waits for days can be tested in a moment.

use std::time::{SystemTime, UNIX_EPOCH};

use keyblind_intent::UnixMillis;

/// What tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// The time of day.
    fn now(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> UnixMillis {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}
