//! Conditions in words: what would have been good.

use keyblind_rule_language::{CidrTest, Literal, Matcher, Test, TypePattern};

/// The most values that are listed.
const MAX_LISTED: usize = 8;

/// What is expected of a value: that the matcher holds, or (`holds` is false) that it doesn't.
pub(crate) fn expected(matcher: &Matcher, holds: bool) -> String {
    let tests: Vec<String> = matcher.tests.iter().map(|test| test_in_words(test, holds)).collect();
    tests.join(if holds { " and " } else { " or " })
}

/// Type keys in words.
pub(crate) fn types(types: &[TypePattern]) -> String {
    list(types.iter().map(|pattern| pattern.0.to_string()))
}

/// "a, b or c"
pub(crate) fn list(items: impl IntoIterator<Item = String>) -> String {
    let mut items: Vec<String> = items.into_iter().collect();
    let more = items.len().saturating_sub(MAX_LISTED);
    items.truncate(MAX_LISTED);
    if more > 0 {
        items.push(format!("{more} more"));
    }
    match items.pop() {
        None => String::new(),
        Some(last) if items.is_empty() => last,
        Some(last) => format!("{} or {last}", items.join(", ")),
    }
}

fn literals(values: &[Literal]) -> String {
    list(values.iter().map(value))
}

/// A value as one would write it.
fn value(literal: &Literal) -> String {
    match literal {
        Literal::Null => "not set".to_owned(),
        other => other.to_string(),
    }
}

fn texts(texts: &[Box<str>]) -> String {
    list(texts.iter().map(|text| format!("{text:?}")))
}

fn test_in_words(test: &Test, holds: bool) -> String {
    let not = |text: String| if holds { text } else { format!("not {text}") };
    let either = |yes: &str, no: &str| if holds { yes.to_owned() } else { no.to_owned() };
    let one_of = |values: &[Literal], positive: bool| match values {
        [only] if positive => value(only),
        [only] => format!("not {}", value(only)),
        many if positive => format!("one of {}", literals(many)),
        many => format!("none of {}", literals(many)),
    };
    match test {
        Test::Equals(literal) => one_of(std::slice::from_ref(literal), holds),
        Test::NotEquals(literal) => one_of(std::slice::from_ref(literal), !holds),
        Test::In(values) => one_of(values, holds),
        Test::NotIn(values) => one_of(values, !holds),
        Test::Exists(wanted) => if *wanted == holds { "set" } else { "not set" }.to_owned(),
        Test::Empty(wanted) => if *wanted == holds { "empty" } else { "not empty" }.to_owned(),
        Test::LessThan(bound) => format!("{} {bound}", either("less than", "at least")),
        Test::AtMost(bound) => format!("{} {bound}", either("at most", "greater than")),
        Test::GreaterThan(bound) => format!("{} {bound}", either("greater than", "at most")),
        Test::AtLeast(bound) => format!("{} {bound}", either("at least", "less than")),
        Test::Contains(literal) => format!("{} {}", either("containing", "not containing"), value(literal)),
        Test::ContainsAny(values) => format!("{} {}", either("containing", "containing neither"), literals(values)),
        Test::ContainsAll(values) => format!("{} all of {}", either("containing", "not containing"), literals(values)),
        Test::StartsWith(wanted) => format!("{} {}", either("starting with", "not starting with"), texts(wanted)),
        Test::EndsWith(wanted) => format!("{} {}", either("ending with", "not ending with"), texts(wanted)),
        Test::Matches(expression) => format!("{} `{}`", either("matching", "not matching"), expression.text),
        Test::Glob(pattern) => format!("{} `{pattern}`", either("like", "not like")),
        Test::Length(matcher) => format!("of a length that is {}", expected(matcher, holds)),
        Test::Type(kind) => not(format!("a {kind}")),
        Test::EqualsPath(path) => not(format!("the same as `{path}`")),
        Test::LessThanPath(path) => format!("{} `{path}`", either("less than", "at least")),
        Test::WithinPath(path) => format!("{} `{path}`", either("an address inside", "an address outside of")),
        Test::Cidr(CidrTest::World) => either("the whole internet (0.0.0.0/0, ::/0)", "narrower than the whole internet (0.0.0.0/0, ::/0)"),
        Test::Cidr(CidrTest::Public) => either("a public address range", "a private address range"),
        Test::Cidr(CidrTest::Private) => either("a private address range", "no private address range"),
        Test::Cidr(CidrTest::WiderThan(prefix)) => either(&format!("wider than /{prefix}"), &format!("/{prefix} or narrower")),
        Test::Port(port) => either(&format!("including port {port}"), &format!("without port {port}")),
        Test::RefersTo(wanted) => format!("{} {}", either("a reference to", "no reference to"), types(wanted)),
        Test::All(matchers) => nested(matchers, holds, if holds { " and " } else { " or " }),
        Test::Any(matchers) => nested(matchers, holds, if holds { " or " } else { " and " }),
        Test::Not(matcher) => expected(matcher, !holds),
    }
}

fn nested(matchers: &[Matcher], holds: bool, separator: &str) -> String {
    matchers.iter().map(|matcher| expected(matcher, holds)).collect::<Vec<_>>().join(separator)
}
