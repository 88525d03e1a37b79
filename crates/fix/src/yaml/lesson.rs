//! What the examples of a rule teach: the difference between a bad one and a good one.
//!
//! Some conditions ask about what a dialect computes, of which no backwards way leads to the text: what a job may do comes
//! from its own words, the workflow's, or nobody's. What makes the bad example good is known all the same, and does the same
//! elsewhere; whether it does, the proof decides.

use keyblind_dialects::evaluate_text;
use keyblind_resource::{Dialect, Resource};
use keyblind_rule_language::Literal;
use keyblind_rules::{Judge, RuleId, RuleTable, Selection, Verdict, dialect_of};
use keyblind_syntax::yaml::{self, Node, NodeKind, Stream};

use super::insert::Addition;
use super::place::Way;
use super::{Drafting, holder};
use crate::hindrance::Hindrance;
use crate::instantiate::is_made_up;

/// The most that a lesson changes.
const MOST_CHANGES: usize = 3;
/// The most lessons that are drawn from the examples of a rule.
const MOST_LESSONS: usize = 6;

/// What Kubernetes calls who may do what: which rights somebody needs no example knows.
const PERMISSIONS: &[&str] = &["rules", "subjects", "roleRef"];

/// Some changes that make a bad example good.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Lesson {
    changes: Vec<Change>,
}

#[derive(Clone, Debug, PartialEq)]
struct Change {
    /// How many steps of the way from the document's root to the resource are gone.
    kept: usize,
    /// The names from there on.
    names: Vec<String>,
    /// What stands there in the bad example.
    was: Option<Literal>,
    /// What stands there afterwards; nothing, if it goes.
    value: Option<Literal>,
}

/// The lessons about resources of a type.
pub(super) fn lessons(table: &RuleTable, rule: RuleId, dialect: Dialect, type_key: &str) -> Vec<Lesson> {
    let mut found = Vec::new();
    for set in table.docs(rule).examples.iter().filter(|set| dialect_of(set.language) == dialect) {
        for bad in &set.bad {
            let Some((stream, resource)) = failing(table, rule, dialect, type_key, bad) else { continue };
            let Some(way) = holder(&resource).find(&stream) else { continue };
            for good in &set.good {
                let lesson = compared(&way, &stream, &yaml::parse(good));
                found.extend(lesson.filter(|lesson| !found.contains(lesson)));
            }
        }
    }
    found.sort_by_key(|lesson| lesson.changes.len());
    found.truncate(MOST_LESSONS);
    found
}

/// The first resource of a type that the rule fails in an example.
fn failing(table: &RuleTable, rule: RuleId, dialect: Dialect, type_key: &str, text: &str) -> Option<(Stream, Resource)> {
    let stream = yaml::parse(text);
    let selection = Selection::all(table);
    evaluate_text(dialect, text).into_iter().find_map(|mut evaluation| {
        let graph = evaluation.graph();
        let judge = Judge::new(table, &selection, &graph);
        let fails = |id: &usize| judge.pair(*id, rule).is_some_and(|verdict| matches!(verdict, Verdict::Fail(_)));
        let of_type = (0..graph.resources.len()).filter(|id| *graph.resources[*id].type_key == *type_key);
        let id = of_type.into_iter().find(fails)?;
        Some((stream.clone(), graph.resources[id].clone()))
    })
}

/// The changes that lead from one example to another, seen from a resource.
fn compared(way: &Way<'_>, bad: &Stream, good: &Stream) -> Option<Lesson> {
    if bad.documents.len() != good.documents.len() {
        return None;
    }
    let own = way.names();
    let mut changes = Vec::new();
    for (document, (bad, good)) in bad.documents.iter().zip(&good.documents).enumerate() {
        let mut differences = Vec::new();
        differing(bad, good, &mut Vec::new(), &mut differences)?;
        for (names, was, value) in differences {
            if document != way.document {
                return None;
            }
            let kept = names.iter().zip(&own).take_while(|(a, b)| a == b).count();
            let value = match value {
                Some(node) => Some(literal_of(node).filter(|literal| !is_made_up(&literal.to_string()))?),
                None => None,
            };
            // What an example merely names is nobody's choice but its own.
            let is_choice = value.is_some()
                && (names.last().is_some_and(|name| matches!(name.as_str(), "ref" | "image"))
                    || names.iter().any(|name| PERMISSIONS.contains(&name.as_str())));
            if is_choice {
                return None;
            }
            changes.push(Change { kept, names: names[kept..].to_vec(), was: was.and_then(literal_of), value });
        }
    }
    (!changes.is_empty() && changes.len() <= MOST_CHANGES).then_some(Lesson { changes })
}

/// The names that lead there, and what stands there before and afterwards.
type Difference<'n> = (Vec<String>, Option<&'n Node>, Option<&'n Node>);

/// Where two documents differ; `None` if they do in a way that can't be said so.
fn differing<'n>(bad: &'n Node, good: &'n Node, names: &mut Vec<String>, found: &mut Vec<Difference<'n>>) -> Option<()> {
    match (&bad.kind, &good.kind) {
        (NodeKind::Mapping(old), NodeKind::Mapping(new)) => {
            for entry in old.iter() {
                names.push(super::place::key_of(entry));
                match new.iter().find(|other| other.key.as_key() == entry.key.as_key()) {
                    Some(other) => differing(&entry.value, &other.value, names, found)?,
                    None => found.push((names.clone(), Some(&entry.value), None)),
                }
                names.pop();
            }
            for entry in new.iter().filter(|entry| !old.iter().any(|other| other.key.as_key() == entry.key.as_key())) {
                names.push(super::place::key_of(entry));
                found.push((names.clone(), None, Some(&entry.value)));
                names.pop();
            }
        }
        (NodeKind::Sequence(old), NodeKind::Sequence(new)) if old.len() <= new.len() => {
            for (index, node) in new.iter().enumerate() {
                names.push(index.to_string());
                match old.get(index) {
                    Some(before) => differing(before, node, names, found)?,
                    None => found.push((names.clone(), None, Some(node))),
                }
                names.pop();
            }
        }
        (NodeKind::Sequence(_), NodeKind::Sequence(_)) => return None,
        _ if bad.tag != good.tag => return None,
        (old, new) if old == new => {}
        _ => found.push((names.clone(), Some(bad), Some(good))),
    }
    Some(())
}

fn literal_of(node: &Node) -> Option<Literal> {
    if node.tag.is_some() {
        return None;
    }
    Some(match &node.kind {
        NodeKind::Null => Literal::Null,
        NodeKind::Bool(value) => Literal::Bool(*value),
        NodeKind::Number(text) => Literal::from_plain(text),
        NodeKind::String(text) => Literal::Text((**text).into()),
        NodeKind::Sequence(items) => Literal::List(items.iter().map(literal_of).collect::<Option<_>>()?),
        NodeKind::Mapping(entries) => {
            let entry = |entry: &yaml::Entry| Some((super::place::key_of(entry).into(), literal_of(&entry.value)?));
            Literal::Map(entries.iter().map(entry).collect::<Option<_>>()?)
        }
    })
}

impl Lesson {
    /// What it changes: names with dots between.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.changes.iter().map(|change| change.names.join("."))
    }

    /// Makes the same changes around another resource.
    pub(super) fn apply<'t>(&self, drafting: &mut Drafting<'t>, resource: &'t Resource) -> Result<(), Hindrance> {
        let file = resource.block.file;
        let (stream, manner) = drafting.stream(file)?;
        let own = holder(resource).find(&stream).ok_or(Hindrance::ValueElsewhere)?;
        for change in &self.changes {
            let mut way = own.clone();
            way.steps.truncate(change.kept + 1);
            let mut rest = change.names.as_slice();
            while let [name, behind @ ..] = rest
                && let Some(inner) = way.down(name)
            {
                (way, rest) = (inner, behind);
            }
            let site = keyblind_syntax::Site::new(file, way.node().place());
            let top = change.names.first().map_or("", String::as_str);
            drafting.state(resource, top, Some(site));
            // Something else stands there than in the example: what would become of it nobody has shown.
            let is_other = rest.is_empty() && !super::is_empty(&way.node().kind) && literal_of(way.node()) != change.was;
            match (&change.value, rest) {
                (_, []) if is_other => return Err(Hindrance::NeedsDecision),
                (Some(value), []) => drafting.overwrite(file, &way, value, manner)?,
                (Some(value), [key, behind @ ..]) => {
                    let value = behind.iter().rev().fold(value.clone(), |inner, name| Literal::Map(vec![(name.as_str().into(), inner)]));
                    drafting.insert(file, &way, vec![Addition { key: key.clone(), value }])?;
                }
                (None, []) => drafting.take_out(file, &way)?,
                // It isn't there anyway.
                (None, _) => {}
            }
        }
        Ok(())
    }
}
