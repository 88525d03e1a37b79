//! Resources that stand beside the judged one in a good example of a template: added, and named and referred to as here.

use keyblind_dialects::evaluate_text;
use keyblind_resource::{Dialect, Resource};
use keyblind_rules::{RuleId, RuleTable, dialect_of};
use keyblind_syntax::TextRange;
use keyblind_syntax::yaml::{self, Node, NodeKind, Stream};

use super::place::{self, Way, key_of};
use super::write::{Manner, column, line_end};
use super::{Drafting, holder_of_attributes};
use crate::edit::spliced;
use crate::hindrance::Hindrance;
use crate::instantiate::{Input, is_made_up};
use crate::proof::Stated;

/// A good example, and the key of the resource in it that is like the judged one.
struct Example {
    text: String,
    stream: Stream,
    main: TextRange,
}

/// The good examples of a rule that have more than one resource.
fn examples(table: &RuleTable, rule: RuleId, type_key: &str) -> Vec<Example> {
    let of_dialect = table.docs(rule).examples.iter().filter(|set| dialect_of(set.language) == Dialect::CloudFormation);
    let read = |text: &str| {
        let stream = yaml::parse(text);
        let resources = evaluate_text(Dialect::CloudFormation, text).into_iter().flat_map(|evaluation| evaluation.resources);
        let main = resources.into_iter().find(|resource| *resource.type_key == *type_key)?.header.range;
        let count = stream.documents.first()?.get("Resources")?.as_mapping()?.len();
        (count > 1).then(|| Example { text: text.to_owned(), stream, main })
    };
    of_dialect.flat_map(|set| &set.good).filter_map(|text| read(text)).collect()
}

/// Adds what stands beside such a resource in the first good example that shows more than the resource.
pub(super) fn add(drafting: &mut Drafting<'_>, table: &RuleTable, rule: RuleId, judged: &Resource) -> Result<(), Hindrance> {
    let example = examples(table, rule, &judged.type_key).into_iter().next().ok_or(Hindrance::NeedsRedesign)?;
    let file = judged.block.file;
    let (stream, manner) = drafting.stream(file)?;
    if manner.json {
        return Err(Hindrance::UneditedSyntax);
    }
    let own = holder_of_attributes(judged).find(&stream).ok_or(Hindrance::ValueElsewhere)?;
    let resources = own.up().filter(|way| way.names() == ["Resources"]).ok_or(Hindrance::ValueElsewhere)?;
    let shown = example.stream.documents.first().and_then(|root| root.get("Resources")).and_then(Node::as_mapping).unwrap_or_default();
    let main = shown.iter().find(|entry| entry.key.range == example.main).map(key_of).ok_or(Hindrance::NeedsRedesign)?;
    let mut parameters: Vec<(String, String)> = Vec::new();
    let mut lines = String::new();
    for entry in shown.iter().filter(|entry| entry.key.range != example.main) {
        let name = key_of(entry);
        if resources.down(&name).is_some() {
            return Err(Hindrance::NeedsDecision);
        }
        let mut splices = Vec::new();
        let mut writing =
            Writing { text: &example.text, from: &main, to: &judged.name, splices: &mut splices, parameters: &mut parameters };
        writing.node("", &entry.value)?;
        let offset = entry.key.range.start;
        let shifted = splices.into_iter().map(|(range, text)| (TextRange::new(range.start - offset, range.end - offset), text)).collect();
        let text = &example.text[offset as usize..entry.range().end as usize];
        let written = spliced(text.trim_end(), shifted).ok_or(Hindrance::NeedsRedesign)?;
        lines.push_str(&reindented(&written, column(&example.text, offset), column(drafting.text(file), resources.node().range.start)));
        let type_key = entry.value.get("Type").and_then(Node::as_str).unwrap_or_default().to_owned();
        let path = drafting.trial.sources.file(file).path.to_string();
        drafting.stated.push(Stated { file: path, type_key, name: name.clone(), path: String::new() });
        let mut names = resources.names();
        names.push(name);
        drafting.state_node(file, resources.document, &names);
    }
    let text = drafting.text(file);
    let end = line_end(text, resources.node().range.start + text[resources.node().range.as_usize()].trim_end().len() as u32);
    drafting.splice(file, TextRange::new(end, end), lines);
    declare(drafting, judged, &stream, manner, parameters)
}

/// Declares parameters without default for what only a person knows.
fn declare(
    drafting: &mut Drafting<'_>,
    judged: &Resource,
    stream: &Stream,
    manner: Manner,
    parameters: Vec<(String, String)>,
) -> Result<(), Hindrance> {
    if parameters.is_empty() {
        return Ok(());
    }
    if !drafting.settings.ask {
        return Err(Hindrance::NeedsValue);
    }
    let file = judged.block.file;
    let path = drafting.trial.sources.file(file).path.to_string();
    let root = Way { document: 0, steps: vec![(String::new(), stream.documents.first().ok_or(Hindrance::ValueElsewhere)?)] };
    let there = root.down("Parameters");
    let taken = |name: &str| there.as_ref().is_some_and(|way| way.down(name).is_some());
    let step = " ".repeat(manner.step);
    let mut lines = String::new();
    for (name, assumed) in parameters {
        if taken(&name) || root.down("Resources").is_some_and(|way| way.down(&name).is_some()) {
            return Err(Hindrance::NeedsDecision);
        }
        lines.push_str(&format!("\n{step}{name}:\n{step}{step}Type: String"));
        drafting.stated.push(Stated { file: path.clone(), type_key: "parameter".to_owned(), name: name.clone(), path: String::new() });
        drafting.state_node(file, 0, &["Parameters".to_owned(), name.clone()]);
        drafting.inputs.push(Input {
            variable: name.clone(),
            description: format!("The parameter `{name}`"),
            attribute: name,
            kind: "String".to_owned(),
            assumed,
            module: Some(path.clone()),
        });
    }
    let text = drafting.text(file);
    match there {
        Some(way) if way.node().as_mapping().is_some_and(|entries| !entries.is_empty()) => {
            let range = way.node().range;
            if column(text, range.start) != manner.step {
                return Err(Hindrance::NeedsDecision);
            }
            let end = line_end(text, range.start + text[range.as_usize()].trim_end().len() as u32);
            drafting.splice(file, TextRange::new(end, end), lines);
        }
        Some(_) => return Err(Hindrance::NeedsDecision),
        None => {
            let resources = root.down("Resources").ok_or(Hindrance::ValueElsewhere)?;
            let at = resources.entry().ok_or(Hindrance::ValueElsewhere)?.key.range.start;
            drafting.state_node(file, 0, &["Parameters".to_owned()]);
            drafting.splice(file, TextRange::new(at, at), format!("Parameters:{lines}\n\n"));
        }
    }
    Ok(())
}

/// A resource of an example on its way into another template.
struct Writing<'w> {
    text: &'w str,
    /// What the example calls the judged resource.
    from: &'w str,
    /// What it is called here.
    to: &'w str,
    splices: &'w mut Vec<(TextRange, String)>,
    parameters: &'w mut Vec<(String, String)>,
}

impl Writing<'_> {
    fn node(&mut self, name: &str, node: &Node) -> Result<(), Hindrance> {
        if let Some(tag) = &node.tag {
            return self.reference(&tag.name, node);
        }
        match &node.kind {
            NodeKind::String(text) if is_made_up(text) => {
                let parameter: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
                if parameter.is_empty() {
                    return Err(Hindrance::NeedsRedesign);
                }
                if !self.parameters.iter().any(|(known, _)| *known == parameter) {
                    self.parameters.push((parameter.clone(), text.to_string()));
                }
                self.splices.push((node.range, format!("!Ref {parameter}")));
                Ok(())
            }
            _ => place::children(node).into_iter().try_for_each(|(key, inner)| {
                let is_number = key.parse::<usize>().is_ok();
                self.node(if is_number { name } else { &key }, inner)
            }),
        }
    }

    /// What refers to the example's resource refers to the judged one.
    fn reference(&mut self, tag: &str, node: &Node) -> Result<(), Hindrance> {
        let text = &self.text[node.range.as_usize()];
        match tag {
            "!Ref" | "!GetAtt" => {
                let target = text.split('.').next().unwrap_or(text);
                if target == self.from {
                    let end = node.range.start + target.len() as u32;
                    self.splices.push((TextRange::new(node.range.start, end), self.to.to_owned()));
                }
                Ok(())
            }
            // What is put together could name the resource in more ways than are followed.
            _ if text.contains(self.from) => Err(Hindrance::NeedsRedesign),
            _ => Ok(()),
        }
    }
}

/// Lines that stood at one column, at another; each begins with the end of the line before it.
fn reindented(text: &str, from: usize, to: usize) -> String {
    let indent = " ".repeat(to);
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let line = if index == 0 { line } else { line.get(from..).unwrap_or_default() };
            if line.is_empty() { "\n".to_owned() } else { format!("\n{indent}{line}") }
        })
        .collect()
}
