//! Putting something into a document, changing it there, and taking it out.

use keyblind_rule_language::Literal;
use keyblind_syntax::yaml::{Entry, Node, NodeKind, Style};
use keyblind_syntax::{FileId, TextRange};

use super::place::{Way, key_of};
use super::write::{Manner, Written, column, flow, flow_key, line_end, line_start, lines_at, reference, scalar_like};
use super::{Drafting, is_empty};
use crate::hindrance::Hindrance;

/// Keys whose values are the long part of a mapping: what is short stands before them.
const LONG_KEYS: &[&str] = &["jobs", "steps", "containers", "initContainers", "Properties", "Resources"];

/// Lists and mappings that may be left out where nothing is in them any more.
pub(super) const OPTIONAL: &[&str] = &[
    "SecurityGroupIngress",
    "SecurityGroupEgress",
    "add",
    "capabilities",
    "volumes",
    "volumeMounts",
    "securityContext",
    "seLinuxOptions",
    "annotations",
    "allowedCapabilities",
    "defaultAddCapabilities",
    "env",
    "ports",
    "with",
    "Environment",
    "Variables",
];

/// A key (or number) that a collection gets, and its value.
pub(super) struct Addition {
    pub(super) key: String,
    pub(super) value: Literal,
}

impl Drafting<'_> {
    /// Puts another value in the place of a node.
    pub(super) fn overwrite(&mut self, file: FileId, way: &Way<'_>, literal: &Literal, manner: Manner) -> Result<(), Hindrance> {
        let node = way.node();
        let text = self.text(file);
        self.state_node(file, way.document, &way.names());
        let start = node.tag.as_ref().map_or(node.place().start, |tag| tag.range.start.min(node.place().start));
        let range = TextRange::new(start, node.place().end);
        let is_collection = matches!(literal, Literal::List(items) if !items.is_empty())
            || matches!(literal, Literal::Map(entries) if !entries.is_empty()) && (manner.json || reference(literal).is_none());
        let entry = way.entry();
        if !is_collection {
            if matches!(node.style, Style::Block | Style::Literal | Style::Folded) && node.alias.is_none() {
                // A block begins on a line of its own: its key takes the value.
                let entry = entry.ok_or(Hindrance::NeedsDecision)?;
                let range = TextRange::new(entry.key.range.end, content_end(text, range));
                self.splice(file, range, format!(": {}", scalar_like(literal, Style::Plain, manner)));
                return Ok(());
            }
            let style = if node.tag.is_some() || node.alias.is_some() { Style::Plain } else { node.style };
            let scalar = scalar_like(literal, style, manner);
            match entry.filter(|_| range.start >= range.end) {
                Some(entry) => {
                    let at = behind_colon(text, entry).ok_or(Hindrance::NeedsDecision)?;
                    self.splice(file, TextRange::new(at, at), format!(" {scalar}"));
                }
                None => self.splice(file, range, scalar),
            }
            return Ok(());
        }
        let is_within_brackets = way.steps.iter().rev().skip(1).any(|(_, around)| around.style == Style::Flow);
        if manner.json || is_within_brackets || node.style == Style::Flow && !is_empty(&node.kind) {
            let indent = manner.json.then(|| line_indent(text, range.start));
            self.splice(file, range, flow(literal, manner, indent));
            return Ok(());
        }
        let Some(entry) = entry else {
            // An element of a list: behind its dash.
            let Written::Nested(lines) = Written::block(literal, manner) else { return Err(Hindrance::NeedsDecision) };
            let indent = column(text, range.start);
            self.splice(file, TextRange::new(range.start, content_end(text, range)), lines_at(&lines, indent).trim_start().to_owned());
            return Ok(());
        };
        let lines = lines_at(&nested(literal, manner), column(text, entry.key.range.start));
        let colon = behind_colon(text, entry).ok_or(Hindrance::NeedsDecision)?;
        if node.style == Style::Block && node.alias.is_none() {
            self.splice(file, TextRange::new(colon, content_end(text, range)), format!("\n{lines}"));
            return Ok(());
        }
        // What stands on the key's line goes, but for a comment.
        let end = if range.start >= range.end { colon } else { range.end };
        self.splice(file, TextRange::new(colon, end), String::new());
        let at = line_end(text, end);
        self.splice(file, TextRange::new(at, at), format!("\n{lines}"));
        Ok(())
    }

    /// Adds to a mapping or list what isn't there.
    pub(super) fn insert(&mut self, file: FileId, way: &Way<'_>, additions: Vec<Addition>) -> Result<(), Hindrance> {
        let (text, (_, manner)) = (self.text(file), self.stream(file)?);
        let node = way.node();
        if node.tag.is_some() || node.alias.is_some() {
            return Err(Hindrance::NeedsDecision);
        }
        for addition in &additions {
            let mut names = way.names();
            names.push(addition.key.clone());
            self.state_node(file, way.document, &names);
        }
        match &node.kind {
            // A key without a value takes all of it.
            kind if is_empty(kind) => {
                let numbered = additions.iter().all(|addition| addition.key.parse::<usize>().is_ok());
                let literal = match numbered {
                    true => Literal::List(additions.into_iter().map(|addition| addition.value).collect()),
                    false => Literal::Map(additions.into_iter().map(|addition| (addition.key.into(), addition.value)).collect()),
                };
                self.overwrite(file, way, &literal, manner)
            }
            NodeKind::Mapping(entries) => {
                // What is empty in there is filled rather than said twice.
                let mut rest = Vec::new();
                for addition in additions {
                    match entries.iter().find(|entry| key_of(entry) == addition.key) {
                        Some(_) => {
                            let inner = way.down(&addition.key).ok_or(Hindrance::NeedsDecision)?;
                            self.overwrite(file, &inner, &addition.value, manner)?;
                        }
                        None => rest.push(addition),
                    }
                }
                match node.style {
                    _ if rest.is_empty() => {}
                    Style::Flow => self.add_in_flow(file, node, entries.last().map(|entry| entry.range()), &rest, manner),
                    _ => {
                        let indent = column(text, node.range.start);
                        let lines: Vec<_> =
                            rest.iter().flat_map(|addition| Written::entry(&addition.key, &addition.value, manner)).collect();
                        self.between(file, entries, &lines_at(&lines, indent), indent);
                    }
                }
                Ok(())
            }
            NodeKind::Sequence(items) => {
                let last = items.last().map(|item| item.place());
                if node.style == Style::Flow {
                    self.add_in_flow(file, node, last, &additions, manner);
                    return Ok(());
                }
                let indent = column(text, node.range.start);
                let lines: Vec<_> = additions.iter().flat_map(|addition| Written::block(&addition.value, manner).into_item()).collect();
                let at = line_end(text, content_end(text, last.unwrap_or(node.range)));
                self.splice(file, TextRange::new(at, at), format!("\n{}", lines_at(&lines, indent)));
                Ok(())
            }
            NodeKind::Null | NodeKind::Bool(_) | NodeKind::Number(_) | NodeKind::String(_) => Err(Hindrance::NeedsDecision),
        }
    }

    /// Lines of a block mapping: before what is long, or else behind the last entry.
    fn between(&mut self, file: FileId, entries: &[Entry], lines: &str, indent: usize) {
        let text = self.text(file);
        let long = entries.iter().position(|entry| LONG_KEYS.contains(&&*key_of(entry)));
        let before = match long {
            Some(0) => {
                let at = entries[0].key.range.start;
                self.splice(file, TextRange::new(at, at), format!("{}\n{}", lines.trim_start(), " ".repeat(indent)));
                return;
            }
            Some(long) => &entries[long - 1],
            None => &entries[entries.len() - 1],
        };
        let at = line_end(text, content_end(text, before.range()));
        // A script that the file ends with would get a line end that it didn't have.
        if at as usize == text.len() && ends_with_script(&before.value) {
            let at = before.key.range.start;
            self.splice(file, TextRange::new(at, at), format!("{}\n{}", lines.trim_start(), " ".repeat(indent)));
            return;
        }
        // What is set apart by an empty line at the left margin stays set apart.
        let apart = indent == 0 && long.is_some() && text[at as usize..].trim_start_matches('\r').starts_with("\n\n");
        self.splice(file, TextRange::new(at, at), format!("{}\n{lines}", if apart { "\n" } else { "" }));
    }

    /// Behind the last part of something in brackets.
    fn add_in_flow(&mut self, file: FileId, node: &Node, last: Option<TextRange>, additions: &[Addition], manner: Manner) {
        let text = self.text(file);
        let last = last.unwrap_or(node.range);
        let begins_line = text[line_start(text, last.start) as usize..last.start as usize].trim().is_empty();
        let indent = begins_line.then(|| column(text, last.start));
        let mut added = String::new();
        for addition in additions {
            added.push(',');
            match indent {
                Some(indent) => added.push_str(&format!("\n{}", " ".repeat(indent))),
                None => added.push(' '),
            }
            if node.as_mapping().is_some() {
                added.push_str(&flow_key(&addition.key, manner));
                added.push_str(": ");
            }
            added.push_str(&flow(&addition.value, manner, indent.filter(|_| manner.json)));
        }
        self.splice(file, TextRange::new(last.end, last.end), added);
    }

    /// Takes a node out, with its key or dash and all that would be empty without it.
    pub(super) fn take_out(&mut self, file: FileId, way: &Way<'_>) -> Result<(), Hindrance> {
        let text = self.text(file);
        let Some(parent) = way.parent() else { return Err(Hindrance::NeedsDecision) };
        let parts = parts(text, parent);
        let node = way.node();
        let index = match &parent.kind {
            NodeKind::Mapping(entries) => entries.iter().position(|entry| std::ptr::eq(&entry.value, node)),
            NodeKind::Sequence(items) => items.iter().position(|item| std::ptr::eq(item, node)),
            _ => None,
        };
        let index = index.ok_or(Hindrance::NeedsDecision)?;
        if parts.len() == 1 {
            let up = way.up().ok_or(Hindrance::NeedsDecision)?;
            return match up.steps.last() {
                // Without any permission isn't the same as without a word about permissions.
                Some((name, _)) if name == "permissions" => {
                    let (_, manner) = self.stream(file)?;
                    self.overwrite(file, &up, &Literal::Map(Vec::new()), manner)
                }
                Some((name, _)) if OPTIONAL.contains(&name.as_str()) => self.take_out(file, &up),
                _ => Err(Hindrance::NeedsDecision),
            };
        }
        self.state_node(file, way.document, &way.names());
        let own = parts[index];
        let range = if parent.style == Style::Flow {
            match parts.get(index + 1) {
                Some(next) => TextRange::new(own.start, next.start),
                None => TextRange::new(parts[index - 1].end, own.end),
            }
        } else {
            let end = line_end(text, content_end(text, own));
            let line = line_start(text, own.start);
            if text[line as usize..own.start as usize].trim().is_empty() {
                // Its whole lines.
                let end = text[end as usize..].find('\n').map_or(end, |next| end + next as u32 + 1);
                TextRange::new(line, end)
            } else {
                // The first part of an element stands on its dash's line.
                TextRange::new(own.start, parts.get(index + 1).ok_or(Hindrance::NeedsDecision)?.start)
            }
        };
        self.splice(file, range, String::new());
        Ok(())
    }
}

/// The ranges of the parts of a collection, with their dashes.
fn parts(text: &str, node: &Node) -> Vec<TextRange> {
    match &node.kind {
        NodeKind::Mapping(entries) => entries.iter().map(Entry::range).collect(),
        NodeKind::Sequence(items) => items
            .iter()
            .map(|item| {
                let place = item.place();
                let start = item.tag.as_ref().map_or(place.start, |tag| tag.range.start.min(place.start));
                let dash = if node.style == Style::Flow { None } else { text[..start as usize].rfind('-') };
                TextRange::new(dash.map_or(start, |dash| dash as u32), place.end)
            })
            .collect(),
        _ => Vec::new(),
    }
}

/// The offset behind the colon of an entry.
fn behind_colon(text: &str, entry: &Entry) -> Option<u32> {
    let end = entry.key.place().end;
    text[end as usize..].find(':').map(|colon| end + colon as u32 + 1)
}

/// The lines that a key has under it.
fn nested(literal: &Literal, manner: Manner) -> Vec<(usize, String)> {
    Written::entry("", literal, manner).into_iter().skip(1).collect()
}

/// Whether the last thing in a node is a text in lines of its own.
fn ends_with_script(node: &Node) -> bool {
    match &node.kind {
        NodeKind::Mapping(entries) => entries.last().is_some_and(|entry| ends_with_script(&entry.value)),
        NodeKind::Sequence(items) => items.last().is_some_and(ends_with_script),
        _ => matches!(node.style, Style::Literal | Style::Folded),
    }
}

/// The end of what is written in a range: a block may reach over empty lines.
fn content_end(text: &str, range: TextRange) -> u32 {
    let within = &text[range.start as usize..range.end as usize];
    range.start + within.trim_end().len() as u32
}

/// How far the line of an offset is indented.
fn line_indent(text: &str, at: u32) -> usize {
    text[line_start(text, at) as usize..].chars().take_while(|character| *character == ' ').count()
}
