//! `abs`, `ceil`, `floor`, `log`, `max`, `min`, `parseint`, `pow`, `signum`, `sum`.

use keyblind_resource::{Data, Number, NumberError, Value};

use super::{Call, Failure, Function, Outcome, any, invalid, known_items, known_number, number};
use crate::terraform::types::{self, Type};

pub(super) const FUNCTIONS: &[Function] = &[
    Function::new("abs", &[number("num")], |call| Ok(made(call.number(0)?.abs()))),
    Function::new("ceil", &[number("num")], |call| Ok(made(call.number(0)?.ceil()))),
    Function::new("floor", &[number("num")], |call| Ok(made(call.number(0)?.floor()))),
    Function::new("log", &[number("num"), number("base")], |call| computed(call.number(0)?.logarithm(call.number(1)?))),
    Function::new("max", &[], |call| extreme(call, |candidate, best| candidate > best)).variadic(number("numbers")),
    Function::new("min", &[], |call| extreme(call, |candidate, best| candidate < best)).variadic(number("numbers")),
    Function::new("parseint", &[any("number"), number("base")], parseint),
    Function::new("pow", &[number("num"), number("power")], |call| computed(call.number(0)?.power(call.number(1)?))),
    Function::new("signum", &[number("num")], |call| Ok(Value::int(call.integer(0)?.signum()))),
    Function::new("sum", &[any("list")], sum),
];

fn made(number: Number) -> Value {
    Value::new(Data::Number(number))
}

fn computed(result: Result<Number, NumberError>) -> Outcome {
    result.map(made).or_else(|error| invalid(error.to_string()))
}

fn extreme(call: &Call<'_>, better: fn(&Number, &Number) -> bool) -> Outcome {
    let Some((first, rest)) = call.arguments.split_first() else { return invalid("at least one number is needed") };
    let mut best = first;
    for candidate in rest {
        if better(known_number(candidate)?, known_number(best)?) {
            best = candidate;
        }
    }
    Ok(best.clone())
}

fn parseint(call: &Call<'_>) -> Outcome {
    let Data::String(text) = &call.value(0).data else {
        return invalid(format!("the first argument must be a string, not {}", types::kind_of(call.value(0))));
    };
    let base = call.integer(1)?;
    match u32::try_from(base) {
        Ok(base @ 2..=62) => Number::from_digits(text, base)
            .map(made)
            .or_else(|_| invalid(format!("cannot read \"{text}\" as a whole number in base {base}"))),
        _ => invalid(format!("the base must be a whole number from 2 to 62, not {base}")),
    }
}

fn sum(call: &Call<'_>) -> Outcome {
    let items = known_items(call.value(0), || "the argument".to_owned())?;
    if items.is_empty() {
        return invalid("cannot sum an empty list");
    }
    let mut total = Number::ZERO;
    let mut not_known = false;
    for item in items {
        if item.is_null() {
            return invalid("the elements must not be null");
        }
        let converted = types::convert(item.clone(), &Type::Number).map_err(Failure::Invalid)?;
        match &converted.data {
            Data::Number(number) => total = total.add(number).map_err(|error| Failure::Invalid(error.to_string()))?,
            _ => not_known = true,
        }
    }
    if not_known { Err(Failure::NotKnown) } else { Ok(made(total)) }
}
