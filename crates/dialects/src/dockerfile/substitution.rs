//! `$name`, `${name}` and `${name:-default}` in the arguments of instructions, and the quotes around them.
//!
//! Source: Dockerfile reference, "Environment replacement". What only the build or the base image knows is unknown, and
//! the parts of the text around it are not.

use std::collections::HashMap;
use std::sync::Arc;

use keyblind_resource::{Data, Fragment, HopKind, Origin, Reason, Unknown, Value};
use keyblind_syntax::Site;
use keyblind_syntax::dockerfile::Escape;

use crate::limits;

/// The variables that an instruction sees: those of its stage, and those of the stages below it.
#[derive(Clone, Debug, Default)]
pub(super) struct Variables {
    own: HashMap<Arc<str>, Value>,
    base: Option<Arc<Variables>>,
    height: u32,
}

impl Variables {
    /// Variables of a stage that is built upon another. What is too far below isn't seen: it is undeclared, so unknown.
    pub(super) fn upon(base: &Arc<Self>) -> Self {
        let is_near = base.height < limits::DOCKERFILE_STAGE_HEIGHT;
        Self { own: HashMap::new(), base: is_near.then(|| base.clone()), height: if is_near { base.height + 1 } else { 0 } }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.own.insert(name.into(), value);
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        let mut variables = self;
        loop {
            if let Some(value) = variables.own.get(name) {
                return Some(value);
            }
            variables = variables.base.as_deref()?;
        }
    }
}

/// What substitution may still cost in one file, in bytes.
#[derive(Debug)]
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(limits::DOCKERFILE_SUBSTITUTED_BYTES)
    }
}

/// The parts of a text.
#[derive(Default)]
struct Parts {
    fragments: Vec<Fragment>,
    reason: Option<Reason>,
    /// Values that are wholly one variable's.
    origins: Vec<(Arc<str>, Origin)>,
}

/// The value of a word as it is written at a site.
pub(super) fn expand(written: &str, site: Site, escape: Escape, variables: &Variables, budget: &mut Budget) -> Value {
    let mut expansion = Expansion { variables, escape: escape.byte(), budget, parts: Parts::default() };
    expansion.word(written, 0);
    let Parts { fragments, reason, origins } = expansion.parts;
    let data = match (reason, &fragments[..]) {
        (None, []) => Data::String("".into()),
        (None, _) => Data::String(
            fragments.iter().map(|fragment| if let Fragment::Literal(text) = fragment { text } else { "" }).collect::<String>().into(),
        ),
        (Some(reason), _) => Data::Unknown(Arc::new(Unknown { fragments, ..Unknown::new(reason) })),
    };
    let value = Value::at(data, site);
    // A word that is nothing but one variable is that variable's value, carried here.
    match <[_; 1]>::try_from(origins) {
        Ok([(name, origin)]) if is_one_variable(written) => value.with_origin(origin.carried(HopKind::Parameter(name), site)),
        _ => value,
    }
}

fn is_one_variable(written: &str) -> bool {
    let inner = written.trim_matches('"');
    let Some(name) = inner.strip_prefix('$') else { return false };
    let name = name.strip_prefix('{').and_then(|name| name.strip_suffix('}')).unwrap_or(name);
    !name.is_empty() && name.bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
}

struct Expansion<'a> {
    variables: &'a Variables,
    escape: u8,
    budget: &'a mut Budget,
    parts: Parts,
}

/// How deep `${a:-${b:-…}}` is followed.
const DEEPEST: u32 = 16;

impl Expansion<'_> {
    fn word(&mut self, text: &str, depth: u32) {
        let bytes = text.as_bytes();
        let (mut at, mut literal_from) = (0, 0);
        let mut quote = None;
        while at < bytes.len() {
            match (quote, bytes[at]) {
                (Some(b'\''), b'\'') | (Some(b'"'), b'"') => {
                    self.literal(&text[literal_from..at]);
                    quote = None;
                    at += 1;
                    literal_from = at;
                }
                (Some(b'\''), _) => at += 1,
                (None, byte @ (b'\'' | b'"')) => {
                    self.literal(&text[literal_from..at]);
                    quote = Some(byte);
                    at += 1;
                    literal_from = at;
                }
                (_, byte) if byte == self.escape && at + 1 < bytes.len() => {
                    // In double quotes only what means something there is escaped.
                    let is_kept = quote.is_some() && !matches!(bytes[at + 1], b'"' | b'$') && bytes[at + 1] != self.escape;
                    self.literal(&text[literal_from..at]);
                    literal_from = if is_kept { at } else { at + 1 };
                    at += 1 + text[at + 1..].chars().next().map_or(1, char::len_utf8);
                }
                (_, b'$') => {
                    self.literal(&text[literal_from..at]);
                    at = self.dollar(text, at, depth);
                    literal_from = at;
                }
                _ => at += 1,
            }
        }
        self.literal(&text[literal_from..]);
    }

    /// What stands at a dollar sign; the answer is where reading goes on.
    fn dollar(&mut self, text: &str, at: usize, depth: u32) -> usize {
        let rest = &text[at + 1..];
        if let Some(inner) = rest.strip_prefix('{') {
            let name_length = name_length(inner);
            let Some(length) = braced_length(inner).filter(|_| name_length > 0) else {
                self.literal("$");
                return at + 1;
            };
            self.braced(&inner[..name_length], &inner[name_length..length], depth);
            return at + 2 + length + 1;
        }
        let length = name_length(rest);
        if length == 0 {
            self.literal("$");
            return at + 1;
        }
        self.variable(&rest[..length]);
        at + 1 + length
    }

    fn braced(&mut self, name: &str, operation: &str, depth: u32) {
        let value = self.variables.get(name).cloned();
        let is_unknown = value.as_ref().is_none_or(Value::is_unknown);
        let is_empty = value.as_ref().and_then(Value::as_str) == Some("");
        // Without a colon an empty value counts as one.
        let (operator, word, is_set) =
            match operation.strip_prefix(':').map_or((operation, !is_unknown), |rest| (rest, !is_unknown && !is_empty)) {
                ("", _) => return self.variable(name),
                (operation, is_set) => (operation.as_bytes()[0], operation.get(1..).unwrap_or_default(), is_set),
            };
        match operator {
            _ if depth >= DEEPEST => self.unknown(Reason::Budget { limit: "substitution depth" }),
            b'-' | b'?' if is_set => self.variable(name),
            // Without a value the default holds; the build may give another, as it may for any argument.
            b'-' if value.is_none() || is_unknown && self.has_no_value(name) || is_empty => self.word(word, depth + 1),
            b'+' if is_set => self.word(word, depth + 1),
            b'+' if is_empty => {}
            _ if is_unknown => self.variable(name),
            _ => self.unknown(Reason::Unsupported { what: format!("`${{{name}{operation}}}`").into() }),
        }
    }

    /// Whether a variable is an argument that nobody gave a value.
    fn has_no_value(&self, name: &str) -> bool {
        let unknown = self.variables.get(name).and_then(Value::as_unknown);
        unknown.is_some_and(|unknown| matches!(unknown.reason, Reason::NoValue { .. }))
    }

    fn variable(&mut self, name: &str) {
        match self.variables.get(name).map(|value| (&value.data, &value.origin)) {
            Some((Data::String(text), origin)) => {
                self.parts.origins.push((name.into(), origin.clone()));
                self.literal(text);
            }
            Some((Data::Unknown(unknown), origin)) => {
                self.parts.origins.push((name.into(), origin.clone()));
                let reason = unknown.reason.clone();
                let known: usize =
                    unknown.fragments.iter().map(|fragment| if let Fragment::Literal(text) = fragment { text.len() } else { 1 }).sum();
                if unknown.fragments.is_empty() || !self.spend(known) {
                    self.unknown(reason);
                } else {
                    self.parts.fragments.extend(unknown.fragments.iter().cloned());
                    self.parts.reason.get_or_insert(reason);
                }
            }
            // The base image may set it.
            _ => self.unknown(Reason::Undeclared { name: name.into() }),
        }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        let is_left = bytes <= self.budget.0;
        self.budget.0 = self.budget.0.saturating_sub(bytes);
        is_left
    }

    fn literal(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        if self.spend(text.len()) {
            self.parts.fragments.push(Fragment::Literal(text.into()));
        } else {
            self.unknown(Reason::Budget { limit: "substituted text" });
        }
    }

    fn unknown(&mut self, reason: Reason) {
        self.parts.fragments.push(Fragment::Unknown);
        self.parts.reason.get_or_insert(reason);
    }
}

fn name_length(text: &str) -> usize {
    if text.starts_with(|first: char| first.is_ascii_digit()) {
        return 0;
    }
    text.bytes().take_while(|byte| *byte == b'_' || byte.is_ascii_alphanumeric()).count()
}

/// The bytes up to the brace that closes what was opened in front of the text.
fn braced_length(text: &str) -> Option<usize> {
    let mut open = 0_u32;
    // One that isn't closed soon was never meant as one, and looking for its end over and over would be slow.
    for (at, byte) in text.bytes().enumerate().take(4096) {
        match byte {
            b'{' => open += 1,
            b'}' if open == 0 => return Some(at),
            b'}' => open -= 1,
            _ => {}
        }
    }
    None
}
