//! Texts in the making, of which parts may be unknown.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Reason, Reference, Unknown, Value};

use crate::limits;
use crate::terraform::types;

/// What stands for a value that CloudFormation looks up while it deploys.
const DYNAMIC: &str = "{{resolve:";

/// A text that grows.
#[derive(Default)]
pub(super) struct Text {
    fragments: Vec<Fragment>,
    /// The known text since the last unknown part.
    tail: String,
    length: usize,
    reason: Option<Reason>,
    references: Vec<Reference>,
    sensitive: bool,
}

impl Text {
    /// Adds a value; false if it is neither a scalar nor unknown, or if the text gets too long.
    pub(super) fn push_value(&mut self, value: &Value) -> bool {
        self.sensitive |= value.sensitive;
        match (&value.data, types::to_text(value)) {
            (_, Some(text)) => self.push(&text),
            (Data::Unknown(unknown), None) => {
                self.push_unknown(unknown);
                true
            }
            _ => false,
        }
    }

    /// Adds known text; false if the text gets too long.
    pub(super) fn push(&mut self, text: &str) -> bool {
        self.length += text.len();
        self.tail.push_str(text);
        self.length <= limits::TEXT_BYTES
    }

    /// Adds an unknown part.
    pub(super) fn push_unknown(&mut self, unknown: &Unknown) {
        self.end_literal();
        if unknown.fragments.is_empty() {
            self.fragments.push(Fragment::Unknown);
        } else {
            self.fragments.extend(unknown.fragments.iter().cloned());
        }
        self.reason.get_or_insert_with(|| unknown.reason.clone());
        self.references.extend(unknown.references.iter().cloned());
    }

    fn end_literal(&mut self) {
        if !self.tail.is_empty() {
            self.fragments.push(Fragment::Literal(std::mem::take(&mut self.tail).into()));
        }
    }

    /// How long it is by now, in bytes.
    pub(super) fn len(&self) -> usize {
        self.length
    }

    /// The text, or an unknown with its known parts.
    pub(super) fn finish(mut self) -> Value {
        let data = match self.reason.take() {
            None => resolved(self.tail.into()).data,
            Some(reason) => {
                self.end_literal();
                self.references.sort();
                self.references.dedup();
                let fragments = without_dynamic_references(self.fragments);
                Data::Unknown(Arc::new(Unknown { references: self.references, fragments, ..Unknown::new(reason) }))
            }
        };
        Value { sensitive: self.sensitive, ..Value::new(data) }
    }
}

/// A text as it is written: the parts in it that CloudFormation looks up while it deploys are unknown.
///
/// Source: AWS CloudFormation User Guide, "Get values stored in other services using dynamic references".
pub(super) fn resolved(text: Arc<str>) -> Value {
    let Some(start) = text.find(DYNAMIC) else { return Value::string(text) };
    let end = text[start..].find("}}").map_or(text.len(), |length| start + length + 2);
    let reason = Reason::DeployTime { what: format!("`{}`", &text[start..end]).into() };
    let fragments = without_dynamic_references(vec![Fragment::Literal(text)]);
    Value::new(Data::Unknown(Arc::new(Unknown { fragments, ..Unknown::new(reason) })))
}

/// The parts of a text with every `{{resolve:…}}` as an unknown one; unknown parts may lie inside of it.
fn without_dynamic_references(fragments: Vec<Fragment>) -> Vec<Fragment> {
    let is_dynamic = |fragment: &Fragment| matches!(fragment, Fragment::Literal(text) if text.contains(DYNAMIC));
    if !fragments.iter().any(is_dynamic) {
        return fragments;
    }
    let mut found = Vec::new();
    let mut inside = false;
    for fragment in fragments {
        let Fragment::Literal(text) = fragment else {
            if !inside {
                found.push(Fragment::Unknown);
            }
            continue;
        };
        let mut rest = &*text;
        loop {
            let (mark, length) = if inside { ("}}", 2) } else { (DYNAMIC, DYNAMIC.len()) };
            let at = rest.find(mark);
            let literal = &rest[..at.unwrap_or(rest.len())];
            if !inside && !literal.is_empty() {
                found.push(Fragment::Literal(literal.into()));
            }
            let Some(at) = at else { break };
            if !inside {
                found.push(Fragment::Unknown);
            }
            inside = !inside;
            rest = &rest[at + length..];
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(value: &Value) -> String {
        let Some(unknown) = value.as_unknown() else { return value.as_str().unwrap_or("no text").to_owned() };
        let part = |fragment: &Fragment| match fragment {
            Fragment::Literal(text) => text.to_string(),
            Fragment::Unknown => "?".to_owned(),
        };
        unknown.fragments.iter().map(part).collect()
    }

    #[test]
    fn what_is_looked_up_while_deploying_is_unknown() {
        assert_eq!(parts(&resolved("plain".into())), "plain");
        assert_eq!(parts(&resolved("a-{{resolve:ssm:one:1}}-{{resolve:ssm:two}}".into())), "a-?-?");
        assert_eq!(parts(&resolved("{{resolve:ssm:never-closed".into())), "?");
        let mut text = Text::default();
        assert!(text.push("user:{{resolve:secretsmanager:"));
        text.push_unknown(&Unknown::attribute_of("Secret", "Ref"));
        assert!(text.push(":SecretString:password}}@host"));
        assert_eq!(parts(&text.finish()), "user:?@host");
    }
}
