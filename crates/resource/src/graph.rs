//! Links between resources.

use std::collections::HashMap;
use std::sync::Arc;

use crate::origin::HopKind;
use crate::resource::Resource;
use crate::unknown::Reason;
use crate::value::{Data, Value};

/// An index into [`ResourceGraph::resources`].
pub type ResourceId = usize;

/// One resource's value was made from another's, or it names or selects it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The resource whose body holds the reference.
    pub from: ResourceId,
    /// The resource that is referred to.
    pub to: ResourceId,
    /// The path in `from`'s body, dots between names; elements of lists have no step of their own (`ingress.security_groups`).
    pub path: Arc<str>,
    /// The attribute of `to` that is read (`arn`, `id`); empty for the whole resource.
    pub attribute: Arc<str>,
}

/// All resources of one root module, template or account, and what links them.
#[derive(Debug, Default)]
pub struct ResourceGraph {
    /// The resources, in the order of declaration.
    pub resources: Vec<Resource>,
    links: Vec<Link>,
    outgoing: Vec<Vec<u32>>,
    incoming: Vec<Vec<u32>>,
    by_type: HashMap<Arc<str>, Vec<ResourceId>>,
    unread: Vec<Unread>,
}

/// Resources of a type that couldn't be read: there may be more of them than the graph has.
#[derive(Clone, Debug, PartialEq)]
pub struct Unread {
    /// The type's key.
    pub type_key: Arc<str>,
    /// Why.
    pub reason: Reason,
}

impl ResourceGraph {
    /// Finds the links that the resources' values tell.
    pub fn new(resources: Vec<Resource>) -> Self {
        Self::with_links(resources, Vec::new())
    }

    /// The same, with links that a dialect found in another way (a label selector, a name). They must lie among the resources.
    pub fn with_links(resources: Vec<Resource>, known: Vec<Link>) -> Self {
        let mut by_address: HashMap<&str, ResourceId> = HashMap::new();
        let mut by_block: HashMap<String, Vec<ResourceId>> = HashMap::new();
        for (id, resource) in resources.iter().enumerate() {
            by_address.insert(&resource.address, id);
            let block = without_instance_key(&resource.address);
            let declared = without_keys(&resource.address);
            if block != declared {
                by_block.entry(block.to_owned()).or_default().push(id);
            }
            by_block.entry(declared).or_default().push(id);
        }
        let mut links = known;
        links.retain(|link| link.from < resources.len() && link.to < resources.len());
        for (from, resource) in resources.iter().enumerate() {
            let mut found = Vec::new();
            collect_references(&resource.body, &mut String::new(), &mut found);
            found.sort();
            found.dedup();
            for (path, address, attribute) in found {
                let targets = match by_address.get(&*address) {
                    Some(id) => std::slice::from_ref(id),
                    // A reference that names no instance (or one that isn't known) concerns all of them.
                    None => {
                        let block = by_block.get(without_instance_key(&address));
                        block.or_else(|| by_block.get(&without_keys(&address))).map_or(&[][..], Vec::as_slice)
                    }
                };
                for &to in targets.iter().filter(|&&to| to != from) {
                    links.push(Link { from, to, path: path.clone(), attribute: attribute.clone() });
                }
            }
        }
        let mut outgoing = vec![Vec::new(); resources.len()];
        let mut incoming = vec![Vec::new(); resources.len()];
        for (index, link) in links.iter().enumerate() {
            outgoing[link.from].push(index as u32);
            incoming[link.to].push(index as u32);
        }
        let mut by_type: HashMap<Arc<str>, Vec<ResourceId>> = HashMap::new();
        for (id, resource) in resources.iter().enumerate() {
            by_type.entry(resource.type_key.clone()).or_default().push(id);
        }
        Self { resources, links, outgoing, incoming, by_type, unread: Vec::new() }
    }

    /// The same, of which it is known that it lacks some.
    #[must_use]
    pub fn lacking(self, unread: Vec<Unread>) -> Self {
        Self { unread, ..self }
    }

    /// What it is known to lack.
    pub fn unread(&self) -> &[Unread] {
        &self.unread
    }

    /// The links whose reference stands in this resource.
    pub fn outgoing(&self, id: ResourceId) -> impl Iterator<Item = &Link> {
        self.outgoing[id].iter().map(|&index| &self.links[index as usize])
    }

    /// The links that point at this resource.
    pub fn incoming(&self, id: ResourceId) -> impl Iterator<Item = &Link> {
        self.incoming[id].iter().map(|&index| &self.links[index as usize])
    }

    /// All resources of a type key.
    pub fn of_type(&self, type_key: &str) -> &[ResourceId] {
        self.by_type.get(type_key).map_or(&[], Vec::as_slice)
    }
}

/// `module.a["x"].aws_s3_bucket.b[0]` without the last `[…]`.
fn without_instance_key(address: &str) -> &str {
    if !address.ends_with(']') {
        return address;
    }
    // The key may hold brackets and escaped quotes: walk from the front, the last opening bracket outside quotes counts.
    let (mut quoted, mut escaped, mut open) = (false, false, None);
    for (at, byte) in address.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => open = Some(at),
            _ => {}
        }
    }
    open.map_or(address, |at| &address[..at])
}

/// `module.a["x"].aws_s3_bucket.b[0]` without any key: the declaration, whichever instance is meant.
fn without_keys(address: &str) -> String {
    let (mut result, mut depth, mut quoted, mut escaped) = (String::with_capacity(address.len()), 0_u32, false, false);
    for character in address.chars() {
        match character {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '[' if !quoted => depth += 1,
            ']' if !quoted => depth = depth.saturating_sub(1),
            _ if depth == 0 => result.push(character),
            _ => {}
        }
    }
    result
}

fn collect_references(value: &Value, path: &mut String, found: &mut Vec<(Arc<str>, Arc<str>, Arc<str>)>) {
    for hop in value.origin.hops() {
        if let HopKind::Resource { address, attribute } = &hop.kind {
            found.push((path.as_str().into(), address.clone(), attribute.clone()));
        }
    }
    match &value.data {
        Data::Unknown(unknown) => {
            for reference in &unknown.references {
                found.push((path.as_str().into(), reference.address.clone(), reference.attribute.clone()));
            }
            for candidate in unknown.candidates.iter().chain(&unknown.document) {
                collect_references(candidate, path, found);
            }
        }
        Data::List(items) | Data::Set(items) | Data::Tuple(items) => {
            for item in items.iter() {
                collect_references(item, path, found);
            }
        }
        Data::Map(mapping) | Data::Object(mapping) => {
            for (name, entry) in mapping.iter() {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                collect_references(entry, path, found);
                path.truncate(length);
            }
        }
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::String(_) => {}
    }
}
