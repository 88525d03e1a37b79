//! What of the source reports don't show.

use std::collections::HashMap;

use keyblind_scan::{Proof, ScanReport, redact};
use keyblind_syntax::{FileId, SourceFile, TextRange};

/// The places of the source that must not be shown.
#[derive(Default)]
pub(crate) struct Masks(HashMap<FileId, Vec<TextRange>>);

impl Masks {
    /// Collects where values stand that evidence doesn't show.
    pub(crate) fn of(report: &ScanReport) -> Self {
        let mut masks = Self::default();
        let hidden = report.results.iter().flat_map(|result| &result.evidence).filter(|proof| is_hidden(proof));
        for proof in hidden {
            for site in proof
                .site
                .into_iter()
                .chain(proof.origin.hops().take(keyblind_explain::MOST_STEPS).map(|hop| hop.site))
                .chain(proof.origin.written_at())
            {
                masks.0.entry(site.file).or_default().push(site.range);
            }
        }
        masks
    }

    /// What of a file must not be shown.
    pub(crate) fn ranges(&self, id: FileId) -> &[TextRange] {
        self.0.get(&id).map_or(&[], Vec::as_slice)
    }

    /// A part of a file as it may be shown.
    pub(crate) fn part(&self, id: FileId, file: &SourceFile, range: TextRange) -> String {
        let masked: Vec<TextRange> = self
            .0
            .get(&id)
            .into_iter()
            .flatten()
            .filter(|masked| masked.start < range.end && range.start < masked.end)
            .map(|masked| TextRange::new(masked.start.max(range.start) - range.start, masked.end.min(range.end) - range.start))
            .collect();
        redact::source(file.slice(range), &masked)
    }
}

/// Whether a value is there that evidence doesn't show.
pub(crate) fn is_hidden(proof: &Proof) -> bool {
    proof.value.as_deref().is_some_and(|value| value.contains("(sensitive)") || value.contains("(credential)"))
}
