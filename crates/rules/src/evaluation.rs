//! One evaluation of one rule about one resource: fuel, scopes, and notes of what decided.

use keyblind_resource::{Data, Reason, ResourceGraph, ResourceId, Unknown, Value};
use keyblind_rule_language::{Path, Property, Root, View};

use crate::cache::Cache;
use crate::evidence;
use crate::truth::{Combine, Truth};
use crate::verdict::{Evidence, UnknownCause};
use crate::views;
use crate::walk::{Found, Label, Leaf, Trail};

/// Steps that one rule may take about one resource.
const FUEL: u32 = 200_000;
/// The most notes that are kept: nobody reads more.
const MAX_NOTES: usize = 64;
/// The most at a time: those of conditions that turn out not to matter are dropped again.
const MAX_OPEN_NOTES: usize = 1024;

/// Where paths start: a resource, or an element within one.
#[derive(Clone, Copy)]
pub(crate) struct Scope<'s> {
    pub(crate) trail: &'s Trail<'s>,
    pub(crate) resource: ResourceId,
    /// The name of the element in its map.
    pub(crate) key: Option<&'s str>,
    pub(crate) outer: Option<&'s Scope<'s>>,
}

/// What was found on the way to a truth.
pub(crate) enum Note {
    Evidence(Evidence),
    Cause(UnknownCause),
}

/// The state of one evaluation.
pub(crate) struct Evaluation<'e> {
    pub(crate) graph: &'e ResourceGraph,
    pub(crate) cache: &'e Cache<'e>,
    /// The resource that is judged.
    pub(crate) judged: ResourceId,
    pub(crate) depth: usize,
    fuel: u32,
    exhausted: bool,
    notes: Option<Vec<Note>>,
}

impl<'e> Evaluation<'e> {
    /// An evaluation that only finds the truth.
    pub(crate) fn new(graph: &'e ResourceGraph, cache: &'e Cache<'e>, judged: ResourceId) -> Self {
        Self { graph, cache, judged, depth: 0, fuel: FUEL, exhausted: false, notes: None }
    }

    /// An evaluation that finds out why as well. It doesn't stop at the first branch that decides, so it may burn more.
    pub(crate) fn noting(graph: &'e ResourceGraph, cache: &'e Cache<'e>, judged: ResourceId) -> Self {
        Self { fuel: FUEL * 8, notes: Some(Vec::new()), ..Self::new(graph, cache, judged) }
    }

    /// An evaluation that asks many things of one resource.
    pub(crate) fn generous(graph: &'e ResourceGraph, cache: &'e Cache<'e>, judged: ResourceId) -> Self {
        Self { fuel: FUEL * 8, ..Self::new(graph, cache, judged) }
    }

    /// Takes fuel; `false` if there isn't enough.
    pub(crate) fn burn(&mut self, amount: usize) -> bool {
        match u32::try_from(amount).ok().and_then(|amount| self.fuel.checked_sub(amount)) {
            Some(left) => {
                self.fuel = left;
                true
            }
            None => {
                self.exhausted = true;
                false
            }
        }
    }

    /// What isn't found out for want of fuel or for too deep nesting.
    pub(crate) fn exhausted(&mut self) -> Truth {
        self.exhausted = true;
        Truth::Unknown
    }

    pub(crate) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    pub(crate) fn is_noting(&self) -> bool {
        self.notes.is_some()
    }

    /// The notes, and with them the end.
    pub(crate) fn into_notes(self) -> Vec<Note> {
        let mut notes = self.notes.unwrap_or_default();
        notes.truncate(MAX_NOTES);
        notes
    }

    pub(crate) fn clear_notes(&mut self, from: usize) {
        if let Some(notes) = &mut self.notes {
            notes.truncate(from);
        }
    }

    /// Drops the notes between two marks.
    pub(crate) fn drop_notes(&mut self, from: usize, to: usize) {
        if let Some(notes) = &mut self.notes {
            notes.drain(from.min(to)..to);
        }
    }

    /// How many notes there are.
    pub(crate) fn notes_mark(&self) -> usize {
        self.notes.as_ref().map_or(0, Vec::len)
    }

    /// Keeps only notes that speak for a joined truth: those from `start` to `mark` spoke for `before`, those behind
    /// `mark` for `truth`.
    pub(crate) fn notes_join(&mut self, start: usize, mark: usize, before: Option<Truth>, truth: Truth, joined: Truth) {
        let Some(notes) = &mut self.notes else { return };
        if truth != joined {
            notes.truncate(mark);
        }
        if before.is_some_and(|before| before != joined) {
            notes.drain(start..mark);
        }
    }

    fn add(&mut self, note: impl FnOnce(&Self) -> Note) {
        if self.notes.as_ref().is_some_and(|notes| notes.len() < MAX_OPEN_NOTES) {
            let note = note(self);
            if let Some(notes) = &mut self.notes {
                notes.push(note);
            }
        }
    }

    /// Notes what a test found: evidence if it is decided, a cause if it isn't.
    pub(crate) fn note(&mut self, truth: Truth, found: Found<'_>, resource: ResourceId, expected: impl FnOnce() -> String) {
        self.add(|this| match truth {
            Truth::Unknown => Note::Cause(evidence::cause(this.graph, this.judged, resource, found)),
            _ => Note::Evidence(evidence::evidence(this.graph, this.judged, resource, found, expected())),
        });
    }

    /// Notes something about a resource as a whole.
    pub(crate) fn note_whole(&mut self, resource: ResourceId, missing: bool, expected: impl FnOnce() -> String) {
        self.add(|this| Note::Evidence(evidence::whole(this.graph, this.judged, resource, missing, expected())));
    }

    /// Notes why something about a resource as a whole can't be told.
    pub(crate) fn note_reason(&mut self, resource: ResourceId, reason: Reason) {
        self.add(|this| Note::Cause(evidence::cause_of_whole(this.graph, this.judged, resource, reason)));
    }

    /// Notes that a value isn't known.
    pub(crate) fn note_unknown(&mut self, trail: &Trail<'_>, resource: ResourceId) {
        self.add(|this| Note::Cause(evidence::cause(this.graph, this.judged, resource, Found::Value(trail))));
    }

    /// Follows a path from where a scope says.
    pub(crate) fn at(&mut self, path: &Path, scope: &Scope<'_>, combine: Combine, leaf: Leaf<'_, 'e>) -> Truth {
        let resource = &self.graph.resources[scope.resource];
        let root = Trail::root(&resource.body);
        match path.root {
            Root::Element => self.walk(scope.trail, &path.steps, combine, leaf),
            Root::Resource => self.walk(&root, &path.steps, combine, leaf),
            Root::Enclosing(levels) => {
                let mut around = scope;
                for _ in 0..levels {
                    around = around.outer.unwrap_or(around);
                }
                self.walk(around.trail, &path.steps, combine, leaf)
            }
            Root::Property(property) => {
                let (name, text) = match property {
                    Property::Type => ("$type", &resource.type_key),
                    Property::Name => ("$name", &resource.name),
                    Property::Address => ("$address", &resource.address),
                };
                let value = Value::string(text.clone());
                self.walk(&root.step(&value, Label::Name(name)), &path.steps, combine, leaf)
            }
            Root::Key => {
                let mut around = Some(scope);
                while let Some(scope) = around {
                    if let Some(key) = scope.key {
                        let value = Value::string(key);
                        return self.walk(&scope.trail.step(&value, Label::Name("$key")), &path.steps, combine, leaf);
                    }
                    around = scope.outer;
                }
                leaf(self, Found::Missing { at: scope.trail, rest: &[] })
            }
        }
    }

    /// What a value looks like through a view; `None` if it can't be looked at so.
    pub(crate) fn view(&mut self, view: &View, value: &Value) -> Option<Value> {
        if !self.burn(8) {
            self.exhausted();
            return Some(Value::new(Data::Unknown(Unknown::new(Reason::Budget { limit: "steps of a rule" }).into())));
        }
        if !views::is_costly(view) {
            return views::see(view, value);
        }
        self.cache.view(view, value)
    }
}
