//! What is looked at of the scanner's report (docs/report.schema.json).

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::{Event, SeverityCounts, Trouble};

#[derive(Debug, Deserialize)]
pub(crate) struct Report {
    summary: Summary,
    results: Vec<Judged>,
}

#[derive(Debug, Deserialize)]
struct Summary {
    failed_by_severity: SeverityCounts,
    unknown: u64,
    resources: u64,
    incomplete: bool,
}

#[derive(Debug, Deserialize)]
struct Judged {
    status: String,
    #[serde(default)]
    fingerprint: Option<String>,
    #[serde(default)]
    fix: Option<Fix>,
}

#[derive(Debug, Deserialize)]
struct Fix {
    #[serde(default)]
    class: Option<String>,
}

impl Report {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Trouble> {
        serde_json::from_slice(bytes).map_err(|error| Trouble::Lasting(format!("the scanner's report can't be read: {error}")))
    }

    fn failed(&self) -> impl Iterator<Item = &Judged> {
        self.results.iter().filter(|result| result.status == "failed")
    }

    pub(crate) fn scanned(&self) -> Event {
        let Summary { failed_by_severity, unknown, resources, incomplete } = &self.summary;
        Event::Scanned { failed: *failed_by_severity, unknown: *unknown, resources: *resources, is_incomplete: *incomplete }
    }

    pub(crate) fn fixed(&self) -> Event {
        let of = |class: Option<&str>| {
            let count = self.failed().filter(|result| result.fix.as_ref().and_then(|fix| fix.class.as_deref()) == class).count();
            u64::try_from(count).unwrap_or(u64::MAX)
        };
        Event::Fixed { safe: of(Some("safe")), with_price: of(Some("unsafe")), needs_input: of(Some("needs-input")), none: of(None) }
    }

    /// How many of these findings are gone, and how many are still there. What couldn't be read may hide one.
    pub(crate) fn verified<'f>(&self, fingerprints: impl IntoIterator<Item = &'f str>) -> Result<(u64, u64), Trouble> {
        if self.summary.incomplete {
            return Err(Trouble::Lasting("a part of what was changed couldn't be read, so that nobody can say what is gone".to_owned()));
        }
        let there: BTreeSet<&str> = self.failed().filter_map(|result| result.fingerprint.as_deref()).collect();
        let (mut gone, mut left) = (0, 0);
        for fingerprint in fingerprints {
            *(if there.contains(fingerprint) { &mut left } else { &mut gone }) += 1;
        }
        Ok((gone, left))
    }
}
