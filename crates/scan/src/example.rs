//! Judges a text by itself: the examples of rules.

use keyblind_dialects::evaluate_text;
use keyblind_rule_language::Language;
use keyblind_rules::{RuleId, RuleTable, Selection, Verdict, dialect_of, judge};

/// What a rule says about a text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExampleVerdicts {
    /// How many resources fail.
    pub failed: usize,
    /// How many pass.
    pub passed: usize,
    /// Why it can't be told of the others.
    pub unknown: Vec<String>,
    /// What could not be read.
    pub problems: Vec<String>,
}

/// Judges one text by one rule.
pub fn judge_example(table: &RuleTable, rule: RuleId, language: Language, text: &str) -> ExampleVerdicts {
    let mut verdicts = ExampleVerdicts::default();
    let selection = Selection::of(table, |id, _| id == rule);
    for mut evaluation in evaluate_text(dialect_of(language), text) {
        verdicts.problems.extend(evaluation.diagnostics.iter().map(|diagnostic| diagnostic.message.clone()));
        let graph = evaluation.graph();
        for judgement in judge(table, &selection, &graph) {
            match judgement.verdict {
                Verdict::Fail(_) => verdicts.failed += 1,
                Verdict::Pass => verdicts.passed += 1,
                Verdict::Unknown(causes) => verdicts.unknown.extend(causes.first().map(|cause| cause.reason.to_string())),
                Verdict::NotApplicable => {}
            }
        }
    }
    verdicts
}
