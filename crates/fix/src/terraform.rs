//! Terraform: where a wish lands in the text, and how it is written there.

mod companion;
mod context;
mod document;
mod insert;
mod layout;
mod locate;
mod render;
mod value;

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use keyblind_resource::{Resource, ResourceId, Value};
use keyblind_rules::{Remedy, Subject};
use keyblind_scan::Trial;
use keyblind_syntax::hcl::ast::{Block, File};
use keyblind_syntax::{FileId, Site, TextRange, hcl};

use crate::draft::{Draft, Level, Settings};
use crate::examples::Examples;
use crate::hindrance::Hindrance;
use crate::instantiate::{Input, Renaming};
use crate::proof::Stated;
use crate::wishes::Wishes;

pub(crate) use layout::{is_formatted, unformatted_lines};
pub(crate) use locate::children;

/// Adds all that stands beside such a resource in a good example: the last resort where a rule asks for a whole arrangement.
pub(crate) fn transplant(trial: &Trial, judged: ResourceId, number: usize, settings: &Settings<'_>) -> Result<Draft, Hindrance> {
    let mut drafting = Drafting::new(trial, judged, settings);
    drafting.transplant(number)?;
    drafting.finish()
}

/// Writes a remedy into the texts of a trial.
pub(crate) fn draft(trial: &Trial, judged: ResourceId, remedy: &Remedy, settings: &Settings<'_>) -> Result<Draft, Hindrance> {
    let mut drafting = Drafting::new(trial, judged, settings);
    let companions = drafting.companions(remedy)?;
    let mut subjects: Vec<ResourceId> = Vec::new();
    for wish in &remedy.wishes {
        if let Subject::Resource(id) = wish.subject
            && !subjects.contains(&id)
        {
            subjects.push(id);
        }
    }
    for id in subjects {
        let resource = &trial.graph.resources[id];
        let wishes = Wishes::of(remedy, Subject::Resource(id));
        drafting.resource(resource, &wishes, &companions)?;
    }
    drafting.finish()
}

/// A remedy on its way into the text.
pub(crate) struct Drafting<'t> {
    trial: &'t Trial,
    examples: &'t Examples,
    level: Level,
    settings: &'t Settings<'t>,
    judged: ResourceId,
    files: BTreeMap<FileId, Rc<File>>,
    splices: BTreeMap<FileId, Vec<(TextRange, String)>>,
    stated: Vec<Stated>,
    inputs: Vec<Input>,
    /// While a companion is written: how the resource that it stands beside is referred to in it.
    companion_of: Option<String>,
    /// Resources of an example that are added, and how they are called.
    renamed: Vec<Renaming>,
    /// Blocks that come along with a value, and their types.
    brought: Vec<String>,
    added: Vec<String>,
    /// Variables that the fix declares: of which module, and which input they are for.
    declared: Vec<(String, String)>,
    /// Whether one is within a document.
    in_document: bool,
}

/// Where one is in the text.
struct Spot<'a> {
    file: FileId,
    /// The resource's type, and the names on the way, for what the examples know.
    type_key: &'a str,
    path: String,
}

impl Spot<'_> {
    fn inner(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Spot { file: self.file, type_key: self.type_key, path }
    }

    /// The last name.
    fn attribute(&self) -> &str {
        self.path.rsplit('.').next().unwrap_or_default()
    }
}

impl<'t> Drafting<'t> {
    fn new(trial: &'t Trial, judged: ResourceId, settings: &'t Settings<'t>) -> Self {
        Self {
            trial,
            examples: settings.examples,
            level: settings.level,
            settings,
            judged,
            files: BTreeMap::new(),
            splices: BTreeMap::new(),
            stated: Vec::new(),
            inputs: Vec::new(),
            companion_of: None,
            renamed: Vec::new(),
            brought: Vec::new(),
            added: Vec::new(),
            declared: Vec::new(),
            in_document: false,
        }
    }

    fn text(&self, file: FileId) -> &'t str {
        &self.trial.sources.file(file).text
    }

    fn path(&self, file: FileId) -> &'t str {
        &self.trial.sources.file(file).path
    }

    /// The tree of a file that may be edited.
    fn tree(&mut self, file: FileId) -> Result<Rc<File>, Hindrance> {
        if let Some(tree) = self.files.get(&file) {
            return Ok(tree.clone());
        }
        let path = self.path(file);
        if path.ends_with(".json") {
            return Err(Hindrance::UneditedSyntax);
        }
        if path.split('/').any(|part| part == ".terraform") {
            return Err(Hindrance::ForeignCode);
        }
        let tree = Rc::new(hcl::parse(self.text(file)));
        self.files.insert(file, tree.clone());
        Ok(tree)
    }

    fn splice(&mut self, file: FileId, range: TextRange, text: impl Into<String>) {
        let ending = if self.text(file).contains("\r\n") { "\r\n" } else { "\n" };
        let text = text.into();
        let text = if ending == "\n" { text } else { text.replace("\r\n", "\n").replace('\n', ending) };
        self.splices.entry(file).or_default().push((range, text));
    }

    fn state(&mut self, resource: &Resource, path: &str) {
        let stated = Stated {
            file: self.path(resource.header.file).to_owned(),
            type_key: resource.type_key.to_string(),
            name: resource.name.to_string(),
            path: path.to_owned(),
        };
        if !self.stated.contains(&stated) {
            self.stated.push(stated);
        }
    }

    fn resource(&mut self, resource: &'t Resource, wishes: &Wishes, companions: &[String]) -> Result<(), Hindrance> {
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        for name in wishes.names.keys() {
            self.state(resource, name);
            self.state_readers(resource, name);
        }
        let spot = Spot { file, type_key: &resource.type_key, path: String::new() };
        self.body(&spot, block, wishes, &resource.body, resource, companions)
    }

    /// What reads an attribute changes with it; a policy document is read as JSON.
    fn state_readers(&mut self, resource: &Resource, name: &str) {
        let graph = &self.trial.graph;
        let Some(id) = graph.resources.iter().position(|other| std::ptr::eq(other, resource)) else { return };
        let is_document = &*resource.type_key == "data.aws_iam_policy_document";
        let reads = |attribute: &str| {
            attribute == name
                || is_document && matches!(attribute, "json" | "minified_json")
                || attribute.strip_prefix(name).is_some_and(|rest| rest.starts_with('.'))
        };
        let readers: Vec<(ResourceId, String)> = graph
            .incoming(id)
            .filter(|link| reads(&link.attribute))
            .map(|link| (link.from, link.path.split('.').next().unwrap_or_default().to_owned()))
            .collect();
        if is_document {
            self.state(resource, "json");
            self.state(resource, "minified_json");
        }
        for (reader, path) in readers {
            self.state(&graph.resources[reader], &path);
        }
    }

    /// Changes what lies in a block.
    fn body(
        &mut self,
        spot: &Spot<'_>,
        block: &Block,
        wishes: &Wishes,
        value: &Value,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<(), Hindrance> {
        let mut additions = Vec::new();
        for (name, wish) in &wishes.names {
            let inner = spot.inner(name);
            let there = value.get(name).filter(|value| !value.is_null());
            if let Some(attribute) = block.body.attribute(name) {
                let owner = locate::Owner::Attribute(attribute);
                let null = Value::null();
                self.expression(&inner, owner, &attribute.value, wish, there.unwrap_or(&null), resource, companions)?;
            } else if let Some(there) = there {
                self.carried_or_blocks(&inner, block, name, wish, there, resource, companions, &mut additions)?;
            } else if !wish.is_removal() {
                additions.push((name.to_string(), wish.clone()));
            }
        }
        if additions.is_empty() {
            return Ok(());
        }
        let mut rendered = Vec::new();
        for (name, wish) in &additions {
            rendered.push(self.render_item(&spot.inner(name), name, wish, resource, companions)?);
        }
        self.insert_items(spot.file, block, rendered);
        Ok(())
    }

    /// A value that isn't written as an attribute of this block: its blocks, or what an override file says.
    #[allow(clippy::too_many_arguments, reason = "the place, the wish and what both are about")]
    fn carried_or_blocks(
        &mut self,
        spot: &Spot<'_>,
        block: &Block,
        name: &Arc<str>,
        wish: &Wishes,
        there: &Value,
        resource: &'t Resource,
        companions: &[String],
        additions: &mut Vec<(String, Wishes)>,
    ) -> Result<(), Hindrance> {
        let Some(items) = there.as_items() else { return Err(Hindrance::ValueElsewhere) };
        let sites: Vec<Option<Site>> = items.iter().map(|item| item.origin.used_at()).collect();
        if wish.is_removal() {
            return self.remove_blocks(&sites, &Vec::from_iter(0..items.len()));
        }
        let removed: Vec<usize> = wish.indices.iter().filter(|(_, inner)| inner.is_removal()).map(|(index, _)| *index).collect();
        if !removed.is_empty() {
            self.remove_blocks(&sites, &removed)?;
        }
        // Without a number the only block is meant.
        let unnumbered = (!wish.names.is_empty()).then_some((&0, wish));
        for (index, inner) in wish.indices.iter().filter(|(_, inner)| !inner.is_removal()).chain(unnumbered) {
            match (items.get(*index), sites.get(*index).copied().flatten()) {
                (Some(item), Some(site)) => {
                    let tree = self.tree(site.file)?;
                    let nested = locate::block(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
                    let at = Spot { file: site.file, type_key: spot.type_key, path: spot.path.clone() };
                    self.body(&at, nested, inner, item, resource, companions)?;
                }
                (Some(_), None) => return Err(Hindrance::ValueElsewhere),
                (None, _) => {
                    let dynamic = block
                        .body
                        .blocks()
                        .any(|other| &*other.kind.text == "dynamic" && other.labels.first().is_some_and(|label| label.text == *name));
                    if dynamic {
                        return Err(Hindrance::NeedsDecision);
                    }
                    additions.push((name.to_string(), inner.clone()));
                }
            }
        }
        Ok(())
    }

    /// Takes blocks out, whole lines of them. One that a `dynamic` block makes can't go without the others.
    fn remove_blocks(&mut self, sites: &[Option<Site>], indices: &[usize]) -> Result<(), Hindrance> {
        for &index in indices {
            let site = sites.get(index).copied().flatten().ok_or(Hindrance::ValueElsewhere)?;
            let tree = self.tree(site.file)?;
            let block = locate::block(&tree.body, site.range).ok_or(Hindrance::ValueElsewhere)?;
            let range = if &*block.kind.text == "content" {
                let others = sites.iter().enumerate().filter(|(other, of)| **of == Some(site) && !indices.contains(other));
                if others.count() > 0 {
                    return Err(Hindrance::NeedsDecision);
                }
                locate::dynamic_around(&tree.body, block.range).ok_or(Hindrance::ValueElsewhere)?.range
            } else {
                block.range
            };
            let range = layout::whole_lines(self.text(site.file), range, true);
            if !self.splices.get(&site.file).is_some_and(|splices| splices.iter().any(|(known, _)| *known == range)) {
                self.splice(site.file, range, "");
            }
        }
        Ok(())
    }

    /// Takes a value out.
    fn remove(&mut self, spot: &Spot<'_>, owner: locate::Owner<'_>) -> Result<(), Hindrance> {
        let range = match owner {
            locate::Owner::Attribute(attribute) => attribute.range,
            locate::Owner::Entry(entry) => entry.range,
            locate::Owner::Element => return Err(Hindrance::ValueElsewhere),
        };
        let text = self.text(spot.file);
        let range = layout::whole_lines(text, range, matches!(owner, locate::Owner::Attribute(_)));
        self.splice(spot.file, range, "");
        Ok(())
    }

    /// Declares the variables that this fix is the first to need: where the module keeps its variables, or in the file of the
    /// resource.
    fn declare_inputs(&mut self) {
        let own = self.trial.graph.resources[self.judged].header.file;
        for (module, variable) in std::mem::take(&mut self.declared) {
            let Some(input) = self.inputs.iter().find(|input| input.variable == variable).cloned() else { continue };
            let of_module = |path: &str| keyblind_dialects::paths::parent(path) == module && !path.ends_with(".json");
            let files = || self.trial.sources.iter().filter(|(_, source)| of_module(&source.path) && source.path.ends_with(".tf"));
            let variables =
                files().find(|(_, source)| keyblind_dialects::paths::name(&source.path) == "variables.tf").map(|(file, _)| file);
            let beside = of_module(self.path(own)).then_some(own);
            let Some(file) = variables.or(beside).or_else(|| files().next().map(|(file, _)| file)) else { continue };
            let text = self.text(file);
            let end = text.trim_end().len() as u32;
            let gap = if end == 0 { "" } else { "\n\n" };
            let declared = format!(
                "{gap}variable \"{variable}\" {{\n  description = {}\n  type        = {}\n}}",
                crate::instantiate::quoted(&input.description),
                input.kind
            );
            let newline = if text.len() as u32 == end { "\n" } else { "" };
            self.splice(file, TextRange::new(end, end), format!("{declared}{newline}"));
            self.stated.push(Stated {
                file: self.path(file).to_owned(),
                type_key: "variable".to_owned(),
                name: variable,
                path: String::new(),
            });
        }
    }

    /// Applies what was collected.
    fn finish(mut self) -> Result<Draft, Hindrance> {
        self.splice_brought()?;
        self.declare_inputs();
        let mut texts = BTreeMap::new();
        for (file, splices) in self.splices {
            let old = &*self.trial.sources.file(file).text;
            // Two wishes about the same bytes contradict each other.
            let new = crate::edit::spliced(old, splices).ok_or(Hindrance::NeedsDecision)?;
            if new != old {
                let new = layout::tidy(old, new);
                texts.insert(self.trial.sources.file(file).path.to_string(), new);
            }
        }
        if texts.is_empty() {
            return Err(Hindrance::NotProven);
        }
        Ok(Draft { texts, stated: self.stated, inputs: self.inputs, added: self.added })
    }
}
