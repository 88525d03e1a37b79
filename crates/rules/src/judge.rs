//! Judging: every rule about every resource that it concerns.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Reason, ResourceGraph, ResourceId};
use keyblind_rule_language::{Decision, Language, Outcome, Ruling};

use crate::cache::Cache;
use crate::evaluation::{Evaluation, Note, Scope};
use crate::evidence;
use crate::inversion::{Inversion, Remedy, Suggestions};
use crate::table::{RuleId, RuleTable, Selection, language_of};
use crate::truth::Truth;
use crate::verdict::{Evidence, Failure, Judgement, UnknownCause, Verdict};
use crate::walk::Trail;

/// Judges all resources by the selected rules: one judgement for each pair of a resource and a rule that names its
/// type, sorted by resource and rule.
pub fn judge(table: &RuleTable, selection: &Selection, graph: &ResourceGraph) -> Vec<Judgement> {
    let judge = Judge::new(table, selection, graph);
    let mut judgements = Vec::new();
    for resource in 0..graph.resources.len() {
        judge.resource(resource, &mut judgements);
    }
    judgements
}

/// Judges resources of one graph, one by one. Threads that share a graph take one each.
pub struct Judge<'a> {
    table: &'a RuleTable,
    selection: &'a Selection,
    graph: &'a ResourceGraph,
    cache: Cache<'a>,
    interests: std::cell::RefCell<Interests<'a>>,
}

/// The selected rules about each type, with their decisions.
type Interests<'a> = HashMap<(Language, &'a str), Rc<[Interest<'a>]>>;

struct Interest<'a> {
    rule: RuleId,
    decisions: Vec<&'a Decision>,
}

/// What the decisions of a rule come to.
#[derive(Clone, Copy)]
struct Ruled<'r> {
    ruling: Ruling,
    /// What the rule says instead of its title.
    message: Option<&'r str>,
    /// Whether the rule itself says `unknown`.
    stated: bool,
    /// Whether it is what the rule says if none of its cases is true.
    otherwise: bool,
}

impl<'r> Ruled<'r> {
    fn plain(ruling: Ruling) -> Self {
        Self { ruling, message: None, stated: false, otherwise: false }
    }

    fn stated(ruling: Ruling, message: Option<&'r str>) -> Self {
        Self { ruling, message, stated: true, otherwise: false }
    }
}

impl<'a> Judge<'a> {
    /// Makes ready to judge a graph.
    pub fn new(table: &'a RuleTable, selection: &'a Selection, graph: &'a ResourceGraph) -> Self {
        Self { table, selection, graph, cache: Cache::new(graph), interests: std::cell::RefCell::default() }
    }

    /// Judges one resource by every selected rule that names its type.
    pub fn resource(&self, id: ResourceId, judgements: &mut Vec<Judgement>) {
        for interest in self.interests(id).iter() {
            judgements.push(Judgement { rule: interest.rule, resource: id, verdict: self.verdict(interest, id) });
        }
    }

    /// Judges one resource by one rule; `None` if the rule doesn't name its type or isn't selected.
    pub fn pair(&self, id: ResourceId, rule: RuleId) -> Option<Verdict> {
        let interests = self.interests(id);
        let interest = interests.iter().find(|interest| interest.rule == rule)?;
        Some(self.verdict(interest, id))
    }

    /// What would have to be different for a rule to pass a resource that it fails, the likeliest first.
    pub fn remedies(&self, id: ResourceId, rule: RuleId, suggestions: &dyn Suggestions) -> Vec<Remedy> {
        let interests = self.interests(id);
        let Some(interest) = interests.iter().find(|interest| interest.rule == rule) else { return Vec::new() };
        if !matches!(self.verdict(interest, id), Verdict::Fail(_)) {
            return Vec::new();
        }
        let trail = Trail::root(&self.graph.resources[id].body);
        let scope = Scope { trail: &trail, resource: id, key: None, outer: None };
        let evaluation = Evaluation::generous(self.graph, &self.cache, id);
        // A fault in following a rule backwards costs its fix and nothing else.
        let follow = || Inversion::new(evaluation, suggestions).remedies(&interest.decisions, &scope);
        catch_unwind(AssertUnwindSafe(follow)).unwrap_or_default()
    }

    fn interests(&self, id: ResourceId) -> Rc<[Interest<'a>]> {
        let resource = &self.graph.resources[id];
        let Some(language) = language_of(resource.dialect) else { return Rc::new([]) };
        let key = (language, &*resource.type_key);
        if let Some(known) = self.interests.borrow().get(&key) {
            return known.clone();
        }
        let rules = self.table.concerning(language, &resource.type_key).into_iter().filter(|rule| self.selection.contains(*rule));
        let found: Rc<[Interest<'a>]> =
            rules.map(|rule| Interest { rule, decisions: self.table.decisions(rule, language, &resource.type_key) }).collect();
        self.interests.borrow_mut().insert(key, found.clone());
        found
    }

    fn verdict(&self, interest: &Interest<'a>, id: ResourceId) -> Verdict {
        self.guarded(interest.rule, id, || self.decide(interest, id))
    }

    /// Nothing that happens in a rule may cost the verdicts of the others.
    fn guarded(&self, rule: RuleId, id: ResourceId, decide: impl FnOnce() -> Verdict) -> Verdict {
        catch_unwind(AssertUnwindSafe(decide)).unwrap_or_else(|_| {
            let message = format!("the rule `{}` failed while it judged; please report this", self.table.meta(rule).id);
            Verdict::Unknown(vec![self.cause(id, Reason::Rule { message: message.into() })])
        })
    }

    fn decide(&self, interest: &Interest<'a>, id: ResourceId) -> Verdict {
        let trail = Trail::root(&self.graph.resources[id].body);
        let scope = Scope { trail: &trail, resource: id, key: None, outer: None };
        let mut evaluation = Evaluation::new(self.graph, &self.cache, id);
        let ruled = rule(&mut evaluation, &interest.decisions, &scope);
        match ruled.ruling {
            Ruling::Pass => Verdict::Pass,
            Ruling::NotApplicable => Verdict::NotApplicable,
            Ruling::Fail => {
                let message = ruled.message.unwrap_or(&self.table.meta(interest.rule).title).to_owned();
                Verdict::Fail(Failure { message, evidence: self.evidence(interest, &scope) })
            }
            Ruling::Unknown => Verdict::Unknown(self.causes(interest, &scope, ruled, evaluation.is_exhausted())),
        }
    }

    /// Judges again and takes notes; passes, by far the most verdicts, need none.
    fn notes(&self, interest: &Interest<'a>, scope: &Scope<'_>) -> Vec<Note> {
        let mut evaluation = Evaluation::noting(self.graph, &self.cache, scope.resource);
        rule(&mut evaluation, &interest.decisions, scope);
        evaluation.into_notes()
    }

    fn evidence(&self, interest: &Interest<'a>, scope: &Scope<'_>) -> Vec<Evidence> {
        let mut evidence: Vec<Evidence> = Vec::new();
        for note in self.notes(interest, scope) {
            let Note::Evidence(found) = note else { continue };
            let same = |other: &Evidence| {
                other.path == found.path && other.resource == found.resource && other.site == found.site && other.expected == found.expected
            };
            if !evidence.iter().any(same) {
                evidence.push(found);
            }
        }
        if evidence.is_empty() {
            evidence.push(evidence::whole(self.graph, scope.resource, scope.resource, false, "no such resource".to_owned()));
        }
        evidence
    }

    fn causes(&self, interest: &Interest<'a>, scope: &Scope<'_>, ruled: Ruled<'_>, exhausted: bool) -> Vec<UnknownCause> {
        if exhausted {
            return vec![self.cause(scope.resource, Reason::Budget { limit: "steps of a rule" })];
        }
        if ruled.stated {
            let message = ruled.message.unwrap_or("the rule can't tell from the text");
            return vec![self.cause(scope.resource, Reason::Rule { message: message.into() })];
        }
        let mut causes: Vec<UnknownCause> = Vec::new();
        for note in self.notes(interest, scope) {
            let Note::Cause(found) = note else { continue };
            if !causes.iter().any(|other| other.path == found.path && other.resource == found.resource && other.reason == found.reason) {
                causes.push(found);
            }
        }
        if causes.is_empty() {
            let message = format!("the rule `{}` can't tell", self.table.meta(interest.rule).id);
            causes.push(self.cause(scope.resource, Reason::Rule { message: Arc::from(message) }));
        }
        causes
    }

    fn cause(&self, resource: ResourceId, reason: Reason) -> UnknownCause {
        UnknownCause { resource: None, path: String::new(), reason, site: Some(self.graph.resources[resource].header) }
    }
}

/// The first decision whose `when` isn't false decides.
fn rule<'r>(evaluation: &mut Evaluation<'_>, decisions: &[&'r Decision], scope: &Scope<'_>) -> Ruled<'r> {
    let Some((decision, others)) = decisions.split_first() else { return Ruled::plain(Ruling::NotApplicable) };
    let start = evaluation.notes_mark();
    let applies = decision.when.as_ref().map_or(Truth::True, |when| evaluation.condition(when, scope));
    match applies {
        Truth::False => {
            evaluation.clear_notes(start);
            rule(evaluation, others, scope)
        }
        Truth::True => {
            evaluation.clear_notes(start);
            outcome(evaluation, decision, scope)
        }
        Truth::Unknown => {
            either(evaluation, start, |evaluation| outcome(evaluation, decision, scope), |evaluation| rule(evaluation, others, scope))
        }
    }
}

fn outcome<'r>(evaluation: &mut Evaluation<'_>, decision: &'r Decision, scope: &Scope<'_>) -> Ruled<'r> {
    let message = decision.message.as_deref();
    let (condition, if_true, if_false) = match &decision.outcome {
        Outcome::Fail(condition) => (condition, Ruling::Fail, Ruling::Pass),
        Outcome::Pass(condition) => (condition, Ruling::Pass, Ruling::Fail),
        Outcome::Cases(cases, otherwise) => return self::cases(evaluation, cases, *otherwise, message, scope),
    };
    let ruling = match evaluation.condition(condition, scope) {
        Truth::True => if_true,
        Truth::False => if_false,
        Truth::Unknown => return Ruled::plain(Ruling::Unknown),
    };
    Ruled { message, ..Ruled::plain(ruling) }
}

fn cases<'r>(
    evaluation: &mut Evaluation<'_>,
    cases: &'r [keyblind_rule_language::Case],
    otherwise: Ruling,
    message: Option<&'r str>,
    scope: &Scope<'_>,
) -> Ruled<'r> {
    let Some((case, others)) = cases.split_first() else {
        return Ruled { otherwise: true, ..Ruled::stated(otherwise, message) };
    };
    let start = evaluation.notes_mark();
    let stated = Ruled::stated(case.ruling, case.message.as_deref().or(message));
    match evaluation.condition(&case.condition, scope) {
        Truth::True => stated,
        Truth::False => {
            // That this case isn't true matters only if it is why a resource fails in the end for want of a true one.
            if case.ruling != Ruling::Pass {
                evaluation.clear_notes(start);
            }
            let noted = evaluation.notes_mark();
            let ruled = self::cases(evaluation, others, otherwise, message, scope);
            if !ruled.otherwise {
                evaluation.drop_notes(start, noted);
            }
            ruled
        }
        Truth::Unknown => either(evaluation, start, |_| stated, |evaluation| self::cases(evaluation, others, otherwise, message, scope)),
    }
}

/// Of two ways that can't be told apart: what they agree on, or unknown for the reasons noted since `start`.
fn either<'e, 'r>(
    evaluation: &mut Evaluation<'e>,
    start: usize,
    one: impl FnOnce(&mut Evaluation<'e>) -> Ruled<'r>,
    other: impl FnOnce(&mut Evaluation<'e>) -> Ruled<'r>,
) -> Ruled<'r> {
    let reasons = evaluation.notes_mark();
    let first = one(evaluation);
    let middle = evaluation.notes_mark();
    let second = other(evaluation);
    if first.ruling != second.ruling {
        evaluation.clear_notes(reasons);
        return Ruled::plain(Ruling::Unknown);
    }
    if first.ruling == Ruling::Unknown {
        return Ruled { stated: first.stated && second.stated, ..first };
    }
    evaluation.clear_notes(middle);
    evaluation.drop_notes(start, reasons);
    first
}

#[cfg(test)]
mod tests {
    use keyblind_resource::{BlockKind, Dialect, Resource, Value};
    use keyblind_syntax::{FileId, Site, TextRange};

    use super::*;

    #[test]
    fn a_panic_in_a_rule_is_an_unknown_that_names_it() {
        let table = RuleTable::embedded().unwrap();
        let (rule, meta) = table.iter().next().unwrap();
        let site = Site::new(FileId(0), TextRange::new(0, 1));
        let resource = Resource {
            address: "a.b".into(),
            dialect: Dialect::Terraform,
            kind: BlockKind::Managed,
            type_key: "a".into(),
            name: "b".into(),
            body: Value::object([]),
            header: site,
            block: site,
            calls: Arc::from([]),
            skips: Vec::new(),
        };
        let graph = ResourceGraph::new(vec![resource]);
        let selection = Selection::all(&table);
        let judge = Judge::new(&table, &selection, &graph);
        let verdict = judge.guarded(rule, 0, || panic!("a fault in a view"));
        let Verdict::Unknown(causes) = verdict else { panic!("{verdict:?}") };
        assert!(causes[0].reason.to_string().contains(&*meta.id));
    }
}
