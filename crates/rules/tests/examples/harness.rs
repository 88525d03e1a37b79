//! Runs the examples of rules: every bad text must give at least one fail, every good one at least one pass and no fail.

use keyblind_dialects::evaluate_text;
use keyblind_resource::ResourceGraph;
use keyblind_rules::{Judgement, Language, RuleId, RuleTable, Selection, Verdict, dialect_of, judge};
use keyblind_syntax::SourceFile;

/// What is wrong with a rule's examples, one line a fault.
pub(crate) fn faults(table: &RuleTable, rule: RuleId) -> Vec<String> {
    let mut faults = Vec::new();
    for examples in &table.docs(rule).examples {
        for (side, texts) in [("bad", &examples.bad), ("good", &examples.good)] {
            for (index, text) in texts.iter().enumerate() {
                let found = judged(table, rule, examples.language, text);
                let outcome = found.and_then(|(graph, judgements)| check(table, rule, side, &graph, &judgements));
                if let Err(fault) = outcome {
                    let number = if texts.len() > 1 { format!(" {}", index + 1) } else { String::new() };
                    faults.push(format!("{}: {side} example{number}: {fault}", table.meta(rule).id));
                }
            }
        }
    }
    faults
}

fn judged(table: &RuleTable, rule: RuleId, language: Language, text: &str) -> Result<(ResourceGraph, Vec<Judgement>), String> {
    let source = SourceFile::new("example", text);
    let mut graph = ResourceGraph::default();
    for mut evaluation in evaluate_text(dialect_of(language), text) {
        if let Some(diagnostic) = evaluation.diagnostics.first() {
            let line = diagnostic.site.map_or(0, |site| source.line_column(site.range.start).line);
            return Err(format!("line {line}: {}", diagnostic.message));
        }
        if !evaluation.resources.is_empty() {
            graph = evaluation.graph();
        }
    }
    let only = Selection::of(table, |id, _| id == rule);
    let judgements = judge(table, &only, &graph);
    Ok((graph, judgements))
}

fn check(table: &RuleTable, rule: RuleId, side: &str, graph: &ResourceGraph, judgements: &[Judgement]) -> Result<(), String> {
    let count = |wanted: fn(&Verdict) -> bool| judgements.iter().filter(|judgement| wanted(&judgement.verdict)).count();
    let (fails, passes) = (count(|verdict| matches!(verdict, Verdict::Fail(_))), count(|verdict| matches!(verdict, Verdict::Pass)));
    let sound = match side {
        "bad" => fails > 0,
        // A rule that some resource be not there at all has nothing that passes.
        _ => fails == 0 && (passes > 0 || !table.can_pass(rule)),
    };
    if sound {
        return Ok(());
    }
    if judgements.is_empty() {
        let types: Vec<_> = graph.resources.iter().map(|resource| &*resource.type_key).collect();
        return Err(format!("no resource of the rule's types; there are [{}]", types.join(", ")));
    }
    let lines: Vec<_> = judgements.iter().map(|judgement| format!("\n    {}", line(graph, judgement))).collect();
    Err(format!("{fails} fails, {passes} passes{}", lines.concat()))
}

fn line(graph: &ResourceGraph, judgement: &Judgement) -> String {
    let address = &graph.resources[judgement.resource].address;
    match &judgement.verdict {
        Verdict::Pass => format!("{address}: pass"),
        Verdict::NotApplicable => format!("{address}: not applicable"),
        Verdict::Fail(failure) => {
            let evidence = failure.evidence.iter().map(|evidence| {
                let value = evidence.value.as_deref().unwrap_or("missing");
                format!("`{}` is {value}, expected {}", evidence.path, evidence.expected)
            });
            format!("{address}: fail: {}", evidence.collect::<Vec<_>>().join("; "))
        }
        Verdict::Unknown(causes) => {
            let causes = causes.iter().map(|cause| format!("`{}`: {}", cause.path, cause.reason));
            format!("{address}: unknown: {}", causes.collect::<Vec<_>>().join("; "))
        }
    }
}
