//! Wishes as text.

use std::fmt::Write;

use keyblind_resource::{Resource, Value};
use keyblind_rule_language::Literal;
use keyblind_rules::{Change, DOCUMENT, Subject, Wanted};
use keyblind_syntax::hcl;
use keyblind_syntax::hcl::ast::{Block, Item};

use super::context::Source;
use super::document::is_principal;
use super::insert::Rendered;
use super::{Drafting, Spot};
use crate::examples::{Example, Form};
use crate::hindrance::Hindrance;
use crate::instantiate::{self, Input, Piece, Renaming, key_text, literal_text, quoted};
use crate::wishes::Wishes;

/// What is wished for at a name, with all that lies in it.
enum Content {
    Expression(String),
    Block(Vec<Rendered>),
}

impl<'t> Drafting<'t> {
    /// A change as an expression.
    pub(super) fn render_change(
        &mut self,
        spot: &Spot<'_>,
        change: &Change,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<String, Hindrance> {
        match change {
            Change::Set(Wanted::Literal(literal)) => Ok(literal_text(literal)),
            Change::Set(Wanted::Suggested(number)) => self.suggested_text(spot, *number, resource),
            Change::Set(Wanted::Asked(sample)) => {
                // What nothing shows to be an attribute may as well be a block.
                if !self.in_document && self.examples.form(spot.type_key, &spot.path) != Some(Form::Attribute) {
                    return Err(Hindrance::NeedsDecision);
                }
                let (kind, assumed) = match sample {
                    Literal::Text(text) if instantiate::is_plural(spot.attribute()) => ("list(string)", format!("[{}]", quoted(text))),
                    Literal::Text(text) => ("string", text.to_string()),
                    other => ("list(string)", literal_text(other)),
                };
                self.piece_text(spot, Piece::Asked { kind, assumed }, resource)
            }
            Change::Set(Wanted::WithoutLines(_)) => Err(Hindrance::NeedsDecision),
            Change::Set(Wanted::Trusted { own }) => {
                let who = if *own { self.own_account(resource)? } else { self.asked_principals(spot, resource)? };
                Ok(match spot.attribute() {
                    key if is_principal(key) => format!("{{ AWS = {who} }}"),
                    "identifiers" if *own => format!("[{who}]"),
                    _ => who,
                })
            }
            Change::Refer(Subject::Companion(index)) => {
                companions.get(*index).map(|name| format!("{name}.id")).ok_or(Hindrance::NeedsRedesign)
            }
            Change::Refer(Subject::Resource(id)) => {
                let other = &self.trial.graph.resources[*id];
                (other.header.file == resource.header.file || other.calls == resource.calls)
                    .then(|| format!("{}.{}.id", other.type_key, other.name))
                    .ok_or(Hindrance::NeedsRedesign)
            }
            Change::Remove => Err(Hindrance::NeedsDecision),
        }
    }

    /// An example's value, made to fit.
    fn suggested_text(&mut self, spot: &Spot<'_>, number: usize, resource: &'t Resource) -> Result<String, Hindrance> {
        let examples = self.examples;
        let shown = examples.shown(number).ok_or(Hindrance::NeedsValue)?;
        let source = Source { example: shown.example, resource: shown.resource, text: shown.text };
        self.fitted(spot, source, Some(shown.value), resource)
    }

    /// How the example's own resources are called here.
    pub(super) fn renamings(&self, shown: &Resource, resource: &Resource, example: &Example) -> Vec<Renaming> {
        let mut renamings = self.renamed.clone();
        let of_type = |other: &&Resource| other.type_key == resource.type_key;
        let own = Some(shown).filter(of_type).or_else(|| example.resources.iter().find(of_type));
        if let Some(own) = own {
            renamings.push(Renaming { from: format!("{}.{}", own.type_key, own.name), to: self.instance_of(resource) });
        }
        renamings
    }

    /// A piece as an expression; what only a person knows is asked for.
    pub(super) fn piece_text(&mut self, spot: &Spot<'_>, piece: Piece, resource: &Resource) -> Result<String, Hindrance> {
        let attribute = spot.attribute();
        let (kind, assumed) = match piece {
            Piece::Text(text) => return Ok(text),
            Piece::Asked { kind, assumed } => (kind, assumed),
        };
        if let Some(given) = self.settings.given.get(attribute) {
            if kind == "string" {
                return Ok(quoted(given));
            }
            let (expr, errors) = hcl::parse_expression(given);
            return if errors.is_empty() && crate::examples::is_literal(&expr.kind) {
                Ok(given.clone())
            } else {
                Err(Hindrance::NeedsValue)
            };
        }
        if !self.settings.ask {
            return Err(Hindrance::NeedsValue);
        }
        let own = keyblind_dialects::paths::parent(self.path(resource.header.file)).to_owned();
        let base = variable_name(spot, resource);
        let description = format!("The `{}` of `{}` resources", spot.path, spot.type_key);
        let attribute = attribute.to_owned();
        if !resource.calls.is_empty() {
            let asked = Input { variable: base, attribute, description, kind: kind.to_owned(), assumed, module: Some(own) };
            return self.asked_of_callers(asked, resource);
        }
        // Whoever calls this module from elsewhere would have to hand over a value as well.
        if self.settings.shared.iter().any(|path| path == self.path(resource.header.file)) {
            return Err(Hindrance::NeedsValue);
        }
        let module = own;
        let is_named = |variable: &str| {
            let rest = variable.strip_prefix(&*base).map(|rest| rest.trim_start_matches('_'));
            rest.is_some_and(|rest| rest.chars().all(|character| character.is_ascii_digit()))
        };
        let is_known = |input: &&Input| input.module.as_deref() == Some(&*module) && is_named(&input.variable) && input.kind == kind;
        if let Some(known) = self.settings.known.iter().find(is_known).or_else(|| self.inputs.iter().find(is_known)) {
            let variable = known.variable.clone();
            if !self.inputs.iter().any(|input| input.variable == variable) {
                self.inputs.push(Input { variable: variable.clone(), ..known.clone() });
            }
            return Ok(format!("var.{variable}"));
        }
        let variable = self.free_variable(std::slice::from_ref(&module), &base)?;
        self.declared.push((module.clone(), variable.clone()));
        self.inputs.push(Input {
            variable: variable.clone(),
            attribute,
            description,
            kind: kind.to_owned(),
            assumed,
            module: Some(module),
        });
        Ok(format!("var.{variable}"))
    }

    /// A name, or one like it that no variable of some modules has.
    pub(super) fn free_variable(&mut self, modules: &[String], base: &str) -> Result<String, Hindrance> {
        let mut taken = Vec::new();
        for (file, source) in self.trial.sources.iter() {
            if modules.iter().any(|module| module == keyblind_dialects::paths::parent(&source.path)) && !source.path.ends_with(".json") {
                let tree = self.tree(file)?;
                let variables = tree.body.blocks().filter(|block| &*block.kind.text == "variable");
                taken.extend(variables.filter_map(|block| Some(block.labels.first()?.text.to_string())));
            }
        }
        taken.extend(self.inputs.iter().map(|input| input.variable.clone()));
        let names = std::iter::once(base.to_owned()).chain((2..).map(|number| format!("{base}_{number}")));
        names.take(100).find(|name| !taken.contains(name)).ok_or(Hindrance::NeedsValue)
    }

    /// The items of an example's block, made to fit, without those that are named.
    pub(super) fn instantiated(
        &mut self,
        spot: &Spot<'_>,
        example: &'t Example,
        shown: &'t Resource,
        block: &Block,
        without: &dyn Fn(&str) -> bool,
        resource: &'t Resource,
    ) -> Result<Vec<Rendered>, Hindrance> {
        let mut items = Vec::new();
        for item in &block.body.items {
            match item {
                Item::Attribute(attribute) if !without(&attribute.name.text) => {
                    let name = &*attribute.name.text;
                    let text = &example.text[attribute.value.range.as_usize()];
                    let value = value_at(&shown.body, attribute.value.range);
                    let text = match own_name(spot, name, (shown, resource), text) {
                        Some(own) => own,
                        None => self.fitted(&spot.inner(name), Source { example, resource: shown, text }, value.as_ref(), resource)?,
                    };
                    items.push(Rendered::attribute(name, &text));
                }
                Item::Block(inner) if !without(&inner.kind.text) && &*inner.kind.text != "dynamic" => {
                    let spot = spot.inner(&inner.kind.text);
                    let inner_items = self.instantiated(&spot, example, shown, inner, &|_| false, resource)?;
                    items.push(Rendered::block(&inner.kind.text, inner_items));
                }
                _ => {}
            }
        }
        Ok(items)
    }

    /// A new attribute or block.
    pub(super) fn render_item(
        &mut self,
        spot: &Spot<'_>,
        name: &str,
        wish: &Wishes,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<Rendered, Hindrance> {
        Ok(match self.content(spot, wish, resource, companions)? {
            Content::Expression(text) => Rendered::attribute(name, &text),
            Content::Block(items) => Rendered::block(name, items),
        })
    }

    /// What lies in a list or object that is new.
    pub(super) fn render_expression(
        &mut self,
        spot: &Spot<'_>,
        wish: &Wishes,
        resource: &'t Resource,
        companions: &[String],
    ) -> Result<String, Hindrance> {
        if let Some(change) = &wish.change {
            return self.render_change(spot, change, resource, companions);
        }
        if !wish.names.is_empty() {
            let mut text = "{".to_owned();
            for (index, (name, inner)) in wish.names.iter().enumerate() {
                let value = self.render_expression(&spot.inner(name), inner, resource, companions)?;
                let _ = write!(text, "{} {} = {value}", if index > 0 { "," } else { "" }, key_text(name));
            }
            text.push_str(" }");
            return Ok(text);
        }
        let mut items = Vec::new();
        for inner in wish.indices.values() {
            items.push(self.render_expression(spot, inner, resource, companions)?);
        }
        Ok(format!("[{}]", items.join(", ")))
    }

    fn content(&mut self, spot: &Spot<'_>, wish: &Wishes, resource: &'t Resource, companions: &[String]) -> Result<Content, Hindrance> {
        let form = self.examples.form(spot.type_key, &spot.path);
        if let Some(change) = &wish.change {
            return match change {
                Change::Set(Wanted::Literal(Literal::Map(entries))) if form == Some(Form::Block) => {
                    Ok(Content::Block(entries.iter().map(|(name, value)| Rendered::attribute(name, &literal_text(value))).collect()))
                }
                Change::Set(Wanted::Suggested(number)) if form == Some(Form::Block) => {
                    let examples = self.examples;
                    let shown = examples.shown(*number).ok_or(Hindrance::NeedsValue)?;
                    let block = super::locate::block(&shown.example.file.body, shown.range).ok_or(Hindrance::NeedsValue)?;
                    self.instantiated(spot, shown.example, shown.resource, block, &|_| false, resource).map(Content::Block)
                }
                change => self.render_change(spot, change, resource, companions).map(Content::Expression),
            };
        }
        if wish.names.contains_key(DOCUMENT) {
            return Err(Hindrance::NeedsDecision);
        }
        // The first of several new blocks stands for all: one is what a condition asks for.
        let inner = if wish.names.is_empty() { wish.indices.values().next() } else { Some(wish) };
        let Some(inner) = inner else { return Err(Hindrance::NeedsDecision) };
        let is_list_of_values = wish.names.is_empty() && inner.names.is_empty();
        if form == Some(Form::Attribute) || form.is_none() && (is_list_of_values || is_map(&spot.path)) {
            return self.render_expression(spot, wish, resource, companions).map(Content::Expression);
        }
        let mut items = Vec::new();
        for (name, inner) in inner.names.iter().filter(|(_, inner)| !inner.is_removal()) {
            items.push(self.render_item(&spot.inner(name), name, inner, resource, companions)?);
        }
        // A block of an example is whole; a wish alone may not be.
        let examples = self.examples;
        if let Some((example, shown, block)) = examples.block_at(spot.type_key, &spot.path) {
            let is_wished = |name: &str| inner.names.contains_key(name) || is_optional(name);
            items.extend(self.instantiated(spot, example, shown, block, &is_wished, resource)?);
            in_order_of(&mut items, block);
        }
        Ok(Content::Block(items))
    }
}

/// Puts items into the order that an example's block has them in; what that doesn't have goes behind.
pub(super) fn in_order_of(items: &mut [Rendered], pattern: &Block) {
    let place = |item: &Rendered| {
        let is_it = |other: &Item| match other {
            Item::Attribute(attribute) => &*attribute.name.text == item.name(),
            Item::Block(block) => &*block.kind.text == item.name(),
        };
        pattern.body.items.iter().position(is_it).unwrap_or(usize::MAX)
    };
    items.sort_by_key(place);
}

/// What a variable for a place is called: an argument's name says little without what it is an argument of.
fn variable_name(spot: &Spot<'_>, resource: &Resource) -> String {
    let mut names = spot.path.rsplit('.');
    // What a policy calls a part of a statement says what it is, but not what for; and no two policies grant the same.
    let part = spot.attribute().to_ascii_lowercase();
    let of_policy = match part.as_str() {
        "principal" | "aws" | "identifiers" => Some("trusted_principals".to_owned()),
        "action" | "actions" | "resource" | "resources" => Some(format!("allowed_{}s", part.trim_end_matches('s'))),
        _ => None,
    };
    if let Some(of_policy) = of_policy {
        return format!("{}_{of_policy}", resource.name.replace('-', "_").to_lowercase());
    }
    let attribute = names.next().unwrap_or_default();
    let around = match names.next() {
        Some(block) => block,
        None => spot.type_key.trim_start_matches("data.").split_once('_').map_or(spot.type_key, |(_, rest)| rest),
    };
    if attribute.matches('_').count() >= 2 {
        return attribute.to_owned();
    }
    let (outer, inner): (Vec<&str>, Vec<&str>) = (around.split('_').collect(), attribute.split('_').collect());
    // `flow_log` and `log_destination` make `flow_log_destination`.
    let shared = (1..=outer.len().min(inner.len())).rev().find(|&count| outer[outer.len() - count..] == inner[..count]).unwrap_or(0);
    [&outer[..], &inner[shared..]].concat().join("_")
}

/// Names under which Terraform's providers keep maps rather than blocks.
fn is_map(path: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    matches!(
        name,
        "tags"
            | "tags_all"
            | "labels"
            | "annotations"
            | "metadata"
            | "variables"
            | "parameters"
            | "match_labels"
            | "app_settings"
            | "config"
            | "options"
    )
}

/// Keys of one's own go where a wish asks for them, not along with something else.
fn is_optional(name: &str) -> bool {
    name.contains("kms")
}

/// The name of a new resource is that of the one it stands beside; rules have names of their own, by which they are told apart.
fn own_name(spot: &Spot<'_>, attribute: &str, (shown, resource): (&Resource, &Resource), text: &str) -> Option<String> {
    let is_own = match attribute {
        "name" => !spot.path.split('.').any(|block| block == "rule"),
        "metric_name" => text == quoted(&shown.name),
        _ => false,
    };
    (is_own && text.starts_with('"') && !text.contains("${")).then(|| quoted(&resource.name.replace('_', "-")))
}

/// The value that was written at a place.
fn value_at(value: &Value, range: keyblind_syntax::TextRange) -> Option<Value> {
    if value.origin.used_at().is_some_and(|site| site.range == range) {
        return Some(value.clone());
    }
    if let Some(items) = value.as_items() {
        return items.iter().find_map(|item| value_at(item, range));
    }
    value.as_mapping()?.iter().find_map(|(_, inner)| value_at(inner, range))
}
