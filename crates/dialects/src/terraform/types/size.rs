//! How large values are. They share parts: ten lines of `[local.a, local.a]` make a value that nothing could walk.

use keyblind_resource::{Data, Value};

use super::MAX_DEPTH;

/// How many values there are in a value, itself included, texts counted by 64 bytes; `None` if there are more than so many,
/// or if they are nested deeper than [`MAX_DEPTH`].
pub(crate) fn size_within(value: &Value, limit: usize) -> Option<usize> {
    let mut left = limit;
    take(value, 0, &mut left)?;
    Some(limit - left)
}

fn take(value: &Value, depth: usize, left: &mut usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    let own = match &value.data {
        Data::String(text) => 1 + text.len() / 64,
        _ => 1,
    };
    *left = left.checked_sub(own)?;
    match &value.data {
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.iter().try_for_each(|item| take(item, depth + 1, left)),
        Data::Map(entries) | Data::Object(entries) => entries.iter().try_for_each(|(_, entry)| take(entry, depth + 1, left)),
        Data::Unknown(unknown) => unknown.candidates.iter().chain(&unknown.document).try_for_each(|part| take(part, depth + 1, left)),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => Some(()),
    }
}

#[cfg(test)]
mod tests {
    use super::super::MAX_NODES;
    use super::*;

    #[test]
    fn shared_parts_count_each_time() {
        let mut value = Value::int(1);
        for _ in 0..18 {
            value = Value::tuple(vec![value.clone(), value]);
        }
        assert_eq!(size_within(&value, MAX_NODES), Some((1 << 19) - 1));
        for _ in 0..100 {
            value = Value::tuple(vec![value.clone(), value]);
        }
        assert_eq!(size_within(&value, MAX_NODES), None);
    }

    #[test]
    fn deep_values_are_refused() {
        let nested = |levels| (0..levels).fold(Value::int(1), |value, _| Value::tuple(vec![value]));
        assert!(size_within(&nested(MAX_DEPTH), MAX_NODES).is_some());
        assert!(size_within(&nested(MAX_DEPTH + 1), MAX_NODES).is_none());
    }
}
