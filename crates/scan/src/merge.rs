//! Brings the verdicts of all root modules together: each once, counted, in the order of their places.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use keyblind_dialects::paths;
use keyblind_rule_language::Severity;
use keyblind_rules::baseline::{Baseline, Entry};
use keyblind_rules::suppressions::Date;
use keyblind_rules::{RuleId, RuleTable};
use keyblind_syntax::{Site, SourceMap};

use crate::fingerprint;
use crate::moves::Moves;
use crate::outcome::{ScanReport, ScanResult, Status, Summary, SuppressedBy, Suppression};

/// A verdict, and the result about it if one is wanted.
pub(crate) struct Counted {
    pub(crate) rule: RuleId,
    pub(crate) address: Arc<str>,
    pub(crate) header: Site,
    pub(crate) rank: Rank,
    /// For an unknown verdict the reason's code, for a suppressed one what silenced it.
    pub(crate) word: &'static str,
    pub(crate) result: Option<Box<ScanResult>>,
}

/// The verdicts, the one that counts most when root modules differ last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    NotApplicable,
    Passed,
    Suppressed,
    Unknown,
    Failed,
}

/// What results are folded with.
pub(crate) struct Folding<'a> {
    pub(crate) table: &'a RuleTable,
    pub(crate) sources: &'a SourceMap,
    pub(crate) severity: &'a dyn Fn(RuleId) -> Severity,
    pub(crate) baseline: Option<&'a Baseline>,
    /// Whether the baseline may silence a rule.
    pub(crate) may_be_known: &'a dyn Fn(RuleId) -> bool,
    pub(crate) today: Date,
    /// Whether a known fault that isn't met is gone: its rule was judged, and all that the baseline is about was.
    pub(crate) is_judged: &'a dyn Fn(&str) -> bool,
}

/// The results, and the rules that they are about.
pub(crate) struct Merged {
    pub(crate) rules: Vec<RuleId>,
    pub(crate) results: Vec<ScanResult>,
}

/// Merges. The same rule about the same address at the same place is one verdict, however many root modules (or sets of
/// values) lead there; the worst of them counts.
pub(crate) fn merge(mut verdicts: Vec<Counted>, folding: &Folding<'_>, summary: &mut Summary) -> Merged {
    verdicts.sort_by(|a, b| (a.rule, &a.address, a.header).cmp(&(b.rule, &b.address, b.header)).then(b.rank.cmp(&a.rank)));
    verdicts.dedup_by(|a, b| a.rule == b.rule && a.address == b.address && a.header == b.header);
    for counted in &verdicts {
        match counted.rank {
            Rank::NotApplicable => summary.verdicts.not_applicable += 1,
            Rank::Passed => summary.verdicts.passed += 1,
            Rank::Unknown => {
                summary.verdicts.unknown += 1;
                *summary.unknown_by_reason.entry(counted.word).or_default() += 1;
            }
            // What becomes of these the baseline has a say in.
            Rank::Suppressed | Rank::Failed => {}
        }
    }
    let mut results: Vec<ScanResult> = verdicts.into_iter().filter_map(|counted| counted.result).map(|result| *result).collect();
    let sources = folding.sources;
    results.sort_by(|a, b| {
        let path = |result: &ScanResult| &sources.file(result.site.file).path;
        let by_place = path(a).cmp(path(b)).then(a.site.range.cmp(&b.site.range));
        by_place.then(a.rule.cmp(&b.rule)).then(a.address.cmp(&b.address)).then(a.header.cmp(&b.header))
    });
    number_fingerprints(&mut results, folding.table);
    if let Some(baseline) = folding.baseline {
        fold_baseline(&mut results, baseline, folding, summary);
    }
    for result in &results {
        match &result.status {
            Status::Failed => {
                summary.verdicts.failed += 1;
                *summary.failed_by_severity.entry((folding.severity)(RuleId(result.rule as u32))).or_default() += 1;
            }
            Status::Suppressed(suppression) => {
                summary.verdicts.suppressed += 1;
                *summary.suppressed_by.entry(suppression.by.name()).or_default() += 1;
            }
            Status::Passed | Status::Unknown(_) => {}
        }
    }
    Merged { rules: renumber(&mut results), results }
}

/// Gives every result but passes its fingerprint: that of its first fault in the order of the fingerprints' own making, so
/// that the order of blocks doesn't matter. Equal ones are numbered from the second on.
fn number_fingerprints(results: &mut [ScanResult], table: &RuleTable) {
    let mut met: HashMap<String, u32> = HashMap::new();
    for result in results {
        let first = result.evidence.iter().map(|proof| &proof.fingerprint).min().cloned();
        let fingerprint = match (&result.status, first) {
            (Status::Passed, _) => continue,
            (_, Some(first)) => first,
            (Status::Unknown(causes), None) => {
                let path = causes.first().map_or("", |cause| &cause.path);
                fingerprint::fault(&table.meta(RuleId(result.rule as u32)).id, &result.address, path, Some("?"))
            }
            (_, None) => fingerprint::fault(&table.meta(RuleId(result.rule as u32)).id, &result.address, "", None),
        };
        let count = met.entry(fingerprint.clone()).or_default();
        *count += 1;
        result.fingerprint = if *count == 1 { fingerprint } else { format!("{fingerprint}-{count}") };
    }
}

fn fold_baseline(results: &mut [ScanResult], baseline: &Baseline, folding: &Folding<'_>, summary: &mut Summary) {
    let mut known = baseline.known(folding.today);
    let moves = Moves::read(folding.sources);
    let may_be_known = |result: &ScanResult| matches!(result.status, Status::Failed) && (folding.may_be_known)(RuleId(result.rule as u32));
    for result in results.iter_mut().filter(|result| may_be_known(result)) {
        let entry = known.take(&faults(result)).or_else(|| {
            let rule = &folding.table.meta(RuleId(result.rule as u32)).id;
            let names = moves.before(&modules(result, folding.sources), &result.address).into_iter();
            names.map(|name| faults_at(result, rule, &name)).find_map(|faults| known.take(&faults))
        });
        if let Some(entry) = entry {
            let suppression = Suppression { by: SuppressedBy::Baseline, reason: entry.reason.clone(), until: entry.expires };
            result.status = Status::Suppressed(suppression);
        }
    }
    summary.baseline_gone = known.gone(folding.is_judged);
}

/// The directories of the modules that lead to a resource: each call stands in the module around it.
fn modules<'s>(result: &ScanResult, sources: &'s SourceMap) -> Vec<&'s str> {
    let places = result.calls.iter().chain([&result.header]);
    places.map(|site| paths::parent(&sources.file(site.file).path)).collect()
}

/// What the faults of a finding are recognised by.
fn faults(result: &ScanResult) -> Vec<String> {
    if result.evidence.is_empty() {
        return vec![result.fingerprint.split('-').next().unwrap_or_default().to_owned()];
    }
    result.evidence.iter().map(|proof| proof.fingerprint.clone()).collect()
}

/// The same if the resource had another address.
fn faults_at(result: &ScanResult, rule: &str, address: &str) -> Vec<String> {
    if result.evidence.is_empty() {
        return vec![fingerprint::fault(rule, address, "", None)];
    }
    result.evidence.iter().map(|proof| fingerprint::fault(rule, address, &proof.fault_path(), proof.value.as_deref())).collect()
}

/// The baseline entries that would make all findings of a report known: its failures, and what its baseline silenced.
pub fn baseline_entries(report: &ScanReport, first_seen: Date) -> Vec<Entry> {
    let mut entries = Vec::new();
    for result in &report.results {
        let counts = match &result.status {
            Status::Failed => true,
            Status::Suppressed(suppression) => suppression.by == SuppressedBy::Baseline,
            _ => false,
        };
        if !counts {
            continue;
        }
        let entry = |attribute: String, fingerprint: String| Entry {
            rule: report.rules[result.rule].id.to_string(),
            address: fingerprint::without_numbers(&result.address),
            attribute,
            fingerprint,
            count: 1,
            first_seen: Some(first_seen),
            expires: None,
            reason: None,
        };
        if result.evidence.is_empty() {
            entries.extend(faults(result).into_iter().map(|fingerprint| entry(String::new(), fingerprint)));
        }
        for proof in &result.evidence {
            let attribute = fingerprint::normalised_path(&proof.fault_path());
            entries.push(entry(attribute, proof.fingerprint.clone()));
        }
    }
    entries
}

/// Lets results name rules by their place in the list of those that results are about.
fn renumber(results: &mut [ScanResult]) -> Vec<RuleId> {
    let mut places: BTreeMap<usize, usize> = results.iter().map(|result| (result.rule, 0)).collect();
    for (place, number) in places.values_mut().enumerate() {
        *number = place;
    }
    for result in results.iter_mut() {
        result.rule = places[&result.rule];
    }
    places.keys().map(|&rule| RuleId(rule as u32)).collect()
}
