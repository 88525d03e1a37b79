//! The truth of conditions.

use keyblind_resource::{Data, Number, ResourceId, Value};
use keyblind_rule_language::{Condition, Matcher, Path, Ports, Quantifier, TypePattern};

use crate::describe;
use crate::evaluation::{Evaluation, Scope};
use crate::links;
use crate::truth::{Combine, Truth};
use crate::walk::{Found, Label, Trail};

/// Counting goes up to here exactly where elements are unknown.
const MAX_UNKNOWN_COUNT: usize = 64;

impl Evaluation<'_> {
    /// Whether a condition is true in a scope.
    pub(crate) fn condition(&mut self, condition: &Condition, scope: &Scope<'_>) -> Truth {
        if !self.burn(1) {
            return self.exhausted();
        }
        match condition {
            Condition::Always(value) => (*value).into(),
            Condition::All(conditions) => self.branch(Combine::All, conditions.iter(), |this, condition| this.condition(condition, scope)),
            Condition::Any(conditions) => self.branch(Combine::Any, conditions.iter(), |this, condition| this.condition(condition, scope)),
            Condition::Not(condition) => !self.condition(condition, scope),
            Condition::Test(path, matcher) => self.test(path, matcher, scope),
            Condition::Quantified { quantifier, list, condition } => self.quantified(*quantifier, list, condition, scope),
            Condition::Count { list, condition, is } => self.count(list, condition.as_deref(), is, scope),
            Condition::Linked(linked) => self.linked(linked, scope),
            Condition::Present { resource, condition } => self.present(resource, condition.as_deref(), scope),
            Condition::Ports(ports) => self.ports(ports, scope),
        }
    }

    fn test(&mut self, path: &Path, matcher: &Matcher, scope: &Scope<'_>) -> Truth {
        self.at(path, scope, Combine::Any, &mut |this, found| {
            let value = if let Found::Value(trail) = found { Some(trail.value) } else { None };
            let truth = this.matches(matcher, value, scope);
            this.note(truth, found, scope.resource, || describe::expected(matcher, truth == Truth::False));
            truth
        })
    }

    fn quantified(&mut self, quantifier: Quantifier, list: &Path, condition: &Condition, scope: &Scope<'_>) -> Truth {
        // "None" is "not some": its notes speak for the same truth.
        let combine = if quantifier == Quantifier::Every { Combine::All } else { Combine::Any };
        let truth = self.at(list, scope, combine, &mut |this, found| match found {
            Found::Value(trail) => this.elements(trail, scope, combine, &mut |this, element| this.condition(condition, element)),
            Found::Missing { .. } => {
                let truth = combine.neutral();
                this.note(truth, found, scope.resource, || "at least one entry".to_owned());
                truth
            }
        });
        if quantifier == Quantifier::None { !truth } else { truth }
    }

    /// Asks every element of a value: those of a list, the values of a map, or the value itself.
    fn elements(
        &mut self,
        trail: &Trail<'_>,
        scope: &Scope<'_>,
        combine: Combine,
        ask: &mut dyn FnMut(&mut Self, &Scope<'_>) -> Truth,
    ) -> Truth {
        let enter = |trail: &Trail<'_>, key: Option<&str>, this: &mut Self, ask: &mut dyn FnMut(&mut Self, &Scope<'_>) -> Truth| {
            this.element(trail, key, scope, ask)
        };
        if let Some(items) = trail.value.as_items() {
            if items.is_empty() {
                let truth = combine.neutral();
                self.note(truth, Found::Value(trail), scope.resource, || "at least one entry".to_owned());
                return truth;
            }
            return self.branch(combine, items.iter().enumerate(), |this, (index, item)| {
                enter(&trail.step(item, Label::Index(index)), None, this, ask)
            });
        }
        match &trail.value.data {
            Data::Map(entries) | Data::Object(entries) => {
                if entries.is_empty() {
                    let truth = combine.neutral();
                    self.note(truth, Found::Value(trail), scope.resource, || "at least one entry".to_owned());
                    return truth;
                }
                self.branch(combine, entries.iter(), |this, (key, value)| enter(&trail.step(value, Label::Name(key)), Some(key), this, ask))
            }
            Data::Unknown(unknown) if !unknown.candidates.is_empty() => {
                let truth = self.branch(Combine::Agree, unknown.candidates.iter(), |this, candidate| {
                    if candidate.is_null() {
                        return combine.neutral();
                    }
                    this.elements(&trail.step(candidate, Label::Candidate), scope, combine, ask)
                });
                if truth == Truth::Unknown {
                    self.note_unknown(trail, scope.resource);
                }
                truth
            }
            // It may be a list of any length.
            Data::Unknown(_) => {
                self.note_unknown(trail, scope.resource);
                Truth::Unknown
            }
            _ => enter(trail, None, self, ask),
        }
    }

    /// Asks one element; of an element that is one of some values, all of them.
    fn element(
        &mut self,
        trail: &Trail<'_>,
        key: Option<&str>,
        scope: &Scope<'_>,
        ask: &mut dyn FnMut(&mut Self, &Scope<'_>) -> Truth,
    ) -> Truth {
        if let Data::Unknown(unknown) = &trail.value.data
            && !unknown.candidates.is_empty()
        {
            let truth = self.branch(Combine::Agree, unknown.candidates.iter(), |this, candidate| {
                let trail = trail.step(candidate, Label::Candidate);
                ask(this, &Scope { trail: &trail, resource: scope.resource, key, outer: Some(scope) })
            });
            if truth == Truth::Unknown {
                self.note_unknown(trail, scope.resource);
            }
            return truth;
        }
        ask(self, &Scope { trail, resource: scope.resource, key, outer: Some(scope) })
    }

    fn count(&mut self, list: &Path, condition: Option<&Condition>, is: &Matcher, scope: &Scope<'_>) -> Truth {
        // How many satisfy it for sure, and how many may.
        let (mut certain, mut possible, mut endless) = (0_usize, 0_usize, false);
        let start = self.notes_mark();
        self.at(list, scope, Combine::All, &mut |this, found| {
            let Found::Value(trail) = found else { return Truth::True };
            if trail.value.is_unknown() {
                this.note_unknown(trail, scope.resource);
                endless = true;
                return Truth::True;
            }
            this.elements(trail, scope, Combine::All, &mut |this, element| {
                match condition.map_or(Truth::True, |condition| this.condition(condition, element)) {
                    Truth::True => certain += 1,
                    Truth::Unknown => possible += 1,
                    Truth::False => {}
                }
                Truth::True
            })
        });
        if self.is_exhausted() || endless || possible > MAX_UNKNOWN_COUNT {
            return Truth::Unknown;
        }
        let mut truth = None;
        for number in certain..=certain + possible {
            let next = self.matches(is, Some(&Value::new(Data::Number(Number::from(number)))), scope);
            truth = Some(truth.map_or(next, |before: Truth| before.agree(next)));
        }
        let truth = truth.unwrap_or(Truth::Unknown);
        if truth != Truth::Unknown {
            self.clear_notes(start);
            self.at(list, scope, Combine::Any, &mut |this, found| {
                this.note(Truth::True, found, scope.resource, || {
                    format!("a number of entries that is {}", describe::expected(is, truth == Truth::False))
                });
                Truth::False
            });
        }
        truth
    }

    /// Asks a condition of other resources; `connected` says how sure it is that each counts at all.
    pub(crate) fn others(
        &mut self,
        others: impl Iterator<Item = (ResourceId, Truth)>,
        types: &[TypePattern],
        condition: Option<&Condition>,
        scope: &Scope<'_>,
        wanted: impl FnOnce() -> String,
    ) -> Truth {
        let start = self.notes_mark();
        let mut found = false;
        let truth = self.branch(Combine::Any, others, |this, (id, connected)| {
            found = true;
            let body = &this.graph.resources[id].body;
            let trail = Trail::root(body);
            let other = Scope { trail: &trail, resource: id, key: None, outer: Some(scope) };
            let mark = this.notes_mark();
            let satisfied = condition.map_or(Truth::True, |condition| this.condition(condition, &other));
            let truth = satisfied.and(connected);
            if truth == Truth::Unknown && connected == Truth::Unknown {
                this.clear_notes(mark);
                this.note_unknown(scope.trail, scope.resource);
            }
            if truth == Truth::True && this.notes_mark() == mark {
                this.note_whole(id, false, || "no such resource".to_owned());
            }
            truth
        });
        if !found && let Some(reason) = links::unread_module_of(self.graph, scope.resource) {
            // What isn't in the text may be in the module that the resource is handed to.
            self.note_reason(scope.resource, reason);
            return Truth::Unknown;
        }
        let is_wanted = |type_key: &str| types.iter().any(|pattern| pattern.matches(type_key));
        let unread = self.graph.unread().iter().find(|unread| truth == Truth::False && is_wanted(&unread.type_key));
        if let Some(reason) = unread.map(|unread| unread.reason.clone()) {
            self.clear_notes(start);
            self.note_reason(scope.resource, reason);
            return Truth::Unknown;
        }
        if truth == Truth::False && self.notes_mark() == start {
            self.note_whole(scope.resource, true, wanted);
        }
        truth
    }

    fn present(&mut self, types: &[TypePattern], condition: Option<&Condition>, scope: &Scope<'_>) -> Truth {
        let mut found: Vec<ResourceId> = types.iter().flat_map(|pattern| self.cache.of_type(pattern).to_vec()).collect();
        found.sort_unstable();
        found.dedup();
        self.others(found.into_iter().map(|id| (id, Truth::True)), types, condition, scope, || {
            format!("a resource of type {}", describe::types(types))
        })
    }

    fn ports(&mut self, ports: &Ports, scope: &Scope<'_>) -> Truth {
        let protocol = self.at(&ports.protocol, scope, Combine::Any, &mut |this, found| {
            let truth = match found {
                Found::Value(trail) => crate::ports::covers_every_port(trail.value),
                Found::Missing { .. } => Truth::False,
            };
            this.note(truth, found, scope.resource, || "a single protocol".to_owned());
            truth
        });
        if protocol == Truth::True {
            return protocol;
        }
        let start = self.notes_mark();
        let portless = self.at(&ports.protocol, scope, Combine::All, &mut |_, found| match found {
            Found::Value(trail) => crate::ports::has_no_ports(trail.value),
            Found::Missing { .. } => Truth::False,
        });
        let range = self.at(&ports.from, scope, Combine::Any, &mut |this, low| {
            let low_value = if let Found::Value(trail) = low { Some(trail.value) } else { None };
            this.at(&ports.to, scope, Combine::Any, &mut |this, high| {
                let high_value = if let Found::Value(trail) = high { Some(trail.value) } else { None };
                let truth = crate::ports::range_covers(low_value, high_value, &ports.covers);
                let expected = || format!("a range without {}", describe::list(ports.covers.iter().map(u16::to_string)));
                if truth != Truth::Unknown || low_value.is_none_or(Value::is_unknown) {
                    this.note(truth, low, scope.resource, expected);
                } else {
                    this.note(truth, high, scope.resource, expected);
                }
                truth
            })
        });
        let truth = range.and(!portless);
        if truth == Truth::False && range != Truth::False {
            self.clear_notes(start);
        }
        truth.or(protocol)
    }
}
