//! What a change does: the findings of two trees, compared by fingerprint.

use std::collections::BTreeSet;
use std::sync::Arc;

use keyblind_resource::Dialect;
use keyblind_rule_language::{Confidence, Persona, Severity};
use keyblind_syntax::{Site, SourceFile, TextRange};

use crate::fingerprint;
use crate::outcome::{RuleCard, ScanReport, ScanResult, Status, SuppressedBy, Suppression};

/// What a change is found to do if it loosens what the next one is judged by: a rule of no dialect.
pub const LOOSENED: &str = "policy-loosened";

/// Something by which a change loosens what the next one is judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loosening {
    /// What is loosened: a key of the configuration, a rule, the baseline.
    pub what: String,
    /// How, in one sentence without a full stop.
    pub message: String,
    /// The file in which it is.
    pub path: Arc<str>,
    /// The file's text.
    pub text: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

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
        // By what did not come with the changed tree: the base's own configuration and baseline.
        let is_known = |suppression: &Suppression| matches!(suppression.by, SuppressedBy::Configuration | SuppressedBy::Baseline);
        if matches!(&result.status, Status::Suppressed(suppression) if is_known(suppression)) {
            return false;
        }
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

impl Comparison {
    /// Adds what loosens the policy to what the change introduced.
    pub fn add_loosenings(&mut self, loosenings: &[Loosening]) {
        if loosenings.is_empty() {
            return;
        }
        let report = &mut self.introduced;
        let card = RuleCard {
            id: LOOSENED.into(),
            title: "A change loosens what the next one is judged by".to_owned(),
            severity: Severity::High,
            confidence: Confidence::High,
            persona: Persona::Regular,
            aliases: Vec::new(),
            related: Vec::new(),
            controls: Vec::new(),
            why: "Whoever loosens the scan in the same change can hide what the change, or the next one, does: this one is judged by what stood \
                  before it, the next one by what it leaves behind."
                .to_owned(),
            fix: "Take it out of the change, or bring it in by itself, reviewed by those who answer for what is judged.".to_owned(),
            references: Vec::new(),
        };
        let number = report.rules.partition_point(|rule| *rule.id < *LOOSENED);
        report.rules.insert(number, card);
        for result in report.results.iter_mut().filter(|result| result.rule >= number) {
            result.rule += 1;
        }
        for loosening in loosenings {
            let known =
                report.sources.iter().find(|(_, file)| file.path == loosening.path && file.text == loosening.text).map(|(id, _)| id);
            let file = known.unwrap_or_else(|| report.sources.add(SourceFile::new(loosening.path.clone(), loosening.text.clone())));
            let range = report.sources.file(file).line_range(loosening.line).unwrap_or(TextRange::new(0, 0));
            let site = Site::new(file, range);
            report.results.push(ScanResult {
                rule: number,
                status: Status::Failed,
                dialect: Dialect::Policy,
                address: loosening.what.as_str().into(),
                label: loosening.what.clone(),
                header: site,
                site,
                calls: Arc::new([]),
                root: "".into(),
                message: loosening.message.clone(),
                evidence: Vec::new(),
                fingerprint: fingerprint::fault(LOOSENED, &loosening.what, &loosening.path, Some(&loosening.message)),
                neighbours: Vec::new(),
                neighbours_left_out: 0,
            });
        }
        let sources = &report.sources;
        report.results.sort_by(|a, b| {
            let place = |result: &ScanResult| (sources.file(result.site.file).path.clone(), result.site.range.start, result.rule);
            place(a).cmp(&place(b)).then_with(|| a.address.cmp(&b.address))
        });
        report.recount();
    }
}
