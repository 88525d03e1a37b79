//! What a scan says before and after.

use std::collections::{BTreeMap, BTreeSet};

use crate::Invariant;
use crate::output::{Claim, Report};

/// How often a rule gave which verdict on a resource, and for how many reasons it fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    failed: usize,
    reasons: usize,
    passed: usize,
    unknown: usize,
    suppressed: usize,
}

type Key<'r> = (&'r str, &'r str, &'r str);

fn counts(report: &Report) -> BTreeMap<Key<'_>, Count> {
    let mut counts: BTreeMap<Key<'_>, Count> = BTreeMap::new();
    for result in &report.results {
        let count = counts.entry((&result.root, &result.address, &result.rule)).or_default();
        match result.status.as_str() {
            "failed" => {
                count.failed += 1;
                count.reasons += result.evidence.len().max(1);
            }
            "passed" => count.passed += 1,
            "suppressed" => count.suppressed += 1,
            _ => count.unknown += 1,
        }
    }
    counts
}

/// What speaks against a step, with what it is about.
pub(crate) fn compare(before: &Report, after: &Report, claims: &[&Claim]) -> Vec<(Invariant, String)> {
    let mut faults = Vec::new();
    let mut wrong = |invariant: Invariant, detail: String| faults.push((invariant, detail));
    let (old, new) = (counts(before), counts(after));
    for claim in claims {
        let count = new.get(&(&*claim.root, &*claim.address, &*claim.rule)).copied().unwrap_or_default();
        if count == Count::default() && failing_instructions(before, claim) > failing_instructions(after, claim) {
            // An instruction that came moves the others, or is the one that passes: in a Dockerfile it is counted.
            continue;
        }
        if count.passed == 0 || count.failed + count.unknown + count.suppressed > 0 {
            wrong(Invariant::FaultGone, format!("`{}` {}: {count:?}", claim.address, claim.rule));
        }
    }
    for (key @ (root, address, rule), count) in &new {
        let known = old.get(key).copied().unwrap_or_default();
        let shown = || format!("`{address}` of `{root}`: {rule}");
        if count.failed > known.failed || count.reasons > known.reasons {
            wrong(Invariant::NoNewFinding, format!("{} fails {} times rather than {}", shown(), count.reasons, known.reasons));
        }
        if count.unknown > known.unknown && known.passed > count.passed {
            wrong(Invariant::UnknownsNotGrown, format!("{} can't be told any more", shown()));
        }
        if count.suppressed > known.suppressed {
            wrong(Invariant::NotSuppressed, format!("{} is suppressed", shown()));
        }
    }
    let (unknown, known) = (after.summary.unknown, before.summary.unknown);
    if unknown > known {
        wrong(Invariant::UnknownsNotGrown, format!("{unknown} verdicts are unknown rather than {known}"));
    }
    if after.summary.suppressed > before.summary.suppressed {
        wrong(
            Invariant::NotSuppressed,
            format!("{} verdicts are suppressed rather than {}", after.summary.suppressed, before.summary.suppressed),
        );
    }
    for (root, address) in addresses(before).difference(&addresses(after)) {
        wrong(Invariant::ResourcesKept, format!("`{address}` of `{root}` is gone"));
    }
    if after.summary.resources < before.summary.resources || after.summary.roots < before.summary.roots {
        wrong(Invariant::ResourcesKept, format!("{} resources rather than {}", after.summary.resources, before.summary.resources));
    }
    if after.summary.incomplete && !before.summary.incomplete {
        wrong(Invariant::Parses, "not everything can be read any more".to_owned());
    }
    faults
}

/// The resources that are judged. Instructions of Dockerfiles aren't among them: they are named by their number.
fn addresses(report: &Report) -> BTreeSet<(&str, &str)> {
    let named = report.results.iter().filter(|result| result.dialect != "dockerfile");
    named.map(|result| (&*result.root, &*result.address)).collect()
}

/// How many instructions of a Dockerfile the rule of a claim fails; 0 for what is none.
fn failing_instructions(report: &Report, claim: &Claim) -> usize {
    let of_rule = report.results.iter().filter(|result| result.dialect == "dockerfile" && result.root == claim.root);
    of_rule.filter(|result| result.rule == claim.rule && result.status == "failed").count()
}
