//! How fast GitHub may be asked: one write at a time with a pause between them, not too many requests at once, and silence when it
//! asks for it (GitHub's "Best practices for using the REST API").

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::{HeaderName, RETRY_AFTER};
use tokio::sync::{MutexGuard, Semaphore, SemaphorePermit};
use tokio::time::Instant;

use super::GithubError;
use crate::clock::Timestamp;
use crate::egress::Answer;

/// How many requests run at once; GitHub's limit is 100 for all that one App does.
const AT_ONCE: usize = 16;
/// The longest silence that a request sits out; after that, whoever asked is told when to come again.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long to be silent when GitHub doesn't say, the first time; then twice as long each time.
const FIRST_SILENCE: Duration = Duration::from_secs(60);
const LONGEST_SILENCE: Duration = Duration::from_secs(3_600);

const REMAINING: HeaderName = HeaderName::from_static("x-ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("x-ratelimit-reset");

/// What a request is, as far as its pace goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pacing {
    /// It reads.
    Read,
    /// It makes or changes content: GitHub wants a pause between these.
    Write,
    /// It begins or ends a token. It waits for nobody's silence: one tenant's limit must not keep another's token alive, and each is asked
    /// for once and ended once.
    Authority,
}

/// The pace with one host.
#[derive(Debug)]
pub(super) struct Pace {
    pause: Duration,
    places: Semaphore,
    last_write: tokio::sync::Mutex<Option<Instant>>,
    silence: Mutex<Silence>,
}

#[derive(Debug, Default)]
struct Silence {
    until: Option<Instant>,
    times: u32,
}

/// The right to send one request.
pub(super) struct Turn<'p> {
    _place: SemaphorePermit<'p>,
    write: Option<MutexGuard<'p, Option<Instant>>>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(last) = &mut self.write {
            **last = Some(Instant::now());
        }
    }
}

impl Pace {
    pub(super) fn new(pause: Duration) -> Self {
        Self { pause, places: Semaphore::new(AT_ONCE), last_write: tokio::sync::Mutex::default(), silence: Mutex::default() }
    }

    /// Waits until a request may be sent.
    pub(super) async fn turn(&self, pacing: Pacing) -> Result<Turn<'_>, GithubError> {
        // Whoever waits to write takes no reader's place.
        let write = if pacing == Pacing::Write { Some(self.last_write.lock().await) } else { None };
        if let Some(last) = write.as_ref().and_then(|last| **last) {
            tokio::time::sleep_until(last + self.pause).await;
        }
        let place = self.places.acquire().await.map_err(|_| GithubError::Broken { status: 0 })?;
        let until = self.silence.lock().unwrap_or_else(PoisonError::into_inner).until.filter(|_| pacing != Pacing::Authority);
        if let Some(wait) = until.and_then(|until| until.checked_duration_since(Instant::now())) {
            if wait > PATIENCE {
                return Err(GithubError::RateLimited { wait });
            }
            tokio::time::sleep(wait).await;
        }
        Ok(Turn { _place: place, write })
    }

    /// Notes what an answer says about the pace, and for how long to be silent if the request was turned away because of it.
    pub(super) fn heed(&self, pacing: Pacing, answer: &Answer, now: Timestamp) -> Option<Duration> {
        let status = answer.status().as_u16();
        let number = |name: &HeaderName| answer.header(name)?.trim().parse::<u64>().ok();
        let (after, is_used_up) = (number(&RETRY_AFTER), number(&REMAINING) == Some(0));
        let says_so = || answer.body().to_ascii_lowercase().windows(10).any(|words| words == b"rate limit");
        let is_limited = status == 429 || (status == 403 && (after.is_some() || is_used_up || says_so()));
        let mut silence = self.silence.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_limited {
            silence.times = 0;
            return None;
        }
        let until_reset = || number(&RESET).filter(|_| is_used_up).map(|reset| reset.saturating_sub(now.unix_millis() / 1_000));
        let wait = match after.or_else(until_reset) {
            Some(seconds) => Duration::from_secs(seconds),
            None => FIRST_SILENCE * 2_u32.saturating_pow(silence.times.min(6)),
        };
        let wait = wait.min(LONGEST_SILENCE);
        silence.times = silence.times.saturating_add(1);
        if pacing == Pacing::Authority {
            return Some(wait);
        }
        let until = Instant::now() + wait;
        silence.until = Some(silence.until.map_or(until, |other| other.max(until)));
        Some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn writes_have_a_pause_between_them_and_reads_have_none() {
        let pace = Pace::new(Duration::from_secs(1));
        let start = Instant::now();
        for _ in 0..3 {
            drop(pace.turn(Pacing::Write).await.unwrap());
            for _ in 0..5 {
                drop(pace.turn(Pacing::Read).await.unwrap());
            }
        }
        let elapsed = start.elapsed();
        assert!((Duration::from_secs(2)..Duration::from_millis(2_100)).contains(&elapsed), "{elapsed:?}");
        let held: Vec<_> = futures_of(&pace).await;
        assert_eq!(held.len(), AT_ONCE);
        assert!(tokio::time::timeout(Duration::from_secs(9), pace.turn(Pacing::Read)).await.is_err());
    }

    async fn futures_of(pace: &Pace) -> Vec<Turn<'_>> {
        let mut held = Vec::new();
        while let Ok(turn) = tokio::time::timeout(Duration::from_millis(1), pace.turn(Pacing::Read)).await {
            held.push(turn.unwrap());
        }
        held
    }
}
