//! Functions of lists, maps and sets.

mod lists;
mod maps;
mod sets;

use keyblind_resource::{Data, Unknown, Value};

use super::parameters::{Kind, parameter};
use super::{Call, Failure, Function, Outcome, any, invalid, known_bool, number, strings, text};
use crate::limits;

/// The most elements that a function makes.
const MAX_ELEMENTS: usize = 1 << 20;

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("alltrue", &[parameter("list", Kind::List(&Kind::Bool))], |call| quantified(call, false)),
    Function::new("anytrue", &[parameter("list", Kind::List(&Kind::Bool))], |call| quantified(call, true)),
    Function::new("chunklist", &[super::lists("list"), number("size")], lists::chunklist).by_element(),
    Function::new("coalesce", &[], lists::coalesce).variadic(any("vals").or_null().or_unknown()).by_element(),
    Function::new("coalescelist", &[], lists::coalescelist).variadic(any("vals").or_null().or_unknown()),
    Function::new("compact", &[strings("list")], lists::compact),
    Function::new("concat", &[], lists::concat).variadic(any("seqs")).by_element(),
    Function::new("contains", &[any("list"), any("value").or_unknown()], lists::contains),
    Function::new("distinct", &[super::lists("list")], lists::distinct),
    Function::new("element", &[any("list"), number("index").or_unknown()], lists::element).by_element().shallow(),
    Function::new("flatten", &[any("list")], lists::flatten).by_element(),
    Function::new("index", &[any("list"), any("value")], lists::index),
    Function::new("keys", &[any("inputMap")], maps::keys).by_element().shallow(),
    Function::new("length", &[any("value")], lists::length).by_element().shallow(),
    Function::new("list", &[], lists::list).variadic(any("vals").or_null().or_unknown()).by_element(),
    Function::new("lookup", &[any("inputMap"), text("key").or_unknown()], maps::lookup)
        .variadic(any("default").or_null().or_unknown())
        .by_element()
        .shallow(),
    Function::new("map", &[], maps::map).variadic(any("vals").or_null().or_unknown()).by_element(),
    Function::new("matchkeys", &[super::lists("values"), super::lists("keys"), super::lists("searchset")], lists::matchkeys),
    Function::new("merge", &[], maps::merge).variadic(any("maps").or_null()).by_element().shallow(),
    Function::new("one", &[any("list")], lists::one).by_element().shallow(),
    Function::new("range", &[], lists::range).variadic(number("params")),
    Function::new("reverse", &[any("list")], lists::reverse).by_element().shallow(),
    Function::new("setintersection", &[any_set("first_set")], sets::intersection).variadic(any_set("other_sets")),
    Function::new("setproduct", &[], sets::product).variadic(any("sets")).by_element(),
    Function::new("setsubtract", &[any_set("a"), any_set("b")], sets::subtract),
    Function::new("setunion", &[any_set("first_set")], sets::union).variadic(any_set("other_sets")),
    Function::new("slice", &[any("list"), number("start_index"), number("end_index")], lists::slice).by_element().shallow(),
    Function::new("sort", &[strings("list")], lists::sort),
    Function::new("transpose", &[parameter("values", Kind::Map(&Kind::List(&Kind::String)))], maps::transpose),
    Function::new("values", &[any("mapping")], maps::values).by_element().shallow(),
    Function::new("zipmap", &[strings("keys"), any("values")], maps::zipmap).by_element().shallow(),
];

const fn any_set(name: &'static str) -> super::Parameter {
    parameter(name, Kind::Set(&Kind::Any))
}

/// `alltrue` and `anytrue`: one element that is `decisive` decides, also where others are unknown.
fn quantified(call: &Call<'_>, decisive: bool) -> Outcome {
    let mut not_known = false;
    for item in call.items(0)? {
        match known_bool(item) {
            Ok(known) if known == decisive => return Ok(Value::bool(decisive)),
            Ok(_) => {}
            // `null` is not true.
            Err(_) if item.is_null() => {
                if !decisive {
                    return Ok(Value::bool(false));
                }
            }
            Err(Failure::NotKnown) => not_known = true,
            Err(failure) => return Err(failure),
        }
    }
    if not_known { Err(Failure::NotKnown) } else { Ok(Value::bool(!decisive)) }
}

/// An unknown that is one of these values, because the argument that chooses isn't known.
fn one_of(call: &Call<'_>, choice: &Value, candidates: Vec<Value>) -> Outcome {
    if candidates.is_empty() || candidates.len() > limits::CANDIDATES {
        return Err(Failure::NotKnown);
    }
    let all = super::unknowns::merged(&call.arguments);
    let reason = choice.as_unknown().map_or(all.reason, |unknown| unknown.reason.clone());
    let nullable = candidates.iter().any(Value::is_null);
    let sensitive = candidates.iter().any(|candidate| candidate.sensitive);
    let unknown = Unknown { references: all.references, candidates, nullable, ..Unknown::new(reason) };
    Ok(Value { sensitive, ..Value::new(Data::Unknown(std::sync::Arc::new(unknown))) })
}

/// Refuses a collection that would be too large, and spends fuel for one that isn't.
fn make_room(call: &Call<'_>, elements: usize) -> Result<(), Failure> {
    if elements > MAX_ELEMENTS {
        return Err(Failure::Because(keyblind_resource::Reason::Budget { limit: "collection size" }));
    }
    call.spend(elements as u64)
}

/// A position or size that must not be negative.
fn natural(call: &Call<'_>, index: usize) -> Result<usize, Failure> {
    let number = call.integer(index)?;
    usize::try_from(number).or_else(|_| invalid(format!("the {} argument must not be negative", call.ordinal(index))))
}
