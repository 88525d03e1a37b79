//! Conditions, three-valued: what can be said without knowing all is said.

use std::sync::Arc;

use keyblind_resource::{Data, Origin, Reason, Unknown, Value};
use keyblind_syntax::Site;

use super::evaluate::{Evaluator, Scope, invalid};
use super::node::{Kind, Node};
use crate::limits;
use crate::terraform::evaluate::operators::fragments_can_be;
use crate::terraform::functions::unknowns;
use crate::terraform::types;

/// Whether a condition holds.
#[derive(Clone)]
pub(super) enum Truth {
    Known(bool),
    Unknown(Arc<Unknown>),
}

impl Truth {
    pub(super) fn is(&self, value: bool) -> bool {
        matches!(self, Self::Known(known) if *known == value)
    }

    pub(super) fn into_value(self) -> Value {
        match self {
            Self::Known(value) => Value::bool(value),
            Self::Unknown(unknown) => Value::new(Data::Unknown(unknown)),
        }
    }

    fn not(self) -> Self {
        match self {
            Self::Known(value) => Self::Known(!value),
            unknown => unknown,
        }
    }
}

fn wrong(message: impl Into<Arc<str>>) -> Truth {
    truth_of(&invalid(message))
}

/// A value as a condition.
fn truth_of(value: &Value) -> Truth {
    match &value.data {
        Data::Bool(value) => Truth::Known(*value),
        Data::String(text) if text.eq_ignore_ascii_case("true") => Truth::Known(true),
        Data::String(text) if text.eq_ignore_ascii_case("false") => Truth::Known(false),
        Data::Unknown(unknown) => Truth::Unknown(unknown.clone()),
        _ => wrong(format!("a condition must be true or false, not {}", value.kind_name())),
    }
}

impl<'n> Evaluator<'n> {
    /// Whether the condition of that name holds.
    pub(super) fn condition(&self, name: &Arc<str>) -> Truth {
        if let Some(decided) = self.decided.borrow().get(name) {
            return decided.clone().unwrap_or_else(|| truth_of(&Value::unknown(Reason::Cycle { name: name.clone() })));
        }
        let Some((node, scope)) = self.conditions.get(name) else {
            return truth_of(&Value::unknown(Reason::Undeclared { name: format!("condition {name}").into() }));
        };
        self.decided.borrow_mut().insert(name.clone(), None);
        let truth = self.truth(node, scope);
        self.decided.borrow_mut().insert(name.clone(), Some(truth.clone()));
        truth
    }

    /// Whether what stands where a condition is expected holds.
    pub(super) fn truth(&self, node: &'n Node, scope: &Scope) -> Truth {
        let value = self.within_bounds(node.range, || match (&node.kind, node.members()) {
            // Only here is that a call: in a policy document it is a statement's condition.
            (Kind::Object(_), [member]) if &*member.key == "Condition" => self.named(&member.value, scope).into_value(),
            _ => self.eval(node, scope),
        });
        truth_of(&value)
    }

    fn named(&self, node: &'n Node, scope: &Scope) -> Truth {
        match self.name(node, scope) {
            Ok(name) => self.condition(&name),
            Err(unknown) => truth_of(&unknown),
        }
    }

    pub(super) fn truth_of_call(&self, name: &str, argument: &'n Node, scope: &Scope) -> Truth {
        let items = argument.items();
        match (name, items) {
            ("Condition", _) => self.named(argument, scope),
            ("Fn::Not", [inner]) => self.truth(inner, scope).not(),
            ("Fn::And", [_, ..]) => self.all(items, scope, true),
            ("Fn::Or", [_, ..]) => self.all(items, scope, false),
            ("Fn::Equals", [a, b]) => {
                let (a, b) = (self.eval(a, scope), self.eval(b, scope));
                match equal(&a, &b) {
                    Some(equal) => Truth::Known(equal),
                    None => Truth::Unknown(Arc::new(unknowns::merged(&[a, b]))),
                }
            }
            _ => wrong(format!("`{name}` has not the arguments that it needs")),
        }
    }

    /// Whether all hold (`unless` true), or one does (false).
    fn all(&self, items: &'n [Node], scope: &Scope, unless: bool) -> Truth {
        let mut open = None;
        for item in items {
            match self.truth(item, scope) {
                Truth::Known(value) if value != unless => return Truth::Known(!unless),
                Truth::Known(_) => {}
                unknown => {
                    open.get_or_insert(unknown);
                }
            }
        }
        open.unwrap_or(Truth::Known(unless))
    }

    /// `Fn::If: [condition, value, value]`; where the condition isn't known, it is one of both.
    pub(super) fn choose(&self, argument: &'n Node, scope: &Scope, site: Site) -> Value {
        let [condition, then, otherwise] = argument.items() else {
            return invalid("`Fn::If` needs a condition and two values").with_origin(Origin::Site(site));
        };
        let truth = match condition.kind {
            Kind::Text(_) => self.named(condition, scope),
            _ => self.truth(condition, scope),
        };
        match truth {
            Truth::Known(true) => self.eval(then, scope),
            Truth::Known(false) => self.eval(otherwise, scope),
            Truth::Unknown(cause) => either(&cause, [self.eval(then, scope), self.eval(otherwise, scope)], site),
        }
    }
}

/// One of two values.
fn either(cause: &Unknown, branches: [Value; 2], site: Site) -> Value {
    let [then, otherwise] = &branches;
    if then.is_wholly_known() && then == otherwise {
        return then.clone();
    }
    let mut unknown = Unknown { references: cause.references.clone(), ..Unknown::new(cause.reason.clone()) };
    for branch in &branches {
        unknown.nullable |= branch.is_null();
        match branch.as_unknown() {
            Some(inner) => {
                unknown.nullable |= inner.nullable;
                unknown.references.extend(inner.references.iter().cloned());
                if inner.candidates.is_empty() {
                    unknown.candidates.push(branch.clone());
                } else {
                    unknown.candidates.extend(inner.candidates.iter().cloned());
                }
            }
            None => unknown.candidates.push(branch.clone()),
        }
    }
    unknown.references.sort();
    unknown.references.dedup();
    if unknown.candidates.len() > limits::CANDIDATES {
        unknown.candidates.clear();
    }
    let sensitive = branches.iter().any(|branch| branch.sensitive);
    Value { data: Data::Unknown(Arc::new(unknown)), origin: Origin::Site(site), sensitive }
}

/// Whether two values are equal, if that can be said. CloudFormation compares texts; a number or a boolean is one.
fn equal(a: &Value, b: &Value) -> Option<bool> {
    match (&a.data, &b.data) {
        (Data::Unknown(_), Data::Unknown(_)) => None,
        (Data::Unknown(unknown), _) => may_equal(unknown, b),
        (_, Data::Unknown(unknown)) => may_equal(unknown, a),
        _ => match (types::to_text(a), types::to_text(b), a.as_items(), b.as_items()) {
            (Some(a), Some(b), ..) => Some(a == b),
            (_, _, Some(a), Some(b)) if a.len() == b.len() => {
                let mut all = Some(true);
                for (a, b) in a.iter().zip(b) {
                    match equal(a, b) {
                        Some(true) => {}
                        Some(false) => return Some(false),
                        None => all = None,
                    }
                }
                all
            }
            _ => Some(a == b),
        },
    }
}

fn may_equal(unknown: &Unknown, known: &Value) -> Option<bool> {
    let mut candidates = unknown.candidates.iter().map(|candidate| equal(candidate, known));
    if let Some(first) = candidates.next() {
        return if candidates.all(|result| result == first) { first } else { None };
    }
    let text = types::to_text(known)?;
    let is_another = !unknown.fragments.is_empty() && !fragments_can_be(&unknown.fragments, &text);
    is_another.then_some(false)
}
