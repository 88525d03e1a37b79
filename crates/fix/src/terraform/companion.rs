//! Resources that are added beside the one that fails.

use keyblind_resource::{BlockKind, Resource, ResourceId};
use keyblind_rules::{Change, Remedy, Subject};
use keyblind_syntax::TextRange;
use keyblind_syntax::hcl::ast::Block;

use super::insert::Rendered;
use super::render::in_order_of;
use super::{Drafting, Spot, layout, locate};
use crate::examples::Example;
use crate::hindrance::Hindrance;
use crate::instantiate::{self, Piece, Renaming};
use crate::proof::Stated;
use crate::wishes::Wishes;

/// The most resources that are taken over from an example.
const MOST_COMPANIONS: usize = 6;
/// Arguments that a companion gets from the resource that it stands beside, or not at all.
const META: &[&str] = &["count", "for_each", "provider", "depends_on", "lifecycle"];

/// How a resource with several instances is referred to by a companion that has as many.
struct Repetition {
    /// The `count` or `for_each` of the companion.
    argument: Option<(&'static str, String)>,
    /// The instance that one of the companion belongs to.
    instance: String,
}

impl<'t> Drafting<'t> {
    /// Adds the companions of a remedy, each behind the block of the resource that it is for. Gives how each is referred to.
    pub(super) fn companions(&mut self, remedy: &Remedy) -> Result<Vec<String>, Hindrance> {
        let trial = self.trial;
        let mut names = Vec::new();
        for (index, companion) in remedy.companions.iter().enumerate() {
            let resource = &trial.graph.resources[self.beside(remedy, index)];
            let file = resource.header.file;
            let tree = self.tree(file)?;
            let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
            if &*block.kind.text != "resource" || resource.calls != trial.graph.resources[self.judged].calls {
                return Err(Hindrance::NeedsRedesign);
            }
            let repetition = self.repetition(resource, block);
            let name = self.free_name(&companion.type_key, resource);
            let own = format!("{}.{name}", companion.type_key);
            let instance = match &repetition.argument {
                Some(("count", _)) => format!("{own}[count.index]"),
                Some(_) => format!("{own}[each.key]"),
                None => own,
            };
            let items = self.companion_items(remedy, index, &companion.type_key, resource, block, &repetition)?;
            let head = format!("resource \"{}\" \"{name}\"", companion.type_key);
            self.stated.push(self.stated_new(resource, &companion.type_key, &name));
            names.push(instance);
            let end = layout::line_end(self.text(file), block.range.end);
            self.splice(file, TextRange::new(end, end), format!("\n\n{}", Rendered::block(&head, items).text("")));
        }
        Ok(names)
    }

    /// The resource that a companion refers to; if none, the one that is judged.
    fn beside(&self, remedy: &Remedy, companion: usize) -> ResourceId {
        let refers = remedy.wishes.iter().find_map(|wish| match wish.change {
            Change::Refer(Subject::Resource(id)) if wish.subject == Subject::Companion(companion) => Some(id),
            _ => None,
        });
        refers.unwrap_or(self.judged)
    }

    /// Adds what stands beside such a resource in a good example.
    pub(super) fn transplant(&mut self, number: usize) -> Result<(), Hindrance> {
        let (trial, examples) = (self.trial, self.examples);
        let resource = &trial.graph.resources[self.judged];
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        let (example, main, others) = examples.surroundings(&resource.type_key).into_iter().nth(number).ok_or(Hindrance::NeedsRedesign)?;
        let is_repeated = block.body.attribute("count").or(block.body.attribute("for_each")).is_some();
        if is_repeated || others.len() > MOST_COMPANIONS || others.iter().any(|other| other.kind == BlockKind::Provider) {
            return Err(Hindrance::NeedsRedesign);
        }
        let mut names = Vec::new();
        for other in &others {
            let name = self.free_name(&other.type_key, resource);
            self.renamed.push(Renaming { from: format!("{}.{}", other.type_key, other.name), to: format!("{}.{name}", other.type_key) });
            self.stated.push(Stated {
                file: self.path(file).to_owned(),
                type_key: other.type_key.to_string(),
                name: name.clone(),
                path: String::new(),
            });
            names.push(name);
        }
        let provider = block.body.attribute("provider").map(|provider| self.text(file)[provider.value.range.as_usize()].to_owned());
        let mut text = String::new();
        for (other, name) in others.iter().zip(names) {
            let pattern = example.block(other).ok_or(Hindrance::NeedsRedesign)?;
            let mut items: Vec<Rendered> = provider.iter().map(|provider| Rendered::attribute("provider", provider)).collect();
            let spot = Spot { file, type_key: &other.type_key, path: String::new() };
            items.extend(self.instantiated(&spot, example, main, pattern, &|name| META.contains(&name), resource)?);
            let head = match other.type_key.strip_prefix("data.") {
                Some(type_name) => format!("data \"{type_name}\" \"{name}\""),
                None => format!("resource \"{}\" \"{name}\"", other.type_key),
            };
            text.push_str("\n\n");
            text.push_str(&Rendered::block(&head, items).text(""));
        }
        let end = layout::line_end(self.text(file), block.range.end);
        self.splice(file, TextRange::new(end, end), text);
        self.refer_to_transplanted(example, main, block, resource)
    }

    /// The attributes by which the example's own resource refers to what stands beside it.
    fn refer_to_transplanted(
        &mut self,
        example: &'t Example,
        main: &Resource,
        block: &Block,
        resource: &'t Resource,
    ) -> Result<(), Hindrance> {
        let Some(pattern) = example.block(main) else { return Ok(()) };
        let file = resource.header.file;
        let mut added = Vec::new();
        for attribute in pattern.body.attributes().filter(|attribute| !META.contains(&&*attribute.name.text)) {
            let text = &example.text[attribute.value.range.as_usize()];
            let name = &*attribute.name.text;
            if !self.renamed.iter().any(|renaming| text.contains(&renaming.from)) {
                continue;
            }
            let Piece::Text(renamed) = instantiate::expression(text, None, name, &self.renamed) else { continue };
            self.state(resource, name);
            match block.body.attribute(name) {
                Some(own) => self.splice(file, own.value.range, renamed),
                None => added.push(Rendered::attribute(name, &renamed)),
            }
        }
        if !added.is_empty() {
            self.insert_items(file, block, added);
        }
        Ok(())
    }

    fn companion_items(
        &mut self,
        remedy: &Remedy,
        index: usize,
        type_key: &str,
        resource: &'t Resource,
        block: &Block,
        repetition: &Repetition,
    ) -> Result<Vec<Rendered>, Hindrance> {
        let text = self.text(resource.header.file);
        let mut items = Vec::new();
        if let Some((name, value)) = &repetition.argument {
            items.push(Rendered::attribute(name, value));
        }
        if let Some(provider) = block.body.attribute("provider") {
            items.push(Rendered::attribute("provider", &text[provider.value.range.as_usize()]));
        }
        let wishes = Wishes::of(remedy, Subject::Companion(index));
        let spot = Spot { file: resource.header.file, type_key, path: String::new() };
        self.companion_of = Some(repetition.instance.clone());
        let own = self.companion_arguments(&spot, &wishes, resource, repetition);
        self.companion_of = None;
        items.extend(own?);
        Ok(items)
    }

    fn companion_arguments(
        &mut self,
        spot: &Spot<'_>,
        wishes: &Wishes,
        resource: &'t Resource,
        repetition: &Repetition,
    ) -> Result<Vec<Rendered>, Hindrance> {
        let type_key = spot.type_key;
        let mut own = Vec::new();
        for (name, wish) in &wishes.names {
            if let Some(Change::Refer(Subject::Resource(_))) = &wish.change {
                let attribute = self.referring_attribute(type_key, name, &resource.type_key);
                own.insert(0, Rendered::attribute(name, &format!("{}.{attribute}", repetition.instance)));
            } else {
                own.push(self.render_item(&spot.inner(name), name, wish, resource, &[])?);
            }
        }
        let examples = self.examples;
        if let Some((example, shown)) = examples.with_type(type_key).next()
            && let Some(pattern) = example.block(shown)
        {
            let is_wished = |name: &str| wishes.names.contains_key(name) || META.contains(&name);
            own.extend(self.instantiated(spot, example, shown, pattern, &is_wished, resource)?);
            in_order_of(&mut own, pattern);
        }
        Ok(own)
    }

    /// The attribute by which the examples refer to such a resource.
    fn referring_attribute(&self, type_key: &str, name: &str, to: &str) -> String {
        let prefix = format!("{to}.");
        let shown = self.examples.with_type(type_key).find_map(|(example, companion)| {
            let block = example.block(companion)?;
            let value = &example.text[block.body.attribute(name)?.value.range.as_usize()];
            let rest = value.strip_prefix(&prefix)?;
            let attribute = rest.split('.').nth(1)?;
            attribute.chars().all(|character| character.is_alphanumeric() || character == '_').then(|| attribute.to_owned())
        });
        shown.unwrap_or_else(|| "id".to_owned())
    }

    /// How the resource that is fixed is referred to in what is written.
    pub(super) fn instance_of(&self, resource: &Resource) -> String {
        self.companion_of.clone().unwrap_or_else(|| format!("{}.{}", resource.type_key, resource.name))
    }

    fn repetition(&self, resource: &Resource, block: &Block) -> Repetition {
        let text = self.text(resource.header.file);
        let base = format!("{}.{}", resource.type_key, resource.name);
        if let Some(count) = block.body.attribute("count") {
            let value = text[count.value.range.as_usize()].to_owned();
            return Repetition { argument: Some(("count", value)), instance: format!("{base}[count.index]") };
        }
        if block.body.attribute("for_each").is_some() {
            return Repetition { argument: Some(("for_each", base)), instance: "each.value".to_owned() };
        }
        Repetition { argument: None, instance: base }
    }

    /// The name of the resource, or one like it that its module doesn't have yet.
    pub(super) fn free_name(&self, type_key: &str, beside: &Resource) -> String {
        let is_taken = |name: &str| {
            self.trial
                .graph
                .resources
                .iter()
                .any(|other| &*other.type_key == type_key && &*other.name == name && other.calls == beside.calls)
                || self.stated.iter().any(|stated| stated.type_key == type_key && stated.name == name)
        };
        let base = beside.name.to_string();
        std::iter::once(base.clone()).chain((2..).map(|number| format!("{base}_{number}"))).find(|name| !is_taken(name)).unwrap_or(base)
    }
}

#[cfg(test)]
mod tests {
    use super::super::insert::{Rendered, items_text};

    #[test]
    fn attributes_come_before_blocks() {
        let items = vec![Rendered::block("b", vec![Rendered::attribute("c", "1")]), Rendered::attribute("a", "2")];
        assert_eq!(items_text(&items, "  "), "  a = 2\n\n  b {\n    c = 1\n  }");
    }
}
