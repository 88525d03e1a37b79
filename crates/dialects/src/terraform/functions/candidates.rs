//! Calls with an argument that is one of several known values (`condition ? a : b` where the condition isn't known): the
//! result is one of the results.

use std::sync::Arc;

use keyblind_resource::{Data, Reason, Unknown, Value};

use super::{Function, Host, call_once, pay_for, unknowns};
use crate::limits;

/// Whether the value is one of several.
pub(super) fn has_candidates(value: &Value) -> bool {
    value.as_unknown().is_some_and(|unknown| !unknown.candidates.is_empty())
}

/// Calls the function once for every choice of candidates, if these aren't too many.
///
/// A choice that Terraform refuses isn't among the results: whoever applies the configuration made another one.
pub(super) fn call(function: &Function, arguments: Vec<Value>, host: &dyn Host) -> Value {
    let choices: usize =
        arguments.iter().filter_map(Value::as_unknown).map(|unknown| unknown.candidates.len().max(1)).fold(1, usize::saturating_mul);
    if choices > limits::CANDIDATES {
        return call_once(function, arguments, host);
    }
    let mut results: Vec<Value> = Vec::with_capacity(choices);
    let mut refused = None;
    for choice in 0..choices {
        let chosen = choose(&arguments, choice);
        if let Err(reason) = pay_for(function, &chosen, host) {
            return Value::unknown(reason);
        }
        let result = call_once(function, chosen, host);
        if result.as_unknown().is_some_and(|unknown| matches!(unknown.reason, Reason::Invalid { .. })) {
            refused.get_or_insert(result);
        } else if !results.contains(&result) {
            results.push(result);
        }
    }
    match (results.len(), refused) {
        (0, Some(refused)) => refused,
        (1, _) => results.remove(0),
        _ => {
            let sensitive = results.iter().any(|result| result.sensitive);
            let nullable = results.iter().any(Value::is_null);
            let unknown = Unknown { candidates: results, nullable, ..unknowns::merged(&arguments) };
            Value { sensitive, ..Value::new(Data::Unknown(Arc::new(unknown))) }
        }
    }
}

/// The arguments with one candidate each; choices are numbered like the digits of a number.
fn choose(arguments: &[Value], mut choice: usize) -> Vec<Value> {
    let mut chosen = Vec::with_capacity(arguments.len());
    for argument in arguments {
        match argument.as_unknown() {
            Some(unknown) if !unknown.candidates.is_empty() => {
                let mut candidate = unknown.candidates[choice % unknown.candidates.len()].clone();
                candidate.sensitive |= argument.sensitive;
                choice /= unknown.candidates.len();
                chosen.push(candidate);
            }
            _ => chosen.push(argument.clone()),
        }
    }
    chosen
}
