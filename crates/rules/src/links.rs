//! Resources that are connected.

use keyblind_resource::{Data, ResourceGraph, ResourceId, Value};
use keyblind_rule_language::{Direction, Linked, Path, Root, Step};

use crate::compare;
use crate::describe;
use crate::evaluation::{Evaluation, Scope};
use crate::truth::{Combine, Truth};
use crate::walk::{Found, Trail};

impl Evaluation<'_> {
    pub(crate) fn linked(&mut self, linked: &Linked, scope: &Scope<'_>) -> Truth {
        let mut connected: Vec<(ResourceId, Truth)> =
            referring(self.graph, linked, scope.resource).into_iter().map(|id| (id, Truth::True)).collect();
        if !self.burn(connected.len()) {
            return self.exhausted();
        }
        if !linked.matching.is_empty() {
            self.matching(linked, scope, &mut connected);
        }
        // In the order of declaration, each once, as sure as it may be.
        connected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        connected.dedup_by_key(|(id, _)| *id);
        self.others(connected.into_iter(), linked.condition.as_ref(), scope, || format!("a connected {}", describe::types(&linked.to)))
    }

    /// Adds the resources whose attributes equal ours.
    fn matching(&mut self, linked: &Linked, scope: &Scope<'_>, connected: &mut Vec<(ResourceId, Truth)>) {
        let certain: Vec<ResourceId> = connected.iter().map(|(id, _)| *id).collect();
        let (theirs, ours) = &linked.matching[0];
        for pattern in &linked.to {
            let candidates: Vec<ResourceId> = match (attribute(theirs), self.single(ours, scope)) {
                (_, None) => continue,
                (Some(attribute), Some(value)) => self.cache.by_value(pattern, attribute).candidates(&value).collect(),
                (None, Some(_)) => self.cache.of_type(pattern).to_vec(),
            };
            for id in candidates.into_iter().filter(|id| *id != scope.resource && !certain.contains(id)) {
                if !self.burn(2) {
                    connected.push((id, Truth::Unknown));
                    return;
                }
                let truth = self.all_match(linked, scope, id);
                if truth != Truth::False {
                    connected.push((id, truth));
                }
            }
        }
    }

    fn all_match(&mut self, linked: &Linked, scope: &Scope<'_>, other: ResourceId) -> Truth {
        let root = Trail::root(&self.graph.resources[other].body);
        let their_scope = Scope { trail: &root, resource: other, key: None, outer: Some(scope) };
        let mut truth = Truth::True;
        for (theirs, ours) in &linked.matching {
            let (Some(theirs), Some(ours)) = (self.single(theirs, &their_scope), self.single(ours, scope)) else { return Truth::False };
            truth = truth.and(if is_plain_reference(&theirs) || is_plain_reference(&ours) {
                // What an attribute of a resource is read from is told by the reference itself.
                Truth::False
            } else {
                compare::equal(&theirs, &ours, false)
            });
            if truth == Truth::False {
                break;
            }
        }
        truth
    }

    /// The one value at a path.
    fn single(&mut self, path: &Path, scope: &Scope<'_>) -> Option<Value> {
        let mut first = None;
        let noted = self.notes_mark();
        self.at(path, scope, Combine::Any, &mut |_, found| {
            if let Found::Value(trail) = found {
                first.get_or_insert_with(|| trail.value.clone());
            }
            Truth::False
        });
        self.clear_notes(noted);
        first
    }
}

/// The attribute, if a path is nothing but one.
fn attribute(path: &Path) -> Option<&str> {
    match (path.root, &path.steps[..]) {
        (Root::Element, [Step::Name(name)]) => Some(name),
        _ => None,
    }
}

/// Whether a value is an attribute of another resource and nothing else.
fn is_plain_reference(value: &Value) -> bool {
    matches!(&value.data, Data::Unknown(unknown)
        if !unknown.references.is_empty() && unknown.fragments.is_empty() && unknown.candidates.is_empty())
}

fn referring(graph: &ResourceGraph, linked: &Linked, of: ResourceId) -> Vec<ResourceId> {
    let mut found = Vec::new();
    let fits = |id: ResourceId| linked.to.iter().any(|pattern| pattern.matches(&graph.resources[id].type_key));
    let stands_at = |path: &str| {
        linked.by.as_deref().is_none_or(|by| path.strip_prefix(by).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
    };
    if linked.direction != Direction::In {
        found.extend(graph.outgoing(of).filter(|link| stands_at(&link.path) && fits(link.to)).map(|link| link.to));
    }
    if linked.direction != Direction::Out {
        found.extend(graph.incoming(of).filter(|link| stands_at(&link.path) && fits(link.from)).map(|link| link.from));
    }
    found.sort_unstable();
    found.dedup();
    found
}
