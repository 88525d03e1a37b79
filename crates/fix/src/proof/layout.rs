//! Checks on the text alone.

use std::collections::{BTreeMap, BTreeSet};

use keyblind_syntax::hcl::ast::{Block, Expr, ExprKind, File, Item};
use keyblind_syntax::{TextRange, hcl};

use super::{Check, Disproof, Stated};
use crate::terraform::{children, is_formatted, unformatted_lines};

/// Checks one file.
pub(super) fn check(path: &str, before: &str, after: &str, stated: &[Stated]) -> Result<(), Disproof> {
    let (old, new) = (hcl::parse(before), hcl::parse(after));
    if new.errors.len() > old.errors.len() {
        let message = new.errors.first().map(|error| error.message.clone()).unwrap_or_default();
        return Err(Disproof::new(Check::Parses, format!("`{path}`: {message}")));
    }
    check_declarations(path, (before, &old), (after, &new), stated)?;
    check_comments(path, (before, &old), (after, &new))?;
    check_format(path, before, after)
}

/// The declarations of a file by what they declare: the kind and labels of a block, or the name of an attribute at the top.
pub(super) fn declarations(file: &File) -> BTreeMap<(String, usize), &Item> {
    let mut found: BTreeMap<(String, usize), &Item> = BTreeMap::new();
    for item in &file.body.items {
        let name = match item {
            Item::Attribute(attribute) => format!("={}", attribute.name.text),
            Item::Block(block) => block.labels.iter().fold(block.kind.text.to_string(), |name, label| format!("{name}.{}", label.text)),
        };
        // Several may have one name: `locals`, providers with aliases.
        let number = (0..).find(|number| !found.contains_key(&(name.clone(), *number))).unwrap_or_default();
        found.insert((name, number), item);
    }
    found
}

pub(super) fn range_of(item: &Item) -> TextRange {
    match item {
        Item::Attribute(attribute) => attribute.range,
        Item::Block(block) => block.range,
    }
}

pub(super) fn text_of<'t>(text: &'t str, item: &Item) -> &'t str {
    &text[range_of(item).as_usize()]
}

/// The name of an item. For a `dynamic` block that is the name of what it makes.
pub(super) fn name_of(item: &Item) -> String {
    match item {
        Item::Attribute(attribute) => attribute.name.text.to_string(),
        Item::Block(inner) if &*inner.kind.text == "dynamic" => {
            inner.labels.first().map_or_else(|| "dynamic".to_owned(), |label| label.text.to_string())
        }
        Item::Block(inner) => inner.kind.text.to_string(),
    }
}

/// Without the white space between words, whose changes are the formatter's business; in quotes and here-documents it is a part
/// of the value.
pub(super) fn squeezed(text: &str) -> String {
    let mut squeezed = String::with_capacity(text.len());
    let mut until: Option<&str> = None;
    for line in text.lines() {
        if let Some(word) = until {
            squeezed.push_str(line);
            squeezed.push('\n');
            until = Some(word).filter(|word| line.trim() != *word);
            continue;
        }
        let (mut is_quoted, mut is_escaped) = (false, false);
        for character in line.chars() {
            if is_quoted || !character.is_whitespace() {
                squeezed.push(character);
            }
            is_quoted ^= character == '"' && !is_escaped;
            is_escaped = character == '\\' && !is_escaped;
        }
        let head = line.rsplit_once("<<").map(|(_, word)| word.trim_start_matches('-').trim());
        until =
            head.filter(|word| !word.is_empty() && word.chars().all(|character| character.is_alphanumeric() || "_-".contains(character)));
    }
    squeezed
}

fn check_declarations(path: &str, (before, old): (&str, &File), (after, new): (&str, &File), stated: &[Stated]) -> Result<(), Disproof> {
    let (old, new) = (declarations(old), declarations(new));
    let wrong = |name: &str, what: &str| Err(Disproof::new(Check::DeclarationsKept, format!("`{path}`: `{name}` {what}")));
    for ((name, number), item) in &old {
        let Some(other) = new.get(&(name.clone(), *number)) else { return wrong(name, "is gone") };
        if squeezed(text_of(before, item)) == squeezed(text_of(after, other)) {
            continue;
        }
        match (item, other) {
            // A file of values: what may be different decides the evaluation.
            (Item::Attribute(_), Item::Attribute(_)) if path.ends_with(".tfvars") => {}
            (Item::Block(a), Item::Block(b)) => check_block(path, name, (before, a), (after, b), stated)?,
            _ => return wrong(name, "is different"),
        }
    }
    for (name, number) in new.keys().filter(|key| !old.contains_key(*key)) {
        let is_stated = *number == 0
            && stated.iter().any(|stated| {
                let declared = match &*stated.type_key {
                    "variable" => format!("variable.{}", stated.name),
                    type_key if type_key.starts_with("data.") => format!("{type_key}.{}", stated.name),
                    type_key => format!("resource.{type_key}.{}", stated.name),
                };
                stated.path.is_empty() && stated.file == path && *name == declared
            });
        if !is_stated {
            return wrong(name, "is new");
        }
    }
    Ok(())
}

/// Within a declaration that a fix changes, only what it says may be different.
fn check_block(
    path: &str,
    name: &str,
    (before, old): (&str, &Block),
    (after, new): (&str, &Block),
    stated: &[Stated],
) -> Result<(), Disproof> {
    let changed = changed_items((before, old), (after, new));
    let labels: Vec<&str> = old.labels.iter().map(|label| &*label.text).collect();
    let allowed: Box<dyn Fn(&str) -> bool> = match (&*old.kind.text, &labels[..]) {
        ("resource" | "data", [type_name, own]) => {
            let type_key = if &*old.kind.text == "data" { format!("data.{type_name}") } else { (*type_name).to_owned() };
            let own = (*own).to_owned();
            Box::new(move |item: &str| {
                stated.iter().any(|stated| stated.file == path && stated.type_key == type_key && stated.name == own && stated.path == item)
            })
        }
        ("provider", [own]) => {
            let type_key = format!("provider.{own}");
            Box::new(move |item: &str| {
                stated.iter().any(|stated| stated.file == path && stated.type_key == type_key && stated.path == item)
            })
        }
        ("module", [own]) => {
            let own = (*own).to_owned();
            Box::new(move |item: &str| {
                !matches!(item, "source" | "version" | "providers")
                    && stated
                        .iter()
                        .any(|stated| stated.file == path && stated.type_key == "module" && stated.name == own && stated.path == item)
            })
        }
        // Of these no resource may change that the fix doesn't say, which the evaluation shows.
        ("variable", _) => Box::new(|item: &str| item == "default"),
        ("locals", _) => Box::new(|_: &str| true),
        _ => Box::new(|_: &str| false),
    };
    if &*old.kind.text == "variable" && new.body.attribute("default").is_some_and(|default| !is_constant(&default.value)) {
        return Err(Disproof::new(
            Check::Parses,
            format!("`{path}`: the default of `{name}` refers to something, which Terraform refuses"),
        ));
    }
    match changed.iter().find(|item| !allowed(item)) {
        Some(item) => Err(Disproof::new(Check::DeclarationsKept, format!("`{path}`: `{item}` of `{name}` is different"))),
        None => Ok(()),
    }
}

/// Whether an expression refers to nothing and calls nothing.
fn is_constant(expr: &Expr) -> bool {
    !matches!(expr.kind, ExprKind::Variable(_) | ExprKind::Call { .. } | ExprKind::Error)
        && match &expr.kind {
            // A bare word as a key is no reference.
            ExprKind::Object(entries) => entries.iter().all(|entry| is_constant(&entry.value)),
            _ => children(expr).into_iter().all(is_constant),
        }
}

/// The names of the items of a block that are different.
pub(super) fn changed_items((before, old): (&str, &Block), (after, new): (&str, &Block)) -> BTreeSet<String> {
    let grouped = |text: &str, block: &Block| {
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for item in &block.body.items {
            found.entry(name_of(item)).or_default().push(squeezed(text_of(text, item)));
        }
        found
    };
    let (old, new) = (grouped(before, old), grouped(after, new));
    old.keys().chain(new.keys()).filter(|name| old.get(*name) != new.get(*name)).cloned().collect()
}

/// The comments of a file that stand outside of some ranges, with how often each stands there.
fn comments(text: &str, file: &File, without: &[TextRange]) -> BTreeMap<String, usize> {
    let mut found = BTreeMap::new();
    for comment in file.comments.iter().filter(|comment| !without.iter().any(|range| range.contains(comment.range))) {
        *found.entry(text[comment.range.as_usize()].trim_end().to_owned()).or_default() += 1;
    }
    found
}

fn check_comments(path: &str, (before, old): (&str, &File), (after, new): (&str, &File)) -> Result<(), Disproof> {
    let all = comments(before, old, &[]);
    // What stands in an item that is changed, or behind it on its line, may go with it.
    let kept = comments(before, old, &changed_ranges((before, old), (after, new)));
    let now = comments(after, new, &[]);
    for (comment, count) in &now {
        if all.get(comment).is_none_or(|known| known < count) {
            return Err(Disproof::new(Check::CommentsKept, format!("`{path}`: the comment `{comment}` is new")));
        }
    }
    for (comment, count) in &kept {
        if now.get(comment).is_none_or(|known| known < count) {
            return Err(Disproof::new(Check::CommentsKept, format!("`{path}`: the comment `{comment}` is gone")));
        }
    }
    Ok(())
}

/// Where the items stand that are different, each to the end of its line.
fn changed_ranges((before, old): (&str, &File), (after, new): (&str, &File)) -> Vec<TextRange> {
    let (old, new) = (declarations(old), declarations(new));
    let mut found = Vec::new();
    for (key, item) in &old {
        let (Item::Block(block), Some(Item::Block(other))) = (item, new.get(key)) else { continue };
        let changed = changed_items((before, block), (after, other));
        for item in block.body.items.iter().filter(|item| changed.contains(&name_of(item))) {
            let range = range_of(item);
            let end = before[range.end as usize..].find('\n').map_or(before.len(), |end| range.end as usize + end);
            found.push(TextRange::new(range.start, end as u32));
        }
    }
    found
}

fn check_format(path: &str, before: &str, after: &str) -> Result<(), Disproof> {
    if !is_formatted(before) {
        return Ok(());
    }
    match unformatted_lines(after).first() {
        Some(line) => Err(Disproof::new(Check::Formatted, format!("`{path}` line {} isn't in its column", line + 1))),
        None => Ok(()),
    }
}
