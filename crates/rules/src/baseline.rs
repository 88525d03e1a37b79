//! Findings that are known and don't count for now.
//!
//! A baseline is a file of sorted JSON Lines, one fault a line, so that merges touch only the lines they concern. Faults
//! are recognised by their fingerprint (see the `scan` crate), never by line numbers; equal faults are counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::suppressions::Date;

/// The longest line that is read.
const LONGEST_LINE: usize = 64 * 1024;

/// One known fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// The rule.
    pub rule: String,
    /// The resource, as it is called in its module.
    pub address: String,
    /// The path of the faulty attribute.
    #[serde(default)]
    pub attribute: String,
    /// What the fault is recognised by.
    pub fingerprint: String,
    /// How many equal faults there are.
    #[serde(default = "one")]
    pub count: u32,
    /// The day on which it was first written to the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_day")]
    pub first_seen: Option<Date>,
    /// The last day on which it doesn't count.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "optional_day")]
    pub expires: Option<Date>,
    /// Why it is accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

fn one() -> u32 {
    1
}

mod optional_day {
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::suppressions::Date;

    pub(super) fn serialize<S: Serializer>(day: &Option<Date>, serializer: S) -> Result<S::Ok, S::Error> {
        match day {
            Some(day) => serializer.collect_str(day),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Date>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

/// A line that is no entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {message}")]
pub struct BaselineError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub message: String,
}

/// A baseline file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Baseline {
    /// By rule, address, attribute and fingerprint: the order of the file.
    entries: BTreeMap<(String, String, String, String), Entry>,
}

impl Baseline {
    /// Reads the text of a baseline file. Empty lines don't matter; equal faults on several lines add up, as they stand
    /// after a merge.
    ///
    /// # Errors
    /// Names the first line that can't be read.
    pub fn parse(text: &str) -> Result<Self, BaselineError> {
        let mut baseline = Self::default();
        for (index, line) in text.trim_start_matches('\u{feff}').lines().enumerate() {
            if line.trim().is_empty() {
                continue;
            }
            let wrong = |message: String| BaselineError { line: index + 1, message };
            if line.len() > LONGEST_LINE {
                return Err(wrong(format!("longer than {LONGEST_LINE} bytes")));
            }
            let entry = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
            baseline.insert(entry);
        }
        Ok(baseline)
    }

    /// Adds an entry; the count of an equal one grows.
    pub fn insert(&mut self, entry: Entry) {
        let key = (entry.rule.clone(), entry.address.clone(), entry.attribute.clone(), entry.fingerprint.clone());
        match self.entries.entry(key) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(entry);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                let known = place.get_mut();
                known.count = known.count.saturating_add(entry.count);
                known.first_seen = known.first_seen.into_iter().chain(entry.first_seen).min();
                known.expires = known.expires.into_iter().chain(entry.expires).min();
                known.reason = known.reason.take().or(entry.reason);
            }
        }
    }

    /// The entries in the order of the file.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// The text of the file.
    pub fn to_text(&self) -> String {
        let mut text = String::new();
        for entry in self.entries() {
            // An entry is texts, numbers and days: there is nothing in it that JSON can't say.
            if let Ok(line) = serde_json::to_string(entry) {
                text.push_str(&line);
                text.push('\n');
            }
        }
        text
    }

    /// A baseline of the faults that `found` lists. What this one says about a fault that is still there (its first day,
    /// its reason, its end) is kept; faults that are gone are left out, but for those of rules that were not judged.
    #[must_use]
    pub fn renewed(&self, found: Vec<Entry>, is_judged: impl Fn(&str) -> bool) -> Self {
        let mut renewed = Self::default();
        for entry in found {
            renewed.insert(entry);
        }
        for (key, entry) in &mut renewed.entries {
            if let Some(known) = self.entries.get(key) {
                entry.first_seen = known.first_seen.or(entry.first_seen);
                entry.reason = known.reason.clone().or(entry.reason.take());
                entry.expires = known.expires.or(entry.expires);
            }
        }
        for entry in self.entries().filter(|entry| !is_judged(&entry.rule)) {
            renewed.insert(entry.clone());
        }
        renewed
    }

    /// This baseline without the faults that are gone: no count is larger than what `found` has. Nothing is added, and what
    /// concerns rules that were not judged stays.
    #[must_use]
    pub fn pruned(&self, found: &[Entry], is_judged: impl Fn(&str) -> bool) -> Self {
        let mut there: BTreeMap<&str, u32> = BTreeMap::new();
        for entry in found {
            *there.entry(&entry.fingerprint).or_default() += entry.count;
        }
        let mut pruned = self.clone();
        for entry in pruned.entries.values_mut().filter(|entry| is_judged(&entry.rule)) {
            let left = there.entry(&entry.fingerprint).or_default();
            entry.count = entry.count.min(*left);
            *left -= entry.count;
        }
        pruned.entries.retain(|_, entry| entry.count > 0);
        pruned
    }

    /// What is left of the baseline's counts on that day, to be taken away one by one.
    pub fn known(&self, today: Date) -> Known<'_> {
        let mut left: BTreeMap<&str, (u32, &Entry)> = BTreeMap::new();
        for entry in self.entries().filter(|entry| entry.expires.is_none_or(|last| today <= last)) {
            left.entry(&entry.fingerprint)
                .and_modify(|(count, _)| *count = count.saturating_add(entry.count))
                .or_insert((entry.count, entry));
        }
        Known { left }
    }
}

/// Faults of a baseline that have not been met yet.
#[derive(Debug)]
pub struct Known<'a> {
    left: BTreeMap<&'a str, (u32, &'a Entry)>,
}

impl<'a> Known<'a> {
    /// Takes all the faults of one finding away, if all of them are there: then the finding is known. A finding that has
    /// one fault more than the baseline knows is new.
    pub fn take(&mut self, fingerprints: &[String]) -> Option<&'a Entry> {
        let mut wanted: BTreeMap<&str, u32> = BTreeMap::new();
        for fingerprint in fingerprints {
            *wanted.entry(fingerprint).or_default() += 1;
        }
        let all_there = wanted.iter().all(|(fingerprint, count)| self.left.get(fingerprint).is_some_and(|(left, _)| left >= count));
        if !all_there {
            return None;
        }
        let mut first = None;
        for (fingerprint, count) in wanted {
            if let Some((left, entry)) = self.left.get_mut(fingerprint) {
                *left -= count;
                first.get_or_insert(*entry);
            }
        }
        first
    }

    /// How many faults of rules that were judged were not met: they are gone from the code.
    pub fn gone(&self, is_judged: impl Fn(&str) -> bool) -> u64 {
        self.left.values().filter(|(_, entry)| is_judged(&entry.rule)).map(|(count, _)| u64::from(*count)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(fingerprint: &str, count: u32) -> Entry {
        Entry {
            rule: "s3-bucket-acl-public-read".into(),
            address: "aws_s3_bucket.site".into(),
            attribute: "acl".into(),
            fingerprint: fingerprint.into(),
            count,
            first_seen: Some("2026-11-21".parse().unwrap()),
            expires: None,
            reason: None,
        }
    }

    fn baseline(entries: &[Entry]) -> Baseline {
        let mut baseline = Baseline::default();
        entries.iter().cloned().for_each(|entry| baseline.insert(entry));
        baseline
    }

    fn today() -> Date {
        "2026-12-01".parse().unwrap()
    }

    #[test]
    fn text_reads_back_and_is_sorted() {
        let both = baseline(&[entry("bb", 2), entry("aa", 1)]);
        let text = both.to_text();
        assert_eq!(
            text.lines().next(),
            Some(
                r#"{"rule":"s3-bucket-acl-public-read","address":"aws_s3_bucket.site","attribute":"acl","fingerprint":"aa","count":1,"first_seen":"2026-11-21"}"#
            )
        );
        assert_eq!(Baseline::parse(&text), Ok(both));
    }

    #[test]
    fn a_line_that_is_no_entry_is_named() {
        let error = Baseline::parse("\n{\"rule\":1}\n").unwrap_err();
        assert_eq!(error.line, 2);
        assert!(
            Baseline::parse("{\"rule\":\"a\",\"address\":\"b\",\"fingerprint\":\"c\",\"oops\":1}").unwrap_err().message.contains("oops")
        );
        assert!(Baseline::parse("{\"rule\":\"a\",\"address\":\"b\",\"fingerprint\":\"c\",\"expires\":\"9999\"}").is_err());
    }

    #[test]
    fn equal_lines_of_a_merge_add_up() {
        let line = baseline(&[entry("aa", 1)]).to_text();
        let merged = Baseline::parse(&format!("{line}{line}")).unwrap();
        assert_eq!(merged.entries().map(|entry| entry.count).collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn a_second_equal_fault_is_new_and_the_first_is_not() {
        let known = baseline(&[entry("aa", 1)]);
        let mut left = known.known(today());
        assert!(left.take(&["aa".into()]).is_some());
        assert!(left.take(&["aa".into()]).is_none());
        assert_eq!(left.gone(|_| true), 0);
    }

    #[test]
    fn a_finding_with_one_fault_more_than_known_is_new_and_takes_nothing() {
        let known = baseline(&[entry("aa", 1)]);
        let mut left = known.known(today());
        assert!(left.take(&["aa".into(), "bb".into()]).is_none());
        assert!(left.take(&["aa".into(), "aa".into()]).is_none());
        assert_eq!(left.gone(|_| true), 1);
    }

    #[test]
    fn an_entry_holds_through_its_last_day() {
        let mut ending = entry("aa", 1);
        ending.expires = Some(today());
        let known = baseline(&[ending]);
        assert!(known.known(today()).take(&["aa".into()]).is_some());
        assert!(known.known(today().plus_days(1)).take(&["aa".into()]).is_none());
    }

    #[test]
    fn renewing_keeps_what_people_wrote() {
        let mut accepted = entry("aa", 1);
        accepted.reason = Some("being replaced".into());
        let known = baseline(&[accepted, entry("gone", 1)]);
        let mut found = entry("aa", 2);
        found.first_seen = Some(today());
        let renewed = known.renewed(vec![found], |_| true);
        let entries: Vec<_> = renewed.entries().collect();
        assert_eq!(entries.len(), 1);
        assert_eq!((entries[0].count, entries[0].reason.as_deref()), (2, Some("being replaced")));
        assert_eq!(entries[0].first_seen, entry("aa", 1).first_seen);
    }

    #[test]
    fn what_was_not_judged_stays() {
        let known = baseline(&[entry("aa", 1)]);
        assert_eq!(known.pruned(&[], |_| false), known);
        assert_eq!(known.renewed(Vec::new(), |_| false), known);
        assert_eq!(known.known(today()).gone(|_| false), 0);
    }

    #[test]
    fn pruning_only_takes_away() {
        let known = baseline(&[entry("aa", 3), entry("gone", 1)]);
        let pruned = known.pruned(&[entry("aa", 1), entry("new", 1)], |_| true);
        assert_eq!(pruned.entries().map(|entry| (entry.fingerprint.as_str(), entry.count)).collect::<Vec<_>>(), [("aa", 1)]);
    }
}
