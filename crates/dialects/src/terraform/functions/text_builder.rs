//! Texts in the making, of which parts may be unknown.

use std::sync::Arc;

use keyblind_resource::{Data, Fragment, Reason, Unknown, Value};

use super::super::types;
use super::{Failure, Host, out_of_fuel, unknowns};
use crate::limits;

/// A text that grows within the limits of length and fuel.
pub(super) struct TextBuilder<'a> {
    host: &'a dyn Host,
    fragments: Vec<Fragment>,
    /// The known text since the last unknown part.
    tail: String,
    length: usize,
    paid: usize,
    unknown_parts: Vec<Value>,
}

impl<'a> TextBuilder<'a> {
    pub(super) fn new(host: &'a dyn Host) -> Self {
        Self { host, fragments: Vec::new(), tail: String::new(), length: 0, paid: 0, unknown_parts: Vec::new() }
    }

    /// Makes sure that so many more bytes may be added.
    pub(super) fn reserve(&mut self, bytes: usize) -> Result<(), Failure> {
        let length = self.length.saturating_add(bytes);
        if length > limits::TEXT_BYTES {
            return Err(Failure::Because(Reason::Budget { limit: "text length" }));
        }
        let due = length / 64;
        if due > self.paid {
            if !self.host.spend((due - self.paid) as u64) {
                return Err(Failure::Because(out_of_fuel()));
            }
            self.paid = due;
        }
        Ok(())
    }

    pub(super) fn push(&mut self, text: &str) -> Result<(), Failure> {
        self.reserve(text.len())?;
        self.length += text.len();
        self.tail.push_str(text);
        Ok(())
    }

    /// Adds a part that is not known as a text.
    pub(super) fn push_unknown(&mut self, part: &Value) {
        if !self.tail.is_empty() {
            self.fragments.push(Fragment::Literal(std::mem::take(&mut self.tail).into()));
        }
        match part.as_unknown() {
            Some(unknown) if !unknown.fragments.is_empty() => self.fragments.extend(unknown.fragments.iter().cloned()),
            _ => self.fragments.push(Fragment::Unknown),
        }
        self.unknown_parts.push(part.clone());
    }

    /// The text, or an unknown with its fragments.
    pub(super) fn finish(mut self) -> Value {
        if self.unknown_parts.is_empty() {
            return Value::string(types::normalized(self.tail));
        }
        if !self.tail.is_empty() {
            self.fragments.push(Fragment::Literal(self.tail.into()));
        }
        let unknown = Unknown { fragments: self.fragments, ..unknowns::merged(&self.unknown_parts) };
        Value::new(Data::Unknown(Arc::new(unknown)))
    }
}
