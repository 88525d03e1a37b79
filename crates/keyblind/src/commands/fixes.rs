//! A fix for each finding of a report, each by itself: made on the texts as they are, whatever the others change.

use keyblind_fix::{Fixer, Given, Hindrance, Outcome, Refusal, Subject};
use keyblind_report::Fixes;
use keyblind_rules::RuleTable;
use keyblind_scan::{ScanReport, ScanResult, Status, rules_named};

use crate::exit::UsageError;
use crate::progress::Bar;
use crate::settings::GivenValue;

/// The values by rule and attribute; of two for the same the later one counts.
pub(super) fn given(table: &RuleTable, values: &[GivenValue]) -> anyhow::Result<Given> {
    let mut given = Given::new();
    for value in values {
        let rules = rules_named(table, &value.rule).map_err(|error| UsageError::new(format_args!("{}: {error}", value.place)))?;
        for rule in rules {
            given.entry(rule).or_default().insert(value.attribute.clone(), value.value.clone());
        }
    }
    Ok(given)
}

/// Looks for a fix for each failure among some results of a report.
pub(super) fn find<'r>(
    fixer: &mut Fixer<'_>,
    table: &RuleTable,
    report: &ScanReport,
    results: impl IntoIterator<Item = &'r ScanResult>,
    bar: &Bar,
) -> Fixes {
    let mut fixes = Fixes::of(report);
    let failed: Vec<&ScanResult> = results.into_iter().filter(|result| matches!(result.status, Status::Failed)).collect();
    for (done, result) in failed.iter().enumerate() {
        bar.fixing(done, failed.len());
        let outcome = match subject(table, report, result) {
            Some(subject) if fixer.is_met(&subject) => fixer.fix(&subject),
            _ => unmet(),
        };
        fixes.add(result, &outcome, |path| fixer.original(path).ok());
    }
    bar.finish();
    fixes
}

/// What a finding is about, for the fixer; `None` if its rule isn't one of the table.
pub(super) fn subject<'r>(table: &RuleTable, report: &ScanReport, result: &'r ScanResult) -> Option<Subject<'r>> {
    Some(Subject { rule: table.find(&report.rules[result.rule].id)?, root: &result.root, address: &result.address })
}

/// What there is for a finding that isn't met when it is judged on trial: that of a plan, say, of which nothing is edited.
pub(super) fn unmet() -> Outcome {
    Outcome::Refused(Refusal { hindrance: Hindrance::UneditedSyntax, disproofs: Vec::new() })
}
