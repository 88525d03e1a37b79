//! Conversion of values to type constraints, and the defaults of optional attributes.

use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Unknown, Value};

use super::unify::{type_of, unify_types};
use super::{MAX_DEPTH, ObjectAttribute, Type, kind_of, make_set, parse_number, to_text};

/// Converts a value as Terraform does for variables, function arguments and the `to…` functions.
///
/// Every element keeps its origin. What is unknown stays unknown; of candidates those stay that can be converted.
///
/// # Errors
/// Says what was required instead of what is there.
pub(crate) fn convert(value: Value, ty: &Type) -> Result<Value, String> {
    at_depth(value, ty, 0)
}

fn at_depth(value: Value, ty: &Type, depth: usize) -> Result<Value, String> {
    if depth > MAX_DEPTH {
        return Err(format!("the value is nested deeper than {MAX_DEPTH} levels"));
    }
    if let Type::Any = ty {
        return Ok(value);
    }
    let Value { data, origin, sensitive } = value;
    let data = match (data, ty) {
        (Data::Null, _) => Data::Null,
        (Data::Unknown(unknown), _) => Data::Unknown(unknown_to(unknown, ty, depth)?),
        (data @ Data::Bool(_), Type::Bool) | (data @ Data::Number(_), Type::Number) | (data @ Data::String(_), Type::String) => data,
        (data, Type::Bool | Type::Number | Type::String) => primitive(data, ty)?,
        (Data::List(items) | Data::Set(items) | Data::Tuple(items), Type::List(element)) => {
            Data::List(Arc::new(elements(items, element, "list", depth)?))
        }
        (Data::List(items) | Data::Set(items) | Data::Tuple(items), Type::Set(element)) => {
            Data::Set(Arc::new(make_set(elements(items, element, "set", depth)?)))
        }
        (Data::Map(entries) | Data::Object(entries), Type::Map(element)) => {
            let (names, values): (Vec<_>, Vec<_>) = entries.iter().map(|(name, value)| (name.clone(), value.clone())).unzip();
            let values = elements(Arc::new(values), element, "map", depth)?;
            Data::Map(Arc::new(names.into_iter().zip(values).collect()))
        }
        (Data::Tuple(items), Type::Tuple(types)) => {
            if items.len() != types.len() {
                return Err(format!("a tuple of {} elements is required, but there are {}", types.len(), items.len()));
            }
            let converted =
                items.iter().zip(types).enumerate().map(|(index, (item, ty))| {
                    at_depth(item.clone(), ty, depth + 1).map_err(|message| format!("element {index}: {message}"))
                });
            Data::Tuple(Arc::new(converted.collect::<Result<_, _>>()?))
        }
        (Data::Map(entries) | Data::Object(entries), Type::Object(attributes)) => object(&entries, attributes, depth)?,
        (data, _) => return Err(mismatch(&Value { data, origin, sensitive }, ty)),
    };
    Ok(Value { data, origin, sensitive })
}

fn mismatch(value: &Value, ty: &Type) -> String {
    format!("{} required, but there is {}", ty.friendly_name(), kind_of(value))
}

fn primitive(data: Data, ty: &Type) -> Result<Data, String> {
    match (&data, ty) {
        (Data::Bool(_) | Data::Number(_), Type::String) => Ok(to_text(&Value::new(data)).map_or(Data::Null, Data::String)),
        (Data::String(text), Type::Number) => parse_number(text).map(Data::Number).ok_or_else(|| "a number is required".to_owned()),
        (Data::String(text), Type::Bool) => match &**text {
            "true" | "1" => Ok(Data::Bool(true)),
            "false" | "0" => Ok(Data::Bool(false)),
            _ => Err("a bool is required; of texts only \"true\" and \"false\" can be converted".to_owned()),
        },
        _ => Err(mismatch(&Value::new(data), ty)),
    }
}

fn unknown_to(unknown: Arc<Unknown>, ty: &Type, depth: usize) -> Result<Arc<Unknown>, String> {
    let text_stays = matches!(ty, Type::String);
    let drops_text = !text_stays && (unknown.document.is_some() || !unknown.fragments.is_empty());
    if unknown.candidates.is_empty() && !drops_text {
        return Ok(unknown);
    }
    let mut converted = Unknown::clone(&unknown);
    if drops_text {
        converted.document = None;
        converted.fragments = Vec::new();
    }
    let mut failure = None;
    converted.candidates = Vec::with_capacity(unknown.candidates.len());
    for candidate in &unknown.candidates {
        match at_depth(candidate.clone(), ty, depth + 1) {
            Ok(candidate) => converted.candidates.push(candidate),
            Err(message) => failure = Some(message),
        }
    }
    match failure {
        Some(message) if converted.candidates.is_empty() => Err(message),
        _ => Ok(Arc::new(converted)),
    }
}

/// The elements of a collection in one type: the wanted one, or where that says `any` one they agree on.
fn elements(items: Arc<Vec<Value>>, element: &Type, collection: &str, depth: usize) -> Result<Vec<Value>, String> {
    let mut items = match element {
        Type::Any => Arc::unwrap_or_clone(items),
        _ => items
            .iter()
            .enumerate()
            .map(|(index, item)| at_depth(item.clone(), element, depth + 1).map_err(|message| format!("element {index}: {message}")))
            .collect::<Result<Vec<_>, _>>()?,
    };
    if !element.has_any() || items.is_empty() {
        return Ok(items);
    }
    let types: Vec<Type> = items.iter().map(type_of).collect();
    let disagree = || format!("all elements of a {collection} must have the same type");
    let common = unify_types(&types).ok_or_else(disagree)?;
    if matches!(common, Type::Any) && !items.iter().any(Value::is_unknown) && !all_alike(&types) {
        return Err(disagree());
    }
    if types.iter().any(|ty| *ty != common) {
        items = items.into_iter().map(|item| at_depth(item, &common, depth + 1).map_err(|_| disagree())).collect::<Result<_, _>>()?;
    }
    Ok(items)
}

/// Whether the types that are known are all the same.
fn all_alike(types: &[Type]) -> bool {
    let mut known = types.iter().filter(|ty| **ty != Type::Any);
    known.next().is_none_or(|first| known.all(|ty| ty == first))
}

fn object(entries: &Mapping, attributes: &[(Arc<str>, ObjectAttribute)], depth: usize) -> Result<Data, String> {
    let mut result = Vec::with_capacity(attributes.len());
    for (name, attribute) in attributes {
        let value = match entries.get(name) {
            Some(value) => at_depth(value.clone(), &attribute.ty, depth + 1).map_err(|message| format!("attribute {name}: {message}"))?,
            None if attribute.optional => Value::null(),
            None => return Err(format!("attribute {name} is required")),
        };
        result.push((name.clone(), value));
    }
    Ok(Data::Object(Arc::new(result.into_iter().collect())))
}

/// Fills in the defaults of optional attributes, also within collections; Terraform does it before it converts.
pub(crate) fn apply_defaults(value: Value, ty: &Type) -> Value {
    if !has_default(ty) { value } else { with_defaults(value, ty, 0) }
}

fn has_default(ty: &Type) -> bool {
    match ty {
        Type::Any | Type::Bool | Type::Number | Type::String => false,
        Type::List(element) | Type::Set(element) | Type::Map(element) => has_default(element),
        Type::Tuple(items) => items.iter().any(has_default),
        Type::Object(attributes) => attributes.iter().any(|(_, attribute)| attribute.default.is_some() || has_default(&attribute.ty)),
    }
}

fn with_defaults(value: Value, ty: &Type, depth: usize) -> Value {
    if depth > MAX_DEPTH || !has_default(ty) {
        return value;
    }
    let each = |items: Arc<Vec<Value>>, element: &Type| -> Arc<Vec<Value>> {
        Arc::new(items.iter().map(|item| with_defaults(item.clone(), element, depth + 1)).collect())
    };
    let Value { data, origin, sensitive } = value;
    let data = match (data, ty) {
        (Data::List(items), Type::List(element) | Type::Set(element)) => Data::List(each(items, element)),
        (Data::Set(items), Type::List(element) | Type::Set(element)) => Data::Set(each(items, element)),
        (Data::Tuple(items), Type::List(element) | Type::Set(element)) => Data::Tuple(each(items, element)),
        (Data::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => {
            Data::Tuple(Arc::new(items.iter().zip(types).map(|(item, ty)| with_defaults(item.clone(), ty, depth + 1)).collect()))
        }
        (Data::Map(entries), Type::Map(element)) => Data::Map(entries_with_defaults(&entries, element, depth)),
        (Data::Object(entries), Type::Map(element)) => Data::Object(entries_with_defaults(&entries, element, depth)),
        (Data::Map(entries) | Data::Object(entries), Type::Object(attributes)) => {
            let mut entries = Arc::unwrap_or_clone(entries);
            for (name, attribute) in attributes {
                let given = entries.remove(name);
                let chosen = match (given, &attribute.default) {
                    (None, Some(default)) => default.clone(),
                    (Some(given), Some(default)) if given.is_null() => default.clone(),
                    (Some(given), _) => given,
                    (None, None) => continue,
                };
                entries.insert(name.clone(), with_defaults(chosen, &attribute.ty, depth + 1));
            }
            Data::Object(Arc::new(entries))
        }
        (Data::Unknown(unknown), _) if !unknown.candidates.is_empty() => {
            let mut unknown = Arc::unwrap_or_clone(unknown);
            unknown.candidates = unknown.candidates.into_iter().map(|candidate| with_defaults(candidate, ty, depth + 1)).collect();
            Data::Unknown(Arc::new(unknown))
        }
        (data, _) => data,
    };
    Value { data, origin, sensitive }
}

fn entries_with_defaults(entries: &Mapping, element: &Type, depth: usize) -> Arc<Mapping> {
    Arc::new(entries.iter().map(|(name, value)| (name.clone(), with_defaults(value.clone(), element, depth + 1))).collect())
}
