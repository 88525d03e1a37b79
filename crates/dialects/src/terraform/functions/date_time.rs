//! Dates: RFC 3339 timestamps, durations as Go writes them, and Terraform's own format letters.

use std::fmt::Write as _;

use keyblind_resource::{Reason, Value};

use super::{Call, Failure, Function, Outcome, invalid, text};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("formatdate", &[text("format"), text("time")], formatdate),
    Function::new("plantimestamp", &[], |_| impure("plantimestamp")),
    Function::new("timeadd", &[text("timestamp"), text("duration")], timeadd),
    Function::new("timecmp", &[text("timestamp_a"), text("timestamp_b")], |call| {
        let (a, b) = (Moment::parse(call.text(0)?)?, Moment::parse(call.text(1)?)?);
        Ok(Value::int(a.instant().cmp(&b.instant()) as i64))
    }),
    Function::new("timestamp", &[], |_| impure("timestamp")),
];

fn impure(function: &str) -> Outcome {
    Err(Failure::Because(Reason::Impure { function: function.into() }))
}

const DAY: i64 = 86_400;
const NANOSECONDS: i128 = 1_000_000_000;

/// A local time with its offset.
struct Moment {
    year: i64,
    month: u8,
    day: u8,
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    /// Minutes east of Greenwich.
    offset: i64,
}

impl Moment {
    /// Reads `2018-01-02T23:12:01Z`, with a fraction of seconds and an offset if given (RFC 3339, section 5.6).
    fn parse(text: &str) -> Result<Self, Failure> {
        Self::read(text).map_or_else(|| invalid(format!("\"{text}\" is not a valid RFC 3339 timestamp such as 2018-01-02T23:12:01Z")), Ok)
    }

    fn read(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let number = |range: std::ops::Range<usize>| -> Option<u32> {
            let digits = bytes.get(range)?;
            digits.iter().try_fold(0, |total, digit| digit.is_ascii_digit().then(|| total * 10 + u32::from(digit - b'0')))
        };
        let sign_at = |at: usize, sign: u8| bytes.get(at) == Some(&sign);
        if !(sign_at(4, b'-') && sign_at(7, b'-') && sign_at(10, b'T') && sign_at(13, b':') && sign_at(16, b':')) {
            return None;
        }
        let (year, month, day) = (i64::from(number(0..4)?), number(5..7)?, number(8..10)?);
        let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
        let mut end = 19;
        let mut nanosecond = 0;
        if sign_at(end, b'.') {
            let digits = bytes[end + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            if digits == 0 {
                return None;
            }
            let kept = &text[end + 1..end + 1 + digits.min(9)];
            nanosecond = format!("{kept:0<9}").parse().ok()?;
            end += 1 + digits;
        }
        let offset = match bytes.get(end)? {
            b'Z' if bytes.len() == end + 1 => 0,
            sign @ (b'+' | b'-') if bytes.len() == end + 6 && sign_at(end + 3, b':') => {
                let (hours, minutes) = (number(end + 1..end + 3)?, number(end + 4..end + 6)?);
                if hours > 23 || minutes > 59 {
                    return None;
                }
                let offset = i64::from(hours * 60 + minutes);
                if *sign == b'-' { -offset } else { offset }
            }
            _ => return None,
        };
        let valid = (1..=12).contains(&month) && (1..=days_in(year, month)).contains(&day) && hour < 24 && minute < 60 && second < 60;
        valid.then_some(Self {
            year,
            month: month as u8,
            day: day as u8,
            hour: hour as u8,
            minute: minute as u8,
            second: second as u8,
            nanosecond,
            offset,
        })
    }

    /// Local seconds since the start of 1970, as if the offset were zero.
    fn local_seconds(&self) -> i64 {
        days_since_epoch(self.year, u32::from(self.month), u32::from(self.day)) * DAY
            + i64::from(self.hour) * 3600
            + i64::from(self.minute) * 60
            + i64::from(self.second)
    }

    /// Nanoseconds since the start of 1970 in Greenwich.
    fn instant(&self) -> i128 {
        i128::from(self.local_seconds() - self.offset * 60) * NANOSECONDS + i128::from(self.nanosecond)
    }

    fn plus(&self, nanoseconds: i64) -> Self {
        let total = i128::from(self.local_seconds()) * NANOSECONDS + i128::from(self.nanosecond) + i128::from(nanoseconds);
        // A duration is below three centuries, so this stays small.
        let seconds = total.div_euclid(NANOSECONDS) as i64;
        let (year, month, day) = date_of(seconds.div_euclid(DAY));
        let second = seconds.rem_euclid(DAY);
        Self {
            year,
            month: month as u8,
            day: day as u8,
            hour: (second / 3600) as u8,
            minute: (second / 60 % 60) as u8,
            second: (second % 60) as u8,
            nanosecond: total.rem_euclid(NANOSECONDS) as u32,
            offset: self.offset,
        }
    }

    /// RFC 3339 without a fraction.
    fn print(&self) -> String {
        let sign = if self.year < 0 { "-" } else { "" };
        let mut text = format!(
            "{sign}{:04}-{:02}-{:02}T{:02}:{:02}:{:02}",
            self.year.abs(),
            self.month,
            self.day,
            self.hour,
            self.minute,
            self.second
        );
        text.push_str(&if self.offset == 0 { "Z".to_owned() } else { self.offset_text(":") });
        text
    }

    fn offset_text(&self, separator: &str) -> String {
        let sign = if self.offset < 0 { '-' } else { '+' };
        format!("{sign}{:02}{separator}{:02}", self.offset.abs() / 60, self.offset.abs() % 60)
    }

    fn weekday(&self) -> usize {
        // The first day of 1970 was a Thursday.
        (days_since_epoch(self.year, u32::from(self.month), u32::from(self.day)) + 4).rem_euclid(7) as usize
    }
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: u32) -> u32 {
    match month {
        2 if is_leap(year) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from the start of 1970 in the proleptic Gregorian calendar, counted in years that begin in March.
fn days_since_epoch(year: i64, month: u32, day: u32) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = i64::from((153 * ((month + 9) % 12) + 2) / 5 + day - 1);
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

fn date_of(days: i64) -> (i64, u32, u32) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * shifted_month + 2) / 5 + 1) as u32;
    let month = (if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 }) as u32;
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

/// The timestamp without its fraction, if it is valid.
pub(super) fn checked(text: &str) -> Option<String> {
    Moment::read(text).map(|moment| moment.print())
}

fn timeadd(call: &Call<'_>) -> Outcome {
    let moment = Moment::parse(call.text(0)?)?;
    let written = call.text(1)?;
    match duration(written) {
        Some(nanoseconds) => Ok(Value::string(moment.plus(nanoseconds).print())),
        None => invalid(format!("\"{written}\" is not a duration such as 1h30m, -10s or 1.5h, or it is too long")),
    }
}

/// Nanoseconds of a duration as Go writes it: signed numbers with units from `h` to `ns`.
fn duration(text: &str) -> Option<i64> {
    let (negative, mut rest) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total: i128 = 0;
    while !rest.is_empty() {
        let number_end = rest.find(|character: char| !(character.is_ascii_digit() || character == '.')).unwrap_or(rest.len());
        let (number, tail) = rest.split_at(number_end);
        let unit_end = tail.find(|character: char| character.is_ascii_digit() || character == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let unit: i128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => NANOSECONDS,
            "m" => 60 * NANOSECONDS,
            "h" => 3600 * NANOSECONDS,
            _ => return None,
        };
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if whole.is_empty() && fraction.is_empty() || fraction.contains('.') {
            return None;
        }
        let whole: i64 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
        total = total.checked_add(i128::from(whole).checked_mul(unit)?)?;
        // Digits below what counts in nanoseconds of hours are dropped.
        let fraction = &fraction[..fraction.len().min(18)];
        if !fraction.is_empty() {
            total += fraction.parse::<i128>().ok()? * unit / 10_i128.pow(fraction.len() as u32);
        }
        if total > i128::from(i64::MAX) + i128::from(negative) {
            return None;
        }
        rest = tail;
    }
    i64::try_from(if negative { -total } else { total }).ok()
}

const MONTHS: [&str; 12] =
    ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

fn formatdate(call: &Call<'_>) -> Outcome {
    let moment = Moment::parse(call.text(1)?)?;
    let mut rest = call.text(0)?;
    let mut builder = call.text_builder();
    while let Some(first) = rest.chars().next() {
        if first == '\'' {
            let mut quoted = &rest[1..];
            if let Some(after) = quoted.strip_prefix('\'') {
                builder.push("'")?;
                rest = after;
                continue;
            }
            loop {
                let Some((literal, after)) = quoted.split_once('\'') else { return invalid("a quoted literal in the format has no end") };
                builder.push(literal)?;
                if let Some(after) = after.strip_prefix('\'') {
                    builder.push("'")?;
                    quoted = after;
                } else {
                    rest = after;
                    break;
                }
            }
        } else if first.is_ascii_alphabetic() {
            let end = rest.find(|character| character != first).unwrap_or(rest.len());
            let (letters, after) = rest.split_at(end);
            builder.push(&field(&moment, letters)?)?;
            rest = after;
        } else {
            let end = rest.find(|character: char| character == '\'' || character.is_ascii_alphabetic()).unwrap_or(rest.len());
            builder.push(&rest[..end])?;
            rest = &rest[end..];
        }
    }
    Ok(builder.finish())
}

fn field(moment: &Moment, letters: &str) -> Result<String, Failure> {
    let half_day_hour = (moment.hour + 11) % 12 + 1;
    let half = if moment.hour < 12 { "am" } else { "pm" };
    let mut text = String::new();
    // Writing to a String can't fail.
    let _ = match letters {
        "YYYY" => write!(text, "{:04}", moment.year),
        "YY" => write!(text, "{:02}", moment.year % 100),
        "MMMM" => write!(text, "{}", MONTHS[usize::from(moment.month) - 1]),
        "MMM" => write!(text, "{}", &MONTHS[usize::from(moment.month) - 1][..3]),
        "MM" => write!(text, "{:02}", moment.month),
        "M" => write!(text, "{}", moment.month),
        "DD" => write!(text, "{:02}", moment.day),
        "D" => write!(text, "{}", moment.day),
        "EEEE" => write!(text, "{}", DAYS[moment.weekday()]),
        "EEE" => write!(text, "{}", &DAYS[moment.weekday()][..3]),
        "hh" => write!(text, "{:02}", moment.hour),
        "h" => write!(text, "{}", moment.hour),
        "HH" => write!(text, "{half_day_hour:02}"),
        "H" => write!(text, "{half_day_hour}"),
        "AA" => write!(text, "{}", half.to_ascii_uppercase()),
        "aa" => write!(text, "{half}"),
        "mm" => write!(text, "{:02}", moment.minute),
        "m" => write!(text, "{}", moment.minute),
        "ss" => write!(text, "{:02}", moment.second),
        "s" => write!(text, "{}", moment.second),
        "ZZZZZ" => write!(text, "{}", moment.offset_text(":")),
        "ZZZZ" => write!(text, "{}", moment.offset_text("")),
        "ZZZ" if moment.offset == 0 => write!(text, "UTC"),
        "ZZZ" => write!(text, "{}", moment.offset_text("")),
        "Z" if moment.offset == 0 => write!(text, "Z"),
        "Z" => write!(text, "{}", moment.offset_text(":")),
        _ => return invalid(format!("the format letters \"{letters}\" mean nothing; literal letters stand in single quotes")),
    };
    Ok(text)
}
