//! Time as something that is given, so that what waits for days can be tested in a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use keyblind_intent::UnixMillis;
use keyblind_store::{Store, StoreError};

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

/// How often the database is asked for its time.
const COMPARE_EVERY: Duration = Duration::from_secs(30);

/// The database's clock: runners on several machines hold steps by one time, whatever their own clocks say. Between two looks this machine's
/// clock is taken, as far from the database's as it was at the last one.
#[derive(Clone, Debug, Default)]
pub struct DatabaseClock {
    ahead: Arc<AtomicI64>,
}

impl DatabaseClock {
    /// Asks the database for the first time, and again and again from then on.
    ///
    /// # Errors
    /// If the database fails.
    pub async fn of(store: &Store) -> Result<Self, StoreError> {
        let clock = Self::default();
        clock.compare(store).await?;
        let (comparing, store) = (clock.clone(), store.clone());
        tokio::spawn(async move {
            // Nobody but this task: whoever used the clock is gone.
            while Arc::strong_count(&comparing.ahead) > 1 {
                tokio::time::sleep(COMPARE_EVERY).await;
                // What the database refuses now is asked again.
                let _ = comparing.compare(&store).await;
            }
        });
        Ok(clock)
    }

    async fn compare(&self, store: &Store) -> Result<(), StoreError> {
        let before = SystemClock.now().get();
        let theirs = store.time().await?.get();
        // The database read its clock somewhere between the question and the answer.
        let ours = before / 2 + SystemClock.now().get() / 2;
        let ahead = i64::try_from(theirs).unwrap_or_default() - i64::try_from(ours).unwrap_or_default();
        self.ahead.store(ahead, Ordering::Relaxed);
        Ok(())
    }
}

impl Clock for DatabaseClock {
    fn now(&self) -> UnixMillis {
        UnixMillis::new(SystemClock.now().get().saturating_add_signed(self.ahead.load(Ordering::Relaxed)))
    }
}
