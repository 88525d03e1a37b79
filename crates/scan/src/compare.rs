//! What a change does: the findings of two trees, compared by fingerprint.

use std::collections::BTreeSet;

use crate::outcome::{ScanReport, ScanResult, Status};

/// What a change introduced and resolved.
#[derive(Debug)]
pub struct Comparison {
    /// The changed tree's report, of which only failures that the base doesn't have are left.
    pub introduced: ScanReport,
    /// The base's report, of which only failures that the changed tree doesn't have are left.
    pub resolved: ScanReport,
    /// Fingerprints among the introduced ones that the change itself silences: the base doesn't, so they count.
    pub loosened: BTreeSet<String>,
}

/// Compares the reports of two trees that were judged by the same rules with the same configuration.
///
/// What may be silent is up to the base: a finding that the changed tree suppresses counts, unless the base suppresses it
/// too.
pub fn compare(mut base: ScanReport, mut head: ScanReport) -> Comparison {
    let fingerprints = |report: &ScanReport, wanted: fn(&Status) -> bool| -> BTreeSet<String> {
        report.results.iter().filter(|result| wanted(&result.status)).map(|result| result.fingerprint.clone()).collect()
    };
    let failed = |status: &Status| matches!(status, Status::Failed);
    let suppressed = |status: &Status| matches!(status, Status::Suppressed(_));
    let known = fingerprints(&base, |status| matches!(status, Status::Failed | Status::Suppressed(_)));
    let silenced_by_base = fingerprints(&base, suppressed);
    let still_there = fingerprints(&head, |status| matches!(status, Status::Failed | Status::Suppressed(_)));
    let failed_before = fingerprints(&base, failed);

    let mut loosened = BTreeSet::new();
    head.results.retain_mut(|result: &mut ScanResult| {
        let is_silenced = suppressed(&result.status);
        if !(failed(&result.status) || is_silenced) || silenced_by_base.contains(&result.fingerprint) {
            return false;
        }
        if is_silenced {
            // The base shows it, or doesn't have it: a change may not silence what it is judged by.
            loosened.insert(result.fingerprint.clone());
            result.status = Status::Failed;
            return true;
        }
        !known.contains(&result.fingerprint)
    });
    head.recount();
    base.results.retain(|result| failed_before.contains(&result.fingerprint) && !still_there.contains(&result.fingerprint));
    base.recount();
    Comparison { introduced: head, resolved: base, loosened }
}
