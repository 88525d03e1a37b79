//! Terraform's syntax, read by `hcl-edit`.

use std::collections::{BTreeMap, BTreeSet};

use hcl_edit::expr::Expression;
use hcl_edit::structure::{Block, Body, Structure};

use crate::Invariant;
use crate::structure::Change;

/// A declaration by its kind and labels; repeated ones by their number.
type Key = (String, Vec<String>, usize);

/// Compares; tells whether the text before could be read.
pub(crate) fn compare(change: &Change<'_>, faults: &mut Vec<(Invariant, String)>) -> bool {
    let Some(before) = parse(change.before) else { return false };
    let Some(after) = parse(change.after) else {
        faults.push((Invariant::Parses, format!("`{}` can't be read any more", change.path)));
        return true;
    };
    let mut wrong = |detail: String| faults.push((Invariant::Structure, format!("`{}`: {detail}", change.path)));
    let (old, new) = (declarations(&before), declarations(&after));
    let is_values = change.path.ends_with(".tfvars");
    for (key, declared) in &old {
        let shown = shown(key);
        match (declared, new.get(key)) {
            (_, None) => wrong(format!("{shown} is gone")),
            (Structure::Block(a), Some(Structure::Block(b))) => {
                for item in differing(&a.body, &b.body) {
                    if !may_differ(key, &item, change) {
                        wrong(format!("`{item}` of {shown} is different"));
                    }
                }
            }
            (Structure::Attribute(a), Some(Structure::Attribute(b))) => {
                if a.value != b.value && !is_values {
                    wrong(format!("{shown} is different"));
                }
            }
            _ => wrong(format!("{shown} is of another kind")),
        }
    }
    for key in new.keys().filter(|key| !old.contains_key(*key)) {
        if !may_be_new(key, change) {
            wrong(format!("{} is new", shown(key)));
        }
    }
    let order =
        |body: &Body, known: &BTreeMap<Key, &Structure>| keys(body).into_iter().filter(|key| known.contains_key(key)).collect::<Vec<_>>();
    if order(&before, &new) != order(&after, &old) {
        wrong("declarations stand in another order".to_owned());
    }
    true
}

fn parse(text: &str) -> Option<Body> {
    // Terraform takes a byte order mark, which this parser doesn't.
    hcl_edit::parser::parse_body(text.trim_start_matches('\u{feff}')).ok()
}

fn key_of(structure: &Structure) -> (String, Vec<String>) {
    match structure {
        Structure::Block(block) => (block.ident.as_str().to_owned(), labels(block)),
        Structure::Attribute(attribute) => ("=".to_owned(), vec![attribute.key.as_str().to_owned()]),
    }
}

fn labels(block: &Block) -> Vec<String> {
    block.labels.iter().map(|label| label.as_str().to_owned()).collect()
}

fn keys(body: &Body) -> Vec<Key> {
    let mut seen: BTreeMap<(String, Vec<String>), usize> = BTreeMap::new();
    let numbered = body.iter().map(|structure| {
        let (kind, labels) = key_of(structure);
        let number = seen.entry((kind.clone(), labels.clone())).or_default();
        *number += 1;
        (kind, labels, *number)
    });
    numbered.collect()
}

fn declarations(body: &Body) -> BTreeMap<Key, &Structure> {
    keys(body).into_iter().zip(body.iter()).collect()
}

fn shown((kind, labels, _): &Key) -> String {
    format!("`{kind} {}`", labels.join("."))
}

/// The names of the attributes and nested blocks that aren't the same.
fn differing(before: &Body, after: &Body) -> BTreeSet<String> {
    let grouped = |body: &Body| {
        let mut groups: BTreeMap<String, Vec<Structure>> = BTreeMap::new();
        for structure in body {
            let name = match structure {
                // A generated block is a block of the name that it generates.
                Structure::Block(block) if block.ident.as_str() == "dynamic" => labels(block).concat(),
                Structure::Block(block) => block.ident.as_str().to_owned(),
                Structure::Attribute(attribute) => attribute.key.as_str().to_owned(),
            };
            groups.entry(name).or_default().push(structure.clone());
        }
        groups
    };
    let (old, new) = (grouped(before), grouped(after));
    let same = |name: &str| match (old.get(name), new.get(name)) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_structure(a, b)),
        _ => false,
    };
    old.keys().chain(new.keys()).filter(|name| !same(name)).cloned().collect()
}

fn same_structure(a: &Structure, b: &Structure) -> bool {
    match (a, b) {
        (Structure::Attribute(a), Structure::Attribute(b)) => a.key.as_str() == b.key.as_str() && same_value(&a.value, &b.value),
        (Structure::Block(a), Structure::Block(b)) => {
            a.ident.as_str() == b.ident.as_str()
                && labels(a) == labels(b)
                && a.body.len() == b.body.len()
                && a.body.iter().zip(&b.body).all(|(a, b)| same_structure(a, b))
        }
        _ => false,
    }
}

fn same_value(a: &Expression, b: &Expression) -> bool {
    a == b
}

/// Whether an item of a declaration may be different.
fn may_differ((kind, labels, _): &Key, item: &str, change: &Change<'_>) -> bool {
    let states = |type_key: &str, name: &str| {
        let of_declaration = change.stated.iter().filter(|stated| stated.type_key == type_key && (name.is_empty() || stated.name == name));
        of_declaration.map(|stated| stated.path.as_str()).any(|path| path == item || path.split(['.', '[']).next() == Some(item))
    };
    match (kind.as_str(), &labels[..]) {
        ("resource", [type_name, name]) => states(type_name, name),
        ("data", [type_name, name]) => states(&format!("data.{type_name}"), name),
        ("module", [name]) => !["source", "version", "providers"].contains(&item) && states("module", name),
        ("provider", [name]) => states(&format!("provider.{name}"), ""),
        ("variable", [_]) => item == "default",
        ("locals", []) => true,
        _ => false,
    }
}

fn may_be_new((kind, labels, _): &Key, change: &Change<'_>) -> bool {
    let states = |type_key: &str, name: &str| {
        change.stated.iter().any(|stated| stated.type_key == type_key && stated.name == name && stated.path.is_empty())
    };
    match (kind.as_str(), &labels[..]) {
        ("resource", [type_name, name]) => states(type_name, name),
        ("data", [type_name, name]) => states(&format!("data.{type_name}"), name),
        ("variable", [name]) => change.inputs.iter().any(|input| input.variable == *name),
        _ => false,
    }
}
