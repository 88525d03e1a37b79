//! Expressions to values.

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Mapping, Origin, Reason, Reference, Unknown, Value};
use keyblind_syntax::Site;
use keyblind_syntax::hcl::ast::{Expr, ExprKind, ForObject, ForTuple, Ident, ObjectEntry, SplatStep};

use super::super::functions;
use super::super::types;
use super::operators;
use super::scope::Scope;
use super::{Evaluator, host::FunctionHost};
use crate::limits;

/// Stack that must be left before an expression is entered, and how much is added when it isn't.
const STACK_LEFT: usize = 128 << 10;
const STACK_ADDED: usize = 2 << 20;

impl<'p> Evaluator<'p> {
    /// Evaluates an expression. The result's outermost site always lies within the expression.
    pub(super) fn eval(&self, expr: &Expr, scope: Scope<'_, 'p>) -> Value {
        if !self.spend(1) {
            return self.out_of("evaluation steps").with_origin(Origin::Site(scope.site(expr.range)));
        }
        let depth = self.depth.get();
        if depth >= limits::EXPRESSION_DEPTH {
            return self.out_of("nesting").with_origin(Origin::Site(scope.site(expr.range)));
        }
        self.depth.set(depth + 1);
        let value = stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || self.eval_kind(expr, scope));
        self.depth.set(depth);
        value
    }

    fn eval_kind(&self, expr: &Expr, scope: Scope<'_, 'p>) -> Value {
        let site = scope.site(expr.range);
        match &expr.kind {
            ExprKind::Null => Value::at(Data::Null, site),
            ExprKind::Bool(value) => Value::at(Data::Bool(*value), site),
            ExprKind::Number(text) => match text.parse() {
                Ok(number) => Value::at(Data::Number(number), site),
                Err(error) => invalid(format!("`{text}`: {error}"), site),
            },
            ExprKind::String(text) => Value::at(Data::String(types::composed(text)), site),
            ExprKind::Template(parts) => self.template(parts, scope, site),
            ExprKind::Tuple(items) => {
                let items = items.iter().map(|item| self.eval(item, scope)).collect();
                Value::at(Data::Tuple(Arc::new(items)), site)
            }
            ExprKind::Object(entries) => self.object(entries, scope, site),
            ExprKind::Variable(_) | ExprKind::Attribute { .. } | ExprKind::Index { .. } => self.traversal(expr, scope),
            ExprKind::Splat { base, steps, full: _ } => self.splat(&self.eval(base, scope), steps, scope, site),
            ExprKind::Call { name, arguments, expand_last } => self.call(name, arguments, *expand_last, scope, site),
            ExprKind::Unary { op, operand } => operators::unary(*op, &self.eval(operand, scope)).with_origin(Origin::Site(site)),
            ExprKind::Binary { op, left, right } => {
                let left = self.eval(left, scope);
                operators::binary(*op, &left, || self.eval(right, scope)).with_origin(Origin::Site(site))
            }
            ExprKind::Conditional { condition, then, otherwise } => self.conditional(condition, then, otherwise, scope, site),
            ExprKind::ForTuple(walk) => self.for_tuple(walk, scope, site),
            ExprKind::ForObject(walk) => self.for_object(walk, scope, site),
            ExprKind::Paren(inner) => self.eval(inner, scope),
            ExprKind::Error => invalid("it could not be read".to_owned(), site),
        }
    }

    fn object(&self, entries: &[ObjectEntry], scope: Scope<'_, 'p>, site: Site) -> Value {
        let mut result = Vec::with_capacity(entries.len());
        for entry in entries {
            let key = self.eval(&entry.key, scope);
            match types::to_text(&key) {
                Some(key) => result.push((key, self.eval(&entry.value, scope))),
                // Which entries the object has isn't known: the whole of it is unknown, as in Terraform.
                None if key.is_unknown() => return keyed_by_unknown(&key).with_origin(Origin::Site(site)),
                None => return invalid(format!("an object's key must be a text, not {}", key.kind_name()), site),
            }
        }
        Value::at(Data::Object(Arc::new(result.into_iter().collect())), site)
    }

    fn conditional(&self, condition: &Expr, then: &Expr, otherwise: &Expr, scope: Scope<'_, 'p>, site: Site) -> Value {
        let condition = self.eval(condition, scope);
        let decided = match &condition.data {
            Data::Unknown(_) => None,
            _ => match operators::truth(&condition) {
                Some(value) => Some(value),
                None => return invalid(format!("a condition must be true or false, not {}", condition.kind_name()), site),
            },
        };
        let Some(decided) = decided else {
            let (then, otherwise) = (self.eval(then, scope), self.eval(otherwise, scope));
            return either(&condition, [then, otherwise], site);
        };
        let (taken, other) = if decided { (then, otherwise) } else { (otherwise, then) };
        let mut value = self.eval(taken, scope);
        value.sensitive |= condition.sensitive;
        // Both branches get one type; only a difference between primitive kinds shows in the result.
        if let Some(converted) = self.unify_branch(&value, other, scope) {
            value = converted;
        }
        value
    }

    /// Converts the taken branch to the type that both branches have in common, where that changes its value.
    fn unify_branch(&self, value: &Value, other: &Expr, scope: Scope<'_, 'p>) -> Option<Value> {
        if value.is_unknown() || value.is_null() {
            return None;
        }
        let other = match &other.kind {
            ExprKind::Null | ExprKind::Error => return None,
            _ => self.eval(other, scope),
        };
        if other.is_unknown()
            || other.is_null()
            || std::mem::discriminant(&other.data) == std::mem::discriminant(&value.data)
                && value.as_items().is_none()
                && value.as_mapping().is_none()
        {
            return None;
        }
        let unified = types::unify(&[value.clone(), other])?;
        types::convert(value.clone(), &unified).ok()
    }

    fn call(&self, name: &Ident, arguments: &[Expr], expand_last: bool, scope: Scope<'_, 'p>, site: Site) -> Value {
        let mut values = Vec::with_capacity(arguments.len());
        for (index, argument) in arguments.iter().enumerate() {
            let value = self.eval(argument, scope);
            if expand_last && index + 1 == arguments.len() {
                match value.as_items() {
                    Some(items) => values.extend(items.iter().cloned()),
                    None if value.is_unknown() => return derived(&value).with_origin(Origin::Site(site)),
                    None => return invalid(format!("`...` needs a list, not {}", value.kind_name()), site),
                }
            } else {
                values.push(value);
            }
        }
        let host = FunctionHost { evaluator: self, scope };
        let references: Vec<Reference> = values.iter().flat_map(known_references).collect();
        let result = functions::call(&name.text, values, &host);
        let origin = match &result.origin {
            Origin::None => carry_references(Origin::Site(site), references, site),
            _ => result.origin.clone().carried(HopKind::Function(name.text.clone()), site),
        };
        result.with_origin(origin)
    }

    /// Applies the steps behind a splat to each element. What is no list counts as a list of one, and null as an empty one.
    fn splat(&self, base: &Value, steps: &[SplatStep], scope: Scope<'_, 'p>, site: Site) -> Value {
        let apply = |element: &Value| {
            let mut value = element.clone();
            for step in steps {
                value = match step {
                    SplatStep::Attribute(name) => self.attribute(&value, &name.text, site),
                    SplatStep::Index(key) => self.index(&value, &self.eval(key, scope), site),
                    SplatStep::Splat { steps, .. } => {
                        stacker::maybe_grow(STACK_LEFT, STACK_ADDED, || self.splat(&value, steps, scope, site))
                    }
                };
            }
            value
        };
        let items: Vec<Value> = match &base.data {
            Data::Null => Vec::new(),
            Data::Unknown(_) => return derived(base).with_origin(Origin::Site(site)),
            _ => match base.as_items() {
                Some(items) if self.spend(items.len() as u64) => items.iter().map(apply).collect(),
                Some(_) => return self.out_of("evaluation steps").with_origin(Origin::Site(site)),
                None => vec![apply(base)],
            },
        };
        Value { data: Data::Tuple(Arc::new(items)), origin: Origin::Site(site), sensitive: base.sensitive }
    }

    fn for_tuple(&self, walk: &ForTuple, scope: Scope<'_, 'p>, site: Site) -> Value {
        let collection = &self.eval(&walk.collection, scope);
        let variables = ForVariables { key: walk.key.as_ref(), value: &walk.value, condition: walk.condition.as_ref() };
        let mut result = Vec::new();
        let done = self.each_element(collection, variables, scope, site, &mut |scope, kept| {
            match kept {
                Kept::Yes => result.push(self.eval(&walk.body, scope)),
                Kept::No => {}
                Kept::Unknown(cause) => return Some(derived(&cause)),
            }
            None
        });
        match done {
            Some(unknown) => unknown.with_origin(Origin::Site(site)),
            None => Value { data: Data::Tuple(Arc::new(result)), origin: Origin::Site(site), sensitive: collection.sensitive },
        }
    }

    fn for_object(&self, walk: &ForObject, scope: Scope<'_, 'p>, site: Site) -> Value {
        let collection = &self.eval(&walk.collection, scope);
        let variables = ForVariables { key: walk.key.as_ref(), value: &walk.value, condition: walk.condition.as_ref() };
        let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
        let mut groups: std::collections::BTreeMap<Arc<str>, Vec<Value>> = std::collections::BTreeMap::new();
        let mut seen: std::collections::HashSet<Arc<str>> = std::collections::HashSet::new();
        let done = self.each_element(collection, variables, scope, site, &mut |scope, kept| {
            match kept {
                Kept::Yes => {}
                Kept::No => return None,
                Kept::Unknown(cause) => return Some(derived(&cause)),
            }
            let key = self.eval(&walk.body_key, scope);
            let Some(key) = types::to_text(&key) else {
                return Some(if key.is_unknown() { keyed_by_unknown(&key) } else { invalid("a key must be a text".to_owned(), site) });
            };
            let value = self.eval(&walk.body, scope);
            if walk.grouped {
                groups.entry(key).or_default().push(value);
            } else if seen.insert(key.clone()) {
                entries.push((key, value));
            } else {
                return Some(invalid(format!("two elements have the key \"{key}\"; `...` would group them"), site));
            }
            None
        });
        if let Some(unknown) = done {
            return unknown.with_origin(Origin::Site(site));
        }
        let mapping: Mapping = if walk.grouped {
            groups.into_iter().map(|(key, values)| (key, Value::at(Data::Tuple(Arc::new(values)), site))).collect()
        } else {
            entries.into_iter().collect()
        };
        Value { data: Data::Object(Arc::new(mapping)), origin: Origin::Site(site), sensitive: collection.sensitive }
    }

    /// Walks a collection, binding the `for` variables; stops with the value that `visit` gives.
    fn each_element(
        &self,
        collection: &Value,
        variables: ForVariables<'_>,
        scope: Scope<'_, 'p>,
        site: Site,
        visit: &mut dyn FnMut(Scope<'_, 'p>, Kept) -> Option<Value>,
    ) -> Option<Value> {
        let elements = match elements_of(collection) {
            Ok(elements) => elements,
            Err(Some(unknown)) => return Some(unknown),
            Err(None) => return Some(invalid(format!("`for` can't walk {}", collection.kind_name()), site)),
        };
        for (key, value) in elements {
            if !self.spend(1) {
                return Some(self.out_of("evaluation steps"));
            }
            let stop = {
                let value_binding = scope.bind(variables.value.text.clone(), value);
                let inner = scope.with(&value_binding);
                match variables.key {
                    Some(name) => {
                        let key_binding = inner.bind(name.text.clone(), key);
                        self.visit_kept(variables.condition, inner.with(&key_binding), visit)
                    }
                    None => self.visit_kept(variables.condition, inner, visit),
                }
            };
            if stop.is_some() {
                return stop;
            }
        }
        None
    }

    fn visit_kept(
        &self,
        condition: Option<&Expr>,
        scope: Scope<'_, 'p>,
        visit: &mut dyn FnMut(Scope<'_, 'p>, Kept) -> Option<Value>,
    ) -> Option<Value> {
        let kept = match condition {
            None => Kept::Yes,
            Some(condition) => {
                let value = self.eval(condition, scope);
                match operators::truth(&value) {
                    Some(true) => Kept::Yes,
                    Some(false) => Kept::No,
                    None if value.is_unknown() => Kept::Unknown(value),
                    None => Kept::Unknown(invalid("an `if` must be true or false".to_owned(), scope.site(condition.range))),
                }
            }
        };
        visit(scope, kept)
    }
}

/// The variables and the filter of a `for`.
#[derive(Clone, Copy)]
struct ForVariables<'e> {
    key: Option<&'e Ident>,
    value: &'e Ident,
    condition: Option<&'e Expr>,
}

/// Whether a `for`'s `if` keeps an element.
enum Kept {
    Yes,
    No,
    Unknown(Value),
}

/// Keys and values of a collection. `Err(Some)`: it is unknown; `Err(None)`: it is no collection.
pub(super) fn elements_of(collection: &Value) -> Result<Vec<(Value, Value)>, Option<Value>> {
    match &collection.data {
        Data::List(items) | Data::Tuple(items) => {
            Ok(items.iter().enumerate().map(|(index, item)| (Value::int(index as i64), item.clone())).collect())
        }
        Data::Set(items) => Ok(items.iter().map(|item| (item.clone(), item.clone())).collect()),
        Data::Map(mapping) | Data::Object(mapping) => {
            let key = |name: &Arc<str>| Value::string(name.clone()).with_origin(collection.origin.clone());
            Ok(mapping.iter().map(|(name, value)| (key(name), value.clone())).collect())
        }
        Data::Unknown(_) => Err(Some(derived(collection))),
        _ => Err(None),
    }
}

/// A value that Terraform would refuse to compute.
pub(super) fn invalid(message: String, site: Site) -> Value {
    Value::unknown(Reason::Invalid { message: message.into() }).with_origin(Origin::Site(site))
}

/// A value made from an unknown one in a way that leaves nothing known about it but what it depends on.
pub(super) fn derived(value: &Value) -> Value {
    let Data::Unknown(unknown) = &value.data else { return value.clone() };
    let plain = Unknown { references: unknown.references.clone(), nullable: unknown.nullable, ..Unknown::new(unknown.reason.clone()) };
    Value { data: Data::Unknown(Arc::new(plain)), origin: value.origin.clone(), sensitive: value.sensitive }
}

/// An object of which not even the keys are known; it is surely not null.
fn keyed_by_unknown(key: &Value) -> Value {
    let mut value = derived(key);
    if let Data::Unknown(unknown) = &mut value.data {
        Arc::make_mut(unknown).nullable = false;
    }
    value
}

/// What a conditional gives whose condition isn't known.
fn either(condition: &Value, branches: [Value; 2], site: Site) -> Value {
    let Data::Unknown(cause) = &condition.data else { return condition.clone() };
    if branches[0].is_wholly_known() && branches[0] == branches[1] {
        return branches[0].clone();
    }
    let mut unknown = Unknown::new(cause.reason.clone());
    let mut candidates = Some(Vec::new());
    for branch in &branches {
        unknown.nullable |= branch.is_null();
        unknown.references.extend(known_references(branch));
        match &branch.data {
            Data::Unknown(inner) => {
                unknown.nullable |= inner.nullable;
                unknown.references.extend(inner.references.iter().cloned());
                candidates = match candidates {
                    Some(mut all) if !inner.candidates.is_empty() => {
                        all.extend(inner.candidates.iter().cloned());
                        Some(all)
                    }
                    // Fragments are as good as a candidate: they can be compared with.
                    Some(mut all) if !inner.fragments.is_empty() => {
                        all.push(branch.clone());
                        Some(all)
                    }
                    _ => None,
                };
            }
            _ => {
                if let Some(all) = &mut candidates {
                    all.push(branch.clone());
                }
            }
        }
    }
    unknown.references.sort();
    unknown.references.dedup();
    unknown.candidates = candidates.filter(|all| all.len() <= limits::CANDIDATES).unwrap_or_default();
    let sensitive = condition.sensitive || branches.iter().any(|branch| branch.sensitive);
    Value { data: Data::Unknown(Arc::new(unknown)), origin: Origin::Site(site), sensitive }
}

/// The resources that a known value was made from.
pub(super) fn known_references(value: &Value) -> Vec<Reference> {
    let resource = |kind: &HopKind| match kind {
        HopKind::Resource { address, attribute } => Some(Reference { address: address.clone(), attribute: attribute.clone() }),
        _ => None,
    };
    value.origin.hops().filter_map(|hop| resource(&hop.kind)).collect()
}

/// Wraps an origin so that links to these resources survive in a value that was computed from theirs.
pub(super) fn carry_references(origin: Origin, references: Vec<Reference>, site: Site) -> Origin {
    references
        .into_iter()
        .fold(origin, |origin, Reference { address, attribute }| origin.carried(HopKind::Resource { address, attribute }, site))
}
