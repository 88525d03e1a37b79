//! Values that make a matcher come out as wanted.

use keyblind_resource::Value;
use keyblind_rule_language::{Literal, Matcher, Test};

use super::{Change, Inversion, Key, Remedy, Wanted, one_of};
use crate::compare::value_of;
use crate::evaluation::Scope;
use crate::truth::Truth;

/// The most values of a list that are tried.
const MOST_LITERALS: usize = 6;

impl Inversion<'_, '_> {
    /// The ways to make a matcher hold (or not) for the value at a path.
    pub(super) fn matcher(
        &mut self,
        matcher: &Matcher,
        path: Option<Vec<Key>>,
        value: Option<&Value>,
        scope: &Scope<'_>,
        wanted: bool,
    ) -> Vec<Remedy> {
        if self.evaluation.matches(matcher, value, scope) == Truth::from(wanted) {
            return vec![Remedy::default()];
        }
        let Some(path) = path else { return Vec::new() };
        let subject = self.subject;
        let mut ways = Vec::new();
        if let Some(items) = value.and_then(Value::as_items) {
            ways.extend(self.fewer_elements(matcher, &path, items, scope, wanted));
            ways.extend(self.more_elements(matcher, &path, items, scope, wanted));
        }
        let suggested = self.suggestions.values(&self.type_key, &path);
        let mut literals = Vec::new();
        if let Some(default) = matcher.default.as_ref().filter(|default| **default != Literal::Null) {
            literals.push(default.clone());
        }
        for test in &matcher.tests {
            literals_for(test, wanted, &mut literals);
        }
        literals.retain(|literal| *literal != Literal::Null);
        literals.dedup();
        let mut fitting: Vec<Literal> = Vec::new();
        for literal in literals {
            let holds = self.evaluation.matches(matcher, Some(&value_of(&literal)), scope) == Truth::from(wanted);
            if holds && !fitting.contains(&literal) {
                fitting.push(literal);
            }
        }
        // What the examples show goes before what merely satisfies: a bound is rarely what is meant.
        let mut shown: Vec<(Value, usize)> = Vec::new();
        for (value, number) in suggested {
            let fits = self.evaluation.matches(matcher, Some(&value), scope) == Truth::from(wanted);
            if fits && !shown.iter().any(|(known, _)| *known == value) {
                shown.push((value, number));
            }
        }
        fitting.sort_by_key(|literal| !shown.iter().any(|(value, _)| *value == value_of(literal)));
        for (value, number) in &shown {
            match fitting.iter().find(|literal| value_of(literal) == *value) {
                Some(literal) => ways.push(Remedy::wish(subject, path.clone(), Change::Set(Wanted::Literal(literal.clone())))),
                None => ways.push(Remedy::wish(subject, path.clone(), Change::Set(Wanted::Suggested(*number)))),
            }
        }
        if shown.is_empty() && fitting.is_empty() {
            let samples = matcher.tests.iter().flat_map(|test| samples_for(test, wanted, value, &path)).collect::<Vec<_>>().into_iter();
            let fitting = samples.filter(|sample| self.evaluation.matches(matcher, Some(&value_of(sample)), scope) == Truth::from(wanted));
            ways.extend(fitting.take(1).map(|sample| Remedy::wish(subject, path.clone(), Change::Set(Wanted::Asked(sample)))));
        }
        fitting.retain(|literal| !shown.iter().any(|(value, _)| *value == value_of(literal)));
        ways.extend(fitting.into_iter().map(|literal| Remedy::wish(subject, path.clone(), Change::Set(Wanted::Literal(literal)))));
        if value.is_some() && self.evaluation.matches(matcher, None, scope) == Truth::from(wanted) {
            ways.push(Remedy::wish(subject, path, Change::Remove));
        }
        one_of(vec![ways])
    }

    /// Without the elements that speak against it.
    fn fewer_elements(&mut self, matcher: &Matcher, path: &[Key], items: &[Value], scope: &Scope<'_>, wanted: bool) -> Option<Remedy> {
        let (mut kept, mut remedy) = (Vec::new(), Remedy::default());
        for (index, item) in items.iter().enumerate() {
            let alone = Value::tuple(vec![item.clone()]);
            if self.evaluation.matches(matcher, Some(&alone), scope) == Truth::from(wanted) {
                kept.push(item.clone());
            } else {
                let mut element = path.to_vec();
                element.push(Key::Index(index));
                remedy = remedy.and(&Remedy::wish(self.subject, element, Change::Remove))?;
            }
        }
        let holds = !kept.is_empty() && self.evaluation.matches(matcher, Some(&Value::tuple(kept)), scope) == Truth::from(wanted);
        (holds && !remedy.wishes.is_empty()).then_some(remedy)
    }

    /// With the elements that are missing.
    fn more_elements(&mut self, matcher: &Matcher, path: &[Key], items: &[Value], scope: &Scope<'_>, wanted: bool) -> Option<Remedy> {
        let mut missing: Vec<&Literal> = Vec::new();
        for test in matcher.tests.iter().filter(|_| wanted) {
            match test {
                Test::Contains(literal) => missing.push(literal),
                Test::ContainsAll(literals) => missing.extend(literals),
                Test::ContainsAny(literals) => missing.extend(literals.first()),
                _ => {}
            }
        }
        missing.retain(|literal| !items.contains(&value_of(literal)));
        let (mut all, mut remedy) = (items.to_vec(), Remedy::default());
        for literal in missing {
            let mut element = path.to_vec();
            element.push(Key::Index(all.len()));
            all.push(value_of(literal));
            remedy = remedy.and(&Remedy::wish(self.subject, element, Change::Set(Wanted::Literal(literal.clone()))))?;
        }
        let holds = self.evaluation.matches(matcher, Some(&Value::tuple(all)), scope) == Truth::from(wanted);
        (holds && !remedy.wishes.is_empty()).then_some(remedy)
    }
}

/// Values that a test holds for (or doesn't); each is tried before it is proposed.
fn literals_for(test: &Test, wanted: bool, found: &mut Vec<Literal>) {
    match (test, wanted) {
        (Test::Equals(literal), true) | (Test::NotEquals(literal), false) => found.push(literal.clone()),
        (Test::Equals(literal), false) | (Test::NotEquals(literal), true) => found.extend(opposite(literal)),
        (Test::In(literals), true) | (Test::NotIn(literals), false) => found.extend(literals.iter().take(MOST_LITERALS).cloned()),
        (Test::In(literals), false) | (Test::NotIn(literals), true) => found.extend(literals.iter().filter_map(opposite)),
        (Test::AtLeast(bound) | Test::AtMost(bound), true) | (Test::LessThan(bound) | Test::GreaterThan(bound), false) => {
            found.push(bound.clone());
        }
        (Test::GreaterThan(Literal::Int(bound)), true) | (Test::AtMost(Literal::Int(bound)), false) => {
            found.extend(bound.checked_add(1).map(Literal::Int));
        }
        (Test::LessThan(Literal::Int(bound)), true) | (Test::AtLeast(Literal::Int(bound)), false) => {
            found.extend(bound.checked_sub(1).map(Literal::Int));
        }
        (Test::Contains(literal), true) => found.push(Literal::List(vec![literal.clone()])),
        (Test::ContainsAny(literals), true) => found.extend(literals.first().map(|literal| Literal::List(vec![literal.clone()]))),
        (Test::ContainsAll(literals), true) => found.push(Literal::List(literals.clone())),
        (Test::All(matchers) | Test::Any(matchers), _) => {
            for test in matchers.iter().flat_map(|matcher| &matcher.tests) {
                literals_for(test, wanted, found);
            }
        }
        (Test::Not(matcher), _) => {
            for test in &matcher.tests {
                literals_for(test, !wanted, found);
            }
        }
        _ => {}
    }
}

/// Values of the sort that a test asks for where only a person knows the right one: addresses of an office, a name.
fn samples_for(test: &Test, wanted: bool, value: Option<&Value>, path: &[Key]) -> Vec<Literal> {
    let names_somebody =
        matches!(path.last(), Some(Key::Name(name)) if matches!(&**name, "member" | "members" | "principal" | "principals"));
    let like = |text: &str| match value {
        Some(value) if value.as_items().is_some() => Literal::List(vec![Literal::Text(text.into())]),
        _ => Literal::Text(text.into()),
    };
    match (test, wanted) {
        (Test::Cidr(_), false) => vec![like("192.0.2.0/24"), like("10.0.0.0/8"), like("2001:db8::/32")],
        (Test::Exists(true) | Test::Empty(false), true) | (Test::Exists(false) | Test::Empty(true), false) => vec![like("example")],
        (Test::In(_) | Test::Equals(_) | Test::Contains(_) | Test::ContainsAny(_), false) if names_somebody => {
            vec![like("user:somebody@example.org")]
        }
        (Test::StartsWith(texts) | Test::EndsWith(texts), true) => texts.first().map(|text| like(text)).into_iter().collect(),
        _ => Vec::new(),
    }
}

/// There are two booleans, so that "not this one" is the other. Of anything else there is no telling.
fn opposite(literal: &Literal) -> Option<Literal> {
    match literal {
        Literal::Bool(value) => Some(Literal::Bool(!value)),
        Literal::Text(text) if text.eq_ignore_ascii_case("true") => Some(Literal::Bool(false)),
        Literal::Text(text) if text.eq_ignore_ascii_case("false") => Some(Literal::Bool(true)),
        _ => None,
    }
}
