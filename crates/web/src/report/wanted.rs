//! Which findings somebody wants to see.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Entry, Index};
use crate::text::visible;

/// Findings on one page.
const A_PAGE: usize = 50;
/// Choices that a filter offers.
const MOST_CHOICES: usize = 300;

/// What somebody wants to see; an empty text wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(crate) struct Wanted {
    pub(crate) severity: String,
    pub(crate) status: String,
    pub(crate) rule: String,
    pub(crate) file: String,
    pub(crate) fix: String,
    /// Words that the message, the rule, the resource or the file holds.
    pub(crate) words: String,
    /// From 1.
    pub(crate) page: Option<usize>,
}

/// A value that a filter offers, and how many findings have it.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) count: usize,
    pub(crate) is_chosen: bool,
}

/// A page of findings: the number and the entry of each.
pub(crate) struct Listed<'i> {
    pub(crate) entries: Vec<(usize, &'i Entry)>,
    pub(crate) total: usize,
    pub(crate) page: usize,
    pub(crate) pages: usize,
}

impl Wanted {
    fn takes(&self, entry: &Entry, words: &[String]) -> bool {
        let is = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        let has = |word: &String| {
            [&entry.message, &entry.rule, &entry.resource, &entry.file].into_iter().any(|text| text.to_lowercase().contains(word.as_str()))
        };
        let fix = if entry.fix.is_empty() { "none" } else { &entry.fix };
        is(&self.severity, &entry.severity)
            && is(&self.status, &entry.status)
            && is(&self.rule, &entry.rule)
            && is(&self.file, &entry.file)
            && is(&self.fix, fix)
            && words.iter().all(has)
    }

    /// The numbers of the findings that are wanted, in order.
    pub(crate) fn all(&self, index: &Index) -> Vec<usize> {
        let words: Vec<String> = self.words.split_whitespace().take(20).map(str::to_lowercase).collect();
        index.entries.iter().enumerate().filter(|(_, entry)| self.takes(entry, &words)).map(|(number, _)| number).collect()
    }

    /// The page that is wanted.
    pub(crate) fn list<'i>(&self, index: &'i Index) -> Listed<'i> {
        let all = self.all(index);
        let pages = all.len().div_ceil(A_PAGE).max(1);
        let page = self.page.unwrap_or(1).clamp(1, pages);
        let shown = all.iter().skip((page - 1) * A_PAGE).take(A_PAGE);
        let entries = shown.filter_map(|number| Some((*number, index.entries.get(*number)?))).collect();
        Listed { entries, total: all.len(), page, pages }
    }

    /// What a filter offers: the values of a field, the most frequent first.
    pub(crate) fn choices(&self, index: &Index, field: fn(&Entry) -> &str, chosen: &str) -> Vec<Choice> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for entry in &index.entries {
            *counts.entry(field(entry)).or_default() += 1;
        }
        let mut choices: Vec<Choice> =
            counts.into_iter().map(|(value, count)| Choice { value: value.to_owned(), count, is_chosen: value == chosen }).collect();
        choices.sort_by(|one, two| two.count.cmp(&one.count).then_with(|| one.value.cmp(&two.value)));
        choices.truncate(MOST_CHOICES);
        choices
    }

    /// The address's query for another page of the same findings.
    pub(crate) fn query(&self, page: usize) -> String {
        let fields = [
            ("severity", &self.severity),
            ("status", &self.status),
            ("rule", &self.rule),
            ("file", &self.file),
            ("fix", &self.fix),
            ("words", &self.words),
        ];
        let set = fields.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name}={}&", encoded(value)));
        format!("{}page={page}", set.collect::<String>())
    }

    /// Whether anything is left out.
    pub(crate) fn is_narrow(&self) -> bool {
        Self { page: None, ..self.clone() } != Self::default()
    }

    /// What is wanted, in words.
    pub(crate) fn sentence(&self) -> String {
        let fields = [&self.severity, &self.status, &self.rule, &self.file, &self.fix, &self.words];
        fields.into_iter().filter(|text| !text.is_empty()).map(|text| visible(text)).collect::<Vec<_>>().join(", ")
    }
}

/// A text in an address's query (RFC 3986, section 2.1).
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write as _;
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text can't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
