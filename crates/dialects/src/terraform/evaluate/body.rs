//! Block bodies to objects, with `dynamic` blocks written out.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_resource::{Data, Mapping, Unknown, Value};
use keyblind_syntax::hcl::ast::{Block, ExprKind, Item};
use keyblind_syntax::{FileId, Site};

use super::super::module::Declaration;
use super::Evaluator;
use super::expression::{derived, elements_of, invalid};
use super::scope::Scope;
use crate::limits;

/// Blocks of one name, in the making.
struct Blocks {
    site: Site,
    items: Vec<Value>,
    /// A `dynamic` block of which it isn't known how often it occurs.
    uncertain: Option<Value>,
}

impl<'p> Evaluator<'p> {
    /// The body of a declaration without the attributes named in `meta`.
    pub(super) fn declared_body(&self, declaration: &Declaration, scope: Scope<'_, 'p>, meta: &[&str]) -> Value {
        let items = declaration.items().filter(|(_, item)| match item {
            Item::Attribute(attribute) => !meta.contains(&&*attribute.name.text),
            // What runs on a machine after it was made is no configuration of the resource.
            Item::Block(block) => !matches!(&*block.kind.text, "provisioner" | "connection"),
        });
        Value::at(Data::Object(Arc::new(self.items(items, scope))), declaration.header())
    }

    fn items<'i>(&self, items: impl Iterator<Item = (FileId, &'i Item)>, scope: Scope<'_, 'p>) -> Mapping {
        let mut entries: Vec<(Arc<str>, Value)> = Vec::new();
        let mut blocks: BTreeMap<Arc<str>, Blocks> = BTreeMap::new();
        for (file, item) in items {
            let scope = scope.in_file(file);
            match item {
                Item::Attribute(attribute) => entries.push((attribute.name.text.clone(), self.eval(&attribute.value, scope))),
                Item::Block(block) if &*block.kind.text == "dynamic" => self.dynamic(block, scope, &mut blocks),
                Item::Block(block) => {
                    let site = scope.site(block.header());
                    let value = self.block(block, scope);
                    group(&mut blocks, &block.kind.text, site).items.push(value);
                }
            }
        }
        for (name, blocks) in blocks {
            entries.push((name, blocks.finish()));
        }
        entries.into_iter().collect()
    }

    fn block(&self, block: &Block, scope: Scope<'_, 'p>) -> Value {
        let items = block.body.items.iter().map(|item| (scope.file, item));
        let mut mapping = self.nested(|| self.items(items, scope));
        for (index, label) in block.labels.iter().enumerate() {
            mapping.insert(format!("label{index}"), Value::at(Data::String(label.text.clone()), scope.site(label.range)));
        }
        Value::at(Data::Object(Arc::new(mapping)), scope.site(block.header()))
    }

    /// Blocks nest as deep as the parser allows, which the stack holds; `dynamic` doesn't add to it.
    fn nested<T>(&self, compute: impl FnOnce() -> T) -> T {
        stacker::maybe_grow(128 << 10, 2 << 20, compute)
    }

    /// Source: Terraform language documentation, "dynamic Blocks".
    fn dynamic(&self, block: &Block, scope: Scope<'_, 'p>, blocks: &mut BTreeMap<Arc<str>, Blocks>) {
        let Some(kind) = block.labels.first().map(|label| label.text.clone()) else { return };
        let site = scope.site(block.header());
        let target = group(blocks, &kind, site);
        let content = block.body.blocks().find(|inner| &*inner.kind.text == "content");
        let (Some(content), Some(for_each)) = (content, block.body.attribute("for_each")) else {
            target.uncertain = Some(invalid("a `dynamic` block needs `for_each` and `content`".to_owned(), site));
            return;
        };
        let iterator = match block.body.attribute("iterator").map(|iterator| &iterator.value.kind) {
            Some(ExprKind::Variable(name)) => name.clone(),
            _ => kind,
        };
        let collection = self.eval(&for_each.value, scope);
        let one = |key: Value, value: Value| {
            let binding = scope.bind(iterator.clone(), Value::object([("key".into(), key), ("value".into(), value)]));
            let mut made = self.block(content, scope.with(&binding));
            made.sensitive |= collection.sensitive;
            made
        };
        match elements_of(&collection) {
            Ok(elements) if elements.len() <= limits::DYNAMIC_BLOCKS && self.spend(elements.len() as u64) => {
                target.items.extend(elements.into_iter().map(|(key, value)| one(key, value)));
            }
            Ok(_) => target.uncertain = Some(self.out_of("dynamic blocks")),
            Err(Some(unknown)) => {
                let mut member = unknown.clone();
                if let Data::Unknown(unknown) = &mut member.data {
                    Arc::make_mut(unknown).nullable = true;
                }
                let candidate = Value::tuple(vec![one(member.clone(), member)]);
                target.uncertain = Some(with_candidate(derived(&unknown), candidate));
            }
            // Nothing to walk: `null` makes no block.
            Err(None) if collection.is_null() => {}
            Err(None) => target.uncertain = Some(invalid(format!("`for_each` needs a collection, not {}", collection.kind_name()), site)),
        }
    }
}

/// "None, or this": how often a block occurs isn't known.
fn with_candidate(mut unknown: Value, candidate: Value) -> Value {
    if let Data::Unknown(inner) = &mut unknown.data {
        let inner: &mut Unknown = Arc::make_mut(inner);
        inner.nullable = true;
        inner.candidates = vec![candidate];
    }
    unknown
}

fn group<'b>(blocks: &'b mut BTreeMap<Arc<str>, Blocks>, kind: &Arc<str>, site: Site) -> &'b mut Blocks {
    blocks.entry(kind.clone()).or_insert_with(|| Blocks { site, items: Vec::new(), uncertain: None })
}

impl Blocks {
    fn finish(mut self) -> Value {
        let value = match self.uncertain {
            None if self.items.is_empty() => Value::null(),
            None => Value::tuple(self.items),
            Some(unknown) if self.items.is_empty() => unknown,
            Some(unknown) => {
                self.items.push(unknown);
                Value::tuple(self.items)
            }
        };
        value.with_origin(keyblind_resource::Origin::Site(self.site))
    }
}
