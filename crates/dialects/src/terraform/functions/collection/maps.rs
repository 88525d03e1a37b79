//! Functions of maps and objects.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Value};

use super::{make_room, one_of};
use crate::terraform::functions::{Call, Failure, Outcome, invalid, known_items, known_text, list, map as map_of};
use crate::terraform::types::{self, Type, kind_of, type_of_within};

/// How much of a map's elements is looked at to find their type.
const TYPED_NODES: usize = 256;

fn entries<'a>(value: &'a Value, what: &str) -> Result<&'a Arc<Mapping>, Failure> {
    match &value.data {
        Data::Map(entries) | Data::Object(entries) => Ok(entries),
        Data::Unknown(_) => Err(Failure::NotKnown),
        _ => invalid(format!("{what} must be a map or object, not {}", kind_of(value))),
    }
}

/// A list for a map, a tuple for an object.
fn sequence_like(source: &Value, items: Vec<Value>) -> Value {
    if matches!(source.data, Data::Map(_)) { list(items) } else { Value::tuple(items) }
}

pub(super) fn keys(call: &Call<'_>) -> Outcome {
    let source = call.value(0);
    let names = entries(source, "the argument")?.iter().map(|(name, _)| Value::string(name.clone()));
    Ok(sequence_like(source, names.collect()))
}

pub(super) fn values(call: &Call<'_>) -> Outcome {
    let source = call.value(0);
    let values = entries(source, "the argument")?.iter().map(|(_, value)| value.clone());
    Ok(sequence_like(source, values.collect()))
}

pub(super) fn lookup(call: &Call<'_>) -> Outcome {
    let source = call.value(0);
    let entries = entries(source, "the first argument")?;
    let mut default = match call.rest(2) {
        [] => None,
        [default] => Some(default.clone()),
        _ => return invalid("takes two or three arguments"),
    };
    if let (Some(given), Data::Map(_), false) = (&default, &source.data, entries.is_empty())
        && let Type::Map(element) = type_of_within(source, TYPED_NODES)
    {
        let converted = types::convert(given.clone(), &element);
        default = Some(converted.map_err(|message| Failure::Invalid(format!("the default doesn't fit the map: {message}")))?);
    }
    let key = call.value(1);
    if key.is_unknown() {
        return one_of(call, key, entries.iter().map(|(_, value)| value.clone()).chain(default).collect());
    }
    let key = known_text(key)?;
    match (entries.get(key), default) {
        (Some(value), _) => Ok(value.clone()),
        (None, Some(default)) => Ok(default),
        (None, None) => invalid(format!("there is no key \"{key}\", and no default is given")),
    }
}

/// `map(k, v, …)` was removed from Terraform in favour of `tomap({k = v})`; old configurations have it.
pub(super) fn map(call: &Call<'_>) -> Outcome {
    let arguments = call.rest(0);
    if !arguments.len().is_multiple_of(2) {
        return invalid("takes keys and values in turn, so an even number of arguments");
    }
    let mut entries = Vec::with_capacity(arguments.len() / 2);
    for pair in arguments.chunks_exact(2) {
        let key = types::convert(pair[0].clone(), &Type::String).map_err(Failure::Invalid)?;
        entries.push((Arc::from(known_text(&key)?), pair[1].clone()));
    }
    types::convert(Value::object(entries), &Type::map(Type::Any)).map_err(Failure::Invalid)
}

pub(super) fn merge(call: &Call<'_>) -> Outcome {
    let arguments = call.rest(0);
    for argument in arguments {
        if !matches!(argument.data, Data::Map(_) | Data::Object(_) | Data::Null | Data::Unknown(_)) {
            return invalid(format!("all arguments must be maps or objects, not {}", kind_of(argument)));
        }
    }
    let given: Vec<&Value> = arguments.iter().filter(|argument| !argument.is_null()).collect();
    if let [only] = given.as_slice() {
        return Ok((*only).clone());
    }
    let mut total = Vec::new();
    for argument in &given {
        let entries = entries(argument, "each argument")?;
        make_room(call, total.len() + entries.len())?;
        total.extend(entries.iter().map(|(name, value)| (name.clone(), value.clone())));
    }
    let maps_of_one_type = !given.is_empty() && given.iter().all(|argument| matches!(argument.data, Data::Map(_))) && {
        let types: Vec<Type> = given
            .iter()
            .filter(|argument| argument.as_mapping().is_some_and(|m| !m.is_empty()))
            .map(|argument| type_of_within(argument, TYPED_NODES))
            .collect();
        types.windows(2).all(|pair| pair[0] == pair[1])
    };
    Ok(if maps_of_one_type { map_of(total) } else { Value::object(total) })
}

pub(super) fn transpose(call: &Call<'_>) -> Outcome {
    let mut names_by_element: BTreeMap<Arc<str>, Vec<Value>> = BTreeMap::new();
    for (name, elements) in entries(call.value(0), "the argument")?.iter() {
        if elements.is_null() {
            return invalid(format!("the list of \"{name}\" must not be null"));
        }
        let elements = known_items(elements, || format!("the value of \"{name}\""))?;
        call.spend(elements.len() as u64)?;
        for element in elements {
            names_by_element.entry(known_text(element)?.into()).or_default().push(Value::string(name.clone()));
        }
    }
    let transposed = names_by_element.into_iter().map(|(element, mut names)| {
        names.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
        (element, list(names))
    });
    Ok(map_of(transposed))
}

pub(super) fn zipmap(call: &Call<'_>) -> Outcome {
    let names = call.items(0)?;
    let source = call.value(1);
    let (Data::List(values) | Data::Tuple(values)) = &source.data else {
        return invalid(format!("the values must be a list or tuple, not {}", kind_of(source)));
    };
    if names.len() != values.len() {
        return invalid(format!("there must be as many values as keys, but there are {} and {}", values.len(), names.len()));
    }
    let mut entries = Vec::with_capacity(names.len());
    for (name, value) in names.iter().zip(values.iter()) {
        entries.push((Arc::from(known_text(name)?), value.clone()));
    }
    // Which keys there are is secret where one of them is.
    let sensitive = names.iter().any(|name| name.sensitive);
    let zipped = if matches!(source.data, Data::List(_)) { map_of(entries) } else { Value::object(entries) };
    Ok(Value { sensitive, ..zipped })
}
