//! What the Serverless Application Model adds: properties that all resources of a type share.
//!
//! Source: AWS Serverless Application Model Developer Guide, "Globals section of the AWS SAM template".

use std::sync::Arc;

use keyblind_resource::{Data, HopKind, Mapping, Value};
use keyblind_syntax::Site;

use super::evaluate::{Evaluator, Scope};
use super::node::Node;
use crate::limits;
use crate::terraform::functions::Host;
use crate::terraform::types;

/// The transform that reads `AWS::Serverless::…`.
pub(super) const TRANSFORM: &str = "AWS::Serverless-2016-10-31";

/// What resources of serverless types begin with.
const TYPES: &str = "AWS::Serverless::";

impl<'n> Evaluator<'n> {
    /// The properties of a serverless resource together with those that its type has in common. What the resource says
    /// itself is stronger; lists are put together, mappings are merged.
    pub(super) fn with_globals(&self, own: Value, type_name: &str, globals: Option<&'n Node>, header: Site) -> Value {
        let Some(section) = type_name.strip_prefix(TYPES) else { return own };
        let Some(shared) = globals.and_then(|globals| globals.get(section)) else { return own };
        let shared = self.eval(shared, &Scope::default());
        let size = types::size_within(&shared, types::MAX_NODES).map_or(u64::MAX, |size| size as u64);
        if own.as_mapping().is_none() || !self.spend(size) {
            return own;
        }
        let origin = own.origin.clone();
        merged(&shared, Some(own), &HopKind::Global(format!("Globals.{section}").into()), header, 0).with_origin(origin)
    }
}

/// A shared value under what the resource says itself. Each of its parts is carried to the resource.
fn merged(shared: &Value, own: Option<Value>, kind: &HopKind, header: Site, depth: u32) -> Value {
    let carried = |data: Data| Value { data, ..shared.clone() }.carried(kind.clone(), header);
    if depth >= limits::EXPRESSION_DEPTH {
        return own.unwrap_or_else(|| shared.clone());
    }
    match (&shared.data, own) {
        (Data::Object(entries), own) if own.as_ref().is_none_or(|own| own.as_mapping().is_some()) => {
            let own_entries = own.as_ref().and_then(Value::as_mapping);
            let mut result: Mapping = own_entries.cloned().unwrap_or_default();
            for (name, value) in entries.iter() {
                let value = merged(value, own_entries.and_then(|own| own.get(name)).cloned(), kind, header, depth + 1);
                result.insert(name.clone(), value);
            }
            match own {
                Some(own) => Value { data: Data::Object(Arc::new(result)), ..own },
                None => carried(Data::Object(Arc::new(result))),
            }
        }
        (Data::Tuple(items), own) if own.as_ref().is_none_or(|own| own.as_items().is_some()) => {
            let shared_items = items.iter().map(|item| merged(item, None, kind, header, depth + 1));
            let own_items = own.as_ref().and_then(Value::as_items).unwrap_or_default().iter().cloned();
            let data = Data::Tuple(Arc::new(shared_items.chain(own_items).collect()));
            match &own {
                Some(own) => Value { data, ..own.clone() },
                None => carried(data),
            }
        }
        (_, Some(own)) => own,
        (data, None) => carried(data.clone()),
    }
}
