//! Laws that hold of every rule and every resource.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Reason, Unknown, Value};
use proptest::prelude::*;

use crate::support::{judgements, resource_of, table, word};

/// Conditions of all kinds, with the names that the values below have.
const CONDITIONS: &[&str] = &[
    "{a: x}",
    "{a: {not-equals: 1}}",
    "{a.b: [x, 1, true, null]}",
    "{'*.b': {contains: x}}",
    "{'a.*': {exists: true}}",
    "{'S*': {empty: true}}",
    "{a: {empty: false}}",
    "{a: {length: {at-least: 1}}}",
    "{a: {matches: '^x', fold: true}}",
    "{a: {glob: '*x*'}}",
    "{a: {starts-with: [x, y]}}",
    "{a: {less-than: 5}}",
    "{a: {type: list}}",
    "{a: {equals-path: b}}",
    "{a: {cidr: public}}",
    "{a: {port: 22}}",
    "{a: {refers-to: 'aws_*'}}",
    "{a: {equals: x, default: x}}",
    "{a: {not: {any: [x, {contains-any: [y]}]}}}",
    "{a|json.b: 1}",
    "{a|yaml: {exists: true}}",
    "{a|statements.actions: {contains: '*'}}",
    "{some: {in: a|public-statements, where: {effect: Allow}}}",
    "{some: {in: 'a|escalations(privilege-escalation)', where: {witness: {exists: true}}}}",
    "{'a|secrets|length': {at-least: 1}}",
    "{a|image.tag: latest}",
    "{a|lines|length: 1}",
    "{'a|split(x)|first': y}",
    "{a|lower: x}",
    "{a|trim|number: 1}",
    "{a|keys: {contains: b}}",
    "{a|values|first: 1}",
    "{some: {in: a, where: {b: x, '@': {exists: true}}}}",
    "{every: {in: a, where: {'@': x}}}",
    "{none: {in: b, where: {$key: a}}}",
    "{count: {in: a, where: {b: 1}, is: {at-least: 1}}}",
    "{linked: {to: test_resource, match: {a: a}, where: {b: 1}}}",
    "{present: {resource: '*', where: {a: x}}}",
    "{a: {less-than-path: b}}",
    "{'a|escalations(unrestricted-resource)': {empty: true}}",
    "{ports: {covers: [22], from: a, to: b, protocol: c}}",
];

fn scalar() -> impl Strategy<Value = Data> {
    prop_oneof![
        Just(Data::Null),
        any::<bool>().prop_map(Data::Bool),
        (-3_i64..30).prop_map(|number| Data::Number(number.into())),
        prop_oneof![
            Just("x"),
            Just("y"),
            Just("*"),
            Just("1"),
            Just("true"),
            Just("0.0.0.0/0"),
            Just("20-25"),
            Just("-1"),
            Just("a: [1, {b: x}]"),
            Just(r#"{"b": 1, "Statement": {"Effect": "Allow", "Action": "*", "Principal": "*", "Resource": "*"}}"#),
        ]
        .prop_map(|text| Data::String(text.into())),
        "\\PC{0,12}".prop_map(|text| Data::String(text.into())),
    ]
}

fn name() -> impl Strategy<Value = Arc<str>> {
    prop_oneof![Just("a"), Just("b"), Just("c"), Just("Statement"), Just("actions"), Just("Principal")].prop_map(Arc::from)
}

fn reason() -> Reason {
    Reason::NoValue { variable: "v".into() }
}

/// Any value; with `unknowns`, also with unknown parts.
fn tree(unknowns: bool) -> BoxedStrategy<Value> {
    let leaf = if unknowns {
        let unknown = (any::<bool>(), prop::collection::vec(prop_oneof![Just(None), Just(Some("x")), Just(Some("*"))], 0..3));
        prop_oneof![
            4 => scalar(),
            1 => unknown.prop_map(|(nullable, parts)| {
                let fragments = parts.into_iter().map(|part| part.map_or(Fragment::Unknown, |text| Fragment::Literal(text.into()))).collect();
                Data::Unknown(Arc::new(Unknown { nullable, fragments, ..Unknown::new(reason()) }))
            }),
        ]
        .boxed()
    } else {
        scalar().boxed()
    };
    leaf.prop_map(Value::new)
        .prop_recursive(4, 48, 4, move |inner| {
            let list = prop::collection::vec(inner.clone(), 0..4);
            let map = prop::collection::vec((name(), inner.clone()), 0..4);
            let some = prop::collection::vec(inner.clone(), 1..3);
            let known = prop_oneof![
                list.clone().prop_map(Value::tuple),
                list.prop_map(|items| Value::new(Data::Set(items.into()))),
                map.prop_map(Value::object),
            ];
            if !unknowns {
                return known.boxed();
            }
            prop_oneof![
                4 => known,
                1 => some.prop_map(|candidates| Value::new(Data::Unknown(Arc::new(Unknown { candidates, ..Unknown::new(reason()) })))),
                1 => inner.prop_map(|document| Value::new(Data::Unknown(Arc::new(Unknown { document: Some(document), ..Unknown::new(reason()) })))),
            ]
            .boxed()
        })
        .boxed()
}

fn body(unknowns: bool) -> impl Strategy<Value = Value> {
    prop::collection::vec((name(), tree(unknowns)), 0..5).prop_map(Value::object)
}

fn word_of(decision: &str, bodies: &[Value]) -> &'static str {
    let resources = bodies.iter().enumerate().map(|(index, body)| resource_of(&format!("test_resource.r{index}"), body.clone())).collect();
    let (_, found) = judgements(&table(decision), resources);
    word(&found[0].verdict)
}

fn truth_of(condition: &str, bodies: &[Value]) -> &'static str {
    match word_of(&format!("fail: {condition}"), bodies) {
        "fail" => "true",
        "pass" => "false",
        other => other,
    }
}

/// All values that a value with unknown parts may turn out to be, as far as candidates say.
fn resolved(value: &Value, choice: usize) -> Value {
    match &value.data {
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
            resolved(&unknown.candidates[choice % unknown.candidates.len()], choice)
        }
        Data::Tuple(items) => Value::tuple(items.iter().map(|item| resolved(item, choice)).collect()),
        Data::Set(items) => Value::new(Data::Set(Arc::new(items.iter().map(|item| resolved(item, choice)).collect()))),
        Data::Object(entries) => Value::object(entries.iter().map(|(key, value)| (key.clone(), resolved(value, choice)))),
        Data::Unknown(unknown) if !unknown.fragments.is_empty() => {
            let part = |fragment: &Fragment| match fragment {
                Fragment::Literal(text) => text.to_string(),
                Fragment::Unknown => ["", "x", "1"][choice % 3].to_owned(),
            };
            Value::string(unknown.fragments.iter().map(part).collect::<String>())
        }
        _ => value.clone(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn what_is_known_is_never_judged_unknown(bodies in prop::collection::vec(body(false), 1..3), index in 0..CONDITIONS.len()) {
        prop_assert_ne!(truth_of(CONDITIONS[index], &bodies), "unknown", "{}", CONDITIONS[index]);
    }

    #[test]
    fn negation_and_logic_keep_their_laws(bodies in prop::collection::vec(body(true), 1..3), a in 0..CONDITIONS.len(), b in 0..CONDITIONS.len()) {
        let (a, b) = (CONDITIONS[a], CONDITIONS[b]);
        let plain = truth_of(a, &bodies);
        let negated = truth_of(&format!("{{not: {a}}}"), &bodies);
        prop_assert!(matches!((plain, negated), ("true", "false") | ("false", "true") | ("unknown", "unknown")), "{} {} {}", a, plain, negated);
        let both = truth_of(&format!("{{not: {{all: [{a}, {b}]}}}}"), &bodies);
        let either = truth_of(&format!("{{any: [{{not: {a}}}, {{not: {b}}}]}}"), &bodies);
        prop_assert_eq!(both, either, "De Morgan of {} and {}", a, b);
        prop_assert_eq!(word_of(&format!("pass: {a}"), &bodies), match plain { "true" => "pass", "false" => "fail", other => other });
    }

    #[test]
    fn a_decided_verdict_stays_when_unknowns_become_known(body in body(true), index in 0..CONDITIONS.len(), choice in 0_usize..6) {
        let condition = CONDITIONS[index];
        let before = truth_of(condition, std::slice::from_ref(&body));
        let after = truth_of(condition, &[resolved(&body, choice)]);
        prop_assert!(before == "unknown" || after == "unknown" || before == after, "{}: {} became {}", condition, before, after);
    }
}
