//! Which rules are judged: what the command line and the configuration ask for, in the words that people use for rules.

use std::sync::Arc;

use keyblind_rule_language::{Confidence, Persona, Severity, glob_matches, nearest};
use keyblind_rules::suppressions::Names;
use keyblind_rules::{RuleId, RuleTable, Selection};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Choice {
    /// Only these; all, if there are none.
    pub select: Vec<String>,
    /// Not these.
    pub skip: Vec<String>,
    /// None that is less severe.
    pub min_severity: Option<Severity>,
    /// None that is less sure.
    pub min_confidence: Option<Confidence>,
    /// Rules for everybody, or those for pedants and auditors as well.
    pub persona: Option<Persona>,
}

/// Words that stand for no rule.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no rule is called `{name}`{}", .nearest.as_ref().map(|near| format!("; did you mean `{near}`?")).unwrap_or_default())]
pub struct UnknownRule {
    /// The words.
    pub name: String,
    /// What looks most like them.
    pub nearest: Option<String>,
}

/// The rules that a word stands for: an id, an alias, a pattern with `*` over both, or a control (`cis:5.2`,
/// `cis-aws-7.0:5.*`).
///
/// # Errors
/// If there are none.
pub fn rules_named(table: &RuleTable, name: &str) -> Result<Vec<RuleId>, UnknownRule> {
    let found: Vec<RuleId> = if let Some((framework, number)) = name.split_once(':') {
        let is_framework =
            |own: &str| own.eq_ignore_ascii_case(framework) || own.to_lowercase().starts_with(&format!("{}-", framework.to_lowercase()));
        let ids = table.iter().map(|(id, _)| id);
        ids.filter(|id| {
            let controls = table.docs(*id).controls.iter().filter(|control| is_framework(&control.framework));
            controls.flat_map(|control| &control.numbers).any(|own| glob_matches(number, own, true))
        })
        .collect()
    } else if name.contains('*') {
        covered(table, name)
    } else {
        named(table, name).to_vec()
    };
    if found.is_empty() {
        let near = if name.contains(':') {
            // People leave the version out, and so may the words that they are pointed to.
            let versionless =
                |name: &str| name.trim_end_matches(|byte: char| byte.is_ascii_digit() || matches!(byte, '.' | '-')).to_owned();
            let frameworks: Vec<String> = table
                .iter()
                .flat_map(|(id, _)| &table.docs(id).controls)
                .flat_map(|control| [versionless(&control.framework), control.framework.to_string()])
                .collect();
            let (framework, number) = name.split_once(':').unwrap_or((name, ""));
            nearest(framework, frameworks.iter().map(String::as_str))
                .filter(|near| *near != framework)
                .map(|near| format!("{near}:{number}"))
        } else {
            table.nearest(name).map(str::to_owned)
        };
        return Err(UnknownRule { name: name.to_owned(), nearest: near });
    }
    Ok(found)
}

/// The rules to judge.
///
/// A rule that is asked for by its exact name is judged whoever it is meant for.
///
/// # Errors
/// If a word stands for no rule: a filter that silently does nothing is worse than none.
pub fn choose(table: &RuleTable, choice: &Choice, severity: impl Fn(RuleId) -> Severity) -> Result<Selection, UnknownRule> {
    let mut asked_for = vec![choice.select.is_empty(); table.len()];
    let mut by_name = vec![false; table.len()];
    for name in &choice.select {
        let exact = !name.contains(['*', ':']);
        for id in rules_named(table, name)? {
            asked_for[id.0 as usize] = true;
            by_name[id.0 as usize] |= exact;
        }
    }
    for name in &choice.skip {
        for id in rules_named(table, name)? {
            asked_for[id.0 as usize] = false;
        }
    }
    let persona = choice.persona.unwrap_or(Persona::Regular);
    Ok(Selection::of(table, |id, meta| {
        asked_for[id.0 as usize]
            && (by_name[id.0 as usize] || meta.persona <= persona)
            && choice.min_severity.is_none_or(|least| severity(id) >= least)
            && choice.min_confidence.is_none_or(|least| meta.confidence >= least)
    }))
}

/// The rules of an id or alias. Trivy's ids are written with and without `AVD-`.
fn named<'t>(table: &'t RuleTable, name: &str) -> &'t [RuleId] {
    match table.named(name) {
        [] => table.named(&format!("AVD-{name}")),
        rules => rules,
    }
}

fn covered(table: &RuleTable, pattern: &str) -> Vec<RuleId> {
    let hit = |name: &str| glob_matches(pattern, name, true);
    table.iter().filter(|(_, meta)| hit(&meta.id) || meta.aliases.iter().any(|alias| hit(alias))).map(|(id, _)| id).collect()
}

/// The table as directives see it.
pub(crate) struct TableNames<'t>(pub(crate) &'t RuleTable);

impl Names for TableNames<'_> {
    fn named(&self, id: &str) -> Vec<Arc<str>> {
        named(self.0, id).iter().map(|id| self.0.meta(*id).id.as_ref().into()).collect()
    }

    fn covered(&self, pattern: &str) -> Vec<Arc<str>> {
        covered(self.0, pattern).into_iter().map(|id| self.0.meta(id).id.as_ref().into()).collect()
    }

    fn nearest(&self, id: &str) -> Option<String> {
        self.0.nearest(id).map(str::to_owned)
    }
}
