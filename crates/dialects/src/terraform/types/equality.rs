//! Equality as Terraform has it: values of different types are never equal, `[1]` isn't `tolist([1])`.

use keyblind_resource::{Data, Value};

use super::MAX_DEPTH;

/// Whether two values are equal; `None` where that depends on something unknown.
pub(crate) fn equal(a: &Value, b: &Value) -> Option<bool> {
    at_depth(a, b, 0)
}

fn at_depth(a: &Value, b: &Value, depth: usize) -> Option<bool> {
    if depth > MAX_DEPTH {
        return None;
    }
    match (&a.data, &b.data) {
        (Data::Unknown(_), _) | (_, Data::Unknown(_)) => None,
        (Data::Null, Data::Null) => Some(true),
        (Data::Bool(a), Data::Bool(b)) => Some(a == b),
        (Data::Number(a), Data::Number(b)) => Some(a == b),
        (Data::String(a), Data::String(b)) => Some(a == b),
        (Data::List(a), Data::List(b)) | (Data::Tuple(a), Data::Tuple(b)) => {
            if a.len() != b.len() {
                return Some(false);
            }
            all(a.iter().zip(b.iter()), depth)
        }
        (Data::Set(a), Data::Set(b)) => {
            // An unknown element may turn out to be equal to another one: then there are fewer.
            if !(a.iter().chain(b.iter())).all(Value::is_wholly_known) {
                return None;
            }
            if a.len() != b.len() { Some(false) } else { all(a.iter().zip(b.iter()), depth) }
        }
        (Data::Map(a), Data::Map(b)) | (Data::Object(a), Data::Object(b)) => {
            if a.len() != b.len() || a.iter().zip(b.iter()).any(|((name, _), (other, _))| name != other) {
                return Some(false);
            }
            all(a.iter().map(|(_, value)| value).zip(b.iter().map(|(_, value)| value)), depth)
        }
        _ => Some(false),
    }
}

/// One difference decides, whatever the unknown parts are.
fn all<'a>(pairs: impl Iterator<Item = (&'a Value, &'a Value)>, depth: usize) -> Option<bool> {
    let mut known = true;
    for (a, b) in pairs {
        match at_depth(a, b, depth + 1) {
            Some(true) => {}
            Some(false) => return Some(false),
            None => known = false,
        }
    }
    known.then_some(true)
}
