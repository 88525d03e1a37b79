//! When people aren't to be asked, and when nothing may be applied.

use std::time::Duration;

use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;

use super::Severity;
use crate::clock::Timestamp;

/// Hours in which nobody is asked for an approval, as the clock on their wall says: a tired person's yes is worth little.
/// Requests wait for the end; whoever opens the broker's pages by themselves may still decide.
#[derive(Clone, Debug)]
pub struct QuietHours {
    pub(super) zone: TimeZone,
    /// From when to when, each day. The end may lie before the start: over midnight. The same twice: the whole day.
    pub(super) daily: Option<(Time, Time)>,
    /// Whole days.
    pub(super) days: Vec<Weekday>,
    pub(super) critical_passes: bool,
}

/// No quiet stretch is longer than the longest run of quiet days and the hours around it: a week and a day.
const LONGEST_SEARCH: i64 = 8 * 24 * 60;

impl QuietHours {
    /// When a request may be shown: at `now` itself if it isn't quiet, otherwise the first minute that isn't. None if it never
    /// stops being quiet.
    pub fn earliest(&self, severity: Severity, now: Timestamp) -> Option<Timestamp> {
        if severity == Severity::Critical && self.critical_passes {
            return Some(now);
        }
        let Some(start) = instant(now) else { return Some(now) };
        if !self.is_quiet(start) {
            return Some(now);
        }
        // Minute by minute on the real time line: what a change of the clocks does to the wall's time needs no case of its own.
        let whole_minute = start.as_second().div_euclid(60);
        (1..=LONGEST_SEARCH)
            .filter_map(|minutes| jiff::Timestamp::from_second((whole_minute + minutes) * 60).ok())
            .find(|time| !self.is_quiet(*time))
            .and_then(|time| u64::try_from(time.as_millisecond()).ok())
            .map(Timestamp::from_unix_millis)
    }

    fn is_quiet(&self, time: jiff::Timestamp) -> bool {
        let wall = self.zone.to_datetime(time);
        if self.days.contains(&wall.weekday()) {
            return true;
        }
        match self.daily {
            None => false,
            Some((from, until)) if from < until => from <= wall.time() && wall.time() < until,
            Some((from, until)) => wall.time() >= from || wall.time() < until,
        }
    }
}

fn instant(time: Timestamp) -> Option<jiff::Timestamp> {
    i64::try_from(time.unix_millis()).ok().and_then(|millis| jiff::Timestamp::from_millisecond(millis).ok())
}

/// A stretch of time in which nothing is applied, approved or not: year's end, a launch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Freeze {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) reason: String,
}

impl Freeze {
    /// Whether it holds at that time.
    pub fn covers(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until
    }

    /// When it ends.
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// Why, in the words of the policy.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// How long it lasts.
    pub fn length(&self) -> Duration {
        self.until.saturating_duration_since(self.from)
    }
}
