//! Parameters: what a template is given from outside.
//!
//! Source: AWS CloudFormation User Guide, "CloudFormation template Parameters syntax".

use std::sync::Arc;

use keyblind_resource::{Data, Origin, Reason, Unknown, Value};

use super::evaluate::{Evaluator, Scope, invalid};
use super::node::Node;
use crate::limits;
use crate::terraform::types;

impl<'n> Evaluator<'n> {
    /// The value of a parameter that the template declares: what the stack around it hands over, else its default.
    pub(super) fn parameter(&self, name: &Arc<str>) -> Value {
        if let Some(value) = self.values_of_parameters.borrow().get(name) {
            return value.clone();
        }
        let value = match self.parameters.get(&**name) {
            Some(member) => {
                let origin = Origin::Site(self.site(member.key_range));
                let mut value = self.compute_parameter(name, &member.value);
                if matches!(value.origin, Origin::None) {
                    value = value.with_origin(origin);
                }
                value.sensitive |= member.value.get("NoEcho").is_some_and(Node::is_true);
                value
            }
            None => Value::unknown(Reason::Undeclared { name: name.clone() }),
        };
        self.values_of_parameters.borrow_mut().insert(name.clone(), value.clone());
        value
    }

    fn compute_parameter(&self, name: &Arc<str>, declaration: &'n Node) -> Value {
        let type_name = declaration.get("Type").and_then(Node::text).map_or("String", |text| text);
        let is_list = type_name == "CommaDelimitedList" || type_name.starts_with("List<");
        let default = declaration.get("Default");
        let given = self.stack.given(name).filter(|value| !value.is_null());
        if type_name.starts_with("AWS::SSM::Parameter::Value") {
            let given = given.as_ref().map(|given| given.as_str().map(Arc::from));
            let what = match given.unwrap_or_else(|| default.and_then(Node::text).cloned()) {
                Some(path) => format!("the value of the SSM parameter `{path}`"),
                None => format!("the value of the SSM parameter that `{name}` names"),
            };
            return Value::unknown(Reason::DeployTime { what: what.into() });
        }
        if let Some(given) = given {
            return of_type(given, is_list, &format!("what parameter `{name}` is given"));
        }
        let no_value = || Unknown::new(Reason::NoParameter { parameter: name.clone() });
        let Some(default) = default else {
            let candidates = if is_list { Vec::new() } else { self.allowed_values(declaration) };
            return match <[Value; 1]>::try_from(candidates) {
                Ok([only]) => only,
                Err(candidates) => Value::new(Data::Unknown(Arc::new(Unknown { candidates, ..no_value() }))),
            };
        };
        let value = self.eval(default, &Scope::default());
        of_type(value, is_list, &format!("the default of parameter `{name}`"))
    }

    /// The values that a parameter may have, if they are few.
    fn allowed_values(&self, declaration: &'n Node) -> Vec<Value> {
        let allowed = declaration.get("AllowedValues").map(Node::items).unwrap_or_default();
        if allowed.len() > limits::CANDIDATES {
            return Vec::new();
        }
        let values: Vec<Value> = allowed.iter().map(|value| self.eval(value, &Scope::default())).collect();
        if values.iter().all(|value| types::to_text(value).is_some()) { values } else { Vec::new() }
    }
}

/// A value as one of the parameter's type: a text, or the parts of one.
fn of_type(value: Value, is_list: bool, what: &str) -> Value {
    let origin = value.origin.clone();
    match (types::to_text(&value), is_list) {
        (Some(text), true) => {
            let parts = text.split(',').map(str::trim).filter(|_| !text.is_empty());
            let items: Vec<Value> =
                parts.map(|part| Value { sensitive: value.sensitive, ..Value::string(part).with_origin(origin.clone()) }).collect();
            Value { sensitive: value.sensitive, ..Value::new(Data::Tuple(Arc::new(items))).with_origin(origin) }
        }
        (Some(_), false) => value,
        (None, _) if value.is_unknown() || value.as_items().is_some() && is_list => value,
        (None, _) => invalid(format!("{what} is {}", value.kind_name())).with_origin(origin),
    }
}
