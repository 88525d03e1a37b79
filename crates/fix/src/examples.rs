//! What a rule's good examples show: good values, how they are written, and which resources stand beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_dialects::MemoryTree;
use keyblind_dialects::terraform::{Inputs, Project};
use keyblind_resource::{BlockKind, Resource, Value};
use keyblind_rule_language::Language;
use keyblind_rules::{Key, RuleId, RuleTable, Suggestions};
use keyblind_syntax::hcl::ast::{Block, Body, ExprKind, File, Item};
use keyblind_syntax::{Site, SourceMap, hcl};

/// How something is written in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Attribute,
    Block,
}

/// A type key, and a path without numbers.
type TypeAndPath = (String, Vec<Key>);

/// The good examples of a rule.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    good: Vec<Example>,
    /// Values that were proposed, by the number that they are known by.
    values: Vec<Place>,
    /// Where the values of a type's paths stand.
    by_path: BTreeMap<TypeAndPath, Vec<(Value, usize)>>,
    /// How things are written, of the rule's own examples first.
    forms: BTreeMap<(String, String), Form>,
}

/// One example text, evaluated.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) text: Arc<str>,
    pub(crate) file: File,
    pub(crate) resources: Vec<Resource>,
}

/// A piece of an example.
#[derive(Clone, Copy, Debug)]
struct Place {
    example: usize,
    site: Site,
}

/// A value as an example writes it.
pub(crate) struct Shown<'e> {
    /// The expression.
    pub(crate) text: &'e str,
}

impl Examples {
    /// Reads the examples of a rule.
    pub(crate) fn of(table: &RuleTable, rule: RuleId) -> Self {
        let mut examples = Self::default();
        let own = table.docs(rule).examples.iter().filter(|examples| examples.language == Language::Terraform);
        for set in own {
            for text in &set.good {
                examples.good.push(Example::read(text));
            }
            for text in set.good.iter().chain(&set.bad) {
                examples.add_forms(text);
            }
        }
        for index in 0..examples.good.len() {
            examples.add_values(index);
        }
        examples
    }

    /// Learns from the examples of other rules about a type how its parts are written.
    pub(crate) fn learn_forms(&mut self, table: &RuleTable, type_key: &str) {
        for (id, meta) in table.iter() {
            if !meta.types.iter().any(|(_, patterns)| patterns.iter().any(|pattern| pattern.matches(type_key))) {
                continue;
            }
            for set in table.docs(id).examples.iter().filter(|examples| examples.language == Language::Terraform) {
                for text in set.good.iter().chain(&set.bad) {
                    self.add_forms(text);
                }
            }
        }
    }

    /// How a name is written in resources of a type; the path is that of names alone (`rule.default_retention`).
    pub(crate) fn form(&self, type_key: &str, path: &str) -> Option<Form> {
        self.forms.get(&(type_key.to_owned(), path.to_owned())).copied()
    }

    /// A value that was proposed.
    pub(crate) fn shown(&self, number: usize) -> Option<Shown<'_>> {
        let place = self.values.get(number)?;
        let example = self.good.get(place.example)?;
        let text = example.text.get(place.site.range.as_usize())?;
        Some(Shown { text })
    }

    /// The examples that have a resource of a type.
    pub(crate) fn with_type<'e>(&'e self, type_key: &'e str) -> impl Iterator<Item = (&'e Example, &'e Resource)> {
        self.good
            .iter()
            .filter_map(move |example| Some((example, example.resources.iter().find(|resource| &*resource.type_key == type_key)?)))
    }

    /// Whether a good example has a resource of a type without anything at a path, so that it may be left out.
    pub(crate) fn lack(&self, type_key: &str, path: &[Key]) -> bool {
        let of_type = self.good.iter().flat_map(|example| &example.resources).filter(|resource| &*resource.type_key == type_key);
        let Some(Key::Name(first)) = path.first() else { return true };
        of_type.into_iter().any(|resource| resource.body.get(first).is_none_or(Value::is_null))
    }

    fn add_forms(&mut self, text: &str) {
        let file = hcl::parse(text);
        for block in file.body.blocks().filter(|block| matches!(&*block.kind.text, "resource" | "data")) {
            let Some(label) = block.labels.first() else { continue };
            let type_key = if &*block.kind.text == "data" { format!("data.{}", label.text) } else { label.text.to_string() };
            self.add_forms_of(&type_key, "", &block.body);
        }
    }

    fn add_forms_of(&mut self, type_key: &str, path: &str, body: &Body) {
        for item in &body.items {
            let (name, form) = match item {
                Item::Attribute(attribute) => (&attribute.name.text, Form::Attribute),
                Item::Block(block) if &*block.kind.text == "dynamic" => continue,
                Item::Block(block) => (&block.kind.text, Form::Block),
            };
            let path = if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
            self.forms.entry((type_key.to_owned(), path.clone())).or_insert(form);
            if let Item::Block(block) = item {
                self.add_forms_of(type_key, &path, &block.body);
            }
        }
    }

    fn add_values(&mut self, index: usize) {
        let example = &self.good[index];
        let mut found = Vec::new();
        for resource in &example.resources {
            collect(&resource.body, &mut Vec::new(), &mut |path, value| {
                if let Some(site) = value.origin.used_at() {
                    found.push((resource.type_key.to_string(), path.to_vec(), value.clone(), Place { example: index, site }));
                }
            });
        }
        for (type_key, path, value, place) in found {
            let number = self.values.len();
            self.values.push(place);
            // Which of several elements it is doesn't matter: what is good for one is good for the others.
            self.by_path.entry((type_key, without_indices(&path))).or_default().push((value, number));
        }
    }
}

impl Suggestions for Examples {
    fn values(&self, type_key: &str, path: &[Key]) -> Vec<(Value, usize)> {
        self.by_path.get(&(type_key.to_owned(), without_indices(path))).cloned().unwrap_or_default()
    }
}

impl Example {
    fn read(text: &str) -> Self {
        let tree = MemoryTree::new([("main.tf", text)]);
        let project = Project::parse(vec![("main.tf".into(), text.into())], &tree, &mut SourceMap::default());
        let resources = project.roots().iter().flat_map(|root| project.evaluate(root, &Inputs::default(), &tree).resources);
        Self {
            text: text.into(),
            file: hcl::parse(text),
            resources: resources.filter(|resource| resource.kind != BlockKind::Module).collect(),
        }
    }

    /// The block of a resource.
    pub(crate) fn block(&self, resource: &Resource) -> Option<&Block> {
        self.file.body.blocks().find(|block| block.header() == resource.header.range)
    }
}

fn without_indices(path: &[Key]) -> Vec<Key> {
    path.iter().filter(|key| matches!(key, Key::Name(_))).cloned().collect()
}

/// Calls back for everything in a body that isn't null.
fn collect(value: &Value, path: &mut Vec<Key>, found: &mut dyn FnMut(&[Key], &Value)) {
    if value.is_null() || path.len() > 16 {
        return;
    }
    if !path.is_empty() {
        found(path, value);
    }
    if let Some(items) = value.as_items() {
        for (index, item) in items.iter().enumerate() {
            path.push(Key::Index(index));
            collect(item, path, found);
            path.pop();
        }
    } else if let Some(mapping) = value.as_mapping() {
        for (name, value) in mapping.iter() {
            path.push(Key::Name(name.clone()));
            collect(value, path, found);
            path.pop();
        }
    }
}

/// Whether an expression is written out, without a reference to anything.
pub(crate) fn is_literal(kind: &ExprKind) -> bool {
    match kind {
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) => true,
        ExprKind::Unary { operand, .. } => is_literal(&operand.kind),
        ExprKind::Paren(inner) => is_literal(&inner.kind),
        ExprKind::Tuple(items) => items.iter().all(|item| is_literal(&item.kind)),
        ExprKind::Object(entries) => entries.iter().all(|entry| is_literal(&entry.key.kind) && is_literal(&entry.value.kind)),
        _ => false,
    }
}
