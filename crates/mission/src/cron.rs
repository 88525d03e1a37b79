//! Times as cron writes them (POSIX `crontab`, with names, steps and ranges as Vixie's has them), in a time zone.
//!
//! When clocks go forward, what is planned for the hour that is skipped runs once, as much later as the clocks were moved. When they go
//! back, what is planned for a fixed hour runs once, in the first of the two; what is planned for every hour (`*` or `*/2` in the hours)
//! runs in both.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan as _};
use keyblind_intent::UnixMillis;

/// Why a text is no plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CronError {
    /// There aren't five fields.
    #[error("a plan has five fields: minute, hour, day of the month, month, day of the week; like `30 4 * * mon-fri`")]
    Fields,
    /// A field isn't one.
    #[error("`{field}` is no {what}: write {least} to {most}, `*`, a range (`1-5`), a step (`*/15`) or a list (`1,3`)")]
    Field {
        /// What it should have been.
        what: &'static str,
        /// The text.
        field: String,
        /// The least.
        least: u8,
        /// The most.
        most: u8,
    },
    /// There is no such time zone.
    #[error("`{0}` is no time zone: write one of the IANA database, like `Europe/Berlin` or `UTC`")]
    Zone(String),
}

/// The numbers that a field takes, one bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    bits: u64,
    /// Whether it begins with `*`: it doesn't restrict days, and hours are elapsed ones.
    is_any: bool,
}

/// A plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    minute: Field,
    hour: Field,
    day: Field,
    month: Field,
    weekday: Field,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
/// How far ahead a plan is looked for: the 29th of February can be eight years away.
const YEARS: i16 = 9;
/// No plan needs as many looks: at most a month's, a day's, an hour's and a minute's at each of these years' days.
const LOOKS: u32 = 20_000;

impl FromStr for Cron {
    type Err = CronError;

    fn from_str(text: &str) -> Result<Self, CronError> {
        let text = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            text => text,
        };
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields[..] else { return Err(CronError::Fields) };
        let mut weekday = Field::read(weekday, "day of the week", 0, 7, &WEEKDAYS, 0)?;
        // Sunday is 0 and 7.
        weekday.bits = (weekday.bits | weekday.bits >> 7) & 0x7f;
        Ok(Self {
            minute: Field::read(minute, "minute", 0, 59, &[], 0)?,
            hour: Field::read(hour, "hour", 0, 23, &[], 0)?,
            day: Field::read(day, "day of the month", 1, 31, &[], 0)?,
            month: Field::read(month, "month", 1, 12, &MONTHS, 1)?,
            weekday,
        })
    }
}

impl Field {
    fn read(field: &str, what: &'static str, least: u8, most: u8, names: &[&str], first: u8) -> Result<Self, CronError> {
        let wrong = || CronError::Field { what, field: field.chars().take(40).collect(), least, most };
        let number = |text: &str| {
            let named = names.iter().position(|name| name.eq_ignore_ascii_case(text)).and_then(|place| u8::try_from(place).ok());
            let is_number = !text.is_empty() && text.len() <= 2 && text.bytes().all(|byte| byte.is_ascii_digit());
            let number = named.map(|place| place + first).or_else(|| is_number.then(|| text.parse().ok()).flatten());
            number.filter(|number| (least..=most).contains(number)).ok_or_else(wrong)
        };
        let mut bits = 0_u64;
        for part in field.split(',') {
            let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
            let step: u8 = match step {
                Some(step) => step.parse().ok().filter(|step| (1..=most).contains(step)).ok_or_else(wrong)?,
                None => 1,
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (least, most),
                Some((from, to)) => (number(from)?, number(to)?),
                // `5/10` counts on from 5, `5` is 5.
                None if part.contains('/') => (number(range)?, most),
                None => (number(range)?, number(range)?),
            };
            if from > to {
                return Err(wrong());
            }
            (from..=to).step_by(usize::from(step)).for_each(|number| bits |= 1 << number);
        }
        Ok(Self { bits, is_any: field.starts_with('*') })
    }

    fn has(self, number: i8) -> bool {
        u32::try_from(number).is_ok_and(|number| number < 64 && self.bits >> number & 1 == 1)
    }
}

impl Cron {
    /// The time zone of that name.
    ///
    /// # Errors
    /// If there is none.
    pub fn zone(name: &str) -> Result<TimeZone, CronError> {
        TimeZone::get(name).map_err(|_| CronError::Zone(name.chars().take(60).collect()))
    }

    /// The first time after this one; none if there is none within nine years (the 30th of February, say).
    #[must_use]
    pub fn next(&self, after: UnixMillis, zone: &TimeZone) -> Option<UnixMillis> {
        let after = Timestamp::from_millisecond(i64::try_from(after.get()).ok()?).ok()?;
        let next = if self.hour.is_any { self.next_elapsed(after, zone) } else { self.next_on_the_wall(after, zone) }?;
        u64::try_from(next.as_millisecond()).ok().map(UnixMillis::new)
    }

    fn has_day(&self, at: DateTime) -> bool {
        let (day, weekday) = (self.day.has(at.day()), self.weekday.has(at.weekday().to_sunday_zero_offset()));
        // Where both are restricted, either will do: so cron has it.
        if self.day.is_any || self.weekday.is_any { day && weekday } else { day || weekday }
    }

    /// By the clock on the wall: an hour that comes twice counts once, one that is skipped counts as the time after it.
    fn next_on_the_wall(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let start = zone.to_datetime(after);
        let last = start.year().checked_add(YEARS)?;
        let mut at = whole_minute(start)?;
        for _ in 0..LOOKS {
            if at.year() > last {
                return None;
            }
            at = if !self.month.has(at.month()) {
                at.date().first_of_month().checked_add(1.month()).ok()?.at(0, 0, 0, 0)
            } else if !self.has_day(at) {
                at.date().tomorrow().ok()?.at(0, 0, 0, 0)
            } else if !self.hour.has(at.hour()) {
                at.date().at(at.hour(), 0, 0, 0).checked_add(1.hour()).ok()?
            } else if self.minute.has(at.minute()) {
                let found = zone.to_ambiguous_timestamp(at).compatible().ok()?;
                if found > after {
                    return Some(found);
                }
                at.checked_add(1.minute()).ok()?
            } else {
                at.checked_add(1.minute()).ok()?
            };
        }
        None
    }

    /// By time that elapses: an hour that comes twice counts twice.
    fn next_elapsed(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let last = zone.to_datetime(after).year().checked_add(YEARS)?;
        let second = after.as_second();
        let mut at = Timestamp::from_second(second - second.rem_euclid(60)).ok()?.checked_add(1.minute()).ok()?;
        for _ in 0..LOOKS {
            let here = zone.to_datetime(at);
            if here.year() > last {
                return None;
            }
            let leap = |to: DateTime| zone.to_ambiguous_timestamp(to).compatible().ok();
            let next = if !self.month.has(here.month()) {
                leap(here.date().first_of_month().checked_add(1.month()).ok()?.at(0, 0, 0, 0))?
            } else if !self.has_day(here) {
                leap(here.date().tomorrow().ok()?.at(0, 0, 0, 0))?
            } else if self.hour.has(here.hour()) && self.minute.has(here.minute()) {
                return Some(at);
            } else if self.hour.has(here.hour()) {
                at.checked_add(1.minute()).ok()?
            } else {
                at.checked_add((60 - i64::from(here.minute())).minutes()).ok()?
            };
            // Where midnight comes twice, or not at all, time goes on all the same.
            at = if next > at { next } else { at.checked_add(1.minute()).ok()? };
        }
        None
    }
}

/// The next whole minute.
fn whole_minute(at: DateTime) -> Option<DateTime> {
    at.date().at(at.hour(), at.minute(), 0, 0).checked_add(1.minute()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(plan: &str, after: &str, zone: &str) -> Vec<String> {
        let zone = Cron::zone(zone).unwrap();
        let plan: Cron = plan.parse().unwrap();
        let at: Timestamp = after.parse().unwrap();
        let mut at = UnixMillis::new(u64::try_from(at.as_millisecond()).unwrap());
        (0..4)
            .map_while(|_| {
                at = plan.next(at, &zone)?;
                Some(Timestamp::from_millisecond(i64::try_from(at.get()).unwrap()).unwrap().to_string())
            })
            .collect()
    }

    #[test]
    fn plans_are_followed() {
        assert_eq!(
            next("*/20 9-10 * * mon-fri", "2026-07-17T08:30:00Z", "UTC"),
            ["2026-07-17T09:00:00Z", "2026-07-17T09:20:00Z", "2026-07-17T09:40:00Z", "2026-07-17T10:00:00Z"]
        );
        assert_eq!(next("0 0 29 2 *", "2026-01-01T00:00:00Z", "UTC")[..2], ["2028-02-29T00:00:00Z", "2032-02-29T00:00:00Z"]);
        assert_eq!(next("0 0 30 2 *", "2026-01-01T00:00:00Z", "UTC"), [""; 0], "there is no such day");
        // Both restricted: the 13th, or a Friday.
        assert_eq!(
            next("0 12 13 * fri", "2026-07-09T13:00:00Z", "UTC")[..3],
            ["2026-07-10T12:00:00Z", "2026-07-13T12:00:00Z", "2026-07-17T12:00:00Z"]
        );
        assert_eq!(next("0 12 * * 7", "2026-07-13T00:00:00Z", "UTC")[0], "2026-07-19T12:00:00Z", "Sunday is 0 and 7");
        assert_eq!(next("59 23 31 dec *", "2026-07-13T00:00:00Z", "UTC")[0], "2026-12-31T23:59:00Z");
        assert_eq!(next("@daily", "2026-07-13T10:00:00Z", "Asia/Kolkata")[0], "2026-07-13T18:30:00Z");
        assert_eq!(next("30 4 * * *", "2026-07-13T04:30:00Z", "UTC")[0], "2026-07-14T04:30:00Z", "never the same time again");
        assert_eq!(next("30 4 * * *", "2026-07-13T04:29:59.999Z", "UTC")[0], "2026-07-13T04:30:00Z");
    }

    #[test]
    fn what_falls_into_a_skipped_hour_runs_once_an_hour_later() {
        // 2026-03-29, Berlin: 02:00 becomes 03:00.
        assert_eq!(
            next("30 2 * * *", "2026-03-28T00:00:00Z", "Europe/Berlin")[..3],
            ["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]
        );
        // Both times of that morning are one.
        assert_eq!(next("30 2,3 * * *", "2026-03-29T00:00:00Z", "Europe/Berlin")[..2], ["2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"]);
        assert_eq!(
            next("0 * * * *", "2026-03-29T00:00:00Z", "Europe/Berlin")[..2],
            ["2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z"],
            "each hour that there is"
        );
    }

    #[test]
    fn an_hour_that_comes_twice_counts_once_for_a_fixed_time_and_twice_for_every_hour() {
        // 2026-10-25, Berlin: 03:00 becomes 02:00.
        assert_eq!(next("30 2 * * *", "2026-10-24T22:00:00Z", "Europe/Berlin")[..2], ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]);
        assert_eq!(next("30 2 * * *", "2026-10-25T00:45:00Z", "Europe/Berlin")[0], "2026-10-26T01:30:00Z");
        assert_eq!(
            next("30 */1 * * *", "2026-10-25T00:00:00Z", "Europe/Berlin")[..3],
            ["2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T02:30:00Z"]
        );
    }

    #[test]
    fn odd_zones_end_too() {
        // Lord Howe moves by half an hour; Beirut and Cairo have skipped midnight; Apia skipped a whole day.
        assert_eq!(next("15 2 * * *", "2026-10-03T00:00:00Z", "Australia/Lord_Howe").len(), 4);
        assert_eq!(next("0 0 * * *", "2026-04-23T00:00:00Z", "Africa/Cairo").len(), 4);
        assert_eq!(next("0 0 30 12 *", "2011-12-01T00:00:00Z", "Pacific/Apia").len(), 4);
        assert_eq!(next("*/7 * 1 * *", "2011-12-30T00:00:00Z", "Pacific/Apia").len(), 4);
    }

    #[test]
    fn what_is_no_plan_is_said_with_what_one_is() {
        for wrong in [
            "",
            "* * * *",
            "* * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "5-1 * * * *",
            "*/0 * * * *",
            "a * * * *",
            "-1 * * * *",
            "1,,2 * * * *",
            "+5 * * * *",
            "@never",
        ] {
            assert!(wrong.parse::<Cron>().is_err(), "{wrong}");
        }
        let error = "* * * * fry".parse::<Cron>().unwrap_err().to_string();
        assert_eq!(error, "`fry` is no day of the week: write 0 to 7, `*`, a range (`1-5`), a step (`*/15`) or a list (`1,3`)");
        assert!(Cron::zone("Mars/Olympus").is_err());
    }
}
