//! What stays known of a result that isn't known.

use std::collections::HashSet;

use keyblind_resource::{Data, Reason, Unknown, Value};

use super::super::types::{MAX_DEPTH, MAX_NODES};

/// An unknown that was made from these arguments: their first reason (a fault in one of them goes before all else, as
/// Terraform would refuse the whole expression), and all references.
pub(crate) fn merged(arguments: &[Value]) -> Unknown {
    let mut gathered = Gathered::default();
    for argument in arguments {
        gathered.look_at(argument, 0);
    }
    let reason = gathered.fault.or(gathered.reason).unwrap_or_else(|| Reason::Unsupported { what: "a value of unknown parts".into() });
    Unknown { references: gathered.references, ..Unknown::new(reason) }
}

/// An unknown for a reason of its own that keeps the arguments' references.
pub(crate) fn because(reason: Reason, arguments: &[Value]) -> Unknown {
    let mut gathered = Gathered::default();
    for argument in arguments {
        gathered.look_at(argument, 0);
    }
    Unknown { references: gathered.references, ..Unknown::new(reason) }
}

/// The reason of the first faulty part, if one is: an expression that Terraform refuses, or a name that nothing declares.
pub(super) fn fault(value: &Value) -> Option<Reason> {
    let mut gathered = Gathered::default();
    gathered.look_at(value, 0);
    gathered.fault
}

#[derive(Default)]
struct Gathered {
    looked_at: usize,
    reason: Option<Reason>,
    fault: Option<Reason>,
    references: Vec<keyblind_resource::Reference>,
    seen: HashSet<keyblind_resource::Reference>,
}

impl Gathered {
    fn look_at(&mut self, value: &Value, depth: usize) {
        if depth > MAX_DEPTH || self.looked_at == MAX_NODES {
            return;
        }
        self.looked_at += 1;
        match &value.data {
            Data::Unknown(unknown) => {
                if matches!(unknown.reason, Reason::Invalid { .. } | Reason::Undeclared { .. }) {
                    self.fault.get_or_insert_with(|| unknown.reason.clone());
                }
                self.reason.get_or_insert_with(|| unknown.reason.clone());
                for reference in &unknown.references {
                    if self.seen.insert(reference.clone()) {
                        self.references.push(reference.clone());
                    }
                }
            }
            Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
                for item in items.iter() {
                    self.look_at(item, depth + 1);
                }
            }
            Data::Map(entries) | Data::Object(entries) => {
                for (_, entry) in entries.iter() {
                    self.look_at(entry, depth + 1);
                }
            }
            Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => {}
        }
    }
}
