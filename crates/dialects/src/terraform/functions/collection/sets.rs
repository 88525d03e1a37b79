//! Set algebra.

use std::collections::HashSet;

use keyblind_resource::{Data, Value};

use super::make_room;
use crate::terraform::functions::{Call, Failure, Outcome, invalid, list, set};
use crate::terraform::types::{self, Type, kind_of};

/// The argument sets with elements of one common type.
fn alike(call: &Call<'_>) -> Result<Vec<Vec<Value>>, Failure> {
    let mut all = Vec::new();
    for index in 0..call.arguments.len() {
        all.extend(call.items(index)?.iter().cloned());
    }
    call.spend(all.len() as u64)?;
    let Some(element) = types::unify(&all) else { return invalid("all sets must have elements of the same type") };
    let ty = Type::set(element);
    call.arguments
        .iter()
        .map(|argument| {
            let converted = types::convert(argument.clone(), &ty).map_err(Failure::Invalid)?;
            Ok(converted.as_items().unwrap_or(&[]).to_vec())
        })
        .collect()
}

fn wholly_known(sets: &[Vec<Value>]) -> Result<(), Failure> {
    if sets.iter().flatten().all(Value::is_wholly_known) { Ok(()) } else { Err(Failure::NotKnown) }
}

pub(super) fn union(call: &Call<'_>) -> Outcome {
    let all = alike(call)?.into_iter().flatten().collect();
    Ok(set(types::make_set(all)))
}

pub(super) fn intersection(call: &Call<'_>) -> Outcome {
    let sets = alike(call)?;
    let Some((first, others)) = sets.split_first() else { return Ok(set(Vec::new())) };
    // Nothing is in common with an empty set, whatever the unknown elements are.
    if sets.iter().any(Vec::is_empty) {
        return Ok(set(Vec::new()));
    }
    wholly_known(&sets)?;
    let others: Vec<HashSet<Vec<u8>>> = others.iter().map(|other| other.iter().map(types::exact_key).collect()).collect();
    let common = first.iter().filter(|item| {
        let key = types::exact_key(item);
        others.iter().all(|other| other.contains(&key))
    });
    Ok(set(common.cloned().collect()))
}

pub(super) fn subtract(call: &Call<'_>) -> Outcome {
    let sets = alike(call)?;
    let [from, taken] = sets.as_slice() else { return invalid("takes two sets") };
    if taken.is_empty() || from.is_empty() {
        return Ok(set(from.clone()));
    }
    wholly_known(&sets)?;
    let taken: HashSet<Vec<u8>> = taken.iter().map(types::exact_key).collect();
    Ok(set(from.iter().filter(|item| !taken.contains(&types::exact_key(item))).cloned().collect()))
}

/// All combinations: a set of tuples if one of the arguments is a set, otherwise a list of them.
pub(super) fn product(call: &Call<'_>) -> Outcome {
    let arguments = call.rest(0);
    if arguments.len() < 2 {
        return invalid("at least two sets are needed");
    }
    let mut factors = Vec::with_capacity(arguments.len());
    for argument in arguments {
        let (Data::List(items) | Data::Set(items) | Data::Tuple(items)) = &argument.data else {
            return invalid(format!("all arguments must be sets, lists or tuples, not {}", kind_of(argument)));
        };
        let converted = types::convert(Value::tuple(items.to_vec()), &Type::list(Type::Any)).map_err(Failure::Invalid)?;
        factors.push(converted.as_items().unwrap_or(&[]).to_vec());
    }
    let total = factors.iter().map(Vec::len).fold(1, usize::saturating_mul);
    make_room(call, total.saturating_mul(factors.len()))?;
    let mut combinations = Vec::with_capacity(total);
    for number in 0..total {
        let mut rest = number;
        let mut combination = Vec::with_capacity(factors.len());
        // The last factor changes fastest.
        for factor in factors.iter().rev() {
            combination.push(factor[rest % factor.len()].clone());
            rest /= factor.len();
        }
        combination.reverse();
        combinations.push(Value::tuple(combination));
    }
    let any_set = arguments.iter().any(|argument| matches!(argument.data, Data::Set(_)));
    Ok(if any_set { set(types::make_set(combinations)) } else { list(combinations) })
}
