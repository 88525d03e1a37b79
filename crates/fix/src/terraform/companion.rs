//! Resources that are added beside the one that fails.

use keyblind_resource::{Resource, ResourceId};
use keyblind_rules::{Change, Remedy, Subject};
use keyblind_syntax::TextRange;
use keyblind_syntax::hcl::ast::Block;

use super::insert::Rendered;
use super::{Drafting, Spot, layout, locate};
use crate::hindrance::Hindrance;
use crate::proof::Stated;
use crate::wishes::Wishes;

/// How a resource with several instances is referred to by a companion that has as many.
struct Repetition {
    /// The `count` or `for_each` of the companion.
    argument: Option<(&'static str, String)>,
    /// The instance that one of the companion belongs to.
    instance: String,
}

impl Drafting<'_> {
    /// Adds the companions of a remedy behind the block of the resource that is judged. Gives how each is referred to.
    pub(super) fn companions(&mut self, remedy: &Remedy) -> Result<Vec<String>, Hindrance> {
        if remedy.companions.is_empty() {
            return Ok(Vec::new());
        }
        let trial = self.trial;
        let judged: ResourceId = self.judged;
        let resource = &trial.graph.resources[judged];
        let file = resource.header.file;
        let tree = self.tree(file)?;
        let block = locate::block(&tree.body, resource.header.range).ok_or(Hindrance::NotProven)?;
        if &*block.kind.text != "resource" {
            return Err(Hindrance::NeedsRedesign);
        }
        let repetition = self.repetition(resource, block);
        let mut names = Vec::new();
        let mut text = String::new();
        for (index, companion) in remedy.companions.iter().enumerate() {
            let name = self.free_name(&companion.type_key, resource);
            let own = format!("{}.{name}", companion.type_key);
            let instance = match &repetition.argument {
                Some(("count", _)) => format!("{own}[count.index]"),
                Some(_) => format!("{own}[each.key]"),
                None => own,
            };
            let items = self.companion_items(remedy, index, &companion.type_key, resource, block, &repetition)?;
            let head = format!("resource \"{}\" \"{name}\"", companion.type_key);
            text.push_str("\n\n");
            text.push_str(&Rendered::block(&head, items).text(""));
            self.stated.push(Stated {
                file: self.path(file).to_owned(),
                type_key: companion.type_key.to_string(),
                name,
                path: String::new(),
            });
            names.push(instance);
        }
        let end = layout::line_end(self.text(file), block.range.end);
        self.splice(file, TextRange::new(end, end), text);
        Ok(names)
    }

    fn companion_items(
        &self,
        remedy: &Remedy,
        index: usize,
        type_key: &str,
        resource: &Resource,
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
        let mut own = Vec::new();
        for (name, wish) in &wishes.names {
            if let Some(Change::Refer(Subject::Resource(_))) = &wish.change {
                let attribute = self.referring_attribute(type_key, name, &resource.type_key);
                own.insert(0, Rendered::attribute(name, &format!("{}.{attribute}", repetition.instance)));
            } else {
                let spot = Spot { file: resource.header.file, type_key, path: name.to_string() };
                let resource = &self.trial.graph.resources[self.judged];
                own.push(self.render_item(&spot, name, wish, resource, &[])?);
            }
        }
        items.extend(own);
        Ok(items)
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
    fn free_name(&self, type_key: &str, beside: &Resource) -> String {
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
