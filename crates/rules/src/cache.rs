//! What is found out once and asked often while one graph is judged.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Data, Origin, ResourceGraph, ResourceId, Value};
use keyblind_rule_language::{TypePattern, View};

use crate::links::reference_of;
use crate::views;

/// The most views that are kept at a time.
const MAX_VIEWS: usize = 4096;

/// A type pattern and the name of an attribute.
type TypeAndAttribute = (Box<str>, Box<str>);

/// Caches of one graph.
pub(crate) struct Cache<'g> {
    graph: &'g ResourceGraph,
    views: RefCell<HashMap<usize, Vec<Seen>>>,
    by_types: RefCell<HashMap<Box<str>, Rc<[ResourceId]>>>,
    by_value: RefCell<HashMap<TypeAndAttribute, Rc<ByValue>>>,
}

/// A value as seen through a view.
struct Seen {
    view: View,
    /// Keeps the allocation alive whose address is the key.
    _value: Value,
    result: Option<Value>,
}

/// The resources of a type by the value of one attribute.
#[derive(Default)]
pub(crate) struct ByValue {
    known: HashMap<String, Vec<ResourceId>>,
    /// Those that refer to a resource, by its address.
    referring: HashMap<Arc<str>, Vec<ResourceId>>,
    /// Those of which neither is known.
    others: Vec<ResourceId>,
}

impl ByValue {
    /// All that may mean the same as a value; some may be there twice.
    pub(crate) fn candidates(&self, value: &Value) -> Vec<ResourceId> {
        let mut found = self.others.clone();
        let reference = reference_of(value);
        if let Some(reference) = &reference {
            found.extend(self.referring.get(&reference.address).into_iter().flatten());
        }
        match scalar_text(value) {
            Some(text) => found.extend(self.known.get(&text).into_iter().flatten()),
            // What refers to another resource is nothing that is known here.
            None if reference.is_some() => {}
            None => found.extend(self.known.values().flatten()),
        }
        found
    }
}

impl<'g> Cache<'g> {
    pub(crate) fn new(graph: &'g ResourceGraph) -> Self {
        Self { graph, views: RefCell::default(), by_types: RefCell::default(), by_value: RefCell::default() }
    }

    /// A view of a value.
    pub(crate) fn view(&self, view: &View, value: &Value) -> Option<Value> {
        let seen = self.view_of_data(view, value)?;
        // The same data may have come another way: what was taken from there is this value's own.
        let origin = if matches!(seen.origin, Origin::None) { value.origin.clone() } else { seen.origin };
        Some(Value { data: seen.data, origin, sensitive: value.sensitive })
    }

    fn view_of_data(&self, view: &View, value: &Value) -> Option<Value> {
        let value = &Value { origin: Origin::None, ..value.clone() };
        let Some(key) = allocation(value) else { return views::see(view, value) };
        if let Some(seen) = self.views.borrow().get(&key).and_then(|seen| seen.iter().find(|seen| seen.view == *view)) {
            return seen.result.clone();
        }
        let result = match view {
            // Several rules ask different questions of one policy: it is read once.
            View::PublicStatements | View::Escalations(_) if !has_candidates(value) => {
                self.view(&View::Statements, value).and_then(|statements| views::of_statements(view, &statements))
            }
            _ => views::see(view, value),
        };
        let mut all = self.views.borrow_mut();
        if all.len() >= MAX_VIEWS {
            all.clear();
        }
        all.entry(key).or_default().push(Seen { view: view.clone(), _value: value.clone(), result: result.clone() });
        result
    }

    /// The resources whose type fits a pattern, in the order of declaration.
    pub(crate) fn of_type(&self, pattern: &TypePattern) -> Rc<[ResourceId]> {
        if let Some(found) = self.by_types.borrow().get(&pattern.0) {
            return found.clone();
        }
        let found: Rc<[ResourceId]> = match pattern.exact() {
            Some(exact) => self.graph.of_type(exact).into(),
            None => (0..self.graph.resources.len()).filter(|&id| pattern.matches(&self.graph.resources[id].type_key)).collect(),
        };
        self.by_types.borrow_mut().insert(pattern.0.clone(), found.clone());
        found
    }

    /// The resources whose type fits a pattern by the value of an attribute.
    pub(crate) fn by_value(&self, pattern: &TypePattern, attribute: &str) -> Rc<ByValue> {
        let key = (pattern.0.clone(), Box::from(attribute));
        if let Some(found) = self.by_value.borrow().get(&key) {
            return found.clone();
        }
        let mut index = ByValue::default();
        for &id in self.of_type(pattern).iter() {
            match self.graph.resources[id].body.get(attribute) {
                // What isn't set equals nothing.
                None => {}
                Some(value) => {
                    let (text, reference) = (scalar_text(value), reference_of(value));
                    if text.is_none() && reference.is_none() {
                        index.others.push(id);
                    }
                    if let Some(text) = text {
                        index.known.entry(text).or_default().push(id);
                    }
                    if let Some(reference) = reference {
                        index.referring.entry(reference.address).or_default().push(id);
                    }
                }
            }
        }
        let index = Rc::new(index);
        self.by_value.borrow_mut().insert(key, index.clone());
        index
    }
}

/// The text of a known scalar: two scalars that are equal by Terraform's conversions have the same one.
fn scalar_text(value: &Value) -> Option<String> {
    match &value.data {
        Data::String(text) => {
            Some(text.parse::<keyblind_resource::Number>().map_or_else(|_| text.to_string(), |number| number.to_string()))
        }
        Data::Number(number) => Some(number.to_string()),
        Data::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

fn has_candidates(value: &Value) -> bool {
    value.as_unknown().is_some_and(|unknown| !unknown.candidates.is_empty())
}

/// The address of a value's data, if it has data on the heap.
fn allocation(value: &Value) -> Option<usize> {
    Some(match &value.data {
        Data::String(text) => Arc::as_ptr(text).cast::<u8>() as usize,
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => Arc::as_ptr(items).cast::<u8>() as usize,
        Data::Map(entries) | Data::Object(entries) => Arc::as_ptr(entries).cast::<u8>() as usize,
        Data::Unknown(unknown) => Arc::as_ptr(unknown).cast::<u8>() as usize,
        Data::Null | Data::Bool(_) | Data::Number(_) => return None,
    })
}
