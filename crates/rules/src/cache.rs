//! What is found out once and asked often while one graph is judged.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Data, ResourceGraph, ResourceId, Value};
use keyblind_rule_language::{TypePattern, View};

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
    /// Those whose value isn't a known scalar.
    others: Vec<ResourceId>,
}

impl ByValue {
    /// All that may have the value.
    pub(crate) fn candidates<'a>(&'a self, value: &Value) -> Box<dyn Iterator<Item = ResourceId> + 'a> {
        match scalar_text(value) {
            Some(text) => Box::new(self.known.get(&text).into_iter().flatten().chain(&self.others).copied()),
            None => Box::new(self.known.values().flatten().chain(&self.others).copied()),
        }
    }
}

impl<'g> Cache<'g> {
    pub(crate) fn new(graph: &'g ResourceGraph) -> Self {
        Self { graph, views: RefCell::default(), by_types: RefCell::default(), by_value: RefCell::default() }
    }

    /// A view of a value.
    pub(crate) fn view(&self, view: &View, value: &Value) -> Option<Value> {
        let Some(key) = allocation(value) else { return views::see(view, value) };
        if let Some(seen) = self.views.borrow().get(&key).and_then(|seen| seen.iter().find(|seen| seen.view == *view)) {
            return seen.result.clone();
        }
        let result = views::see(view, value);
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
                Some(value) => match scalar_text(value) {
                    Some(text) => index.known.entry(text).or_default().push(id),
                    None => index.others.push(id),
                },
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
