//! Functions of sequences.

use std::collections::HashSet;
use std::sync::Arc;

use keyblind_resource::{Data, Number, Value};
use unicode_segmentation::UnicodeSegmentation;

use super::{make_room, natural, one_of};
use crate::terraform::functions::{Call, Failure, Outcome, invalid, known_items, known_number, list as list_of};
use crate::terraform::types::{self, Type, kind_of};

/// Terraform refuses longer ranges.
const MAX_RANGE: usize = 1024;

pub(super) fn chunklist(call: &Call<'_>) -> Outcome {
    let items = call.items(0)?;
    let size = natural(call, 1)?;
    if items.is_empty() {
        return Ok(list_of(Vec::new()));
    }
    let size = if size == 0 { items.len() } else { size };
    Ok(list_of(items.chunks(size).map(|chunk| list_of(chunk.to_vec())).collect()))
}

pub(super) fn coalesce(call: &Call<'_>) -> Outcome {
    let arguments = call.rest(0);
    if arguments.is_empty() {
        return invalid("at least one argument is needed");
    }
    let Some(ty) = types::unify(arguments) else { return invalid("all arguments must have the same type") };
    for argument in arguments {
        if argument.is_null() {
            continue;
        }
        if argument.is_unknown() {
            return Err(Failure::NotKnown);
        }
        let value = types::convert(argument.clone(), &ty).map_err(Failure::Invalid)?;
        // An empty text is passed over where all arguments are texts.
        if value.as_str() != Some("") || matches!(ty, Type::Any) {
            return Ok(value);
        }
    }
    invalid("no argument is other than null and \"\"")
}

pub(super) fn coalescelist(call: &Call<'_>) -> Outcome {
    let arguments = call.rest(0);
    if arguments.is_empty() {
        return invalid("at least one argument is needed");
    }
    if let Some(other) = arguments.iter().find(|argument| !matches!(argument.data, Data::List(_) | Data::Tuple(_) | Data::Unknown(_))) {
        return invalid(format!("the arguments must be lists or tuples, not {}", kind_of(other)));
    }
    for argument in arguments {
        match argument.as_items() {
            None => return Err(Failure::NotKnown),
            Some([]) => {}
            Some(_) => return Ok(argument.clone()),
        }
    }
    invalid("no list has an element")
}

/// Unknown elements stay: few of them turn out to be null or empty.
pub(super) fn compact(call: &Call<'_>) -> Outcome {
    let kept = call.items(0)?.iter().filter(|item| !item.is_null() && item.as_str() != Some(""));
    Ok(list_of(kept.cloned().collect()))
}

pub(super) fn concat(call: &Call<'_>) -> Outcome {
    let sequences = call.rest(0);
    if sequences.is_empty() {
        return invalid("at least one argument is needed");
    }
    let mut total = Vec::new();
    for sequence in sequences {
        match &sequence.data {
            Data::List(items) | Data::Tuple(items) => {
                make_room(call, total.len() + items.len())?;
                total.extend(items.iter().cloned());
            }
            _ => return invalid(format!("all arguments must be lists or tuples, not {}", kind_of(sequence))),
        }
    }
    if sequences.iter().all(|sequence| matches!(sequence.data, Data::List(_)))
        && let Some(element) = types::unify(&total)
    {
        return types::convert(Value::tuple(total), &Type::list(element)).map_err(Failure::Invalid);
    }
    Ok(Value::tuple(total))
}

pub(super) fn contains(call: &Call<'_>) -> Outcome {
    let items = call.items(0)?;
    let wanted = call.value(1);
    let mut known = true;
    for item in items {
        match types::equal(item, wanted) {
            Some(true) => return Ok(Value::bool(true)),
            Some(false) => {}
            None => known = false,
        }
    }
    if known && !wanted.is_unknown() { Ok(Value::bool(false)) } else { Err(Failure::NotKnown) }
}

pub(super) fn distinct(call: &Call<'_>) -> Outcome {
    let mut seen = HashSet::new();
    let first = call.items(0)?.iter().filter(|item| !item.is_wholly_known() || seen.insert(types::exact_key(item)));
    Ok(list_of(first.cloned().collect()))
}

pub(super) fn element(call: &Call<'_>) -> Outcome {
    let (Data::List(items) | Data::Tuple(items)) = &call.value(0).data else {
        return invalid(format!("elements are taken from a list or tuple, not from {}", kind_of(call.value(0))));
    };
    if items.is_empty() {
        return invalid("an empty list has no element");
    }
    if call.value(1).is_unknown() {
        return one_of(call, call.value(1), items.to_vec());
    }
    Ok(items[natural(call, 1)? % items.len()].clone())
}

pub(super) fn flatten(call: &Call<'_>) -> Outcome {
    let items = known_items(call.value(0), || "the argument".to_owned())?;
    // What stands at the top is usually a list itself: of an unknown one nothing can be said. Further in, an unknown is
    // taken for an element.
    if items.iter().any(Value::is_unknown) {
        return Err(Failure::NotKnown);
    }
    let mut flat = Vec::new();
    let mut open = vec![items.iter()];
    while let Some(walk) = open.last_mut() {
        match walk.next() {
            None => {
                open.pop();
            }
            Some(Value { data: Data::List(inner) | Data::Set(inner) | Data::Tuple(inner), sensitive, .. }) => {
                if *sensitive && !call.value(0).sensitive {
                    // A sensitive list among the elements: what it holds is sensitive too.
                    flat_sensitive(inner, &mut flat, 0)?;
                } else {
                    call.spend(inner.len() as u64)?;
                    open.push(inner.iter());
                }
            }
            Some(item) => {
                if flat.len() == super::MAX_ELEMENTS {
                    make_room(call, flat.len() + 1)?;
                }
                flat.push(item.clone());
            }
        }
    }
    Ok(Value::tuple(flat))
}

fn flat_sensitive(items: &[Value], flat: &mut Vec<Value>, depth: usize) -> Result<(), Failure> {
    if depth > types::MAX_DEPTH {
        return invalid("the list is nested too deep");
    }
    for item in items {
        match &item.data {
            Data::List(inner) | Data::Set(inner) | Data::Tuple(inner) => flat_sensitive(inner, flat, depth + 1)?,
            _ => flat.push(Value { sensitive: true, ..item.clone() }),
        }
    }
    Ok(())
}

pub(super) fn index(call: &Call<'_>) -> Outcome {
    let (Data::List(items) | Data::Tuple(items)) = &call.value(0).data else {
        return invalid(format!("the first argument must be a list or tuple, not {}", kind_of(call.value(0))));
    };
    for (index, item) in items.iter().enumerate() {
        match types::equal(item, call.value(1)) {
            Some(true) => return Ok(Value::new(Data::Number(Number::from(index)))),
            Some(false) => {}
            None => return Err(Failure::NotKnown),
        }
    }
    invalid("the list doesn't hold the value")
}

pub(super) fn length(call: &Call<'_>) -> Outcome {
    let length = match &call.value(0).data {
        Data::String(text) => text.graphemes(true).count(),
        // Unknown elements of a set may turn out to be equal to others.
        Data::Set(items) if items.len() > 1 && !items.iter().all(Value::is_wholly_known) => return Err(Failure::NotKnown),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.len(),
        Data::Map(entries) | Data::Object(entries) => entries.len(),
        _ => return invalid(format!("the argument must be a string, a collection or a structural type, not {}", kind_of(call.value(0)))),
    };
    Ok(Value::new(Data::Number(Number::from(length))))
}

/// `list(a, b)` was removed from Terraform in favour of `tolist([a, b])`; old configurations have it.
pub(super) fn list(call: &Call<'_>) -> Outcome {
    types::convert(Value::tuple(call.rest(0).to_vec()), &Type::list(Type::Any)).map_err(Failure::Invalid)
}

pub(super) fn matchkeys(call: &Call<'_>) -> Outcome {
    let (values, keys, wanted) = (call.items(0)?, call.items(1)?, call.items(2)?);
    if values.len() != keys.len() {
        return invalid(format!("there must be as many keys as values, but there are {} and {}", keys.len(), values.len()));
    }
    let both: Vec<Value> = keys.iter().chain(wanted).cloned().collect();
    let Some(ty) = types::unify(&both) else { return invalid("keys and searchset must have the same type") };
    let mut compared = both.into_iter().map(|key| {
        let key = types::convert(key, &ty).map_err(Failure::Invalid)?;
        if key.is_wholly_known() { Ok(types::exact_key(&key)) } else { Err(Failure::NotKnown) }
    });
    let keys: Vec<Vec<u8>> = compared.by_ref().take(keys.len()).collect::<Result<_, _>>()?;
    let wanted: HashSet<Vec<u8>> = compared.collect::<Result<_, _>>()?;
    let matching = values.iter().zip(keys).filter(|(_, key)| wanted.contains(key));
    Ok(list_of(matching.map(|(value, _)| value.clone()).collect()))
}

pub(super) fn one(call: &Call<'_>) -> Outcome {
    match known_items(call.value(0), || "the argument".to_owned())? {
        [] => Ok(Value::null()),
        [only] => Ok(only.clone()),
        items if matches!(call.value(0).data, Data::Set(_)) && !items.iter().all(Value::is_wholly_known) => Err(Failure::NotKnown),
        items => invalid(format!("the list must have one element or none, but it has {}", items.len())),
    }
}

pub(super) fn range(call: &Call<'_>) -> Outcome {
    let numbers = call.rest(0).iter().map(known_number).collect::<Result<Vec<_>, _>>()?;
    let zero = Number::ZERO;
    let (start, end, step) = match numbers.as_slice() {
        [end] => (&zero, *end, None),
        [start, end] => (*start, *end, None),
        [start, end, step] => (*start, *end, Some(*step)),
        _ => return invalid("takes one to three numbers"),
    };
    let down = end < start;
    let step = match step {
        Some(step) => step.clone(),
        None => Number::from(if down { -1_i64 } else { 1 }),
    };
    if start == end {
        return Ok(list_of(Vec::new()));
    }
    if step == zero {
        return invalid("the step must not be zero");
    }
    if down != step.is_negative() {
        return invalid(if down {
            "the step must be negative where the end is below the start"
        } else {
            "the step must be positive where the end is above the start"
        });
    }
    let mut current = start.clone();
    let mut values = Vec::new();
    while if down { &current > end } else { &current < end } {
        if values.len() == MAX_RANGE {
            return invalid(format!("more than {MAX_RANGE} numbers; take a larger step or an end nearer to the start"));
        }
        let next = current.add(&step).map_err(|error| Failure::Invalid(error.to_string()))?;
        values.push(Value::new(Data::Number(std::mem::replace(&mut current, next))));
    }
    call.spend(values.len() as u64)?;
    Ok(list_of(values))
}

pub(super) fn reverse(call: &Call<'_>) -> Outcome {
    let reversed = |items: &[Value]| Arc::new(items.iter().rev().cloned().collect());
    match &call.value(0).data {
        Data::List(items) | Data::Set(items) => Ok(Value::new(Data::List(reversed(items)))),
        Data::Tuple(items) => Ok(Value::new(Data::Tuple(reversed(items)))),
        _ => invalid(format!("only lists, tuples and sets can be reversed, not {}", kind_of(call.value(0)))),
    }
}

pub(super) fn slice(call: &Call<'_>) -> Outcome {
    let value = call.value(0);
    let (Data::List(items) | Data::Tuple(items)) = &value.data else {
        return invalid(format!("slices are taken from a list or tuple, not from {}", kind_of(value)));
    };
    let (start, end) = (natural(call, 1)?, natural(call, 2)?);
    if start > end || end > items.len() {
        return invalid(format!("the slice {start}..{end} doesn't lie within a list of {} elements", items.len()));
    }
    let part = Arc::new(items[start..end].to_vec());
    Ok(Value::new(if matches!(value.data, Data::List(_)) { Data::List(part) } else { Data::Tuple(part) }))
}

pub(super) fn sort(call: &Call<'_>) -> Outcome {
    let items = call.items(0)?;
    if items.iter().any(Value::is_unknown) {
        return Err(Failure::NotKnown);
    }
    if items.iter().any(Value::is_null) {
        return invalid("a list with null elements can't be sorted");
    }
    let mut sorted = items.to_vec();
    sorted.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    Ok(list_of(sorted))
}
