//! Judges a text by itself: the examples of rules.

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Inputs, Project};
use keyblind_resource::ResourceGraph;
use keyblind_rule_language::Language;
use keyblind_rules::{RuleId, RuleTable, Selection, Verdict, judge};
use keyblind_syntax::SourceMap;

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
    match language {
        Language::Terraform => {}
    }
    let tree = MemoryTree::new([("main.tf", text)]);
    let project = Project::parse(vec![("main.tf".into(), text.into())], &tree, &mut SourceMap::default());
    verdicts.problems.extend(project.diagnostics().iter().map(|diagnostic| diagnostic.message.clone()));
    let selection = Selection::of(table, |id, _| id == rule);
    for root in project.roots() {
        let evaluation = project.evaluate(root, &Inputs::default(), &tree);
        let graph = ResourceGraph::new(evaluation.resources);
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
