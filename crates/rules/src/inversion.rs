//! What would have to be different for a failing resource to pass.
//!
//! A failing condition says what would make it come out otherwise. Following it backwards gives [`Remedy`]s: sets of
//! [`Wish`]es about attributes, blocks and companion resources. They are proposals: each is what one reading of the
//! condition asks for, the likeliest first, and nothing is known yet about the text that it would take. Whoever applies
//! one judges again.

mod policy;
mod secrets;
mod values;

use std::sync::Arc;

use keyblind_resource::{Data, ResourceId, Value};
use keyblind_rule_language::{
    Condition, Decision, Direction, Linked, Literal, Matcher, Outcome, Path, Quantifier, Ruling, Step, TypePattern, View,
};

use crate::evaluation::{Evaluation, Scope};
use crate::truth::{Combine, Truth};
use crate::walk::{Found, Label, Trail};

/// The most remedies that are followed at a time.
const MOST_REMEDIES: usize = 12;
/// The most wishes of one remedy.
const MOST_WISHES: usize = 64;
/// The name under which the document lies that an encoded text holds.
pub const DOCUMENT: &str = "|json";
/// Blocks that each open something by themselves, so that there may as well be none.
pub const GRANTING_BLOCKS: &[&str] =
    &["ingress", "egress", "grant", "security_rule", "access", "access_config", "authorized_networks", "cidr_blocks"];
/// The deepest nesting of conditions.
const MAX_DEPTH: usize = 64;

/// A set of wishes that, all fulfilled, make a resource pass.
#[derive(Clone, Debug, Default)]
pub struct Remedy {
    /// What should be different.
    pub wishes: Vec<Wish>,
    /// The resources that should be there as well; [`Subject::Companion`] counts in here.
    pub companions: Vec<Companion>,
}

/// One thing that should be different.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Of what.
    pub subject: Subject,
    /// Where in its body. An index that isn't there means one more element.
    pub path: Vec<Key>,
    /// What.
    pub change: Change,
}

/// What a wish is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A resource of the graph that was judged.
    Resource(ResourceId),
    /// One of the remedy's companions.
    Companion(usize),
}

/// A step to a place in a body.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Key {
    /// An attribute, or the blocks of that name.
    Name(Arc<str>),
    /// An element or block.
    Index(usize),
}

/// What should become of a place.
#[derive(Clone, Debug)]
pub enum Change {
    /// It has this value.
    Set(Wanted),
    /// It isn't there.
    Remove,
    /// It refers to this.
    Refer(Subject),
}

/// A value that is wished for.
#[derive(Clone, Debug)]
pub enum Wanted {
    /// A value that the rule states.
    Literal(Literal),
    /// One of the [`Suggestions`].
    Suggested(usize),
    /// A value that only a person knows, such as this one.
    Asked(Literal),
    /// Principals of a policy that may be trusted: the account that is deployed to, or ones that a person names.
    Trusted {
        /// Whether it is the account.
        own: bool,
    },
    /// The text that is there without these lines, each without the white space around it.
    WithoutLines(Arc<[Box<str>]>),
}

/// A resource that should be there beside the one that is judged.
#[derive(Clone, Debug)]
pub struct Companion {
    /// Its type key.
    pub type_key: Arc<str>,
}

/// Values that are known to be good: of a rule's examples.
pub trait Suggestions {
    /// The values at a path of resources of a type, each with the number that it is known by.
    fn values(&self, type_key: &str, path: &[Key]) -> Vec<(Value, usize)>;
}

/// The value that a literal of a rule stands for.
pub fn literal_value(literal: &Literal) -> Value {
    crate::compare::value_of(literal)
}

/// No values.
pub struct NoSuggestions;

impl Suggestions for NoSuggestions {
    fn values(&self, _: &str, _: &[Key]) -> Vec<(Value, usize)> {
        Vec::new()
    }
}

impl Remedy {
    fn wish(subject: Subject, path: Vec<Key>, change: Change) -> Self {
        Self { wishes: vec![Wish { subject, path, change }], companions: Vec::new() }
    }

    /// Both; `None` if they contradict each other or are too many.
    fn and(&self, other: &Self) -> Option<Self> {
        let offset = self.companions.len();
        let shifted = |subject| if let Subject::Companion(index) = subject { Subject::Companion(index + offset) } else { subject };
        let mut joined = self.clone();
        joined.companions.extend(other.companions.iter().cloned());
        for wish in &other.wishes {
            let change = if let Change::Refer(to) = wish.change { Change::Refer(shifted(to)) } else { wish.change.clone() };
            let wish = Wish { subject: shifted(wish.subject), path: wish.path.clone(), change };
            match joined.wishes.iter().find(|known| known.subject == wish.subject && known.path == wish.path) {
                None => joined.wishes.push(wish),
                Some(known) if known.change.is_same(&wish.change) => {}
                Some(_) => return None,
            }
        }
        (joined.wishes.len() <= MOST_WISHES).then_some(joined)
    }

    /// How much it asks for: of two ways the one that changes less is the likelier to be meant.
    fn cost(&self) -> usize {
        let wishes = self.wishes.iter().map(|wish| match wish.change {
            Change::Set(Wanted::Literal(_) | Wanted::Suggested(_) | Wanted::Trusted { own: true } | Wanted::WithoutLines(_)) => 2,
            Change::Set(Wanted::Asked(_) | Wanted::Trusted { own: false }) | Change::Refer(_) => 3,
            Change::Remove => 4,
        });
        wishes.sum::<usize>() + 12 * self.companions.len()
    }
}

impl Change {
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Set(Wanted::Literal(a)), Self::Set(Wanted::Literal(b))) => a == b,
            (Self::Set(Wanted::Suggested(a)), Self::Set(Wanted::Suggested(b))) => a == b,
            (Self::Set(Wanted::Asked(a)), Self::Set(Wanted::Asked(b))) => a == b,
            (Self::Set(Wanted::WithoutLines(a)), Self::Set(Wanted::WithoutLines(b))) => a == b,
            (Self::Set(Wanted::Trusted { own: a }), Self::Set(Wanted::Trusted { own: b })) => a == b,
            (Self::Remove, Self::Remove) => true,
            (Self::Refer(a), Self::Refer(b)) => a == b,
            _ => false,
        }
    }
}

/// Follows conditions backwards.
pub(crate) struct Inversion<'i, 'e> {
    pub(crate) evaluation: Evaluation<'e>,
    pub(crate) suggestions: &'i dyn Suggestions,
    subject: Subject,
    type_key: Arc<str>,
    depth: usize,
}

impl<'i, 'e> Inversion<'i, 'e> {
    pub(crate) fn new(evaluation: Evaluation<'e>, suggestions: &'i dyn Suggestions) -> Self {
        let judged = evaluation.judged;
        let type_key = evaluation.graph.resources[judged].type_key.clone();
        Self { evaluation, suggestions, subject: Subject::Resource(judged), type_key, depth: 0 }
    }

    /// The ways to make the first decision that applies come out as a pass.
    pub(crate) fn remedies(&mut self, decisions: &[&Decision], scope: &Scope<'_>) -> Vec<Remedy> {
        let applying = decisions
            .iter()
            .find(|decision| decision.when.as_ref().is_none_or(|when| self.evaluation.condition(when, scope) != Truth::False));
        let Some(decision) = applying else { return Vec::new() };
        let mut remedies = match &decision.outcome {
            Outcome::Fail(condition) => self.make(condition, scope, false),
            Outcome::Pass(condition) => self.make(condition, scope, true),
            Outcome::Cases(cases, otherwise) => {
                let failing = cases.iter().position(|case| self.evaluation.condition(&case.condition, scope) == Truth::True);
                let mut remedies = Vec::new();
                // Not to fail, where that is a pass.
                if let Some(failing) = failing.filter(|&at| cases[at].ruling == Ruling::Fail) {
                    let mut ways = vec![self.make(&cases[failing].condition, scope, false)];
                    let mut behind = *otherwise;
                    for case in &cases[failing + 1..] {
                        if self.evaluation.condition(&case.condition, scope) == Truth::True {
                            if case.ruling == Ruling::Pass {
                                behind = Ruling::Pass;
                                break;
                            }
                            // What would decide it next stands in the way as well.
                            ways.push(self.make(&case.condition, scope, false));
                        }
                    }
                    if behind == Ruling::Pass {
                        remedies.extend(all_of(ways));
                    }
                }
                for (index, case) in cases.iter().enumerate().filter(|(_, case)| case.ruling == Ruling::Pass) {
                    let mut ways = self.make(&case.condition, scope, true);
                    if let Some(failing) = failing.filter(|&failing| failing < index) {
                        let others = self.make(&cases[failing].condition, scope, false);
                        ways = all_of(vec![ways, others]);
                    }
                    remedies.extend(ways);
                }
                remedies
            }
        };
        remedies.retain(|remedy| !remedy.wishes.is_empty() || !remedy.companions.is_empty());
        remedies.sort_by_key(Remedy::cost);
        remedies.truncate(MOST_REMEDIES);
        remedies
    }

    /// The ways to make a condition true or false in a scope; one without wishes if it is so already.
    fn make(&mut self, condition: &Condition, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        if self.depth >= MAX_DEPTH {
            return Vec::new();
        }
        if self.evaluation.condition(condition, scope) == Truth::from(wanted) {
            return vec![Remedy::default()];
        }
        self.depth += 1;
        let remedies = match condition {
            Condition::Always(_) | Condition::Ports(_) => Vec::new(),
            Condition::Not(inner) => self.make(inner, scope, !wanted),
            Condition::All(conditions) => self.join(conditions, scope, wanted, wanted),
            Condition::Any(conditions) => self.join(conditions, scope, wanted, !wanted),
            Condition::Test(path, matcher) => self.test(path, matcher, scope, wanted),
            Condition::Quantified { quantifier, list, condition } => match (quantifier, wanted) {
                (Quantifier::Some, true) | (Quantifier::None, false) => self.one_element(list, condition, scope, true),
                (Quantifier::Some, false) | (Quantifier::None, true) => self.each_element(list, condition, scope, false),
                (Quantifier::Every, true) => self.each_element(list, condition, scope, true),
                (Quantifier::Every, false) => self.one_element(list, condition, scope, false),
            },
            Condition::Count { list, condition, is } => self.count(list, condition.as_deref(), is, scope, wanted),
            Condition::Linked(linked) => self.linked(linked, scope, wanted),
            Condition::Present { resource, condition } => self.present(resource, condition.as_deref(), scope, wanted),
        };
        self.depth -= 1;
        remedies
    }

    /// Makes all (or one) of some conditions true or false.
    fn join(&mut self, conditions: &[Condition], scope: &Scope<'_>, wanted: bool, all: bool) -> Vec<Remedy> {
        let ways: Vec<Vec<Remedy>> = conditions.iter().map(|condition| self.make(condition, scope, wanted)).collect();
        if all { all_of(ways) } else { one_of(ways) }
    }

    /// A test holds for a path if it does for one of its branches.
    fn test(&mut self, path: &Path, matcher: &Matcher, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let mut ways = Vec::new();
        self.leaves(path, scope, &mut |this, found| {
            let value = if let Found::Value(trail) = found { Some(trail.value) } else { None };
            if let Found::Value(trail) = found
                && (this.is_policy(trail) || Self::is_secrets(trail))
            {
                let holds = this.evaluation.matches(matcher, value, scope) == Truth::from(wanted);
                ways.push(match holds {
                    true => vec![Remedy::default()],
                    false if Self::is_secrets(trail) => this.cleaned(trail),
                    false => this.confine(trail, None, scope, wanted),
                });
                return;
            }
            let mut own = this.matcher(matcher, keys_to(found), value, scope, wanted);
            if !wanted
                && let Some(block) = keys_to(found).as_deref().and_then(granting_block)
                && own.iter().any(|remedy| !remedy.wishes.is_empty())
            {
                own.push(Remedy::wish(this.subject, block, Change::Remove));
            }
            ways.push(own);
        });
        if wanted { one_of(ways) } else { all_of(ways) }
    }

    /// Asks at the end of every branch of a path.
    fn leaves(&mut self, path: &Path, scope: &Scope<'_>, ask: &mut dyn FnMut(&mut Self, Found<'_>)) {
        // The walk needs the evaluation for itself; what is asked at its ends needs another one.
        let fresh = Evaluation::generous(self.evaluation.graph, self.evaluation.cache, self.evaluation.judged);
        let mut walking = std::mem::replace(&mut self.evaluation, fresh);
        walking.at(path, scope, Combine::All, &mut |_, found| {
            ask(self, found);
            Truth::True
        });
        self.evaluation = walking;
    }

    /// Makes a condition true (or false) for one element of a list that is there, or for one more.
    fn one_element(&mut self, list: &Path, condition: &Condition, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let mut ways = Vec::new();
        self.leaves(list, scope, &mut |this, found| match found {
            Found::Value(trail) => {
                this.elements(trail, scope, &mut |this, element| ways.push(this.make(condition, element, wanted)));
                if let Some(items) = trail.value.as_items() {
                    let nothing = Value::object([]);
                    let element = trail.step(&nothing, Label::Index(items.len()));
                    let element = Scope { trail: &element, resource: scope.resource, key: None, outer: Some(scope) };
                    ways.push(this.make(condition, &element, wanted));
                }
            }
            Found::Missing { at, rest } => {
                let names: Option<Vec<&str>> =
                    rest.iter().map(|step| if let Step::Name(name) = step { Some(&**name) } else { None }).collect();
                if let Some(names) = names {
                    ways.push(this.within_missing(at, &names, condition, scope, wanted));
                }
            }
        });
        one_of(ways)
    }

    /// The ways to make a condition true of the first element of a list that isn't there.
    fn within_missing(&mut self, at: &Trail<'_>, names: &[&str], condition: &Condition, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let nothing = Value::object([]);
        match names.split_first() {
            Some((name, rest)) => self.within_missing(&at.step(&nothing, Label::Name(name)), rest, condition, scope, wanted),
            None => {
                let element = at.step(&nothing, Label::Index(0));
                let element = Scope { trail: &element, resource: scope.resource, key: None, outer: Some(scope) };
                self.make(condition, &element, wanted)
            }
        }
    }

    /// Makes a condition true (or false) for every element: each is changed, or goes.
    fn each_element(&mut self, list: &Path, condition: &Condition, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let mut ways = Vec::new();
        self.leaves(list, scope, &mut |this, found| {
            let Found::Value(trail) = found else { return };
            if this.is_policy(trail) || Self::is_secrets(trail) {
                let confined =
                    if Self::is_secrets(trail) { this.cleaned(trail) } else { this.confine(trail, Some(condition), scope, wanted) };
                if !confined.is_empty() {
                    ways.push(confined);
                    return;
                }
            }
            let mut removed = Vec::new();
            let mut changed = Vec::new();
            this.elements(trail, scope, &mut |this, element| {
                if this.evaluation.condition(condition, element) == Truth::from(wanted) {
                    return;
                }
                let mut own = this.make(condition, element, wanted);
                own.extend(keys_of(element.trail).map(|path| Remedy::wish(this.subject, path, Change::Remove)));
                changed.push(own.clone());
                removed.push(own.split_off(own.len().saturating_sub(1)));
            });
            let mut both = all_of(changed);
            both.extend(all_of(removed));
            ways.push(both);
        });
        all_of(ways)
    }

    fn elements(&mut self, trail: &Trail<'_>, scope: &Scope<'_>, ask: &mut dyn FnMut(&mut Self, &Scope<'_>)) {
        let mut enter = |trail: &Trail<'_>, key: Option<&str>, this: &mut Self| {
            ask(this, &Scope { trail, resource: scope.resource, key, outer: Some(scope) });
        };
        if let Some(items) = trail.value.as_items() {
            for (index, item) in items.iter().enumerate() {
                enter(&trail.step(item, Label::Index(index)), None, self);
            }
        } else if let Data::Map(entries) | Data::Object(entries) = &trail.value.data {
            for (key, value) in entries.iter() {
                enter(&trail.step(value, Label::Name(key)), Some(key), self);
            }
        } else {
            enter(trail, None, self);
        }
    }

    /// A count can be followed where it asks for none, or for one more than none.
    fn count(&mut self, list: &Path, condition: Option<&Condition>, is: &Matcher, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let always = Condition::Always(true);
        let condition = condition.unwrap_or(&always);
        let holds = |this: &mut Self, number: i64| this.evaluation.matches(is, Some(&Value::int(number)), scope) == Truth::from(wanted);
        if holds(self, 0) {
            self.each_element(list, condition, scope, false)
        } else if holds(self, 1) {
            self.one_element(list, condition, scope, true)
        } else {
            Vec::new()
        }
    }

    fn linked(&mut self, linked: &Linked, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let connected: Vec<ResourceId> = self.evaluation.connected(linked, scope).into_iter().map(|(id, _)| id).collect();
        let mut ways = self.of_others(&connected, linked.condition.as_ref(), scope, wanted);
        if !wanted {
            return all_of(ways);
        }
        for type_key in linked.to.iter().filter_map(TypePattern::exact) {
            let companion = self.companion(type_key, linked.condition.as_ref(), scope);
            let theirs = linked.by.as_deref().filter(|_| linked.direction != Direction::Out);
            let theirs = theirs.map(plain_path).or_else(|| Some(static_path(&linked.matching.first()?.0)));
            let ours = linked.by.as_deref().filter(|_| linked.direction != Direction::In).map(plain_path);
            for remedy in companion {
                if let Some(Some(path)) = &theirs {
                    let link = Remedy::wish(Subject::Companion(0), path.clone(), Change::Refer(self.subject));
                    ways.push(linking(&remedy, link).into_iter().collect());
                }
                if let Some(Some(path)) = &ours {
                    let link = Remedy::wish(self.subject, path.clone(), Change::Refer(Subject::Companion(0)));
                    ways.push(linking(&remedy, link).into_iter().collect());
                }
                if theirs.is_none() && ours.is_none() {
                    // How the two are connected only an example can tell.
                    ways.push(vec![remedy]);
                }
            }
        }
        one_of(ways)
    }

    fn present(&mut self, types: &[TypePattern], condition: Option<&Condition>, scope: &Scope<'_>, wanted: bool) -> Vec<Remedy> {
        let graph = self.evaluation.graph;
        let of_type = |id: &ResourceId| types.iter().any(|pattern| pattern.matches(&graph.resources[*id].type_key));
        let found: Vec<ResourceId> = (0..graph.resources.len()).filter(of_type).collect();
        let mut ways = self.of_others(&found, condition, scope, wanted);
        if !wanted {
            return all_of(ways);
        }
        for type_key in types.iter().filter_map(TypePattern::exact) {
            ways.push(self.companion(type_key, condition, scope));
        }
        one_of(ways)
    }

    /// The ways to make a condition true (or false) of each of some resources.
    fn of_others(&mut self, others: &[ResourceId], condition: Option<&Condition>, scope: &Scope<'_>, wanted: bool) -> Vec<Vec<Remedy>> {
        let graph = self.evaluation.graph;
        let Some(condition) = condition else { return if wanted || others.is_empty() { Vec::new() } else { vec![Vec::new()] } };
        others
            .iter()
            .take(MOST_WISHES)
            .map(|&id| {
                let resource = &graph.resources[id];
                let trail = Trail::root(&resource.body);
                let other = Scope { trail: &trail, resource: id, key: None, outer: Some(scope) };
                self.about(Subject::Resource(id), resource.type_key.clone(), |this| this.make(condition, &other, wanted))
            })
            .collect()
    }

    /// A resource that satisfies a condition, made from nothing.
    fn companion(&mut self, type_key: &str, condition: Option<&Condition>, scope: &Scope<'_>) -> Vec<Remedy> {
        let nothing = Value::object([]);
        let trail = Trail::root(&nothing);
        let other = Scope { trail: &trail, resource: scope.resource, key: None, outer: Some(scope) };
        let type_key: Arc<str> = type_key.into();
        let ways = match condition {
            Some(condition) => self.about(Subject::Companion(0), type_key.clone(), |this| this.make(condition, &other, true)),
            None => vec![Remedy::default()],
        };
        // A companion that itself needs a companion is more than anybody would follow.
        ways.into_iter()
            .filter(|way| way.companions.is_empty())
            .map(|way| Remedy { companions: vec![Companion { type_key: type_key.clone() }], ..way })
            .collect()
    }

    fn about<T>(&mut self, subject: Subject, type_key: Arc<str>, then: impl FnOnce(&mut Self) -> T) -> T {
        let before = (std::mem::replace(&mut self.subject, subject), std::mem::replace(&mut self.type_key, type_key));
        let result = then(self);
        (self.subject, self.type_key) = before;
        result
    }
}

/// The companion is the first of the remedy, and so is that of the link.
fn linking(remedy: &Remedy, link: Remedy) -> Option<Remedy> {
    let joined = Remedy { companions: remedy.companions.clone(), wishes: link.wishes };
    let rest = Remedy { companions: Vec::new(), wishes: remedy.wishes.clone() };
    let mut both = joined;
    for wish in rest.wishes {
        match both.wishes.iter().find(|known| known.subject == wish.subject && known.path == wish.path) {
            // What the condition asks of the path by which it is linked, the reference answers.
            Some(_) => {}
            None => both.wishes.push(wish),
        }
    }
    Some(both)
}

/// One of several sets of ways.
fn one_of(ways: Vec<Vec<Remedy>>) -> Vec<Remedy> {
    let mut found: Vec<Remedy> = ways.into_iter().flatten().collect();
    found.sort_by_key(Remedy::cost);
    found.truncate(MOST_REMEDIES);
    found
}

/// A way out of each of several sets, in every combination that isn't too many.
fn all_of(ways: Vec<Vec<Remedy>>) -> Vec<Remedy> {
    let mut joined = vec![Remedy::default()];
    for alternatives in ways {
        let mut next: Vec<Remedy> = joined.iter().flat_map(|before| alternatives.iter().filter_map(move |way| before.and(way))).collect();
        next.sort_by_key(Remedy::cost);
        next.truncate(MOST_REMEDIES);
        joined = next;
    }
    joined
}

/// The way to what was found, as keys; `None` if it leads through a view, or through one of several values.
fn keys_to(found: Found<'_>) -> Option<Vec<Key>> {
    let (trail, rest) = match found {
        Found::Value(trail) => (trail, &[][..]),
        Found::Missing { at, rest } => (at, rest),
    };
    let mut keys = keys_of(trail)?;
    for step in rest {
        keys.push(match step {
            Step::Name(name) => Key::Name((**name).into()),
            Step::Index(index) => Key::Index(*index as usize),
            Step::Every => Key::Index(0),
            Step::View(View::Json) => Key::Name(DOCUMENT.into()),
            Step::Names(_) | Step::View(_) => return None,
        });
    }
    Some(keys)
}

fn keys_of(trail: &Trail<'_>) -> Option<Vec<Key>> {
    let Some(up) = trail.up else { return Some(Vec::new()) };
    let mut keys = keys_of(up)?;
    match trail.label {
        Label::Root => {}
        Label::Name(name) if name.starts_with('$') => return None,
        Label::Name(name) => keys.push(Key::Name(name.into())),
        Label::Index(index) => keys.push(Key::Index(index)),
        // What is written as a document in the text can be followed into it.
        Label::View(View::Json) => keys.push(Key::Name(DOCUMENT.into())),
        Label::View(_) | Label::Candidate => return None,
    }
    Some(keys)
}

/// The innermost block around a place that may as well not be there.
fn granting_block(keys: &[Key]) -> Option<Vec<Key>> {
    let at = keys.windows(2).rposition(|pair| matches!(pair, [Key::Name(name), Key::Index(_)] if GRANTING_BLOCKS.contains(&&**name)))?;
    (at + 2 < keys.len()).then(|| keys[..at + 2].to_vec())
}

/// A path that is nothing but names with dots between.
fn plain_path(path: &str) -> Option<Vec<Key>> {
    Some(path.split('.').map(|name| Key::Name(name.into())).collect())
}

fn static_path(path: &Path) -> Option<Vec<Key>> {
    path.steps.iter().map(|step| if let Step::Name(name) = step { Some(Key::Name((**name).into())) } else { None }).collect()
}
