//! What an identity policy allows: allowed minus denied, as far as it can be told.

use keyblind_resource::{Data, Fragment, Origin, Value};
use keyblind_rule_language::{Literal, glob_matches};

use crate::compare::{equals_literal, fragments_of};
use crate::fragments;
use crate::truth::Truth;

/// Condition keys that confine nobody: every honest and dishonest client fulfils them.
const IDLE_KEYS: &[&str] = &["aws:securetransport", "s3:tlsversion"];

/// An identity policy, taken apart for asking.
pub(crate) struct Grants<'v> {
    allowed: Vec<Statement<'v>>,
    denied: Vec<Statement<'v>>,
}

struct Statement<'v> {
    origin: &'v Origin,
    actions: Patterns<'v>,
    not_actions: Patterns<'v>,
    /// Whether it applies at all, as it says, without a condition.
    applies: Truth,
    /// Whether it is about all resources.
    everywhere: Truth,
}

impl Statement<'_> {
    /// Whether it is about an action, without a condition and, if that can be confined to resources, about all of them.
    fn covers(&self, action: &str, confinable: bool) -> Truth {
        // Most statements name what they are about: their lists of actions needn't be looked at.
        let confined = if confinable { self.everywhere.and(self.applies) } else { self.applies };
        if confined == Truth::False {
            return Truth::False;
        }
        let by_exception = if self.not_actions.is_empty() { Truth::False } else { !self.not_actions.cover(action) };
        self.actions.cover(action).or(by_exception).and(confined)
    }
}

/// A pattern of action names, in lower case.
struct Pattern {
    text: String,
    /// If it has no wildcard but a star at its end: the length of what stands before that.
    prefix: Option<usize>,
    has_wildcard: bool,
}

impl Pattern {
    fn of(text: &str) -> Self {
        let text = text.to_ascii_lowercase();
        let first = text.find(['*', '?']);
        let prefix = first.filter(|&at| at + 1 == text.len() && text.ends_with('*'));
        Self { prefix, has_wildcard: first.is_some(), text }
    }

    fn covers(&self, action: &str) -> bool {
        match self.prefix {
            Some(length) => action.starts_with(&self.text[..length]),
            None if self.has_wildcard => glob_matches(&self.text, action, false),
            None => self.text == action,
        }
    }

    fn concerns(&self, service: &str) -> bool {
        match self.text.split_once(':') {
            Some((prefix, _)) if prefix.contains(['*', '?']) => glob_matches(prefix, service, false),
            Some((prefix, _)) => prefix == service,
            None => self.text.starts_with('*'),
        }
    }
}

/// Patterns of action names.
struct Patterns<'v> {
    known: Vec<Pattern>,
    partly: Vec<&'v Value>,
    /// The list itself is unknown.
    unknown: bool,
}

impl<'v> Patterns<'v> {
    fn of(value: Option<&'v Value>) -> Self {
        let mut patterns = Self { known: Vec::new(), partly: Vec::new(), unknown: false };
        match value.map(|value| (value, value.as_items())) {
            None => {}
            Some((value, None)) => patterns.unknown = value.is_unknown(),
            Some((_, Some(items))) => {
                for item in items {
                    match &item.data {
                        Data::String(text) => patterns.known.push(Pattern::of(text)),
                        Data::Unknown(_) => patterns.partly.push(item),
                        _ => {}
                    }
                }
            }
        }
        patterns
    }

    fn is_empty(&self) -> bool {
        self.known.is_empty() && self.partly.is_empty() && !self.unknown
    }

    /// Whether an action in lower case fits one of them.
    fn cover(&self, action: &str) -> Truth {
        if self.known.iter().any(|pattern| pattern.covers(action)) {
            return Truth::True;
        }
        self.partly.iter().map(|value| may_cover(value, action)).fold(unknown_if(self.unknown), Truth::or)
    }

    /// Whether any action of a service can fit, judged by the names before the colon alone.
    fn concern(&self, service: &str) -> bool {
        let fits = |pattern: &Pattern| pattern.concerns(service);
        self.unknown || !self.partly.is_empty() || self.known.iter().any(fits)
    }
}

fn unknown_if(unknown: bool) -> Truth {
    if unknown { Truth::Unknown } else { Truth::False }
}

/// Whether a pattern with unknown parts covers an action: its own stars may, and so may whatever the unknown parts are.
fn may_cover(pattern: &Value, action: &str) -> Truth {
    let Data::Unknown(unknown) = &pattern.data else { return Truth::False };
    if !unknown.candidates.is_empty() {
        return crate::compare::agree(unknown.candidates.iter().map(|candidate| match &candidate.data {
            Data::String(text) => glob_matches(&text.to_ascii_lowercase(), action, false).into(),
            Data::Unknown(_) => may_cover(candidate, action),
            _ => Truth::False,
        }));
    }
    let loosened: Vec<Fragment> = fragments_of(unknown)
        .iter()
        .flat_map(|fragment| match fragment {
            Fragment::Unknown => vec![Fragment::Unknown],
            Fragment::Literal(text) => {
                let mut parts = Vec::new();
                for (index, part) in text.split('*').enumerate() {
                    if index > 0 {
                        parts.push(Fragment::Unknown);
                    }
                    parts.push(Fragment::Literal(part.into()));
                }
                parts
            }
        })
        .collect();
    unknown_if(loosened.is_empty() || fragments::may_equal(&loosened, action, true))
}

impl<'v> Grants<'v> {
    /// Takes a list of statements in the common form.
    pub(crate) fn of(statements: &'v [Value]) -> Self {
        let mut grants = Self { allowed: Vec::new(), denied: Vec::new() };
        for statement in statements {
            let text = |text: &str| Literal::Text(text.into());
            let effect =
                |wanted: &str| statement.get("effect").map_or(Truth::Unknown, |effect| equals_literal(effect, &text(wanted), true));
            if statement.is_unknown() {
                let nothing_known = Patterns { known: Vec::new(), partly: Vec::new(), unknown: true };
                let no_exceptions = Patterns { known: Vec::new(), partly: Vec::new(), unknown: false };
                let (applies, everywhere) = (Truth::Unknown, Truth::Unknown);
                grants.allowed.push(Statement {
                    origin: &statement.origin,
                    actions: nothing_known,
                    not_actions: no_exceptions,
                    applies,
                    everywhere,
                });
                continue;
            }
            let read = |applies: Truth| Statement {
                origin: &statement.origin,
                actions: Patterns::of(statement.get("actions")),
                not_actions: Patterns::of(statement.get("not_actions")),
                applies: applies.and(unconditional(statement)),
                everywhere: is_everywhere(statement),
            };
            let (allows, denies) = (effect("Allow"), effect("Deny"));
            if allows != Truth::False {
                grants.allowed.push(read(allows));
            }
            if denies != Truth::False {
                grants.denied.push(read(denies));
            }
        }
        grants
    }

    /// Whether an action (in lower case) is allowed without being confined. What can't be confined to resources needs
    /// no statement about all of them.
    pub(crate) fn allow(&self, action: &str, confinable: bool) -> Truth {
        let cover = |statement: &Statement<'_>| statement.covers(action, confinable);
        let allowed = self.allowed.iter().map(cover).fold(Truth::False, Truth::or);
        if allowed == Truth::False {
            return allowed;
        }
        allowed.and(!self.denied.iter().map(cover).fold(Truth::False, Truth::or))
    }

    /// Where the statement stands that allows an action.
    pub(crate) fn origin(&self, action: &str, confinable: bool) -> Origin {
        let statement = self.allowed.iter().find(|statement| statement.covers(action, confinable) == Truth::True);
        statement.map_or(Origin::None, |statement| statement.origin.clone())
    }

    /// Whether any action of a service may be allowed on all resources.
    pub(crate) fn concern(&self, service: &str) -> bool {
        self.allowed.iter().any(|statement| {
            statement.everywhere.and(statement.applies) != Truth::False
                && (!statement.not_actions.is_empty() || statement.actions.concern(service))
        })
    }
}

/// Whether a statement is about all resources: `*`, or all but some.
fn is_everywhere(statement: &Value) -> Truth {
    let star = Literal::Text("*".into());
    let named = match statement.get("resources") {
        None => Truth::False,
        Some(value) => match value.as_items() {
            Some(items) => items.iter().map(|item| equals_literal(item, &star, false)).fold(Truth::False, Truth::or),
            None => equals_literal(value, &star, false),
        },
    };
    let all_but = statement.get("not_resources").map_or(Truth::False, |value| match value.as_items() {
        Some(items) => (!items.is_empty()).into(),
        None => unknown_if(value.is_unknown()),
    });
    named.or(all_but)
}

/// Whether a statement has no condition that would confine it.
fn unconditional(statement: &Value) -> Truth {
    let Some(conditions) = statement.get("conditions") else { return Truth::True };
    let Some(items) = conditions.as_items() else { return !unknown_if(conditions.is_unknown()) };
    let is_idle = |condition: &Value| {
        condition.get("key").and_then(Value::as_str).is_some_and(|key| IDLE_KEYS.contains(&key.to_ascii_lowercase().as_str()))
    };
    items.iter().all(is_idle).into()
}
