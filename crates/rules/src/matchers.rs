//! The truth of matchers.

use keyblind_resource::{Data, Fragment, Number, Reason, Unknown, Value};
use keyblind_rule_language::{Expression, Kind, Literal, Matcher, Missing, Test, glob_matches};

use crate::compare::{self, equals_literal, same_text};
use crate::evaluation::{Evaluation, Scope};
use crate::truth::{Combine, Truth};
use crate::walk::Found;
use crate::{cidr, fragments, ports};

/// Bytes of text that cost one step.
const BYTES_PER_STEP: usize = 64;
/// The deepest nesting of values that may be one of several.
const MAX_CANDIDATE_DEPTH: usize = 32;

impl Evaluation<'_> {
    /// Whether a matcher holds for a value; `None` and null are missing.
    pub(crate) fn matches(&mut self, matcher: &Matcher, value: Option<&Value>, scope: &Scope<'_>) -> Truth {
        let truth = self.matches_plainly(matcher, value, scope);
        match (truth, matcher.unknown) {
            // What isn't found out for want of fuel is no matter of the value.
            (Truth::Unknown, Some(stated)) if !self.is_exhausted() => stated.into(),
            _ => truth,
        }
    }

    fn matches_plainly(&mut self, matcher: &Matcher, value: Option<&Value>, scope: &Scope<'_>) -> Truth {
        let Some(value) = value.filter(|value| !value.is_null()) else { return self.missing(matcher, scope) };
        if let Data::Unknown(unknown) = &value.data {
            return self.matches_unknown(matcher, value, unknown, scope);
        }
        self.tests(matcher, value, scope)
    }

    fn tests(&mut self, matcher: &Matcher, value: &Value, scope: &Scope<'_>) -> Truth {
        let mut truth = Truth::True;
        for test in &matcher.tests {
            if !self.burn(1) {
                return self.exhausted();
            }
            truth = truth.and(self.holds(test, value, matcher.fold, scope));
            if truth == Truth::False {
                break;
            }
        }
        truth
    }

    fn matches_unknown(&mut self, matcher: &Matcher, value: &Value, unknown: &Unknown, scope: &Scope<'_>) -> Truth {
        if !unknown.candidates.is_empty() {
            if self.depth >= MAX_CANDIDATE_DEPTH {
                return self.exhausted();
            }
            self.depth += 1;
            let truth = unknown.candidates.iter().map(|candidate| self.matches(matcher, Some(candidate), scope)).reduce(Truth::agree);
            self.depth -= 1;
            return truth.unwrap_or(Truth::Unknown);
        }
        let truth = self.tests(matcher, value, scope);
        // It may turn out not to be set at all.
        if unknown.nullable { truth.agree(self.missing(matcher, scope)) } else { truth }
    }

    fn missing(&mut self, matcher: &Matcher, scope: &Scope<'_>) -> Truth {
        match (&matcher.default, matcher.missing) {
            (Some(Literal::Null), _) => self.missing_tests(matcher, scope),
            (Some(default), _) => self.tests(matcher, &compare::value_of(default), scope),
            (None, Some(Missing::True)) => Truth::True,
            (None, Some(Missing::False)) => Truth::False,
            (None, Some(Missing::Unknown)) => Truth::Unknown,
            (None, None) => self.missing_tests(matcher, scope),
        }
    }

    fn missing_tests(&mut self, matcher: &Matcher, scope: &Scope<'_>) -> Truth {
        matcher.tests.iter().map(|test| self.holds_for_missing(test, scope)).fold(Truth::True, Truth::and)
    }

    fn holds_for_missing(&mut self, test: &Test, scope: &Scope<'_>) -> Truth {
        match test {
            Test::Exists(wanted) => (!wanted).into(),
            Test::Empty(wanted) => (*wanted).into(),
            Test::Equals(literal) => (*literal == Literal::Null).into(),
            Test::NotEquals(literal) => (*literal != Literal::Null).into(),
            Test::In(literals) => literals.contains(&Literal::Null).into(),
            Test::NotIn(literals) => (!literals.contains(&Literal::Null)).into(),
            Test::Not(inner) => !self.matches(inner, None, scope),
            Test::All(inner) => inner.iter().map(|matcher| self.matches(matcher, None, scope)).fold(Truth::True, Truth::and),
            Test::Any(inner) => inner.iter().map(|matcher| self.matches(matcher, None, scope)).fold(Truth::False, Truth::or),
            _ => Truth::False,
        }
    }

    fn holds(&mut self, test: &Test, value: &Value, fold: bool, scope: &Scope<'_>) -> Truth {
        if let Data::String(text) = &value.data
            && !self.burn(text.len() / BYTES_PER_STEP)
        {
            return self.exhausted();
        }
        match test {
            Test::Equals(literal) => equals_literal(value, literal, fold),
            Test::NotEquals(literal) => !equals_literal(value, literal, fold),
            Test::In(literals) => self.one_of(value, literals, fold),
            Test::NotIn(literals) => !self.one_of(value, literals, fold),
            Test::Exists(wanted) => (*wanted).into(),
            Test::Empty(wanted) => {
                let empty = is_empty(value);
                if *wanted { empty } else { !empty }
            }
            Test::LessThan(bound) => compare_number(value, bound, |value, bound| value < bound),
            Test::AtMost(bound) => compare_number(value, bound, |value, bound| value <= bound),
            Test::GreaterThan(bound) => compare_number(value, bound, |value, bound| value > bound),
            Test::AtLeast(bound) => compare_number(value, bound, |value, bound| value >= bound),
            Test::Contains(literal) => self.contains(value, literal, fold),
            Test::ContainsAny(literals) => literals.iter().map(|literal| self.contains(value, literal, fold)).fold(Truth::False, Truth::or),
            Test::ContainsAll(literals) => literals.iter().map(|literal| self.contains(value, literal, fold)).fold(Truth::True, Truth::and),
            Test::StartsWith(texts) => edges(value, texts, fold, starts_with, fragments::starts_with),
            Test::EndsWith(texts) => edges(value, texts, fold, ends_with, fragments::ends_with),
            Test::Matches(expression) => matches_expression(value, expression),
            Test::Glob(pattern) => match &value.data {
                Data::String(text) => {
                    if !self.burn(pattern.len() * text.len() / BYTES_PER_STEP) {
                        return self.exhausted();
                    }
                    glob_matches(pattern, text, fold).into()
                }
                Data::Unknown(unknown) => of_fragments(unknown, |known| fragments::glob(known, pattern, fold)),
                _ => Truth::False,
            },
            Test::Length(matcher) => match length(value) {
                Length::Known(length) => self.matches(matcher, Some(&Value::new(Data::Number(Number::from(length)))), scope),
                Length::Unknown => Truth::Unknown,
                Length::None => Truth::False,
            },
            Test::Type(kind) => is_of_kind(value, *kind),
            Test::EqualsPath(path) => {
                let noted = self.notes_mark();
                let truth = self.at(path, scope, Combine::Any, &mut |_, found| match found {
                    Found::Value(other) => compare::equal(value, other.value, fold),
                    Found::Missing { .. } => Truth::False,
                });
                self.clear_notes(noted);
                truth
            }
            Test::LessThanPath(path) => {
                let noted = self.notes_mark();
                let truth = self.at(path, scope, Combine::Any, &mut |_, found| match found {
                    Found::Value(other) => is_less(value, other.value),
                    Found::Missing { .. } => Truth::False,
                });
                self.clear_notes(noted);
                truth
            }
            Test::WithinPath(path) => {
                let noted = self.notes_mark();
                let truth = self.at(path, scope, Combine::Any, &mut |evaluation, found| match found {
                    Found::Value(other) => {
                        let pairs = value.as_items().map_or(1, <[Value]>::len) * other.value.as_items().map_or(1, <[Value]>::len);
                        if evaluation.burn(pairs) { cidr::within(value, other.value) } else { evaluation.exhausted() }
                    }
                    Found::Missing { .. } => Truth::False,
                });
                self.clear_notes(noted);
                truth
            }
            Test::Cidr(test) => cidr::matches(*test, value),
            Test::Port(port) => ports::includes(value, *port),
            Test::RefersTo(types) => refers_to(value, &|address| types.iter().any(|pattern| pattern.matches(self.type_at(address, scope)))),
            Test::All(matchers) => matchers.iter().map(|matcher| self.matches(matcher, Some(value), scope)).fold(Truth::True, Truth::and),
            Test::Any(matchers) => matchers.iter().map(|matcher| self.matches(matcher, Some(value), scope)).fold(Truth::False, Truth::or),
            Test::Not(matcher) => !self.matches(matcher, Some(value), scope),
        }
    }

    /// The type key of a resource that something in the scope's resource refers to. A logical id of a template doesn't tell it.
    fn type_at<'t>(&'t self, address: &'t str, scope: &Scope<'_>) -> &'t str {
        if address.contains('.') {
            return type_of(address);
        }
        let mut referred = self.graph.outgoing(scope.resource).map(|link| &self.graph.resources[link.to]);
        referred.find(|resource| *resource.address == *address).map_or(address, |resource| &resource.type_key)
    }

    fn one_of(&mut self, value: &Value, literals: &[Literal], fold: bool) -> Truth {
        if !self.burn(literals.len() / 8) {
            return self.exhausted();
        }
        let mut truth = Truth::False;
        for literal in literals {
            truth = truth.or(equals_literal(value, literal, fold));
            if truth == Truth::True {
                break;
            }
        }
        truth
    }

    fn contains(&mut self, value: &Value, literal: &Literal, fold: bool) -> Truth {
        if let Some(items) = value.as_items() {
            if !self.burn(items.len() / 8) {
                return self.exhausted();
            }
            return items.iter().map(|item| equals_literal(item, literal, fold)).fold(Truth::False, Truth::or);
        }
        let Some(wanted) = scalar_text(literal) else { return Truth::False };
        match &value.data {
            Data::String(text) if fold => text.to_lowercase().contains(&wanted.to_lowercase()).into(),
            Data::String(text) => text.contains(&*wanted).into(),
            Data::Map(entries) | Data::Object(entries) => {
                let present = entries.iter().filter(|(key, _)| same_text(key, &wanted, fold)).map(|(_, value)| !compare::is_null(value));
                present.fold(Truth::False, Truth::or)
            }
            Data::Unknown(unknown) => of_fragments(unknown, |known| fragments::contains(known, &wanted, fold)),
            _ => Truth::False,
        }
    }
}

fn scalar_text(literal: &Literal) -> Option<std::borrow::Cow<'_, str>> {
    match literal {
        Literal::Text(text) | Literal::Decimal(text) => Some((&**text).into()),
        Literal::Int(value) => Some(value.to_string().into()),
        Literal::Bool(value) => Some(value.to_string().into()),
        Literal::Null | Literal::List(_) | Literal::Map(_) => None,
    }
}

fn is_empty(value: &Value) -> Truth {
    match &value.data {
        Data::Null => Truth::True,
        Data::String(text) => text.is_empty().into(),
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => items.is_empty().into(),
        Data::Map(entries) | Data::Object(entries) => {
            entries.iter().map(|(_, value)| compare::is_null(value)).fold(Truth::True, Truth::and)
        }
        Data::Bool(_) | Data::Number(_) => Truth::False,
        Data::Unknown(unknown) => is_empty_unknown(unknown),
    }
}

/// What a provider computes isn't empty, nor is a text with a known part. A variable may well be. That either may be null
/// is the caller's concern.
fn is_empty_unknown(unknown: &Unknown) -> Truth {
    let has_text = compare::fragments_of(unknown).iter().any(|part| matches!(part, Fragment::Literal(text) if !text.is_empty()));
    let is_attribute = unknown.fragments.is_empty()
        && match unknown.reason {
            Reason::AfterApply { .. } | Reason::DeployTime { .. } | Reason::PlanUnknown | Reason::Impure { .. } => true,
            // Nobody refers to a file that says nothing.
            Reason::FileNotReadable { .. } => true,
            // Of something that isn't declared here it is an attribute all the same.
            Reason::DataSource { .. } | Reason::Undeclared { .. } => !unknown.references.is_empty(),
            _ => false,
        };
    if has_text || is_attribute || unknown.document.is_some() { Truth::False } else { Truth::Unknown }
}

fn compare_number(value: &Value, bound: &Literal, holds: impl Fn(&Number, &Number) -> bool) -> Truth {
    let bound = match bound {
        Literal::Int(bound) => Number::from(*bound),
        Literal::Decimal(text) => match text.parse() {
            Ok(bound) => bound,
            Err(_) => return Truth::False,
        },
        _ => return Truth::False,
    };
    match &value.data {
        Data::Number(number) => holds(number, &bound).into(),
        Data::String(text) => text.trim().parse().is_ok_and(|number| holds(&number, &bound)).into(),
        Data::Unknown(unknown) => {
            let foreign = |fragment: &Fragment| matches!(fragment, Fragment::Literal(text) if !text.bytes().all(|byte| byte.is_ascii_digit() || b"+-.eE ".contains(&byte)));
            if unknown.fragments.iter().any(foreign) { Truth::False } else { Truth::Unknown }
        }
        _ => Truth::False,
    }
}

fn is_less(value: &Value, other: &Value) -> Truth {
    let number = |value: &Value| match &value.data {
        Data::Number(number) => Some(number.clone()),
        Data::String(text) => text.trim().parse::<Number>().ok(),
        _ => None,
    };
    match (number(value), number(other)) {
        (Some(a), Some(b)) => (a < b).into(),
        _ if value.is_unknown() || other.is_unknown() => Truth::Unknown,
        _ => Truth::False,
    }
}

/// What the known parts of a text tell; nothing if there are none.
fn of_fragments(unknown: &Unknown, ask: impl FnOnce(&[Fragment]) -> Truth) -> Truth {
    let known = compare::fragments_of(unknown);
    if known.is_empty() { Truth::Unknown } else { ask(&known) }
}

fn starts_with(text: &str, prefix: &str, fold: bool) -> bool {
    text.starts_with(prefix) || fold && text.to_lowercase().starts_with(&prefix.to_lowercase())
}

fn ends_with(text: &str, suffix: &str, fold: bool) -> bool {
    text.ends_with(suffix) || fold && text.to_lowercase().ends_with(&suffix.to_lowercase())
}

fn edges(
    value: &Value,
    wanted: &[Box<str>],
    fold: bool,
    known: impl Fn(&str, &str, bool) -> bool,
    partly: impl Fn(&[Fragment], &str, bool) -> Truth,
) -> Truth {
    match &value.data {
        Data::String(text) => wanted.iter().any(|edge| known(text, edge, fold)).into(),
        Data::Unknown(unknown) => {
            of_fragments(unknown, |known| wanted.iter().map(|edge| partly(known, edge, fold)).fold(Truth::False, Truth::or))
        }
        _ => Truth::False,
    }
}

/// In a text with unknown parts an expression is found for sure only if it is found within a known part and asks
/// nothing of what stands around.
fn matches_expression(value: &Value, expression: &Expression) -> Truth {
    let Some(regex) = expression.regex() else { return Truth::Unknown };
    match &value.data {
        Data::String(text) => regex.is_match(text).into(),
        Data::Number(number) => regex.is_match(&number.to_string()).into(),
        Data::Unknown(unknown) => {
            let fragments = compare::fragments_of(unknown);
            let first = fragments.first();
            let sure = fragments.iter().any(|fragment| match fragment {
                Fragment::Literal(text) if expression.is_free_of_edges() => regex.is_match(text),
                Fragment::Literal(text) if expression.asks_only_for_the_start() => first == Some(fragment) && regex.is_match(text),
                _ => false,
            });
            if sure { Truth::True } else { Truth::Unknown }
        }
        _ => Truth::False,
    }
}

enum Length {
    Known(usize),
    Unknown,
    /// It has none.
    None,
}

fn length(value: &Value) -> Length {
    match &value.data {
        Data::String(text) => Length::Known(text.chars().count()),
        Data::List(items) | Data::Tuple(items) => Length::Known(items.len()),
        // Unknown elements of a set may turn out to be equal.
        Data::Set(items) if items.len() > 1 && items.iter().any(|item| !item.is_wholly_known()) => Length::Unknown,
        Data::Set(items) => Length::Known(items.len()),
        Data::Map(entries) | Data::Object(entries) => {
            let count = |wanted: Truth| entries.iter().filter(|(_, value)| compare::is_null(value) == wanted).count();
            if count(Truth::Unknown) > 0 { Length::Unknown } else { Length::Known(count(Truth::False)) }
        }
        Data::Unknown(_) => Length::Unknown,
        Data::Null | Data::Bool(_) | Data::Number(_) => Length::None,
    }
}

fn is_of_kind(value: &Value, kind: Kind) -> Truth {
    let actual = match &value.data {
        Data::Null => return Truth::False,
        Data::String(_) => Kind::String,
        Data::Number(_) => Kind::Number,
        Data::Bool(_) => Kind::Bool,
        Data::List(_) | Data::Set(_) | Data::Tuple(_) => Kind::List,
        Data::Map(_) | Data::Object(_) => Kind::Map,
        Data::Unknown(unknown) if compare::is_text(unknown) => Kind::String,
        Data::Unknown(_) => return Truth::Unknown,
    };
    (actual == kind).into()
}

/// Whether a value, or an element of it, was made from an attribute of a resource of one of the types.
fn refers_to(value: &Value, fits: &dyn Fn(&str) -> bool) -> Truth {
    let hops = value.origin.hops().any(|hop| matches!(&hop.kind, keyblind_resource::HopKind::Resource { address, .. } if fits(address)));
    if hops {
        return Truth::True;
    }
    match &value.data {
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            items.iter().filter(|item| item.as_items().is_none()).map(|item| refers_to(item, fits)).fold(Truth::False, Truth::or)
        }
        Data::Unknown(unknown) if unknown.references.iter().any(|reference| fits(&reference.address)) => Truth::True,
        Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
            compare::agree(unknown.candidates.iter().map(|candidate| refers_to(candidate, fits)))
        }
        // A value from outside may come from anywhere; one that names its resources comes from those.
        Data::Unknown(unknown) if unknown.references.is_empty() => Truth::Unknown,
        _ => Truth::False,
    }
}

/// The type key in an address: `aws_x` of `module.a["k.l"].aws_x.name[0]`, `data.aws_x` of `data.aws_x.name`.
pub(crate) fn type_of(address: &str) -> &str {
    let mut rest = address;
    while let Some(after) = rest.strip_prefix("module.") {
        let mut quoted = false;
        let end = after.bytes().position(|byte| {
            quoted ^= byte == b'"';
            byte == b'.' && !quoted
        });
        match end {
            Some(end) => rest = &after[end + 1..],
            None => return "module",
        }
    }
    let from = if rest.starts_with("data.") { "data.".len() } else { 0 };
    rest[from..].find('.').map_or(rest, |dot| &rest[..from + dot])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_from_addresses() {
        for (address, type_key) in [
            ("aws_x.name", "aws_x"),
            ("aws_x.name[\"a.b\"]", "aws_x"),
            ("data.aws_x.name", "data.aws_x"),
            ("module.a[\"k.l\"].module.b.aws_x.name[0]", "aws_x"),
            ("module.a", "module"),
        ] {
            assert_eq!(type_of(address), type_key, "{address}");
        }
    }
}
