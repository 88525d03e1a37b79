//! Conversions between types, sensitivity, and what catches errors.

use keyblind_resource::Value;

use super::parameters::Parameter;
use super::{Call, Failure, Function, Outcome, any, invalid, is_sensitive, unknowns};
use crate::terraform::types::{self, Type};

const ANYTHING: Parameter = any("value").or_null().or_unknown();

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("can", &[ANYTHING], can).raw(),
    Function::new("ephemeralasnull", &[ANYTHING], |call| Ok(call.value(0).clone())).raw().shallow(),
    Function::new("issensitive", &[ANYTHING], issensitive).raw().shallow(),
    Function::new("nonsensitive", &[ANYTHING], |call| Ok(Value { sensitive: false, ..call.value(0).clone() })).raw().shallow(),
    Function::new("sensitive", &[ANYTHING], |call| Ok(Value { sensitive: true, ..call.value(0).clone() })).raw().shallow(),
    Function::new("tobool", &[ANYTHING], |call| converted(call, &Type::Bool)).raw(),
    Function::new("tolist", &[ANYTHING], |call| converted(call, &Type::list(Type::Any))).raw(),
    Function::new("tomap", &[ANYTHING], |call| converted(call, &Type::map(Type::Any))).raw(),
    Function::new("tonumber", &[ANYTHING], |call| converted(call, &Type::Number)).raw(),
    Function::new("toset", &[ANYTHING], toset).raw(),
    Function::new("tostring", &[ANYTHING], |call| converted(call, &Type::String)).raw(),
    Function::new("try", &[], r#try).variadic(ANYTHING).raw(),
];

fn converted(call: &Call<'_>, ty: &Type) -> Outcome {
    types::convert(call.value(0).clone(), ty).map_err(Failure::Invalid)
}

/// A set can't say which of its elements are sensitive: it is so as a whole.
fn toset(call: &Call<'_>) -> Outcome {
    let mut value = converted(call, &Type::set(Type::Any))?;
    value.sensitive |= is_sensitive(&value);
    Ok(value)
}

/// Whether a value could be computed at all; that isn't known before all of it is.
fn can(call: &Call<'_>) -> Outcome {
    let value = call.value(0);
    if unknowns::fault(value).is_some() {
        return Ok(Value::bool(false));
    }
    if value.is_wholly_known() { Ok(Value::bool(true)) } else { Err(Failure::NotKnown) }
}

/// The first argument that could be computed. What is merely unknown counts as computed.
fn r#try(call: &Call<'_>) -> Outcome {
    if call.arguments.is_empty() {
        return invalid("at least one argument is needed");
    }
    match call.arguments.iter().find(|argument| unknowns::fault(argument).is_none()) {
        Some(value) => Ok(value.clone()),
        None => invalid("no argument could be evaluated"),
    }
}

fn issensitive(call: &Call<'_>) -> Outcome {
    let value = call.value(0);
    if value.is_unknown() && !value.sensitive {
        return Err(Failure::NotKnown);
    }
    Ok(Value::bool(value.sensitive))
}
