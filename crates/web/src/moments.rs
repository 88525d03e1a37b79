//! Points in time for people: absolute and relative, both without a script.

use jiff::Timestamp;
use keyblind_intent::UnixMillis;

/// A point in time for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    /// RFC 3339, for programs.
    pub(crate) iso: String,
    /// Like `2026-03-01 14:05 UTC`.
    pub(crate) absolute: String,
    /// Like `3 min ago`.
    pub(crate) relative: String,
}

impl Moment {
    pub(crate) fn of(time: UnixMillis, now: UnixMillis) -> Self {
        let iso = iso(time);
        let absolute = match (iso.get(..10), iso.get(11..16)) {
            (Some(day), Some(minute)) => format!("{day} {minute} UTC"),
            _ => iso.clone(),
        };
        Self { iso, absolute, relative: relative(time, now) }
    }

    /// The time of day with its seconds, like `14:05:09`.
    pub(crate) fn clock(&self) -> &str {
        self.iso.get(11..19).unwrap_or(&self.iso)
    }
}

/// A point in time as RFC 3339 has it, to the second.
pub(crate) fn iso(time: UnixMillis) -> String {
    let stamp = i64::try_from(time.get()).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
    stamp.map_or_else(|| format!("{} ms", time.get()), |stamp| format!("{stamp:.0}"))
}

fn relative(time: UnixMillis, now: UnixMillis) -> String {
    let (time, now) = (time.get(), now.get());
    let words = span(time.abs_diff(now));
    match (words.as_str(), time > now) {
        ("0 s", _) => "now".to_owned(),
        (_, true) => format!("in {words}"),
        (_, false) => format!("{words} ago"),
    }
}

/// A span in its largest unit.
pub(crate) fn span(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        86_400..172_800 => "1 day".to_owned(),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A short span, with tenths of a second where they matter.
pub(crate) fn took(millis: u64) -> String {
    if millis < 10_000 { format!("{}.{} s", millis / 1_000, millis % 1_000 / 100) } else { span(millis) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_absolute_and_relative() {
        let now = UnixMillis::new(1_800_000_000_000);
        let ago = |seconds: u64| Moment::of(UnixMillis::new(now.get() - seconds * 1_000), now);
        assert_eq!(ago(0).relative, "now");
        assert_eq!(ago(59).relative, "59 s ago");
        assert_eq!(ago(90).relative, "1 min ago");
        assert_eq!(ago(7_300).relative, "2 h ago");
        assert_eq!(ago(100_000).relative, "1 day ago");
        assert_eq!(ago(400_000).relative, "4 days ago");
        assert_eq!(Moment::of(UnixMillis::new(now.get() + 61_000), now).relative, "in 1 min");
        assert_eq!((ago(0).absolute.as_str(), ago(0).clock()), ("2027-01-15 08:00 UTC", "08:00:00"));
        assert_eq!(took(1_234), "1.2 s");
        assert_eq!(took(70_000), "1 min");
    }
}
