//! Resources that are connected.

use keyblind_resource::{BlockKind, Data, HopKind, Reason, Reference, ResourceGraph, ResourceId, Value};
use keyblind_rule_language::{Direction, Linked, Path, Root, Step};

use crate::compare;
use crate::describe;
use crate::evaluation::{Evaluation, Scope};
use crate::matchers::type_of;
use crate::truth::{Combine, Truth};
use crate::walk::{Found, Trail};

/// The deepest nesting of a body that is searched.
const MAX_DEPTH: usize = 32;

impl Evaluation<'_> {
    pub(crate) fn linked(&mut self, linked: &Linked, scope: &Scope<'_>) -> Truth {
        let connected = self.connected(linked, scope);
        if self.is_exhausted() {
            return self.exhausted();
        }
        self.others(connected.into_iter(), &linked.to, linked.condition.as_ref(), scope, || {
            format!("a connected {}", describe::types(&linked.to))
        })
    }

    /// The connected resources, whatever is asked of them, with how sure it is that each is connected.
    pub(crate) fn connected(&mut self, linked: &Linked, scope: &Scope<'_>) -> Vec<(ResourceId, Truth)> {
        let mut connected: Vec<(ResourceId, Truth)> =
            referring(self.graph, linked, scope.resource).into_iter().map(|id| (id, Truth::True)).collect();
        if !self.burn(connected.len()) {
            return Vec::new();
        }
        if !linked.matching.is_empty() {
            self.matching(linked, scope, &mut connected);
        }
        // In the order of declaration, each once, as sure as it may be.
        connected.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)));
        connected.dedup_by_key(|(id, _)| *id);
        connected
    }

    /// Adds the resources whose attributes equal ours.
    fn matching(&mut self, linked: &Linked, scope: &Scope<'_>, connected: &mut Vec<(ResourceId, Truth)>) {
        let certain: Vec<ResourceId> = connected.iter().map(|(id, _)| *id).collect();
        let (theirs, ours) = &linked.matching[0];
        for pattern in &linked.to {
            let candidates: Vec<ResourceId> = match (attribute(theirs), self.single(ours, scope)) {
                (_, None) => continue,
                (Some(attribute), Some(value)) => self.cache.by_value(pattern, attribute).candidates(&value),
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
            truth = truth.and(self.same_thing(&theirs, other, &ours, scope.resource));
            if truth == Truth::False {
                break;
            }
        }
        truth
    }

    /// Whether two attributes mean the same thing. What was read from a resource tells by itself which one is meant; only
    /// where that is neither of the two does the value count.
    fn same_thing(&self, theirs: &Value, their_resource: ResourceId, ours: &Value, our_resource: ResourceId) -> Truth {
        let (their_source, our_source) = (reference_of(theirs), reference_of(ours));
        if let (Some(a), Some(b)) = (&their_source, &our_source) {
            return (a.address == b.address).into();
        }
        let of_type = |reference: &Reference, id: ResourceId| type_of(&reference.address) == &*self.graph.resources[id].type_key;
        let names_another = their_source.as_ref().is_some_and(|source| of_type(source, our_resource))
            || our_source.as_ref().is_some_and(|source| of_type(source, their_resource));
        if names_another || theirs.is_unknown() && their_source.is_some() || ours.is_unknown() && our_source.is_some() {
            return Truth::False;
        }
        compare::equal(theirs, ours, false)
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

/// The attribute of another resource that a value is and nothing else, be it known or not.
pub(crate) fn reference_of(value: &Value) -> Option<Reference> {
    if let Data::Unknown(unknown) = &value.data {
        let is_plain = unknown.fragments.is_empty() && unknown.candidates.is_empty() && unknown.document.is_none();
        return match &unknown.references[..] {
            [reference] if is_plain => Some(reference.clone()),
            _ => None,
        };
    }
    for hop in value.origin.hops() {
        match &hop.kind {
            // A text that was put together at the place of the reference is more than what it refers to.
            HopKind::Resource { .. } if hop.source.used_at() == Some(hop.site) => return None,
            HopKind::Resource { address, attribute } => {
                return Some(Reference { address: address.clone(), attribute: attribute.clone() });
            }
            // What a function made of it is something else.
            HopKind::Function(_) => return None,
            _ => {}
        }
    }
    None
}

/// Why a companion of a resource may be where nothing was read: a module that isn't there gets an attribute of the
/// resource, or the resource has one from it.
pub(crate) fn unread_module_of(graph: &ResourceGraph, id: ResourceId) -> Option<Reason> {
    let unread = |id: ResourceId| {
        let call = &graph.resources[id];
        // A nested stack says where its template lies under names of its own.
        let source = || ["source", "TemplateURL", "Location"].iter().find_map(|name| call.body.get(name).and_then(Value::as_str));
        let source = || source().unwrap_or("its source isn't known");
        (call.kind == BlockKind::UnreadModule).then(|| Reason::ModuleNotInstalled { module: call.address.clone(), source: source().into() })
    };
    let linked = graph.incoming(id).map(|link| link.from).chain(graph.outgoing(id).map(|link| link.to)).find_map(unread);
    linked.or_else(|| unread_output(&graph.resources[id].body, MAX_DEPTH))
}

fn unread_output(value: &Value, depth: usize) -> Option<Reason> {
    let depth = depth.checked_sub(1)?;
    match &value.data {
        Data::Unknown(unknown) if matches!(unknown.reason, Reason::ModuleNotInstalled { .. }) => Some(unknown.reason.clone()),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().find_map(|item| unread_output(item, depth)),
        Data::Map(entries) | Data::Object(entries) => entries.iter().find_map(|(_, value)| unread_output(value, depth)),
        _ => None,
    }
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
