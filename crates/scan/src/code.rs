//! Shows a plan's resources in the code that the plan was made from.

use std::collections::HashMap;
use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Resource, Value};

use crate::fingerprint;

/// How deep values are followed.
const DEEPEST: usize = 64;

/// The resources of the code, by address.
pub(crate) struct Code {
    by_address: HashMap<Arc<str>, Resource>,
    /// By address without numbers: instances that the code can't count stand for all.
    by_block: HashMap<String, Resource>,
}

impl Code {
    /// Takes the resources that the code evaluates to.
    pub(crate) fn new(resources: Vec<Resource>) -> Self {
        let by_block = resources.iter().map(|resource| (fingerprint::without_numbers(&resource.address), resource.clone())).collect();
        Self { by_address: resources.into_iter().map(|resource| (resource.address.clone(), resource)).collect(), by_block }
    }

    /// Lets a resource of a plan, and the values in it, stand where the code has them. The values stay the plan's own.
    pub(crate) fn place(&self, resource: &mut Resource) {
        let Some(written) = self.find(&resource.address) else { return };
        resource.header = written.header;
        resource.block = written.block;
        resource.calls = written.calls.clone();
        resource.body = placed(&resource.body, &written.body, DEEPEST);
    }

    fn find(&self, address: &str) -> Option<&Resource> {
        let bare = address.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')).map(|(bare, _)| bare);
        self.by_address
            .get(address)
            .or_else(|| self.by_block.get(&fingerprint::without_numbers(address)))
            .or_else(|| self.by_address.get(bare?))
    }
}

/// `planned` with the origins of `written`, as far as both have the same parts.
fn placed(planned: &Value, written: &Value, depth: usize) -> Value {
    let Some(depth) = depth.checked_sub(1) else { return planned.clone() };
    let items = |items: &Arc<Vec<Value>>| -> Arc<Vec<Value>> {
        let places = written.as_items().filter(|places| places.len() == items.len());
        let item = |(index, item): (usize, &Value)| places.map_or_else(|| item.clone(), |places| placed(item, &places[index], depth));
        Arc::new(items.iter().enumerate().map(item).collect())
    };
    let entries = |mapping: &Arc<Mapping>| -> Arc<Mapping> {
        let entry = |(name, value): (&Arc<str>, &Value)| {
            let value = written.get(name).map_or_else(|| value.clone(), |place| placed(value, place, depth));
            (name.clone(), value)
        };
        Arc::new(mapping.iter().map(entry).collect())
    };
    let data = match &planned.data {
        Data::List(list) => Data::List(items(list)),
        Data::Tuple(list) => Data::Tuple(items(list)),
        // The order of a set is the order of its values, which the code may not know.
        Data::Set(list) => Data::Set(list.clone()),
        Data::Map(mapping) => Data::Map(entries(mapping)),
        Data::Object(mapping) => Data::Object(entries(mapping)),
        other => other.clone(),
    };
    Value { data, origin: written.origin.clone(), sensitive: planned.sensitive || written.sensitive }
}
