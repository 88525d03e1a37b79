//! What providers demand of arguments together: a table of facts of their documentation.
//!
//! The rules know nothing of it, and a change that satisfies a rule may leave a resource that the provider refuses. A
//! remedy is completed by what the table says, and a fix that leaves a demand unmet isn't proven.

use keyblind_resource::{Data, Value};
use keyblind_rule_language::{Literal, glob_matches};
use keyblind_rules::{Change, Key, Remedy, Subject, Suggestions, Wanted, Wish};
use keyblind_scan::Trial;

static TABLE: &str = include_str!("demands.tsv");

/// The most rounds in which what is added is looked at as well.
const MOST_ROUNDS: usize = 4;

/// One line of the table.
#[derive(Clone, Copy, Debug)]
struct Demand {
    types: &'static str,
    /// Where the value stands that demands something, and the value: `*` for any, `!0` for any but this.
    path: &'static str,
    value: &'static str,
    /// What has to be there then, and its value: `*` for any, `-` for none, otherwise one of several with `|` between.
    other: &'static str,
    wanted: &'static str,
}

fn demands() -> impl Iterator<Item = Demand> {
    TABLE.lines().filter(|line| !line.starts_with('#')).filter_map(|line| {
        let fields: Vec<&'static str> = line.split('\t').collect();
        let [types, path, value, other, wanted] = fields[..] else { return None };
        Some(Demand { types, path, value, other, wanted })
    })
}

fn of_type(type_key: &str) -> impl Iterator<Item = Demand> {
    demands().filter(move |demand| glob_matches(demand.types, type_key, false))
}

/// A remedy with what else has to be different.
pub(crate) fn completed(remedy: Remedy, trial: &Trial, suggestions: &dyn Suggestions) -> Remedy {
    let mut remedy = remedy;
    for _ in 0..MOST_ROUNDS {
        let mut more = Vec::new();
        for wish in remedy.wishes.iter().filter(|wish| !matches!(wish.change, Change::Remove)) {
            let (type_key, body) = match wish.subject {
                Subject::Resource(id) => (&trial.graph.resources[id].type_key, Some(&trial.graph.resources[id].body)),
                Subject::Companion(index) => match remedy.companions.get(index) {
                    Some(companion) => (&companion.type_key, None),
                    None => continue,
                },
            };
            let names = names_of(&wish.path);
            for demand in of_type(type_key).filter(|demand| demand.path == names && demand.is_of(&wish.change)) {
                let path = demand.place(&wish.path);
                let is_wished = |wishes: &[Wish]| {
                    wishes
                        .iter()
                        .any(|known| known.subject == wish.subject && (known.path.starts_with(&path) || path.starts_with(&known.path)))
                };
                let there = body.and_then(|body| at(body, &path));
                if is_wished(&remedy.wishes) || is_wished(&more) || demand.is_met(there) {
                    continue;
                }
                let change = match demand.wanted {
                    "-" => Some(Change::Remove),
                    "*" => suggestions.values(type_key, &path).first().map(|(_, number)| Change::Set(Wanted::Suggested(*number))),
                    wanted => wanted.split('|').next().map(|wanted| Change::Set(Wanted::Literal(literal(wanted)))),
                };
                more.extend(change.map(|change| Wish { subject: wish.subject, path, change }));
            }
        }
        if more.is_empty() {
            break;
        }
        remedy.wishes.extend(more);
    }
    remedy
}

/// The demands that a resource doesn't meet, each as often as it doesn't.
pub(crate) fn unmet(type_key: &str, body: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for demand in of_type(type_key) {
        let (path, other): (Vec<&str>, Vec<&str>) = (demand.path.split('.').collect(), demand.other.split('.').collect());
        let shared = path.iter().zip(&other).take_while(|(a, b)| a == b).count();
        within(body, &path[..shared], &mut |inner| {
            let mut demands_it = false;
            within(inner, &path[shared..], &mut |value| demands_it |= demand.is_value(value));
            let mut met = demand.wanted == "-";
            let mut is_there = false;
            within(inner, &other[shared..], &mut |value| {
                is_there = true;
                met = demand.is_met(Some(value));
            });
            if demands_it && !(met || !is_there && demand.is_met(None)) {
                found.push(format!("`{}` demands that `{}` is {}", demand.path, demand.other, demand.words()));
            }
        });
    }
    found
}

impl Demand {
    fn is_of(&self, change: &Change) -> bool {
        match (self.value, change) {
            ("*", _) => true,
            (_, Change::Set(Wanted::Literal(literal))) => self.is_value(&keyblind_rules::literal_value(literal)),
            _ => false,
        }
    }

    fn is_value(&self, value: &Value) -> bool {
        match self.value {
            "*" => !value.is_null(),
            other => match other.strip_prefix('!') {
                Some(not) => !value.is_null() && !is_text(value, not),
                None => is_text(value, other),
            },
        }
    }

    /// Whether what is there is what is demanded. What isn't known may be it.
    fn is_met(&self, there: Option<&Value>) -> bool {
        let there = there.filter(|value| !value.is_null());
        match (self.wanted, there) {
            ("-", there) => there.is_none(),
            ("*", there) => there.is_some_and(|value| value.as_items().is_none_or(|items| !items.is_empty())),
            (_, Some(value)) if value.is_unknown() => true,
            (wanted, Some(value)) => wanted.split('|').any(|wanted| is_text(value, wanted)),
            (_, None) => false,
        }
    }

    /// Where the other argument stands, seen from a place.
    fn place(&self, path: &[Key]) -> Vec<Key> {
        let (own, other): (Vec<&str>, Vec<&str>) = (self.path.split('.').collect(), self.other.split('.').collect());
        let shared = own.iter().zip(&other).take_while(|(a, b)| a == b).count();
        let (mut keys, mut names) = (Vec::new(), 0);
        for key in path {
            if matches!(key, Key::Name(_)) {
                if names == shared {
                    break;
                }
                names += 1;
            }
            keys.push(key.clone());
        }
        keys.extend(other[shared..].iter().map(|name| Key::Name((*name).into())));
        keys
    }

    fn words(&self) -> String {
        match self.wanted {
            "-" => "not set".to_owned(),
            "*" => "set".to_owned(),
            wanted => format!("`{}`", wanted.replace('|', "` or `")),
        }
    }
}

fn literal(text: &str) -> Literal {
    match text {
        "true" => Literal::Bool(true),
        "false" => Literal::Bool(false),
        text => text.parse().map_or_else(|_| Literal::Text(text.into()), Literal::Int),
    }
}

fn is_text(value: &Value, text: &str) -> bool {
    match &value.data {
        Data::Bool(value) => text == if *value { "true" } else { "false" },
        Data::Number(number) => number.to_string() == text,
        Data::String(own) => own.eq_ignore_ascii_case(text),
        _ => false,
    }
}

fn names_of(path: &[Key]) -> String {
    let names = path.iter().filter_map(|key| if let Key::Name(name) = key { Some(&**name) } else { None });
    names.collect::<Vec<_>>().join(".")
}

/// The value at a path; a name goes on from the first block where no number says from which.
fn at<'v>(body: &'v Value, path: &[Key]) -> Option<&'v Value> {
    path.iter().try_fold(body, |value, key| match key {
        Key::Name(name) => value.as_items().and_then(<[Value]>::first).unwrap_or(value).get(name),
        Key::Index(index) => value.as_items()?.get(*index),
    })
}

/// Calls back for each value at a path of names.
fn within(value: &Value, names: &[&str], found: &mut dyn FnMut(&Value)) {
    // Blocks are lists of mappings; a list of anything else is a value.
    if let Some(items) = value.as_items().filter(|items| items.iter().any(|item| item.as_mapping().is_some())) {
        items.iter().for_each(|item| within(item, names, found));
        return;
    }
    match names.split_first() {
        None if !value.is_null() => found(value),
        None => {}
        Some((name, rest)) => {
            if let Some(inner) = value.get(name) {
                within(inner, rest, found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_read() {
        let written = TABLE.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()).count();
        assert_eq!(demands().count(), written);
    }

    #[test]
    fn what_is_missing_is_found_in_each_block() {
        let condition = |names: &[&str]| Value::object(names.iter().map(|name| ((*name).into(), Value::string("x"))));
        let statement = |inner: Value| Value::object([("condition".into(), Value::tuple(vec![inner]))]);
        let whole = statement(condition(&["test", "variable", "values"]));
        let body = Value::object([("statement".into(), Value::tuple(vec![whole.clone(), statement(condition(&["variable", "values"]))]))]);
        let type_key = "data.aws_iam_policy_document";
        assert_eq!(unmet(type_key, &body), ["`statement.condition` demands that `statement.condition.test` is set"]);
        assert!(unmet(type_key, &Value::object([("statement".into(), Value::tuple(vec![whole]))])).is_empty());
    }
}
