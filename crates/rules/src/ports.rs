//! Ranges of ports.

use keyblind_resource::{Data, Value};

use crate::compare::{agree, equals_literal};
use crate::truth::Truth;
use keyblind_rule_language::Literal;

/// Protocols that know no ports, by name and number.
const PORTLESS: [&str; 8] = ["icmp", "icmpv6", "igmp", "esp", "ah", "1", "58", "50"];
/// What stands for all protocols.
const EVERY: [&str; 4] = ["-1", "all", "any", "*"];

fn is_one_of(value: &Value, words: &[&str]) -> Truth {
    words.iter().map(|word| equals_literal(value, &Literal::Text((*word).into()), true)).fold(Truth::False, Truth::or)
}

/// Whether a protocol stands for all of them, and so for every port.
pub(crate) fn covers_every_port(protocol: &Value) -> Truth {
    is_one_of(protocol, &EVERY)
}

/// Whether a protocol has no ports: what stands at the range's ends is something else then.
pub(crate) fn has_no_ports(protocol: &Value) -> Truth {
    is_one_of(protocol, &PORTLESS)
}

/// Whether the range includes one of the ports. With one end missing it is the other one alone.
pub(crate) fn range_covers(low: Option<&Value>, high: Option<&Value>, ports: &[u16]) -> Truth {
    let (low, high) = match (low, high) {
        (None, None) => return Truth::False,
        (Some(one), None) | (None, Some(one)) => (one, one),
        (Some(low), Some(high)) => (low, high),
    };
    ports.iter().map(|&port| at_most(low, i64::from(port)).and(at_least(high, i64::from(port)))).fold(Truth::False, Truth::or)
}

fn compare(value: &Value, holds: impl Fn(i64) -> bool + Copy) -> Truth {
    match &value.data {
        Data::Number(number) => number.as_i64().is_some_and(holds).into(),
        Data::String(text) => text.trim().parse().is_ok_and(holds).into(),
        Data::Unknown(unknown) if unknown.candidates.is_empty() => Truth::Unknown,
        Data::Unknown(unknown) => agree(unknown.candidates.iter().map(|candidate| compare(candidate, holds))),
        _ => Truth::False,
    }
}

fn at_most(value: &Value, bound: i64) -> Truth {
    compare(value, |number| number <= bound)
}

fn at_least(value: &Value, bound: i64) -> Truth {
    compare(value, |number| number >= bound)
}

/// Whether a port, a range text (`20-25`), `*`, a text of several (`22,80-90`) or a list of these includes a port.
pub(crate) fn includes(value: &Value, port: u16) -> Truth {
    match &value.data {
        Data::Number(number) => (number.as_i64() == Some(i64::from(port))).into(),
        Data::String(text) => text.split(',').any(|part| part_includes(part.trim(), port)).into(),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            items.iter().filter(|item| item.as_items().is_none()).map(|item| includes(item, port)).fold(Truth::False, Truth::or)
        }
        Data::Unknown(unknown) if unknown.candidates.is_empty() => Truth::Unknown,
        Data::Unknown(unknown) => agree(unknown.candidates.iter().map(|candidate| includes(candidate, port))),
        _ => Truth::False,
    }
}

fn part_includes(text: &str, port: u16) -> bool {
    if text == "*" {
        return true;
    }
    match text.split_once(['-', ':']) {
        Some((low, high)) => {
            matches!((low.trim().parse::<u32>(), high.trim().parse::<u32>()), (Ok(low), Ok(high)) if (low..=high).contains(&u32::from(port)))
        }
        None => text.parse() == Ok(port),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_include_their_ends() {
        let covers = |low: i64, high: i64| range_covers(Some(&Value::int(low)), Some(&Value::int(high)), &[22]) == Truth::True;
        assert!(covers(22, 22) && covers(0, 65535) && covers(20, 22) && covers(22, 30));
        assert!(!covers(23, 30) && !covers(0, 21) && !covers(30, 20));
        assert_eq!(range_covers(Some(&Value::string("22")), None, &[22]), Truth::True);
        assert_eq!(range_covers(None, None, &[22]), Truth::False);
    }

    #[test]
    fn texts_of_ports_are_read() {
        for (text, includes_it) in
            [("22", true), ("20-25", true), ("*", true), ("80,20-25", true), ("222", false), ("23-30", false), ("x", false)]
        {
            assert_eq!(includes(&Value::string(text), 22), includes_it.into(), "{text}");
        }
        assert_eq!(includes(&Value::tuple(vec![Value::int(80), Value::string("22")]), 22), Truth::True);
    }
}
