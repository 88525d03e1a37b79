//! What would confine the statements of a policy: followed backwards by what they mean, not by how a rule asks.
//!
//! A statement grants too much to somebody, or something to everybody. Whom to trust instead has one answer that needs
//! nobody's decision (the account itself, which is also what AWS's own default policies say); which actions and
//! resources are needed only a person can tell.

use keyblind_resource::{Data, Value};
use keyblind_rule_language::{Condition, EscalationKind, Literal, Path, Step, View};

use super::{Change, Inversion, Key, Remedy, Wanted, all_of, one_of};
use crate::evaluation::Scope;
use crate::iam::{escalations, public, statements};
use crate::truth::Truth;
use crate::views::encoded;
use crate::walk::{Label, Trail};

/// The most statements of one document that are confined.
const MOST_STATEMENTS: usize = 16;
/// Actions and resources of the sort that are asked for.
const ACTION: &str = "s3:GetObject";
const RESOURCE: &str = "arn:aws:s3:::example-bucket/*";

/// A statement as it is written.
struct Written<'d> {
    /// The way to it.
    path: Vec<Key>,
    /// As it is written.
    raw: &'d Value,
    /// In the common form.
    statement: &'d Value,
    /// Whether it is a block of a policy-document data source.
    is_block: bool,
}

impl Inversion<'_, '_> {
    /// Whether a list is that of a policy's statements.
    pub(super) fn is_policy(&self, trail: &Trail<'_>) -> bool {
        match trail.label {
            Label::View(View::Statements | View::PublicStatements | View::Escalations(_)) => true,
            Label::Name("statement") => &*self.type_key == "data.aws_iam_policy_document",
            _ => false,
        }
    }

    /// The ways to confine each statement that a condition holds for (or doesn't).
    pub(super) fn confine(&mut self, trail: &Trail<'_>, condition: Option<&Condition>, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let Some(up) = trail.up else { return Vec::new() };
        let Some(mut path) = super::keys_of(up) else { return Vec::new() };
        let decoded = match &up.value.data {
            Data::String(_) | Data::Unknown(_) => {
                path.push(Key::Name(super::DOCUMENT.into()));
                encoded::json(up.value)
            }
            _ => Some(up.value.clone()),
        };
        let (Some(document), Some(all)) = (decoded, statements::statements(up.value)) else { return Vec::new() };
        let Some(all) = all.as_items() else { return Vec::new() };
        // The list itself may be what is looked at.
        let is_list = document.as_items().is_some();
        let (key, raw) = match part(&document, "statement") {
            Some((key, raw)) if !is_list => (key, raw),
            _ if is_list => ("statement", &document),
            _ => return Vec::new(),
        };
        if !is_list {
            path.push(Key::Name(key.into()));
        }
        let written: Vec<Written<'_>> = match raw.as_items() {
            Some(items) => items
                .iter()
                .enumerate()
                .filter(|(_, item)| !item.is_null())
                .zip(all)
                .map(|((index, raw), statement)| {
                    let path = path.iter().cloned().chain([Key::Index(index)]).collect();
                    Written { path, raw, statement, is_block: key == "statement" && raw.get("Effect").is_none() }
                })
                .collect(),
            None => all.iter().take(1).map(|statement| Written { path: path.clone(), raw, statement, is_block: false }).collect(),
        };
        let guilty = self.guilty(trail, condition, scope, wanted, all);
        if guilty.is_empty() || guilty.len() > MOST_STATEMENTS {
            return Vec::new();
        }
        let alone = guilty.into_iter().filter_map(|index| written.get(index)).map(|written| self.confined(written, condition)).collect();
        all_of(alone)
    }

    /// The numbers of the statements that have to be different.
    fn guilty(&mut self, trail: &Trail<'_>, condition: Option<&Condition>, scope: &Scope<'_>, wanted: bool, all: &[Value]) -> Vec<usize> {
        let numbers: Vec<usize> = match trail.label {
            Label::View(View::PublicStatements) => {
                (0..all.len()).filter(|&index| public::grants_to_anybody(&all[index]) == Truth::True).collect()
            }
            Label::View(View::Escalations(kind)) => return escalating(all, *kind),
            _ => (0..all.len()).collect(),
        };
        let (Some(condition), Some(items)) = (condition, trail.value.as_items()) else { return numbers };
        let mut found = Vec::new();
        for (number, item) in numbers.into_iter().zip(items) {
            let element = trail.step(item, Label::Index(number));
            let element = Scope { trail: &element, resource: scope.resource, key: None, outer: Some(scope) };
            if self.evaluation.condition(condition, &element) != Truth::from(wanted) {
                found.push(number);
            }
        }
        found
    }

    /// The ways to confine one statement.
    fn confined(&self, written: &Written<'_>, condition: Option<&Condition>) -> Vec<Remedy> {
        let is_open = public::grants_to_anybody(written.statement) != Truth::False;
        let names_somebody = written.statement.get("principals").and_then(Value::as_items).is_some_and(|items| !items.is_empty());
        if is_open || names_somebody && condition.is_some_and(|condition| asks_about(condition, "principals")) {
            let whom = if is_open { Whom::Everybody } else { Whom::Anyone };
            return [true, false]
                .into_iter()
                .filter_map(|own| self.trusting(written, own, whom))
                .filter(|remedy| !remedy.wishes.is_empty())
                .collect();
        }
        let actions = self.asking(written, "Action", ACTION);
        let resources = self.asking(written, "Resource", RESOURCE);
        let names_all = |part: &str| {
            let texts = written.statement.get(part).and_then(Value::as_items).unwrap_or_default();
            texts.is_empty() || texts.iter().any(|text| matches!(text.as_str(), Some("*" | "*:*")))
        };
        let both = actions.and(&resources);
        let ways = match (names_all("actions"), names_all("resources")) {
            (true, false) => vec![vec![actions], both.into_iter().collect()],
            (false, true) => vec![vec![resources], both.into_iter().collect()],
            // What allows everything says nothing of what is needed.
            _ => vec![both.into_iter().collect()],
        };
        one_of(ways)
    }

    /// With named principals in the place of everybody.
    fn trusting(&self, written: &Written<'_>, own: bool, whom: Whom) -> Option<Remedy> {
        let trusted = || Change::Set(Wanted::Trusted { own });
        let mut remedy = Remedy::default();
        let mut wish = |path: Vec<Key>, change: Change| {
            remedy = remedy.and(&Remedy::wish(self.subject, path, change))?;
            Some(())
        };
        let at = |keys: &[Key]| written.path.iter().cloned().chain(keys.iter().cloned()).collect::<Vec<_>>();
        let name = |name: &str| Key::Name(name.into());
        if let Some((key, _)) = part(written.raw, "notprincipal").or_else(|| part(written.raw, "not_principals")) {
            wish(at(&[name(key)]), Change::Remove)?;
            let instead =
                if written.is_block { vec![name("principals"), Key::Index(0), name("identifiers")] } else { vec![name("Principal")] };
            wish(at(&instead), trusted())?;
            if written.is_block {
                wish(at(&[name("principals"), Key::Index(0), name("type")]), Change::Set(Wanted::Literal(Literal::Text("AWS".into()))))?;
            }
            return Some(remedy);
        }
        if written.is_block {
            let blocks = written.raw.get("principals")?.as_items()?;
            for (index, block) in blocks.iter().enumerate() {
                let kind = block.get("type").and_then(Value::as_str).unwrap_or("AWS");
                let place = [name("principals"), Key::Index(index), name("identifiers")];
                match fewer(kind, block.get("identifiers")?, whom) {
                    Fewer::None => continue,
                    Fewer::Without(indices) => {
                        for index in indices {
                            wish(at(&[&place[..], &[Key::Index(index)]].concat()), Change::Remove)?;
                        }
                    }
                    Fewer::Nobody => {
                        wish(at(&place), trusted())?;
                        if kind != "AWS" {
                            let place = [name("principals"), Key::Index(index), name("type")];
                            wish(at(&place), Change::Set(Wanted::Literal(Literal::Text("AWS".into()))))?;
                        }
                    }
                }
            }
            return Some(remedy);
        }
        let (key, principal) = part(written.raw, "principal")?;
        let Some(kinds) = principal.as_mapping() else {
            wish(at(&[name(key)]), trusted())?;
            return Some(remedy);
        };
        for (kind, ids) in kinds.iter() {
            match fewer(kind, ids, whom) {
                Fewer::None => continue,
                Fewer::Without(indices) => {
                    for index in indices {
                        wish(at(&[name(key), name(kind), Key::Index(index)]), Change::Remove)?;
                    }
                }
                Fewer::Nobody if kind.eq_ignore_ascii_case("aws") => wish(at(&[name(key), name(kind)]), trusted())?,
                Fewer::Nobody if kinds.len() == 1 => wish(at(&[name(key)]), trusted())?,
                Fewer::Nobody => wish(at(&[name(key), name(kind)]), Change::Remove)?,
            }
        }
        Some(remedy)
    }

    /// With a part of a statement asked for.
    fn asking(&self, written: &Written<'_>, name: &str, sample: &str) -> Remedy {
        let spelled = if written.is_block { format!("{}s", name.to_ascii_lowercase()) } else { name.to_owned() };
        let negated = if written.is_block { format!("not_{spelled}") } else { format!("Not{name}") };
        let at = |name: &str| written.path.iter().cloned().chain([Key::Name(name.into())]).collect::<Vec<_>>();
        let key = part(written.raw, &spelled).map_or(&*spelled, |(key, _)| key);
        let asked = Change::Set(Wanted::Asked(Literal::List(vec![Literal::Text(sample.into())])));
        let remedy = Remedy::wish(self.subject, at(key), asked);
        match part(written.raw, &negated) {
            Some((key, _)) => remedy.and(&Remedy::wish(self.subject, at(key), Change::Remove)).unwrap_or(remedy),
            None => remedy,
        }
    }
}

/// Who isn't to be trusted any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Whom {
    /// Whoever stands for everybody.
    Everybody,
    /// Every account and whoever is in it.
    Anyone,
}

/// Whether a condition asks about a part of the statement.
fn asks_about(condition: &Condition, part: &str) -> bool {
    let leads_to = |path: &Path| matches!(path.steps.first(), Some(Step::Name(name)) if &**name == part);
    match condition {
        Condition::Not(inner) => asks_about(inner, part),
        Condition::All(conditions) | Condition::Any(conditions) => conditions.iter().any(|inner| asks_about(inner, part)),
        Condition::Test(path, _) => leads_to(path),
        Condition::Quantified { list, .. } | Condition::Count { list, .. } => leads_to(list),
        Condition::Always(_) | Condition::Ports(_) | Condition::Linked(_) | Condition::Present { .. } => false,
    }
}

/// What is left of a list of principals without those that stand for everybody.
enum Fewer {
    /// All of it.
    None,
    /// All but these elements.
    Without(Vec<usize>),
    /// Nothing.
    Nobody,
}

fn fewer(kind: &str, ids: &Value, whom: Whom) -> Fewer {
    let is_anybody = |id: &Value| {
        if whom == Whom::Anyone {
            return kind.eq_ignore_ascii_case("aws");
        }
        let entries = [("type", Value::string(kind.to_owned())), ("id", id.clone())].map(|(name, value)| (name.into(), value));
        public::is_anybody(&Value::object(entries)) != Truth::False
    };
    match ids.as_items() {
        None if is_anybody(ids) => Fewer::Nobody,
        None => Fewer::None,
        Some(items) => {
            let open: Vec<usize> = (0..items.len()).filter(|&index| is_anybody(&items[index])).collect();
            match open.len() {
                0 => Fewer::None,
                count if count == items.len() => Fewer::Nobody,
                _ => Fewer::Without(open),
            }
        }
    }
}

/// The statements that a way to misuse a policy rests on: each that opens one by itself, or all that name every resource.
fn escalating(all: &[Value], kind: EscalationKind) -> Vec<usize> {
    let is_denial =
        |statement: &Value| statement.get("effect").and_then(Value::as_str).is_some_and(|effect| effect.eq_ignore_ascii_case("deny"));
    let denials: Vec<Value> = all.iter().filter(|statement| is_denial(statement)).cloned().collect();
    let opens = |statements: Vec<Value>| {
        escalations::escalations(&Value::tuple(statements), kind)
            .and_then(|found| found.as_items().map(|found| !found.is_empty()))
            .unwrap_or(true)
    };
    let allowing: Vec<usize> = (0..all.len()).filter(|&index| !is_denial(&all[index])).collect();
    let alone: Vec<usize> =
        allowing.iter().copied().filter(|&index| opens(denials.iter().chain([&all[index]]).cloned().collect())).collect();
    if !alone.is_empty() {
        return alone;
    }
    let names_all = |index: &usize| {
        let resources = all[*index].get("resources").and_then(Value::as_items).unwrap_or_default();
        resources.is_empty() || resources.iter().any(|resource| resource.as_str() == Some("*"))
    };
    allowing.into_iter().filter(names_all).collect()
}

/// A part of a document or statement by its name, whatever its case, and how it is spelled.
fn part<'v>(value: &'v Value, name: &str) -> Option<(&'v str, &'v Value)> {
    value.as_mapping()?.iter().find(|(key, value)| key.eq_ignore_ascii_case(name) && !value.is_null()).map(|(key, value)| (&**key, value))
}
