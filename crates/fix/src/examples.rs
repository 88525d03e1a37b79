//! What a rule's good examples show: good values, how they are written, and which resources stand beside them.

use std::collections::BTreeMap;
use std::sync::Arc;

use keyblind_dialects::terraform::{Inputs, Project};
use keyblind_dialects::{MemoryTree, evaluate_text};
use keyblind_resource::{BlockKind, Data, Dialect, Resource, Value};
use keyblind_rule_language::{Language, Literal};
use keyblind_rules::{
    Change, DOCUMENT, GRANTING_BLOCKS, Key, Remedy, RuleId, RuleTable, Subject, Suggestions, Wanted, Wish, dialect_of, literal_value,
};
use keyblind_scan::Trial;
use keyblind_syntax::hcl::ast::{Block, Body, ExprKind, File, Item};
use keyblind_syntax::{Site, SourceMap, TextRange, hcl};

/// How something is written in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Attribute,
    Block,
}

/// A type key, and a path whose numbers don't matter; but an element of a list isn't the list.
type TypeAndPath = (String, Vec<Key>);

/// The good examples of a rule.
#[derive(Debug, Default)]
pub(crate) struct Examples {
    good: Vec<Example>,
    /// Values that were proposed, by the number that they are known by.
    values: Vec<Place>,
    /// Where the values of a type's paths stand.
    by_path: BTreeMap<TypeAndPath, Vec<(Value, usize)>>,
    /// The same whatever the type: rules are about kinds of a thing that are configured alike.
    by_path_alone: BTreeMap<Vec<Key>, Vec<(Value, usize)>>,
    /// How things are written, of the rule's own examples first.
    forms: BTreeMap<(String, String), Form>,
}

/// One example text, evaluated.
#[derive(Debug)]
pub(crate) struct Example {
    pub(crate) text: Arc<str>,
    /// The blocks of Terraform; of another dialect none.
    pub(crate) file: File,
    pub(crate) resources: Vec<Resource>,
}

/// A piece of an example.
#[derive(Clone, Debug)]
struct Place {
    example: usize,
    resource: usize,
    value: Value,
    site: Site,
}

/// A value as an example writes it.
pub(crate) struct Shown<'e> {
    pub(crate) example: &'e Example,
    /// The resource that holds it.
    pub(crate) resource: &'e Resource,
    /// The value.
    pub(crate) value: &'e Value,
    /// Where it stands.
    pub(crate) range: TextRange,
    /// The expression.
    pub(crate) text: &'e str,
}

impl Examples {
    /// Reads the examples of a rule in a dialect.
    pub(crate) fn of(table: &RuleTable, rule: RuleId, dialect: Dialect) -> Self {
        let mut examples = Self::default();
        for set in table.docs(rule).examples.iter().filter(|examples| dialect_of(examples.language) == dialect) {
            for text in &set.good {
                examples.good.push(Example::read(dialect, text));
            }
            if dialect == Dialect::Terraform {
                set.good.iter().chain(&set.bad).for_each(|text| examples.add_forms(text));
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

    /// How a name is written in resources of a type; the path is that of names alone (`rule.default_retention`). Where
    /// nothing shows it, it is written as in another type, if all agree.
    pub(crate) fn form(&self, type_key: &str, path: &str) -> Option<Form> {
        self.forms.get(&(type_key.to_owned(), path.to_owned())).copied().or_else(|| {
            let mut others = self.forms.iter().filter(|((_, other), _)| other == path).map(|(_, form)| *form);
            let first = others.next()?;
            others.all(|form| form == first).then_some(first)
        })
    }

    /// A value that was proposed.
    pub(crate) fn shown(&self, number: usize) -> Option<Shown<'_>> {
        let place = self.values.get(number)?;
        let example = self.good.get(place.example)?;
        let text = example.text.get(place.site.range.as_usize())?;
        let resource = example.resources.get(place.resource)?;
        Some(Shown { example, resource, value: &place.value, range: place.site.range, text })
    }

    /// The examples that have a resource of a type.
    pub(crate) fn with_type<'e>(&'e self, type_key: &str) -> impl Iterator<Item = (&'e Example, &'e Resource)> {
        self.good
            .iter()
            .filter_map(move |example| Some((example, example.resources.iter().find(|resource| &*resource.type_key == type_key)?)))
    }

    /// The examples with what stands in them beside a resource of a type.
    pub(crate) fn surroundings<'e>(&'e self, type_key: &str) -> Vec<(&'e Example, &'e Resource, Vec<&'e Resource>)> {
        let beside = |example: &'e Example, main: &'e Resource| -> Vec<&'e Resource> {
            example.resources.iter().filter(|other| other.address != main.address && example.block(other).is_some()).collect()
        };
        self.with_type(type_key)
            .map(|(example, main)| (example, main, beside(example, main)))
            .filter(|(.., others)| !others.is_empty())
            .collect()
    }

    /// The values that the examples have at a path: in resources of the type, or of another if none is of this.
    fn shown_at(&self, type_key: &str, path: &[Key]) -> Option<&Vec<(Value, usize)>> {
        let path = shape(path);
        if self.with_type(type_key).next().is_none() {
            return self.by_path_alone.get(&path);
        }
        self.by_path.get(&(type_key.to_owned(), path))
    }

    /// The first good example of a block: where it stands, by the names on the way.
    pub(crate) fn block_at<'e>(&'e self, type_key: &str, path: &str) -> Option<(&'e Example, &'e Resource, &'e Block)> {
        let find = |(example, resource): (&'e Example, &'e Resource)| {
            let mut block = example.block(resource)?;
            for name in path.split('.') {
                block = block.body.blocks().find(|inner| &*inner.kind.text == name)?;
            }
            Some((example, resource, block))
        };
        let of_any = || self.good.iter().flat_map(|example| example.resources.iter().map(move |resource| (example, resource)));
        match self.with_type(type_key).next() {
            Some(_) => self.with_type(type_key).find_map(find),
            None => of_any().find_map(find),
        }
    }

    /// How far a remedy is from what the good examples show: nothing for one that they show, more the less they know of it;
    /// `None` if they speak against it.
    pub(crate) fn distance(&self, remedy: &Remedy, trial: &Trial) -> Option<usize> {
        let companions = remedy.companions.iter().map(|companion| if self.with_type(&companion.type_key).next().is_some() { 0 } else { 3 });
        let wishes = remedy.wishes.iter().map(|wish| self.distance_of(wish, remedy, trial));
        Some(companions.sum::<usize>() + wishes.sum::<Option<usize>>()?)
    }

    fn distance_of(&self, wish: &Wish, remedy: &Remedy, trial: &Trial) -> Option<usize> {
        let (type_key, body) = match wish.subject {
            Subject::Resource(id) => (&trial.graph.resources[id].type_key, Some(&trial.graph.resources[id].body)),
            Subject::Companion(index) => match remedy.companions.get(index) {
                Some(companion) => (&companion.type_key, None),
                None => return Some(3),
            },
        };
        let shown = self.shown_at(type_key, &wish.path);
        let wanted = match &wish.change {
            Change::Set(Wanted::Suggested(number)) => self.values.get(*number).map(|place| place.value.clone()),
            Change::Set(Wanted::Literal(literal)) => Some(literal_value(literal)),
            _ => None,
        };
        if let (Some(there), Some(wanted)) = (body.and_then(|body| at(body, &wish.path)), &wanted)
            && names_family(&wish.path)
            && is_of_another_family(there, wanted)
        {
            return None;
        }
        let distance = match &wish.change {
            Change::Set(Wanted::Suggested(_) | Wanted::Trusted { own: true } | Wanted::WithoutLines(_)) | Change::Refer(_) => 0,
            Change::Set(Wanted::Asked(_) | Wanted::Trusted { own: false }) => 1,
            Change::Set(Wanted::Literal(literal)) => match shown {
                // What was switched one way is switched the other way, rather than left to a default.
                None if switches(literal, body.and_then(|body| at(body, &wish.path))) => 0,
                None => 2,
                Some(values) if values.iter().any(|(value, _)| *value == literal_value(literal)) => 0,
                Some(_) => 3,
            },
            Change::Remove if matches!(wish.path.last(), Some(Key::Index(_))) => {
                if shown.is_some() && !is_named_right(type_key, &wish.path, body) && self.empties(wish, remedy, body) {
                    return None;
                }
                usize::from(shown.is_some())
            }
            // A part of a document that another takes the place of.
            Change::Remove if wish.path.iter().any(|key| matches!(key, Key::Name(name) if &**name == DOCUMENT)) => 0,
            // What every good example has, or what none is about, nobody can tell to be dispensable.
            Change::Remove if shown.is_some() || !self.is_about(type_key, &wish.path) => return None,
            Change::Remove if body.and_then(|body| at(body, &wish.path)).is_some_and(|value| matches!(value.data, Data::Bool(_))) => 1,
            Change::Remove => 0,
        };
        // What tells elements apart isn't what is wrong with one: another element is meant.
        let renames = matches!(wish.change, Change::Set(_))
            && wish.path.iter().any(|key| matches!(key, Key::Index(_)))
            && matches!(wish.path.last(), Some(Key::Name(name)) if matches!(&**name, "name" | "key" | "type" | "id" | "namespace" | "identifier" | "log_type" | "variable" | "port" | "from_port" | "to_port"))
            && body.is_some_and(|body| at(body, &wish.path).is_some());
        Some(if renames { distance + 4 } else { distance })
    }

    /// Whether an example shows a resource of a type; what is true of one workload's pods is true of another's.
    fn is_about(&self, type_key: &str, path: &[Key]) -> bool {
        let is_of_pods = matches!(path.first(), Some(Key::Name(name)) if &**name == "pod");
        self.with_type(type_key).next().is_some() || is_of_pods && !self.good.is_empty()
    }

    /// Whether a remedy takes out all blocks of a name that a resource may need one of.
    fn empties(&self, wish: &Wish, remedy: &Remedy, body: Option<&Value>) -> bool {
        let Some((_, parent)) = wish.path.split_last() else { return false };
        // What a workflow computes isn't written as a list.
        let is_optional = matches!(parent.last(), Some(Key::Name(name)) if GRANTING_BLOCKS.contains(&&**name) || &**name == "expansions");
        let there = body.and_then(|body| at(body, parent)).and_then(Value::as_items).map_or(0, <[Value]>::len);
        let is_beside = |other: &&Wish| {
            other.subject == wish.subject
                && matches!(other.change, Change::Remove)
                && other.path.split_last().is_some_and(|(_, of)| of == parent)
        };
        !is_optional && remedy.wishes.iter().filter(is_beside).count() >= there
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
        for (number, resource) in example.resources.iter().enumerate() {
            collect(&resource.body, &mut Vec::new(), &mut |path, value| {
                if let Some(site) = value.origin.used_at() {
                    found.push((
                        resource.type_key.to_string(),
                        path.to_vec(),
                        value.clone(),
                        Place { example: index, resource: number, value: value.clone(), site },
                    ));
                }
            });
        }
        for (type_key, path, value, place) in found {
            let number = self.values.len();
            self.values.push(place);
            // Which of several elements it is doesn't matter: what is good for one is good for the others.
            let path = shape(&path);
            // A block stands for itself and for all blocks of its name.
            let as_list = path.split_last().filter(|(last, _)| matches!(last, Key::Index(_)) && value.as_mapping().is_some());
            let paths = as_list.map(|(_, list)| list.to_vec()).into_iter().chain([path.clone()]);
            for path in paths {
                self.by_path_alone.entry(path.clone()).or_default().push((value.clone(), number));
                self.by_path.entry((type_key.clone(), path)).or_default().push((value.clone(), number));
            }
        }
    }
}

impl Suggestions for Examples {
    fn values(&self, type_key: &str, path: &[Key]) -> Vec<(Value, usize)> {
        self.shown_at(type_key, path).cloned().unwrap_or_default()
    }
}

impl Example {
    fn read(dialect: Dialect, text: &str) -> Self {
        if dialect != Dialect::Terraform {
            let resources = evaluate_text(dialect, text).into_iter().flat_map(|evaluation| evaluation.resources).collect();
            return Self { text: text.into(), file: hcl::parse(""), resources };
        }
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

/// Whether an element is a rule of a Kubernetes role that names what it grants: without it the role grants just that no more. Of one that
/// grants everything nobody can tell what of it is needed.
fn is_named_right(type_key: &str, path: &[Key], body: Option<&Value>) -> bool {
    let ([Key::Name(name), Key::Index(_)], "Role" | "ClusterRole") = (path, type_key) else { return false };
    let says_all = |rule: &Value| {
        let lists = ["verbs", "resources", "apiGroups"].iter().filter_map(|list| rule.get(list)?.as_items());
        lists.flatten().any(|item| item.as_str().is_none_or(|text| text == "*"))
    };
    &**name == "rules" && body.and_then(|body| at(body, path)).is_some_and(|rule| !says_all(rule))
}

/// Whether a place says what something is made for, in one word with a version.
fn names_family(path: &[Key]) -> bool {
    let Some(Key::Name(name)) = path.last() else { return false };
    let name = name.to_ascii_lowercase();
    ["runtime", "engine", "family", "version"].iter().any(|word| name.contains(word))
}

/// Whether two texts are versions of different things: what runs on Node.js isn't mended by Python.
fn is_of_another_family(there: &Value, wanted: &Value) -> bool {
    let family = |value: &Value| {
        let text = value.as_str()?;
        let end = text.find(|character: char| character.is_ascii_digit())?;
        let family = text[..end].trim_end_matches(['-', '.', '_']).to_ascii_lowercase();
        (!family.is_empty() && family.bytes().all(|byte| byte.is_ascii_alphabetic())).then_some(family)
    };
    matches!((family(there), family(wanted)), (Some(a), Some(b)) if a != b)
}

/// Whether a value is a truth, and a literal the other one.
fn switches(literal: &Literal, value: Option<&Value>) -> bool {
    matches!((literal, value.map(|value| &value.data)), (Literal::Bool(wanted), Some(Data::Bool(now))) if wanted != now)
}

/// The names of a path; that it leads to an element is kept.
fn shape(path: &[Key]) -> Vec<Key> {
    let names = path.iter().filter(|key| matches!(key, Key::Name(_))).cloned();
    let element = path.last().filter(|key| matches!(key, Key::Index(_))).map(|_| Key::Index(0));
    names.chain(element).collect()
}

/// The value at a path, unless nothing is there.
pub(crate) fn at<'v>(body: &'v Value, path: &[Key]) -> Option<&'v Value> {
    path.iter().try_fold(body, |value, key| match key {
        Key::Name(name) => value.get(name).filter(|value| !value.is_null()),
        Key::Index(index) => value.as_items()?.get(*index),
    })
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
