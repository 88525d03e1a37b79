//! Where new attributes, blocks and elements go.

use keyblind_syntax::hcl::ast::{Block, Expr, Item, ObjectEntry};
use keyblind_syntax::{FileId, TextRange};

use super::{Drafting, layout};
use crate::instantiate::{key_text, quoted};

/// An attribute or block on its way into a body.
#[derive(Clone, Debug)]
pub(super) enum Rendered {
    Attribute { name: String, value: String },
    Block { head: String, items: Vec<Rendered> },
}

/// Arguments that Terraform itself reads. What configures the resource stands apart from them.
const META: &[&str] = &["count", "for_each", "provider", "providers", "source", "version", "depends_on"];

impl Rendered {
    pub(super) fn attribute(name: &str, value: &str) -> Self {
        Self::Attribute { name: name.to_owned(), value: value.to_owned() }
    }

    pub(super) fn block(head: &str, items: Vec<Rendered>) -> Self {
        Self::Block { head: head.to_owned(), items }
    }

    fn is_block(&self) -> bool {
        matches!(self, Self::Block { .. })
    }

    /// The name of the attribute, or of the blocks.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Attribute { name, .. } => name,
            Self::Block { head, .. } => head,
        }
    }

    /// The lines, without the last line end.
    pub(super) fn text(&self, indent: &str) -> String {
        match self {
            Self::Attribute { name, value } => format!("{indent}{name} = {value}"),
            Self::Block { head, items } if items.is_empty() => format!("{indent}{head} {{}}"),
            Self::Block { head, items } => format!("{indent}{head} {{\n{}\n{indent}}}", items_text(items, &format!("{indent}  "))),
        }
    }
}

/// Attributes first, then blocks with an empty line before each.
pub(super) fn items_text(items: &[Rendered], indent: &str) -> String {
    let mut text = String::new();
    for item in items.iter().filter(|item| !item.is_block()).chain(items.iter().filter(|item| item.is_block())) {
        if !text.is_empty() {
            text.push_str(if item.is_block() { "\n\n" } else { "\n" });
        }
        text.push_str(&item.text(indent));
    }
    text
}

impl Drafting<'_> {
    /// Puts items into a block: attributes behind the last plain attribute before the first nested block, blocks at the end.
    pub(super) fn insert_items(&mut self, file: FileId, block: &Block, items: Vec<Rendered>) {
        let text = self.text(file);
        let outer = layout::indentation(text, block.range.start);
        let own_lines = text[block.open.as_usize().end..block.close.as_usize().start.max(block.open.as_usize().end)].contains('\n');
        let first = block.body.items.first().map(item_range);
        let indent = match first.filter(|_| own_lines) {
            Some(range) => layout::indentation(text, range.start).to_owned(),
            None => format!("{outer}  "),
        };
        if !own_lines {
            let inside = TextRange::new(block.open.end, block.close.start.max(block.open.end));
            let mut lines = String::from("\n");
            for item in &block.body.items {
                let old = &text[item_range(item).as_usize()];
                lines.push_str(&format!("{indent}{old}\n"));
            }
            lines.push_str(&items_text(&items, &indent));
            lines.push('\n');
            lines.push_str(outer);
            self.splice(file, inside, lines);
            return;
        }
        let (blocks, attributes): (Vec<_>, Vec<_>) = items.into_iter().partition(Rendered::is_block);
        if !attributes.is_empty() {
            let lines = items_text(&attributes, &indent);
            match attribute_place(text, block) {
                Some(end) => {
                    let end = layout::line_end(text, end);
                    self.splice(file, TextRange::new(end, end), format!("\n{lines}"));
                }
                None => {
                    let end = layout::line_end(text, block.open.end);
                    let gap = if block.body.items.is_empty() || block.body.attributes().next().is_some() { "" } else { "\n" };
                    self.splice(file, TextRange::new(end, end), format!("\n{lines}{gap}"));
                }
            }
        }
        if !blocks.is_empty() {
            let end = match block.body.items.last() {
                Some(last) => layout::line_end(text, item_range(last).end),
                None => layout::line_end(text, block.open.end),
            };
            let gap = if block.body.items.is_empty() && attributes.is_empty() { "\n" } else { "\n\n" };
            self.splice(file, TextRange::new(end, end), format!("{gap}{}", items_text(&blocks, &indent)));
        }
    }

    /// Puts entries into an object.
    pub(super) fn insert_entries(&mut self, file: FileId, object: &Expr, entries: &[ObjectEntry], additions: Vec<(String, String)>) {
        if additions.is_empty() {
            return;
        }
        let text = self.text(file);
        let whole = &text[object.range.as_usize()];
        let Some(last) = entries.last() else {
            let entries: Vec<String> = additions.iter().map(|(name, value)| format!("{} = {value}", key_text(name))).collect();
            self.splice(file, object.range, format!("{{ {} }}", entries.join(", ")));
            return;
        };
        // Written as the others are.
        let between = &text[last.key.range.end as usize..last.value.range.start as usize];
        let sign = if between.contains(':') { ": " } else { " = " };
        let is_quoted = text[last.key.range.as_usize()].starts_with('"');
        let key = |name: &str| if is_quoted { quoted(name) } else { key_text(name) };
        let own_lines = whole.contains('\n');
        let indent = layout::indentation(text, last.range.start).to_owned();
        let comma = own_lines && text[last.range.end as usize..].trim_start_matches([' ', '\t']).starts_with(',');
        let mut added = String::new();
        for (name, value) in &additions {
            if own_lines {
                added.push_str(&format!("\n{indent}{}{sign}{value}{}", key(name), if comma { "," } else { "" }));
            } else {
                added.push_str(&format!(", {}{sign}{value}", key(name)));
            }
        }
        let at = if own_lines { layout::line_end(text, last.range.end) } else { last.range.end };
        self.splice(file, TextRange::new(at, at), added);
    }

    /// Puts elements at the end of a list.
    pub(super) fn append_elements(&mut self, file: FileId, list: &Expr, items: &[Expr], additions: Vec<String>) {
        if additions.is_empty() {
            return;
        }
        let text = self.text(file);
        let Some(last) = items.last() else {
            self.splice(file, list.range, format!("[{}]", additions.join(", ")));
            return;
        };
        let line = &text[layout::line_start(text, last.range.start) as usize..last.range.start as usize];
        if !line.trim().is_empty() || !text[list.range.as_usize()].contains('\n') {
            self.splice(file, TextRange::new(last.range.end, last.range.end), format!(", {}", additions.join(", ")));
            return;
        }
        let indent = layout::indentation(text, last.range.start).to_owned();
        let has_comma = text[last.range.end as usize..].trim_start_matches([' ', '\t']).starts_with(',');
        if !has_comma {
            self.splice(file, TextRange::new(last.range.end, last.range.end), ",");
        }
        let mut added = String::new();
        for (index, value) in additions.iter().enumerate() {
            let comma = if has_comma || index + 1 < additions.len() { "," } else { "" };
            added.push_str(&format!("\n{indent}{value}{comma}"));
        }
        let end = layout::line_end(text, last.range.end);
        self.splice(file, TextRange::new(end, end), added);
    }

    /// Takes elements out of a list.
    pub(super) fn remove_elements(&mut self, file: FileId, list: &Expr, items: &[Expr], removed: &[usize]) {
        let text = self.text(file);
        let kept: Vec<usize> = (0..items.len()).filter(|index| !removed.contains(index)).collect();
        if kept.is_empty() {
            self.splice(file, list.range, "[]");
            return;
        }
        let on_own_line = |index: usize| {
            let start = items[index].range.start;
            text[layout::line_start(text, start) as usize..start as usize].trim().is_empty()
        };
        if (0..items.len()).all(on_own_line) {
            for &index in removed {
                self.splice(file, layout::whole_lines(text, items[index].range, false), "");
            }
            return;
        }
        let first = items.first().map_or(list.range, |item| item.range);
        let last = items.last().map_or(list.range, |item| item.range);
        let texts: Vec<&str> = kept.iter().map(|&index| &text[items[index].range.as_usize()]).collect();
        self.splice(file, first.cover(last), texts.join(", "));
    }
}

pub(super) fn item_range(item: &Item) -> TextRange {
    match item {
        Item::Attribute(attribute) => attribute.range,
        Item::Block(block) => block.range,
    }
}

/// Behind which attribute new ones go.
fn attribute_place(text: &str, block: &Block) -> Option<u32> {
    let first_block = block.body.blocks().map(|block| block.range.start).next().unwrap_or(u32::MAX);
    let plain = block.body.attributes().filter(|attribute| attribute.range.start < first_block);
    let is_single = |range: TextRange| !text[range.as_usize()].contains('\n');
    let single: Vec<_> = plain.filter(|attribute| is_single(attribute.range)).collect();
    let own = single.iter().rev().find(|attribute| !META.contains(&&*attribute.name.text));
    own.or_else(|| single.iter().rev().find(|attribute| &*attribute.name.text != "depends_on")).map(|attribute| attribute.range.end)
}
