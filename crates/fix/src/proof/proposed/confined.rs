//! Where a proposed text may be different, and in what.

use std::collections::BTreeSet;

use keyblind_dialects::evaluate_text;
use keyblind_resource::{Dialect, Resource, Value};
use keyblind_rules::dialect_of;
use keyblind_syntax::hcl::ast::{Block, Body, Item};
use keyblind_syntax::yaml::{self, Node, NodeKind};
use keyblind_syntax::{TextRange, dockerfile as syntax, hcl};

use super::{Proposed, is_along, is_of, names};
use crate::proof::dockerfile::{Part, Plan};
use crate::proof::layout::{changed_items, declarations, name_of, range_of, squeezed, text_of};
use crate::proof::verdicts::{MAX_DEPTH, same};
use crate::proof::{Check, Disproof, INSTRUCTION, document};

/// What runs, and who may say so: never a model.
const RUNS: &[&str] = &[
    "run",
    "command",
    "commands",
    "args",
    "entrypoint",
    "user_data",
    "user_data_base64",
    "userdata",
    "custom_data",
    "startup_script",
    "metadata_startup_script",
    "script",
    "inline",
    "zipfile",
    "source_code",
    "buildspec",
    "provisioner",
    "connection",
    "provider",
    "providers",
    "depends_on",
    "count",
    "for_each",
    "lifecycle",
    "shell",
    "skips",
];
/// What is fetched: its version may change, its name doesn't.
const FETCHED: &[&str] = &["uses", "image", "source", "imageuri", "image_uri"];
/// The most resources that come with a proposal.
const MOST_NEW: usize = 3;
/// Instructions that run, fetch or begin something.
const ACTING: &[&str] = &["RUN", "FROM", "ADD", "COPY", "CMD", "ENTRYPOINT", "SHELL", "ENV", "ARG", "VOLUME"];

fn wrong(proposed: &Proposed<'_>, what: impl std::fmt::Display) -> Disproof {
    Disproof::new(Check::Confined, format!("`{}`: {what}", proposed.path))
}

/// Only what the rule is about is different, and only where it is written.
pub(crate) fn check(proposed: &Proposed<'_>) -> Result<(), Disproof> {
    if proposed.before.dialect == Dialect::Dockerfile {
        return check_instructions(proposed);
    }
    let about = about(proposed);
    check_values(proposed, &about)?;
    if proposed.before.dialect == Dialect::Terraform { check_blocks(proposed) } else { check_nodes(proposed, &about) }
}

/// The paths that the rule is about: those that the verdict was based on, and those in which its good examples differ from the bad ones.
fn about(proposed: &Proposed<'_>) -> BTreeSet<Vec<String>> {
    let own = proposed.evidence.iter().filter(|evidence| evidence.resource.is_none_or(|id| id == proposed.resource));
    let mut about: BTreeSet<Vec<String>> = own.map(|evidence| names(&evidence.path)).filter(|names| !names.is_empty()).collect();
    let dialect = proposed.before.dialect;
    let type_key = &proposed.before.graph.resources[proposed.resource].type_key;
    for set in proposed.table.docs(proposed.rule).examples.iter().filter(|set| dialect_of(set.language) == dialect) {
        let of_type = |text: &str| -> Vec<Resource> {
            let all = evaluate_text(dialect, text).into_iter().flat_map(|evaluation| evaluation.resources);
            all.filter(|resource| resource.type_key == *type_key).collect()
        };
        let good: Vec<Resource> = set.good.iter().flat_map(|text| of_type(text)).collect();
        for bad in set.bad.iter().flat_map(|text| of_type(text)) {
            for good in &good {
                let mut found = Differences::default();
                found.values(&bad.body, &good.body, &mut Vec::new());
                about.extend(found.leaves.into_iter().map(|(path, ..)| path).filter(|path| !path.is_empty()));
            }
        }
    }
    about
}

/// What is different between two values: the paths of what isn't a mapping or a list as long as the other.
#[derive(Default)]
struct Differences {
    leaves: Vec<(Vec<String>, Value, Value)>,
}

impl Differences {
    fn values(&mut self, old: &Value, new: &Value, path: &mut Vec<String>) {
        if same(old, new, MAX_DEPTH) {
            return;
        }
        let empty = keyblind_resource::Mapping::default();
        let mapping = |value: &Value| if value.is_null() { None } else { value.as_mapping().cloned() };
        let (a, b) = (mapping(old), mapping(new));
        let is_mapping = (a.is_some() || old.is_null()) && (b.is_some() || new.is_null()) && (a.is_some() || b.is_some());
        if is_mapping && path.len() < MAX_DEPTH && a.as_ref().or(b.as_ref()).is_some_and(|mapping| !mapping.is_empty()) {
            let (a, b) = (a.unwrap_or_else(|| empty.clone()), b.unwrap_or_else(|| empty.clone()));
            let names: BTreeSet<&str> = a.iter().chain(b.iter()).map(|(name, _)| &**name).collect();
            let null = Value::null();
            for name in names {
                path.push(name.to_owned());
                self.values(a.get(name).unwrap_or(&null), b.get(name).unwrap_or(&null), path);
                path.pop();
            }
            return;
        }
        match (old.as_items(), new.as_items()) {
            (Some(a), Some(b)) if a.len() == b.len() && path.len() < MAX_DEPTH => {
                a.iter().zip(b).for_each(|(a, b)| self.values(a, b, path));
            }
            // A block that comes where there was none: what is in it counts.
            (None, Some([only])) if old.is_null() && only.as_mapping().is_some_and(|mapping| !mapping.is_empty()) => {
                self.values(&Value::null(), only, path);
            }
            _ => self.leaves.push((path.clone(), old.clone(), new.clone())),
        }
    }
}

/// Whatever evaluates otherwise is what the rule is about, runs nothing, and names what was named.
fn check_values(proposed: &Proposed<'_>, about: &BTreeSet<Vec<String>>) -> Result<(), Disproof> {
    let subject = &proposed.before.graph.resources[proposed.resource];
    for was in proposed.before.graph.resources.iter().filter(|was| is_of(subject, was)) {
        let Some(now) = proposed.after.graph.resources.iter().find(|now| now.address == was.address) else { continue };
        let mut found = Differences::default();
        found.values(&was.body, &now.body, &mut Vec::new());
        let is_subject = was.header == subject.header && was.type_key == subject.type_key;
        for (path, old, new) in &found.leaves {
            let shown = path.join(".");
            if path.iter().any(|name| RUNS.contains(&&*name.to_ascii_lowercase())) {
                return Err(wrong(proposed, format_args!("`{shown}` says what runs, and where")));
            }
            if path.last().is_some_and(|name| FETCHED.contains(&&*name.to_ascii_lowercase())) && fetched(old) != fetched(new) {
                return Err(wrong(proposed, format_args!("`{shown}` names something else")));
            }
            if is_subject && !is_along(path, about) {
                return Err(wrong(proposed, format_args!("`{shown}` of `{}` isn't what the rule is about", was.address)));
            }
        }
    }
    Ok(())
}

/// The name of what is fetched, without its version.
fn fetched(value: &Value) -> Option<String> {
    let text = value.as_str()?;
    let name = text.split('@').next().unwrap_or_default();
    Some(match name.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => name.to_owned(),
        _ => name.to_owned(),
    })
}

/// In Terraform: the resource's own block, blocks that the deciding value came through, and resources such as the rule's good examples have beside.
fn check_blocks(proposed: &Proposed<'_>) -> Result<(), Disproof> {
    let (before, after) = proposed.texts;
    let (old_file, new_file) = (hcl::parse(before), hcl::parse(after));
    let (old, new) = (declarations(&old_file), declarations(&new_file));
    let subject = &proposed.before.graph.resources[proposed.resource];
    let is_here = |site: &keyblind_syntax::Site| *proposed.before.sources.file(site.file).path == *proposed.path;
    let holds_site = |range: TextRange| proposed.sites.iter().any(|site| is_here(site) && range.contains(site.range));
    for (key, item) in &old {
        let Some(other) = new.get(key) else { continue };
        if squeezed(text_of(before, item)) == squeezed(text_of(after, other)) {
            continue;
        }
        let range = range_of(item);
        let is_own = is_here(&subject.header) && range.contains(subject.header.range);
        let carries = match item {
            Item::Attribute(_) => true,
            Item::Block(block) => matches!(&*block.kind.text, "variable" | "locals" | "module"),
        };
        if !(is_own || carries && holds_site(range)) {
            return Err(wrong(proposed, format_args!("`{}` isn't what the finding is about", name_of(item))));
        }
        if let (Item::Block(a), Item::Block(b)) = (item, other)
            && let Some(name) = changed_items((before, a), (after, b)).into_iter().find(|name| RUNS.contains(&name.as_str()))
        {
            return Err(wrong(proposed, format_args!("`{name}` is different")));
        }
    }
    let added: Vec<&Item> = new.iter().filter(|(key, _)| !old.contains_key(*key)).map(|(_, item)| *item).collect();
    if added.len() > MOST_NEW {
        return Err(wrong(proposed, format_args!("more than {MOST_NEW} declarations come")));
    }
    let beside = beside(proposed);
    let own = format!("{}.{}", subject.type_key, subject.name);
    for item in &added {
        let Item::Block(block) = item else { return Err(wrong(proposed, "an argument comes at the top")) };
        let labels: Vec<&str> = block.labels.iter().map(|label| &*label.text).collect();
        let is_known = &*block.kind.text == "resource" && labels.first().is_some_and(|type_name| beside.contains(*type_name));
        if !is_known {
            return Err(wrong(
                proposed,
                format_args!("`{}` isn't what the rule's examples have beside", labels.first().unwrap_or(&"a block")),
            ));
        }
        let text = text_of(after, item);
        let names_other = |other: &&Item| match other {
            Item::Block(other) if !std::ptr::eq(other, block) && other.labels.len() == 2 => {
                text.contains(&format!("{}.{}", other.labels[0].text, other.labels[1].text))
            }
            _ => false,
        };
        if !text.contains(&own) && !added.iter().any(names_other) {
            return Err(wrong(proposed, format_args!("`{}` has nothing to do with `{own}`", labels.join("."))));
        }
        if let Some(name) = running(block, 0) {
            return Err(wrong(proposed, format_args!("`{name}` comes")));
        }
    }
    Ok(())
}

/// The types of resources that the rule's good examples have.
fn beside(proposed: &Proposed<'_>) -> BTreeSet<String> {
    let sets = proposed.table.docs(proposed.rule).examples.iter().filter(|set| dialect_of(set.language) == Dialect::Terraform);
    let mut types = BTreeSet::new();
    for text in sets.flat_map(|set| &set.good) {
        for item in &hcl::parse(text).body.items {
            if let Item::Block(block) = item
                && &*block.kind.text == "resource"
            {
                types.extend(block.labels.first().map(|label| label.text.to_string()));
            }
        }
    }
    types
}

/// What of a block runs something, or says for whom it is made.
fn running(block: &Block, depth: usize) -> Option<String> {
    fn within(body: &Body, depth: usize) -> Option<String> {
        body.items.iter().find_map(|item| {
            let name = name_of(item);
            match item {
                _ if RUNS.contains(&name.as_str()) => Some(name),
                Item::Block(inner) => running(inner, depth + 1),
                Item::Attribute(_) => None,
            }
        })
    }
    if depth > MAX_DEPTH { Some("a block that is nested too deep".to_owned()) } else { within(&block.body, depth) }
}

/// In documents: nodes of the resource, or where the deciding value is written, by names that the rule's paths and good examples have.
fn check_nodes(proposed: &Proposed<'_>, about: &BTreeSet<Vec<String>>) -> Result<(), Disproof> {
    let (before, after) = proposed.texts;
    let (old, new) = (yaml::parse(before), yaml::parse(after));
    let differences = document::differences(before, after).ok_or_else(|| wrong(proposed, "its documents can't be compared"))?;
    let mut words: BTreeSet<String> = about.iter().flatten().cloned().collect();
    for set in proposed.table.docs(proposed.rule).examples.iter().filter(|set| dialect_of(set.language) == proposed.before.dialect) {
        for (good, bad) in set.good.iter().flat_map(|good| set.bad.iter().map(move |bad| (good, bad))) {
            let stream = yaml::parse(good);
            for (number, names) in document::differences(bad, good).unwrap_or_default() {
                words.extend(names.iter().cloned());
                if let Some(node) = stream.documents.get(number).and_then(|root| at(root, &names)) {
                    keys(node, &mut words, 0);
                }
            }
        }
    }
    let subject = &proposed.before.graph.resources[proposed.resource];
    let is_here = |site: &keyblind_syntax::Site| *proposed.before.sources.file(site.file).path == *proposed.path;
    let places: Vec<TextRange> =
        [subject.block, subject.header].iter().chain(proposed.sites).filter(|site| is_here(site)).map(|site| site.range).collect();
    for (number, path) in &differences {
        let shown = path.join(".");
        let (Some(old_root), Some(new_root)) = (old.documents.get(*number), new.documents.get(*number)) else {
            return Err(wrong(proposed, "another document comes"));
        };
        let there = at(old_root, path);
        let parent = path.split_last().and_then(|(_, above)| at(old_root, above));
        let holder = there.or(parent).map(Node::place);
        let is_within = holder.is_some_and(|holder| places.iter().any(|place| place.contains(holder)));
        if !is_within {
            return Err(wrong(proposed, format_args!("`{shown}` isn't what the finding is about")));
        }
        // A key that comes a second time takes the place of the first for some readers.
        let twice = path.split_last().and_then(|(name, above)| Some((name, at(new_root, above)?))).is_some_and(|(name, holder)| {
            match &holder.kind {
                NodeKind::Mapping(entries) => entries.iter().filter(|entry| entry.key.as_key() == Some(name)).count() > 1,
                _ => false,
            }
        });
        let is_template = proposed.before.dialect == Dialect::CloudFormation && path.first().is_some_and(|name| name == "Resources");
        if twice || is_template && path.get(2).is_some_and(|name| name != "Properties") {
            return Err(wrong(proposed, format_args!("`{shown}` isn't what the rule is about")));
        }
        let own: Vec<&String> = path.iter().filter(|name| !name.bytes().all(|byte| byte.is_ascii_digit())).collect();
        let mut came = BTreeSet::new();
        came.extend(own.last().map(|name| (*name).clone()));
        if there.is_none()
            && let Some(node) = at(new_root, path)
        {
            keys(node, &mut came, 0);
        }
        let is_written_elsewhere =
            there.is_some_and(|node| proposed.sites.iter().any(|site| is_here(site) && node.place().contains(site.range)));
        if let Some(name) = came.iter().find(|name| RUNS.contains(&&*name.to_ascii_lowercase())) {
            return Err(wrong(proposed, format_args!("`{name}` says what runs, and where")));
        }
        if let Some(name) = came.iter().find(|name| !words.contains(*name)).filter(|_| !is_written_elsewhere) {
            return Err(wrong(proposed, format_args!("`{name}` of `{shown}` isn't what the rule is about")));
        }
        let scalars = there.and_then(Node::as_str).zip(at(new_root, path).and_then(Node::as_str));
        if let (Some((a, b)), Some(name)) = (scalars, own.last())
            && FETCHED.contains(&&*name.to_ascii_lowercase())
            && fetched(&Value::string(a)) != fetched(&Value::string(b))
        {
            return Err(wrong(proposed, format_args!("`{shown}` names something else")));
        }
    }
    Ok(())
}

/// The node that names lead to.
fn at<'n>(root: &'n Node, names: &[String]) -> Option<&'n Node> {
    names.iter().try_fold(root, |node, name| match &node.kind {
        NodeKind::Mapping(entries) => entries.iter().find(|entry| entry.key.as_key() == Some(name)).map(|entry| &entry.value),
        NodeKind::Sequence(items) => items.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The keys of a node and of all that is in it.
fn keys(node: &Node, found: &mut BTreeSet<String>, depth: usize) {
    if depth > MAX_DEPTH {
        return;
    }
    match &node.kind {
        NodeKind::Mapping(entries) => {
            for entry in entries.iter() {
                found.extend(entry.key.as_key().map(str::to_owned));
                keys(&entry.value, found, depth + 1);
            }
        }
        NodeKind::Sequence(items) => items.iter().for_each(|item| keys(item, found, depth + 1)),
        _ => {}
    }
}

/// In a Dockerfile: the instruction that fails, and such as the rule's good examples have.
fn check_instructions(proposed: &Proposed<'_>) -> Result<(), Disproof> {
    let (_, after) = proposed.texts;
    let resources = &proposed.before.graph.resources;
    let is_file = |id: usize| &*resources[id].type_key == "dockerfile";
    let own = (!is_file(proposed.resource)).then(|| (0..proposed.resource).filter(|id| !is_file(*id)).count());
    let plan = Plan::of(proposed.path, proposed.stated);
    let sets = proposed.table.docs(proposed.rule).examples.iter().filter(|set| dialect_of(set.language) == Dialect::Dockerfile);
    let known: BTreeSet<&str> = sets
        .flat_map(|set| &set.good)
        .flat_map(|text| syntax::parse(text).instructions)
        .map(|instruction| instruction.keyword.name())
        .filter(|name| !ACTING.contains(name))
        .collect();
    for stated in proposed.stated.iter().filter(|stated| stated.type_key == INSTRUCTION) {
        let number: Option<usize> = stated.name.parse().ok();
        let is_added = stated.path.starts_with("added:");
        if !is_added && (stated.path != Part::Changed.path() || number.is_none() || number != own) {
            return Err(wrong(proposed, "an instruction is different that the finding isn't about"));
        }
    }
    let new = syntax::parse(after);
    for (instruction, source) in new.instructions.iter().zip(plan.sources(new.instructions.len())) {
        let name = instruction.keyword.name();
        if matches!(source, crate::proof::dockerfile::Source::Added(_)) && (instruction.onbuild.is_some() || !known.contains(name)) {
            return Err(wrong(proposed, format_args!("`{name}` comes")));
        }
    }
    Ok(())
}
