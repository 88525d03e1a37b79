//! Values that a module has already: of the resource itself, of its neighbours, of the account; and what an example's
//! value stands on, brought along.

use keyblind_dialects::paths;
use keyblind_resource::{BlockKind, Resource, ResourceId, Value};
use keyblind_syntax::hcl::ast::{Block, Body, Expr, ExprKind, Item};
use keyblind_syntax::{FileId, TextRange};

use super::companion::is_part_of;
use super::insert::Rendered;
use super::{Drafting, Spot, locate};
use crate::examples::Example;
use crate::hindrance::Hindrance;
use crate::instantiate::{self, Input, Piece, Renaming};
use crate::proof::Stated;

/// The most calls of modules that hand a value on.
const MOST_CALLS: usize = 16;
/// The most resources that are brought along.
const MOST_BROUGHT: usize = 6;
/// Arguments that say where something is rather than what it is: those of what stands beside are the resource's own. Behind
/// each, under which other name the resource may have it.
const PLACES: &[(&str, Option<&str>)] =
    &[("resource_group_name", None), ("location", None), ("region", None), ("project", None), ("username", Some("admin_username"))];
/// Arguments that name something which a module has once: as its neighbours have it, if they agree.
const COMMON: &[&str] =
    &["storage_endpoint", "storage_account_access_key", "email_addresses", "log_analytics_workspace_id", "workspace_id"];
/// Data sources that need no argument: they tell of the account that is deployed to.
const NULLARY: &[&str] = &[
    "aws_caller_identity",
    "aws_partition",
    "aws_region",
    "azurerm_client_config",
    "azurerm_subscription",
    "google_client_config",
    "google_project",
];
/// Types of which the only one in a module is the one that is meant.
const ONLY_ONE: &[&str] = &["azurerm_log_analytics_workspace", "azurerm_storage_account", "google_compute_network", "aws_sns_topic"];
/// Arguments that Terraform itself reads.
const META: &[&str] = &["count", "for_each", "provider", "depends_on", "lifecycle"];

/// An expression of an example.
#[derive(Clone, Copy)]
pub(super) struct Source<'t> {
    pub(super) example: &'t Example,
    /// The resource that it stands in.
    pub(super) resource: &'t Resource,
    pub(super) text: &'t str,
}

/// As many instances as another resource has.
pub(super) struct Repetition {
    argument: &'static str,
    expression: String,
    /// What a reference to one instance ends with.
    suffix: &'static str,
}

impl<'t> Drafting<'t> {
    /// An example's expression, made to fit.
    pub(super) fn fitted(
        &mut self,
        spot: &Spot<'_>,
        source: Source<'t>,
        value: Option<&Value>,
        resource: &'t Resource,
    ) -> Result<String, Hindrance> {
        let attribute = spot.attribute();
        let renamings = self.renamings(source.resource, resource, source.example);
        let is_given = self.settings.given.contains_key(attribute);
        let mut piece = instantiate::expression(source.text, value, attribute, &renamings);
        let refers_here = matches!(piece, Piece::Text(_)) && instantiate::references(source.text).is_some_and(|found| !found.is_empty());
        if !is_given
            && !refers_here
            && let Some(text) = self.own_place(spot, resource)?
        {
            return Ok(text);
        }
        if !is_given && matches!(piece, Piece::Asked { .. }) {
            if let Some(text) = self.as_neighbours_have_it(attribute, resource)? {
                return Ok(text);
            }
            if self.settings.bring && self.resolve(source, resource, &renamings) {
                let renamings = self.renamings(source.resource, resource, source.example);
                piece = instantiate::expression(source.text, value, attribute, &renamings);
            }
        }
        self.piece_text(spot, piece, resource)
    }

    /// What the resource itself says of where it is.
    fn own_place(&mut self, spot: &Spot<'_>, resource: &'t Resource) -> Result<Option<String>, Hindrance> {
        let Some((name, other)) = PLACES.iter().find(|(name, _)| *name == spot.attribute()) else { return Ok(None) };
        // What is wrong with the resource itself isn't mended by what it says.
        let is_own = *spot.type_key == *resource.type_key;
        if is_own && !spot.path.contains('.') {
            return Ok(None);
        }
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let Some(block) = locate::block(&tree.body, resource.header.range) else { return Ok(None) };
        let attribute = [Some(*name), *other].into_iter().flatten().find_map(|name| block.body.attribute(name));
        let text = attribute.map(|attribute| &self.text(file)[attribute.value.range.as_usize()]);
        if let Some(text) = text.filter(|text| is_free_standing(text)) {
            return Ok(Some(text.to_owned()));
        }
        if is_own {
            return Ok(None);
        }
        // Where it says nothing of that kind itself, it is where most around it are.
        let around = self.around(name, resource)?;
        let count = |text: &str| around.iter().filter(|(_, other)| *other == text).count();
        let most = around.iter().map(|(_, text)| *text).max_by_key(|text| (count(text), std::cmp::Reverse(*text)));
        most.map(|text| Some(text.to_owned())).ok_or(Hindrance::NeedsValue)
    }

    /// What all resources around say for an argument; those of the same file go before those of the module.
    fn as_neighbours_have_it(&mut self, attribute: &str, resource: &'t Resource) -> Result<Option<String>, Hindrance> {
        if !COMMON.contains(&attribute) {
            return Ok(None);
        }
        let found = self.around(attribute, resource)?;
        let unanimous =
            |texts: Vec<&str>| texts.first().filter(|first| texts.iter().all(|text| text == *first)).map(|text| (*text).to_owned());
        let here = found.iter().filter(|(file, _)| *file == resource.header.file).map(|(_, text)| *text).collect();
        Ok(unanimous(here).or_else(|| unanimous(found.iter().map(|(_, text)| *text).collect())))
    }

    /// What the resources of a module say for an argument, of one provider.
    fn around(&mut self, attribute: &str, resource: &'t Resource) -> Result<Vec<(FileId, &'t str)>, Hindrance> {
        let trial = self.trial;
        let own = format!("{}.{}", resource.type_key, resource.name);
        let mut found = Vec::new();
        for other in trial.graph.resources.iter().filter(|other| is_beside(other, resource) && same_provider(other, resource)) {
            let file = other.header.file;
            let Ok(tree) = self.tree(file) else { continue };
            let Some(block) = locate::block(&tree.body, other.header.range) else { continue };
            let text = self.text(file);
            let mut values = Vec::new();
            values_of(&block.body, attribute, &mut values);
            let texts = values.into_iter().map(|value| &text[value.range.as_usize()]);
            found.extend(texts.filter(|text| is_free_standing(text) && !text.contains(&own)).map(|text| (file, text)));
        }
        Ok(found)
    }

    /// Sees to it that everything that an example's expression refers to is here. What can't be is left to be asked for.
    fn resolve(&mut self, source: Source<'t>, resource: &'t Resource, known: &[Renaming]) -> bool {
        let Some(references) = instantiate::references(source.text) else { return false };
        let before = (self.stated.clone(), self.inputs.clone(), self.renamed.clone(), self.brought.clone());
        let (declared, splices) = (self.declared.clone(), self.splices.clone());
        for reference in references {
            if known.iter().chain(&self.renamed).any(|renaming| renaming.from == reference) {
                continue;
            }
            let to = match reference.strip_prefix("data.").and_then(|rest| rest.split('.').next()) {
                Some(type_name) if NULLARY.contains(&type_name) => self.nullary(type_name, resource),
                _ => match self.one_that_is_there(&reference, source.resource, resource) {
                    Ok(Some(there)) => Ok(there),
                    Ok(None) => self.bring(source.example, &reference, resource),
                    Err(hindrance) => Err(hindrance),
                },
            };
            match to {
                Ok(to) => self.renamed.push(Renaming { from: reference, to }),
                Err(_) => {
                    (self.stated, self.inputs, self.renamed, self.brought) = before;
                    (self.declared, self.splices) = (declared, splices);
                    return false;
                }
            }
        }
        true
    }

    /// A data source that tells of the account: the module's own, or a new one.
    pub(super) fn nullary(&mut self, type_name: &str, resource: &'t Resource) -> Result<String, Hindrance> {
        let type_key = format!("data.{type_name}");
        let mut there = self.trial.graph.resources.iter().filter(|other| *other.type_key == *type_key && is_beside(other, resource));
        if let Some(known) =
            there.find(|other| &*other.address == format!("{type_key}.{}", other.name).as_str() || !resource.calls.is_empty())
        {
            return Ok(format!("{type_key}.{}", known.name));
        }
        let name = "current".to_owned();
        let address = format!("{type_key}.{name}");
        let stated = self.stated_new(resource, &type_key, &name);
        if !self.stated.contains(&stated) {
            self.stated.push(stated);
            self.brought.push(format!("data \"{type_name}\" \"{name}\" {{}}"));
        }
        Ok(address)
    }

    /// The one of a type that the module has already and that is meant.
    ///
    /// # Errors
    /// If the judged one is a part of it and which one is meant can't be told.
    fn one_that_is_there(&self, reference: &str, shown: &Resource, resource: &'t Resource) -> Result<Option<String>, Hindrance> {
        let Some(type_key) = reference.split('.').next() else { return Ok(None) };
        let trial = self.trial;
        if shown.type_key == trial.graph.resources[self.judged].type_key && is_part_of(&shown.type_key, type_key) {
            let parent = self.only_parent(type_key, resource)?.map(|id| &trial.graph.resources[id]);
            return Ok(parent.map(|parent| format!("{}.{}", parent.type_key, parent.name)));
        }
        let mut fitting: Vec<&Resource> = trial
            .graph
            .resources
            .iter()
            .filter(|other| *other.type_key == *type_key && is_beside(other, resource) && other.kind == BlockKind::Managed)
            .filter(|other| !std::ptr::eq(*other, resource) && !other.address.ends_with(']'))
            .collect();
        if type_key == "aws_s3_bucket" {
            fitting.retain(|bucket| holds_logs(bucket));
        } else if !ONLY_ONE.contains(&type_key) {
            return Ok(None);
        }
        Ok(match fitting[..] {
            [only] => Some(format!("{}.{}", only.type_key, only.name)),
            _ => None,
        })
    }

    /// Brings a resource of an example along, with what that stands on.
    fn bring(&mut self, example: &'t Example, reference: &str, resource: &'t Resource) -> Result<String, Hindrance> {
        let shown = example.resources.iter().find(|other| format!("{}.{}", other.type_key, other.name) == reference);
        let shown = shown.ok_or(Hindrance::NeedsValue)?;
        let pattern = example.block(shown).ok_or(Hindrance::NeedsValue)?;
        if self.brought.len() >= MOST_BROUGHT {
            return Err(Hindrance::NeedsRedesign);
        }
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        let repetition = self.repetition_of(resource, block);
        let name = self.free_name(&shown.type_key, resource);
        let own = format!("{}.{name}", shown.type_key);
        let to = format!("{own}{}", repetition.as_ref().map_or("", |repetition| repetition.suffix));
        self.stated.push(self.stated_new(resource, &shown.type_key, &name));
        // It may refer to itself by way of others.
        self.renamed.push(Renaming { from: reference.to_owned(), to: to.clone() });
        self.added.push(shown.type_key.to_string());
        let mut items: Vec<Rendered> = Vec::new();
        if let Some(repetition) = &repetition {
            items.push(Rendered::attribute(repetition.argument, &repetition.expression));
        }
        if let Some(provider) = block.body.attribute("provider") {
            items.push(Rendered::attribute("provider", &self.text(file)[provider.value.range.as_usize()]));
        }
        let outer = self.companion_of.take();
        self.companion_of = Some(format!("{}.{}{}", resource.type_key, resource.name, repetition.as_ref().map_or("", |of| of.suffix)));
        let spot = Spot { file, type_key: &shown.type_key, path: String::new() };
        let inner = self.instantiated(&spot, example, shown, pattern, &|name| META.contains(&name), resource);
        self.companion_of = outer;
        items.extend(inner?);
        let head = match shown.type_key.strip_prefix("data.") {
            Some(type_name) => format!("data \"{type_name}\" \"{name}\""),
            None => format!("resource \"{}\" \"{name}\"", shown.type_key),
        };
        self.brought.push(Rendered::block(&head, items).text(""));
        Ok(to)
    }

    /// A value that a called module is handed from the root module: a variable of each module on the way.
    pub(super) fn asked_of_callers(&mut self, asked: Input, resource: &Resource) -> Result<String, Hindrance> {
        let path = self.path(resource.header.file).to_owned();
        let first = resource.calls.first().ok_or(Hindrance::NeedsValue)?;
        let root = paths::parent(self.path(first.file)).to_owned();
        // Whoever else calls the module would have to hand over a value as well.
        if self.settings.shared.contains(&path) {
            return Err(Hindrance::NeedsValue);
        }
        let (mut modules, mut calls, mut next) = (Vec::from_iter(asked.module.clone()), Vec::new(), 0);
        while let Some(module) = modules.get(next).cloned() {
            next += 1;
            if module == root {
                continue;
            }
            let found = self.calls_of(&module);
            if found.is_empty() || calls.len() + found.len() > MOST_CALLS {
                return Err(Hindrance::NeedsValue);
            }
            for (file, header) in found {
                let caller = paths::parent(self.path(file)).to_owned();
                if !modules.contains(&caller) {
                    modules.push(caller);
                }
                calls.push((file, header));
            }
        }
        // One that an earlier change of this fix asks for is asked for once.
        let is_it = |input: &&Input| {
            input.module.as_deref() == Some(&*root) && input.attribute == asked.attribute && input.description == asked.description
        };
        if let Some(known) = self.inputs.iter().find(is_it).filter(|known| known.variable.starts_with(&asked.variable)) {
            return Ok(format!("var.{}", known.variable));
        }
        let variable = self.free_variable(&modules, &asked.variable)?;
        for (file, header) in calls {
            let tree = self.tree(file)?;
            let call = locate::block(&tree.body, header).ok_or(Hindrance::NotProven)?;
            let name = call.labels.first().map(|label| label.text.to_string()).unwrap_or_default();
            self.stated.push(Stated { file: self.path(file).to_owned(), type_key: "module".to_owned(), name, path: variable.clone() });
            self.insert_items(file, call, vec![Rendered::attribute(&variable, &format!("var.{variable}"))]);
        }
        self.declared.extend(modules.into_iter().map(|module| (module, variable.clone())));
        self.inputs.push(Input { variable: variable.clone(), module: Some(root), ..asked });
        Ok(format!("var.{variable}"))
    }

    /// The heads of the blocks that call a module by a relative path.
    fn calls_of(&mut self, module: &str) -> Vec<(FileId, TextRange)> {
        let mut found = Vec::new();
        let files: Vec<FileId> = self.trial.sources.iter().map(|(file, _)| file).collect();
        for file in files {
            let Ok(tree) = self.tree(file) else { continue };
            for block in tree.body.blocks().filter(|block| &*block.kind.text == "module") {
                let Some(ExprKind::String(source)) = block.body.attribute("source").map(|source| &source.value.kind) else { continue };
                let is_relative = source.starts_with("./") || source.starts_with("../");
                let folder = paths::parent(self.path(file));
                if is_relative && joined(folder, source).as_deref() == Some(module) {
                    found.push((file, block.header()));
                }
            }
        }
        found
    }

    fn repetition_of(&self, resource: &Resource, block: &Block) -> Option<Repetition> {
        let text = self.text(resource.header.file);
        [("count", "[count.index]"), ("for_each", "[each.key]")].into_iter().find_map(|(argument, suffix)| {
            let value = block.body.attribute(argument)?;
            Some(Repetition { argument, expression: text[value.value.range.as_usize()].to_owned(), suffix })
        })
    }

    pub(super) fn stated_new(&self, beside: &Resource, type_key: &str, name: &str) -> Stated {
        Stated { file: self.path(beside.header.file).to_owned(), type_key: type_key.to_owned(), name: name.to_owned(), path: String::new() }
    }

    /// Puts what was brought along behind the resource that is judged.
    pub(super) fn splice_brought(&mut self) -> Result<(), Hindrance> {
        if self.brought.is_empty() {
            return Ok(());
        }
        let judged: ResourceId = self.judged;
        let resource = &self.trial.graph.resources[judged];
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        let end = super::layout::line_end(self.text(file), block.range.end);
        let text: String = std::mem::take(&mut self.brought).iter().map(|block| format!("\n\n{block}")).collect();
        self.splice(file, TextRange::new(end, end), text);
        Ok(())
    }
}

/// A relative path from a folder; `None` if it leads out of the tree.
fn joined(folder: &str, relative: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Whether two resources are of one module.
fn is_beside(other: &Resource, resource: &Resource) -> bool {
    other.calls == resource.calls
}

fn same_provider(a: &Resource, b: &Resource) -> bool {
    a.type_key.split('_').next() == b.type_key.split('_').next()
}

/// Whether an expression means the same in another resource.
fn is_free_standing(text: &str) -> bool {
    let begins_word = |at: usize| !text[..at].ends_with(|before: char| before.is_alphanumeric() || matches!(before, '_' | '-' | '.'));
    !["each.", "count.", "self."].iter().any(|word| text.match_indices(word).any(|(at, _)| begins_word(at)))
}

/// The expressions of an argument in a body and in its blocks.
fn values_of<'b>(body: &'b Body, attribute: &str, found: &mut Vec<&'b Expr>) {
    for item in &body.items {
        match item {
            Item::Attribute(own) if &*own.name.text == attribute && !matches!(own.value.kind, ExprKind::Null) => found.push(&own.value),
            Item::Attribute(_) => {}
            Item::Block(block) => values_of(&block.body, attribute, found),
        }
    }
}

/// Whether a bucket is there to take logs, by what it says of itself.
fn holds_logs(bucket: &Resource) -> bool {
    let is_log =
        |text: &str| text.split(|character: char| !character.is_alphanumeric()).any(|word| matches!(word, "log" | "logs" | "logging"));
    let takes_them = bucket.body.get("acl").and_then(Value::as_str) == Some("log-delivery-write");
    takes_them || is_log(&bucket.name.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::{is_free_standing, joined};

    #[test]
    fn only_whole_words_tie_an_expression_to_its_resource() {
        assert!(is_free_standing("azurerm_storage_account.logs.id"));
        assert!(!is_free_standing("\"x-${count.index}\""));
        assert!(!is_free_standing("each.key"));
    }

    #[test]
    fn relative_paths_stay_in_the_tree() {
        assert_eq!(joined("envs/prod", "../../modules/x").as_deref(), Some("modules/x"));
        assert_eq!(joined("", "./x").as_deref(), Some("x"));
        assert_eq!(joined("a", "../../x"), None);
    }
}
