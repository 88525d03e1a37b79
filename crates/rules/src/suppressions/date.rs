//! Calendar days, for directives and baselines that end.

use std::fmt;
use std::str::FromStr;

/// A day of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Date {
    year: u16,
    month: u8,
    day: u8,
}

/// A text that isn't a day in the form `2027-01-31`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day in the form YYYY-MM-DD")]
pub struct DateError(String);

impl Date {
    /// The day that many days after 1970-01-01 (UTC), as clocks count. Days past the year 9999 count as its last one.
    ///
    /// The calendar is walked in eras of 400 years, each of which has the same number of days.
    pub fn from_days_since_epoch(days: u64) -> Self {
        const DAYS_BEFORE_EPOCH: u64 = 719_468; // from 0000-03-01
        const DAYS_PER_ERA: u64 = 146_097;
        let days = days.min(2_932_896) + DAYS_BEFORE_EPOCH;
        let era = days / DAYS_PER_ERA;
        let day_of_era = days % DAYS_PER_ERA;
        let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        // Years are taken to begin in March here, so that the leap day is the last of its year.
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        Self { year: year as u16, month: month as u8, day: day as u8 }
    }
}

impl Date {
    /// The day so many days later.
    #[must_use]
    pub fn plus_days(self, days: u32) -> Self {
        Self::from_days_since_epoch(self.days_since_epoch() + u64::from(days))
    }

    /// Days since 1970-01-01; earlier days count as that one.
    pub fn days_since_epoch(self) -> u64 {
        let year = u64::from(self.year) - u64::from(self.month <= 2 && self.year > 0);
        let shifted_month = (u64::from(self.month) + 9) % 12;
        let day_of_year = (153 * shifted_month + 2) / 5 + u64::from(self.day) - 1;
        let (era, year_of_era) = (year / 400, year % 400);
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        (era * 146_097 + day_of_era).saturating_sub(719_468)
    }
}

impl FromStr for Date {
    type Err = DateError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || DateError(text.chars().take(40).collect());
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 10
            && bytes.iter().enumerate().all(|(at, byte)| if at == 4 || at == 7 { *byte == b'-' } else { byte.is_ascii_digit() });
        if !shaped {
            return Err(wrong());
        }
        let number = |range: std::ops::Range<usize>| text[range].parse::<u16>().map_err(|_| wrong());
        let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let last = match month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if leap => 29,
            2 => 28,
            _ => return Err(wrong()),
        };
        if day == 0 || day > last {
            return Err(wrong());
        }
        Ok(Self { year, month: month as u8, day: day as u8 })
    }
}

impl fmt::Display for Date {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_since_the_epoch_are_the_days_that_calendars_show() {
        for (days, text) in
            [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_778, "2026-11-21"), (2_932_896, "9999-12-31")]
        {
            assert_eq!(Date::from_days_since_epoch(days).to_string(), text);
        }
        assert_eq!(Date::from_days_since_epoch(u64::MAX).to_string(), "9999-12-31");
    }

    #[test]
    fn every_day_of_two_centuries_reads_back() {
        for days in 0..73_000 {
            let date = Date::from_days_since_epoch(days);
            assert_eq!(date.to_string().parse(), Ok(date));
            assert_eq!(date.days_since_epoch(), days);
            assert!(date < Date::from_days_since_epoch(days + 1));
        }
    }

    #[test]
    fn days_that_no_calendar_has_are_refused() {
        for text in ["2027-02-29", "2027-00-10", "2027-13-01", "2027-04-31", "2027-1-1", "tomorrow", "2027/01/31", "", "２０２７-01-31"]
        {
            assert!(text.parse::<Date>().is_err(), "{text}");
        }
    }
}
